"""GGUF files of llama.cpp: models of Llama's and of GPT-2's kind, with their tokenizer.

Keys and names of tensors are those of the library `gguf` (`gguf.constants`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.importers.imported_model import Arrays, ImportedModel, halves
from pipeline.importers.refusals import Facts, Refusals
from pipeline.importers.sentencepiece_model import Piece, PieceType, tables_of_pieces
from pipeline.importers.tensors import VARIABLES, names_of_layers, refuse_others
from pipeline.importers.tokenizer_json import byte_level, word_rules
from pipeline.importers.tokenizer_parts import Frame
from pipeline.text.pretokenizer import WordForm
from pipeline.text.tokenizers.tables import TableTokenizer

__all__ = ["MAGIC", "read_gguf"]

MAGIC = b"GGUF"
_TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0")
_PLAIN = "take a model of Llama's or GPT-2's kind; docs/import.md has what is supported"
_KINDS = ("llama", "gpt2")
_WORDS = {
    "gpt-2": (WordForm.GPT2, 3),
    "smollm": (WordForm.GPT2_DIGITS, 3),
    "llama-bpe": (WordForm.LLAMA3, 3),
    "qwen2": (WordForm.LLAMA3, 1),
}
"""What `tokenizer.ggml.pre` says of how a byte-level tokenizer cuts texts."""

_LAYER = {
    f"layer{{i}}_{ours}/{variable}": f"blk.{{i}}.{theirs}.{kind}"
    for variable, kind in VARIABLES
    for ours, theirs in (("o", "attn_output"), ("up", "ffn_up"), ("down", "ffn_down"))
}
_ENDS = {"embed/table": "token_embd.weight", "norm_final/gamma": "output_norm.weight", "head/kernel": "output.weight"}
_NORMS = {
    "layer{i}_norm_attention/gamma": "blk.{i}.attn_norm.weight",
    "layer{i}_norm_ffn/gamma": "blk.{i}.ffn_norm.weight",
}
_LLAMA = {
    **_ENDS,
    **_NORMS,
    **_LAYER,
    **{
        f"layer{{i}}_{ours}/{variable}": f"blk.{{i}}.{theirs}.{kind}"
        for variable, kind in VARIABLES
        for ours, theirs in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("gate", "ffn_gate"))
    },
    "rope": "rope_freqs.weight",
}
_GPT2 = {
    **_ENDS,
    **_NORMS,
    **_LAYER,
    **{ours.replace("gamma", "beta"): theirs.replace("weight", "bias") for ours, theirs in _NORMS.items()},
    "norm_final/beta": "output_norm.bias",
    "embed/positions": "position_embd.weight",
    "layer{i}_qkv/kernel": "blk.{i}.attn_qkv.weight",
    "layer{i}_qkv/bias": "blk.{i}.attn_qkv.bias",
}


@dataclass(frozen=True)
class _GgufTensors:
    """See `pipeline.importers.tensors.Tensors`."""

    tensors: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, reader: Any, refusals: Refusals) -> _GgufTensors:
        """Numbers of another type are a reason to refuse."""
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        kinds = sorted({tensor.tensor_type.name for tensor in tensors.values()} - {*_TYPES})
        if kinds:
            refusals.add(
                f"its weights are of the types {', '.join(kinds)}",
                f"take the file in one of {', '.join(_TYPES)}; F16 keeps most",
            )
        shapes = {name: tuple(int(size) for size in reversed(tensor.shape)) for name, tensor in tensors.items()}
        return cls(tensors, shapes)

    def read(self, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """See `Tensors`."""
        from gguf.quants import dequantize

        return {
            name: np.asarray(dequantize(self.tensors[name].data, self.tensors[name].tensor_type), np.float32).reshape(
                self.shapes[name]
            )
            for name in names
        }


def read_gguf(path: Path, refusals: Refusals) -> ImportedModel:
    """Reads and checks all but the weights.

    Args:
        path: the file.
        refusals: gets the reasons, and is checked in the end.

    Raises:
        UnsupportedModel: what Thimble does not have, all reasons at once.
        ThimbleError: the file is damaged.
    """
    reader, fields = _opened(path)
    kind = str(fields.get("general.architecture"))
    facts = Facts({key.removeprefix(f"{kind}."): value for key, value in fields.items()}, path.name, refusals)
    tensors = _GgufTensors.of(reader, refusals)
    if kind not in _KINDS:
        refusals.add(f"its architecture is {kind!r}", _PLAIN)
    if experts := facts.get("expert_count"):
        refusals.add(f"it is a mixture of {experts} experts (`expert_count`)", _PLAIN)
    vocab_size = tensors.shapes.get("token_embd.weight", (0,))[0]
    tokenizer = _tokenizer(path.name, fields, vocab_size, refusals)
    if kind not in _KINDS:
        refusals.check()
    width, layers, heads = (facts.whole(key) for key in ("embedding_length", "block_count", "attention.head_count"))
    if width % heads or facts.whole("attention.key_length", default=width // heads) != width // heads:
        refusals.add("its heads together are not as wide as the model", "take another model")
    is_llama = kind == "llama"
    sizes: dict[str, Any] = {"d_model": width, "layers": layers, "heads": heads, "vocab_size": vocab_size}
    sizes |= {"ffn_dim": facts.whole("feed_forward_length")}
    sizes |= _llama_sizes(facts, heads, refusals) if is_llama else _gpt2_sizes(facts, heads)
    names = refuse_others(
        tensors,
        names_of_layers(_LLAMA if is_llama else _GPT2, layers),
        lambda ours: ours.endswith("/bias") or ours in ("head/kernel", "rope"),
        r".*\.(attn_rot_embd|rope_freqs)\.weight",
        refusals,
    )
    refusals.check()
    assert tokenizer is not None
    if (rope := names.pop("rope", None)) is not None:  # what llama.cpp stores of `llama3`
        sizes["rope_scaling"] = {"kind": "factors", "factors": tensors.read([rope])[rope].tolist()}
    if not is_llama or any(ours.endswith("/bias") for ours in names):
        sizes["biases"] = True

    def read() -> Arrays:
        theirs = tensors.read(names.values())
        arrays = {ours: theirs[name] for ours, name in names.items()}
        if is_llama:
            turned = {
                ours: halves(values, width // heads)
                for ours, values in arrays.items()
                if "_q/" in ours or "_k/" in ours
            }
            arrays |= turned
        arrays = {ours: values.T if ours.endswith("/kernel") else values for ours, values in arrays.items()}
        for ours in [ours for ours in arrays if "_qkv/" in ours]:
            for part, values in zip("qkv", np.split(arrays.pop(ours), 3, axis=-1), strict=True):
                arrays[ours.replace("_qkv/", f"_{part}/")] = values
        return arrays

    window = facts.get("attention.sliding_window")
    context = facts.whole("context_length")
    is_windowed = isinstance(window, int) and 0 < window < context
    return ImportedModel(
        title=f"A GGUF file of the kind {kind}",
        files=(path,),
        sizes=sizes,
        max_context=int(window) if is_windowed and window else context,
        reason="has a sliding window of" if is_windowed else "was trained with",
        is_tied="head/kernel" not in names,
        parameter_count=sum(int(np.prod(tensors.shapes[name])) for name in names.values()),
        tokenizer=tokenizer,
        read=read,
    )


def _opened(path: Path) -> tuple[Any, dict[str, Any]]:
    """The library's reader, and all keys."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        return reader, {key: field.contents() for key, field in reader.fields.items()}
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "name a .gguf file") from None
    except Exception as error:  # the library raises what its parsing stumbles over
        raise ThimbleError(f"{path} is no whole .gguf file: {error!r:.200}", "download it again, whole") from None


def _llama_sizes(facts: Facts, heads: int, refusals: Refusals) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "kv_heads": facts.whole("attention.head_count_kv", default=heads),
        "ffn": "gated",
        "norm": "rmsnorm",
        "norm_epsilon": facts.number("attention.layer_norm_rms_epsilon"),
        "positions": "rotary",
        "rope_base": facts.number("rope.freq_base", default=10_000.0),
    }
    head_dim = facts.whole("embedding_length") // heads
    if facts.whole("rope.dimension_count", default=head_dim) != head_dim:
        refusals.add("only a part of a head has rotary positions (`rope.dimension_count`)", _PLAIN)
    scaling = facts.get("rope.scaling.type") or "none"
    factor = facts.get("rope.scaling.factor", "rope.scale_linear")
    if scaling == "linear" or (scaling == "none" and factor not in (None, 0, 1)):
        sizes["rope_scaling"] = {"kind": "linear", "factor": facts.number("rope.scaling.factor", "rope.scale_linear")}
    elif scaling != "none":
        refusals.add(
            f"its rotary positions are scaled by {scaling!r} (`rope.scaling.type`)",
            "take a model without scaling, or with `linear` or `llama3`",
        )
    return sizes


def _gpt2_sizes(facts: Facts, heads: int) -> dict[str, Any]:
    return {
        "kv_heads": heads,
        "ffn": "gelu",
        "norm": "layernorm",
        "norm_epsilon": facts.number("attention.layer_norm_epsilon"),
        "positions": "learned",
    }


def _tokenizer(name: str, fields: Mapping[str, Any], vocab_size: int, refusals: Refusals) -> TableTokenizer | None:
    """The file's tokenizer; None where it is refused."""
    texts, kind = fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.model")
    if not isinstance(texts, list) or kind not in ("llama", "gpt2"):
        refusals.add(
            f"its tokenizer is of the kind {kind!r}" if kind else "it has no tokenizer",
            "take a file with a tokenizer of Llama's or of GPT-2's kind",
        )
        return None
    if len(texts) > vocab_size:
        refusals.add(f"its tokenizer has {len(texts):,} tokens, its embedding {vocab_size:,}", "take a sound file")
        return None
    types = fields.get("tokenizer.ggml.token_type") or [int(PieceType.NORMAL)] * len(texts)
    bos, eos = (fields.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos"))
    frame = Frame(None if bos is None else int(bos), () if eos is None else (int(eos),))
    if kind == "llama":
        scores = fields.get("tokenizer.ggml.scores") or [0.0] * len(texts)
        pieces = [
            Piece(text, float(score), int(type_)) for text, score, type_ in zip(texts, scores, types, strict=True)
        ]
        has_prefix = bool(fields.get("tokenizer.ggml.add_space_prefix", True))
        return tables_of_pieces(name, pieces, vocab_size, has_prefix, frame, refusals)
    pre = fields.get("tokenizer.ggml.pre", "gpt-2")
    if pre not in _WORDS:
        refusals.add(
            f"its tokenizer cuts texts as {pre!r} (`tokenizer.ggml.pre`)",
            f"take a model with one of {', '.join(_WORDS)}",
        )
        return None
    users = [text for text, type_ in zip(texts, types, strict=True) if type_ == PieceType.USER_DEFINED]
    if users:
        refusals.add(f"it has {len(users)} tokens of the user's, such as {users[0]!r}", "take a model without")
    vocabulary = {text: index for index, text in enumerate(texts)}
    plain = {text: index for text, index in vocabulary.items() if types[index] == PieceType.NORMAL}
    merges: dict[tuple[int, int], tuple[int, int]] = {}
    for rank, merge in enumerate(fields.get("tokenizer.ggml.merges") or ()):
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= vocabulary.keys():
            refusals.add(f"its tokenizer merges {merge!r}, of which it has no tokens", "take a sound file")
            return None
        merges[vocabulary[left], vocabulary[right]] = (rank, vocabulary[left + right])
    form, digits = _WORDS[pre]
    ids = frame.ids(vocabulary, vocab_size, refusals)
    return byte_level(name, plain, merges, word_rules(form, digits), ids, vocab_size, refusals)
