"""Exact match counts what greedy decoding gives, however its tokens are cut."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import BYTE_BASE, EOS, SEP
from pipeline.training.evaluation import encode_pairs, exact_match, teacher_forced_match
from tests.support.tiny_models import PAIRS, tokenizer_of

TOKENIZER = tokenizer_of(400)
CONTEXT = 96


class ScriptedModel:
    """A "model" that answers each prompt with given tokens, one after the other."""

    def __init__(self, answers: dict[str, list[int]]) -> None:
        self.answers = {
            tuple(TOKENIZER.encode_prompt(sentence)): [*tokens, EOS] for sentence, tokens in answers.items()
        }

    def __call__(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        assert not training
        return tf.ensure_shape(tf.numpy_function(self.logits, [tokens], tf.float32), (None, None, TOKENIZER.vocab_size))

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        result = np.zeros((*tokens.shape, TOKENIZER.vocab_size), np.float32)
        for row, ids in enumerate(tokens.tolist()):
            if SEP not in ids:
                continue
            start = ids.index(SEP) + 1
            answer = self.answers.get(tuple(ids[:start]), [EOS])
            for position in range(start - 1, len(ids)):
                done = position + 1 - start
                if ids[start : position + 1] == answer[:done] and done < len(answer):
                    result[row, position, answer[done]] = 1.0
        return result


def spelled(text: str) -> list[int]:
    """The text byte by byte, which is not how the tokenizer cuts it."""
    return [BYTE_BASE + value for value in text.encode()]


def test_right_and_wrong_answers() -> None:
    wrong = {PAIRS[2].sentence, PAIRS[5].sentence}
    model = ScriptedModel(
        {pair.sentence: TOKENIZER.encode(pair.action + "s" * (pair.sentence in wrong)) for pair in PAIRS}
    )
    assert exact_match(model, TOKENIZER, PAIRS, CONTEXT) == pytest.approx(10 / 12)
    assert teacher_forced_match(model, TOKENIZER, PAIRS, CONTEXT) == pytest.approx(10 / 12)


def test_the_text_counts_and_not_its_tokens() -> None:
    model = ScriptedModel({pair.sentence: spelled(pair.action) for pair in PAIRS[:3]})
    assert exact_match(model, TOKENIZER, PAIRS[:3], CONTEXT) == 1.0
    assert teacher_forced_match(model, TOKENIZER, PAIRS[:3], CONTEXT) == 0.0


def test_an_answer_that_never_ends_is_wrong() -> None:
    model = ScriptedModel({PAIRS[0].sentence: [*TOKENIZER.encode(PAIRS[0].action), *[50] * CONTEXT]})
    assert exact_match(model, TOKENIZER, PAIRS[:1], CONTEXT) == 0.0


def test_more_pairs_than_a_batch() -> None:
    many = [Pair(f"{pair.sentence} {number}", pair.action) for number in range(12) for pair in PAIRS]
    model = ScriptedModel({pair.sentence: TOKENIZER.encode(pair.action) for pair in many[:100]})
    assert exact_match(model, TOKENIZER, many, CONTEXT) == pytest.approx(100 / len(many))


def test_a_pair_longer_than_the_context_is_wrong() -> None:
    model = ScriptedModel({pair.sentence: TOKENIZER.encode(pair.action) for pair in PAIRS})
    lengths = sorted(len(sequence) for sequence in encode_pairs(TOKENIZER, PAIRS, CONTEXT))
    assert exact_match(model, TOKENIZER, PAIRS, lengths[-1]) == 1.0
    fitting = sum(length < lengths[-1] for length in lengths)
    assert exact_match(model, TOKENIZER, PAIRS, lengths[-1] - 1) == pytest.approx(fitting / len(PAIRS))


def test_nothing_to_measure() -> None:
    assert exact_match(ScriptedModel({}), TOKENIZER, [], CONTEXT) == 0.0
