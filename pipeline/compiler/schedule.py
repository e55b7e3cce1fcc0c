"""The order of the calls, and where their buffers lie, when a prompt is taken in blocks of tokens.

Only the last token of a prompt needs logits; of the others the KV cache alone matters. So the calls fall into a body,
which every token needs for the cache, and a tail, which runs for the last token of a block, and not at all where no
logits are asked for. Of the last layer's attention and feed-forward nothing but K and V is in the body.

A buffer holds the activations of a block's tokens one behind the other, the last token's first: there the tail finds
them, and may use what the other tokens' occupied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.compiler.memory_plan import Buffer, aligned, plan_memory
from pipeline.compiler.program import Call, Program

__all__ = ["Arena", "place_buffers", "tail_apart"]


@dataclass(frozen=True)
class Arena:
    """Offsets of buffers, the bytes from a token's part of each to the next token's, the arena's bytes in all, and the
    most bytes of activations that are alive at once."""

    offsets: dict[str, int]
    token_bytes: dict[str, int]
    bytes: int
    largest_live_set: int


def tail_apart(calls: Sequence[Call], block: int) -> list[Call]:
    """The same calls, those that the KV cache needs first; the others are the tail. What blocks of tokens share word by
    word is made again for the tail's one token."""
    needed: set[str] = set()
    body = []
    for call in reversed(calls):
        wanted = call.appends or bool(needed & set(call.writes))
        body.append(wanted)
        if wanted:
            needed.update(call.reads)
    body.reverse()
    marked = [dataclasses.replace(call, tail=not wanted) for call, wanted in zip(calls, body, strict=True)]
    of_tail = [call for call in marked if call.tail]
    read = {name for call in of_tail for name in call.reads}
    again = [call for call in marked if call.shared and not call.tail and block > 1 and read & set(call.writes)]
    return [
        *(call for call in marked if not call.tail),
        *(dataclasses.replace(call, tail=True, macs=0, weight_bytes=0) for call in again),
        *of_tail,
    ]


def place_buffers(program: Program, calls: Sequence[Call]) -> Arena:
    """Each buffer lives from its first use to its last; inputs from the start, outputs to the end."""
    end = len(calls)
    inputs = {view.buffer for view in program.inputs.values()}
    # A decode step's new rows are in the cache by then; only its logits are asked for.
    kept = ["logits"] if program.cache and "logits" in program.outputs else list(program.outputs)
    outputs = {program.outputs[name].buffer for name in kept}
    buffers = []
    token_bytes = {name: 0 if name in program.scratch else aligned(size) for name, size in program.buffers.items()}
    for name, size in program.buffers.items():
        uses = [step for step, call in enumerate(calls) if name in call.reads or name in call.writes]
        first = 0 if name in inputs or not uses else uses[0]
        last = end if name in outputs else uses[-1] if uses else 0
        buffers.append(Buffer(name, size, first, last))
    body = sum(not call.tail for call in calls)
    of_body = [
        dataclasses.replace(b, size=b.size + (program.block - 1) * token_bytes[b.name], last=min(b.last, body))
        for b in buffers
        if b.first < body
    ]
    first_plan = plan_memory(of_body)
    plan = plan_memory(buffers, first_plan.offsets)
    return Arena(
        plan.offsets,
        token_bytes,
        max(first_plan.bytes, plan.bytes),
        max(first_plan.largest_live_set, plan.largest_live_set),
    )
