"""Two tiny models, and their library."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_library import TinyLibrary, make_models


@pytest.fixture(scope="session")
def tiny() -> TinyLibrary:
    return make_models()


@pytest.fixture(scope="session")
def library(tiny: TinyLibrary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("library") / "pairs")
