"""emulate: the firmware on the emulated board, its tokens, logits and counts verified, its accuracy measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.status import Status

from pipeline import tools
from pipeline.device.chat import ask_many
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.errors import ThimbleError
from pipeline.firmware.project import build_project
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import EVALUATION_TEXT, FOLDED_STACKS, SENTENCES
from pipeline.stages.firmware import write_sources
from pipeline.targets.boards import Board, all_boards
from pipeline.tasks.registry import load_task
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.timing.costs import load_core
from pipeline.timing.estimate import Rates, assumptions_of, layers_of, merge_stacks, rates_of, times_of
from pipeline.timing.measure import measure, steps_differ
from pipeline.verification.budgets import over_budget
from pipeline.verification.checks import Verification, min_per_mac, reference_runs, verify, write_expectations
from pipeline.workflow.artifacts import (
    COMPILED,
    EXPECTATIONS,
    FIRMWARE,
    MODEL_SOURCES,
    PACKED_COMPILED,
    PACKED_SOURCES,
    QUALITY,
    RESULT,
    SIZES,
    TFLITE,
    TOKENIZER,
)
from pipeline.workflow.shipped import TRAINING_STAGES
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "Timing", "model_time"]

_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "tflite-micro", "numpy", "tokenizers", "hassil")


def run(context: StageContext) -> str:
    """Writes `result.json`, here and as `build/<recipe>/<board>-<engine>/result.json`, and `expected.json`, with which
    Renode's suite compares.

    Raises:
        ThimbleError: a check failed; the result is written all the same, with `ok` false.
    """
    board, recipe = context.require_board(), context.recipe
    emulator = pick(board, context.emulator)
    sizes, compiled = context.load(SIZES.of("firmware")), context.load(COMPILED.of("firmware"))
    tokenizer = load_tokenizer(context.path(TOKENIZER.of("data")))
    per_tick = float(board.emulators[emulator.name]["instructions_per_tick"])

    with context.console.status("asking the oracle for the expected tokens"):
        texts = None if recipe.text is None else context.load(EVALUATION_TEXT.of("data")).tokens
        expectations = reference_runs(recipe, context.path(TFLITE.of("quantize")), tokenizer, texts)
    write_expectations(context.target(EXPECTATIONS), expectations)
    with (
        context.console.status(f"verifying {len(expectations)} prompts on {board.name}"),
        Device(emulator.start(context.path(FIRMWARE.of("firmware")), board)) as device,
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
    quality = _quality(context, emulator)
    result = _result(context, emulator, verification, sizes, compiled, timing, quality)
    context.save(RESULT, result)
    folder = context.workspace.folder / context.target_key
    copy = RESULT.save(folder, result)
    if not result["ok"]:
        failures = result["failures"]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise ThimbleError(f"{board.name}: {failures[0]}{more}", f"see {copy}")
    instructions = result["instructions"]
    return (
        f"{len(expectations)} prompts equal TensorFlow Lite Micro's at every step; "
        f"{instructions['decode_mean']:,.0f} instructions a token, "
        f"likely {result['milliseconds']['decode_mean']['likely']:.1f} ms"
    )


@dataclass(frozen=True)
class Timing:
    """What the traced prompts say; `traced_on` is the board that they ran on, None where none could be traced."""

    rates: Rates
    layers: list[dict[str, Any]]
    traced_on: str | None
    prompts: tuple[str, ...]
    differences: tuple[str, ...]


def model_time(context: StageContext, compiled: dict[str, Any], verification: Verification) -> Timing:
    """Traces the longest prompt and the one with the last, slowest position; writes their stacks as `*.folded`."""
    board = context.require_board()
    core = load_core(board.core)
    traced_build = _where_to_trace(context)
    if traced_build is None:
        return Timing(Rates.of_core(core), [], None, (), ())
    elf, tracing = traced_build
    answered = [prompt for prompt in verification.prompts if prompt["ticks"]]
    if not answered:
        return Timing(Rates.of_core(core), [], None, (), ())
    longest = max(answered, key=lambda prompt: len(prompt["tokens_in"]))
    # A step costs the more the more rows its cache has. Ticks vary by one from run to run, and would not choose alike.
    furthest = max(answered, key=lambda prompt: len(prompt["ticks"]))
    traced = []
    for text in dict.fromkeys((longest["text"], furthest["text"])):
        what = f"tracing {text!r} on {tracing.name}"
        with context.console.status(escape(what)) as status:
            progress = partial(_tell_steps, status, what)
            traced.append(measure(elf, tracing, core, board.flash_timing, text, int(compiled["context"]), progress))
    weight_bytes = int(compiled["weight_bytes"])
    stacks = merge_stacks(traced)
    for name, column in (("instructions", 0), ("cycles", 1)):
        context.save(
            FOLDED_STACKS,
            {(kind, *stack): values[column] for kind, counts in stacks.items() for stack, values in counts.items()},
            count=name,
        )
    steps = sum(step.kind == "decode" for measured in traced for step in measured.steps)
    per_tick = float(tracing.emulators["qemu"]["instructions_per_tick"])
    return Timing(
        rates=rates_of(traced, board.flash_timing, weight_bytes, int(compiled.get("block", 1))),
        layers=layers_of(compiled["layers"], stacks["decode"], steps, board.flash_timing, weight_bytes),
        traced_on=tracing.name,
        prompts=tuple(measured.prompt for measured in traced),
        differences=tuple(line for measured in traced for line in steps_differ(measured, per_tick)),
    )


def _tell_steps(status: Status, what: str, done: int) -> None:
    status.update(escape(f"{what}: {done} steps"))


def _where_to_trace(context: StageContext) -> tuple[Path, Board] | None:
    """The image and the board to trace: this board's where QEMU has it, else one with the same core and flags, for
    which the same sources are built; None where there is neither, or no QEMU."""
    board = context.require_board()
    if tools.find("qemu-system-arm") is None:
        return None
    if "qemu" in board.emulators:
        return context.path(FIRMWARE.of("firmware")), board
    candidate = _alike(board)
    if candidate is None:
        return None
    folder = context.out / "_trace"
    generated = context.path(MODEL_SOURCES.of("firmware"))
    with context.console.status(f"building the same sources for {candidate.name}, to trace them"):
        write_sources(context, candidate, folder / "project", generated if generated.is_dir() else None)
        return build_project(folder / "project", folder / "build").elf, candidate


def _alike(board: Board) -> Board | None:
    """A board with the same core and flags that QEMU has."""
    for candidate in all_boards():
        if "qemu" in candidate.emulators and (candidate.core, candidate.flags) == (board.core, board.flags):
            return candidate
    return None


def _quality(context: StageContext, emulator: Emulator) -> dict[str, dict[str, float]]:
    """Exact match by engine and split; the device is asked the first sentences of each split. Of an imported model the
    likelihood of text; the device's logits are the quantized model's, as the prompts showed."""
    recipe, sentences, board = context.recipe, SENTENCES.of("data"), context.require_board()
    float_quality = context.load(QUALITY.of("quantize"))["float"]
    quantized = context.load(QUALITY.of("convert"))["quantized"]
    if recipe.text is not None:
        return {"float": float_quality, "quantized": quantized}
    elf = context.path(FIRMWARE.of("firmware"))
    device_quality: dict[str, float] = {}
    limit = recipe.evaluate.device_sentences
    sets = {split: read_pairs(context.path(sentences, split=split), limit) for split in HELD_OUT}
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
    noisy = read_pairs(context.path(sentences, split="noisy"), recipe.evaluate.host_sentences)
    with context.console.status("asking hassil the noisy sentences"):
        baseline = load_task(recipe.task).baseline(noisy)
    if baseline:
        quality["hassil"] = {"noisy": sum(baseline) / len(baseline)}
    return quality


def _share(answers: list[str], pairs: list[Pair]) -> float:
    return sum(answer == pair.action for answer, pair in zip(answers, pairs, strict=True)) / len(pairs)


def _result(
    context: StageContext,
    emulator: Emulator,
    verification: Verification,
    sizes: dict[str, int],
    compiled: dict[str, Any],
    timing: Timing,
    quality: dict[str, dict[str, float]],
) -> dict[str, Any]:
    board, recipe = context.require_board(), context.recipe
    instructions = verification.instructions
    cycles, times = times_of(instructions, timing.rates, board.clock_hz)
    flash = {"code": sizes["code"], "weights": sizes["weights"], "tables": sizes["tables"] + sizes["data"]}
    ram = {
        "kv_cache": compiled["kv_cache_bytes"],
        "activations": compiled["arena_bytes"],
        "application": sizes["static"],
        "stack": sizes["stack"],
    }
    flash_bytes = {**flash, "total": sum(flash.values()), "size": board.flash.size}
    ram_bytes = {
        **ram,
        "total": sum(ram.values()),
        "stack_peak": verification.stack_peak,
        "largest_live_set": compiled["largest_live_set"],
        "size": board.ram.size,
    }
    failures = over_budget(
        recipe.budgets,
        flash_bytes["total"],
        ram_bytes["total"],
        times["decode_max"]["high"],
        times["prompt_max"]["high"],
    )
    checks = {**verification.checks, "budgets_met": not failures}
    if timing.traced_on is not None:
        checks["trace_matches_counter"] = not timing.differences
    return {
        "recipe": recipe.name,
        "board": board.name,
        "engine": recipe.engine,
        "emulator": {"name": emulator.name, "version": emulator.version},
        "ok": all(checks.values()),
        "checks": checks,
        "failures": [*verification.failures, *timing.differences, *failures],
        "prompts": list(verification.prompts),
        "instructions": instructions,
        "cycles": {**cycles, **_model(board, timing)},
        "milliseconds": times,
        "clock_hz": board.clock_hz,
        "macs": compiled["macs"],
        "layers": timing.layers,
        "flash_bytes": flash_bytes,
        "ram_bytes": ram_bytes,
        "quality": quality,
        "quality_sentences": {}
        if recipe.text
        else {"host": recipe.evaluate.host_sentences, "device": recipe.evaluate.device_sentences},
        "budgets": {**recipe.part("budgets")["budgets"], "failures": failures},
        "versions": _versions(emulator),
        "seconds": _seconds(context),
    }


def _model(board: Board, timing: Timing) -> dict[str, Any]:
    """How cycles were modelled."""
    core = load_core(board.core)
    return {
        "per_instruction": timing.rates.decode.rounded(4),
        "model": f"{core.name}, {board.flash_timing.wait_states} wait states",
        "assumptions": assumptions_of(board, core, timing.traced_on),
        "sources": [core.source, board.timing_source],
        "traced": {"board": timing.traced_on, "prompts": list(timing.prompts)} if timing.traced_on else None,
    }


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
    """The emulator, and the board that the same sources are traced on."""
    board = context.require_board()
    emulator = pick(board, context.emulator)
    traced = None if "qemu" in board.emulators else _alike(board)
    facts = {"emulator": emulator.name, "version": emulator.version}
    return facts if traced is None else {**facts, "traced on": f"{traced.name} {traced.digest}"}


def _check_emulator(context: StageContext) -> None:
    """An emulator that was asked for must be there. Where none was asked for, the firmware is of use as it is."""
    if context.emulator is not None:
        pick(context.require_board(), context.emulator)


STAGE = Stage(
    name="emulate",
    summary=SUMMARIES["emulate"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data"),
        EVALUATION_TEXT.of("data"),
        TFLITE.of("quantize"),
        QUALITY.of("quantize"),
        PACKED_SOURCES.of("convert"),
        PACKED_COMPILED.of("convert"),
        QUALITY.of("convert"),
        FIRMWARE.of("firmware"),
        SIZES.of("firmware"),
        COMPILED.of("firmware"),
        MODEL_SOURCES.of("firmware"),
    ),
    writes=(RESULT, EXPECTATIONS, FOLDED_STACKS),
    sections=("name", "prompts", "budgets", "evaluate", "task"),
    work=(
        __name__,
        "pipeline.device.chat",
        "pipeline.device.protocol",
        "pipeline.emulators.select",
        "pipeline.firmware.project",
        "pipeline.stages.firmware",
        "pipeline.tasks.registry",
        "pipeline.tasks.sentence_files",
        "pipeline.text.tokenizers.load",
        "pipeline.timing.costs",
        "pipeline.timing.estimate",
        "pipeline.timing.folded",
        "pipeline.timing.measure",
        "pipeline.verification.budgets",
        "pipeline.verification.checks",
        "pipeline.verification.likelihood",
    ),
    data=("pipeline/timing/cores.yaml", "renode/*"),
    tools=(
        "arm-none-eabi-gcc",
        "qemu-system-arm",
        "tflite-micro",
        "ai-edge-litert",
        "numpy",
        "tokenizers",
        "hassil",
        "home-assistant-intents",
        "pyelftools",
    ),
    per_board=True,
    environment_facts=_environment_facts,
    check_prerequisites=_check_emulator,
)
