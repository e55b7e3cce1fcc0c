"""A tied embedding is stored once, and gives the bytes of TensorFlow Lite Micro."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle
from tests.support.decode_steps import KINDS, build_decode_step
from tests.support.run_model import Workbench
from tests.support.strategies import int8_values
from tests.support.tied_tables import tied_model, tied_tables

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("layout", list(WeightLayout))
@pytest.mark.parametrize(("columns", "gains"), [(16, (1.2, 1.9)), (40, (0.6, 2.0)), (64, (0.7, 1.4))])
def test_look_ups_beside_the_product(
    bench: Workbench, columns: int, gains: tuple[float, float], layout: WeightLayout
) -> None:
    tflite = tied_model(tied_tables(130, columns, columns, gains, -9))
    _, _, folder = bench.build(tflite, layout)
    assert f"thimble_embedding_{layout}_s8(" in (folder / "model.c").read_text()
    assert "token_table" not in (folder / "model_data.h").read_text()
    x = int8_values(1, (1, columns))
    for token in (0, 1, 2, 3, columns, 64, 127, 128, 129):
        bench.check(tflite, {"token": np.array([token], np.int32), "x": x}, layout)


@pytest.mark.parametrize("layout", list(WeightLayout))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("int16x8")])
@pytest.mark.variants(keep=3)
def test_every_token_of_a_whole_step(kind: str, layout: WeightLayout, tmp_path: Path) -> None:
    tflite = build_decode_step(kind)
    oracle = Oracle(tflite)
    folder = tmp_path / "model"
    folder.mkdir()
    compiled = compile_model(tflite, folder, layout)
    assert f"thimble_embedding_{layout}_s8(" in (folder / "model.c").read_text()
    engine = HostEngine(folder, tmp_path / "build", compiled.vocab, compiled.context)
    tokens = np.random.default_rng(3).permutation(compiled.vocab).tolist()
    while tokens:
        oracle.reset()
        engine.reset()
        for token in tokens[: compiled.context]:
            assert (oracle.step(token) == engine.step(token)).all(), token
        del tokens[: compiled.context]


def test_the_table_stays_where_speed_is_the_aim(tmp_path: Path) -> None:
    tflite = tied_model(tied_tables(300, 32, 1))
    folders = {aim: tmp_path / aim for aim in (Objective.BALANCED, Objective.SPEED)}
    for aim, folder in folders.items():
        folder.mkdir()
        compile_model(tflite, folder, aim=aim)
    has_table = {aim: "token_table" in (folder / "model_data.h").read_text() for aim, folder in folders.items()}
    assert has_table == {Objective.BALANCED: False, Objective.SPEED: True}
