"""A home's names on a running board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import DeviceError, ThimbleError
from .protocol import Device, Names

__all__ = ["PushedNames", "push_names"]


@dataclass(frozen=True)
class PushedNames:
    """What became of the names that a board was given.

    Attributes:
        names: what the board has now.
        unknown: how many were left out of each kind that the model does not know.
        left_out: texts for which there was no memory.
        refused: texts that are no names for the board, and why.
        not_stored: why the board has not kept them over a loss of power; empty where it has, or was not asked to.
    """

    names: Names
    unknown: Mapping[str, int]
    left_out: tuple[str, ...]
    refused: Mapping[str, str]
    not_stored: str


def push_names(
    device: Device,
    names: Iterable[tuple[str, str, str]],
    *,
    is_stored: bool = True,
    progress: Callable[[int], None] | None = None,
) -> PushedNames:
    """Gives a board these names instead of those that it was given before. Those of its image stay, below them.

    Args:
        device: the board.
        names: kind, value and text of each, see `Device.add_name`; what stands first is sooner sure of its place.
        is_stored: whether the board shall keep them over a loss of power, where it can.
        progress: called with the number of names done.

    Raises:
        ThimbleError: the board takes no names.
        DeviceError: it broke down.
    """
    info = device.info()
    if not info.names_bytes:
        raise ThimbleError(
            f"the board with {info.model} takes no names",
            "build its firmware of a model with answer tokens, and with -DTHIMBLE_NAMES_BYTES above 0",
        )
    unknown: Counter[str] = Counter()
    left_out: list[str] = []
    refused: dict[str, str] = {}
    device.clear_names()
    for count, (kind, value, text) in enumerate(names, 1):
        if kind in unknown:
            unknown[kind] += 1
            continue
        try:
            device.add_name(kind, value, text)
        except DeviceError as error:
            if error.code == "out-of-range":
                unknown[kind] += 1
            elif error.code == "full":
                left_out.append(text)
            elif error.code in ("too-long", "line-too-long", "malformed"):
                refused[text] = error.text
            else:
                raise
        if progress is not None:
            progress(count)
    not_stored = ""
    if is_stored:
        try:
            device.store_names()
        except DeviceError as error:
            if error.code not in ("unsupported", "full", "store"):
                raise
            not_stored = error.text
    return PushedNames(device.names(), dict(unknown), tuple(left_out), refused, not_stored)
