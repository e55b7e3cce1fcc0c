"""Configurations: what a recipe may say, and the errors of others."""

from __future__ import annotations

import pytest
import yaml

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import DistillConfig, ModelConfig, PruneConfig, QatConfig, TrainConfig, variants
from pipeline.resources import ROOT


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"widht": 64}, "widht"),
        ({"d_model": "64"}, "model.d_model"),
        ({"d_model": 64.0}, "model.d_model"),
        ({"tied_embeddings": 1}, "model.tied_embeddings"),
        ({"layers": True}, "model.layers"),
        ({"layers": None}, "model.layers"),
        ({"layers": 0}, "model.layers"),
        ({"context": -1}, "model.context"),
        ({"ffn": "swish"}, "model.ffn"),
        ({"rope_base": 1}, "model.rope_base"),
        ({"rope_scaling": {"kind": "yarn", "factor": 2}}, "model.rope_scaling.kind"),
        ({"rope_scaling": {"kind": "linear"}}, "model.rope_scaling.factor"),
        ({"rope_scaling": {"kind": "llama3", "factor": 8, "low_freq_factor": 4}}, "high_freq_factor"),
        ({"positions": "rotary", "rope_scaling": {"kind": "factors", "factors": [1, 2]}}, "model.rope_scaling"),
        ({"positions": "rotary", "window": 8, "rope_base": 500_000}, "model.window"),
        ({"rope_scaling": {"kind": "linear", "factor": 2}}, "model.rope_scaling"),
        ({"norm": "none"}, "model.norm"),
        ({"positions": "alibi"}, "model.positions"),
        ({"d_model": 64, "heads": 5}, "model.heads"),
        ({"heads": 4, "kv_heads": 3}, "model.kv_heads"),
        ({"heads": 2, "kv_heads": 4}, "model.kv_heads"),
        ({"d_model": 12, "heads": 4, "kv_heads": 4, "positions": "rotary"}, "rotary"),
        ({"variant": "enormous"}, "model.variant"),
        ({"variant": 3}, "model.variant"),
        ({"variant": "../recipes/home-en-nano"}, "model.variant"),
    ],
)
def test_an_impossible_model_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        ModelConfig.from_mapping(section)
    assert named in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"epochs": 3}, "epochs"),
        ({"steps": 1.5}, "train.steps"),
        ({"steps": -1}, "train.steps"),
        ({"learning_rate": -0.1}, "train.learning_rate"),
        ({"learning_rate": float("nan")}, "train.learning_rate"),
        ({"batch_size": 0}, "train.batch_size"),
        ({"warmup": -1}, "train.warmup"),
        ({"dropout": 1.0}, "train.dropout"),
        ({"dropout": -0.1}, "train.dropout"),
        ({"ema": 1.0}, "train.ema"),
        ({"weight_decay": -1}, "train.weight_decay"),
        ({"seed": -1}, "train.seed"),
    ],
)
def test_an_impossible_training_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        TrainConfig.from_mapping(section)
    assert named in caught.value.what


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"amount": 0.5}, "amount"),
        ({"sparsity": 1.0}, "prune.sparsity"),
        ({"sparsity": 0}, "prune.sparsity"),
        ({"sparsity": "half"}, "prune.sparsity"),
        ({"ramp": 0}, "prune.ramp"),
        ({"ramp": 1.5}, "prune.ramp"),
        ({"steps": 0}, "prune.steps"),
        ({"pattern": "3:4"}, "prune.pattern"),
        ({"pattern": 124}, "prune.pattern"),  # what YAML makes of 2:4 without quotes
        ({"pattern": "2:4", "sparsity": 0.75}, "prune.sparsity"),
        ({"pattern": "2:4", "block": [4, 4]}, "prune.block"),
        ({"block": [4, 4]}, "prune.block"),
        ({"pattern": "block", "block": [4]}, "prune.block"),
        ({"pattern": "block", "block": [4, 0]}, "prune.block"),
        ({"pattern": "block", "block": [1, 1]}, "prune.block"),
        ({"pattern": "block", "block": 4}, "prune.block"),
        ({"pattern": "block", "block": [4, True]}, "prune.block"),
    ],
)
def test_an_impossible_pruning_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        PruneConfig.from_mapping(section)
    assert named in caught.value.what


def test_n_of_m_says_the_sparsity() -> None:
    assert PruneConfig.from_mapping({"pattern": "1:4"}).sparsity == 0.75
    assert PruneConfig.from_mapping({"pattern": "2:4", "sparsity": 0.5}).sparsity == 0.5


def test_older_weights_know_nothing_of_patterns() -> None:
    """The digests in shipped weights hold the keys of their time."""
    assert "pattern" not in PruneConfig().fingerprint_data()
    assert PruneConfig(pattern="block").fingerprint_data()["pattern"] == "block"


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({}, "teacher"),
        ({"teacher": "t.yaml", "alpha": 1.5}, "distill.alpha"),
        ({"teacher": "t.yaml", "spoiled": -0.1}, "distill.spoiled"),
        ({"teacher": "t.yaml", "labelled": -1}, "distill.labelled"),
        ({"teacher": "t.yaml", "relabelled": 10}, "distill.relabelled"),
        ({"teacher": "t.yaml", "temperature": 0}, "distill.temperature"),
        ({"teacher": "t.yaml", "steps": 0}, "distill.steps"),
        ({"teacher": 3}, "distill.teacher"),
    ],
)
def test_an_impossible_distillation_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        DistillConfig.from_mapping(section)
    assert named in caught.value.what


@pytest.mark.parametrize(
    ("section", "named"),
    [({"bits": 4}, "bits"), ({"steps": 0}, "qat.steps"), ({"learning_rate": 0}, "qat.learning_rate")],
)
def test_an_impossible_training_in_integers_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        QatConfig.from_mapping(section)
    assert named in caught.value.what


def test_a_whole_number_is_a_number() -> None:
    assert TrainConfig.from_mapping({"learning_rate": 1}).learning_rate == 1


def test_a_variant_can_be_overridden() -> None:
    plain = ModelConfig.from_mapping({"variant": "small"})
    wider = ModelConfig.from_mapping({"variant": "small", "ffn_dim": plain.ffn_dim * 2})
    assert wider.ffn_dim == 2 * plain.ffn_dim
    assert wider.d_model == plain.d_model


def test_shipped_recipes_span_sizes_and_kinds() -> None:
    """Three variants from about 90 K to at most 400 K parameters, embeddings included, of more than one kind."""
    assert len(variants()) >= 3
    counts, kinds = [], set()
    for path in sorted((ROOT / "models").glob("home-en-*/recipe.yaml")):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = ModelConfig.from_mapping({**recipe["model"], **recipe["tokenizer"]})
        counts.append(config.parameter_count)
        kinds.add((config.ffn, config.positions, config.kv_heads == config.heads))
    assert len(counts) >= 3
    assert max(counts) <= 400_000
    assert min(counts) <= 100_000
    assert len(kinds) >= 2
