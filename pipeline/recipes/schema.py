"""What a recipe may say: one model a section, checked when it is made.

The docstring below a key is its description in docs/schemas/recipe.schema.json.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipeline.errors import ConfigError, Problem, ThimbleError
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow, strided_window, window_metadata
from pipeline.numerics.rope import BASE, rope_frequencies
from pipeline.recipes.paths import MODELS, RECIPE, SHIPPED, WEIGHTS, identity, resolve, shipped_models
from pipeline.targets.boards import all_boards
from pipeline.validation import (
    Complaint,
    Name,
    Number,
    StrictModel,
    complain,
    complaint,
    did_you_mean,
    repeat,
    validate,
)

__all__ = [
    "AIMS",
    "ENGINES",
    "PATTERNS",
    "AnswersConfig",
    "Budgets",
    "CommandsConfig",
    "CorpusConfig",
    "DistillConfig",
    "EvaluateConfig",
    "HomeAssistantConfig",
    "ModelConfig",
    "PairsConfig",
    "PruneConfig",
    "QatConfig",
    "QuantizeConfig",
    "Recipe",
    "SentenceExample",
    "SentenceHints",
    "SentencesConfig",
    "SplitRule",
    "TaskConfig",
    "TextTask",
    "TokenizerConfig",
    "ToolExample",
    "ToolsConfig",
    "TrainConfig",
    "size_bytes",
    "task_config",
    "variants",
]

_Section = TypeVar("_Section", bound=StrictModel)

VARIANTS = MODELS / "variants"

Engine = Literal["aot", "tflm", "tflm-reference"]
ENGINES: Mapping[str, str | None] = {"aot": None, "tflm": "cmsis_nn", "tflm-reference": ""}
"""What runs the model on the device: our own compiler's C, or TensorFlow Lite Micro with kernels as its Makefile calls
them (`pipeline.firmware.tflm_library.KERNELS`)."""
Objective = Literal["balanced", "speed", "size"]
AIMS: tuple[str, ...] = get_args(Objective)
"""What counts where weights can be held in several forms (`pipeline.compiler.Objective`)."""

Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|K|KB|KiB|M|MB|MiB)")
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


def size_bytes(key: str, value: object) -> int | None:
    """Bytes, from a number or text such as `256K` (1024 bytes a K, as flash sizes are).

    Raises:
        ConfigError: no size; names the key.
    """
    if value is None:
        return None
    match = None if isinstance(value, bool) else _SIZE.fullmatch(str(value))
    if match is None or float(match[1]) <= 0:
        raise ConfigError("", [Problem(key, f"`{key}` is {value!r:.40}, not a size", _SIZE_REMEDY)])
    return int(float(match[1]) * _UNITS[match[2][:1]])


_SIZE_REMEDY = "write bytes, or such as 256K or 1M"


def _size(value: object) -> int | None:
    try:
        return size_bytes("size", value)
    except ConfigError:
        complain([complaint("", f"is {value!r:.40}, not a size", _SIZE_REMEDY, value)])
        raise


def _known_shipped(text: str) -> str:
    name = text.removeprefix(SHIPPED)
    if text.startswith(SHIPPED) and name not in shipped_models():
        known = shipped_models()
        remedy = f"use one of: {', '.join(f'{SHIPPED}{model}' for model in known)}{did_you_mean(name, known)}"
        complain([complaint("", f"{text!r} names no shipped model", remedy, text)])
    return text


Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": rf"^{_SIZE.pattern}$"},
            ]
        }
    ),
]
"""Bytes, or text such as `256K`."""
LanguageCode = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,3}$")]
"""A language, such as `de`, `pt-BR` or `sr-Latn`."""
Texts = Annotated[tuple[str, ...], Field(strict=False)]
RecipePath = Annotated[str, AfterValidator(_known_shipped)]
"""A path, seen from the recipe's folder, or `shipped:NAME`."""


class TokenizerConfig(StrictModel):
    """The tokenizer: byte-level BPE, learned from the training sentences."""

    section: ClassVar[str] = "tokenizer"

    vocab_size: int = Field(512, ge=261, le=32767)
    """Token ids in all: 4 specials, 256 bytes, the rest learned pieces."""


class RopeScaling(StrictModel):
    """How rotary positions are stretched, in the words of Hugging Face's `config.json`."""

    section: ClassVar[str] = "model.rope_scaling"

    kind: Literal["linear", "llama3", "factors"]
    """All frequencies alike, the slow ones alone (Llama 3.1), or each by a factor of its own."""
    factor: Number = Field(1, ge=1)
    """`linear` and `llama3`: the frequencies become smaller by it."""
    low_freq_factor: Number = Field(1, gt=0)
    """`llama3`: pairs that turn fewer times within `original_context` are slowed down by all of `factor`."""
    high_freq_factor: Number = Field(4, gt=0)
    """`llama3`: pairs that turn more times are left as they are; those between, by a part."""
    original_context: int = Field(8192, ge=1)
    """`llama3`: positions of the first training."""
    factors: tuple[Annotated[Number, Field(gt=0)], ...] = Field((), strict=False)
    """`factors`: by what the frequency of each pair of a head is divided."""

    @model_validator(mode="after")
    def _check_factors(self) -> Self:
        if self.kind == "factors":
            missing = "factors" if not self.factors else None
        else:
            missing = "factor" if "factor" not in self.model_fields_set else None
        if missing:
            complain([complaint(missing, f"is missing with the kind {self.kind!r}", "add it", None)])
        if self.low_freq_factor >= self.high_freq_factor:
            what = f"is {self.high_freq_factor}, not above `low_freq_factor` {self.low_freq_factor}"
            complain([complaint("high_freq_factor", what, "use a larger number", self.high_freq_factor)])
        return self

    def scaled(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """The frequencies, in radians a position, stretched."""
        factors: Any = self.factor if self.kind == "linear" else self.factors
        if self.kind == "llama3":
            turns = self.original_context * frequencies / (2 * np.pi)
            kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
            share = np.clip(kept, 0.0, 1.0)
            factors = 1 / (share + (1 - share) / self.factor)
        stretched: NDArray[np.float64] = frequencies / np.asarray(factors)
        return stretched

    def fingerprint_data(self) -> dict[str, Any]:
        """Plain data, as a recipe has it."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in super().fingerprint_data().items()
        }


class ModelConfig(StrictModel):
    """A decoder-only transformer. In a recipe `variant: NAME` takes the keys of models/variants/NAME.yaml, and further
    keys override them."""

    section: ClassVar[str] = "model"
    shorthands: ClassVar[tuple[str, ...]] = ("variant",)
    added_later: ClassVar[frozenset[str]] = frozenset(
        {"window", "sinks", "shared_layers", "stride", "biases", "norm_epsilon", "rope_base", "rope_scaling"}
    )

    vocab_size: int = Field(512, ge=1)
    """Rows of the embedding; `tokenizer.vocab_size` in a recipe."""
    d_model: int = Field(64, ge=1)
    """Width of the residual stream."""
    layers: int = Field(2, ge=1)
    """Depth."""
    heads: int = Field(4, ge=1)
    """Query heads, which divide `d_model`."""
    kv_heads: int = Field(4, ge=1)
    """K/V heads, which divide `heads`; fewer than `heads` is grouped-query attention."""
    ffn: Literal["relu", "gelu", "gated"] = "relu"
    """Feed-forward part: ReLU, GELU (by the hyperbolic tangent, as in GPT-2), or gated (SwiGLU)."""
    ffn_dim: int = Field(128, ge=1)
    """Inner width of the feed-forward part."""
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    """Normalization."""
    positions: Literal["learned", "rotary"] = "learned"
    """How a token knows its position."""
    context: int = Field(96, ge=1)
    """Positions of prompt and answer together."""
    window: int = Field(0, ge=0)
    """Tokens that attention sees at most, and that the KV cache holds; text never ends then. 0: the whole context."""
    sinks: int = Field(0, ge=0)
    """The first tokens, which a window sees for good."""
    tied_embeddings: bool = True
    """Whether the logits use the embedding's table."""
    shared_layers: int = Field(1, ge=1)
    """Successive layers that share their weights, each with its own KV cache; divides `layers`."""
    stride: int = Field(0, ge=0)
    """With a window: tokens at its multiples are kept for good too, and the context ends. 0: none."""
    biases: bool = False
    """Whether all products of a layer have a bias; otherwise those of a feed-forward part that is not gated."""
    norm_epsilon: Number = Field(1e-5, gt=0)
    """What the norms add to the mean square."""
    rope_base: Number = Field(10_000, gt=1)
    """The base of rotary positions."""
    rope_scaling: RopeScaling | None = None
    """With rotary positions: how they are stretched beyond what a model was first trained with."""

    @model_validator(mode="before")
    @classmethod
    def _take_variant(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("variant") is None:
            return data
        values = dict(data)
        variant = values.pop("variant")
        if variant not in variants():
            remedy = f"use one of: {', '.join(variants())}{did_you_mean(variant, variants())}"
            complain([complaint("variant", f"{variant!r} is not known", remedy, variant)])
        text = (VARIANTS / f"{variant}.yaml").read_text(encoding="utf-8")
        return {**yaml.safe_load(text), **values}

    @model_validator(mode="after")
    def _check_dimensions(self) -> Self:
        complain([*self._head_complaints(), *self._window_complaints()])
        return self

    def _head_complaints(self) -> Iterator[Complaint]:
        if self.d_model % self.heads:
            what = f"{self.heads} does not divide `model.d_model` {self.d_model}"
            yield complaint("heads", what, "choose heads that divide the width", self.heads)
        elif self.positions == "rotary" and self.head_dim % 2:
            what = f"rotary needs an even head width, and d_model/heads is {self.head_dim}"
            yield complaint("positions", what, "change d_model or heads, or use learned positions", self.positions)
        if self.rope_scaling is not None:
            factors = self.rope_scaling.factors
            if self.positions != "rotary":
                what = "is given, and positions are learned"
                yield complaint("rope_scaling", what, "use `positions: rotary`, or take it out", None)
            elif factors and len(factors) != self.head_dim // 2:
                what = f"has {len(factors)} factors, and a head {self.head_dim // 2} pairs"
                yield complaint("rope_scaling", what, "give one a pair", None)
        if self.unbounded and not (self.rope_base == BASE and self.rope_scaling is None):
            what = f"is {self.window}: the device turns positions without an end by the base {BASE:,.0f} alone"
            yield complaint("window", what, "use a context without a window, or a `stride`", self.window)
        if self.heads % self.kv_heads:
            what = f"{self.kv_heads} does not divide `model.heads` {self.heads}"
            yield complaint("kv_heads", what, "choose kv_heads that divide the heads", self.kv_heads)
        if self.layers % self.shared_layers:
            what = f"{self.shared_layers} does not divide `model.layers` {self.layers}"
            remedy = "choose a number that divides the layers, 1 for weights of their own"
            yield complaint("shared_layers", what, remedy, self.shared_layers)

    def _window_complaints(self) -> Iterator[Complaint]:
        if self.window == 0 and self.sinks == 0 and self.stride == 0:
            return
        if not 2 <= self.window <= self.context:
            remedy = f"use 2 up to `context` ({self.context}), or 0 for no window"
            yield complaint("window", f"is {self.window}", remedy, self.window)
            return
        if self.sinks >= self.window - 1:
            remedy = f"keep fewer than the window less one ({self.window - 1}) for good"
            yield complaint("sinks", f"is {self.sinks}", remedy, self.sinks)
        if not self.stride:
            if self.positions != "rotary":
                what = f"is {self.window}, with learned positions: they end with the context"
                yield complaint("window", what, "use `positions: rotary`, a `stride`, or no window", self.window)
            return
        if self.stride < 2:
            yield complaint("stride", f"is {self.stride}", "use 2 or more, or 0 for none", self.stride)
            return
        stored = sum(position < self.sinks or position % self.stride == 0 for position in range(self.context))
        if stored > self.window - 2:
            what = f"{self.stride} keeps {stored} of {self.context} tokens, `model.window` {self.window}"
            remedy = "keep at least two fewer than the window: a larger stride, fewer sinks, or a larger window"
            yield complaint("stride", what, remedy, self.stride)

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.heads

    @property
    def rope_frequencies(self) -> tuple[float, ...]:
        """Radians that each pair of a head turns by from one position to the next."""
        frequencies = rope_frequencies(self.head_dim, self.rope_base)
        return tuple((self.rope_scaling.scaled(frequencies) if self.rope_scaling else frequencies).tolist())

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
    def kv_window_metadata(self) -> str:
        """What the .tflite says of the window; empty where there is none."""
        return window_metadata(self.window, self.sinks, self.stride, self.context) if self.window else ""

    @property
    def unbounded(self) -> bool:
        """Whether positions have no end; cosines and sines are inputs of the decode step then."""
        return bool(self.window) and not self.stride

    @property
    def can_be_fitted(self) -> bool:
        """Whether an imported model of this form is fitted to integers (`pipeline.training.fit_int`)."""
        forms = (self.norm, self.positions, self.ffn, self.biases, self.tied_embeddings)
        return forms == ("rmsnorm", "rotary", "gated", False, False)

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
        if self.biases or self.ffn != "gated":
            feed_forward += self.d_model + self.ffn_dim * (2 if self.ffn == "gated" else 1)
        if self.biases:
            attention += 2 * self.d_model + 2 * self.kv_dim
        embeddings = self.vocab_size * self.d_model * (1 if self.tied_embeddings else 2)
        if self.positions == "learned":
            embeddings += self.context * self.d_model
        return embeddings + self.weight_layers * (attention + feed_forward + 2 * norm) + norm


def variants() -> list[str]:
    """Names of the shipped model variants."""
    return sorted(path.stem for path in VARIANTS.glob("*.yaml"))


class TrainConfig(StrictModel):
    """A linear warm-up and a cosine schedule; weights are averaged (EMA) over about 1/(1−ema) steps."""

    section: ClassVar[str] = "train"
    added_later: ClassVar[frozenset[str]] = frozenset({"start", "early_stopping", "optimizer"})

    steps: int = Field(10_000, ge=0)
    """Batches. 0 takes the weights that `start` names as they are; without `start`, the seed's, for distillation."""
    batch_size: int = Field(64, ge=1)
    """Sentences a step."""
    learning_rate: Number = Field(2e-3, gt=0)
    """The schedule's peak; it falls to a hundredth."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` comes within a point of the same in half of the steps: the matrices' updates are made orthogonal, the rest
    is AdamW's."""
    warmup: int = Field(300, ge=0)
    """Steps until the peak."""
    weight_decay: Number = Field(0.05, ge=0)
    """Decoupled weight decay, of either optimizer."""
    dropout: Number = Field(0.05, ge=0, lt=1)
    """Share of activations that are dropped."""
    ema: Number = Field(0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are the result."""
    seed: int = Field(1, ge=0)
    """Decides the first weights, the order of the sentences and what is dropped."""
    start: RecipePath = ""
    """Weights in which training begins, seen from the recipe's folder, or `shipped:NAME`: of the same task and
    tokenizer. Arrays that fit by name and shape are taken, the others begin as the seed makes them."""
    early_stopping: int = Field(0, ge=0)
    """Evaluations in a row, one every 500 steps, without a lower loss on dev, after which training ends with the
    weights of the lowest; 0: never."""

    def fingerprint_data(self) -> dict[str, Any]:
        """Plain data for fingerprints; a shipped `start` is known by the model's name."""
        data = super().fingerprint_data()
        return {**data, "start": identity(self.start, WEIGHTS)} if "start" in data else data


class DistillConfig(StrictModel):
    """A larger model teaches, for `steps` with the settings of `train`."""

    section: ClassVar[str] = "distill"

    teacher: RecipePath = Field(min_length=1)
    """The recipe of a larger trained model with the same task and tokens, seen from this recipe's folder, or
    `shipped:NAME`."""
    steps: int = Field(5_000, ge=1)
    """Batches."""
    temperature: Number = Field(2.0, gt=0)
    """How soft the teacher's distributions are."""
    alpha: Share = 0.7
    """What they count; the true tokens count the rest."""
    spoiled: Share = 0.0
    """Share of each batch whose sentences are altered at random and answered by the teacher alone."""
    labelled: int = Field(0, ge=0)
    """The first so many training sentences keep their actions; 0: all do."""
    relabelled: int = Field(0, ge=0)
    """Of so many sentences behind them the teacher gives the actions."""

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.relabelled > 0 == self.labelled:
            remedy = "give the number of sentences that keep their actions too (`distill.labelled`), or neither"
            what = f"is {self.relabelled}, and `distill.labelled` is 0"
            complain([complaint("relabelled", what, remedy, self.relabelled)])
        return self

    def fingerprint_data(self) -> dict[str, Any]:
        """Plain data for fingerprints; a shipped teacher is known by the model's name."""
        return {**super().fingerprint_data(), "teacher": identity(self.teacher, RECIPE)}


PATTERNS: Mapping[str, float | None] = {
    "unstructured": None,
    "block": None,
    "2:4": 0.5,
    "1:4": 0.75,
    "heads": None,
    "channels": None,
}
"""What is pruned together, and the sparsity where the pattern fixes it."""

_Side = Annotated[int, Field(ge=1, le=64)]


class PruneConfig(StrictModel):
    """Magnitude pruning of the Dense kernels, by a polynomial schedule, with fine-tuning."""

    section: ClassVar[str] = "prune"
    added_later: ClassVar[frozenset[str]] = frozenset({"pattern", "block"})

    sparsity: Number = Field(0.5, gt=0, lt=1)
    """Share of each kernel that becomes zero; of `heads` and `channels` the share that is removed. N:M implies it."""
    steps: int = Field(2_000, ge=1)
    """Steps of fine-tuning."""
    ramp: Number = Field(0.6, gt=0, le=1)
    """Share of the steps in which the sparsity rises."""
    learning_rate: Number = Field(5e-4, gt=0)
    """The schedule's peak."""
    pattern: Literal["unstructured", "block", "2:4", "1:4", "heads", "channels"] = "unstructured"
    """What is pruned together. N:M leaves N of each M neighbours along the input. `heads` takes whole groups of heads
    (one K/V head and the query heads that share it) out of attention, `channels` inner channels out of the feed-forward
    part."""
    block: tuple[_Side, _Side] = Field((4, 4), strict=False)
    """Output rows and input columns of a block, from 1 to 64."""

    @field_validator("pattern", mode="before")
    @classmethod
    def _quoted(cls, pattern: object) -> object:
        if isinstance(pattern, int):
            remedy = f"use one of: {', '.join(PATTERNS)}, in quotes, since YAML reads 2:4 as a number"
            complain([complaint("", f"{pattern!r} is not known", remedy, pattern)])
        return pattern

    @field_validator("block", mode="before")
    @classmethod
    def _two_sides(cls, block: object) -> object:
        sides = block if isinstance(block, list | tuple) else ()
        if len(sides) != 2 or not all(type(side) is int and 1 <= side <= 64 for side in sides) or set(sides) == {1}:
            remedy = "give output rows and input columns from 1 to 64, such as [4, 4]"
            complain([complaint("", f"is {block!r:.40}", remedy, block)])
        return block

    @model_validator(mode="before")
    @classmethod
    def _implied_sparsity(cls, data: Any) -> Any:
        pattern = data.get("pattern") if isinstance(data, Mapping) else None
        implied = PATTERNS.get(pattern) if isinstance(pattern, str) else None
        return data if implied is None or "sparsity" in data else {**data, "sparsity": implied}

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        complaints = []
        implied = PATTERNS[self.pattern]
        if implied is not None and self.sparsity != implied:
            what = f"is {self.sparsity}, and {self.pattern} means {implied}"
            complaints.append(complaint("sparsity", what, "leave the sparsity out", self.sparsity))
        if "block" in self.model_fields_set and self.pattern != "block":
            what = f"is given with the pattern {self.pattern!r}"
            complaints.append(complaint("block", what, "use `pattern: block`, or no `block`", self.block))
        complain(complaints)
        return self


class QatConfig(StrictModel):
    """Quantization-aware training: fine-tuning with the integers' rounding and ranges in the forward pass."""

    section: ClassVar[str] = "qat"

    steps: int = Field(2_000, ge=1)
    """Steps of fine-tuning."""
    learning_rate: Number = Field(3e-4, gt=0)
    """The schedule's peak."""


class QuantizeConfig(StrictModel):
    """Which integers, and what sets their ranges."""

    section: ClassVar[str] = "quantize"
    added_later: ClassVar[frozenset[str]] = frozenset({"weights", "ranges"})

    calibration_sentences: Count = 200
    """Training sentences whose float run sets the ranges of the integers."""
    activations: Literal["int8", "int16"] = "int8"
    """int16 is finer, larger and slower."""
    weights: Literal["int8", "int4"] = "int8"
    """int4: from −7 to 7, which the compiler may pack into 4 bits."""
    ranges: Literal["minmax", "fitted"] = "minmax"
    """Ranges of all values that were met, or fitted ones (`pipeline.quantize.ranges`)."""


class EvaluateConfig(StrictModel):
    """How many sentences of each held-out split are measured."""

    section: ClassVar[str] = "evaluate"
    added_later: ClassVar[frozenset[str]] = frozenset({"quick"})

    host_sentences: Count = 600
    """On the host, by the int8 model."""
    device_sentences: Count = 100
    """On the emulated board."""
    quick: bool = False
    """Whether a run is one of few sentences: `run --quick` says so."""

    def as_quick(self) -> EvaluateConfig:
        """At most 50 sentences of a split on the host, and 10 on the board."""
        return self.replace(
            host_sentences=min(self.host_sentences, 50), device_sentences=min(self.device_sentences, 10), quick=True
        )


class AnswersConfig(StrictModel):
    """What the device does with an answer. Weights do not depend on it."""

    section: ClassVar[str] = "answers"
    added_later: ClassVar[frozenset[str]] = frozenset({"below"})

    threshold: Share = 0.0
    """Confidence below which nothing is done: the product of the probabilities of the answer's tokens."""
    below: Literal["nothing", "ask"] = "nothing"
    """What comes of an answer below the threshold besides: `ask` gives the two best ones, so that an assistant can ask
    which is meant."""
    grammar: str | None = None
    """Of answers in text: a file in GBNF, or a JSON Schema (`.json`), seen from the recipe's folder."""
    grammar_depth: int = Field(4, ge=0, le=32)
    """How often a rule of the grammar may stand within itself."""


class BoardBudgets(StrictModel):
    """Limits of what a board has, and of time on it."""

    flash: Size | None = None
    """Bytes of flash, or a size such as 256K."""
    ram: Size | None = None
    """Bytes of RAM, or a size such as 64K."""
    ms_per_token: float | None = Field(None, gt=0)
    """Milliseconds of the slowest step, by the high estimate at the board's clock."""
    ms_to_first_token: float | None = Field(None, gt=0)
    """Milliseconds of the longest prompt up to its first token, by the high estimate at the board's clock."""


Percent = Annotated[Number, Field(ge=0, le=100)]


class Budgets(BoardBudgets):
    """Limits that fail the run."""

    section: ClassVar[str] = "budgets"

    max_loss: Percent | None = None
    """Points of exact match, mean of all splits, that the quantized model may be below the float one."""
    min_exact_match: Percent | dict[str, Percent] | None = None
    """Exact match in percent that the quantized model must have: on each split, or by split."""
    max_perplexity: float | None = Field(None, ge=1)
    """Perplexity that the quantized model may have on the text that is measured."""
    max_perplexity_loss: Percent | None = None
    """By how many percent it may be above the float model's."""
    min_tests: Percent | None = None
    """Share in percent of the task's `tests` that must be right."""
    max_wrong_action: Percent | None = None
    """Share in percent of the task's `tests` that may do something else than was asked for."""
    boards: dict[str, BoardBudgets] = Field(default_factory=dict)
    """By board, what holds there instead of the limits above."""

    @field_validator("min_exact_match", mode="before")
    @classmethod
    def _percentages(cls, value: object) -> object:
        """One number or one by split; said here, since of a union each member would complain."""
        by_split = value if isinstance(value, Mapping) else {None: value}
        complain(
            complaint(() if split is None else (split,), f"is {share!r}", "use a number from 0 to 100", share)
            for split, share in by_split.items()
            if share is not None
            and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 100)
        )
        return value

    @field_validator("boards")
    @classmethod
    def _known_boards(cls, boards: dict[str, BoardBudgets]) -> dict[str, BoardBudgets]:
        known = [board.name for board in all_boards()]
        complain(
            complaint(name, "is no board", f"use one of: {', '.join(known)}{did_you_mean(name, known)}", name)
            for name in boards
            if name not in known
        )
        return boards

    def limits(self) -> dict[str, Any]:
        """All limits but those of boards, as plain data."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "boards"}

    def for_board(self, board: str) -> Budgets:
        """The limits that hold on a board."""
        limits = self.boards[board].fingerprint_data() if board in self.boards else {}
        return self.replace(boards={}, **{name: limit for name, limit in limits.items() if limit is not None})

    def fingerprint_data(self) -> dict[str, Any]:
        """Plain data for fingerprints."""
        return {**self.limits(), "boards": {name: limits.fingerprint_data() for name, limits in self.boards.items()}}


class TaskSection(StrictModel):
    """What all tasks have in common."""

    section: ClassVar[str] = "task"
    untrained: ClassVar[frozenset[str]] = frozenset({"home", "tests", "exclude"})
    """Keys that name files which decide nothing that is trained."""

    def as_given(self) -> dict[str, Any]:
        """The keys that the recipe gives, as it gives them."""
        return self.model_dump(exclude_unset=True, mode="json")

    @property
    def training_files(self) -> tuple[str, ...]:
        """Files, folders and patterns that decide what is trained on, seen from the recipe's folder."""
        return tuple(getattr(self, "files", ()))

    def fingerprint_data(self) -> dict[str, Any]:
        """Of these keys those that decide what is trained."""
        return {key: value for key, value in self.as_given().items() if key not in self.untrained}


class HomeAssistantConfig(TaskSection):
    """Home Assistant's own sentences: a spoken command in, the intent and its slots out."""

    section: ClassVar[str] = "task"

    name: Literal["home_assistant"] = "home_assistant"
    """The task."""
    language: LanguageCode = "en"
    """Any language code of `home-assistant-intents`."""
    seed: int = 1
    """Decides all sentences and what is held out."""
    home: str = ""
    """The home that ships with the model: a `home.yaml`, seen from the recipe's folder. Training makes up others."""
    exclude: tuple[str, ...] = Field((), strict=False)
    """Files of sentences that training must not see, seen from the recipe's folder: `tests.yaml`, JSON lines with
    `sentence`, or their hashes."""
    tests: str | None = None
    """A file with sentences that users say, and the answers that count as right; training does not see them."""
    held_out: bool = True
    """Whether templates and combinations are kept from training, to measure on; a product trains on all."""
    split_sentences: int = Field(600, ge=1)
    """Pairs of each held-out split."""
    weave: Share = 0.0
    """Share of training sentences that the language's structure and surface change."""
    nomatch: Share = 0.0
    """Share of training sentences on which nothing may be done: foreign ones, and commands that are denied."""
    talk: Share = 0.0
    """Share of training sentences that have a remark before or behind them ("it's dark in here, …"), with `nomatch`."""
    pointers: int = Field(6, ge=1, le=16)
    """Names and quantities of a sentence at which an answer can point."""
    polite: Share = 0.1
    """Share of training sentences with a filler word."""
    spoiled: Share = 0.1
    """Share of training sentences with a typo, or words swapped or dropped."""


class TextTask(TaskSection):
    """Text that goes on: the task of imported language models. There are no pairs; the float model itself writes the
    data."""

    section: ClassVar[str] = "task"

    name: Literal["text"] = "text"
    """The task."""
    seed: int = Field(1, ge=0)
    """Decides what the model writes."""
    calibration_tokens: int = Field(6_000, ge=1)
    """Tokens whose run sets the integers' ranges."""
    measured_tokens: int = Field(8_000, ge=1)
    """Tokens of other texts, on which the quantized model is measured."""
    fitting_tokens: int = Field(500_000, ge=1)
    """Tokens to fit the weights on, where the recipe asks for `qat`."""

    def calibration_texts(self, context: int) -> int:
        """How many texts of the context's length calibrate."""
        return math.ceil(self.calibration_tokens / context)

    def fitting_texts(self, context: int) -> int:
        """How many texts of the context's length weights are fitted on."""
        return math.ceil(self.fitting_tokens / context)

    def measured_texts(self, context: int) -> int:
        """How many texts of the context's length are measured; of the tokens of each the first is given."""
        return math.ceil(self.measured_tokens / max(context - 1, 1))


class CorpusConfig(TaskSection):
    """Plain text, such as stories, logs, code or chats: the model learns to go on with it."""

    section: ClassVar[str] = "task"

    name: Literal["corpus"] = "corpus"
    """The task."""
    files: tuple[str, ...] = Field(strict=False, min_length=1)
    """Files of UTF-8 text, folders or patterns such as `*.txt`, seen from the recipe's folder."""
    documents: Literal["blank_line", "file"] = "blank_line"
    """What a document is, at whose end the model ends too: what stands between blank lines, or a file."""
    held_out: Number = Field(0.1, ge=0, lt=1)
    """Share of the documents that training does not see: half of them watch it, on the others it is measured."""
    seed: int = Field(1, ge=0)
    """Decides which documents are held out."""


class SentenceExample(StrictModel):
    """A sentence that no template says, with its answer."""

    sentence: str = Field(min_length=1)
    """As it is said."""
    intent: str = Field(min_length=1)
    """What it asks for; `NoMatch` for nothing."""
    slots: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """What its slots hold."""


SlotType = Literal[
    "number", "percent", "degrees", "time", "date", "duration", "days", "hours", "minutes", "seconds", "name"
]
Weight = Annotated[Number, Field(gt=0, le=1000)]


class SentenceHints(StrictModel):
    """What Thimble wants to know of sentences beside what Home Assistant's format says: keys of a recipe's `task`, or
    of `thimble:` in a file of sentences. Where both give a key the recipe's entries win."""

    section: ClassVar[str] = "thimble"

    required: dict[str, Texts] = Field(default_factory=dict)
    """By intent, slots without which it means nothing: a sentence that leaves one out is no match."""
    exclusive: dict[str, Annotated[tuple[Texts, ...], Field(strict=False)]] = Field(default_factory=dict)
    """By intent, groups of slots of which an answer has one at most, such as `{Brew: [[delay, time]]}`."""
    default: dict[str, dict[str, str | int | float | bool]] = Field(default_factory=dict)
    """By intent, values of slots that a sentence may leave out, such as `{Brew: {count: 1}}`."""
    weight: dict[str, Weight] = Field(default_factory=dict)
    """By intent, how much more often than others it is drawn; 1 unless said."""
    open: tuple[str, ...] = Field((), strict=False)
    """Lists that grow on the device without training."""
    types: dict[str, SlotType] = Field(default_factory=dict)
    """By list that is a wildcard, what is said there. `days`, `hours`, `minutes` and `seconds` are durations, whose
    number the slot holds."""
    examples: tuple[SentenceExample, ...] = Field((), strict=False)
    """Sentences that no template says, with their answers."""
    nomatch: tuple[str, ...] = Field((), strict=False)
    """Sentences that ask for nothing, besides those of the language."""


class SplitRule(StrictModel):
    """Which sentences a held-out split has."""

    share: Share = 0.1
    """How many, of those that `by` tells apart."""
    by: Literal["sentence", "template", "answer", "value"] = "sentence"
    """What training never sees: the sentence, its template, its answer, or a value of one of its slots."""


def _split_rule(value: object) -> object:
    return {"share": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class CommandsConfig(TaskSection):
    """What tasks of commands from files have in common."""

    section: ClassVar[str] = "task"

    language: LanguageCode | None = None
    """A language's code; absent: that of the files."""
    home: str | None = None
    """A file with areas and things, which `{name}`, `{area}` and `{floor}` stand for."""
    tests: str | None = None
    """A file with sentences that users say, and the answers that count as right."""
    weave: Share = 0
    """Share of training sentences around which the language's other ways to say them are woven."""
    common: dict[str, str] = Field(default_factory=dict)
    """By name of phrases that many devices know, such as `stop` or `help`, the intent that they mean here."""
    nomatch_share: Share = 0.2
    """Share of training sentences that ask for nothing; `nomatch: 0.3` says it too. Where a template reads any
    sentence it is 0 unless given."""
    talk: Share = 0.1
    """Share of training sentences that have a remark before or behind them ("… , ich bin noch nicht wach"), where there
    are sentences that ask for nothing."""
    pointers: int = Field(6, ge=1, le=16)
    """Names and quantities of a sentence at which an answer can point."""
    splits: dict[str, Annotated[SplitRule, BeforeValidator(_split_rule)]] = Field(default_factory=dict)
    """Held-out splits by name: a share of sentences, or a share and what tells them apart. Absent: none, the model
    trains on all commands."""
    seed: int = Field(1, ge=0)
    """Decides all sentences and what is held out."""

    @model_validator(mode="before")
    @classmethod
    def _share(cls, data: Any) -> Any:
        """`nomatch: 0.3` is the share."""
        if isinstance(data, Mapping) and isinstance(data.get("nomatch"), int | float):
            rest = {key: value for key, value in data.items() if key != "nomatch"}
            return {"nomatch_share": data["nomatch"], **rest}
        return data


class SentencesConfig(SentenceHints, CommandsConfig):
    """Sentences from files in the format of Home Assistant's `custom_sentences`."""

    section: ClassVar[str] = "task"

    name: Literal["sentences"] = "sentences"
    """The task."""
    files: tuple[str, ...] = Field(strict=False, min_length=1)
    """Files, folders or patterns such as `*.yaml`, seen from the recipe's folder."""
    base: Literal["home_assistant"] | None = None
    """What lies below the files: the language's own intents, or nothing."""


class ToolExample(StrictModel):
    """Sentences that call a tool."""

    sentences: Texts = Field(min_length=1)
    """Templates as those of `custom_sentences`, in which `{parameter}` stands for what a parameter holds."""
    arguments: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Arguments that all of the sentences give, whatever they say."""

    @field_validator("arguments", mode="before")
    @classmethod
    def _quoted(cls, arguments: object) -> object:
        if isinstance(arguments, Mapping) and any(isinstance(name, bool) for name in arguments):
            what = "has a name that YAML reads as true or false"
            complain([complaint("", what, 'write on, off, yes and no in quotes: {"on": true}', arguments)])
        return arguments


def _tool_examples(value: object) -> object:
    """Sentences without arguments may stand as plain text."""
    if not isinstance(value, list | tuple):
        return value
    plain = [item for item in value if isinstance(item, str)]
    return [*([{"sentences": plain}] if plain else []), *(item for item in value if not isinstance(item, str))]


class ToolsConfig(CommandsConfig):
    """Functions to call, as the Model Context Protocol's `tools/list` and OpenAI's `tools` describe them, with
    sentences that call them."""

    section: ClassVar[str] = "task"

    name: Literal["tools"] = "tools"
    """The task."""
    files: tuple[str, ...] = Field(strict=False, min_length=1)
    """JSON files of tools: name and JSON schema of the parameters of each; seen from the recipe's folder."""
    examples: dict[str, Annotated[tuple[ToolExample, ...], BeforeValidator(_tool_examples), Field(strict=False)]] = (
        Field(default_factory=dict)
    )
    """By tool, sentences that call it: templates, or `{sentences, arguments}`; `[]` for a tool that is never called."""
    sentences: tuple[str, ...] = Field((), strict=False)
    """Files of sentences, as the task `sentences` reads them, whose intents are tools and whose slots are
    parameters."""

    @property
    def training_files(self) -> tuple[str, ...]:
        """The tools and their sentences."""
        return (*self.files, *self.sentences)


class PairsConfig(TaskSection):
    """Sentences and answers from files of one's own. Answers that all have the form `intent slot=value` are given in
    answer tokens, others as text."""

    section: ClassVar[str] = "task"

    name: Literal["pairs"] = "pairs"
    """The task."""
    files: tuple[str, ...] = Field(strict=False, min_length=1)
    """`.jsonl` with `sentence` and `answer`, `.csv` or `.tsv` with these two columns; seen from the recipe's folder."""
    language: LanguageCode = "en"
    """Code of the sentences' language."""
    lists: dict[str, Texts] = Field(default_factory=dict)
    """Names that the device knows before a sentence comes, by kind; answers then point at them."""
    seed: int = Field(1, ge=0)
    """Decides the order, and what is held out."""
    held_out: Number = Field(0.05, ge=0, lt=1)
    """Share of the pairs that training does not see, and on which it is measured."""
    nomatch: Share = 0.0
    """Share of training sentences on which nothing may be done: foreign ones, and commands that are denied."""
    pointers: int = Field(6, ge=1, le=16)
    """Names and quantities of a sentence at which an answer can point."""


TaskConfig = Annotated[
    CorpusConfig | HomeAssistantConfig | PairsConfig | SentencesConfig | TextTask | ToolsConfig,
    Field(discriminator="name"),
]
"""Where the data comes from; `name` says which task it is."""


class _TaskSection(StrictModel):
    task: TaskConfig


def task_config(data: Mapping[str, object]) -> TaskConfig:
    """The task that a recipe's `task` section describes.

    Raises:
        ConfigError: an unknown task or key, or values of the wrong type or range.
    """
    return validate(_TaskSection, {"task": dict(data)}).task


class Recipe(StrictModel):
    """One YAML file that says what to train, compress, compile and verify.

    Either the model is trained, or it was imported: then `task.name` is `text`, `weights` is its file, and its
    tokenizer lies beside it.
    """

    name: Name
    """Names the folder `build/NAME`: letters, digits, `-`, `_` and `.`."""
    description: str = ""
    """A line for the report."""
    task: TaskConfig
    """Where the data comes from."""
    tokenizer: TokenizerConfig
    """The tokenizer."""
    model: ModelConfig
    """The model: `variant: NAME` and keys that override it, or all keys."""
    train: TrainConfig = TrainConfig()
    """How the model is trained; imported models are not."""
    distill: DistillConfig | None = None
    """Distillation; absent: not done."""
    prune: PruneConfig | None = None
    """Pruning; absent: not done."""
    qat: QatConfig | None = None
    """Quantization-aware training; absent: not done."""
    quantize: QuantizeConfig = QuantizeConfig()
    """Quantization."""
    boards: tuple[str, ...] = Field(strict=False, min_length=1)
    """Names of boards; `python -m pipeline boards` lists them."""
    engine: Engine = "aot"
    """What runs the model: our compiler's C, or TensorFlow Lite Micro with CMSIS-NN's or its own kernels."""
    aim: Objective = "balanced"
    """What counts where weights can be held in several forms."""
    prompts: tuple[str, ...] = Field((), strict=False)
    """Sentences to verify on the board; absent: the task's examples."""
    answers: AnswersConfig = AnswersConfig()
    """When the device does nothing."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How much is measured."""
    budgets: Budgets = Budgets()
    """Limits that fail the run."""
    shipped: RecipePath | None = None
    """Weights that lie beside the recipe, or `shipped:NAME`; taken instead of training when they are what this recipe
    describes."""
    weights: RecipePath | None = None
    """The weights of an imported model."""

    _path: Path = PrivateAttr(default=Path("recipe.yaml"))

    @model_validator(mode="wrap")
    @classmethod
    def _check_kind(cls, data: Any, handler: Any, info: ValidationInfo) -> Self:
        """Checks what sections cannot be together too, also where others are wrong; empty ones count as absent."""
        complaints: list[Complaint] = []
        if isinstance(data, Mapping):
            data = {key: value for key, value in data.items() if value is not None or key in _REQUIRED}
            complaints = [*_kind_complaints(data), *_section_complaints(data)]
        try:
            recipe: Self = handler(data)
        except ValidationError as error:
            complain([*repeat(error), *complaints])
            raise
        complain(complaints)
        if isinstance(info.context, Path):
            recipe._path = info.context
        return recipe

    @field_validator("model", mode="before")
    @classmethod
    def _with_vocabulary(cls, model: Any, info: ValidationInfo) -> Any:
        """Takes the vocabulary's size from the tokenizer."""
        tokenizer = info.data.get("tokenizer")
        if tokenizer is None or not isinstance(model, Mapping):
            return model
        if model.get("vocab_size", tokenizer.vocab_size) != tokenizer.vocab_size:
            what = f"is {model['vocab_size']!r}, and `tokenizer.vocab_size` {tokenizer.vocab_size}"
            complain([complaint("vocab_size", what, "leave it out of `model`", model["vocab_size"])])
        return {**model, "vocab_size": tokenizer.vocab_size}

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def vocab_size(self) -> int:
        """Token ids in all."""
        return self.tokenizer.vocab_size

    @property
    def text(self) -> TextTask | None:
        """The task of an imported language model; None where the model is trained."""
        return self.task if isinstance(self.task, TextTask) else None

    @property
    def is_imported(self) -> bool:
        """Whether the weights are an imported model's."""
        return self.weights is not None

    @property
    def quick(self) -> bool:
        """Whether it is measured on few sentences."""
        return self.evaluate.quick

    @property
    def shipped_path(self) -> Path | None:
        """The file that `shipped` names."""
        return None if self.shipped is None else resolve(self.shipped, self.path.parent, WEIGHTS)

    @property
    def weights_path(self) -> Path | None:
        """The file that `weights` names."""
        return None if self.weights is None else resolve(self.weights, self.path.parent, WEIGHTS)

    @property
    def grammar_path(self) -> Path | None:
        """The file that `answers.grammar` names."""
        return None if self.answers.grammar is None else self.path.parent / self.answers.grammar

    @property
    def start_path(self) -> Path | None:
        """The file that `train.start` names."""
        return resolve(self.train.start, self.path.parent, WEIGHTS) if self.train.start else None

    @property
    def teacher_path(self) -> Path | None:
        """The recipe that `distill.teacher` names."""
        return None if self.distill is None else resolve(self.distill.teacher, self.path.parent, RECIPE)

    def with_boards(self, boards: Sequence[str]) -> Recipe:
        """A copy of the recipe for other boards.

        Raises:
            ValidationError: there is none (a ValueError).
        """
        return self.replace(boards=tuple(boards))

    def with_engine(self, engine: str) -> Recipe:
        """A copy of the recipe for another engine.

        Raises:
            ValidationError: there is no such engine (a ValueError).
        """
        return self.replace(engine=engine)

    def with_home(self, home: Path) -> Recipe:
        """A copy of the recipe with another home. Training does not depend on it.

        Raises:
            ThimbleError: its task knows no homes.
        """
        if not isinstance(self.task, HomeAssistantConfig | CommandsConfig):
            remedy = "leave the home out, or use `task: {name: sentences}` or `{name: home_assistant}`"
            raise ThimbleError(f"the task {self.task.name!r} of {self.name} knows no homes", remedy)
        return self.replace(task=self.task.replace(home=str(home.resolve())))

    def as_quick(self) -> Recipe:
        """The same recipe, measured on few sentences; a part of the fingerprints, so no full run takes its results."""
        return self.replace(evaluate=self.evaluate.as_quick())

    def fingerprint_data(self) -> dict[str, Any]:
        """The recipe as plain data for fingerprints, by section; without paths of files."""
        return self.part(*(key for key in type(self).model_fields if key not in ("boards", "shipped", "weights")))

    def part(self, *keys: str) -> dict[str, Any]:
        """The canonical plain data of the named sections, for fingerprints; None for those that are absent."""
        return {key: _plain(getattr(self, key)) for key in keys}


_TEXT_TASKS = ("text", "corpus")
"""Tasks of text that goes on, which has no answers."""
_REQUIRED = tuple(name for name, field in Recipe.model_fields.items() if field.is_required())


def _plain(value: Any) -> Any:
    if isinstance(value, StrictModel):
        return value.fingerprint_data()
    return list(value) if isinstance(value, tuple) else value


def _kind_complaints(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Keys that a recipe of a trained or of an imported model needs, or cannot have."""
    name = _task_name(data)
    if name is None:
        return
    yield from _budget_complaints(name, data.get("budgets"))
    if name == "corpus":
        yield from _answer_complaints(data.get("distill"))
    if name != "text":
        if "weights" in data:
            what = f"is given with the task {name!r}: only imported models have their own"
            yield complaint("weights", what, "use `task: {name: text}`, or take `weights` out", data["weights"])
        if "train" not in data:
            yield complaint("train", "is missing", "add it: how the model is trained")
        return
    if "weights" not in data:
        what = "is missing with `task: {name: text}`"
        yield complaint("weights", what, "write the recipe with `thimble import`")
    for key in ("train", "distill", "prune", "shipped"):
        if key in data:
            what = "is given with `task: {name: text}`: imported models are not trained"
            yield complaint(key, what, "take it out", data[key])


def _budget_complaints(name: str, budgets: object) -> Iterator[Complaint]:
    """Budgets of what the task does not measure."""
    if not isinstance(budgets, Mapping):
        return
    for key in ("max_loss", "min_exact_match") if name in _TEXT_TASKS else ("max_perplexity", "max_perplexity_loss"):
        if key in budgets:
            why = "text has no right answers" if name in _TEXT_TASKS else "answers are right or wrong"
            remedy = "use `max_perplexity_loss` or `max_perplexity`, or take it out"
            if name not in _TEXT_TASKS:
                remedy = "use `max_loss` or `min_exact_match`, or take it out"
            yield complaint(f"budgets.{key}", f"is given with `task: {{name: {name}}}`: {why}", remedy, budgets[key])


def _answer_complaints(distill: object) -> Iterator[Complaint]:
    """Ways to distill that tell sentences from answers."""
    for key in ("spoiled", "labelled", "relabelled"):
        if isinstance(distill, Mapping) and distill.get(key):
            what = "is given with `task: {name: corpus}`: text has no sentences with answers"
            yield complaint(f"distill.{key}", what, "take it out", distill[key])


def _section_complaints(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """What sections, each right by itself, cannot be together."""
    model, train = _valid(ModelConfig, data.get("model")), _valid(TrainConfig, data.get("train", {}))
    quantize = _valid(QuantizeConfig, data.get("quantize", {}))
    if model and quantize and quantize.activations == "int16" and model.norm == "layernorm":
        what = "int16 with `model.norm: layernorm` does not run on TensorFlow Lite Micro"
        yield complaint("quantize.activations", what, "use `norm: rmsnorm`, or int8 activations", "int16")
    if model and data.get("qat") and _task_name(data) == "text" and not model.can_be_fitted:
        what = "is given with an imported model of a kind that is not fitted to integers"
        remedy = "take it out; RMSNorm, rotary positions, SwiGLU, no biases and logits of their own can be fitted"
        yield complaint("qat", what, remedy)
    if train and train.steps == 0 and "distill" not in data and not train.start:
        what = "is 0, and there is neither `train.start` nor `distill`"
        yield complaint("train.steps", what, "use a whole number above 0", 0)
    if model and model.context < 2 and _task_name(data) == "corpus":
        yield complaint("model.context", "is 1, which has no token to go on with", "use 2 or more", model.context)
    prompts = data.get("prompts")
    if isinstance(prompts, list | tuple) and "" in prompts and _task_name(data) not in _TEXT_TASKS:
        yield complaint("prompts", "holds '', a prompt of nothing", "write a sentence", "")


def _valid(kind: type[_Section], data: Any) -> _Section | None:
    """A section, if it is right by itself."""
    try:
        return kind.model_validate(data)
    except ValidationError:
        return None


def _task_name(data: Mapping[str, Any]) -> Any:
    task = data.get("task")
    return task.get("name") if isinstance(task, Mapping) else getattr(task, "name", None)
