"""What a recipe says of the model and its training, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from pipeline.errors import ThimbleError
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow, strided_window
from pipeline.resources import ROOT

__all__ = ["DistillConfig", "ModelConfig", "PruneConfig", "QatConfig", "TrainConfig", "variants"]

VARIANTS = ROOT / "models" / "variants"
_CHOICES = {
    "ffn": ("relu", "gated"),
    "norm": ("rmsnorm", "layernorm"),
    "positions": ("learned", "rotary"),
}
_Section = TypeVar("_Section")


@dataclass(frozen=True)
class ModelConfig:
    """A decoder-only transformer.

    `kv_heads` below `heads` is grouped-query attention; `ffn_dim` is the inner width of the feed-forward part;
    `context` the number of positions of prompt and answer together. A `window` above 0 is the number of tokens that
    attention sees at most, the first `sinks` of them for good; the KV cache then holds that many, and generation has
    no end. With a `stride` those at its multiples are kept too, and the context ends. So many `shared_layers` behind
    one another have the same weights, each its own KV cache.
    """

    vocab_size: int = 512
    d_model: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 4
    ffn: str = "relu"
    ffn_dim: int = 128
    norm: str = "rmsnorm"
    positions: str = "learned"
    context: int = 96
    window: int = 0
    sinks: int = 0
    tied_embeddings: bool = True
    shared_layers: int = 1
    stride: int = 0

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> ModelConfig:
        """Reads a `model` section: `variant: NAME` for a file of models/variants, other keys override it.

        Raises:
            ThimbleError: an unknown key or variant, a wrong type, or dimensions that do not fit together.
        """
        values = dict(data)
        variant = values.pop("variant", None)
        if variant is not None:
            if variant not in variants():
                raise ThimbleError(f"`model.variant` {variant!r} is not known", f"use one of: {', '.join(variants())}")
            text = (VARIANTS / f"{variant}.yaml").read_text(encoding="utf-8")
            values = {**yaml.safe_load(text), **values}
        config = _section(cls, "model", values)
        for key, choices in _CHOICES.items():
            if getattr(config, key) not in choices:
                raise ThimbleError(
                    f"`model.{key}` {getattr(config, key)!r} is not known", f"use {' or '.join(choices)}"
                )
        for key in ("vocab_size", "d_model", "layers", "heads", "kv_heads", "ffn_dim", "context", "shared_layers"):
            if getattr(config, key) < 1:
                raise ThimbleError(f"`model.{key}` is {getattr(config, key)}", "use a whole number above 0")
        if config.d_model % config.heads:
            raise ThimbleError(
                f"`model.heads` {config.heads} does not divide `model.d_model` {config.d_model}",
                "choose heads that divide the width",
            )
        if config.heads % config.kv_heads:
            raise ThimbleError(
                f"`model.kv_heads` {config.kv_heads} does not divide `model.heads` {config.heads}",
                "choose kv_heads that divide the heads",
            )
        if config.layers % config.shared_layers:
            raise ThimbleError(
                f"`model.shared_layers` {config.shared_layers} does not divide `model.layers` {config.layers}",
                "choose a number that divides the layers, 1 for weights of their own",
            )
        if config.positions == "rotary" and config.head_dim % 2:
            raise ThimbleError(
                f"rotary positions need an even head width, and d_model/heads is {config.head_dim}",
                "change d_model or heads, or use learned positions",
            )
        _check_window(config)
        return config

    def as_dict(self) -> dict[str, Any]:
        """Plain data for fingerprints. Keys that came later are left out at their defaults, so that the weights of
        models without them still fit."""
        return _plain(self, later=("window", "sinks", "shared_layers", "stride"))

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.heads

    @property
    def kv_dim(self) -> int:
        """Width of a K or V row."""
        return self.kv_heads * self.head_dim

    @property
    def kv_window(self) -> SlidingWindow | StridedWindow | None:
        """The KV cache's order where attention has a window, None where it sees the whole context."""
        if self.window and self.stride:
            return strided_window(self.window, self.sinks, self.stride, self.context)
        return SlidingWindow(self.window, self.sinks) if self.window else None

    @property
    def unbounded(self) -> bool:
        """Whether positions have no end; cosines and sines are inputs of the decode step then."""
        return bool(self.window) and not self.stride

    @property
    def weight_layers(self) -> int:
        """Layers with weights of their own."""
        return self.layers // self.shared_layers

    def weights_of(self, layer: int) -> int:
        """The number in the name of a layer's weights."""
        return layer // self.shared_layers

    @property
    def cache_rows(self) -> int:
        """Tokens that the KV cache holds."""
        return self.window or self.context

    @property
    def kv_cache_bytes(self) -> int:
        """Size of the int8 KV cache."""
        return 2 * self.layers * self.kv_dim * self.cache_rows

    @property
    def parameter_count(self) -> int:
        """Trained numbers, embeddings included; tables of rotary positions are not trained."""
        norm = self.d_model * (2 if self.norm == "layernorm" else 1)
        attention = 2 * self.d_model * self.d_model + 2 * self.d_model * self.kv_dim
        feed_forward = self.d_model * self.ffn_dim * (3 if self.ffn == "gated" else 2)
        if self.ffn == "relu":
            feed_forward += self.ffn_dim + self.d_model  # its biases
        embeddings = self.vocab_size * self.d_model * (1 if self.tied_embeddings else 2)
        if self.positions == "learned":
            embeddings += self.context * self.d_model
        return embeddings + self.weight_layers * (attention + feed_forward + 2 * norm) + norm


@dataclass(frozen=True)
class TrainConfig:
    """AdamW with a linear warm-up and a cosine schedule; weights are averaged (EMA) over about 1/(1−ema) steps.

    `start` names a weights file, seen from the repository's root, in which training begins; with 0 `steps` its weights
    are taken as they are. Empty: the seed's, which 0 `steps` leave for distillation. With `early_stopping` above 0
    training ends after so many evaluations in a row, one every 500 steps, without a lower loss on dev, and takes the
    weights of the lowest.
    """

    steps: int = 10_000
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup: int = 300
    weight_decay: float = 0.05
    dropout: float = 0.05
    ema: float = 0.999
    seed: int = 1
    start: str = ""
    early_stopping: int = 0

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> TrainConfig:
        """Reads a `train` section.

        Raises:
            ThimbleError: an unknown key, a wrong type, or a value out of range.
        """
        config = _section(cls, "train", data)
        _positive("train", config, "batch_size", "learning_rate")
        for key in ("steps", "warmup", "weight_decay", "seed", "early_stopping"):
            if not getattr(config, key) >= 0:
                raise ThimbleError(f"`train.{key}` is {getattr(config, key)}", "use 0 or a number above it")
        for key in ("dropout", "ema"):
            if not 0 <= getattr(config, key) < 1:
                raise ThimbleError(f"`train.{key}` is {getattr(config, key)}", "use a share from 0 to below 1")
        return config

    def as_dict(self) -> dict[str, Any]:
        """Plain data for fingerprints, keys that came later left out at their defaults."""
        return _plain(self, later=("start", "early_stopping"))


@dataclass(frozen=True)
class DistillConfig:
    """A larger model teaches, for `steps` with the settings of `train`.

    `teacher` is the recipe of a trained model with the same tokens. Its distributions at `temperature` count `alpha`,
    the true tokens the rest. Of each batch a share is `spoiled`: sentences altered at random, with the teacher's answer
    alone. Where actions are short, the first `labelled` sentences keep theirs, and of the next `relabelled` the teacher
    says them.
    """

    teacher: str = ""
    steps: int = 5_000
    temperature: float = 2.0
    alpha: float = 0.7
    spoiled: float = 0.0
    labelled: int = 0
    relabelled: int = 0

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> DistillConfig:
        """Reads a `distill` section.

        Raises:
            ThimbleError: no teacher, an unknown key, a wrong type, or a value out of range.
        """
        config = _section(cls, "distill", data)
        if not config.teacher:
            raise ThimbleError("`distill` names no teacher", "add `teacher: RECIPE.yaml`, a larger model's recipe")
        _positive("distill", config, "steps", "temperature")
        for key in ("alpha", "spoiled"):
            if not 0 <= getattr(config, key) <= 1:
                raise ThimbleError(f"`distill.{key}` is {getattr(config, key)}", "use a share from 0 to 1")
        if config.labelled < 0 or config.relabelled < 0 or config.relabelled > 0 == config.labelled:
            raise ThimbleError(
                f"`distill.labelled` is {config.labelled} and `distill.relabelled` {config.relabelled}",
                "give the number of sentences that keep their actions, and of those that the teacher answers; "
                "or neither",
            )
        return config


PATTERNS: Mapping[str, float | None] = {
    "unstructured": None,
    "block": None,
    "2:4": 0.5,
    "1:4": 0.75,
    "heads": None,
    "channels": None,
}
"""What is pruned together, and the sparsity where the pattern fixes it."""


@dataclass(frozen=True)
class PruneConfig:
    """Magnitude pruning of the Dense kernels to `sparsity`, by a polynomial schedule over the first `ramp` of the
    fine-tuning's steps.

    `block` is in output rows × input columns. N:M leaves N of each M neighbours along the input. `heads` takes whole
    groups of heads (one K/V head and the query heads that share it) out of attention, `channels` inner channels out of
    the feed-forward part.
    """

    sparsity: float = 0.5
    steps: int = 2_000
    ramp: float = 0.6
    learning_rate: float = 5e-4
    pattern: str = "unstructured"
    block: tuple[int, int] = (4, 4)

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> PruneConfig:
        """Reads a `prune` section.

        Raises:
            ThimbleError: an unknown key, a wrong type, or a value out of range.
        """
        values = dict(data)
        pattern = values.get("pattern", cls.pattern)
        if pattern not in PATTERNS:
            quote = ", in quotes, since YAML reads 2:4 as a number" if isinstance(pattern, int) else ""
            raise ThimbleError(f"`prune.pattern` {pattern!r} is not known", f"use one of: {', '.join(PATTERNS)}{quote}")
        fixed = PATTERNS[str(pattern)]
        if fixed is not None and values.setdefault("sparsity", fixed) != fixed:
            raise ThimbleError(
                f"`prune.sparsity` is {values['sparsity']!r}, and {pattern} means {fixed}", "leave the sparsity out"
            )
        if "block" in values:
            if pattern != "block":
                raise ThimbleError(f"`prune.block` with the pattern {pattern!r}", "use `pattern: block`, or no `block`")
            values["block"] = _block(values["block"])
        config = _section(cls, "prune", values)
        _positive("prune", config, "steps", "learning_rate", "ramp")
        if not 0 < config.sparsity < 1:
            raise ThimbleError(f"`prune.sparsity` is {config.sparsity}", "use a share between 0 and 1")
        if config.ramp > 1:
            raise ThimbleError(f"`prune.ramp` is {config.ramp}", "use a share of the steps, at most 1")
        return config

    def as_dict(self) -> dict[str, Any]:
        """Plain data for fingerprints, keys that came later left out at their defaults."""
        return _plain(self, later=("pattern", "block"))


@dataclass(frozen=True)
class QatConfig:
    """Quantization-aware training: fine-tuning with the integers' rounding and ranges in the forward pass."""

    steps: int = 2_000
    learning_rate: float = 3e-4

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> QatConfig:
        """Reads a `qat` section.

        Raises:
            ThimbleError: an unknown key, a wrong type, or a value out of range.
        """
        config = _section(cls, "qat", data)
        _positive("qat", config, "steps", "learning_rate")
        return config


def _block(value: object) -> tuple[int, int]:
    sides = tuple(value) if isinstance(value, list | tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= 64 for side in sides) or sides == (1, 1):
        raise ThimbleError(
            f"`prune.block` is {value!r}", "give output rows and input columns from 1 to 64, such as [4, 4]"
        )
    return sides[0], sides[1]


def _check_window(config: ModelConfig) -> None:
    if config.window == 0 and config.sinks == 0 and config.stride == 0:
        return
    if not 2 <= config.window <= config.context:
        raise ThimbleError(
            f"`model.window` is {config.window}", f"use 2 up to `context` ({config.context}), or 0 for no window"
        )
    if not 0 <= config.sinks < config.window - 1:
        raise ThimbleError(
            f"`model.sinks` is {config.sinks}", f"keep fewer than the window less one ({config.window - 1}) for good"
        )
    if config.stride:
        _check_stride(config)
    elif config.positions != "rotary":
        raise ThimbleError(
            "`model.window` with learned positions: they end with the context",
            "use `positions: rotary`, a `stride`, or no window",
        )


def _check_stride(config: ModelConfig) -> None:
    if config.stride < 2:
        raise ThimbleError(f"`model.stride` is {config.stride}", "use 2 or more, or 0 for none")
    stored = sum(position < config.sinks or position % config.stride == 0 for position in range(config.context))
    if stored > config.window - 2:
        raise ThimbleError(
            f"`model.stride` {config.stride} keeps {stored} of {config.context} tokens, `model.window` {config.window}",
            "keep at least two fewer than the window: a larger stride, fewer sinks, or a larger window",
        )


def variants() -> list[str]:
    """Names of the shipped model variants."""
    return sorted(path.stem for path in VARIANTS.glob("*.yaml"))


def _section(kind: type[_Section], where: str, data: Mapping[str, object]) -> _Section:
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key, value in data.items():
        if key not in fields:
            raise ThimbleError(f"unknown key `{key}` in {where}", f"known keys: {', '.join(fields)}")
        expected_type = type(fields[key].default)
        accepted = (int, float) if expected_type is float else expected_type
        if not isinstance(value, accepted) or (isinstance(value, bool) and expected_type is not bool):
            raise ThimbleError(
                f"`{where}.{key}` is {value!r}, not {expected_type.__name__}", f"write it as {expected_type.__name__}"
            )
    return kind(**data)


def _plain(config: Any, later: Sequence[str]) -> dict[str, Any]:
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in later or getattr(config, field.name) != field.default
    }


def _positive(where: str, config: object, *keys: str) -> None:
    for key in keys:
        if not getattr(config, key) > 0:
            raise ThimbleError(f"`{where}.{key}` is {getattr(config, key)}", "use a number above 0")
