"""Sweeps: many recipes from one file, trained and measured on the emulated board, and the best of them.

`plan` reads the file, `search` proposes points where not all are measured, `point` runs one of them, `workers` run many
at once, `run` brings it together, `pareto` and `picture` say what came out, `recommend` picks for a board and budgets.
"""
