"""What is measured: models by name, and single products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline.bench.held_out import announce_training
from pipeline.bench.structures import Weights
from pipeline.files import write_bytes
from pipeline.quantize.tflite_file import schema, write_model
from pipeline.recipes.load import load_recipe
from pipeline.recipes.paths import MODELS, RECIPE, shipped_models
from pipeline.recipes.schema import ModelConfig
from pipeline.stages.registry import run_recipe
from pipeline.tasks.registry import load_task
from pipeline.tasks.text_path import recipe_codec
from pipeline.text.codec import StructuredCodec
from pipeline.workflow.artifacts import TFLITE, TOKENIZER
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.shipped import recipes_with_weights

__all__ = [
    "DEPTHS",
    "ROWS",
    "SHAPES",
    "STORIES",
    "Model",
    "default_models",
    "known_models",
    "layer_tflite",
    "load_models",
    "product_tflite",
    "random_step",
]

DEPTHS = (48, 64, 96, 128, 172, 192)
ROWS = 64
STORIES: dict[str, object] = {
    **{"vocab_size": 512, "d_model": 64, "layers": 5, "heads": 8, "kv_heads": 4, "ffn": "gated", "ffn_dim": 172},
    **{"norm": "rmsnorm", "positions": "rotary", "context": 256, "tied_embeddings": True},
}
"""The shapes of stories260K (karpathy/tinyllamas), with a context of 256."""
SHAPES = "stories260K-shapes"
"""The model of these shapes, with random weights."""


@dataclass(frozen=True)
class Model:
    """A decode step: its .tflite, its shapes, and its tokenizer's file where it has one; of one with answer tokens its
    codec, and sentences to ask."""

    name: str
    tflite: bytes
    config: ModelConfig
    tokenizer: Path | None = None
    codec: StructuredCodec | None = None
    sentences: tuple[str, ...] = ()


def known_models() -> tuple[str, ...]:
    """Names of what can be measured: the shipped recipes, and `SHAPES`."""
    return (*shipped_models(), SHAPES)


def default_models() -> tuple[str, ...]:
    """What is measured where nothing is named: the shipped models that have weights, the smallest first, and `SHAPES`.

    Raises:
        ThimbleError: shipped weights are damaged.
    """
    return (*(recipe.name for recipe in recipes_with_weights()), SHAPES)


def load_models(names: tuple[str, ...], build: Path, console: Console) -> list[Model]:
    """The models, quantized on first use and kept in `build`: shipped recipes with their shipped weights, which a line
    says of one that is trained first for want of them, and a model with stories260K's shapes and random weights.

    Raises:
        ThimbleError: from the stages that quantize.
    """
    models = []
    for name in names:
        if name == SHAPES:
            models.append(_stories(name, build / "bench"))
            continue
        recipe = load_recipe(MODELS / name / RECIPE)
        announce_training(recipe, build, console)
        workspace = run_recipe(recipe, RunOptions(until="quantize", build=build), console)
        tflite = TFLITE.load(workspace.stage("quantize"))
        codec = recipe_codec(recipe, workspace.stage("data"))
        bound = codec if isinstance(codec, StructuredCodec) else None
        sentences = () if bound is None else recipe.prompts or load_task(recipe).prompts()
        tokenizer = workspace.path(TOKENIZER.of("data"))
        models.append(Model(name, tflite, recipe.model, tokenizer, bound, tuple(sentences)))
    return models


def _stories(name: str, folder: Path) -> Model:
    config = ModelConfig.from_mapping(STORIES)
    path = folder / f"{name}.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, random_step(config))
    return Model(name, path.read_bytes(), config)


def random_step(config: ModelConfig) -> bytes:
    """The .tflite of a decode step with random weights."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    calibration = [[int(token) for token in random.integers(0, config.vocab_size, 64)] for _ in range(2)]
    return quantize(build_decoder(config), config, calibration)


def product_tflite(depth: int, rows: int, activations: str = "INT8") -> bytes:
    """One FULLY_CONNECTED with int8 weights, a scale a channel, random values; no bias with INT16 activations."""
    model = _Products(depth, activations)
    model.add("x", "y", rows, depth, biased=activations == "INT8")
    return model.bytes()


def layer_tflite(config: ModelConfig, change: Callable[[Weights], Weights]) -> bytes:
    """The FULLY_CONNECTED of a model's layer, with int8 weights that began as random values: those that read one tensor
    in a model read one input here."""
    d, kv = config.d_model, config.d_model // config.heads * config.kv_heads
    into = ("gate", "up") if config.ffn == "gated" else ("up",)
    model = _Products(1, "INT8", change)
    for name, rows in {"q": d, "k": kv, "v": kv}.items():
        model.add("normed", name, rows, d)
    model.add("mixed", "o", d, d)
    for name in into:
        model.add("normed_again", name, config.ffn_dim, d)
    model.add("inner", "down", d, config.ffn_dim)
    return model.bytes()


class _Products:
    """A graph of matrix products in the making, each from an input to an output of the graph."""

    def __init__(
        self, seed: int, activations: str, change: Callable[[Weights], Weights] = lambda weights: weights
    ) -> None:
        self.activations, self.change = activations, change
        self.random = np.random.default_rng(seed)
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.buffers = [schema.BufferT()]
        self.inputs: dict[str, int] = {}
        self.outputs: dict[str, int] = {}

    def add(self, source: str, out: str, rows: int, depth: int, biased: bool = False) -> None:
        wide = self.activations == "INT16"
        unit = 256 if wide else 1
        scales = [float(scale) for scale in self.random.uniform(0.001, 0.004, rows)]
        weights = self.random.integers(-127, 128, (rows, depth)).astype(np.int8)
        bias = self.random.integers(-1000, 1000, rows).astype(np.int32)
        if source not in self.inputs:
            self.inputs[source] = self._tensor([1, depth], self.activations, [0.05 / unit], 0 if wide else 3)
        operands = [self.inputs[source], self._tensor([rows, depth], "INT8", scales, 0, self.change(weights))]
        bias_scales = [0.05 * scale for scale in scales]
        operands.append(self._tensor([rows], "INT32", bias_scales, 0, bias) if biased else -1)
        self.outputs[out] = self._tensor([1, rows], self.activations, [0.2 / unit], 0 if wide else -5)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, operands, [self.outputs[out]]
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
        self.graph.operators.append(op)

    def _tensor(
        self, shape: list[int], kind: str, scales: list[float], zero: int, values: NDArray[np.generic] | None = None
    ) -> int:
        tensor, index = schema.TensorT(), len(self.graph.tensors)
        tensor.name, tensor.shape, tensor.type = f"t{index}".encode(), shape, getattr(schema.TensorType, kind)
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = scales, [zero] * len(scales)
        tensor.quantization.quantizedDimension = 0
        if values is not None:
            tensor.buffer = len(self.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return index

    def bytes(self) -> bytes:
        self.graph.inputs, self.graph.outputs = list(self.inputs.values()), list(self.outputs.values())
        code, model, signature = schema.OperatorCodeT(), schema.ModelT(), schema.SignatureDefT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 1
        signature.signatureKey = b"serving_default"
        signature.inputs, signature.outputs = self._named(self.inputs), self._named(self.outputs)
        model.version, model.subgraphs, model.operatorCodes = 3, [self.graph], [code]
        model.buffers, model.signatureDefs = self.buffers, [signature]
        return write_model(model)

    def _named(self, indices: dict[str, int]) -> list[object]:
        entries = []
        for name, index in indices.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), index
            entries.append(entry)
        return entries
