"""What is exported in the tests: two tiny models and the shipped `home-en-small`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.exports.library import ExportedModel, Library
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.stages.export import collect
from pipeline.verification.result import RESULT, RunResult
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace
from tests.support.tiny_library import STORIES, TinyLibrary, make_models

WHOLE = "THIMBLE_EXPORTS"
"""Set by `nox -s exports`, which has installed what the forms need."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what `nox -s exports` is for."""
    if os.environ.get(WHOLE):
        return
    for item in items:
        if item.get_closest_marker("exports"):
            item.add_marker(pytest.mark.skip(reason=f"`nox -s exports` runs it, or {WHOLE}=1 in the environment"))


@pytest.fixture(scope="session")
def tiny() -> TinyLibrary:
    return make_models()


@pytest.fixture(scope="session")
def library(tiny: TinyLibrary) -> Library:
    """A model with answer tokens."""
    answer = "HassLightSet domain=light name=Desk Lamp"
    model = ExportedModel("tiny-lights", "Lights.", tiny.intents, tiny.intents_codec, "turn on the desk lamp", answer)
    return Library((model,), "cortex-m4", "1.2.3")


@pytest.fixture(scope="session")
def plain_library(tiny: TinyLibrary) -> Library:
    """A model that goes on with text."""
    start = "once upon a time"
    model = ExportedModel("tiny.text", "Stories.", tiny.text, tiny.text_codec, start, STORIES[start])
    return Library((model,), "generic", "1.2.3")


@pytest.fixture(scope="session")
def both(library: Library, plain_library: Library) -> Library:
    """Both of them."""
    return Library((*library.models, *plain_library.models), "cortex-m4", "1.2.3")


def _home(core: str) -> tuple[Library, RunResult]:
    recipe = load_recipe(ROOT / "models" / "home-en-small" / "recipe.yaml")
    build = ROOT / "build"
    options = RunOptions(build)
    library = collect([recipe], options, Console(quiet=True))
    folder = Workspace(build, recipe.name).stage("emulate", "mps2_an386-aot")
    result = RESULT.load(folder)
    return (library if core == library.core else collect([recipe], options, Console(quiet=True), core)), result


@pytest.fixture(scope="session")
def home() -> tuple[Library, RunResult]:
    """The shipped model, its weights for a Cortex-M4, and what the emulated board answered."""
    return _home("cortex-m4")


@pytest.fixture(scope="session")
def home_for_esp() -> tuple[Library, RunResult]:
    """The same, its weights as suits an ESP32."""
    return _home("riscv32")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "export"
