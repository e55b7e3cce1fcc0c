"""Training: batches, the schedule, the same result from the same seed, and going on where it was interrupted."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ThimbleError
from pipeline.network.checkpoint import save_model
from pipeline.recipes.schema import TrainConfig
from pipeline.text.tokenizers.byte_bpe import PAD
from pipeline.training import loop
from pipeline.training.loop import Schedule, TrainingData, batches, train, training_sequences
from tests.support.tiny_models import PAIRS, config_of, lively, tokenizer_of

TOKENIZER = tokenizer_of(340)
CONFIG = config_of("rmsnorm, relu, learned, tied", vocab_size=TOKENIZER.vocab_size, layers=1, context=40)
TRAINING_DATA = TrainingData(TOKENIZER, PAIRS, PAIRS[:2], CONFIG.context)
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
    started, history = train(CONFIG, untouched, TRAINING_DATA, tmp_path, ignore, first)
    assert history == []
    for weight, reference in zip(started.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(weight.numpy(), reference.numpy().astype(np.float16).astype(np.float32))
    _, history = train(CONFIG, BRIEF, TRAINING_DATA, tmp_path, ignore, first)
    _, alone = trained(tmp_path)
    assert history[-1]["loss"] < alone[-1]["loss"]

    deeper = dataclasses.replace(CONFIG, layers=2)
    grown, _ = train(deeper, untouched, TRAINING_DATA, tmp_path, ignore, first)
    same = {weight.name: weight.numpy() for weight in started.trainable_variables}
    fitting = [weight for weight in grown.trainable_variables if weight.name in same]
    assert 0 < len(fitting) < len(grown.trainable_variables)
    for weight in fitting:
        np.testing.assert_array_equal(weight.numpy(), same[weight.name])
    wider = dataclasses.replace(CONFIG, d_model=20, vocab_size=TOKENIZER.vocab_size, ffn_dim=28)
    with pytest.raises(ThimbleError, match=r"train\.start.*no array"):
        train(wider, untouched, TRAINING_DATA, tmp_path, ignore, first)


def test_layers_that_share_weights_begin_in_the_mean_of_theirs(tmp_path: Path) -> None:
    four = lively(dataclasses.replace(CONFIG, layers=4))
    save_model(tmp_path / "four.npz", four, {}, exact=True)
    shared = dataclasses.replace(CONFIG, layers=4, shared_layers=2)
    untouched = TrainConfig(steps=0)
    model, _ = train(shared, untouched, TRAINING_DATA, tmp_path, ignore, tmp_path / "four.npz")
    assert shared.parameter_count == sum(weight.shape.num_elements() for weight in model.trainable_variables)
    for name, layers in (("layer0_up", (0, 1)), ("layer1_up", (2, 3))):
        mean = np.mean([four.get_layer(f"layer{i}_up").kernel.numpy() for i in layers], axis=0)
        np.testing.assert_allclose(model.get_layer(name).kernel.numpy(), mean, rtol=1e-6)


def test_batches_are_padded_sequences() -> None:
    sequences = [[1, *range(5, 5 + length), 2, 9, 3] for length in (3, 4, 20, 31, 36, 36, 3, 8)]
    sequences_seen = []
    for batch in itertools.islice(batches(sequences, 2, seed=1, context=40), 4):
        assert batch.dtype == np.int32
        assert batch.shape[1] in (16, 32, 40)
        sequences_seen += [tuple(int(token) for token in row if token != PAD) for row in batch]
    assert sorted(sequences_seen) == sorted(tuple(sequence) for sequence in sequences)


def test_no_batch_is_wider_than_the_context() -> None:
    """Positions end with the context, and 40 is no multiple of 16."""
    widest = [1, *range(10, 46), 2, 9, 3]
    assert next(batches([widest] * 3, 2, seed=1, context=40)).shape == (2, 40)


@pytest.mark.parametrize("start", [1, 3, 5, 11])
def test_batches_go_on_from_any_number(start: int) -> None:
    sequences = [[1, number, 2, 3] for number in range(10, 30)]
    whole = itertools.islice(batches(sequences, 4, seed=3, context=16), start, start + 6)
    for expected, batch in zip(whole, batches(sequences, 4, seed=3, context=16, start=start), strict=False):
        np.testing.assert_array_equal(batch, expected)


def test_a_batch_larger_than_the_data_repeats_it() -> None:
    batch = next(batches([[1, 7, 2, 3], [1, 8, 2, 3]], 5, seed=1, context=16))
    assert batch.shape == (5, 16)
    assert set(batch[:, 1]) == {7, 8}


def test_schedule_rises_and_falls() -> None:
    rate = Schedule(1.0, 10, 100)
    rates = [rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rate(100) == pytest.approx(0.01)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    """With dropout, whose randomness comes from the seed too."""
    config = TrainConfig(steps=3, batch_size=4, warmup=1, dropout=0.2)
    first, _ = trained(tmp_path / "a", config)
    second, _ = trained(tmp_path / "b", config)
    other_seed, _ = trained(tmp_path / "c", TrainConfig(steps=3, batch_size=4, warmup=1, dropout=0.2, seed=2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != c).any() for a, c in zip(first, other_seed, strict=True))


def interrupt(monkeypatch: pytest.MonkeyPatch, out: Path) -> Path:
    """A run that ends at step 6, with a checkpoint of step 4; the checkpoint."""
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY", 4)
    out.mkdir()
    make_step = loop.make_step

    def make(*arguments: object) -> object:
        step, state = make_step(*arguments)  # type: ignore[arg-type]
        calls = itertools.count(1)

        def run(tokens: np.ndarray, rate: float) -> float:
            if next(calls) > 6:
                raise KeyboardInterrupt
            return step(tokens, rate)

        return run, state

    with monkeypatch.context() as during:
        during.setattr(loop, "make_step", make)
        with pytest.raises(KeyboardInterrupt):
            trained(out)
    assert [path.name for path in out.iterdir()] == ["checkpoint.npz"]
    return out / "checkpoint.npz"


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the weights that it would have had, and it leaves no checkpoint behind."""
    whole, _ = trained(tmp_path)
    checkpoint = interrupt(monkeypatch, tmp_path / "cut")
    steps: list[float] = []
    make_step = loop.make_step

    def make(*arguments: object) -> object:
        step, state = make_step(*arguments)  # type: ignore[arg-type]

        def counted(tokens: Any, rate: float) -> Any:
            steps.append(rate)
            return step(tokens, rate)

        return counted, state

    monkeypatch.setattr(loop, "make_step", make)
    resumed, history = trained(checkpoint.parent)
    assert len(steps) == 4
    assert [entry["step"] for entry in history] == [8]
    assert not checkpoint.exists()
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_damaged_checkpoint_means_to_start_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: float) -> None:
    monkeypatch.setattr(loop, "_EVALUATE_EVERY", 10_000)
    checkpoint = interrupt(monkeypatch, tmp_path / "cut")
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    _, history = trained(checkpoint.parent)
    assert [entry["step"] for entry in history] == [8]


def test_another_models_checkpoint_is_left_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "checkpoint.npz", v0=np.zeros((2, 2)), history="[]", step=4)
    weights, _ = trained(tmp_path)
    assert all(np.isfinite(values).all() for values in weights)


def test_sentences_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ThimbleError, match=r"fits into 4 tokens[\s\S]*model\.context"):
        training_sequences(TOKENIZER, PAIRS, 4)
