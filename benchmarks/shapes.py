"""What is measured: models by name, and single products."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from models.config import ModelConfig
from pipeline.recipe import load_recipe
from pipeline.runner import RunOptions, run_stages

__all__ = ["DEPTHS", "MODELS", "ROWS", "STORIES", "Model", "load_models", "product_tflite", "random_step"]

DEPTHS = (48, 64, 96, 128, 172, 192)
ROWS = 64
RECIPES = Path(__file__).resolve().parent.parent / "models" / "recipes"
STORIES: dict[str, object] = {
    **{"vocab_size": 512, "d_model": 64, "layers": 5, "heads": 8, "kv_heads": 4, "ffn": "gated", "ffn_dim": 172},
    **{"norm": "rmsnorm", "positions": "rotary", "context": 256, "tied_embeddings": True},
}
"""The shapes of stories260K (karpathy/tinyllamas), with a context of 256."""
MODELS = ("home-en-nano", "home-en-small", "home-en-base", "stories260K-shapes")


@dataclass(frozen=True)
class Model:
    """A decode step: its .tflite, its shapes, and its tokenizer's file where it has one."""

    name: str
    tflite: bytes
    config: ModelConfig
    tokenizer: Path | None = None


def load_models(names: tuple[str, ...], build: Path, console: Console) -> list[Model]:
    """The models, quantized on first use and kept in `build`: shipped recipes with their shipped weights, and a model
    with stories260K's shapes and random weights.

    Raises:
        ThimbleError: from the stages that quantize.
    """
    models = []
    for name in names:
        if name == "stories260K-shapes":
            models.append(_stories(name, build / "bench"))
            continue
        recipe = load_recipe(RECIPES / f"{name}.yaml")
        workspace = run_stages(recipe, RunOptions(until="quantize", build=build), console)
        tflite = (workspace.stage("quantize") / "model.tflite").read_bytes()
        models.append(Model(name, tflite, recipe.model, workspace.stage("data") / "tokenizer.json"))
    return models


def _stories(name: str, folder: Path) -> Model:
    config = ModelConfig.from_mapping(STORIES)
    path = folder / f"{name}.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(random_step(config))
        partial.replace(path)
    return Model(name, path.read_bytes(), config)


def random_step(config: ModelConfig) -> bytes:
    """The .tflite of a decode step with random weights."""
    from models.quiet import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from models.decoder import build_decoder
    from models.quantization import quantize

    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    calibration = [[int(token) for token in random.integers(0, config.vocab_size, 64)] for _ in range(2)]
    return quantize(build_decoder(config), config, calibration)


def product_tflite(depth: int, rows: int, activations: str = "INT8") -> bytes:
    """One FULLY_CONNECTED with int8 weights, a scale a channel, random values; no bias with INT16 activations."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    random = np.random.default_rng(depth)

    def tensor(shape: list[int], kind: str, scales: list[float], zero: int, buffer: int, axis: int = 0) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = b"t", shape, getattr(schema.TensorType, kind), buffer
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = scales, [zero] * len(scales)
        made.quantization.quantizedDimension = axis
        return made

    def data(values: np.ndarray) -> object:
        made = schema.BufferT()
        made.data = np.frombuffer(values.tobytes(), np.uint8)
        return made

    def named(name: bytes, index: int) -> object:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = name, index
        return made

    wide = activations == "INT16"
    unit = 256 if wide else 1
    scales = [float(scale) for scale in random.uniform(0.001, 0.004, rows)]
    graph, op, code, model = schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT(), schema.ModelT()
    graph.tensors = [
        tensor([1, depth], activations, [0.05 / unit], 0 if wide else 3, 0),
        tensor([rows, depth], "INT8", scales, 0, 1),
        tensor([rows], "INT32", [0.05 * scale for scale in scales], 0, 2),
        tensor([1, rows], activations, [0.2 / unit], 0 if wide else -5, 0),
    ]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, -1 if wide else 2], [3]
    op.builtinOptionsType, op.builtinOptions = (
        schema.BuiltinOptions.FullyConnectedOptions,
        schema.FullyConnectedOptionsT(),
    )
    graph.operators, graph.inputs, graph.outputs = [op], [0], [3]
    weights = random.integers(-127, 128, (rows, depth)).astype(np.int8)
    bias = random.integers(-1000, 1000, rows).astype(np.int32)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [named(b"x", 0)], [named(b"y", 3)]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers, model.signatureDefs = [schema.BufferT(), data(weights), data(bias)], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
