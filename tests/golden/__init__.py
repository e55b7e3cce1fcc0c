"""Digests of all generated C: a change of the compiler that should not change its output is seen not to.

`python -m tests.golden` checks them, `python -m tests.golden --record` writes them anew, on purpose.
"""
