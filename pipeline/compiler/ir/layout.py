"""Where a program's buffers lie, and which of its layers are one loop."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.compiler.ir.program import Call, Number, Parameters, Place, Table

__all__ = ["Arena", "Field", "LayerLoop"]


@dataclass(frozen=True)
class Arena:
    """Offsets of buffers, the bytes from a token's part of each to the next token's, the arena's bytes in all, and the
    most bytes of activations that are alive at once."""

    offsets: dict[str, int]
    token_bytes: dict[str, int]
    bytes: int
    largest_live_set: int


@dataclass(frozen=True)
class Field:
    """A parameter that differs between layers: its C type, and its value for each layer."""

    ctype: str
    name: str
    values: tuple[Number | Place | Table | Parameters, ...]


@dataclass(frozen=True)
class LayerLoop:
    """`count` layers from the call `first` on, as many calls each.

    `calls` are one layer's, with a LoopField for what differs, and `tail_calls` those that the last layer has besides,
    where its tail begins. `same` maps each of their buffers to the one whose memory it shares, `names` what buffers and
    parts of the cache are called in the calls; `cache_bytes` lie between two layers' parts of the cache.
    """

    first: int
    count: int
    calls: tuple[Call, ...]
    tail_calls: tuple[Call, ...]
    fields: tuple[Field, ...]
    same: dict[str, str]
    names: dict[str, str]
    cache_bytes: int
