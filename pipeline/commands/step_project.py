"""`compile --project`: a decode step without a recipe goes the way of one with a recipe, from its C to the report."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pipeline.compiler import CompiledModel, Objective, compile_decode_step
from pipeline.errors import ThimbleError, VerificationFailed
from pipeline.firmware.build import build_project
from pipeline.firmware.image import sizes_as_dict
from pipeline.firmware.project import write_project
from pipeline.firmware.token_ids import TokenIds
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.schema import Budgets
from pipeline.report.flame import flame_graph
from pipeline.report.page import ReportFacts, render_report
from pipeline.stages.artifacts import FOLDED_STACKS
from pipeline.stages.on_board import emulator_for, time_prompts, tool_versions, verify_image
from pipeline.targets.boards import Board
from pipeline.text.codec import Codec, PlainCodec
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.verification.assemble import assemble_result
from pipeline.verification.checks import (
    Expectation,
    reference_full_context,
    reference_run,
    reference_run_to_context_end,
    write_expectations,
)
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle
from pipeline.verification.prove import prove, random_sequences
from pipeline.verification.result import RESULT, CycleCounts, EmulatorVersion, RunResult, StepEstimates
from pipeline.verification.slow_texts import slow_texts
from pipeline.workflow.artifacts import COMPILED, EXPECTATIONS, FIRMWARE, FLASH_IMAGE, PAGE, PICTURE, PROJECT, SIZES

__all__ = ["StepProject", "make_project"]

_PACKAGES = ("tflite-micro", "ai-edge-litert", "numpy")
_MODEL = "model"
_DRAWN = 8  # texts of random tokens, of which one that goes on to the context's end is taken


@dataclass(frozen=True)
class StepProject:
    """What to make of a decode step.

    Attributes:
        tflite: the file.
        board: where it runs.
        out: a new or empty folder.
        name: what the device and the report call it.
        aim: what counts where weights can be held in several forms.
        tokenizer: a `tokenizer.json` of Thimble's; None: texts are token ids.
        prompts: to verify on the board, besides one of random tokens.
        emulator: instead of the first that is present.
        command: what the report says to have made it.
    """

    tflite: Path
    board: Board
    out: Path
    name: str
    aim: Objective
    tokenizer: Path | None = None
    prompts: tuple[str, ...] = ()
    emulator: str | None = None
    command: str = ""


@dataclass(frozen=True)
class _Run:
    """What of a recipe a result speaks of."""

    name: str
    engine: str = "aot"
    budgets: Budgets = field(default_factory=Budgets)
    quick: bool = False
    is_imported: bool = False


def make_project(step: StepProject, model: bytes, console: Console) -> RunResult:
    """Compiles, proves, builds, verifies on the emulated board, and reports.

    Writes into `out`, which appears when all is done: `model/` (the C), `project/`, `firmware.elf` and what else the
    board is flashed with, `expected.json`, `result.json`, `compiled.json`, `sizes.json` and `index.html`.

    Args:
        step: what to make.
        model: the content of its .tflite.
        console: where progress is printed.

    Raises:
        ThimbleError: the step cannot be compiled, does not fit the board or the tokenizer, or a tool is missing; where
            only the emulator is, the firmware is written all the same.
        VerificationFailed: the board does something else than TensorFlow Lite Micro; all is written, with `ok` false.
    """
    step.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{step.out.name}.", dir=step.out.parent) as folder:
        made, scratch = Path(folder) / "made", Path(folder)
        made.mkdir()
        built = _build(step, model, made, scratch, console)
        try:
            result = _verify(step, built, made, scratch, console)
        finally:  # the firmware is of use also where nothing emulates the board
            if step.out.exists():
                step.out.rmdir()  # empty, as was checked
            made.rename(step.out)
    if not result.ok:
        raise VerificationFailed(f"{step.board.name}: {result.failure()}", f"see {RESULT.path(step.out)}")
    return result


@dataclass(frozen=True)
class _Build:
    """What was built: `sizes` and `compiled` as their files hold them."""

    tflite: bytes
    codec: Codec
    expectations: Sequence[Expectation]
    sizes: Mapping[str, Any]
    compiled: CompiledModel


def _build(step: StepProject, model: bytes, made: Path, scratch: Path, console: Console) -> _Build:
    """Compiles, proves on this machine, and builds the firmware."""
    board, sources = step.board, made / _MODEL
    sources.mkdir()
    compiled = compile_decode_step(model, sources, board.packing, step.aim)
    if compiled.forms:
        console.print(compiled.forms, highlight=False)
    codec, oracle = _codec(step, compiled.vocab), Oracle(model)
    with console.status("comparing every step's logits with TensorFlow Lite Micro"):
        engine = HostEngine(sources, scratch / "host", compiled.vocab, compiled.context)
        steps = prove(engine, oracle, random_sequences(oracle))
    console.print(f"{steps} steps of random tokens equal TensorFlow Lite Micro's to the byte")
    expectations = _expectations(step, codec, oracle)
    write_expectations(EXPECTATIONS.path(made), expectations)
    write_project(sources, codec, board, step.name, PROJECT.path(made))
    with console.status("building the firmware"):
        firmware = build_project(PROJECT.path(made), scratch / "build")
    FIRMWARE.copy(made, firmware.elf)
    if board.image != "elf":
        FLASH_IMAGE.copy(made, firmware.elf.with_suffix(f".{board.image}"), form=board.image)
    facts = {"weights_crc": firmware.weights_crc, "build_id": firmware.build_id}
    sizes = {**sizes_as_dict(firmware.sizes), **facts}
    SIZES.save(made, sizes)
    COMPILED.save(made, dataclasses.asdict(compiled))
    return _Build(model, codec, expectations, sizes, compiled)


def _verify(step: StepProject, built: _Build, made: Path, scratch: Path, console: Console) -> RunResult:
    """Verifies the image on the emulated board, models its time, and writes result and report."""
    board, elf, compiled = step.board, FIRMWARE.path(made), dataclasses.asdict(built.compiled)
    emulator, _ = emulator_for(board, step.emulator, elf, console)
    slowest = slow_texts(built.codec.tokenizer) if step.tokenizer is not None else []
    oracle = Oracle(built.tflite)
    longest = reference_full_context(oracle, oracle.context, oracle.vocab)
    verification = verify_image(
        emulator, board, elf, built.expectations, built.sizes, compiled, console, longest, slowest
    )
    build_for = partial(_build_for, step, built, scratch / "traced")
    timing = time_prompts(board, elf, compiled, verification, build_for, console)
    for count, stacks in timing.stacks.items():
        FOLDED_STACKS.save(made, stacks, count=count)
    counts = verification.instructions.model_dump()
    result = assemble_result(
        _Run(step.name),
        board,
        EmulatorVersion(name=emulator.name, version=emulator.version),
        verification,
        sizes=built.sizes,
        compiled=compiled,
        clock_hz=board.clock_hz,
        instructions=verification.instructions,
        cycles=CycleCounts.model_validate(timing.cycles(board, counts)),
        milliseconds=StepEstimates.model_validate(timing.milliseconds(board, counts)),
        more_checks={} if timing.traced_on is None else {"trace_matches_counter": not timing.differences},
        more_failures=timing.differences,
        layers=timing.layers,
        versions=tool_versions(emulator, _PACKAGES),
    )
    RESULT.save(made, result)
    flame = ""
    if timing.stacks:
        flame = flame_graph(timing.stacks["cycles"], f"Likely cycles on {board.name}, by function", "cycles")
        PICTURE.save(made, flame, picture=f"flame-{board.name}")
    PAGE.save(made, _page(step, built.compiled, result, flame))
    return result


def _codec(step: StepProject, vocab: int) -> Codec:
    """The tokenizer, which must know as many ids as the step; token ids as they are where there is none."""
    if step.tokenizer is None:
        return PlainCodec(TokenIds(vocab))
    tokenizer = load_tokenizer(step.tokenizer)
    if tokenizer.vocab_size != vocab:
        raise ThimbleError(
            f"{step.tokenizer} has {tokenizer.vocab_size:,} token ids, the step's logits {vocab:,}",
            "give the tokenizer that the step was trained with, or none: then texts are token ids",
        )
    return PlainCodec(tokenizer)


def _expectations(step: StepProject, codec: Codec, oracle: Oracle) -> list[Expectation]:
    """Of the prompts that were given, and of one of random tokens: to the end of the context where there is one."""
    context, logits = oracle.context, logit_step(oracle.logit_scale)
    texts = list(np.random.default_rng(0).integers(0, oracle.vocab, (_DRAWN, 1 + max(1, context // 4))))
    prompts = list(step.prompts)
    if oracle.unbounded:
        prompts.append(codec.tokenizer.decode(texts[0][1:].tolist()))
    runs = [reference_run(oracle, codec, context, text, context, oracle.unbounded, logits) for text in prompts]
    return runs if oracle.unbounded else [*runs, reference_run_to_context_end(oracle, codec, context, texts)]


def _build_for(step: StepProject, built: _Build, folder: Path, board: Board) -> Path:
    """The image of the same step for another board, to trace it there."""
    sources, project = folder / _MODEL, folder / "project"
    sources.mkdir(parents=True)
    compile_decode_step(built.tflite, sources, board.packing, step.aim)
    write_project(sources, built.codec, board, step.name, project)
    return build_project(project, folder / "build").elf


def _page(step: StepProject, compiled: CompiledModel, result: RunResult, flame: str) -> str:
    return render_report(
        ReportFacts(
            name=step.name,
            description=f"The decode step {step.tflite.name}: {compiled.macs:,} multiply-accumulates a token, "
            f"{compiled.weight_bytes:,} bytes of weights, a context of {compiled.context} tokens.",
            results=[result],
            playground=None,
            tests=None,
            can_have_tests=False,
            quality={},
            splits={},
            flames=[flame],
            commands=step.command,
            recipe_text="",
        )
    )
