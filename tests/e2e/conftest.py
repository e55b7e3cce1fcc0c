"""One run of the whole way on a tiny recipe, shared by all tests here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from pipeline.recipes.load import Recipe, load_recipe
from pipeline.stages.registry import run_recipe
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace

TINY: dict[str, Any] = {
    "name": "tiny",
    "description": "Whether <b>everything</b> runs, not whether it is clever.",
    "task": {"name": "home_assistant", "split_sentences": 40},
    "tokenizer": {"vocab_size": 560},
    "model": {
        "d_model": 32,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "ffn": "gated",
        "ffn_dim": 48,
        "positions": "rotary",
        "context": 96,
    },
    "train": {"steps": 40, "batch_size": 32},
    "prune": {"sparsity": 0.5, "steps": 20},
    "quantize": {"calibration_sentences": 20},
    "evaluate": {"host_sentences": 20, "device_sentences": 3},
    "budgets": {"min_exact_match": 0},
    "boards": ["mps2_an386"],
    "prompts": ["turn off the kitchen lights", "say <script>alert(1)</script>", "Küche, bitte: ☃"],
}


@dataclass(frozen=True)
class WholeRun:
    """The recipe, its workspace, and what the run printed."""

    recipe: Recipe
    workspace: Workspace
    printed: str

    def again(self, recipe: Recipe | None = None, **options: object) -> str:
        """Runs once more; what it printed."""
        return run(recipe or self.recipe, self.workspace.folder.parent, **options)[1]

    @property
    def target_key(self) -> str:
        return "mps2_an386-aot"


def run(recipe: Recipe, build: Path, **options: object) -> tuple[Workspace, str]:
    text = io.StringIO()
    settings = RunOptions(**{"build": build, "emulator": "qemu", **options})  # type: ignore[arg-type]
    workspace = run_recipe(recipe, settings, Console(file=text, width=300))
    return workspace, text.getvalue()


def tiny_recipe(folder: Path, **sections: object) -> Recipe:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, **sections}, allow_unicode=True), encoding="utf-8")
    return load_recipe(path)


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    folder = tmp_path_factory.mktemp("whole")
    recipe = tiny_recipe(folder)
    workspace, printed = run(recipe, folder / "build")
    return WholeRun(recipe, workspace, printed)
