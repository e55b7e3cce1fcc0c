"""The order of the calls when a prompt is taken in blocks of tokens.

Only the last token of a prompt needs logits; of the others the KV cache alone matters. So the calls fall into a body,
which every token needs for the cache, and a tail, which runs for the last token of a block, and not at all where no
logits are asked for. Of the last layer's attention and feed-forward nothing but K and V is in the body.
"""

from __future__ import annotations

import dataclasses

from pipeline.compiler.ir.program import Call, Program

__all__ = ["split_logits_tail"]


def split_logits_tail(program: Program) -> Program:
    """Reorders calls: first those that the KV cache needs, layer by layer; the rest is the tail. Each layer computes
    its keys and values before its queries. Interleaved buffers are recomputed for the tail's single token.
    """
    if not program.split_logits_tail:
        return program
    left = list(program.calls)
    body: list[Call] = []
    while (index := next((i for i, call in enumerate(left) if call.appends), None)) is not None:
        needed = set(left[index].reads)
        needed_calls = [index]
        for earlier in range(index - 1, -1, -1):
            if needed & set(left[earlier].writes):
                needed.update(left[earlier].reads)
                needed_calls.append(earlier)
        body += [left[i] for i in reversed(needed_calls)]
        left = [call for i, call in enumerate(left) if i not in needed_calls]
    read = {name for call in left for name in call.reads}
    recomputed = [call for call in body if call.interleaved and program.block > 1 and read & set(call.writes)]
    calls = [
        *body,
        *(
            dataclasses.replace(call, logits_only=True, recomputed_for_tail=True, macs=0, weight_bytes=0)
            for call in recomputed
        ),
        *(dataclasses.replace(call, logits_only=True) for call in left),
    ]
    return dataclasses.replace(program, calls=calls)
