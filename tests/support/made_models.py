"""Small models of other projects with random weights, as their programs write them, and what these compute in NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE

__all__ = [
    "TEXTS",
    "byte_level_tokenizer",
    "gguf_file",
    "gpt2_folder",
    "gpt2_logits",
    "gpt_neo_folder",
    "llama_folder",
    "llama_logits",
    "sentencepiece_model",
]

TEXTS = [
    "Once upon a time there was a little fox. It's 12 o'clock, they're late; we'll see 2024 and 3,5 things!",
    "def turn(on):\n    if on:\n        return ON\n\treturn None\r\n\r\n  x = 100_000",
    "Straße, über, Größe: ein Café kostet 4½ €. Ё привет мир, 今天天气 2０２4 ١٢٣",
    "DON'T SHOUT, I'LL go; 'S T 'tis  the   end...   ",
] * 3

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA = {
    "model_type": "llama",
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "tie_word_embeddings": False,
}
GPT2_CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 400,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 48,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GPT_NEO = {
    "model_type": "gpt_neo",
    "vocab_size": 400,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "intermediate_size": None,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 24,
    "max_position_embeddings": 48,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def byte_level_tokenizer(kind: str = "gpt2", vocab_size: int = 400) -> Tokenizer:
    """A byte-level BPE of TEXTS that cuts texts as `gpt2`, `digits`, `llama3` or `qwen2` does; id 0 is its special."""
    tokenizer = Tokenizer(BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt2", "digits"))
    expression = LLAMA3 if kind == "llama3" else LLAMA3.replace("{1,3}", "")
    before: dict[str, list[Any]] = {
        "gpt2": [],
        "digits": [pre_tokenizers.Digits(individual_digits=True)],
        "llama3": [pre_tokenizers.Split(Regex(expression), "isolated")],
        "qwen2": [pre_tokenizers.Split(Regex(expression), "isolated")],
    }
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before[kind], level]) if before[kind] else level
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def sentencepiece_tokenizer_json(path: Path) -> Tokenizer:
    """A BPE of characters as `transformers` makes it of Llama 2's SentencePiece model, saved at `path`."""
    specials = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=140,
        limit_alphabet=60,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    trainer.vocab_size += 259
    tokenizer.train_from_iterator([text.replace("\n", " ") for text in TEXTS[:3]], trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]  # the bytes are pieces
    path.write_text(json.dumps(data), encoding="utf-8")
    return Tokenizer.from_file(str(path))


def sentencepiece_model(folder: Path, **options: Any) -> Path:
    """`tokenizer.model` of a SentencePiece model that is trained on TEXTS."""
    import sentencepiece

    usual = {
        "model_type": "bpe",
        "vocab_size": 400,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 0.98,
        "minloglevel": 2,
        "hard_vocab_limit": False,
    }
    prefix = folder / "tokenizer"
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXTS), model_prefix=str(prefix), **{**usual, **options}
    )
    return prefix.with_suffix(".model")


def _random(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        is_gain = ("norm" in name and name.endswith("weight")) or (".ln_" in name and name.endswith("weight"))
        values = rng.uniform(0.5, 1.5, shape) if is_gain else rng.normal(0, 0.3, shape)
        arrays[name] = values.astype(np.float32)
    return arrays


def _save(folder: Path, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], dtype: str, shards: int) -> None:
    """config.json, the weights in one or more .safetensors files, and a tokenizer, unless there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = list(arrays)
    parts = [names[number::shards] for number in range(shards)]
    files = ["model.safetensors"] if shards == 1 else [f"model-{n}-of-{shards}.safetensors" for n in range(shards)]
    for file, part in zip(files, parts, strict=True):
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        data = b""
        for name in part:
            raw = arrays[name].astype("<f4")
            written = {"F32": raw, "F16": raw.astype("<f2"), "BF16": (raw.view("<u4") >> 16).astype("<u2")}[dtype]
            ends = [len(data), len(data) + written.nbytes]
            header[name] = {"dtype": dtype, "shape": list(raw.shape), "data_offsets": ends}
            data += written.tobytes()
        text = json.dumps(header).encode()
        (folder / file).write_bytes(len(text).to_bytes(8, "little") + text + data)
    if shards > 1:
        weight_map = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model")):
        byte_level_tokenizer().save(str(folder / "tokenizer.json"))


def llama_folder(
    folder: Path, biases: bool = False, dtype: str = "F32", shards: int = 1, **changes: Any
) -> dict[str, np.ndarray]:
    """A model of Llama's kind; returns its weights as they are in the file."""
    config = {**LLAMA, **changes}
    width, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = width // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes: dict[str, Sequence[int]] = {"model.embed_tokens.weight": (vocab, width)}
    for i in range(config["num_hidden_layers"]):
        own = f"model.layers.{i}"
        shapes |= {f"{own}.{name}.weight": (width,) for name in ("input_layernorm", "post_attention_layernorm")}
        matrices = {
            "self_attn.q_proj": (width, width),
            "self_attn.k_proj": (kv, width),
            "self_attn.v_proj": (kv, width),
            "self_attn.o_proj": (width, width),
            "mlp.gate_proj": (inner, width),
            "mlp.up_proj": (inner, width),
            "mlp.down_proj": (width, inner),
        }
        shapes |= {f"{own}.{name}.weight": shape for name, shape in matrices.items()}
        if biases:
            shapes |= {f"{own}.{name}.bias": shape[:1] for name, shape in matrices.items()}
    shapes["model.norm.weight"] = (width,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, width)
    arrays = _random(shapes, 3)
    _save(folder, config, arrays, dtype, shards)
    if dtype == "F16":
        return {name: values.astype(np.float16).astype(np.float32) for name, values in arrays.items()}
    if dtype == "BF16":
        return {name: (values.view(np.uint32) >> 16 << 16).view(np.float32) for name, values in arrays.items()}
    return arrays


def gpt2_folder(folder: Path, bare: bool = False, **changes: Any) -> dict[str, np.ndarray]:
    """A model of GPT-2's kind, with or without the names of a head's; returns its weights by the names with."""
    config = {**GPT2_CONFIG, **changes}
    width, inner = config["n_embd"], config.get("n_inner") or 4 * config["n_embd"]
    shapes: dict[str, Sequence[int]] = {
        "transformer.wte.weight": (config["vocab_size"], width),
        "transformer.wpe.weight": (config["n_positions"], width),
    }
    for i in range(config["n_layer"]):
        own = f"transformer.h.{i}"
        for name, shape in (
            ("ln_1", (width,)),
            ("ln_2", (width,)),
            ("attn.c_attn", (width, 3 * width)),
            ("attn.c_proj", (width, width)),
            ("mlp.c_fc", (width, inner)),
            ("mlp.c_proj", (inner, width)),
        ):
            shapes |= {f"{own}.{name}.weight": shape, f"{own}.{name}.bias": shape[-1:]}
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    arrays = _random(shapes, 4)
    written = {name.removeprefix("transformer.") if bare else name: values for name, values in arrays.items()}
    if bare:
        written |= {"h.0.attn.bias": np.ones((1, 1, 4, 4), np.float32)}  # a mask, as old checkpoints have it
    _save(folder, config, written, "F32", 1)
    return arrays


def gpt_neo_folder(folder: Path, **changes: Any) -> dict[str, np.ndarray]:
    """A model of GPT-Neo's kind; returns its weights."""
    config = {**GPT_NEO, **changes}
    width = config["hidden_size"]
    shapes: dict[str, Sequence[int]] = {
        "transformer.wte.weight": (config["vocab_size"], width),
        "transformer.wpe.weight": (config["max_position_embeddings"], width),
    }
    for i in range(config["num_layers"]):
        own = f"transformer.h.{i}"
        shapes |= {f"{own}.{name}.{kind}": (width,) for name in ("ln_1", "ln_2") for kind in ("weight", "bias")}
        shapes |= {f"{own}.attn.attention.{name}_proj.weight": (width, width) for name in ("q", "k", "v", "out")}
        shapes |= {f"{own}.attn.attention.out_proj.bias": (width,)}
        shapes |= {f"{own}.mlp.c_fc.weight": (4 * width, width), f"{own}.mlp.c_fc.bias": (4 * width,)}
        shapes |= {f"{own}.mlp.c_proj.weight": (width, 4 * width), f"{own}.mlp.c_proj.bias": (width,)}
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    arrays = _random(shapes, 5)
    _save(folder, config, arrays, "F32", 1)
    return arrays


def llama_logits(config: Mapping[str, Any], weights: Mapping[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """`LlamaForCausalLM` in float64: int [T] → [T, vocab]."""
    config = {**LLAMA, **config}
    w = {name: values.astype(np.float64) for name, values in weights.items()}
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    inverse = _llama_frequencies(config, size)
    angles = np.arange(len(tokens))[:, None] * inverse
    cos, sin = (np.concatenate([f(angles)] * 2, axis=-1)[:, None] for f in (np.cos, np.sin))

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0))

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * w[f"{name}.weight"])

    def rotated(x: np.ndarray) -> np.ndarray:
        first, second = np.split(x, 2, axis=-1)
        return np.asarray(x * cos + np.concatenate([-second, first], axis=-1) * sin)

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(config["num_hidden_layers"]):
        own = f"model.layers.{i}"
        h = norm(x, f"{own}.input_layernorm")
        q, k, v = (
            linear(h, f"{own}.self_attn.{name}_proj").reshape(len(tokens), count, size)
            for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        k, v = (np.repeat(part, heads // kv_heads, axis=1) for part in (rotated(k), v))
        x = x + linear(_attention(rotated(q), k, v, size**-0.5), f"{own}.self_attn.o_proj")
        h = norm(x, f"{own}.post_attention_layernorm")
        gate = linear(h, f"{own}.mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, f"{own}.mlp.up_proj"), f"{own}.mlp.down_proj")
    head = w["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return np.asarray(norm(x, "model.norm") @ head.T)


def _llama_frequencies(config: Mapping[str, Any], size: int) -> np.ndarray:
    """`ROPE_INIT_FUNCTIONS` of transformers."""
    inverse = 1.0 / config.get("rope_theta", 10_000.0) ** (np.arange(0, size, 2) / size)
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":
        return np.asarray(inverse / scaling["factor"])
    if kind != "llama3":
        return np.asarray(inverse)
    original, low, high = (
        scaling[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
    )
    scaled = []
    for frequency in inverse:
        wavelength = 2 * np.pi / frequency
        if wavelength < original / high:
            scaled.append(frequency)
        elif wavelength > original / low:
            scaled.append(frequency / scaling["factor"])
        else:
            smooth = (original / wavelength - low) / (high - low)
            scaled.append((1 - smooth) * frequency / scaling["factor"] + smooth * frequency)
    return np.array(scaled)


def gpt2_logits(config: Mapping[str, Any], weights: Mapping[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """`GPT2LMHeadModel` or `GPTNeoForCausalLM` in float64: int [T] → [T, vocab]."""
    w = {name: values.astype(np.float64) for name, values in weights.items()}
    is_neo = config["model_type"] == "gpt_neo"
    layers, heads = (config[key] for key in (("num_layers", "num_heads") if is_neo else ("n_layer", "n_head")))
    width = w["transformer.wte.weight"].shape[1]
    size = width // heads

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        matrix = w[f"{name}.weight"]
        return np.asarray(x @ (matrix.T if is_neo else matrix) + w.get(f"{name}.bias", 0.0))

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        epsilon = config.get("layer_norm_epsilon", 1e-5)
        centred = x - x.mean(-1, keepdims=True)
        return np.asarray(
            centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * w[f"{name}.weight"] + w[f"{name}.bias"]
        )

    def activated(x: np.ndarray) -> np.ndarray:
        if config.get("activation_function") == "relu":
            return np.asarray(np.maximum(x, 0))
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))

    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][: len(tokens)]
    for i in range(layers):
        own = f"transformer.h.{i}"
        h = norm(x, f"{own}.ln_1")
        if is_neo:
            q, k, v = (linear(h, f"{own}.attn.attention.{name}_proj") for name in "qkv")
            scale = 1.0
        else:
            q, k, v = np.split(linear(h, f"{own}.attn.c_attn"), 3, axis=-1)
            scale = size**-0.5 if config.get("scale_attn_weights", True) else 1.0
            scale /= i + 1 if config.get("scale_attn_by_inverse_layer_idx") else 1
        q, k, v = (part.reshape(len(tokens), heads, size) for part in (q, k, v))
        out = "attn.attention.out_proj" if is_neo else "attn.c_proj"
        x = x + linear(_attention(q, k, v, scale), f"{own}.{out}")
        x = x + linear(activated(linear(norm(x, f"{own}.ln_2"), f"{own}.mlp.c_fc")), f"{own}.mlp.c_proj")
    return np.asarray(norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T)


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float) -> np.ndarray:
    """Causal attention of [T, heads, size] → [T, heads · size]."""
    scores = np.einsum("thd,shd->hts", q, k) * scale
    scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return np.asarray(np.einsum("hts,shd->thd", shares, v).reshape(len(q), -1))


def gguf_file(path: Path, folder: Path, kind: str, quantization: str = "F32", **changes: Any) -> dict[str, np.ndarray]:
    """A GGUF file of the folder of `llama_folder` or `gpt2_folder`, as llama.cpp's converter writes it; returns the
    folder's weights as the file has them.

    Args:
        path: the file.
        folder: with config.json and weights.
        kind: `llama` or `gpt2`.
        quantization: of the matrices.
        changes: further keys of the file.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(path, kind)
    is_llama = kind == "llama"
    width = config["hidden_size" if is_llama else "n_embd"]
    heads = config["num_attention_heads" if is_llama else "n_head"]
    writer.add_context_length(config["max_position_embeddings" if is_llama else "n_positions"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers" if is_llama else "n_layer"])
    writer.add_feed_forward_length(config["intermediate_size"] if is_llama else 4 * width)
    writer.add_head_count(heads)
    if is_llama:
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_rope_freq_base(config.get("rope_theta", 10_000.0))
    else:
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), config)
    for key, value in changes.items():
        writer.add_string(f"{kind}.{key}", value)
    kept: dict[str, np.ndarray] = {}
    for name, weight in weights.items():
        theirs, values, back = _gguf_name(name), weight, weight
        if name.endswith(("q_proj.weight", "k_proj.weight", "q_proj.bias", "k_proj.bias")):
            count = heads if "q_proj" in name else config["num_key_value_heads"]
            values = values.reshape(count, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
        is_turned = not is_llama and theirs.startswith("blk") and values.ndim == 2
        if is_turned:
            values = values.T
        quantized = gguf.GGMLQuantizationType[quantization if values.ndim == 2 else "F32"]
        data = gguf.quants.quantize(np.ascontiguousarray(values), quantized)
        writer.add_tensor(theirs, data, raw_dtype=quantized)
        if quantized != gguf.GGMLQuantizationType.F32:
            read = gguf.quants.dequantize(data, quantized).reshape(values.shape)
            back = read.T if is_turned else read
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                back = read.reshape(count, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
        kept[name] = np.asarray(back, np.float32)
    if is_llama and config.get("rope_scaling"):
        size = width // heads
        plain = 1.0 / config.get("rope_theta", 10_000.0) ** (np.arange(0, size, 2) / size)
        writer.add_tensor("rope_freqs.weight", (plain / _llama_frequencies(config, size)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


def _add_tokenizer(writer: Any, data: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    vocabulary = data["model"]["vocab"]
    specials = {token["content"] for token in data["added_tokens"]}
    texts = [*sorted(vocabulary, key=vocabulary.__getitem__)]
    texts += [f"[PAD{index}]" for index in range(len(texts), config["vocab_size"])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(texts)
    writer.add_token_types([3 if text in specials else 5 if text.startswith("[PAD") else 1 for text in texts])
    writer.add_token_merges([" ".join(pair) if not isinstance(pair, str) else pair for pair in data["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])


_GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "model.norm": "output_norm",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "ln_1": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "ln_2": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def _gguf_name(name: str) -> str:
    base, _, kind = name.rpartition(".")
    for layers in ("model.layers.", "transformer.h."):
        if base.startswith(layers):
            number, _, part = base.removeprefix(layers).partition(".")
            return f"blk.{number}.{_GGUF_NAMES[part]}.{kind}"
    return f"{_GGUF_NAMES[base]}.{kind}"
