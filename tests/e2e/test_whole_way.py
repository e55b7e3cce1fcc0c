"""From sentences to a verified board, once, and everything that a user finds afterwards; on Renode and with int16 too.

One file: its tests stay in one process, which makes the run once.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import tools
from pipeline.commands.main import main
from pipeline.device.protocol import Device
from pipeline.emulators.select import pick
from pipeline.errors import PartialFailure, ThimbleError
from pipeline.firmware.build import build_project
from pipeline.firmware.image import read_sizes
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import Budgets, EvaluateConfig
from pipeline.report.summary import print_summary
from pipeline.resources import ROOT
from pipeline.stages.emulate import model_time
from pipeline.stages.fine_tune import read_training_data
from pipeline.stages.playground import make_playground
from pipeline.stages.registry import all_stages
from pipeline.targets.boards import load_board
from pipeline.targets.memories import Flash
from pipeline.tasks.text_path import load_codec
from pipeline.timing.costs import load_core
from pipeline.timing.estimate import assumptions_of
from pipeline.timing.folded import read_folded
from pipeline.training import stream
from pipeline.verification.budgets import over_budget
from pipeline.verification.checks import Verification
from pipeline.verification.result import RunResult
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.stage import StageContext
from pipeline.workflow.workspace import Workspace
from tests.e2e.conftest import TINY, WholeRun, run, tiny_recipe
from tests.support.playground_engine import drive, module_of, skip_without_clang, skip_without_node
from tests.support.shared_stages import shared_stages

pytestmark = pytest.mark.slow

MIRROR = Path(__file__).resolve().parent.parent / "renode"

RENODE = """#!/bin/sh
exec {python} {mirror}/renode_mirror.py "$@"
"""
# Robot wants the files last.
RENODE_TEST = """#!{python}
import os, sys
files = [word for word in sys.argv[1:] if word.endswith(".robot")]
options = [word for word in sys.argv[1:] if word not in files]
os.environ["PYTHONPATH"] = "{root}"
keywords = ["--variable", "RENODEKEYWORDS:{mirror}/qemu_mirror.resource"]
os.execv(sys.executable, [sys.executable, "-m", "robot", *keywords, *options, *files])
"""


def result_of(whole_run: WholeRun) -> dict:  # type: ignore[type-arg]
    path = whole_run.workspace.folder / whole_run.target_key / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_the_result_says_all_that_the_contract_lists(whole_run: WholeRun) -> None:
    result = result_of(whole_run)
    assert result["ok"] is True and all(result["checks"].values())
    assert {"tokens_match", "logits_crc_match", "counts_plausible", "counts_repeat", "budgets_met"} <= set(
        result["checks"]
    )
    assert (result["recipe"], result["board"], result["engine"]) == ("tiny", "mps2_an386", "aot")
    assert result["emulator"]["name"] == "qemu" and re.match(r"\d+\.\d+", result["emulator"]["version"])
    for prompt in result["prompts"]:
        assert prompt["tokens_out"] == prompt["expected_tokens"] and prompt["text_out"] == prompt["expected_text"]
    assert [prompt["text"] for prompt in result["prompts"]] == list(whole_run.recipe.prompts)
    assert {"prefill_per_token", "decode_mean", "decode_max"} <= set(result["instructions"])
    assert {"model", "assumptions", "decode_mean"} <= set(result["cycles"])
    flash, ram = result["flash_bytes"], result["ram_bytes"]
    assert flash["total"] == flash["code"] + flash["weights"] + flash["tables"]
    assert ram["kv_cache"] == whole_run.recipe.model.kv_cache_bytes and 0 < ram["stack_peak"] < ram["stack"]
    assert ram["kv_cache"] + ram["activations"] <= 1.1 * (ram["kv_cache"] + ram["largest_live_set"])
    assert flash["code"] <= 38 * 1024, "most of it is the text path: folding, quantities, names in their cases, answers"
    assert set(result["quality"]) == {"float", "quantized", "device", "hassil"}
    assert {"tensorflow", "tflite-micro", "arm-none-eabi-gcc", "qemu"} <= set(result["versions"])
    assert {"data", "train", "prune", "quantize", "convert", "firmware"} <= set(result["seconds"])


def test_counts_by_layer_add_up_to_a_step(whole_run: WholeRun) -> None:
    result = result_of(whole_run)
    total = sum(layer["instructions"] for layer in result["layers"])
    assert total == pytest.approx(result["instructions"]["decode_mean"], rel=0.15)
    assert all(layer["cycles"] > layer["instructions"] for layer in result["layers"])
    assert sum(layer["macs"] for layer in result["layers"]) == result["macs"]
    assert {"attention", "fully_connected", "norm"} <= {layer["kind"] for layer in result["layers"]}


def test_pruning_shows_in_the_tflite(whole_run: WholeRun) -> None:
    facts = json.loads((whole_run.workspace.stage("quantize") / "tflite.json").read_text())
    assert 0.49 < facts["sparsity"] < 0.6


def test_the_report_opens_without_a_network(whole_run: WholeRun) -> None:
    page = (whole_run.workspace.stage("report") / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"']https?:", page) and "@import" not in page
    assert "<script" not in page and "say &lt;script&gt;" in page and "&lt;b&gt;everything" in page
    assert "verified" in page and "The recipe names no tests." in page
    for name in ("flame-mps2_an386", "training"):
        picture = (whole_run.workspace.stage("report") / f"{name}.svg").read_text(encoding="utf-8")
        assert len(picture) > 1000 and picture in page


def test_the_summary_shows_answers_cost_and_places(whole_run: WholeRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(whole_run.recipe, whole_run.workspace, Console(width=200))
    printed = capsys.readouterr().out
    for word in (
        "turn off the kitchen lights",
        "a token",
        "KB of 4,096 KB",
        "KV cache",
        "hassil",
        "index.html",
        "project",
    ):
        assert word in printed


def test_a_second_run_does_no_work_again(whole_run: WholeRun) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in whole_run.workspace.folder.rglob("stage.json")}
    printed = whole_run.again()
    assert "nothing changed" in printed and "▸" not in printed
    assert stamps == {path: path.stat().st_mtime_ns for path in whole_run.workspace.folder.rglob("stage.json")}


def test_processes_draw_the_sentences_that_one_draws(whole_run: WholeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs() -> list[list[list[int]]]:
        drawn = read_training_data(whole_run.workspace.stage("data"), whole_run.recipe).stream
        assert isinstance(drawn, stream.DrawnStream)
        try:
            return [[list(map(int, tokens)) for tokens in drawn.epoch(number)] for number in (0, 1, 3)]
        finally:
            drawn.close()

    here = epochs()
    monkeypatch.setattr(stream, "_FEW", 0)
    assert epochs() == here and all(len(sequences) == 1284 for sequences in here)


def test_a_damaged_tflite_is_noticed_and_made_again(whole_run: WholeRun) -> None:
    model = whole_run.workspace.stage("quantize") / "model.tflite"
    good = model.read_bytes()
    model.write_bytes(good[:1000])
    printed = whole_run.again(until="quantize")
    assert "made again" in printed and model.read_bytes() == good


def test_damaged_weights_are_noticed_and_made_again(whole_run: WholeRun) -> None:
    weights = whole_run.workspace.stage("prune") / "weights.npz"
    good = weights.read_bytes()
    weights.write_bytes(good[:500])
    assert "made again" in whole_run.again(until="prune")
    assert len(weights.read_bytes()) > 1000


def test_budgets_fail_the_run_with_the_figures(whole_run: WholeRun, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    limits = {"flash": "1K", "ram": "1K", "ms_per_token": 0.001, "ms_to_first_token": 0.001}
    greedy = tiny_recipe(tmp_path, budgets={"min_exact_match": 0, "boards": {"mps2_an386": limits}})
    for _ in range(2):  # the second finds everything done, and fails all the same
        with pytest.raises(
            PartialFailure, match=r"flash: [\d,]+ bytes are used, the budget is 1,024 \(and 3 more\)"
        ) as error:
            run(greedy, build)
        assert error.value.finished == ("mps2_an386",)
    result = json.loads((build / "tiny" / whole_run.target_key / "result.json").read_text())
    assert result["ok"] is False and result["checks"]["budgets_met"] is False
    assert [line.split(":")[0] for line in result["failures"]] == ["flash", "RAM", "time", "time"]
    assert all(passed for check, passed in result["checks"].items() if check != "budgets_met")
    page = (build / "tiny" / "report" / "index.html").read_text(encoding="utf-8")
    assert "over budget" in page and "the budget is 1,024" in page, "what was proven is shown"
    print_summary(greedy, Workspace(build, "tiny"), Console(width=200))


def test_a_budget_of_accuracy_fails_the_run(whole_run: WholeRun, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    with pytest.raises(PartialFailure, match="accuracy: "):
        run(tiny_recipe(tmp_path, budgets={"min_exact_match": {"noisy": 100}}), build)
    result = json.loads((build / "tiny" / whole_run.target_key / "result.json").read_text())
    assert result["ok"] is False and result["checks"]["accuracy"] is False and result["checks"]["budgets_met"]


def test_each_budget_is_checked_alone() -> None:
    assert over_budget(Budgets(), 10**9, 10**9, 10**9, 10**9) == []
    exact = Budgets(flash=100, ram=100, ms_per_token=1.0, ms_to_first_token=2.0)
    assert over_budget(exact, 100, 100, 1.0, 2.0) == []
    assert "101" in over_budget(Budgets(flash=100), 101, 0, 0.0, 0.0)[0]
    assert "102" in over_budget(Budgets(ram=100), 0, 102, 0.0, 0.0)[0]
    assert "1.50 ms" in over_budget(Budgets(ms_per_token=1.0), 0, 0, 1.5, 0.0)[0]
    assert "2.50 ms" in over_budget(Budgets(ms_to_first_token=1.0), 0, 0, 0.5, 2.5)[0]


def test_the_high_estimate_of_the_worst_step_decides(whole_run: WholeRun, tmp_path: Path) -> None:
    """A budget between the high estimates of the mean and of the worst step fails."""
    result = result_of(whole_run)
    mean, worst = result["milliseconds"]["decode_mean"], result["milliseconds"]["decode_max"]
    assert 1.01 * mean["high"] < worst["high"] and worst["low"] <= worst["likely"] < worst["high"]
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    limit = (mean["high"] + worst["high"]) / 2
    between = tiny_recipe(tmp_path, budgets={"min_exact_match": 0, "ms_per_token": limit})
    with pytest.raises(ThimbleError, match="by the high estimate"):
        run(between, build)
    run(tiny_recipe(tmp_path, budgets={"min_exact_match": 0, "ms_per_token": 1.01 * worst["high"]}), build)


def test_a_quick_result_says_so_and_satisfies_no_full_run(whole_run: WholeRun, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    sections = {"evaluate": {"host_sentences": 4, "device_sentences": 1}}  # as few as a quick run takes anyway
    recipe = tiny_recipe(tmp_path, **sections)
    _, printed = run(recipe.as_quick(), build)
    assert "▸ evaluate" in printed and "▸ quantize" not in printed
    path = build / "tiny" / whole_run.target_key / "result.json"
    result = json.loads(path.read_text())
    assert result["quick"] is True and result["ok"] is True
    assert result["quality_sentences"] == {"host": 4, "device": 1}
    assert "nothing changed" in run(recipe.as_quick(), build)[1]
    _, printed = run(recipe, build)
    assert "▸ evaluate" in printed and "▸ emulate (mps2_an386-aot)" in printed and "▸ convert" not in printed
    assert json.loads(path.read_text())["quick"] is False


def test_time_is_modelled_from_a_trace_that_adds_up(whole_run: WholeRun) -> None:
    result = result_of(whole_run)
    assert result["checks"]["trace_matches_counter"] is True
    assert result["cycles"]["traced"]["board"] == "mps2_an386"
    for key in ("prefill_per_token", "prompt_max", "decode_mean", "decode_max"):
        low, likely, high = (result["cycles"][key][level] for level in ("low", "likely", "high"))
        assert result["instructions"][key] < low <= likely <= high < 2.5 * result["instructions"][key]
        assert result["milliseconds"][key]["likely"] == pytest.approx(likely / 25_000, abs=0.001)
    folder = whole_run.workspace.stage("emulate", whole_run.target_key)
    instructions = read_folded(folder / "instructions.folded")
    assert {stack[0] for stack in instructions} == {"prefill", "decode"}
    assert {layer["function"] for layer in result["layers"]} <= {name for stack in instructions for name in stack}
    cycles = read_folded(folder / "cycles.folded")
    rate = sum(cycles.values()) / sum(instructions.values())
    assert result["cycles"]["per_instruction"]["low"] * 0.8 < rate < result["cycles"]["per_instruction"]["high"] * 1.2


def test_a_board_that_qemu_lacks_is_traced_on_one_with_the_same_core(whole_run: WholeRun, tmp_path: Path) -> None:
    """The same sources, this board's flash: five wait states behind a small cache cost cycles, not instructions."""
    board = load_board("mps2_an386")
    flash = Flash(wait_states=5, line_bytes=16, instruction_lines=64, data_lines=8, prefetch=True)
    other_board = board.replace(
        name="made_up",
        emulators={"renode": board.emulators["renode"]},
        timing=board.timing.replace(flash=flash),
    )
    context = StageContext(whole_run.recipe, whole_run.workspace, tmp_path, Console(quiet=True), other_board)
    compiled = json.loads((whole_run.workspace.stage("convert") / board.packing / "compiled.json").read_text())
    result = result_of(whole_run)
    run_result = RunResult.from_data(result, "result.json")
    assert run_result.instructions is not None
    verification = Verification({}, (), run_result.prompts, run_result.instructions, 0)
    timing = model_time(context, compiled, verification)
    assert timing.traced_on == "mps2_an386" and timing.differences == ()
    assert [layer["instructions"] for layer in timing.layers] == [layer["instructions"] for layer in result["layers"]]
    without = result["cycles"]["per_instruction"]
    assert timing.rates.decode.low == pytest.approx(without["low"], abs=0.01)
    assert without["likely"] * 1.05 < timing.rates.decode.likely < timing.rates.decode.high
    assert any(
        "traced on mps2_an386" in line
        for line in assumptions_of(other_board, load_core(other_board.core), timing.traced_on)
    )


def test_the_project_builds_where_it_is_copied(whole_run: WholeRun, tmp_path: Path) -> None:
    firmware = whole_run.workspace.stage("firmware", whole_run.target_key)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(firmware / "project", elsewhere)
    for path in elsewhere.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(ROOT) not in text and str(whole_run.workspace.folder) not in text, path
    built = build_project(elsewhere, tmp_path / "objects")
    sizes = json.loads((firmware / "sizes.json").read_text())
    assert built.weights_crc == sizes["weights_crc"] and built.sizes.flash == sizes["flash"]


def test_the_shipped_small_model_answers_on_the_board(tmp_path: Path) -> None:
    recipe = load_recipe(ROOT / "models" / "home-en-small" / "recipe.yaml")
    recipe = recipe.replace(evaluate=EvaluateConfig(host_sentences=20, device_sentences=1))
    workspace, _ = run(recipe, tmp_path / "build", until="firmware", shared=shared_stages(tmp_path / "shared"))
    elf = workspace.stage("firmware", "mps2_an386-aot") / "firmware.elf"
    assert read_sizes(elf).code <= 38 * 1024, "engine, runtime, protocol, startup, and the text path"
    board = load_board("mps2_an386")
    with Device(pick(board, "qemu").start(elf, board)) as device:
        answer = device.ask("Turn off the kitchen lights", 40)
        assert answer.text == "HassTurnOff area=Kitchen domain=light" and answer.end == "eos"
        macs = json.loads((workspace.stage("convert") / "pairs" / "compiled.json").read_text())["macs"]
        worst = max(step.ticks for step in answer.steps) * 40
        assert worst <= 3 * macs, "at most three instructions a multiply-accumulate over a whole step"
        assert device.ask("turn on the moon lamp", 40).text == "HassTurnOn name=Moon Lamp"


def test_stages_write_what_they_declare(whole_run: WholeRun) -> None:
    """Readers' fingerprints hold the declared files only, so a file that is not declared would be missed."""
    for stage in all_stages():
        key = whole_run.target_key if stage.per_board else ""
        stamp = whole_run.workspace.stamp(stage.name, key)
        assert stamp is not None and stamp.files
        outputs = [artifact.of(stage.name) for artifact in stage.writes]
        undeclared = [name for name in stamp.files if not any(output.matches(name) for output in outputs)]
        assert undeclared == [], f"{stage.name} writes what it does not declare"


@pytest.mark.variants(keep=0)
def test_a_recipe_with_int16_activations(whole_run: WholeRun, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    recipe = tiny_recipe(tmp_path, quantize={**TINY["quantize"], "activations": "int16"})
    workspace, printed = run(recipe, build)
    assert "steps equal TensorFlow Lite Micro's to the byte" in " ".join(printed.split())
    result = json.loads((workspace.folder / whole_run.target_key / "result.json").read_text(encoding="utf-8"))
    assert result["ok"] is True and result["checks"]["logits_crc_match"] and result["checks"]["tokens_match"]
    assert result["ram_bytes"]["kv_cache"] == 2 * recipe.model.kv_cache_bytes
    first = json.loads((whole_run.workspace.folder / whole_run.target_key / "result.json").read_text(encoding="utf-8"))
    assert result["macs"] == first["macs"]
    assert result["flash_bytes"]["weights"] < 1.4 * first["flash_bytes"]["weights"]


@pytest.fixture
def in_place_of_renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.require("qemu-system-arm")
    for name, text in (("renode", RENODE), ("renode-test", RENODE_TEST)):
        program = tmp_path / name
        program.write_text(text.format(python=sys.executable, mirror=MIRROR, root=ROOT))
        program.chmod(0o755)
    monkeypatch.setenv("RENODE", str(tmp_path))


def test_both_emulators_agree_and_the_suites_pass(
    whole_run: WholeRun, in_place_of_renode: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    assert main(["renode", "suites", str(whole_run.recipe.path), "--build", str(build)]) == 0, capfd.readouterr()
    printed = capfd.readouterr().out
    assert "counts within 0.1 %" in printed
    assert "6 tests, 6 passed, 0 failed" in printed
    folder = build / whole_run.recipe.name
    assert (folder / "renode" / whole_run.target_key / "log.html").is_file()
    result = json.loads((folder / whole_run.target_key / "result.json").read_text())
    assert result["ok"]
    assert result["emulator"] == {"name": "renode", "version": "0.0.0"}


@pytest.fixture(scope="module")
def playground(whole_run: WholeRun) -> Path:
    skip_without_clang()
    build = whole_run.workspace.folder.parent
    return make_playground(whole_run.recipe, RunOptions(build, emulator="qemu"), Console(quiet=True))


def test_the_playground_is_one_file_and_the_report_links_to_it(whole_run: WholeRun, playground: Path) -> None:
    text = playground.read_text(encoding="utf-8")
    assert len(text.encode()) < 2_000_000 and not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
    assert "<b>everything</b>" not in text and "&lt;b&gt;everything" in text
    report = whole_run.workspace.stage("report") / "index.html"
    links = re.findall(r'href="([^"#?]+)[^"]*"', report.read_text(encoding="utf-8").replace('href="data:,"', ""))
    assert len(links) > len(whole_run.recipe.prompts)
    assert {(report.parent / link).resolve() for link in links} == {playground.resolve()}
    printed = whole_run.again(until="report")
    assert "nothing changed" in printed


def test_the_playgrounds_logits_and_answers_are_the_boards(
    whole_run: WholeRun, playground: Path, tmp_path: Path
) -> None:
    skip_without_node()
    module = tmp_path / "page.wasm"
    module.write_bytes(module_of(playground))
    codec = load_codec(whole_run.workspace.stage("data"), whole_run.recipe.answers.threshold)
    folder = whole_run.workspace.stage("emulate", whole_run.target_key)
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["prompts"]
    tokens = [[step["token"] for step in prompt["steps"]] for prompt in expected]
    steps = drive(module, codec, [{"do": "steps", "tokens": fed} for fed in tokens])
    assert sum(map(len, steps)) == sum(map(len, tokens)) > 30
    for prompt, taken in zip(expected, steps, strict=True):
        assert [step["crc"] for step in taken] == [step["crc"] for step in prompt["steps"]]
    prompts = result_of(whole_run)["prompts"]
    answers = drive(module, codec, [{"do": "ask", "sentence": prompt["text"]} for prompt in prompts])
    for prompt, events in zip(prompts, answers, strict=True):
        assert events[0]["tokens"] == prompt["tokens_in"]
        assert [event["token"] for event in events if event["phase"] == "answer"] == prompt["tokens_out"]
        assert events[-1]["reply"]["text"] == prompt["text_out"]
