"""What a step costs by its position, from the counts that a board answered with; the page adds up an answer's."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.targets.boards import Board
from pipeline.verification.result import Estimate, RunResult

__all__ = ["board_facts", "step_table"]


def step_table(result: RunResult, instructions_per_tick: float) -> list[float | None]:
    """Instructions of a decode step by its position, mean over all prompts of a result; None where none was there.

    Args:
        result: of an emulated board.
        instructions_per_tick: of the board's counter.
    """
    counts: dict[int, list[float]] = {}
    for prompt in result.prompts:
        for position, ticks in enumerate(prompt.ticks):
            counts.setdefault(position, []).append(ticks * instructions_per_tick)
    length = max(counts, default=-1) + 1
    return [round(float(np.mean(counts[position])), 1) if position in counts else None for position in range(length)]


def board_facts(result: RunResult, board: Board) -> dict[str, Any] | None:
    """What the page knows of a board; None where no instructions were counted.

    Args:
        result: of a run on it.
        board: it.
    """
    counts = result.instructions
    if counts is None or not counts.steps:
        return None
    steps = step_table(result, board.instructions_per_tick(result.emulator.name))
    known = {position: count for position, count in enumerate(steps) if count is not None}
    slope, start = np.polyfit(list(known), list(known.values()), 1) if len(known) > 1 else (0.0, counts.decode_mean)
    times = result.milliseconds
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core,
        "clockHz": result.clock_hz,
        "engine": result.engine,
        "emulator": f"{result.emulator.name} {result.emulator.version}",
        "steps": steps,
        "line": [round(float(start), 1), round(float(slope), 3)],
        "promptToken": counts.prefill_per_token,
        "answerMean": counts.answer_mean,
        "msPerInstruction": {
            "prompt": _rates(times.prefill_per_token, counts.prefill_per_token),
            "answer": _rates(times.decode_mean, counts.decode_mean),
        },
        "flash": result.flash_bytes.model_dump(),
        "ram": result.ram_bytes.model_dump(),
    }


def _rates(time: Estimate, instructions: float) -> list[float]:
    """Milliseconds an instruction: at least, likely, at most."""
    return [value / instructions for value in (time.low, time.likely, time.high)]
