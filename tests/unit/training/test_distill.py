"""Distillation: the student comes to say what its teacher says; spoiled sentences keep their answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import DistillConfig, TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import BOS, PAD, SEP
from pipeline.training.distill import corrupt_tokens, distill
from pipeline.training.loop import TrainingData
from tests.support.tiny_models import PAIRS, config_of, lively, tokenizer_of

TOKENIZER = tokenizer_of(340)
CONFIG = config_of("rmsnorm, relu, learned, tied", vocab_size=TOKENIZER.vocab_size, layers=1, context=48)
TRAINING_DATA = TrainingData(PlainCodec(TOKENIZER), PAIRS, PAIRS[:2], CONFIG.context)


def divergence(student: keras.Model, teacher: keras.Model) -> float:
    """Mean KL of teacher and student over the answers' tokens, in nats."""
    batch = next(TRAINING_DATA.batches(8, 1))
    teacher_log_probs, student_log_probs = (
        tf.nn.log_softmax(model(tf.constant(batch))).numpy() for model in (teacher, student)
    )
    answers = (np.cumsum(batch == SEP, axis=1) > 0) & (batch != PAD)
    return float((np.exp(teacher_log_probs) * (teacher_log_probs - student_log_probs)).sum(axis=-1)[answers].mean())


@pytest.mark.parametrize("spoiled", [0.0, 0.5])
def test_the_student_follows_its_teacher(tmp_path: Path, spoiled: float) -> None:
    """An untrained teacher, which the true tokens do not agree with: what the student learns can only be from it."""
    teacher = lively(config_of("rmsnorm, gated, rotary, grouped", vocab_size=TOKENIZER.vocab_size, context=48))
    before = [weight.numpy() for weight in teacher.trainable_variables]
    keras.utils.set_random_seed(1)
    student = build_decoder(CONFIG)
    at_first = divergence(student, teacher)
    history = distill(
        student,
        teacher,
        DistillConfig(teacher="teacher.yaml", steps=60, temperature=1.0, alpha=1.0, spoiled=spoiled),
        TrainConfig(batch_size=8, learning_rate=1e-2, warmup=5, ema=0.5),
        TRAINING_DATA,
        tmp_path,
        lambda *_: None,
    )
    assert divergence(student, teacher) < 0.5 * at_first
    assert history[-1]["step"] == 60
    for then, now in zip(before, teacher.trainable_variables, strict=True):
        np.testing.assert_array_equal(then, now.numpy())


def test_a_student_that_is_its_teacher_has_nothing_to_learn(tmp_path: Path) -> None:
    """With no true tokens its loss is 0: the teacher's own entropy does not count."""
    teacher = lively(CONFIG)
    student = build_decoder(CONFIG)
    student.set_weights(teacher.get_weights())
    config = DistillConfig(teacher="teacher.yaml", steps=1, alpha=1.0)
    settings = TrainConfig(batch_size=8, dropout=0.0)
    history = distill(student, teacher, config, settings, TRAINING_DATA, tmp_path, lambda *_: None)
    assert history[0]["loss"] == pytest.approx(0.0, abs=1e-4)


def test_spoiled_sentences_keep_their_answers() -> None:
    batch = next(TRAINING_DATA.batches(12, 3))
    altered, marks = corrupt_tokens(batch, 0.5)
    assert altered.shape == batch.shape and altered.dtype == np.int32
    assert marks.tolist() == [1.0] * 6 + [0.0] * 6
    np.testing.assert_array_equal(altered[6:], batch[6:])
    for before, after in zip(batch[:6], altered[:6], strict=True):
        assert after[0] == BOS
        answers = [row[np.argmax(row == SEP) :] for row in (before, after)]
        assert [token for token in answers[0] if token != PAD] == [token for token in answers[1] if token != PAD]
    assert (altered[:6] != batch[:6]).any(axis=1).sum() >= 5
    np.testing.assert_array_equal(corrupt_tokens(batch, 0.5)[0], altered)
