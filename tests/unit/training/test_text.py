"""Training on plain text: all tokens count, dev is watched by its loss, and the float model's predictions."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from pipeline.network.decode_step import DecodeStep
from pipeline.recipes.schema import DistillConfig, PruneConfig, QatConfig, TrainConfig
from pipeline.tasks.task import TrainingText
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import BOS, EOS, PAD, SEP
from pipeline.text.tokenizers.text_bpe import train_on_texts
from pipeline.training import evaluation, loop
from pipeline.training.batches import batches, counted_positions, split_batch
from pipeline.training.checkpointing import read_history
from pipeline.training.distill import distill
from pipeline.training.loop import TrainingData, train
from pipeline.training.prune import prune
from pipeline.training.qat import train_quantized
from tests.support.tiny_models import KINDS, config_of, lively

LINES = [f"Pump {number} is {state}\n  at {number % 7} bar" for number in range(60) for state in ("ON", "off")]
TOKENIZER = train_on_texts(LINES, 300)
CONTEXT = 24


def windows(lines: list[str]) -> list[list[int]]:
    sequences = [[BOS, *TOKENIZER.encode(line), EOS] for line in lines]
    return [sequence[begin : begin + CONTEXT] for sequence in sequences for begin in range(0, len(sequence) - 1, 23)]


TEXT = TrainingText(windows(LINES[:100]), windows(LINES[100:]))
TRAINING_DATA = TrainingData(PlainCodec(TOKENIZER), [], [], CONTEXT, text=TEXT)
CONFIG = config_of(next(iter(KINDS)), vocab_size=300, layers=1, context=CONTEXT)
BRIEF = TrainConfig(steps=60, batch_size=16, warmup=5, learning_rate=0.01, dropout=0.1)


def ignore(done: int, of: int, figures: dict[str, float]) -> None:
    """No progress display."""


def test_all_tokens_of_text_count_and_those_of_answers_alone() -> None:
    tokens = np.array([[BOS, 9, SEP, 7, EOS, PAD], [BOS, 9, 8, 7, EOS, PAD], [9, 8, 7, 6, 5, 4]], np.int32)
    assert counted_positions(tokens).astype(int).tolist() == [[0, 0, 1, 1, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize("granules", [1, 2, 3, 7, 11])
def test_a_batch_in_parts_has_no_more_positions_than_tokens(granules: int) -> None:
    batch = next(batches(TEXT.train, 16, seed=1, context=CONTEXT))
    parts = split_batch(batch, 2, granules)
    targets = np.concatenate([part.targets[part.targets != PAD] for part in parts])
    assert len(targets) == int((batch[:, 1:] != PAD).sum())
    assert all(len(part.positions) <= part.tokens.size for part in parts)


def test_every_target_is_trained_on_once_an_epoch() -> None:
    epoch = itertools.islice(batches(TEXT.train, 4, seed=1, context=CONTEXT, max_buckets=2), len(TEXT.train) // 4)
    assert sum(int((batch[:, 1:] != PAD).sum()) for batch in epoch) == sum(len(row) - 1 for row in TEXT.train)


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize("kind", KINDS)
def test_the_float_models_predictions_are_those_of_its_decode_step(kind: str) -> None:
    config = config_of(kind, vocab_size=300, context=CONTEXT)
    model = lively(config)
    sequences = [np.array(row, np.int16) for row in (TEXT.dev[0], TEXT.dev[1][:2], TEXT.dev[2])]
    done: list[int] = []
    found = evaluation.predictions(model, sequences, CONTEXT, done.append)
    assert done == [3] and len(found.nll) == len(found.top1) == sum(len(row) - 1 for row in sequences)
    step, index = DecodeStep(model, config), 0
    for row in sequences:
        cache = {name: rows[None] for name, rows in step.empty_cache().items()}
        for position, (token, following) in enumerate(itertools.pairwise(row.tolist())):
            outputs = step.batch(position, np.array([token], np.int32), cache)
            logits = outputs["logits"].numpy()[0, 0].astype(np.float64)
            nll = np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[following]
            assert found.nll[index] == pytest.approx(nll, abs=2e-4) and found.top1[index] == logits.argmax()
            step.keep(position, outputs, cache)
            index += 1


@pytest.mark.slow
def test_it_learns_and_dev_is_watched_by_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_EVALUATE_EVERY", 20)
    model, history = train(CONFIG, BRIEF, TRAINING_DATA, tmp_path, ignore)
    assert [entry["step"] for entry in history] == [20, 40, 60]
    assert all("dev_exact_match" not in entry for entry in history)
    losses = [entry["dev_loss"] for entry in history]
    assert losses[-1] < losses[0] < np.log(300)
    found = evaluation.predictions(model, [np.array(row) for row in TEXT.dev], CONTEXT)
    assert losses[-1] == pytest.approx(float(found.nll.mean()), rel=1e-4)
    assert "dev_loss" in read_history(tmp_path)[-1]


@pytest.mark.slow
def test_early_stopping_keeps_the_weights_of_the_least_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_EVALUATE_EVERY", 5)
    few = TrainingText(TEXT.train[:3], windows(["What ELSE there is\n\tto say"]))
    data = TrainingData(PlainCodec(TOKENIZER), [], [], CONTEXT, text=few)
    config = BRIEF.replace(steps=400, early_stopping=2, learning_rate=0.03, ema=0.5)
    model, history = train(CONFIG, config, data, tmp_path, ignore)
    losses = [entry["dev_loss"] for entry in history]
    assert history[-1]["step"] < 400 and len(losses) - 1 - int(np.argmin(losses)) == 2
    found = evaluation.predictions(model, [np.array(row) for row in few.dev], CONTEXT)
    assert float(found.nll.mean()) == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.variants(keep=0)
@pytest.mark.slow
def test_it_is_pruned_distilled_and_trained_in_integers_as_any_other(tmp_path: Path) -> None:
    model, _ = train(CONFIG, BRIEF, TRAINING_DATA, tmp_path, ignore)
    common = (BRIEF, TRAINING_DATA)
    pruned = prune(model, CONFIG, PruneConfig(steps=6), *common, tmp_path / "prune", ignore)
    rounded = train_quantized(model, CONFIG, QatConfig(steps=6), "int8", *common, tmp_path / "qat", ignore)
    student, config = lively(CONFIG), DistillConfig(teacher="teacher.yaml", steps=6)
    taught = distill(student, model, config, *common, tmp_path / "distill", ignore)
    for history in (pruned, rounded, taught):
        assert np.isfinite(history[-1]["dev_loss"]) and "dev_exact_match" not in history[-1]
