"""The generated C is the recorded one, file by file.

Of the cases that TensorFlow has to convert first, which take minutes, those of the demo's recipe are here;
`nox -s golden` checks all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.digests import compare, recorded
from tests.golden.shapes import CASES, Case


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(golden_case, id=golden_case.name, marks=[pytest.mark.slow] if golden_case.slow else [])
        for golden_case in CASES
        if not golden_case.slow or golden_case.name.startswith("home-en-small, ")
    ],
)
def test_the_generated_c_is_the_recorded_one(case: Case, tmp_path: Path) -> None:
    reason = case.unavailable()
    if reason:
        pytest.skip(reason)
    outcome = compare(case, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert not outcome.differences, "\n".join([*outcome.differences, "on purpose? python -m tests.golden --record"])


def test_every_recorded_case_exists() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert set(recorded().cases) == set(names)
