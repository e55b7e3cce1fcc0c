"""How often the whole action is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import EOS, PAD, SEP, Tokenizer

__all__ = ["encode_pairs", "exact_match", "matches", "teacher_forced_match"]

_BATCH = 64


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> list[list[int]]:
    """Token sequences of the pairs; those longer than the context are left out."""
    sequences = [tokenizer.encode_pair(pair.sentence, pair.action) for pair in pairs]
    return [sequence for sequence in sequences if len(sequence) <= context]


def teacher_forced_match(model: keras.Model, tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> float:
    """Share of pairs whose action's tokens are each the most likely one after the true tokens before it.

    One pass a pair. Never more than `exact_match`: an action may also come out in other tokens.
    """
    return sum(_forced(model, encode_pairs(tokenizer, pairs, context), context)) / max(len(pairs), 1)


def exact_match(model: keras.Model, tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> float:
    """Share of pairs whose action greedy decoding gives to the letter."""
    return sum(matches(model, tokenizer, pairs, context)) / max(len(pairs), 1)


def matches(model: keras.Model, tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> list[bool]:
    """For each pair whether greedy decoding gives its action to the letter; a pair longer than the context is wrong.

    Where the true tokens are the most likely ones, decoding gives them; only the other pairs are decoded.
    """
    fitting = [pair for pair in pairs if len(tokenizer.encode_pair(pair.sentence, pair.action)) <= context]
    right = dict(zip(fitting, _forced(model, encode_pairs(tokenizer, fitting, context), context), strict=True))
    remaining = [pair for pair in fitting if not right[pair]]
    prompts = [tokenizer.encode_prompt(pair.sentence) for pair in remaining]
    for pair, tokens in zip(remaining, _decode(model, prompts, context), strict=True):
        right[pair] = tokenizer.decode(tokens) == pair.action
    return [right.get(pair, False) for pair in pairs]


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


def _decode(model: keras.Model, prompts: Sequence[Sequence[int]], context: int) -> list[list[int]]:
    """Greedy tokens after each prompt, `<eos>` left out."""
    answers: list[list[int]] = []
    for begin in range(0, len(prompts), _BATCH):
        part = [list(prompt) for prompt in prompts[begin : begin + _BATCH]]
        starts = [len(prompt) for prompt in part]
        running = set(range(len(part)))
        while running:
            best = _forward(model)(tf.constant(_padded(part, context))).numpy()
            for row in sorted(running):
                token = int(best[row, len(part[row]) - 1])
                if token != EOS:
                    part[row].append(token)
                if token == EOS or len(part[row]) == context:
                    running.discard(row)
        answers += [tokens[start:] for tokens, start in zip(part, starts, strict=True)]
    return answers


def _padded(sequences: Sequence[Sequence[int]], context: int) -> np.ndarray:
    """int32 [_BATCH, context]."""
    tokens = np.full((_BATCH, context), PAD, np.int32)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
    return tokens


def _forward(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """The most likely next token at each position, compiled once a model."""
    if not hasattr(model, "thimble_forward"):
        model.thimble_forward = tf.function(lambda tokens: tf.argmax(model(tokens, training=False), axis=-1))
    return model.thimble_forward
