"""The campaign itself: its seeds are right inputs, and what it once found stays mended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ThimbleError
from pipeline.resources import ROOT
from tests.fuzz.c_targets import C_TARGETS, replay
from tests.fuzz.targets import CORPUS, TARGETS
from tests.fuzz.worker import message_fault

Check = Callable[[bytes], None]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Check]:
    """By name of a target, what checks an input."""
    made: dict[str, Check] = {}

    def of(name: str) -> Check:
        if name not in made:
            place = tmp_path_factory.mktemp(name)
            (place / "given").mkdir()
            check = TARGETS[name].prepare(place / "given")
            made[name] = lambda data: _in_build(check, place, data)
        return made[name]

    return of


def _in_build(check: Callable[[Path, bytes], None], place: Path, data: bytes) -> None:
    import shutil

    shutil.rmtree(place / "build", ignore_errors=True)
    (place / "build").mkdir()
    check(place, data)


_SEEDS = [
    (kind.name, path) for kind in sorted(CORPUS.iterdir()) if kind.name in TARGETS for path in sorted(kind.iterdir())
]
_FOUND = sorted((CORPUS / "found").glob("*/*"))


@pytest.mark.parametrize(
    ("target", "path"),
    [pytest.param(*seed, marks=pytest.mark.slow if seed[0] == "tflite" else ()) for seed in _SEEDS],
    ids=[f"{kind}-{path.name}" for kind, path in _SEEDS],
)
def test_every_seed_is_a_right_input(checks: Callable[[str], Check], target: str, path: Path) -> None:
    if path.suffix != ".tsv":
        checks(target)(path.read_bytes())


@pytest.mark.parametrize("path", _FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_accepted_or_refused(checks: Callable[[str], Check], path: Path) -> None:
    try:
        checks(path.parent.name)(path.read_bytes())
    except ThimbleError as error:
        assert message_fault(error) == ""


@pytest.mark.slow
def test_wrong_c_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign of .tflite files tells apart: other values, memory out of bounds, and C that does not compile."""
    from pipeline.compiler import CompiledModel, WeightLayout, compile_model
    from tests.fuzz import tflite_target
    from tests.support.changed_tflite import changed, one_product

    def compiled_wrong(change: Callable[[Any], None], edit: tuple[str, str] = ("", "")) -> None:
        def wrong(tflite: bytes, out: Path, packing: WeightLayout) -> CompiledModel:
            compiled = compile_model(changed(tflite, change), out, packing)
            path = out / "model.c"
            path.write_text(path.read_text().replace(*edit) if edit[0] else path.read_text())
            return compiled

        monkeypatch.setattr(tflite_target, "compile_model", wrong)
        _in_build(check, tmp_path, one_product())

    def scaled(model: Any) -> None:
        model.subgraphs[0].tensors[3].quantization.scale = [0.3]

    (tmp_path / "given").mkdir()
    check = TARGETS["tflite"].prepare(tmp_path / "given")
    _in_build(check, tmp_path, one_product())
    with pytest.raises(AssertionError, match="bytes differ"):
        compiled_wrong(scaled)
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        compiled_wrong(lambda model: None, ("arena + ", "arena + 4096 + "))
    with pytest.raises(AssertionError, match="does not compile"):
        compiled_wrong(lambda model: None, ("arena + ", "nowhere + "))


@pytest.mark.parametrize("target", ["home", "checkpoint", pytest.param("tflite", marks=pytest.mark.slow)])
def test_a_short_campaign_finds_nothing(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--target", target, "--inputs", "100", "--out", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("name", ["c-answer-lines", *(name for name in C_TARGETS if name != "c-answer-lines")])
def test_the_devices_c_takes_its_corpus(name: str, tmp_path: Path) -> None:
    replay(C_TARGETS[name], tmp_path / "work")
