"""A model of another project as its reader gives it: sizes, weights by the names of our layers, and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import ModelConfig
from pipeline.text.prompt import PromptTokenizer

if TYPE_CHECKING:
    import tf_keras as keras

__all__ = ["Arrays", "ImportedModel", "decoder_of", "halves"]

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ImportedModel:
    """What a reader found; weights are read when all else is checked.

    Attributes:
        title: what the model is, for its recipe's description.
        files: what it was read from; the first one names it.
        sizes: keys of `ModelConfig` but for `context` and `tied_embeddings`.
        max_context: positions that it can be used with.
        reason: what `max_context` is for, as "was trained with".
        is_tied: whether its logits use the embedding's table.
        parameter_count: trained numbers.
        tokenizer: whose ids are the model's.
        read: float32 arrays by layer and variable of `pipeline.network.decoder`, as `layer0_q/kernel` [in, out];
            biases that are not there are zero, and a `head/kernel` that is not there is the embedding's.
    """

    title: str
    files: tuple[Path, ...]
    sizes: Mapping[str, Any]
    max_context: int
    reason: str
    is_tied: bool
    parameter_count: int
    tokenizer: PromptTokenizer
    read: Callable[[], Arrays]

    @property
    def can_be_fitted(self) -> bool:
        """Whether it can be fitted to integers, once its logits have a table of their own."""
        return self.config(1).can_be_fitted

    def config(self, context: int, is_tied: bool = False, **changes: Any) -> ModelConfig:
        """The model, compiled for `context` positions.

        Args:
            context: positions.
            is_tied: whether logits use the embedding's table.
            changes: further keys of the model.

        Raises:
            ThimbleError: more positions than the model can be used with.
        """
        if not 1 <= context <= self.max_context:
            raise ThimbleError(
                f"a context of {context} tokens, and the checkpoint {self.reason} {self.max_context}",
                f"use 1 to {self.max_context}",
            )
        values = {**self.sizes, "context": context, "tied_embeddings": is_tied, **changes}
        return ModelConfig.from_mapping(values)


def decoder_of(arrays: Arrays, config: ModelConfig, source: Path) -> keras.Model:
    """The training model with a checkpoint's weights.

    Args:
        arrays: as `ImportedModel.read` gives them.
        config: of the model.
        source: for messages.

    Raises:
        ThimbleError: weights that are missing, of another shape, or no finite numbers.
    """
    from pipeline.network.decoder import build_decoder

    arrays = {**arrays}
    if not config.tied_embeddings and "head/kernel" not in arrays and "embed/table" in arrays:
        arrays["head/kernel"] = arrays["embed/table"].T
    decoder = build_decoder(config)
    for weight in decoder.trainable_variables:
        name = weight.name.removesuffix(":0")
        values = arrays.get(name)
        if values is None and name.endswith("/bias"):
            continue  # which begins as zeros
        if values is not None and name == "embed/positions":
            values = values[: config.context]
        if values is None or values.shape != tuple(weight.shape):
            there = "nothing" if values is None else list(values.shape)
            raise ThimbleError(
                f"{source} is no whole model: of {name} it has {there}, not {list(weight.shape)}",
                "give the whole checkpoint, with the configuration that belongs to it",
            )
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            raise ThimbleError(
                f"{source} holds {bad:,} numbers in {name} that are not finite", "give a sound checkpoint"
            )
        weight.assign(values)
    return decoder


def halves(rows: NDArray[np.float32], head_size: int) -> NDArray[np.float32]:
    """Of each head, the even rows and then the odd ones: [heads · head_size, ...].

    llama2.c and llama.cpp turn neighbours, 2j and 2j + 1, of a head by one angle; our decoder turns j and j + width/2.
    The rows of q and k in that order change no score.
    """
    heads = rows.reshape(-1, head_size // 2, 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)
