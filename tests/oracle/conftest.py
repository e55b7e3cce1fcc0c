"""Where generated models are built, and small decode steps."""

from __future__ import annotations

import pytest

from tests.support.decode_steps import KINDS, build_decode_step
from tests.support.run_model import Workbench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session", params=list(KINDS))
def decode_step(request: pytest.FixtureRequest) -> bytes:
    """The .tflite of a small untrained model."""
    return build_decode_step(request.param)
