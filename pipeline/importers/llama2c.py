"""Checkpoints of llama2.c: trained weights, loaded into the same Keras model that Thimble trains.

The file is the one that llama2.c's `run.c` maps (github.com/karpathy/llama2.c, export version 0): seven int32 (dim,
hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then float32 weights, one kind after the other, each
for all layers. A negative vocab_size says that a classifier of its own ends the file.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.numerics.rope import BASE
from pipeline.recipes.schema import ModelConfig

if TYPE_CHECKING:
    import tf_keras as keras

__all__ = ["Checkpoint", "Header", "decoder_of", "read_checkpoint", "read_header"]

_FIELDS = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
_BYTES = 4 * len(_FIELDS)
_MAGIC = 0x616B3432  # "ak42": exports of version 1 and later
_REMEDY = "give a checkpoint that llama2.c's export wrote with --version 0, whole"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a .gguf file of llama.cpp", _REMEDY),
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
_TABLE_TOLERANCE = 2e-3
"""Of a stored cosine or sine; late positions get more, since their angles are rounded to float32."""


@dataclass(frozen=True)
class Header:
    """The file's header, in llama2.c's names; `tied`: logits use the embedding's table."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    tied: bool

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
        return shapes if self.tied else {**shapes, "wcls": (self.vocab_size, dim)}

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        return _BYTES + 4 * sum(math.prod(shape) for shape in self.shapes.values())

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
            start = file.read(_BYTES)
    except OSError as error:
        raise ThimbleError(
            f"cannot read the checkpoint {path}: {error.strerror}", "name a llama2.c .bin file"
        ) from None
    if len(start) >= 4 and struct.unpack_from("<I", start)[0] == _MAGIC:
        version = struct.unpack_from("<i", start, 4)[0] if len(start) >= 8 else "?"
        raise ThimbleError(
            f"{path} is a llama2.c export of version {version}, which is not supported",
            "export the model with --version 0 (float32)",
        )
    _refuse_other_files(path)
    if len(start) < _BYTES:
        raise ThimbleError(f"{path} has {size} bytes, a llama2.c header alone has {_BYTES}", _REMEDY)
    values = dict(zip(_FIELDS, struct.unpack("<7i", start), strict=True))
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
    data = np.fromfile(path, "<f4", offset=_BYTES)
    weights: dict[str, NDArray[np.float32]] = {}
    offset = 0
    for name, shape in header.shapes.items():
        values = data[offset : offset + math.prod(shape)].reshape(shape).astype(np.float32)
        offset += values.size
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            raise ThimbleError(f"{path} holds {bad:,} numbers in {name} that are not finite", _REMEDY)
        weights[name] = values
    _check_positions(path, weights["freq_cis"])
    return Checkpoint(header, weights)


def _refuse_other_files(path: Path) -> None:
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
        raise ThimbleError(f"{path} is a .safetensors file", _REMEDY)
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


def decoder_of(checkpoint: Checkpoint, config: ModelConfig) -> keras.Model:
    """The training model with the checkpoint's weights.

    llama2.c turns neighbours, 2j and 2j + 1, of a head by one angle; our decoder turns j and j + width/2. The rows of
    wq and wk go into that order, which changes no score.
    """
    from pipeline.network.decoder import build_decoder

    header, weights = checkpoint.header, checkpoint.weights
    model = build_decoder(config)

    def dense(name: str, matrix: NDArray[np.float32]) -> None:
        model.get_layer(name).kernel.assign(matrix.T)

    model.get_layer("embed").table.assign(weights["token_embedding"])
    for i in range(header.n_layers):
        model.get_layer(f"layer{i}_norm_attention").gamma.assign(weights["rms_att"][i])
        model.get_layer(f"layer{i}_norm_ffn").gamma.assign(weights["rms_ffn"][i])
        dense(f"layer{i}_q", _halves(weights["wq"][i], header.head_size))
        dense(f"layer{i}_k", _halves(weights["wk"][i], header.head_size))
        for ours, theirs in (("v", "wv"), ("o", "wo"), ("gate", "w1"), ("down", "w2"), ("up", "w3")):
            dense(f"layer{i}_{ours}", weights[theirs][i])
    model.get_layer("norm_final").gamma.assign(weights["rms_final"])
    dense("head", weights["token_embedding" if header.tied else "wcls"])
    return model


def _halves(rows: NDArray[np.float32], head_size: int) -> NDArray[np.float32]:
    """Of each head, the even rows and then the odd ones."""
    heads = rows.reshape(-1, head_size // 2, 2, rows.shape[-1])
    return heads.swapaxes(1, 2).reshape(rows.shape)


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
    if header.n_heads % header.n_kv_heads:
        raise ThimbleError(
            f"the header of {path} says {header.n_heads} heads, which {header.n_kv_heads} K/V heads cannot share",
            _REMEDY,
        )
