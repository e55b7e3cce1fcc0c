"""What whole answers in answer tokens cost on an emulated board: with all logits, and with those that are allowed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.bench.cores import Core
from pipeline.bench.machine import emulated_board
from pipeline.bench.rows import Row
from pipeline.bench.shapes import Model
from pipeline.compiler import compile_model
from pipeline.device.protocol import Answer, Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project

__all__ = ["ALL_LOGITS", "answer_rows"]

ALL_LOGITS = "thimble, all logits"
"""The engine of answers for which each step computes the whole vocabulary's logits."""


def answer_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """The model's example sentences, asked of a whole firmware image: a row with all logits, and one with those that
    may follow, where the model has answer tokens and an emulated board has the core.

    Args:
        core: to measure.
        model: whose answers are measured.
        folder: for the image.
    """
    board = emulated_board(core)
    if model.codec is None or board is None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("model", "project"):
        (folder / part).mkdir(parents=True)
    compile_model(model.tflite, folder / "model", core.packing)
    write_project(folder / "model", model.codec, board, model.name, folder / "project")
    firmware = build_project(folder / "project", folder / "build")
    per_tick = board.instructions_per_tick("qemu")
    with Device(Qemu().start(firmware.elf, board)) as device:
        for engine, request in ((ALL_LOGITS, device.prompt), ("thimble", device.answer)):
            answers = [request(sentence, model.config.context) for sentence in model.sentences]
            yield _row(core, model, engine, [answer for answer in answers if answer.tokens_out], per_tick)


def _row(core: Core, model: Model, engine: str, answers: Sequence[Answer], per_tick: float) -> Row:
    def mean(values: Sequence[int]) -> float:
        return round(sum(values) / max(len(values), 1), 1)

    return Row(
        core=core.name,
        engine=engine,
        model=model.name,
        answers=len(answers),
        tokens_in=mean([answer.count_in for answer in answers]),
        tokens_out=mean([len(answer.tokens_out) for answer in answers]),
        certain=mean([answer.count_certain for answer in answers]),
        instructions=round(per_tick * mean([answer.model_ticks for answer in answers])),
        own_instructions=round(per_tick * mean([sum(step.ticks for step in answer.steps) for answer in answers])),
    )
