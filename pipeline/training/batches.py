"""Batches of token sequences, and the form in which the compiled training step takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.text.tokenizers.byte_bpe import PAD, SEP

__all__ = ["Batch", "batches", "bucket_widths", "counted_positions", "split_batch"]

_GRANULE = 4  # widths are multiples of it
_EVEN_WIDTH = 64  # where attention, quadratic in the width, costs as much as all that is linear in it


class Batch(NamedTuple):
    """Rows of token sequences with the positions that count: those whose next token is of an action, or of text.

    The logits of all other positions are not needed, so a loss gathers these from the hidden states first.

    Attributes:
        tokens: int32 [B, T], the input, padded with PAD.
        positions: int32 [N], row · T + column of each position that counts, in order; 0 where it is padding.
        targets: int32 [N], the token after that position; PAD where it is padding.
        trusted: float32 [N], 1 where the target is the true token, 0 in altered sentences and padding.
    """

    tokens: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    trusted: np.ndarray


def bucket_widths(lengths: np.ndarray, context: int, max_buckets: int) -> np.ndarray:
    """The widths to which sequences are padded: the few that cost a training step least.

    Args:
        lengths: Tokens of each sequence, [n], at most `context`.
        context: The model's context in tokens.
        max_buckets: How many widths there may be.

    Returns:
        int64, ascending. The input of a sequence, all its tokens but the last, fits into the last of them; none is
        above `context` − 1.
    """
    widths, counts = np.unique(_rounded(lengths, context), return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)])
    cost = widths * (widths + _EVEN_WIDTH)
    # best[b, i]: the least cost of the narrowest i widths in b buckets, of which the last one reaches widths[i − 1].
    buckets = min(max_buckets, len(widths))
    best = np.full((buckets + 1, len(widths) + 1), np.inf)
    cut = np.zeros(best.shape, np.int64)
    best[0, 0] = 0
    for bucket in range(1, buckets + 1):
        for end in range(1, len(widths) + 1):
            costs = best[bucket - 1, :end] + (before[end] - before[:end]) * cost[end - 1]
            cut[bucket, end] = int(np.argmin(costs))
            best[bucket, end] = costs[cut[bucket, end]]
    chosen: list[int] = []
    end = len(widths)
    for bucket in range(buckets, 0, -1):
        chosen.append(int(widths[end - 1]))
        end = cut[bucket, end]
    return np.array(chosen[::-1])


def _rounded(lengths: np.ndarray, context: int) -> np.ndarray:
    widths = -(-(lengths - 1) // _GRANULE) * _GRANULE
    return np.asarray(np.minimum(np.maximum(widths, 1), context - 1))


def batches(
    sequences: Sequence[Sequence[int]],
    batch_size: int,
    seed: int,
    context: int,
    start: int = 0,
    max_buckets: int = 1,
    of_epoch: Callable[[int], Sequence[Sequence[int]]] | None = None,
) -> Iterator[np.ndarray]:
    """Endless batches of sequences of like length.

    The order is a function of the seed and the batch's number alone, so that a run can go on from `start`.

    Args:
        sequences: Token sequences of at most `context` tokens.
        batch_size: Rows of a batch; a batch larger than the data repeats it.
        seed: Of the order.
        context: The model's context in tokens.
        start: Number of the first batch.
        max_buckets: How many widths there may be.
        of_epoch: Equally many sequences by epoch, where they are not the same in all of them; `sequences` are the
            first epoch's.

    Yields:
        int32 [batch_size, T + 1], padded; T is one of `bucket_widths`.
    """
    lengths = np.array([len(sequence) for sequence in sequences])
    buckets = bucket_widths(lengths, context, max_buckets)
    if of_epoch is not None and buckets[-1] < context - 1:
        buckets[-1] = context - 1  # longer ones may follow in other epochs
    per_epoch = max(len(sequences) // batch_size, 1)
    number = start
    while True:
        epoch, first_batch = divmod(number, per_epoch)
        if of_epoch is not None:
            sequences = of_epoch(epoch)
            lengths = np.array([len(sequence) for sequence in sequences])
        widths = buckets[np.searchsorted(buckets, _rounded(lengths, context))]
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(sequences))
        order = order[np.argsort(widths[order], kind="stable")]
        starts = rng.permutation(per_epoch) * batch_size
        for begin in starts[first_batch:]:
            chosen = order[begin : begin + batch_size]
            chosen = np.resize(chosen, batch_size)
            batch = np.full((batch_size, int(widths[chosen].max()) + 1), PAD, np.int32)
            for row, index in enumerate(chosen):
                batch[row, : lengths[index]] = sequences[int(index)]
            yield batch
            number += 1


def counted_positions(tokens: np.ndarray) -> np.ndarray:
    """Where the next token counts: behind `<sep>`; in a row of text, which has none, everywhere.

    Args:
        tokens: int32 [B, T + 1], padded.

    Returns:
        bool [B, T].
    """
    separators = tokens[:, :-1] == SEP
    counts = (np.cumsum(separators, axis=1) > 0) | ~separators.any(axis=1, keepdims=True)
    return np.asarray(counts & (tokens[:, 1:] != PAD))


def split_batch(
    tokens: np.ndarray, parts: int = 1, granules: int = 1, altered: np.ndarray | None = None
) -> list[Batch]:
    """A batch in parts of equally many rows, all of one shape; in one part where the rows do not divide.

    Args:
        tokens: int32 [B, T + 1], see `batches`.
        parts: How many.
        granules: How many different numbers of positions there may be; each is compiled.
        altered: float32 [B], 1 for rows whose targets are not the true tokens; None if there are none.
    """
    if len(tokens) % parts:
        parts = 1
    inputs, following = tokens[:, :-1], tokens[:, 1:]
    counted = counted_positions(tokens)
    trusted = np.ones(len(tokens), np.float32) if altered is None else 1 - altered
    rows = len(tokens) // parts
    pieces = [slice(begin, begin + rows) for begin in range(0, len(tokens), rows)]
    granule = -(-rows * inputs.shape[1] // granules)
    most = max(int(counted[piece].sum()) for piece in pieces)
    size = min(-(-most // granule) * granule, rows * inputs.shape[1])  # of text all positions may count
    found = []
    for piece in pieces:
        index = np.flatnonzero(counted[piece]).astype(np.int32)
        room = (0, size - len(index))
        of_row = np.repeat(trusted[piece], counted[piece].sum(axis=1)).astype(np.float32)
        found.append(
            Batch(
                np.ascontiguousarray(inputs[piece]),
                np.pad(index, room),
                np.pad(following[piece][counted[piece]], room, constant_values=PAD),
                np.pad(of_row, room),
            )
        )
    return found
