"""The benchmarks' tables and limits on made rows, and one quick run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.bench import charts, tables
from pipeline.bench.answers import ALL_LOGITS
from pipeline.bench.cores import CORES
from pipeline.bench.held_out import announce_training
from pipeline.bench.limits import min_instructions_per_mac
from pipeline.bench.measure import kernel_rows
from pipeline.bench.rows import Row, as_dict
from pipeline.bench.run import BenchOptions
from pipeline.bench.shapes import SHAPES, layer_tflite
from pipeline.bench.structures import STRUCTURES
from pipeline.bench.tflm import ENGINE
from pipeline.commands.main import main
from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.recipes.schema import ModelConfig
from pipeline.workflow.shipped import recipes_with_weights

KERNEL = Row("Cortex-M4F", "thimble", kernel="fully_connected_s8", depth=64, rows=64, macs=4096, instructions=4100)
STEPS = [
    Row("Cortex-M4F", engine, model="nano", fill=fill, macs=1000, instructions=1000 + fill * count, code_bytes=7000)
    for engine, count in (("thimble", 10), ("float C", 50))
    for fill in (0, 48, 95)
]
PROMPTS = [
    Row("Cortex-M4F", "thimble", model="nano", prompt=24, instructions=500),
    Row("Cortex-M4F", "thimble, step by step", model="nano", prompt=24, instructions=1000),
]
LEFT_OUT = Row("Cortex-M4F", ENGINE, model="nano", fill=0, note="left out: no TFLM_DIR")


def text_of(table: object) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_rows_as_json_leave_out_what_does_not_apply() -> None:
    assert as_dict(KERNEL) == {
        **{"core": "Cortex-M4F", "engine": "thimble", "kernel": "fully_connected_s8"},
        **{"depth": 64, "rows": 64, "macs": 4096, "instructions": 4100, "per_mac": 1.001},
    }
    assert as_dict(LEFT_OUT)["note"].startswith("left out") and "instructions" not in as_dict(LEFT_OUT)
    assert as_dict(STEPS[0])["fill"] == 0


def test_tables() -> None:
    assert "1.001" in text_of(tables.kernel_table([KERNEL]))
    steps = text_of(tables.step_table([*STEPS, LEFT_OUT]))
    assert "1,480" in steps and "1.480" in steps and ENGINE not in steps
    assert "2.00 ×" in text_of(tables.prompt_table([*STEPS, *PROMPTS]))
    assert tables.layer_table(STEPS).row_count == 0
    sized = Row(
        "Cortex-M4F",
        "thimble",
        model="nano",
        fill=0,
        weight_bytes=1020,
        raw_weight_bytes=1000,
        activation_bytes=540,
        live_bytes=500,
    )
    memory = text_of(tables.memory_table([*STEPS, sized]))
    assert "2.0 %" in memory and "8.0 %" in memory


def test_whole_answers() -> None:
    facts = {"core": "Cortex-M3", "model": "nano", "answers": 12, "tokens_in": 10.1, "tokens_out": 5.1}
    rows = [
        Row(**facts, engine=ALL_LOGITS, certain=0.0, instructions=3_000, own_instructions=2_000),  # type: ignore[arg-type]
        Row(**facts, engine="thimble", certain=1.4, instructions=1_700, own_instructions=900),  # type: ignore[arg-type]
    ]
    (line,) = (line for line in text_of(tables.answer_table([*STEPS, *rows])).splitlines() if "nano" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        *("nano", "Cortex-M3", "10.1", "5.1", "1.4"),
        *("3,000", "1,700", "2,000", "900"),
    ]


def test_limits() -> None:
    assert 0.5 < min_instructions_per_mac(WeightLayout.INTERLEAVED_2) < 0.6
    assert min_instructions_per_mac(WeightLayout.ROW_MAJOR) == 0.125


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    limit = Row("Cortex-M4F", "limit", kernel="fully_connected_s8", depth=128, rows=64, macs=8192, instructions=4500)
    ours = Row("Cortex-M4F", "thimble", kernel="fully_connected_s8", depth=128, rows=64, macs=8192, instructions=7000)
    charts.draw([ours, limit, *STEPS], tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_core_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--cores", "m4f,m99"]) == 1
    printed = capsys.readouterr().err
    assert "--cores: 'm99' is not known" in printed and "m3,m4f" in printed


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize("key", ["m3", "m4f", "m55"])  # one for each set of kernels; `nox -s bench` counts on all
def test_a_product_on_every_kind_of_core(key: str, tmp_path: Path) -> None:
    pytest.importorskip("bakenn", reason="the package bakenn, which brings CMSIS-NN, is not installed")
    rows = {row.engine: row for row in kernel_rows(CORES[key], 64, 64, tmp_path)}
    assert set(rows) == {"thimble", "thimble, int16 activations", "CMSIS-NN", "limit"}
    ours, theirs, limit = (rows[engine].per_mac for engine in ("thimble", "CMSIS-NN", "limit"))
    assert ours is not None and theirs is not None and limit is not None
    assert limit < ours < theirs
    assert json.dumps(as_dict(rows["thimble"]))


@pytest.mark.parametrize("name", STRUCTURES)
def test_each_structure_is_held_in_its_form(name: str, tmp_path: Path) -> None:
    """Found by the compiler in the weights alone, and smaller than dense ones."""
    config = ModelConfig.from_mapping(
        {
            **{
                "vocab_size": 300,
                "d_model": 64,
                "layers": 1,
                "heads": 4,
                "kv_heads": 2,
                "ffn": "gated",
                "ffn_dim": 128,
            },
            **{"ffn_dim": 128, "norm": "rmsnorm", "positions": "rotary", "context": 16},
        }
    )
    compiled = compile_model(layer_tflite(config, STRUCTURES[name]), tmp_path, aim=Objective.SIZE)
    assert len(compiled.products) == 7
    words = {"dense": "pairs", "4 bits": "nibbles", "2:4": "2:4", "1:4": "1:4"}
    expected = words.get(name) or f"blocks{name.removeprefix('blocks of 4 × ')[0]}"
    assert {product.form for product in compiled.products} == {expected}
    assert (expected in compiled.forms) is (expected != "pairs")


def test_structured_weights_beside_dense_ones() -> None:
    rows = [
        Row("Cortex-M4F", "thimble", model="base", weights=name, forms=form, weight_bytes=size, instructions=count)
        for name, form, size, count in (("dense", "pairs", 1000, 2000), ("1:4", "1:4", 320, 2500))
    ]
    text = text_of(tables.compressed_table(rows))
    assert "68.0 %" in text and "1.25" in text
    assert tables.step_table(rows).row_count == 0


def test_what_has_no_weights_is_measured_where_it_is_named_alone(tmp_path: Path) -> None:
    default = BenchOptions.of(None, None, False, tmp_path).models
    assert default == (*(recipe.name for recipe in recipes_with_weights()), SHAPES)
    named = BenchOptions.of("m4f", f"home-en-base,{SHAPES}", False, tmp_path)
    assert named.models == ("home-en-base", SHAPES) and named.cores == ("m4f",)
    with pytest.raises(ThimbleError, match="home-en-bass"):
        BenchOptions.of(None, "home-en-bass", False, tmp_path)


def test_a_training_is_announced(tmp_path: Path) -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    trained, *_ = recipes_with_weights()
    announce_training(trained, tmp_path, console)
    assert console.export_text() == ""
    announce_training(trained.replace(shipped=None), tmp_path, console)
    (line,) = console.export_text().splitlines()
    assert line.startswith(f"{trained.name} has no weights: it is trained first, {trained.train.steps:,} steps")


@pytest.mark.skipif(not CORES["rv32"].is_here, reason="no compiler or emulator for RISC-V")
def test_a_product_is_counted_on_risc_v(tmp_path: Path) -> None:
    (row, wide) = kernel_rows(CORES["rv32"], 64, 64, tmp_path)
    assert row.per_mac is not None and wide.per_mac is not None
    assert row.per_mac < 3.8  # three products for four, with what takes them apart; plain C takes 7.2
