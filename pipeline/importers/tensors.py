"""Tensors of a checkpoint by their names, and how they become arrays of our layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.importers.refusals import Refusals

__all__ = ["VARIABLES", "SafeTensors", "Tensors", "names_of_layers", "refuse_others", "to_float"]

VARIABLES = (("kernel", "weight"), ("bias", "bias"))
"""Of a product: our names, and theirs."""
_FLOATS = ("F64", "F32", "F16", "BF16")
_WHOLE = "give the whole checkpoint: all of its .safetensors files, as the index names them"


class Tensors(Protocol):
    """A checkpoint's tensors."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """By name, as a row-major array has them."""
        ...

    def read(self, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The values of these tensors."""
        ...


@dataclass(frozen=True)
class SafeTensors:
    """One or more files of `safetensors`.

    Attributes:
        files: by tensor, which file holds it.
        shapes: by tensor.
    """

    files: Mapping[str, Path]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def open(cls, paths: Iterable[Path], refusals: Refusals) -> SafeTensors:
        """Reads the headers; numbers of another type are a reason to refuse.

        Raises:
            ThimbleError: no such file, or a damaged one.
        """
        from safetensors import SafetensorError, safe_open

        files: dict[str, Path] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            try:
                with safe_open(path, "numpy") as opened:
                    for name in opened.keys():  # noqa: SIM118 (no mapping)
                        part = opened.get_slice(name)
                        files[name], shapes[name] = path, tuple(part.get_shape())
                        if part.get_dtype() not in _FLOATS:
                            refusals.add(
                                f"the tensor {name} is of the type {part.get_dtype()}",
                                f"save the model in one of {', '.join(_FLOATS)}",
                            )
            except OSError as error:
                raise ThimbleError(f"cannot read {path}: {error.strerror or error}", _WHOLE) from None
            except SafetensorError as error:
                raise ThimbleError(f"{path} is no whole .safetensors file: {error}", _WHOLE) from None
        return cls(files, shapes)

    def read(self, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """See `Tensors`. Each file is read whole, one after the other."""
        import safetensors

        wanted, deserialize = set(names), cast(Any, safetensors.deserialize)
        arrays: dict[str, NDArray[np.float32]] = {}
        for path in sorted({self.files[name] for name in wanted}):
            for name, tensor in deserialize(path.read_bytes()):
                if name in wanted:
                    arrays[name] = to_float(bytes(tensor["data"]), tensor["dtype"]).reshape(tensor["shape"])
        return arrays


def to_float(data: bytes, kind: str) -> NDArray[np.float32]:
    """Numbers of a file as float32 [count].

    Args:
        data: little-endian.
        kind: `F64`, `F32`, `F16` or `BF16`.
    """
    if kind == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind]).astype(np.float32)


def names_of_layers(names: Mapping[str, str], layers: int) -> dict[str, str]:
    """Ours to theirs, with `{i}` in both for each layer."""
    return {
        ours.replace("{i}", str(i)): theirs.replace("{i}", str(i))
        for ours, theirs in names.items()
        for i in (range(layers) if "{i}" in theirs else [0])
    }


def refuse_others(
    tensors: Tensors,
    names: Mapping[str, str],
    is_optional: Callable[[str], bool],
    ignored: str,
    refusals: Refusals,
) -> dict[str, str]:
    """Refuses tensors that are missing, and those that nothing here reads.

    Args:
        tensors: of the checkpoint.
        names: ours to theirs.
        is_optional: whether one of ours may be missing.
        ignored: an expression of theirs that say nothing.
        refusals: gets the reasons.

    Returns:
        Those of `names` that are there.
    """
    present = {ours: theirs for ours, theirs in names.items() if theirs in tensors.shapes}
    missing = [theirs for ours, theirs in names.items() if ours not in present and not is_optional(ours)]
    others = [name for name in tensors.shapes if name not in names.values() and not re.fullmatch(ignored, name)]
    if missing:
        refusals.add(f"it lacks {_listed(missing)}", "give the whole checkpoint")
    if others:
        refusals.add(
            f"it has {_listed(others)}, which nothing here computes with",
            "take a plain model of this kind, with adapters merged into its weights",
        )
    return present


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more tensors" if len(names) > 3 else ""
    return f"the tensor{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more}"
