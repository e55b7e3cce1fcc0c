"""From text files to a verified board that goes on with text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from pipeline.commands.main import main
from pipeline.device.protocol import Device
from pipeline.emulators.select import pick
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import Recipe
from pipeline.targets.boards import load_board
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.workflow.workspace import Workspace
from tests.e2e.conftest import TINY, run

pytestmark = pytest.mark.slow

PROMPTS = ["", "[WARN] Pump 7\n\t", "  Küche: ☃\nIF x:\n    y"]
RECIPE = {
    "name": "log",
    "task": {"name": "corpus", "files": ["logs/*.txt"], "held_out": 0.3},
    "tokenizer": {"vocab_size": 320},
    "model": {**TINY["model"], "context": 48},
    "train": {"steps": 60, "batch_size": 16, "warmup": 10, "early_stopping": 2},
    "quantize": {"calibration_sentences": 20},
    "evaluate": {"host_sentences": 20},
    "boards": ["mps2_an386"],
    "prompts": PROMPTS,
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "logs").mkdir()
    rng = np.random.default_rng(1)
    for name in ("one", "two"):
        documents = [
            "\n".join(
                f"[{rng.choice(['INFO', 'WARN'])}] Pump {rng.integers(9)}\n\t{rng.choice(['ON', 'off'])} at {i} bar"
                for i in range(rng.integers(1, 8))
            )
            for _ in range(60)
        ]
        (folder / "logs" / f"{name}.txt").write_text("\n\n".join(documents), encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, allow_unicode=True), encoding="utf-8")
    return load_recipe(path)


@pytest.fixture(scope="module")
def ran(recipe: Recipe) -> tuple[Workspace, str]:
    return run(recipe, recipe.path.parent / "build")


def test_the_board_is_verified_and_held_out_text_measured(ran: tuple[Workspace, str], recipe: Recipe) -> None:
    workspace, printed = ran
    result = json.loads((workspace.folder / "mps2_an386-aot" / "result.json").read_text(encoding="utf-8"))
    assert result["ok"] is True and all(result["checks"].values()) and "accuracy" in result["checks"]
    assert [prompt["text"] for prompt in result["prompts"]][:3] == PROMPTS
    tokenizer = load_tokenizer(workspace.stage("data") / "tokenizer.json")
    for prompt in result["prompts"]:
        assert prompt["tokens_in"] == tokenizer.encode_prompt(prompt["text"])
        assert prompt["tokens_out"] == prompt["expected_tokens"] and prompt["text_out"] == prompt["expected_text"]
    float_figures, quantized = (result["quality"][name] for name in ("float", "quantized"))
    assert float_figures["tokens"] == quantized["tokens"] > 100
    assert float_figures["nll"] < np.log(320) and 0 < float_figures["nats_per_byte"] < float_figures["nll"]
    assert abs(quantized["perplexity_loss"]) < 0.25 and quantized["agreement"] > 0.5
    assert "loss on dev" in printed and "exact match" not in printed
    page = (workspace.stage("report") / "index.html").read_text(encoding="utf-8")
    assert "training did not see" in page and "nats per byte" in page


def test_nothing_runs_again_until_a_file_changes(ran: tuple[Workspace, str], recipe: Recipe) -> None:
    build = recipe.path.parent / "build"
    assert "nothing changed" in run(recipe, build)[1]
    further = recipe.path.parent / "logs" / "zero.txt"
    further.write_text("[INFO] One more Pump\n", encoding="utf-8")
    printed = run(recipe, build, until="data")[1]
    further.unlink()
    assert "▸ data" in printed
    run(recipe, build)


def test_the_board_encodes_as_the_host_does(ran: tuple[Workspace, str]) -> None:
    workspace, _ = ran
    tokenizer = load_tokenizer(workspace.stage("data") / "tokenizer.json")
    board = load_board("mps2_an386")
    elf = workspace.stage("firmware", "mps2_an386-aot") / "firmware.elf"
    with Device(pick(board, "qemu").start(elf, board)) as device:
        for text in (*PROMPTS[1:], "[WARN]  Pump\r\n\r\n\t\tAT ÄÖÜ  \n", "\n", "   "):
            assert device.encode(text.encode()) == tokenizer.encode(text)


def test_generate_goes_on_with_a_prompt(
    ran: tuple[Workspace, str], recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    build = ["--build", str(recipe.path.parent / "build"), "--emulator", "qemu", "--tokens", "5"]
    assert main(["generate", str(recipe.path), "--prompt", "[WARN] Pump 7\n\t", *build]) == 0
    assert "out" in capfd.readouterr().err


def test_shipped_weights_are_taken_with_their_tokenizer(ran: tuple[Workspace, str], recipe: Recipe) -> None:
    workspace, _ = ran
    folder = recipe.path.parent
    path = folder / "shipped.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "shipped": "weights.npz"}, allow_unicode=True), encoding="utf-8")
    assert main(["ship", str(path), "--build", str(workspace.folder.parent)]) == 0
    _, printed = run(load_recipe(path), folder / "another", until="quantize")
    assert "took the shipped weights" in printed
    tokenizers = [stage / "tokenizer.json" for stage in (folder / "another" / "log" / "data", workspace.stage("data"))]
    assert tokenizers[0].read_bytes() == tokenizers[1].read_bytes()


def test_check_says_what_there_is(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(recipe.path)]) == 0
    printed = capsys.readouterr().out
    assert "120 documents" in printed and "few to learn from" in printed
    assert main(["check", str(recipe.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["read"] == 120
