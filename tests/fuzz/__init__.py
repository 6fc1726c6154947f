"""What reads a stranger's bytes, and programs that try to break it.

`targets` are the readers, each a function of some bytes that fails if one of them fails in a way that it does
not document. The ordinary tests try them with a few hundred inputs, and with all of `regressions`. A long
campaign, led by coverage, needs atheris (`pip install atheris`; not among the test requirements, because it
has no wheels for every Python):

    python -m tests.fuzz.campaign payload --seconds 300

What it finds is a small file; put into `regressions/<target>/` it is tried ever after.
"""
