"""Random graphs of all supported ops give TensorFlow Lite Micro's bytes; so do the same graphs under sanitizers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import some
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import RandomGraph
from run_model import Workbench, run_on_micro

from pipeline.compiler.lower import SUPPORTED

pytestmark = pytest.mark.slow


@given(seed=st.integers(0, 1 << 20), steps=st.integers(1, 16))
@settings(some, max_examples=120)
def test_random_graphs(bench: Workbench, seed: int, steps: int) -> None:
    graph = RandomGraph(seed, steps)
    bench.check(graph.bytes(), graph.values)


def test_the_graphs_are_worth_their_time() -> None:
    """They hold every supported op, TensorFlow Lite Micro takes them, and most of their outputs vary."""
    kinds: set[str] = set()
    varied = []
    for seed in range(40):
        graph = RandomGraph(seed, 10)
        kinds |= graph.kinds
        values = run_on_micro(graph.bytes(), graph.values).values()
        varied += [len(np.unique(one)) > 1 for one in values if one.size > 4]
    assert kinds == set(SUPPORTED) - {"EXPAND_DIMS", "SQUEEZE"}
    assert np.mean(varied) > 0.6
