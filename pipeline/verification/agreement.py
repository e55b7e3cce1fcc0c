"""Whether two emulators say the same of one image: the same tokens and logits, counts within a thousandth."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from pipeline.targets.boards import load_board
from pipeline.verification.result import RunResult

__all__ = ["TOLERANCE", "disagreements", "instructions_per_tick", "with_counts"]

TOLERANCE = 0.001
# What reading a counter before and after may be off by, in ticks.
_ROUNDING = 2


def instructions_per_tick(result: RunResult) -> float:
    """Instructions per tick of the board's counter in the run that wrote this `result.json`."""
    return load_board(result.board).instructions_per_tick(result.emulator.name)


def disagreements(first: RunResult, second: RunResult) -> list[str]:
    """A line for each difference of two results of one recipe on one board; none if they agree.

    Every step's tokens and logits must be equal, its instructions within 0.1 % and the rounding of a counter.
    """
    for key in ("recipe", "board", "engine"):
        if getattr(first, key) != getattr(second, key):
            return [f"results of different runs: {key} {getattr(first, key)} and {getattr(second, key)}"]
    names = [f"{result.emulator.name} {result.emulator.version}" for result in (first, second)]
    rates = [instructions_per_tick(result) for result in (first, second)]
    differences: list[str] = []
    for a, b in zip_longest(first.prompts, second.prompts):
        if a is None or b is None or a.text != b.text:
            return [*differences, f"not the same prompts: {a and a.text!r} and {b and b.text!r}"]
        where = repr(a.text)
        for key in ("tokens_in", "tokens_out", "text_out", "end", "logits_crc"):
            ours, theirs = getattr(a, key), getattr(b, key)
            if ours != theirs:
                differences.append(f"{where}: {key} is {ours} on {names[0]}, {theirs} on {names[1]}")
        if len(a.ticks) != len(b.ticks):
            differences.append(f"{where}: {len(a.ticks)} steps on {names[0]}, {len(b.ticks)} on {names[1]}")
        for step, (ticks, other_ticks) in enumerate(zip(a.ticks, b.ticks, strict=False)):
            counts = ticks * rates[0], other_ticks * rates[1]
            if abs(counts[0] - counts[1]) > TOLERANCE * max(counts) + _ROUNDING * max(rates):
                differences.append(
                    f"{where}: step {step} takes {counts[0]:,.0f} instructions on {names[0]}, "
                    f"{counts[1]:,.0f} on {names[1]}"
                )
    return differences


def with_counts(expected: Mapping[str, Any], result: RunResult) -> dict[str, Any]:
    """The content of `expected.json` with each step's `instructions` from a result of the same image."""
    rate = instructions_per_tick(result)
    prompts = []
    for prompt, measured in zip(expected["prompts"], result.prompts, strict=True):
        steps = [
            {**step, "instructions": round(ticks * rate)}
            for step, ticks in zip(prompt["steps"], measured.ticks, strict=True)
        ]
        prompts.append({**prompt, "steps": steps})
    return {**expected, "prompts": prompts}
