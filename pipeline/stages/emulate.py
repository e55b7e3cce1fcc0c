"""emulate: the firmware on the emulated board, its tokens, logits and counts verified, its accuracy measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.device.chat import ask_many
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.errors import VerificationFailed
from pipeline.firmware.build import build_project
from pipeline.recipes.load import Recipe
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, DOCUMENTS, EVALUATION_TEXT, FOLDED_STACKS, KNOWN_NAMES, SENTENCES
from pipeline.stages.firmware import write_sources
from pipeline.stages.on_board import emulator_for, time_prompts, tool_versions, verify_image
from pipeline.targets.boards import Board
from pipeline.tasks.registry import TASK_FILES, load_task, task_module, task_tools
from pipeline.tasks.text_path import known_texts, recipe_codec
from pipeline.timing.model import TimingModel, board_to_trace
from pipeline.verification.assemble import assemble_result
from pipeline.verification.board_reply import ask_device
from pipeline.verification.budgets import proof_holds
from pipeline.verification.checks import Verification, reference_full_context, reference_runs, write_expectations
from pipeline.verification.oracle import Oracle
from pipeline.verification.reply import Reply
from pipeline.verification.result import RESULT, CycleCounts, EmulatorVersion, StepEstimates
from pipeline.verification.sentence_tests import mismatches
from pipeline.verification.slow_texts import slow_texts
from pipeline.workflow.artifacts import (
    COMPILED,
    EXPECTATIONS,
    FIRMWARE,
    MODEL_SOURCES,
    PACKED_COMPILED,
    PACKED_SOURCES,
    QUALITY,
    SIZES,
    TEST_REPLIES,
    TESTS,
    TFLITE,
    TOKENIZER,
)
from pipeline.workflow.shipped import TRAINING_STAGES
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "model_time"]

_PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "tflite-micro", "numpy", "tokenizers", "hassil")


def run(context: StageContext) -> str:
    """Writes `result.json`, here and as `build/<recipe>/<board>-<engine>/result.json`, and `expected.json`, with which
    Renode's suite compares.

    Raises:
        ThimbleError: the proof failed; the result is written all the same, with `ok` false. Where only budgets are not
            kept the stage is done, and `_unmet` says so.
    """
    board, recipe = context.require_board(), context.recipe
    elf = context.path(FIRMWARE.of("firmware"))
    emulator, doubt = emulator_for(board, context.emulator, elf, context.console)
    sizes, compiled = context.load(SIZES.of("firmware")), context.load(COMPILED.of("firmware"))
    codec = recipe_codec(recipe, context.input("data"))

    with context.console.status("asking the oracle for the expected tokens"):
        text = load_task(recipe).text(context.input("data"), recipe.model.context, recipe.evaluate.host_sentences)
        texts = None if text is None else text.sequences
        expectations = reference_runs(recipe, context.path(TFLITE.of("quantize")), codec, texts)
        oracle = Oracle(context.path(TFLITE.of("quantize")).read_bytes())
        longest = reference_full_context(oracle, oracle.context, oracle.vocab)
    write_expectations(context.target(EXPECTATIONS), expectations)
    slowest = slow_texts(codec.tokenizer, known_texts(context.input("data")))
    verification = verify_image(emulator, board, elf, expectations, sizes, compiled, context.console, longest, slowest)
    timing = model_time(context, compiled, verification)
    quality = _quality(context, emulator)
    tests, unequal = _ask_tests(context, emulator)
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
        more_checks={
            **({} if timing.traced_on is None else {"trace_matches_counter": not timing.differences}),
            **({} if tests is None else {"tests_match_host": not unequal}),
        },
        more_failures=(*timing.differences, *unequal),
        layers=timing.layers,
        quality=quality,
        tests=tests,
        quality_sentences={"host": recipe.evaluate.host_sentences, "device": recipe.evaluate.device_sentences}
        if "device" in quality
        else {},
        versions=tool_versions(emulator, _PACKAGES),
        seconds=_seconds(context),
    )
    context.save(RESULT, result)
    copy = RESULT.save(context.workspace.folder / context.target_key, result)
    if not proof_holds(result.checks):
        because = f" ({doubt})" if doubt else ""
        raise VerificationFailed(f"{board.name}: {result.failure()}{because}", f"see {copy}")
    return (
        f"{len(expectations)} prompts equal TensorFlow Lite Micro's at every step; "
        f"{instructions.decode_mean:,.0f} instructions a token, "
        f"likely {result.milliseconds.decode_mean.likely:.1f} ms"
    )


def model_time(context: StageContext, compiled: Mapping[str, Any], verification: Verification) -> TimingModel:
    """Traces the longest prompt and the one with the last, slowest position; writes their stacks as `*.folded`."""
    board, elf = context.require_board(), context.path(FIRMWARE.of("firmware"))
    model = time_prompts(board, elf, compiled, verification, partial(_build_to_trace, context), context.console)
    for count, stacks in model.stacks.items():
        context.save(FOLDED_STACKS, stacks, count=count)
    return model


def _build_to_trace(context: StageContext, tracing: Board) -> Path:
    """The image of the same sources for another board."""
    folder = context.out / "_trace"
    generated = context.path(MODEL_SOURCES.of("firmware"))
    with context.console.status(f"building the same sources for {tracing.name}, to trace them"):
        write_sources(context, tracing, folder / "project", generated if generated.is_dir() else None)
        return build_project(folder / "project", folder / "build").elf


def _quality(context: StageContext, emulator: Emulator) -> dict[str, dict[str, float]]:
    """Exact match by engine and split; the device is asked the first sentences of each split. Of a model that writes
    text its likelihood; the device's logits are the quantized model's, as the prompts showed."""
    recipe, board, task = context.recipe, context.require_board(), load_task(context.recipe)
    quality: dict[str, dict[str, float]] = context.load(QUALITY.of("evaluate"))
    splits = task.held_out(context.input("data"), recipe.evaluate.device_sentences)
    is_structured = _is_structured(context)
    if not splits:
        return quality
    elf = context.path(FIRMWARE.of("firmware"))
    device_quality: dict[str, float] = {}
    total = sum(map(len, splits.values()))
    with (
        context.console.status(f"asking the board {total} held-out sentences") as status,
        Device(emulator.start(elf, board)) as device,
    ):
        for split, pairs in splits.items():
            status.update(f"asking the board {total} held-out sentences: {split.replace('_', ' ')}")
            sentences = [pair.sentence for pair in pairs]
            answers = ask_many(device, sentences, recipe.model.context, is_structured=is_structured)
            device_quality[split] = sum(task.score(pairs, answers)) / len(pairs)
    return {**quality, "device": device_quality}


def _ask_tests(context: StageContext, emulator: Emulator) -> tuple[dict[str, Any] | None, list[str]]:
    """What the host made of the task's tests, None where there are none; and a line for each sentence to which the
    board replies otherwise. A quick run asks the board the first few."""
    if not context.path(TESTS.of("evaluate")).exists():
        return None, []
    replies = context.load(TEST_REPLIES.of("evaluate"))["replies"]
    if context.recipe.quick:
        replies = replies[: context.recipe.evaluate.device_sentences]
    sentences = [str(reply["sentence"]) for reply in replies]
    with (
        context.console.status(f"asking the board {len(sentences)} tests"),
        Device(emulator.start(context.path(FIRMWARE.of("firmware")), context.require_board())) as device,
    ):
        most, is_structured = context.recipe.model.context, _is_structured(context)
        board = [ask_device(device, sentence, most, is_structured) for sentence in sentences]
    host = [Reply(reply["text"], reply["confidence"], reply["reason"]) for reply in replies]
    return context.load(TESTS.of("evaluate")), mismatches(sentences, board, host)


def _is_structured(context: StageContext) -> bool:
    """Whether the recipe's model has answer tokens."""
    return context.path(ANSWERS.of("data")).exists()


def _seconds(context: StageContext) -> dict[str, float]:
    seconds = {}
    for stage in ("data", *TRAINING_STAGES, "quantize", "convert", "evaluate", "firmware"):
        stamp = context.workspace.stamp(stage, context.target_key if stage == "firmware" else "")
        if stamp is not None:
            seconds[stage] = stamp.seconds
    return seconds


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The emulator, and the board that the same sources are traced on."""
    board = context.require_board()
    emulator = pick(board, context.emulator)
    traced = board_to_trace(board)
    facts = {"emulator": emulator.name, "version": emulator.version}
    return facts if traced is None or traced is board else {**facts, "traced on": f"{traced.name} {traced.digest}"}


def _unmet(context: StageContext) -> list[str]:
    """The budgets that the finished result does not keep."""
    return list(RESULT.load(context.workspace.stage("emulate", context.target_key)).budgets.failures)


def _check_emulator(context: StageContext) -> None:
    """An emulator that was asked for must be there. Where none was asked for, the firmware is of use as it is."""
    if context.emulator is not None:
        pick(context.require_board(), context.emulator)


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (
        __name__,
        "pipeline.device.chat",
        "pipeline.device.protocol",
        "pipeline.emulators.select",
        "pipeline.firmware.build",
        "pipeline.stages.firmware",
        "pipeline.stages.on_board",
        "pipeline.targets.boards",
        "pipeline.targets.memories",
        task_module(recipe.task),
        "pipeline.tasks.text_path",
        "pipeline.timing.model",
        "pipeline.timing.folded",
        "pipeline.verification.assemble",
        "pipeline.verification.board_reply",
        "pipeline.verification.checks",
        "pipeline.verification.probe",
        "pipeline.verification.sentence_tests",
        "pipeline.verification.slow_texts",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return (
        "arm-none-eabi-gcc",
        "qemu-system-arm",
        "tflite-micro",
        "ai-edge-litert",
        "numpy",
        "tokenizers",
        "jinja2",
        "pyelftools",
        *task_tools(recipe.task),
    )


STAGE = Stage(
    name="emulate",
    summary=SUMMARIES["emulate"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        ANSWERS.of("data"),
        KNOWN_NAMES.of("data"),
        SENTENCES.of("data"),
        DOCUMENTS.of("data"),
        EVALUATION_TEXT.of("data"),
        TFLITE.of("quantize"),
        PACKED_SOURCES.of("convert"),
        PACKED_COMPILED.of("convert"),
        QUALITY.of("evaluate"),
        TESTS.of("evaluate"),
        TEST_REPLIES.of("evaluate"),
        FIRMWARE.of("firmware"),
        SIZES.of("firmware"),
        COMPILED.of("firmware"),
        MODEL_SOURCES.of("firmware"),
    ),
    writes=(RESULT, EXPECTATIONS, FOLDED_STACKS),
    sections=("name", "prompts", "budgets", "evaluate", "task", "answers"),
    work=_work,
    data=("pipeline/timing/cores.yaml", "renode/*", "renode/probe/*", *TASK_FILES),
    tools=_tools,
    per_board=True,
    environment_facts=_environment_facts,
    check_prerequisites=_check_emulator,
    unmet=_unmet,
)
