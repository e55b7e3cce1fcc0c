"""From counted instructions to cycles and milliseconds: what a traced prompt says of all prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.targets.boards import Board
from pipeline.targets.memories import Flash
from pipeline.timing.costs import Core, Estimate
from pipeline.timing.measure import Stacks, TracedPrompt, with_weights

__all__ = ["COUNTS", "Rates", "assumptions_of", "layers_of", "merge_stacks", "rates_of", "times_of"]

# Which of a result's instruction counts become cycles, and at the cycles an instruction of what.
COUNTS = {
    "prefill_per_token": "prefill",
    "prompt_max": "prefill_worst",
    "decode_mean": "decode",
    "decode_max": "decode_worst",
}


@dataclass(frozen=True)
class Rates:
    """Cycles an instruction: over all traced prefills and decode steps, and of the worst of each (level by level)."""

    prefill: Estimate
    prefill_worst: Estimate
    decode: Estimate
    decode_worst: Estimate

    @classmethod
    def of_core(cls, core: Core) -> Rates:
        """Where nothing was traced: the core's own mean."""
        return cls(core.mean, core.mean, core.mean, core.mean)


def rates_of(traced: Sequence[TracedPrompt], flash: Flash, weight_bytes: int, block: int) -> Rates:
    """The cycles an instruction of traced prompts.

    Args:
        weight_bytes: that a step reads.
        block: tokens that a prefill takes at once.
    """
    by_kind: dict[str, list[tuple[int, Estimate]]] = {"prefill": [], "decode": []}
    for measured in traced:
        spans = with_weights(measured.steps, flash, weight_bytes, measured.answer.count_in, block)
        for step, span in zip(measured.steps, spans, strict=True):
            by_kind[step.kind].append((step.instructions, span))
    prefill = by_kind["prefill"] or by_kind["decode"]
    decode = by_kind["decode"] or by_kind["prefill"]
    return Rates(_mean(prefill), _worst(prefill), _mean(decode), _worst(decode))


def _mean(steps: Iterable[tuple[int, Estimate]]) -> Estimate:
    steps = list(steps)
    count = sum(instructions for instructions, _ in steps)
    return Estimate(*(sum(values) / max(count, 1) for values in zip(*(span for _, span in steps), strict=True)))


def _worst(steps: Iterable[tuple[int, Estimate]]) -> Estimate:
    rates = [span.times(1 / max(count, 1)) for count, span in steps]
    return Estimate(*(max(values) for values in zip(*rates, strict=True)))


def times_of(instructions: Mapping[str, float], rates: Rates, clock_hz: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cycles and milliseconds (low, likely, high) of the counts that a result holds."""
    cycles = {key: getattr(rates, rate).times(instructions[key]) for key, rate in COUNTS.items()}
    return (
        {key: span.rounded() for key, span in cycles.items()},
        {key: span.times(1000 / clock_hz).rounded(3) for key, span in cycles.items()},
    )


def merge_stacks(traced: Iterable[TracedPrompt]) -> dict[str, Stacks]:
    """The stacks of all traced prompts, by kind."""
    merged: dict[str, Stacks] = {}
    for measured in traced:
        for kind, stacks in measured.stacks.items():
            into = merged.setdefault(kind, {})
            for stack, (instructions, cycles) in stacks.items():
                before = into.get(stack, (0, 0.0))
                into[stack] = (before[0] + instructions, before[1] + cycles)
    return merged


def layers_of(
    layers: Sequence[Mapping[str, Any]], stacks: Stacks, steps: int, flash: Flash, weight_bytes: int
) -> list[dict[str, Any]]:
    """Mean instructions and likely cycles of each layer in a decode step, as the layers' functions took them. Layers
    that have one together run the same instructions on other numbers: each gets its share.

    Args:
        layers: as the compiler describes them: `function`, `weight_bytes` and more, which is kept.
        weight_bytes: of all together, with what goes with each row of weights (bias, scale), which is shared out alike.
    """
    of_layers = sum(layer["weight_bytes"] for layer in layers)
    read = weight_bytes / of_layers if of_layers else 0.0
    names = Counter(layer["function"] for layer in layers)
    totals = dict.fromkeys(names, (0, 0.0))
    for stack, (instructions, cycles) in stacks.items():
        name = next((frame for frame in stack if frame in names), None)
        if name is not None:
            before = totals[name]
            totals[name] = (before[0] + instructions, before[1] + cycles)
    rows = []
    for layer in layers:
        share = 1 / (max(steps, 1) * names[layer["function"]])
        counted, cycles = totals[layer["function"]]
        waits = flash.likely_data(read * layer["weight_bytes"])
        rows.append({**layer, "instructions": round(counted * share, 1), "cycles": round(cycles * share + waits)})
    return rows


def assumptions_of(board: Board, core: Core, traced_on: str | None) -> list[str]:
    """Assumptions of the estimates, a sentence each."""
    flash = board.timing.flash
    lines = [f"cycles of each instruction by {core.source}", board.timing.assumption]
    if flash.wait_states:
        cache = (
            f"a cache of {flash.instruction_lines} lines for instructions and {flash.data_lines} for data"
            if flash.instruction_lines or flash.data_lines
            else "no cache"
        )
        lines.append(
            f"flash of {flash.wait_states} wait states, {flash.line_bytes} bytes a read, {cache}: low, every access "
            "hits; likely, the trace fills the cache and weights miss it a line at a time; high, every line of code "
            "and every word of weights waits"
        )
    if traced_on is None:
        lines.append(f"not traced: the mean of {core.name} in pipeline/timing/cores.yaml for every instruction")
    elif traced_on != board.name:
        lines.append(f"traced on {traced_on}, which has the same core, from the same sources")
    return [line for line in lines if line]
