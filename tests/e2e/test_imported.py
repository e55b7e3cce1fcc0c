"""A llama2.c checkpoint on the emulated board: imported, quantized, verified, and its text streamed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.main import main
from pipeline.device.protocol import Device
from pipeline.emulators.select import pick
from pipeline.numerics.kv_window import SlidingWindow
from pipeline.targets.boards import load_board
from pipeline.verification.oracle import Oracle
from pipeline.workflow.workspace import Workspace
from tests.support.made_llama2c import checkpoint_file, header_of, pieces_of, tokenizer_file

pytestmark = pytest.mark.slow

WINDOW, SINKS = 8, 2
PIECES = pieces_of({" ": -1.0, "t": -2.0, "h": -3.0, "e": -4.0, "he": -5.0, "the": -6.0, " the": -7.0, "é": -8.0})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up checkpoint that never ends a text, imported with a window, and with prompts."""
    folder = tmp_path_factory.mktemp("imported")
    header = header_of(vocab_size=len(PIECES))
    table = np.random.default_rng(4).normal(0, 0.5, header.shapes["token_embedding"])
    table[:259] *= 0.05  # bytes and stops are seldom
    checkpoint_file(folder / "made.bin", header, token_embedding=table)
    tokenizer_file(folder / "words.bin", PIECES)
    out = folder / "made.yaml"
    files = [str(folder / "made.bin"), str(folder / "words.bin")]
    options = ["--window", str(WINDOW), "--sinks", str(SINKS), "--fit", "4"]
    assert main(["import-llama2c", *files, "--out", str(out), *options]) == 0
    text = out.read_text(encoding="utf-8").replace("prompts:\n- ''\n", "prompts: ['', the té]\n")
    text = text.replace("seed: 1", "seed: 1\n  calibration_tokens: 72\n  measured_tokens: 60\n  fitting_tokens: 48")
    out.write_text(text, encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def build(recipe: Path) -> Path:
    """The folder of a finished run."""
    folder = recipe.parent / "build"
    assert main(["run", str(recipe), "--build", str(folder), "--emulator", "qemu"]) == 0
    return folder


def test_the_board_is_verified_and_the_quality_reported(build: Path) -> None:
    result = json.loads((build / "made" / "mps2_an386-aot" / "result.json").read_text(encoding="utf-8"))
    assert result["ok"] is True and all(result["checks"].values())
    assert [prompt["text"] for prompt in result["prompts"]] == ["", "the té"]
    assert result["prompts"][0]["tokens_in"] == [1] and result["prompts"][1]["tokens_in"] == [1, 265, 259, 260, 266]
    quality = result["quality"]
    assert quality["float"]["tokens"] == quality["quantized"]["tokens"] >= 60
    assert 0.5 < quality["quantized"]["agreement"] <= 1 and abs(quality["quantized"]["perplexity_loss"]) < 0.2
    assert quality["quantized"]["perplexity"] == pytest.approx(np.exp(quality["quantized"]["nll"]), rel=1e-4)
    fitted = {path.name for path in (build / "made" / "qat").iterdir()}
    assert {"weights.npz", "integers.json"} <= fitted and "checkpoint.npz" not in fitted
    page = (build / "made" / "report" / "index.html").read_text(encoding="utf-8")
    assert "text that the float model wrote itself" in page and "made.bin" in page


def test_three_windows_of_text_equal_the_hosts(build: Path) -> None:
    workspace = Workspace(build, "made")
    oracle = Oracle((workspace.stage("quantize") / "model.tflite").read_bytes())
    window = oracle.kv_window
    assert isinstance(window, SlidingWindow) and (window.rows, window.sinks) == (WINDOW, SINKS)
    board = load_board("mps2_an386")
    with Device(
        pick(board, "qemu").start(workspace.stage("firmware", "mps2_an386-aot") / "firmware.elf", board)
    ) as device:
        answer = device.generate([1], 3 * WINDOW + 1)
    assert len(answer.steps) > 3 * WINDOW, "the text ended too early for this test"
    for step in answer.steps:
        assert step.next == int(oracle.step(step.token).argmax())


def test_generate_and_chat_write_text(build: Path, recipe: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--build", str(build), "--emulator", "qemu", "--tokens", "12"]
    assert main(["generate", str(recipe), "--prompt", "the", *arguments]) == 0
    err = capfd.readouterr().err
    assert "2 tokens in, 12 out, cut off by the length" in err and "tokens a second" in err
    assert main(["generate", str(recipe), *arguments]) == 0
    first = capfd.readouterr().out
    result = json.loads((build / "made" / "mps2_an386-aot" / "result.json").read_text(encoding="utf-8"))
    assert result["prompts"][0]["text_out"].startswith(first.rstrip("\n\ufffd"))
    assert not first.startswith(" "), "llama2.c too leaves out the space behind BOS"


def test_an_empty_line_of_a_chat_begins_a_text(
    build: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\nthe\n"))
    assert main(["chat", str(recipe), "--build", str(build), "--emulator", "qemu", "--tokens", "12"]) == 0
    printed = capfd.readouterr().out
    assert "an empty line begins a text" in printed
    assert "(1 token in, 12 out" in printed and "(2 tokens in, 12 out" in printed


def test_what_is_missing_or_changed_is_noticed(build: Path, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = recipe.with_suffix(".npz")
    data = weights.read_bytes()
    weights.unlink()
    assert main(["quantize", str(recipe), "--build", str(build)]) == 1
    assert "there is no" in capsys.readouterr().err
    weights.write_bytes(data)
    assert main(["quantize", str(recipe), "--build", str(build)]) == 0
    assert "nothing changed" in capsys.readouterr().out
