"""llama2.c's side, written from its formulas: files as its export writes them, and what its `run.c` does with them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.importers.llama2c import Checkpoint, Header

__all__ = [
    "BYTES",
    "Reference",
    "checkpoint_file",
    "header_of",
    "pieces_of",
    "reference_encode",
    "rotary_tables",
    "tokenizer_file",
]

BYTES = [f"<0x{value:02X}>" for value in range(256)]
_SPECIALS = ["<unk>", "\n<s>\n", "\n</s>\n"]


def header_of(**changes: int | bool) -> Header:
    """A model small enough to run by hand, with four query heads to two K/V heads."""
    sizes = {
        "dim": 16,
        "hidden_dim": 20,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "vocab_size": 270,
        "seq_len": 24,
    }
    return Header(**{**sizes, "tied": True, **changes})  # type: ignore[arg-type]


def checkpoint_file(path: Path, header: Header, **replaced: np.ndarray) -> Path:
    """Writes a checkpoint with random weights; `replaced` arrays come instead of those of that name."""
    rng = np.random.default_rng(1)
    vocab = header.vocab_size if header.tied or header.version else -header.vocab_size
    data = struct.pack(
        "<7i", header.dim, header.hidden_dim, header.n_layers, header.n_heads, header.n_kv_heads, vocab, header.seq_len
    )
    if header.version:
        data = struct.pack("<Ii", 0x616B3432, header.version) + data + struct.pack("<B", header.tied)
        data += struct.pack("<i", header.group_size) if header.version == 2 else b""
        data += bytes(256 - len(data))
    for name, shape in header.shapes.items():
        values = rng.normal(0, 0.5, shape) if name in ("token_embedding", "wcls") else rng.normal(0, 0.25, shape)
        if name.startswith("rms"):
            values = rng.uniform(0.5, 1.5, shape)
        if name == "freq_cis":
            values = rotary_tables(header)
        values = np.asarray(replaced.get(name, values), "<f4")
        if header.version == 2 and not name.startswith("rms"):
            layers = values if values.ndim == 3 else [values]
            data += b"".join(_quantized(layer, header.group_size) for layer in layers)
        else:
            data += values.tobytes()
    path.write_bytes(data)
    return path


def _quantized(matrix: np.ndarray, group_size: int) -> bytes:
    """`quantize_q80` of llama2.c's export: the values and then the scales of a matrix."""
    groups = matrix.reshape(-1, group_size)
    scales = (np.abs(groups).max(axis=1) / 127).astype("<f4")
    data: bytes = np.round(groups / scales[:, None]).astype("i1").tobytes() + scales.tobytes()
    return data


def rotary_tables(header: Header, base: float = 10_000.0) -> np.ndarray:
    """`precompute_freqs_cis` of llama2.c: float64 [2, positions, head width / 2], cosines and sines."""
    pairs = header.head_size // 2
    angles = np.arange(header.seq_len)[:, None] * base ** (-np.arange(pairs) / pairs)
    return np.stack([np.cos(angles), np.sin(angles)])


class Reference:
    """`forward` of run.c in float64: one token at a position, with its own K and V rows."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.header = checkpoint.header
        self.weights = {name: values.astype(np.float64) for name, values in checkpoint.weights.items()}
        self.keys: list[list[np.ndarray]] = [[] for _ in range(self.header.n_layers)]
        self.values: list[list[np.ndarray]] = [[] for _ in range(self.header.n_layers)]

    def step(self, token: int) -> np.ndarray:
        """Logits [vocab] after the token."""
        header, w = self.header, self.weights
        size, shared = header.head_size, header.n_heads // header.n_kv_heads
        x = w["token_embedding"][token]
        for i in range(header.n_layers):
            h = _rmsnorm(x, w["rms_att"][i])
            position = len(self.keys[i])
            q = _turned(w["wq"][i] @ h, position, size).reshape(-1, size)
            self.keys[i].append(_turned(w["wk"][i] @ h, position, size).reshape(-1, size))
            self.values[i].append((w["wv"][i] @ h).reshape(-1, size))
            mixed = np.zeros((header.n_heads, size))
            for head in range(header.n_heads):
                scores = np.array([q[head] @ key[head // shared] / np.sqrt(size) for key in self.keys[i]])
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                mixed[head] = sum(
                    share * value[head // shared] for share, value in zip(shares, self.values[i], strict=True)
                )
            x = x + w["wo"][i] @ mixed.ravel()
            h = _rmsnorm(x, w["rms_ffn"][i])
            gate = w["w1"][i] @ h
            x = x + w["w2"][i] @ (gate / (1 + np.exp(-gate)) * (w["w3"][i] @ h))
        classifier = w["token_embedding"] if header.tied else w["wcls"]
        logits: np.ndarray = classifier @ _rmsnorm(x, w["rms_final"])
        return logits

    def greedy(self, prompt: Sequence[int], max_new_tokens: int) -> list[int]:
        """Tokens after the prompt up to BOS, as `generate` of run.c at temperature 0."""
        tokens: list[int] = []
        logits = np.zeros(0)
        for token in prompt:
            logits = self.step(token)
        while len(tokens) < max_new_tokens and (best := int(logits.argmax())) != 1:
            tokens.append(best)
            logits = self.step(best)
        return tokens


def _rmsnorm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return np.asarray(gain * x / np.sqrt((x * x).mean() + 1e-5))


def _turned(row: np.ndarray, position: int, head_size: int) -> np.ndarray:
    """Each pair of neighbours turned by position · 10000^(−its place in the head / head size)."""
    rotated = row.copy()
    for i in range(0, len(row), 2):
        angle = position * 10000.0 ** (-(i % head_size) / head_size)
        a, b = row[i], row[i + 1]
        rotated[i] = a * np.cos(angle) - b * np.sin(angle)
        rotated[i + 1] = a * np.sin(angle) + b * np.cos(angle)
    return rotated


def pieces_of(learned: Mapping[str, float]) -> list[tuple[bytes, float]]:
    """(text, score) of every id: specials, bytes, and the learned pieces."""
    fixed = [(text.encode(), 0.0) for text in (*_SPECIALS, *BYTES)]
    return [*fixed, *((text.encode(), score) for text, score in learned.items())]


def tokenizer_file(path: Path, pieces: Sequence[tuple[bytes, float]], longest: int | None = None) -> Path:
    """Writes a tokenizer as llama2.c's export does."""
    data = struct.pack("<i", max(len(text) for text, _ in pieces) if longest is None else longest)
    for text, score in pieces:
        data += struct.pack("<fi", score, len(text)) + text
    path.write_bytes(data)
    return path


def reference_encode(pieces: Sequence[tuple[bytes, float]], text: str) -> list[int]:
    """`encode` of run.c, BOS left out: it looks up texts, not pairs of ids."""
    vocabulary: dict[bytes, int] = {}
    for index, (piece, _) in enumerate(pieces):
        vocabulary.setdefault(piece, index)
    ids = [vocabulary[b" "]] if text else []
    for character in text:
        piece = character.encode()
        ids += [vocabulary[piece]] if piece in vocabulary else [byte + 3 for byte in piece]
    while True:
        best_score, best, best_index = -1e10, -1, -1
        for i in range(len(ids) - 1):
            merged = vocabulary.get(pieces[ids[i]][0] + pieces[ids[i + 1]][0], -1)
            if merged != -1 and pieces[merged][1] > best_score:
                best_score, best, best_index = pieces[merged][1], merged, i
        if best_index == -1:
            return ids
        ids[best_index : best_index + 2] = [best]
