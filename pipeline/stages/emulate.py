"""emulate: the firmware on the emulated board, its tokens, logits and counts verified, its accuracy measured."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from rich.markup import escape

from pipeline import tools
from pipeline.device.chat import ask_many
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.errors import ThimbleError
from pipeline.files import read_json
from pipeline.firmware.project import build_project
from pipeline.stages.firmware import write_sources
from pipeline.targets.boards import Board
from pipeline.tasks.registry import load_task
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.timing.model import TimingModel, board_to_trace, trace_prompts, untraced
from pipeline.verification.assemble import assemble_result
from pipeline.verification.checks import Verification, min_per_mac, reference_runs, verify, write_expectations
from pipeline.verification.likelihood import read_text
from pipeline.verification.result import CycleCounts, EmulatorVersion, StepEstimates
from pipeline.workflow.shipped import TRAINING_STAGES
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "model_time"]

_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "tflite-micro", "numpy", "tokenizers", "hassil")
_REMEDY = "run the stage that makes it with --force"


def run(context: StageContext) -> str:
    """Writes `result.json`, here and as `build/<recipe>/<board>-<engine>/result.json`, and `expected.json`, with which
    Renode's suite compares.

    Raises:
        ThimbleError: a check failed; the result is written all the same, with `ok` false.
    """
    board, recipe = context.require_board(), context.recipe
    emulator = pick(board, context.emulator)
    firmware = context.input("firmware")
    sizes = read_json(firmware / "sizes.json", _REMEDY)
    compiled = read_json(firmware / "compiled.json", _REMEDY)
    tokenizer = load_tokenizer(context.input("data") / "tokenizer.json")
    per_tick = float(board.emulators[emulator.name]["instructions_per_tick"])

    with context.console.status("asking the oracle for the expected tokens"):
        texts = None if recipe.text is None else read_text(context.input("data") / "text.npz").tokens
        expectations = reference_runs(recipe, context.input("quantize") / "model.tflite", tokenizer, texts)
    write_expectations(context.out / "expected.json", expectations)
    with (
        context.console.status(f"verifying {len(expectations)} prompts on {board.name}"),
        Device(emulator.start(firmware / "firmware.elf", board)) as device,
    ):
        verification = verify(
            device,
            expectations,
            macs_per_step=int(compiled["macs"]),
            kv_cache_bytes=int(compiled["kv_cache_bytes"]),
            instructions_per_tick=per_tick,
            weights_crc=int(sizes["weights_crc"]),
            build_id=str(sizes["build_id"]),
            min_per_mac=min_per_mac(board.core),
        )
    timing = model_time(context, compiled, verification)
    instructions = verification.instructions
    counts = instructions.model_dump()
    result = assemble_result(
        recipe,
        board,
        EmulatorVersion(name=emulator.name, version=emulator.version),
        verification,
        sizes=sizes,
        compiled=compiled,
        clock_hz=board.clock_hz,
        instructions=instructions,
        cycles=CycleCounts.model_validate(timing.cycles(board, counts)),
        milliseconds=StepEstimates.model_validate(timing.milliseconds(board, counts)),
        more_checks={} if timing.traced_on is None else {"trace_matches_counter": not timing.differences},
        more_failures=timing.differences,
        layers=timing.layers,
        quality=_quality(context, emulator),
        quality_sentences={}
        if recipe.text
        else {"host": recipe.evaluate.host_sentences, "device": recipe.evaluate.device_sentences},
        versions=_versions(emulator),
        seconds=_seconds(context),
    )
    result.save(context.out / "result.json")
    folder = context.workspace.folder / context.target_key
    folder.mkdir(exist_ok=True)
    result.save(folder / "result.json")
    if not result.ok:
        raise ThimbleError(f"{board.name}: {result.failure()}", f"see {folder / 'result.json'}")
    return (
        f"{len(expectations)} prompts equal TensorFlow Lite Micro's at every step; "
        f"{instructions.decode_mean:,.0f} instructions a token, "
        f"likely {result.milliseconds.decode_mean.likely:.1f} ms"
    )


def model_time(context: StageContext, compiled: Mapping[str, Any], verification: Verification) -> TimingModel:
    """Traces the longest prompt and the one with the last, slowest position; writes their stacks as `*.folded`."""
    board = context.require_board()
    answered = [prompt for prompt in verification.prompts if prompt.ticks]
    tracing = board_to_trace(board) if tools.find("qemu-system-arm") else None
    if not answered or tracing is None:
        return untraced(board)
    longest = max(answered, key=lambda prompt: len(prompt.tokens_in))
    # A step costs the more the more rows its cache has. Ticks vary by one from run to run, and would not choose alike.
    furthest = max(answered, key=lambda prompt: len(prompt.ticks))
    prompts = list(dict.fromkeys((longest.text, furthest.text)))
    elf = context.input("firmware") / "firmware.elf" if tracing is board else _build_to_trace(context, tracing)
    with context.console.status("") as status:

        def progress(text: str, done: int) -> None:
            status.update(escape(f"tracing {text!r} on {tracing.name}: {done} steps"))

        return trace_prompts(elf, tracing, board, prompts, compiled, context.out, progress)


def _build_to_trace(context: StageContext, tracing: Board) -> Path:
    """The image of the same sources for another board."""
    folder = context.out / "_trace"
    generated = context.input("firmware") / "model"
    with context.console.status(f"building the same sources for {tracing.name}, to trace them"):
        write_sources(context, tracing, folder / "project", generated if generated.is_dir() else None)
        return build_project(folder / "project", folder / "build").elf


def _quality(context: StageContext, emulator: Emulator) -> dict[str, dict[str, float]]:
    """Exact match by engine and split; the device is asked the first sentences of each split. Of an imported model the
    likelihood of text; the device's logits are the quantized model's, as the prompts showed."""
    recipe, data, board = context.recipe, context.input("data"), context.require_board()
    float_quality = read_json(context.input("quantize") / "quality.json", _REMEDY)["float"]
    quantized = read_json(context.input("convert") / "quality.json", _REMEDY)["quantized"]
    if recipe.text is not None:
        return {"float": float_quality, "quantized": quantized}
    elf = context.input("firmware") / "firmware.elf"
    device_quality: dict[str, float] = {}
    sets = {split: read_pairs(data / f"{split}.tsv", recipe.evaluate.device_sentences) for split in HELD_OUT}
    total = sum(map(len, sets.values()))
    with (
        context.console.status(f"asking the board {total} held-out sentences") as status,
        Device(emulator.start(elf, board)) as device,
    ):
        for split, pairs in sets.items():
            if pairs:
                status.update(f"asking the board {total} held-out sentences: {split.replace('_', ' ')}")
                answers = ask_many(device, [pair.sentence for pair in pairs], recipe.model.context)
                device_quality[split] = _share(answers, pairs)
    quality = {"float": float_quality, "quantized": quantized, "device": device_quality}
    noisy = read_pairs(data / "noisy.tsv", recipe.evaluate.host_sentences)
    with context.console.status("asking hassil the noisy sentences"):
        baseline = load_task(recipe.task).baseline(noisy)
    if baseline:
        quality["hassil"] = {"noisy": sum(baseline) / len(baseline)}
    return quality


def _share(answers: list[str], pairs: list[Pair]) -> float:
    return sum(answer == pair.action for answer, pair in zip(answers, pairs, strict=True)) / len(pairs)


def _versions(emulator: Emulator) -> dict[str, str]:
    return {
        "arm-none-eabi-gcc": tools.version("arm-none-eabi-gcc"),
        emulator.name: emulator.version,
        **{name: packages.version(name) for name in _PACKAGES},
    }


def _seconds(context: StageContext) -> dict[str, float]:
    seconds = {}
    for stage in ("data", *TRAINING_STAGES, "quantize", "convert", "firmware"):
        stamp = context.workspace.stamp(stage, context.target_key if stage == "firmware" else "")
        if stamp is not None:
            seconds[stage] = stamp.seconds
    return seconds


def _environment_facts(context: StageContext) -> dict[str, str]:
    emulator = pick(context.require_board(), context.emulator)
    return {"emulator": emulator.name, "version": emulator.version}


def _check_emulator(context: StageContext) -> None:
    """An emulator that was asked for must be there. Where none was asked for, the firmware is of use as it is."""
    if context.emulator is not None:
        pick(context.require_board(), context.emulator)


STAGE = Stage(
    name="emulate",
    summary="runs the firmware on the emulated board",
    needs=("data", "quantize", "convert", "firmware"),
    sections=("prompts", "budgets", "evaluate", "task"),
    sources=(
        "pipeline/verification/*.py",
        "pipeline/device/*.py",
        "pipeline/stages/emulate.py",
        "pipeline/emulators/**/*.py",
        "pipeline/timing/*",
    ),
    run=run,
    per_board=True,
    environment_facts=_environment_facts,
    check_prerequisites=_check_emulator,
)
