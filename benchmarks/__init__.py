"""Measured comparisons on emulated cores: `python -m benchmarks`, or `nox -s bench`.

cores (what is emulated) → machine (build and run a program there) → models, kernels, peers (what is measured)
→ rows (one row a measurement) → tables, picture (what a reader sees)
"""
