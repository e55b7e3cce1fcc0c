"""A compiled step as a plain graph: compiling a tiny model takes longer than all that a test does with it.

Whole runs and the tests of reproducibility compile, as users do; those of one part of training need not.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["without_xla"]


@pytest.fixture(autouse=True)
def without_xla(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tf.function` that leaves `jit_compile` out, but for tests that are marked `xla`."""
    if request.node.get_closest_marker("xla") is None:
        import tensorflow as tf

        function = tf.function

        def graph(*arguments: Any, jit_compile: bool | None = None, **options: Any) -> Any:
            return function(*arguments, **options)

        monkeypatch.setattr(tf, "function", graph)
