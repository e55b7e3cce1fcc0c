"""emulate: the firmware on the emulated board, its tokens, logits and counts verified, its accuracy measured."""

from __future__ import annotations

import json
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from models.tasks import Pair, load_task
from models.tokenizer import Tokenizer
from pipeline import toolchain
from pipeline.boards import Board
from pipeline.chat import ask_many
from pipeline.emulators import Emulator, pick
from pipeline.errors import ThimbleError
from pipeline.oracle import Oracle
from pipeline.protocol import Device
from pipeline.recipe import Budgets
from pipeline.sentences import HELD_OUT, read_pairs
from pipeline.stages import Stage, StageContext
from pipeline.verify import Verification, expect, verify, write_expectations
from pipeline.workspace import write_json

__all__ = ["STAGE"]

_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "tflite-micro", "numpy", "tokenizers", "hassil")


def run(context: StageContext) -> str:
    """Writes `result.json`, here and as `build/<recipe>/<board>-<engine>/result.json`, and `expected.json`, with which
    Renode's suite compares.

    Raises:
        ThimbleError: a check failed; the result is written all the same, with `ok` false.
    """
    board, recipe = context.the_board(), context.recipe
    emulator = pick(board, context.emulator)
    firmware = context.input("firmware")
    sizes = _read(firmware / "sizes.json")
    compiled = _read(context.input("convert") / board.packing / "compiled.json")
    tokenizer = Tokenizer.load(context.input("data") / "tokenizer.json")
    per_tick = float(board.emulators[emulator.name]["instructions_per_tick"])

    oracle = Oracle((context.input("quantize") / "model.tflite").read_bytes())
    prompts = recipe.prompts or tuple(pair.sentence for pair in load_task(recipe.task).examples)
    with context.console.status("asking the oracle for the expected tokens"):
        expectations = [
            expect(oracle, tokenizer, oracle.context, text, recipe.model.context, oracle.ring is not None)
            for text in prompts
        ]
    write_expectations(context.out / "expected.json", expectations)
    with (
        context.console.status(f"verifying {len(prompts)} prompts on {board.name}"),
        Device(emulator.start(firmware / "firmware.elf", board)) as device,
    ):
        verification = verify(
            device,
            expectations,
            macs_per_step=int(compiled["macs"]),
            instructions_per_tick=per_tick,
            weights_crc=int(sizes["weights_crc"]),
            build_id=str(sizes["build_id"]),
        )
    layers = _profile(context, emulator, compiled, prompts[0], per_tick)
    quality = _quality(context, emulator)
    result = _result(context, emulator, verification, sizes, compiled, layers, quality)
    write_json(context.out / "result.json", result)
    place = context.workspace.folder / context.variant
    place.mkdir(exist_ok=True)
    write_json(place / "result.json", result)
    if not result["ok"]:
        failures = [*verification.failures, *result["budgets"]["failures"]]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise ThimbleError(f"{board.name}: {failures[0]}{more}", f"see {place / 'result.json'}")
    instructions = result["instructions"]
    return (
        f"{len(prompts)} prompts equal TensorFlow Lite Micro's at every step; "
        f"{instructions['decode_mean']:,.0f} instructions ({result['milliseconds']['decode_mean']:.1f} ms) a token"
    )


def _profile(
    context: StageContext, emulator: Emulator, compiled: dict[str, Any], prompt: str, per_tick: float
) -> list[dict[str, Any]]:
    """Mean instructions of each layer in a step, over one prompt, from the profiling image."""
    board = context.the_board()
    with Device(emulator.start(context.input("firmware") / "profile.elf", board)) as device:
        device.profile()
        device.ask(prompt, int(compiled["context"]))
        steps, ticks = device.profile()
    return [
        {**layer, "instructions": round(count * per_tick / max(steps, 1), 1)}
        for layer, count in zip(compiled["layers"], ticks, strict=True)
    ]


def _quality(context: StageContext, emulator: Emulator) -> dict[str, dict[str, float]]:
    """Exact match by engine and split; the device is asked the first sentences of each split."""
    recipe, data, board = context.recipe, context.input("data"), context.the_board()
    float_quality = _read(context.input("quantize") / "quality.json")["float"]
    quantized = _read(context.input("convert") / "quality.json")["quantized"]
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


def _result(
    context: StageContext,
    emulator: Emulator,
    verification: Verification,
    sizes: dict[str, int],
    compiled: dict[str, Any],
    layers: list[dict[str, Any]],
    quality: dict[str, dict[str, float]],
) -> dict[str, Any]:
    board, recipe = context.the_board(), context.recipe
    instructions = verification.instructions
    times = {
        key: round(board.milliseconds(instructions[key]), 3)
        for key in ("prefill_per_token", "decode_mean", "decode_max")
    }
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
    failures = over_budget(recipe.budgets, flash_bytes["total"], ram_bytes["total"], times["decode_max"])
    checks = {**verification.checks, "budgets_met": not failures}
    return {
        "recipe": recipe.name,
        "board": board.name,
        "engine": recipe.engine,
        "emulator": {"name": emulator.name, "version": emulator.version},
        "ok": all(checks.values()),
        "checks": checks,
        "failures": [*verification.failures, *failures],
        "prompts": list(verification.prompts),
        "instructions": instructions,
        "cycles": _cycles(board, instructions),
        "milliseconds": times,
        "clock_hz": board.clock_hz,
        "macs": compiled["macs"],
        "layers": layers,
        "flash_bytes": flash_bytes,
        "ram_bytes": ram_bytes,
        "quality": quality,
        "quality_sentences": {"host": recipe.evaluate.host_sentences, "device": recipe.evaluate.device_sentences},
        "budgets": {**recipe.part("budgets")["budgets"], "failures": failures},
        "versions": _versions(emulator),
        "seconds": _seconds(context),
    }


def over_budget(budgets: Budgets, flash: int, ram: int, milliseconds: float) -> list[str]:
    """A line for each budget that is exceeded, with the figures; the worst step decides, not the mean."""
    lines = []
    if budgets.flash is not None and flash > budgets.flash:
        lines.append(f"flash: {flash:,} bytes are used, the budget is {budgets.flash:,}")
    if budgets.ram is not None and ram > budgets.ram:
        lines.append(f"RAM: {ram:,} bytes are used, the budget is {budgets.ram:,}")
    if budgets.ms_per_token is not None and milliseconds > budgets.ms_per_token:
        lines.append(f"time: the slowest token takes {milliseconds:.2f} ms, the budget is {budgets.ms_per_token:g} ms")
    return lines


def _cycles(board: Board, instructions: dict[str, float]) -> dict[str, Any]:
    keys = ("prefill_per_token", "decode_mean", "decode_max")
    return {
        **{key: round(instructions[key] * board.cycles_per_instruction) for key in keys},
        "model": f"{board.cycles_per_instruction:g} cycles an instruction",
        "assumptions": board.assumption,
    }


def _versions(emulator: Emulator) -> dict[str, str]:
    return {
        "arm-none-eabi-gcc": toolchain.version("arm-none-eabi-gcc"),
        emulator.name: emulator.version,
        **{name: packages.version(name) for name in _PACKAGES},
    }


def _seconds(context: StageContext) -> dict[str, float]:
    found = {}
    for stage in ("data", "train", "prune", "quantize", "convert", "firmware"):
        stamp = context.workspace.stamp(stage, context.variant if stage == "firmware" else "")
        if stamp is not None:
            found[stage] = stamp.seconds
    return found


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _volatile(context: StageContext) -> dict[str, str]:
    emulator = pick(context.the_board(), context.emulator)
    return {"emulator": emulator.name, "version": emulator.version}


STAGE = Stage(
    name="emulate",
    summary="runs the firmware on the emulated board",
    needs=("data", "quantize", "convert", "firmware"),
    sections=("prompts", "budgets", "evaluate", "task"),
    sources=("pipeline/verify.py", "pipeline/protocol.py", "pipeline/stages/emulate.py", "pipeline/emulators/*.py"),
    run=run,
    per_board=True,
    volatile=_volatile,
)
