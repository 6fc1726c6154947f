"""The thesis' case studies (sections 2.3, 3, 4 and appendices B and C) as scripts that write runs.

Each study is a module with a `run(bench)`: `training` (I), `lottery_ticket` (II), `adversarial` (III),
`fine_tuning` (IV), `regularizer` (V) and `ablations`. `python -m demo.case_studies.<name>` runs one,
`python -m demo.case_studies` all of them and the report. What they share: `settings` (the command line),
`pictures` (data on a device), `loop` (the training), `bench` (networks, monitors and runs that are trained
once), `records` (what event files hold). `claims` says what the thesis claims and how that is measured from
the event files; `report` writes docs/case_studies.md and its figures from nothing else.
"""
