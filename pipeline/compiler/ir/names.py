"""The names of layers' parts, the one convention that passes may rely on: `layer3_q`, `layer0_attention_scratch`."""

from __future__ import annotations

__all__ = ["in_layer", "layer_of", "layer_part", "stem"]

_LAYER = "layer"


def layer_part(layer: int, part: str) -> str:
    """The name of a layer's part."""
    return f"{_LAYER}{layer}_{part}"


def _split(name: str) -> tuple[int, str] | None:
    number, underscore, part = name.removeprefix(_LAYER).partition("_")
    return (int(number), part) if name.startswith(_LAYER) and underscore and number.isdecimal() else None


def layer_of(name: str) -> int | None:
    """The number of the layer that the name begins with, None where it begins with none."""
    split = _split(name)
    return None if split is None else split[0]


def in_layer(name: str) -> str:
    """The name without its layer: `layer3_q` → `q`."""
    split = _split(name)
    return name if split is None else split[1]


def stem(name: str) -> str:
    """The name without its layer and the number at its end: `layer1_product3` → `product`, `norm_12` → `norm`."""
    part = in_layer(name)
    plain = part.rstrip("0123456789")
    return plain.removesuffix("_") if plain != part else part
