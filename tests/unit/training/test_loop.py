"""Training: batches, the schedule, the same result from the same seed, and going on where it was interrupted."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.network.checkpoint import StartWeights, save_model
from pipeline.network.decoder import Dropout, dropout_bits
from pipeline.recipes.schema import TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import PAD, SEP
from pipeline.training import checkpointing, loop
from pipeline.training.batches import batches, bucket_widths, split_batch
from pipeline.training.checkpointing import CHECKPOINT, HISTORY, Checkpoint, read_history
from pipeline.training.loop import Schedule, TrainingData, TrainingStep, train, training_sequences
from tests.support.tiny_models import KINDS, PAIRS, config_of, lively, tokenizer_of

TOKENIZER = tokenizer_of(340)
CONFIG = config_of("rmsnorm, relu, learned, tied", vocab_size=TOKENIZER.vocab_size, layers=1, context=40)
TRAINING_DATA = TrainingData(PlainCodec(TOKENIZER), PAIRS, PAIRS[:2], CONFIG.context)
BRIEF = TrainConfig(steps=8, batch_size=4, warmup=2, dropout=0.0)


def ignore(done: int, of: int, figures: dict[str, float]) -> None:
    """No progress display."""


def trained(
    out: Path, config: TrainConfig = BRIEF, progress: Callable[[int, int, dict[str, float]], None] = ignore
) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    """The averaged weights and the history."""
    model, history = train(CONFIG, config, TRAINING_DATA, out, progress)
    return [weight.numpy() for weight in model.trainable_variables], history


def test_training_begins_in_other_weights(tmp_path: Path) -> None:
    first = tmp_path / "first.npz"
    model, _ = train(CONFIG, BRIEF, TRAINING_DATA, tmp_path, ignore)
    save_model(first, model, {})
    untouched = TrainConfig.from_mapping({"steps": 0, "start": "first.npz"})
    started, history = train(CONFIG, untouched, TRAINING_DATA, tmp_path, ignore, StartWeights(first))
    assert history == []
    for weight, reference in zip(started.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(weight.numpy(), reference.numpy().astype(np.float16).astype(np.float32))
    _, history = train(CONFIG, BRIEF, TRAINING_DATA, tmp_path, ignore, StartWeights(first))
    _, alone = trained(tmp_path)
    assert history[-1]["loss"] < alone[-1]["loss"]

    deeper = CONFIG.replace(layers=2)
    grown, _ = train(deeper, untouched, TRAINING_DATA, tmp_path, ignore, StartWeights(first))
    same = {weight.name: weight.numpy() for weight in started.trainable_variables}
    fitting = [weight for weight in grown.trainable_variables if weight.name in same]
    assert 0 < len(fitting) < len(grown.trainable_variables)
    for weight in fitting:
        np.testing.assert_array_equal(weight.numpy(), same[weight.name])
    wider = CONFIG.replace(d_model=20, vocab_size=TOKENIZER.vocab_size, ffn_dim=28)
    with pytest.raises(ThimbleError, match=r"train\.start.*no array"):
        train(wider, untouched, TRAINING_DATA, tmp_path, ignore, StartWeights(first))


@pytest.mark.parametrize("kind", ["rmsnorm, relu, learned, tied", "rmsnorm, gated, rotary, grouped"])
def test_a_model_of_other_tokens_begins_in_the_vectors_of_like_ones(tmp_path: Path, kind: str) -> None:
    config = config_of(kind, vocab_size=TOKENIZER.vocab_size, layers=1, context=40)
    old = lively(config)
    save_model(tmp_path / "old.npz", old, {}, exact=True)
    sources = [(5,), (6, 8), (), *[(7,)] * 300]
    other = config.replace(vocab_size=len(sources))
    start = StartWeights(tmp_path / "old.npz", sources)
    started, _ = train(other, TrainConfig(steps=0), TRAINING_DATA, tmp_path, ignore, start)
    untouched, _ = train(other, TrainConfig(steps=0), TRAINING_DATA, tmp_path, ignore)
    for name, axis in {"embed/table:0": 0, "head/kernel:0": 1}.items():
        tables = [
            np.moveaxis(weight.numpy(), axis, 0)
            for model in (old, started, untouched)
            for weight in model.trainable_variables
            if weight.name == name
        ]
        if tables:
            before, after, seed = tables
            np.testing.assert_array_equal(after[0], before[5])
            np.testing.assert_allclose(after[1], (before[6] + before[8]) / 2, rtol=1e-6)
            np.testing.assert_array_equal(after[2], seed[2])
            np.testing.assert_array_equal(after[-1], before[7])
    assert start.digest() != StartWeights(start.path).digest()


def test_layers_that_share_weights_begin_in_the_mean_of_theirs(tmp_path: Path) -> None:
    four = lively(CONFIG.replace(layers=4))
    save_model(tmp_path / "four.npz", four, {}, exact=True)
    shared = CONFIG.replace(layers=4, shared_layers=2)
    untouched = TrainConfig(steps=0)
    model, _ = train(shared, untouched, TRAINING_DATA, tmp_path, ignore, StartWeights(tmp_path / "four.npz"))
    assert shared.parameter_count == sum(weight.shape.num_elements() for weight in model.trainable_variables)
    for name, layers in (("layer0_up", (0, 1)), ("layer1_up", (2, 3))):
        mean = np.mean([four.get_layer(f"layer{i}_up").kernel.numpy() for i in layers], axis=0)
        np.testing.assert_allclose(model.get_layer(name).kernel.numpy(), mean, rtol=1e-6)


def test_batches_are_padded_sequences() -> None:
    sequences = [[1, *range(5, 5 + length), 2, 9, 3] for length in (3, 4, 20, 31, 36, 36, 3, 8)]
    sequences_seen = []
    for batch in itertools.islice(batches(sequences, 2, seed=1, context=40, max_buckets=3), 4):
        assert batch.dtype == np.int32
        assert batch.shape[1] in (13, 37, 40)
        sequences_seen += [tuple(int(token) for token in row if token != PAD) for row in batch]
    assert sorted(sequences_seen) == sorted(tuple(sequence) for sequence in sequences)


def test_no_batch_is_wider_than_the_context() -> None:
    """Positions end with the context, and 42 is one more than a multiple of 4."""
    widest = [1, *range(10, 48), 2, 9, 3]
    assert next(batches([widest] * 3, 2, seed=1, context=42)).shape == (2, 42)


@pytest.mark.parametrize("max_buckets", [1, 2, 4, 30])
def test_every_sequence_fits_into_the_widest_bucket(max_buckets: int) -> None:
    lengths = np.random.default_rng(3).integers(4, 91, 500)
    widths = bucket_widths(lengths, 90, max_buckets)
    assert len(widths) <= max_buckets and (np.diff(widths) > 0).all()
    assert lengths.max() - 1 <= widths[-1] <= 89


def test_buckets_are_where_the_sequences_are() -> None:
    lengths = np.repeat([9, 13, 41, 81], [1, 500, 400, 2])
    assert bucket_widths(lengths, 96, 3).tolist() == [12, 40, 80]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_hold_the_positions_that_count(parts: int) -> None:
    """Each after `<sep>`, with the token that follows; rows that do not divide stay together."""
    tokens = np.array([[1, 7, 2, 8, 3], [1, 7, 7, 2, 3], [1, 2, 8, 9, 3], [1, 2, 3, 0, 0]], np.int32)
    split = split_batch(tokens, parts, 2, np.array([0, 1, 0, 0], np.float32))
    assert len({part.positions.shape for part in split}) == 1 and len(split) == (2 if parts == 2 else 1)
    rows = 4 // len(split)
    found: list[tuple[int, int, int]] = []
    for number, part in enumerate(split):
        counted = part.targets != PAD
        assert (part.trusted[~counted] == 0).all()
        for position, target, trusted in zip(*(values[counted] for values in part[1:]), strict=True):
            row, column = divmod(int(position), part.tokens.shape[1])
            assert tokens[rows * number + row, column + 1] == target
            assert trusted == (rows * number + row != 1)
            found.append((rows * number + row, column, int(target)))
    assert found == [(0, 2, 8), (0, 3, 3), (1, 3, 3), (2, 1, 8), (2, 2, 9), (2, 3, 3), (3, 1, 3)]


@pytest.mark.parametrize("start", [1, 3, 5, 11])
def test_batches_go_on_from_any_number(start: int) -> None:
    sequences = [[1, number, 2, 3] for number in range(10, 30)]
    whole = itertools.islice(batches(sequences, 4, seed=3, context=16), start, start + 6)
    for expected, batch in zip(whole, batches(sequences, 4, seed=3, context=16, start=start), strict=False):
        np.testing.assert_array_equal(batch, expected)


def test_a_batch_larger_than_the_data_repeats_it() -> None:
    batch = next(batches([[1, 7, 2, 3], [1, 8, 2, 3]], 5, seed=1, context=16))
    assert batch.shape == (5, 5)
    assert set(batch[:, 1]) == {7, 8}


def test_schedule_rises_and_falls() -> None:
    rate = Schedule(1.0, 10, 100)
    rates = [rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rate(100) == pytest.approx(0.01)


def answer_loss_of_all_logits(model: keras.Model, tokens: np.ndarray) -> float:
    """By its definition: the mean cross-entropy of the tokens after `<sep>`."""
    log_probabilities = tf.nn.log_softmax(model(tokens[:, :-1])).numpy()
    counted = (np.cumsum(tokens[:, :-1] == SEP, axis=1) > 0) & (tokens[:, 1:] != PAD)
    return float(-np.take_along_axis(log_probabilities, tokens[:, 1:, None], -1)[..., 0][counted].mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_answers(kind: str) -> None:
    """Computed in halves, from the logits of the positions that count alone."""
    config = config_of(kind, vocab_size=TOKENIZER.vocab_size, context=40)
    model = lively(config)
    tokens = next(TRAINING_DATA.batches(6, 1))
    wanted = answer_loss_of_all_logits(model, tokens)
    step = TrainingStep(model, BRIEF)
    assert step.run(tokens, 0, 0.0) == pytest.approx(wanted, rel=1e-5)
    step.close()


def test_dropout_takes_its_own_bits() -> None:
    """A share of the elements, by its row alone; the others are scaled so that the mean stays."""
    x = tf.ones((200, 50))
    layers = [Dropout(0.25, number) for number in range(2)]
    bits = np.random.default_rng(1).integers(0, 1 << 16, (2, 10_100), np.uint16)
    with dropout_bits(tf.constant(bits)):
        found = [layer(x, training=True).numpy() for layer in layers]
    for row, values in zip(bits, found, strict=True):
        np.testing.assert_array_equal(values == 0, (row[:10_000] < 16_384).reshape(200, 50))
        assert np.unique(values).tolist() == [0.0, np.float32(1 / 0.75)]
    np.testing.assert_array_equal(layers[0](x), x)


def stopped(
    out: Path, config: TrainConfig, step: int, monkeypatch: pytest.MonkeyPatch, sent: int = signal.SIGINT
) -> BaseException:
    """A training that is asked to stop after a step; what it raised."""
    out.mkdir(exist_ok=True)
    end = TrainingStep.end
    calls = itertools.count(1)

    def counted(*arguments: Any, **options: Any) -> float:
        loss = end(*arguments, **options)
        if next(calls) == step:
            os.kill(os.getpid(), sent)
        return loss

    with monkeypatch.context() as during:
        during.setattr(TrainingStep, "end", counted)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as raised:
            trained(out, config)
    assert sorted(path.name for path in out.iterdir()) == [CHECKPOINT, "log"]
    return raised.value


@pytest.mark.variants(keep=1)
@pytest.mark.xla
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropout: float) -> None:
    """From the very step, to the weights and the history that it would have had, bit by bit."""
    monkeypatch.setattr(loop, "_EVALUATE_EVERY", 3)
    config = BRIEF.replace(dropout=dropout)
    whole, history = trained(tmp_path, config)
    cut = tmp_path / "cut"
    assert isinstance(stopped(cut, config, 5, monkeypatch), KeyboardInterrupt)
    done: list[int] = []
    end = TrainingStep.end

    def counted(step: TrainingStep, parts: Any, begun: Any, number: int, *rest: float) -> float:
        done.append(number)
        return end(step, parts, begun, number, *rest)

    monkeypatch.setattr(TrainingStep, "end", counted)
    resumed, same = trained(cut, config)
    assert done == [5, 6, 7]
    assert same == history and [entry["step"] for entry in history] == [3, 6, 8]
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sigterm_keeps_the_step_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)  # another library's, where its tests ran in this process
    raised = stopped(tmp_path / "cut", BRIEF, 1, monkeypatch, signal.SIGTERM)
    assert isinstance(raised, SystemExit) and raised.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    with np.load(tmp_path / "cut" / CHECKPOINT) as data:
        assert json.loads(str(data["facts"]))["step"] == 1


def test_a_checkpoint_is_written_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    save = Checkpoint.save
    monkeypatch.setattr(checkpointing, "_SECONDS", 0.0)

    def noted(checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
        seen.append(facts["step"])
        save(checkpoint, facts)

    monkeypatch.setattr(Checkpoint, "save", noted)
    trained(tmp_path, BRIEF.replace(steps=3))
    assert seen == [1, 2, 3, 3]


def test_a_training_that_diverges_stops_and_keeps_the_last_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "_SECONDS", 0.0)
    config = BRIEF.replace(steps=40, learning_rate=1e30)
    with pytest.raises(ThimbleError, match=r"diverged: (the loss of step|after step)") as caught:
        trained(tmp_path, config)
    assert "learning_rate` (it began with 1e+30)" in caught.value.remedy and "stays in" in caught.value.remedy
    with np.load(tmp_path / CHECKPOINT) as data:
        step = json.loads(str(data["facts"]))["step"]
        assert 0 < step < 40 and f"step {step}" in caught.value.remedy
        assert all(np.isfinite(data[name]).all() for name in data.files if name.startswith("v"))


def test_weights_that_are_no_numbers_never_replace_a_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = train(CONFIG, BRIEF.replace(steps=0), TRAINING_DATA, tmp_path, ignore)

    def spoil(number: int) -> None:
        weight = model.trainable_variables[0]
        weight.assign(tf.where(number == BRIEF.steps - 1, np.nan * weight, weight))

    with pytest.raises(ThimbleError, match=f"after step {BRIEF.steps}"):
        loop.fit(model, BRIEF, TRAINING_DATA, tmp_path, ignore, loop.Hooks(after=spoil))
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_damaged_checkpoint_means_to_start_anew(tmp_path: Path, keep: float) -> None:
    variable = tf.Variable([1.0, 2.0])
    path = tmp_path / CHECKPOINT
    checkpoint = Checkpoint(path, [variable], {"seed": 1})
    checkpoint.save({"step": 4})
    variable.assign([5.0, 6.0])
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else int(keep)])
    assert checkpoint.load() is None
    assert variable.numpy().tolist() == [5.0, 6.0]
    path.write_bytes(content)
    assert Checkpoint(path, [variable], {"seed": 2}).load() is None
    assert Checkpoint(path, [tf.Variable([0.0])], {"seed": 1}).load() is None
    assert checkpoint.load() == {"step": 4}
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_the_curve_is_a_csv(tmp_path: Path) -> None:
    config = BRIEF.replace(steps=21)
    _, history = trained(tmp_path, config)
    rows = read_history(tmp_path)
    assert (
        (tmp_path / HISTORY)
        .read_text(encoding="utf-8")
        .startswith("step,loss,learning_rate,dev_loss,dev_exact_match,seconds\n")
    )
    assert [row["step"] for row in rows] == [20, 21]
    assert "dev_loss" not in rows[0]
    assert rows[1]["dev_loss"] == history[-1]["dev_loss"] and rows[1]["learning_rate"] == Schedule(2e-3, 2, 21)(20)


@pytest.mark.xla
def test_training_stops_early_where_dev_gets_worse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two evaluations without a lower loss, with the weights of the lowest; a stop in between changes nothing."""
    monkeypatch.setattr(loop, "_EVALUATE_EVERY", 1)
    figures = [3.0, 2.0, 2.5, 2.2, 1.0]
    monkeypatch.setattr(
        loop, "_Dev", lambda *_: SimpleNamespace(figures=lambda: {"dev_loss": figures.pop(0), "dev_exact_match": 0.5})
    )
    config = BRIEF.replace(early_stopping=2)
    stopped_early, history = trained(tmp_path / "a", config)
    assert [entry["step"] for entry in history] == [1, 2, 3, 4]
    figures[:] = [1.0, 1.0]
    second, _ = trained(tmp_path / "b", BRIEF.replace(steps=2, ema=0.999))
    schedule = Schedule(BRIEF.learning_rate, BRIEF.warmup, 8)
    assert schedule(0) == Schedule(BRIEF.learning_rate, BRIEF.warmup, 2)(0)  # both warm up in the first two steps
    for a, b in zip(stopped_early, second, strict=True):
        np.testing.assert_array_equal(a, b)
    figures[:] = [3.0, 2.0, 2.5, 2.2, 1.0]
    stopped(tmp_path / "c", config, 3, monkeypatch)
    resumed, again = trained(tmp_path / "c", config)
    assert again == history
    for a, b in zip(stopped_early, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sentences_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ThimbleError, match=r"fits into 4 tokens[\s\S]*model\.context"):
        training_sequences(PlainCodec(TOKENIZER), PAIRS, 4)
