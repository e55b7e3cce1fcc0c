"""Folders of Hugging Face: config.json, .safetensors and a tokenizer, of Llama's or of GPT-2's kind.

Names of keys and tensors are those of the `transformers` library's `modeling_llama.py`, `modeling_gpt2.py` and
`modeling_gpt_neo.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ThimbleError
from pipeline.importers.imported_model import Arrays, ImportedModel
from pipeline.importers.refusals import Facts, Refusals
from pipeline.importers.sentencepiece_model import read_sentencepiece
from pipeline.importers.tensors import VARIABLES, SafeTensors, Tensors, names_of_layers, refuse_others
from pipeline.importers.tokenizer_json import read_tokenizer_json
from pipeline.importers.tokenizer_parts import Frame
from pipeline.text.tokenizers.tables import TableTokenizer

__all__ = ["read_hugging_face"]

CONFIG = "config.json"
_GENERATION, _TOKENIZER_CONFIG = "generation_config.json", "tokenizer_config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PLAIN = "take a model of Llama's, GPT-2's or GPT-Neo's kind; docs/import.md has what is supported"
_MISTAKES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("mamba", "rwkv", "falcon_mamba", "xlstm", "recurrent", "jamba", "zamba"), "a state-space or recurrent model"),
    (("bloom", "mpt"), "attention with linear biases (ALiBi)"),
    (("moe", "mixtral", "dbrx", "deepseek", "jetmoe"), "a mixture of experts (MoE)"),
    (("t5", "bart", "whisper", "marian"), "an encoder and a decoder"),
    (("bert", "electra", "deberta"), "an encoder"),
)

_LLAMA = {
    "embed/table": "model.embed_tokens.weight",
    "layer{i}_norm_attention/gamma": "model.layers.{i}.input_layernorm.weight",
    **{
        f"layer{{i}}_{ours}/{variable}": f"model.layers.{{i}}.{theirs}.{kind}"
        for variable, kind in VARIABLES
        for ours, theirs in (
            *((name, f"self_attn.{name}_proj") for name in "qkvo"),
            *((name, f"mlp.{name}_proj") for name in ("gate", "up", "down")),
        )
    },
    "layer{i}_norm_ffn/gamma": "model.layers.{i}.post_attention_layernorm.weight",
    "norm_final/gamma": "model.norm.weight",
    "head/kernel": "lm_head.weight",
}
_OF_NORMS = (("norm_attention", "ln_1"), ("norm_ffn", "ln_2"))
_GPT = {
    "embed/table": "transformer.wte.weight",
    "embed/positions": "transformer.wpe.weight",
    **{
        f"layer{{i}}_{ours}/{variable}": f"transformer.h.{{i}}.{theirs}.{kind}"
        for ours, theirs in _OF_NORMS
        for variable, kind in (("gamma", "weight"), ("beta", "bias"))
    },
    "norm_final/gamma": "transformer.ln_f.weight",
    "norm_final/beta": "transformer.ln_f.bias",
    "head/kernel": "lm_head.weight",
}
_GPT2 = {
    **_GPT,
    **{
        f"layer{{i}}_{ours}/{variable}": f"transformer.h.{{i}}.{theirs}.{kind}"
        for ours, theirs in (("qkv", "attn.c_attn"), ("o", "attn.c_proj"), ("up", "mlp.c_fc"), ("down", "mlp.c_proj"))
        for variable, kind in VARIABLES
    },
}
_GPT_NEO = {
    **_GPT,
    **{
        f"layer{{i}}_{ours}/{variable}": f"transformer.h.{{i}}.{theirs}.{kind}"
        for ours, theirs in (
            *((name, f"attn.attention.{name}_proj") for name in "qkv"),
            ("o", "attn.attention.out_proj"),
            ("up", "mlp.c_fc"),
            ("down", "mlp.c_proj"),
        )
        for variable, kind in VARIABLES
    },
}
_BUFFERS = r".*\.(rotary_emb\.inv_freq|attn\.(attention\.)?(bias|masked_bias))"
"""Tensors of old checkpoints that `transformers` computes itself."""
_ACTIVATIONS = {"gelu_new": "gelu", "gelu_fast": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu"}


@dataclass(frozen=True)
class _Architecture:
    """What a config.json describes.

    Attributes:
        title: for people.
        sizes: as `ImportedModel` has them, without `biases`.
        max_context, reason: as there.
        is_tied: whether logits use the embedding's table, unless config.json says otherwise.
        names: our arrays to their tensors.
        arrays: from their tensors, by our names, to our arrays.
    """

    title: str
    sizes: dict[str, Any]
    max_context: int
    reason: str
    is_tied: bool
    names: Mapping[str, str]
    arrays: Callable[[dict[str, Any]], Arrays]


def read_hugging_face(folder: Path, refusals: Refusals) -> ImportedModel:
    """Reads and checks all but the weights.

    Args:
        folder: with `config.json`.
        refusals: gets the reasons, and is checked in the end.

    Raises:
        UnsupportedModel: what Thimble does not have, all reasons at once.
        ThimbleError: files that are missing or damaged.
    """
    data = _json(folder / CONFIG)
    kind = data.get("model_type")
    facts = Facts(data, CONFIG, refusals)
    _refuse_kinds(data, refusals)
    readers = {"llama": _llama, "mistral": _llama, "qwen2": _llama, "gpt2": _gpt2, "gpt_neo": _gpt_neo}
    if kind not in readers:
        named = next((what for names, what in _MISTAKES if any(name in str(kind) for name in names)), None)
        refusals.add(f"its model_type is {kind!r}{f', {named}' if named else ''}", _PLAIN)
    tensors = SafeTensors.open(_weight_files(folder), refusals)
    vocab_size = facts.whole("vocab_size")
    tokenizer = _tokenizer(folder, vocab_size, refusals)
    architecture = readers[kind](facts, refusals) if kind in readers else None
    if architecture is None:
        refusals.check()
    assert architecture is not None
    tied = facts.flag("tie_word_embeddings", architecture.is_tied)
    names = names_of_layers(architecture.names, architecture.sizes["layers"])
    names = refuse_others(
        tensors,
        _of_bare_model(names, tensors),
        lambda ours: ours.endswith("/bias") or (tied and ours == "head/kernel"),
        _BUFFERS,
        refusals,
    )
    if tied:
        names.pop("head/kernel", None)
    refusals.check()
    assert tokenizer is not None

    def read() -> Arrays:
        theirs = tensors.read(names.values())
        return architecture.arrays({ours: theirs[name] for ours, name in names.items()})

    gated = architecture.sizes["ffn"] == "gated"
    usual = () if gated else ("_up/bias", "_down/bias")
    biases = any(ours.endswith("/bias") and not ours.endswith(usual) for ours in names)
    return ImportedModel(
        title=architecture.title,
        files=(folder / CONFIG, *sorted({*tensors.files.values()})),
        sizes={**architecture.sizes, "vocab_size": vocab_size, **({"biases": True} if biases else {})},
        max_context=architecture.max_context,
        reason=architecture.reason,
        is_tied=tied,
        parameter_count=sum(int(np.prod(tensors.shapes[name])) for name in names.values()),
        tokenizer=tokenizer,
        read=read,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThimbleError(
            f"cannot read {path}: {error.strerror}", "give a folder as `save_pretrained` writes"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ThimbleError(f"{path} is no JSON: {error}", "give a folder as `save_pretrained` writes") from None
    if not isinstance(data, dict):
        raise ThimbleError(f"{path} is no JSON object", "give a folder as `save_pretrained` writes")
    return data


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _INDEX).exists():
        files = _json(folder / _INDEX).get("weight_map")
        names = set(files.values()) if isinstance(files, dict) else set()
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ThimbleError(f"{folder / _INDEX} names no files", "give the whole checkpoint")
        return [folder / name for name in sorted(names)]
    if (folder / _WEIGHTS).exists():
        return [folder / _WEIGHTS]
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    raise ThimbleError(
        f"{folder} has no {_WEIGHTS}" + (f", only {pickles[0]}, which is a pickle of PyTorch" if pickles else ""),
        "save the model with `save_pretrained(FOLDER, safe_serialization=True)`",
    )


def _of_bare_model(names: dict[str, str], tensors: Tensors) -> dict[str, str]:
    """Names of tensors as they are in the file: a model that was saved without its head leaves out their first part."""
    part = next(iter(names.values())).partition(".")[0] + "."
    if any(name.startswith(part) for name in tensors.shapes):
        return names
    return {ours: theirs.removeprefix(part) for ours, theirs in names.items()}


def _refuse_kinds(data: Mapping[str, Any], refusals: Refusals) -> None:
    """What any model may have that none here can."""
    if data.get("alibi"):
        refusals.add("it has attention with linear biases (`alibi`)", _PLAIN)
    experts = [key for key in ("num_local_experts", "num_experts", "n_routed_experts") if data.get(key)]
    if experts:
        refusals.add(f"it is a mixture of {data[experts[0]]} experts (`{experts[0]}`)", _PLAIN)
    if quantization := data.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, dict) else quantization
        refusals.add(
            f"its weights are quantized by {method!r}", "take the model in float; `thimble` quantizes it itself"
        )
    if data.get("is_encoder_decoder") or data.get("add_cross_attention"):
        refusals.add("it attends to an encoder", _PLAIN)


def _llama(facts: Facts, refusals: Refusals) -> _Architecture:
    width, heads = facts.whole("hidden_size"), facts.whole("num_attention_heads")
    head_dim = facts.whole("head_dim", default=max(width // heads, 1))
    if head_dim * heads != width:
        refusals.add(
            f"its heads are {head_dim} wide, and {heads} of them not as wide as the model, {width}",
            "take a model whose `head_dim` is `hidden_size` over `num_attention_heads`",
        )
    if (activation := facts.get("hidden_act") or "silu") not in ("silu", "swish"):
        refusals.add(f"its gate is {activation!r} (`hidden_act`)", "take a model with SwiGLU, `silu`")
    if (share := facts.get("partial_rotary_factor")) not in (None, 1):
        refusals.add(f"only {share} of a head has rotary positions (`partial_rotary_factor`)", _PLAIN)
    context, reason = facts.whole("max_position_embeddings", default=2048), "was trained with"
    window = facts.get("sliding_window") if facts.flag("use_sliding_window", True) else None
    if isinstance(window, int) and 0 < window < context:  # to which a token sees all before it
        context, reason = window, "has a sliding window of"
    return _Architecture(
        title=f"A model of Llama's kind ({facts.get('model_type')})",
        sizes={
            "d_model": width,
            "layers": facts.whole("num_hidden_layers"),
            "heads": heads,
            "kv_heads": facts.whole("num_key_value_heads", default=heads),
            "ffn": "gated",
            "ffn_dim": facts.whole("intermediate_size"),
            "norm": "rmsnorm",
            "norm_epsilon": facts.number("rms_norm_eps", default=1e-6),
            "positions": "rotary",
            **_rope(facts, refusals),
        },
        max_context=context,
        reason=reason,
        is_tied=False,
        names=_LLAMA,
        arrays=lambda theirs: {ours: _transposed(ours, values) for ours, values in theirs.items()},
    )


def _rope(facts: Facts, refusals: Refusals) -> dict[str, Any]:
    """The base and scaling of rotary positions."""
    given = facts.get("rope_scaling", "rope_parameters") or {}
    rope = Facts(given if isinstance(given, dict) else {}, f"{CONFIG}, `rope_scaling`", refusals)
    base = rope.get("rope_theta") or facts.get("rope_theta")
    sizes: dict[str, Any] = (
        {} if base is None else {"rope_base": Facts({"rope_theta": base}, CONFIG, refusals).number("rope_theta")}
    )
    kind = rope.get("rope_type", "type") or "default"
    if kind == "linear":
        sizes["rope_scaling"] = {"kind": "linear", "factor": rope.number("factor")}
    elif kind == "llama3":
        sizes["rope_scaling"] = {
            "kind": "llama3",
            "factor": rope.number("factor"),
            "low_freq_factor": rope.number("low_freq_factor"),
            "high_freq_factor": rope.number("high_freq_factor"),
            "original_context": rope.whole("original_max_position_embeddings"),
        }
    elif kind != "default" or not isinstance(given, dict):
        refusals.add(
            f"its rotary positions are scaled by {kind!r} (`rope_scaling`)",
            "take a model without scaling, or with `linear` or `llama3`",
        )
    return sizes


def _gpt2(facts: Facts, refusals: Refusals) -> _Architecture:
    width, layers = facts.whole("n_embd", "hidden_size"), facts.whole("n_layer", "num_hidden_layers")
    heads = facts.whole("n_head", "num_attention_heads")
    head_dim = max(width // heads, 1)
    is_scaled = facts.flag("scale_attn_weights", True)
    by_layer = facts.flag("scale_attn_by_inverse_layer_idx", False)

    def arrays(theirs: dict[str, Any]) -> Arrays:
        """Conv1D's weights are [in, out] as ours are, those of q, k and v beside each other."""
        ours = {name: values for name, values in theirs.items() if "_qkv" not in name and name != "head/kernel"}
        if "head/kernel" in theirs:
            ours["head/kernel"] = theirs["head/kernel"].T
        for i in range(layers):
            scale = np.float32((1 if is_scaled else head_dim**0.5) / (i + 1 if by_layer else 1))
            for variable in ("kernel", "bias"):
                if (values := theirs.get(f"layer{i}_qkv/{variable}")) is not None:
                    q, k, v = np.split(values, 3, axis=-1)
                    ours |= {
                        f"layer{i}_{kind}/{variable}": part for kind, part in zip("qkv", (q * scale, k, v), strict=True)
                    }
        return ours

    return _Architecture(
        title="A model of GPT-2's kind",
        sizes=_gpt_sizes(facts, refusals, width, layers, heads, facts.get("n_inner"), "activation_function"),
        max_context=facts.whole("n_positions", "max_position_embeddings"),
        reason="was trained with",
        is_tied=True,
        names=_GPT2,
        arrays=arrays,
    )


def _gpt_neo(facts: Facts, refusals: Refusals) -> _Architecture:
    width, heads = facts.whole("hidden_size"), facts.whole("num_heads")
    head_dim = max(width // heads, 1)
    context, reason = facts.whole("max_position_embeddings"), "was trained with"
    kinds = facts.get("attention_types") or [[["global", "local"], 1]]
    window = facts.whole("window_size", default=256)
    if "local" in json.dumps(kinds) and window < context:  # to which a token of a local layer sees all before it
        context, reason = window, "has layers with local attention, over"

    def arrays(theirs: dict[str, Any]) -> Arrays:
        """GPT-Neo does not divide scores by the root of a head's width, as ours does."""
        ours = {name: _transposed(name, values) for name, values in theirs.items()}
        return {name: values * np.float32(head_dim**0.5) if "_q/" in name else values for name, values in ours.items()}

    return _Architecture(
        title="A model of GPT-Neo's kind",
        sizes=_gpt_sizes(
            facts,
            refusals,
            width,
            facts.whole("num_layers"),
            heads,
            facts.get("intermediate_size"),
            "activation_function",
        ),
        max_context=context,
        reason=reason,
        is_tied=True,
        names=_GPT_NEO,
        arrays=arrays,
    )


def _gpt_sizes(
    facts: Facts, refusals: Refusals, width: int, layers: int, heads: int, inner: object, key: str
) -> dict[str, Any]:
    if width % heads:
        refusals.add(f"its {heads} heads do not divide its width, {width}", "give a sound config.json")
    activation = facts.get(key) or "gelu_new"
    if activation not in _ACTIVATIONS:
        exact = ", GELU by the error function" if activation == "gelu" else ""
        refusals.add(
            f"its activation is {activation!r}{exact} (`{key}`)",
            f"take a model with one of {', '.join(_ACTIVATIONS)}",
        )
    return {
        "d_model": width,
        "layers": layers,
        "heads": heads,
        "kv_heads": heads,
        "ffn": _ACTIVATIONS.get(str(activation), "gelu"),
        "ffn_dim": inner if isinstance(inner, int) and inner > 0 else 4 * width,
        "norm": "layernorm",
        "norm_epsilon": facts.number("layer_norm_epsilon", default=1e-5),
        "positions": "learned",
    }


def _transposed(name: str, values: Any) -> Any:
    """A Linear's weights are [out, in]."""
    return values.T if name.endswith("/kernel") else values


def _tokenizer(folder: Path, vocab_size: int, refusals: Refusals) -> TableTokenizer | None:
    """The tokenizer of a folder; None where it is refused."""
    frame = _frame(folder)
    if (folder / "tokenizer.json").exists():
        return read_tokenizer_json(folder / "tokenizer.json", vocab_size, frame, refusals)
    if (folder / "tokenizer.model").exists():
        return read_sentencepiece(folder / "tokenizer.model", vocab_size, frame, refusals)
    refusals.add(
        "it has neither tokenizer.json nor tokenizer.model",
        "save its tokenizer with `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`",
    )
    return None


def _frame(folder: Path) -> Frame:
    """The ids, or else the texts, of the tokens that begin and end a text."""
    ids: dict[str, list[int]] = {}
    for key in ("bos_token_id", "eos_token_id"):
        for name in (_GENERATION, CONFIG):
            value = _json(folder / name).get(key) if (folder / name).exists() else None
            values: list[Any] = value if isinstance(value, list) else [value]
            if key not in ids and all(isinstance(index, int) and not isinstance(index, bool) for index in values):
                ids[key] = values
    names = _json(folder / _TOKENIZER_CONFIG) if (folder / _TOKENIZER_CONFIG).exists() else {}
    texts = {}
    for key in ("bos_token", "eos_token"):
        value = names.get(key)
        texts[key] = value.get("content") if isinstance(value, dict) else value
    return Frame(
        bos=ids.get("bos_token_id", [None])[0],
        eos=tuple(ids.get("eos_token_id", ())),
        bos_text=texts["bos_token"],
        eos_text=texts["eos_token"],
    )
