"""Checkpoints of llama2.c: trained weights, loaded into the same Keras model that Thimble trains.

The file is the one that llama2.c's `run.c` maps (github.com/karpathy/llama2.c, export version 0): seven int32 (dim,
hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then float32 weights, one kind after the other, each
for all layers. A negative vocab_size says that a classifier of its own ends the file.

Later versions have a header of 256 bytes: "ak42", the version, these seven numbers, and a byte that says whether the
logits use the embedding's table. The norms come first, then the other weights: of version 1 in float32, of version 2
each matrix as int8 values and then a float32 scale for each group of so many, which the header says last.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.importers.imported_model import ImportedModel, halves
from pipeline.numerics.rope import BASE
from pipeline.recipes.schema import ModelConfig
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer

__all__ = [
    "Checkpoint",
    "Header",
    "arrays_of",
    "read_checkpoint",
    "read_header",
    "read_llama2c",
    "refuse_other_files",
]

_FIELDS = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
_BYTES = 4 * len(_FIELDS)
_MAGIC = 0x616B3432  # "ak42": exports of version 1 and later
_LATER_BYTES = 256
_LATER = struct.Struct("<Ii7iBi")
_NORMS = ("rms_att", "rms_ffn", "rms_final")
_REMEDY = "give a checkpoint that llama2.c's export wrote with --version 0, 1 or 2, whole"
_IMPORT = "give it to `thimble import`, with all that belongs to it"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a .gguf file of llama.cpp", _IMPORT),
    (b"ggjt", "a file of llama.cpp from before .gguf", _REMEDY),
    (b"lmgg", "a file of llama.cpp from before .gguf", _REMEDY),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file itself",
        "run `git lfs pull`, or download the file",
    ),
    (b"PK\x03\x04", "a zip archive, such as a checkpoint of PyTorch", f"{_REMEDY} (export.py makes one of a .pt)"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first"),
    (b"\x80\x02", "a pickle, such as a checkpoint of PyTorch", f"{_REMEDY} (export.py makes one of a .pt)"),
    (b"\x89HDF", "an HDF5 file, such as Keras' weights", _REMEDY),
)
"""What other files begin with, what they are, and what to do."""
_OF_USE = ("context", "tied_embeddings")
"""Keys of a model that are not the checkpoint's."""
_TABLE_TOLERANCE = 2e-3
"""Of a stored cosine or sine; late positions get more, since their angles are rounded to float32."""


@dataclass(frozen=True)
class Header:
    """The file's header, in llama2.c's names; `tied`: logits use the embedding's table; `group_size`: of weights that
    share a scale, with version 2."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    tied: bool
    version: int = 0
    group_size: int = 0

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return self.dim // self.n_heads

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays behind the header in their order; matrices are [layers, out, in]. `freq_cis` holds two tables of
        rotary positions, which `run.c` computes itself and so do we; `read_checkpoint` compares them."""
        layers, dim, hidden, kv = self.n_layers, self.dim, self.hidden_dim, self.n_kv_heads * self.head_size
        shapes: dict[str, tuple[int, ...]] = {
            "token_embedding": (self.vocab_size, dim),
            "rms_att": (layers, dim),
            "wq": (layers, dim, dim),
            "wk": (layers, kv, dim),
            "wv": (layers, kv, dim),
            "wo": (layers, dim, dim),
            "rms_ffn": (layers, dim),
            "w1": (layers, hidden, dim),
            "w2": (layers, dim, hidden),
            "w3": (layers, hidden, dim),
            "rms_final": (dim,),
            "freq_cis": (2, self.seq_len, self.head_size // 2),
        }
        if self.version:
            del shapes["freq_cis"]
            shapes = {name: shapes.pop(name) for name in _NORMS} | shapes
        return shapes if self.tied else {**shapes, "wcls": (self.vocab_size, dim)}

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        if self.version == 2:
            counts = {name: math.prod(shape) for name, shape in self.shapes.items()}
            norms = 4 * sum(counts[name] for name in _NORMS)
            matrices = sum(counts.values()) - norms // 4
            return _LATER_BYTES + norms + matrices + 4 * (matrices // self.group_size)
        start = _LATER_BYTES if self.version else _BYTES
        return start + 4 * sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def parameter_count(self) -> int:
        """Trained numbers in the file."""
        return sum(math.prod(shape) for name, shape in self.shapes.items() if name != "freq_cis")

    def config(self, context: int) -> ModelConfig:
        """The model, compiled for `context` positions. The logits have a table of their own, also where the checkpoint
        ties it to the embedding's: quantized the two differ anyway, since the last norm's gain goes into the former.

        Raises:
            ThimbleError: more positions than the model was trained with.
        """
        if not 1 <= context <= self.seq_len:
            raise ThimbleError(
                f"a context of {context} tokens, and the checkpoint was trained with {self.seq_len}",
                f"use 1 to {self.seq_len}",
            )
        return ModelConfig.from_mapping(
            {
                "vocab_size": self.vocab_size,
                "d_model": self.dim,
                "layers": self.n_layers,
                "heads": self.n_heads,
                "kv_heads": self.n_kv_heads,
                "ffn": "gated",
                "ffn_dim": self.hidden_dim,
                "norm": "rmsnorm",
                "positions": "rotary",
                "context": context,
                "tied_embeddings": False,
            }
        )


@dataclass(frozen=True)
class Checkpoint:
    """A header and its arrays, float32, by the names of `Header.shapes`."""

    header: Header
    weights: dict[str, NDArray[np.float32]]


def read_header(path: Path) -> Header:
    """Reads and checks the header, and the file's length against it; nothing of that length is allocated.

    Raises:
        ThimbleError: no such file, another format, a model that cannot be, or another length than the header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_LATER.size)
    except OSError as error:
        raise ThimbleError(
            f"cannot read the checkpoint {path}: {error.strerror}", "name a llama2.c .bin file"
        ) from None
    if len(start) >= 4 and struct.unpack_from("<I", start)[0] == _MAGIC:
        header = _later_header(path, start)
    else:
        refuse_other_files(path)
        if len(start) < _BYTES:
            raise ThimbleError(f"{path} has {size} bytes, a llama2.c header alone has {_BYTES}", _REMEDY)
        values = dict(zip(_FIELDS, struct.unpack_from("<7i", start), strict=True))
        header = Header(**{**values, "vocab_size": abs(values["vocab_size"])}, tied=values["vocab_size"] > 0)
    _check(path, header)
    if size != header.file_bytes:
        wrong = "is cut off" if size < header.file_bytes else "has bytes behind its end"
        raise ThimbleError(f"{path} {wrong}: {size:,} bytes, its header says {header.file_bytes:,}", _REMEDY)
    return header


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads the whole file.

    Raises:
        ThimbleError: as `read_header`, or a weight that is no finite number.
    """
    header = read_header(path)
    weights = _quantized(path, header) if header.version == 2 else _floats(path, header)
    for name, values in weights.items():
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            raise ThimbleError(f"{path} holds {bad:,} numbers in {name} that are not finite", _REMEDY)
    if "freq_cis" in weights:
        _check_positions(path, weights["freq_cis"])
    return Checkpoint(header, weights)


def _floats(path: Path, header: Header) -> dict[str, NDArray[np.float32]]:
    data = np.fromfile(path, "<f4", offset=_LATER_BYTES if header.version else _BYTES)
    weights: dict[str, NDArray[np.float32]] = {}
    offset = 0
    for name, shape in header.shapes.items():
        weights[name] = data[offset : offset + math.prod(shape)].reshape(shape).astype(np.float32)
        offset += weights[name].size
    return weights


def _quantized(path: Path, header: Header) -> dict[str, NDArray[np.float32]]:
    """Of version 2: each matrix of each layer has its values, and then its scales."""
    data = np.fromfile(path, np.uint8, offset=_LATER_BYTES)
    weights: dict[str, NDArray[np.float32]] = {}
    offset = 0

    def take(count: int, kind: str) -> NDArray[np.float32]:
        nonlocal offset
        end = offset + count * np.dtype(kind).itemsize
        values = data[offset:end].view(kind).astype(np.float32)
        offset = end
        return values

    for name, shape in header.shapes.items():
        if name in _NORMS:
            weights[name] = take(math.prod(shape), "<f4").reshape(shape)
            continue
        layers = []
        count = math.prod(shape[-2:])
        for _ in range(math.prod(shape[:-2])):
            values = take(count, "i1").reshape(-1, header.group_size)
            layers.append(values * take(count // header.group_size, "<f4")[:, None])
        weights[name] = np.concatenate(layers).reshape(shape)
    return weights


def _later_header(path: Path, start: bytes) -> Header:
    """Of version 1 or 2.

    Raises:
        ThimbleError: it is cut off, or of another version.
    """
    if len(start) < _LATER.size:
        raise ThimbleError(f"{path} is cut off: {len(start)} bytes", _REMEDY)
    _, version, *values, tied, group_size = _LATER.unpack(start)
    if version not in (1, 2):
        raise ThimbleError(f"{path} is a llama2.c export of version {version}, which is not supported", _REMEDY)
    return Header(
        **dict(zip(_FIELDS, values, strict=True)),
        tied=bool(tied),
        version=version,
        group_size=group_size if version == 2 else 0,
    )


def refuse_other_files(path: Path) -> None:
    """Says what a file is that is no checkpoint of this kind, by its first bytes.

    Raises:
        ThimbleError: it is one that people have beside such a checkpoint.
    """
    with path.open("rb") as file:
        start = file.read(512)
    for magic, what, remedy in _OTHERS:
        if start.startswith(magic):
            raise ThimbleError(f"{path} is {what}", remedy)
    if len(start) > 9 and start[8:9] == b"{" and struct.unpack_from("<Q", start)[0] < path.stat().st_size:
        raise ThimbleError(
            f"{path} is a .safetensors file", "give the folder with it and its config.json to `thimble import`"
        )
    text = start.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if re.match(r"(?i)<(!doctype|html|head|\?xml)", text):
        raise ThimbleError(f"{path} is a page of the web", "download the file itself, not the page that shows it")
    if start and len(text.encode()) > 0.9 * len(start) and not re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise ThimbleError(f"{path} is text: {text[:40]!r} …", _REMEDY)


def _check_positions(path: Path, tables: NDArray[np.float32]) -> None:
    """Checks that the stored cosines and sines are those of the base that our decoder computes with.

    Args:
        path: of the checkpoint, for messages.
        tables: float32 [2, positions, head width / 2], cosines and then sines.

    Raises:
        ThimbleError: they are of another base, or of no rotation that is known.
    """
    _, positions, pairs = tables.shape
    angles = np.arange(positions)[:, None] * BASE ** (-np.arange(pairs) / pairs)
    tolerance = _TABLE_TOLERANCE + positions * 2.0**-22
    if np.abs(tables - np.stack([np.cos(angles), np.sin(angles)])).max(initial=0) <= tolerance:
        return
    if not np.any(tables):
        return  # left empty, since nothing reads them
    base = _base_of(tables)
    named = f"the base {base:,.0f}" if base else "no base that can be told: scaled positions, or damaged"
    raise ThimbleError(
        f"the rotary positions of {path} have {named}; Thimble and llama2.c's `run.c` compute with {BASE:,.0f}",
        "use a model that was trained with that base, or correct its tables if they alone are wrong",
    )


def _base_of(tables: NDArray[np.float32]) -> float | None:
    """The base of a table of rotary positions, by the angles of the second position; None where it fits none."""
    _, positions, pairs = tables.shape
    if positions < 2 or pairs < 2 or not np.isfinite(tables).all():
        return None
    frequencies = np.arctan2(tables[1, 1].astype(np.float64), tables[0, 1])
    if frequencies[1] <= 0 or abs(frequencies[0] - 1) > _TABLE_TOLERANCE:
        return None
    base = float(frequencies[1] ** -pairs)
    angles = np.arange(positions)[:, None] * base ** (-np.arange(pairs) / pairs)
    fits = np.abs(tables - np.stack([np.cos(angles), np.sin(angles)])).max() <= 20 * _TABLE_TOLERANCE
    return base if fits else None


def arrays_of(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """The weights by the names of our layers, see `ImportedModel.read`."""
    header, weights = checkpoint.header, checkpoint.weights
    arrays = {"embed/table": weights["token_embedding"], "norm_final/gamma": weights["rms_final"]}
    for i in range(header.n_layers):
        arrays[f"layer{i}_norm_attention/gamma"] = weights["rms_att"][i]
        arrays[f"layer{i}_norm_ffn/gamma"] = weights["rms_ffn"][i]
        arrays[f"layer{i}_q/kernel"] = halves(weights["wq"][i], header.head_size).T
        arrays[f"layer{i}_k/kernel"] = halves(weights["wk"][i], header.head_size).T
        for ours, theirs in (("v", "wv"), ("o", "wo"), ("gate", "w1"), ("down", "w2"), ("up", "w3")):
            arrays[f"layer{i}_{ours}/kernel"] = weights[theirs][i].T
    arrays["head/kernel"] = weights["token_embedding" if header.tied else "wcls"].T
    return arrays


def read_llama2c(path: Path, tokenizer: Path) -> ImportedModel:
    """A checkpoint and its tokenizer.

    Raises:
        ThimbleError: damaged files, or files that do not match.
    """
    header = read_header(path)
    config = header.config(1)
    return ImportedModel(
        title="A checkpoint of llama2.c",
        files=(path,),
        sizes={key: value for key, value in config.fingerprint_data().items() if key not in _OF_USE},
        max_context=header.seq_len,
        reason="was trained with",
        is_tied=False,
        parameter_count=header.parameter_count,
        tokenizer=Llama2cTokenizer.read(tokenizer, header.vocab_size),
        read=lambda: arrays_of(read_checkpoint(path)),
    )


def _check(path: Path, header: Header) -> None:
    for name in _FIELDS:
        value = getattr(header, name)
        if value < 1:
            raise ThimbleError(f"the header of {path} says {name} {value}", _REMEDY)
    if header.dim % header.n_heads or header.head_size % 2:
        raise ThimbleError(
            f"the header of {path} says dim {header.dim} and {header.n_heads} heads, which makes no even head width",
            _REMEDY,
        )
    matrices = [math.prod(shape[-2:]) for name, shape in header.shapes.items() if name not in _NORMS]
    if header.version == 2 and (header.group_size < 1 or any(count % header.group_size for count in matrices)):
        raise ThimbleError(
            f"the header of {path} says groups of {header.group_size}, which do not divide its matrices", _REMEDY
        )
    if header.n_heads % header.n_kv_heads:
        raise ThimbleError(
            f"the header of {path} says {header.n_heads} heads, which {header.n_kv_heads} K/V heads cannot share",
            _REMEDY,
        )
