"""What the tests of distributed trainings run on every rank: `python -m tests.ranks FOLDER SCENARIO...`.

Starting processes takes seconds, so one start runs many scenarios, in the same order on every rank. What each
returns is left in FOLDER for the test to look at, by rank.
"""
