"""How often the float model gets the whole action right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from pipeline.tasks.accuracy import answer_limit, answer_room, answer_text, answer_tokens, unasked
from pipeline.tasks.task import Pair, Predictions
from pipeline.text.codec import Codec
from pipeline.text.tokenizers.byte_bpe import EOS, PAD, SEP

__all__ = [
    "BatchGenerator",
    "answers",
    "encode_pairs",
    "exact_match",
    "matches",
    "predictions",
    "teacher_forced_match",
]

_BATCH = 64
_MAX_LOGITS = 1 << 25  # of a batch, 128 MB

Allowed = Callable[[Sequence[int]], Sequence[int] | None]
"""The ids that may follow an answer so far, None where all may: `pipeline.text.codec.Prompt.allowed`."""


class BatchGenerator(Protocol):
    """What decodes prompts in batches: `pipeline.network.cached_decoder.CachedDecoder`."""

    @property
    def context(self) -> int: ...

    def greedy(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        eos: int,
        progress: Callable[[int], None] | None = None,
        allowed: Sequence[Allowed] | None = None,
    ) -> list[list[int]]: ...


def encode_pairs(codec: Codec, pairs: Sequence[Pair], context: int) -> list[list[int]]:
    """Token sequences of the pairs, without those that are longer than the context or have no answer in the model's
    answer tokens."""
    sequences = []
    for pair in pairs:
        try:
            sequence = codec.encode_pair(pair.sentence, pair.action)
        except ValueError:
            continue
        if len(sequence) <= context:
            sequences.append(sequence)
    return sequences


def teacher_forced_match(model: keras.Model, codec: Codec, pairs: Sequence[Pair], context: int) -> float:
    """Share of pairs whose action's tokens are each the most likely one after the true tokens before it.

    One pass a pair. Never more than `exact_match`: an action may also come out in other tokens.
    """
    return sum(_forced(model, encode_pairs(codec, pairs, context), context)) / max(len(pairs), 1)


def exact_match(decoder: BatchGenerator, codec: Codec, pairs: Sequence[Pair]) -> float:
    """Share of pairs whose greedily decoded action equals the expected text."""
    return sum(matches(decoder, codec, pairs)) / max(len(pairs), 1)


def matches(
    decoder: BatchGenerator,
    codec: Codec,
    pairs: Sequence[Pair],
    progress: Callable[[int], None] | None = None,
) -> list[bool]:
    """For each pair whether greedy decoding gives its action to the letter; see `answers`."""
    found = answers(decoder, codec, pairs, progress)
    return [answer == pair.action for answer, pair in zip(found, pairs, strict=True)]


def answers(
    decoder: BatchGenerator,
    codec: Codec,
    pairs: Sequence[Pair],
    progress: Callable[[int], None] | None = None,
) -> list[str | None]:
    """What each pair's sentence comes to by greedy decoding, as `pipeline.tasks.accuracy.answers` has it.

    Args:
        decoder: the model.
        codec: of the model.
        pairs: what to ask; the actions say only how long an answer may get.
        progress: called with the number of sentences answered.
    """
    prompts = [codec.prompt(pair.sentence) for pair in pairs]
    limit = answer_limit([answer_tokens(codec, pair, prompt) for pair, prompt in zip(pairs, prompts, strict=True)])
    asked = [prompt for prompt in prompts if not prompt.refusal(decoder.context)]
    decoded = decoder.greedy(
        [prompt.tokens for prompt in asked],
        limit,
        EOS,
        progress,
        [prompt.allowed for prompt in asked],
    )
    texts = {
        id(prompt): answer_text(prompt, tokens, answer_room(prompt, decoder.context, limit))
        for prompt, tokens in zip(asked, decoded, strict=True)
    }
    return [texts[id(prompt)] if id(prompt) in texts else unasked(prompt) for prompt in prompts]


def predictions(
    model: keras.Model,
    sequences: Sequence[NDArray[np.signedinteger]],
    context: int,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """What the float model says of each token of the sequences but their first ones.

    Args:
        model: the training model.
        sequences: int [T] each, of at most `context` tokens.
        context: tokens that the model sees.
        progress: called with the number of sequences done.
    """

    @tf.function(autograph=False)
    def forward(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(tokens, training=False)[:, :-1]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)
        return losses, tf.argmax(logits, axis=-1, output_type=tf.int32)

    rows = max(1, min(_BATCH, _MAX_LOGITS // (context * int(model.output.shape[-1]))))
    nll, top1 = [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]
    for begin in range(0, len(sequences), rows):
        part = sequences[begin : begin + rows]
        losses, best = (values.numpy() for values in forward(tf.constant(_padded(part, context, rows))))
        for row, sequence in enumerate(part):
            nll.append(losses[row, : len(sequence) - 1])
            top1.append(best[row, : len(sequence) - 1])
        if progress is not None:
            progress(begin + len(part))
    return Predictions(np.concatenate(nll), np.concatenate(top1))


def _forced(model: keras.Model, sequences: Sequence[Sequence[int]], context: int) -> list[bool]:
    """For each sequence whether every token after `<sep>` is the most likely one."""
    matches: list[bool] = []
    for begin in range(0, len(sequences), _BATCH):
        part = sequences[begin : begin + _BATCH]
        tokens = _padded(part, context)
        best = _forward(model)(tf.constant(tokens)).numpy()[:, :-1]
        answer = np.cumsum(tokens[:, :-1] == SEP, axis=1) > 0
        counted = answer & (tokens[:, 1:] != PAD)
        matches += ((best == tokens[:, 1:]) | ~counted).all(axis=1)[: len(part)].tolist()
    return matches


def _padded(
    sequences: Sequence[Sequence[int] | NDArray[np.signedinteger]], context: int, rows: int = _BATCH
) -> np.ndarray:
    """int32 [rows, context]."""
    tokens = np.full((rows, context), PAD, np.int32)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
    return tokens


def _forward(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """The most likely next token at each position, compiled once a model."""
    if not hasattr(model, "thimble_forward"):
        model.thimble_forward = tf.function(lambda tokens: tf.argmax(model(tokens, training=False), axis=-1))
    return model.thimble_forward
