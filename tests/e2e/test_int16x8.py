"""The whole way with int16 activations: the same weights, other integers, verified on the emulated board."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY, WholeRun, run, tiny_recipe

pytestmark = pytest.mark.slow


def test_a_recipe_with_int16_activations(whole_run: WholeRun, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    recipe = tiny_recipe(tmp_path, quantize={**TINY["quantize"], "activations": "int16"})  # type: ignore[dict-item]
    workspace, printed = run(recipe, build)
    assert "steps equal TensorFlow Lite Micro's to the byte" in " ".join(printed.split())
    result = json.loads((workspace.folder / whole_run.target_key / "result.json").read_text(encoding="utf-8"))
    assert result["ok"] is True and result["checks"]["logits_crc_match"] and result["checks"]["tokens_match"]
    assert result["ram_bytes"]["kv_cache"] == 2 * recipe.model.kv_cache_bytes
    first = json.loads((whole_run.workspace.folder / whole_run.target_key / "result.json").read_text(encoding="utf-8"))
    assert result["macs"] == first["macs"]
    assert result["flash_bytes"]["weights"] < 1.4 * first["flash_bytes"]["weights"]
