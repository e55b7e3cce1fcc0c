"""The cases: models of every shape that tests use, for every layout of weights, and what else becomes C.

All numbers come from seeded NumPy generators. Where TensorFlow converts, its version decides the .tflite; such cases
are `converted`, and also record the digest of the .tflite itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from pipeline.bench.shapes import DEPTHS, STORIES, layer_tflite, product_tflite
from pipeline.bench.structures import STRUCTURES, prune_blocks, prune_to_n_of_four
from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.compiler.backends.tflm import write_interpreted
from pipeline.firmware.project import write_project
from pipeline.firmware.tables import write_tokenizer
from pipeline.importers.recipe import ImportOptions
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.schema import ModelConfig
from pipeline.resources import ROOT
from pipeline.targets.boards import all_boards, load_board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from tests.oracle.test_attention_s16 import Spec as WideSpec
from tests.oracle.test_attention_s16 import attention_step as wide_attention_step
from tests.oracle.test_dead_channels import down_and_out, with_zero_columns
from tests.oracle.test_fusions import norm, rotary
from tests.support.attention_step import AttentionSpec, attention_step, default_mask
from tests.support.build_model import ModelBuilder
from tests.support.changed_weights import with_weights
from tests.support.decode_steps import KINDS, with_irregular_mask
from tests.support.made_llama2c import pieces_of, tokenizer_file
from tests.support.random_graphs import RandomGraph
from tests.support.single_op_models import fully_connected, norm_s16
from tests.support.strategies import Quantization, int8_values, int16_values

__all__ = ["CASES", "MODEL_FILE", "Case"]

MODEL_FILE = "model.tflite"
RECIPES = ("home-en-nano", "home-en-small", "home-en-base", "home-de-small", "coffee-de")
CHECKPOINT = ROOT.parent / "shared" / "stories260K"
STANDIN = ROOT / "tests" / "support" / "standin"


@dataclass(frozen=True)
class Case:
    """`generate` writes files into an empty folder. `converted`: TensorFlow makes the .tflite, of which a copy is among
    the files. `checkpoint`: stories260K is needed."""

    name: str
    generate: Callable[[Path], None]
    converted: bool = False
    checkpoint: bool = False

    @property
    def slow(self) -> bool:
        """Whether TensorFlow is loaded."""
        return self.converted

    def unavailable(self) -> str:
        """Why the case cannot be made here; empty where it can."""
        return "no stories260K in ../shared" if self.checkpoint and not CHECKPOINT.exists() else ""


def compiled_cases(
    name: str,
    tflite: Callable[[], bytes],
    packings: Iterable[WeightLayout] = tuple(WeightLayout),
    aims: Iterable[Objective] = (Objective.BALANCED,),
    blocks: Iterable[int] = (2,),
    converted: bool = False,
    checkpoint: bool = False,
) -> Iterator[Case]:
    """A model for each layout of weights, aim and block of a prompt."""

    def generate(packing: WeightLayout, aim: Objective, block: int, folder: Path) -> None:
        data = tflite()
        compile_model(data, folder, packing, block, aim)
        if converted:
            (folder / MODEL_FILE).write_bytes(data)

    for packing in packings:
        for aim in aims:
            for block in blocks:
                extra = [
                    *([aim.value] if aim is not Objective.BALANCED else []),
                    *([f"block {block}"] if block != 2 else []),
                ]
                full = ", ".join([name, packing.value, *extra])
                yield Case(full, partial(generate, packing, aim, block), converted, checkpoint)


# --- without TensorFlow: operators


def op_cases() -> Iterator[Case]:
    """Single products and fused patterns, int8."""
    for rows, depth, per_channel, biased, lowest in (
        (1, 1, False, False, -127),
        (7, 37, True, True, -127),
        (21, 64, True, False, -128),
        (8, 128, False, True, -127),
        (13, 172, True, True, -127),
    ):
        random = np.random.default_rng(rows)
        scales = [
            float(value) for value in (2.0**-6 * random.uniform(0.1, 1, rows if per_channel else 1)).astype(np.float32)
        ]
        bias = random.integers(-30_000, 30_000, rows) if biased else None
        weights = int8_values(4 * rows, (rows, depth), lowest)
        data = fully_connected(weights, scales, bias, Quantization(0.05, 3), Quantization(0.8, -5), rows % 4)
        yield from compiled_cases(f"product {rows} × {depth}", partial(_same, data))
    for why in ("minus 128", "minus 128 over a negative weight", "sum", "bias", "left shift", "dead row"):
        yield from compiled_cases(f"product with extremes: {why}", partial(_same, _extreme(why)))
    for depth in (259, 260, 1023):
        weights = np.tile(np.array([[127], [-127], [127], [-127]], np.int8), depth)
        x = Quantization(1.0, -128)
        data = fully_connected(weights, [4e-6 * 1024 / depth], None, x, Quantization(1.0, 0), 0)
        yield from compiled_cases(f"product with sums around the limit, {depth}", partial(_same, data))
    for columns in (1, 33, 64):
        data = norm(Quantization(0.05, 3), columns, 0.1, 0.02, 0.05, Quantization(0.05, 0))
        yield from compiled_cases(f"norm of {columns}", partial(_same, data))
    yield from compiled_cases("gate", partial(_same, _gate()))
    for heads, half in ((1, 1), (3, 8), (5, 12)):
        q = (Quantization(0.05, 3), Quantization(1 / 128, -1), Quantization(0.06, 7))
        yield from compiled_cases(f"rotary of {heads} × {half}", partial(_same, rotary(heads, half, q)))
    for kind in ("ADD", "SUB", "MUL"):
        yield from compiled_cases(f"broadcasts of {kind}", partial(_broadcasts, kind), (WeightLayout.INTERLEAVED_2,))
    yield from compiled_cases("batch products", partial(_same, _batch_products()), (WeightLayout.INTERLEAVED_2,))
    yield from compiled_cases("unary operators", partial(_same, _unary()), (WeightLayout.INTERLEAVED_2,))
    yield from compiled_cases("views", partial(_same, _views()), (WeightLayout.INTERLEAVED_2,))
    for seed in range(30):
        yield from compiled_cases(f"random graph {seed}", partial(_random_graph, seed))


def _same(data: bytes) -> bytes:
    return data


_RECORDED_KINDS = ("ADD", "SUB", "MUL", "LOGISTIC", "TANH", "RELU", "RELU6", "QUANTIZE", "RSQRT")
"""What random graphs drew from when they were recorded: another list draws other graphs."""


def _random_graph(seed: int) -> bytes:
    return RandomGraph(seed, 14, _RECORDED_KINDS, has_slices=False).bytes()


def _extreme(why: str) -> bytes:
    rows, depth = 6, 512 if why == "sum" else 40
    weights, bias = int8_values(3, (rows, depth), -127), np.zeros(rows, np.int32)
    if why == "minus 128":
        weights[2:4] = -128
    if why == "minus 128 over a negative weight":
        weights[:] = -128
    if why == "sum":
        weights[2] = 127
    if why == "bias":
        bias[1] = 1 << 30
    if why == "dead row":
        weights[1] = 0
    scale = 8.0 if why == "left shift" else 0.01
    return fully_connected(weights, [scale], bias, Quantization(0.5, -128), Quantization(1.0, 0), 0)


def _gate() -> bytes:
    model = ModelBuilder()
    source, up_input = model.input("gate", (1, 44), 0.04, 5), model.input("up", (1, 44), 0.03, -9)
    logistic, activated = model.tensor((1, 44), 1 / 256, -128), model.tensor((1, 44), 0.02, -60)
    out = model.tensor((1, 44), 0.05, 2)
    model.op("LOGISTIC", [source], [logistic])
    model.op("MUL", [source, logistic], [activated])
    model.op("MUL", [activated, up_input], [out])
    return model.bytes({"y": out})


_BROADCASTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 7), (3, 7)),
    ((11,), (11,)),
    ((2, 5), (1,)),
    ((2, 5), ()),
    ((3, 4), (4,)),
    ((2, 3, 4), (1, 1, 4)),
    ((3, 4), (3, 1)),
    ((1, 8), (1, 1)),
)


def _broadcasts(kind: str, dtype: str = "INT8") -> bytes:
    """Each pair of shapes in both orders, with a constant operand and without."""
    model = ModelBuilder()
    outputs: dict[str, int] = {}
    wide = dtype == "INT16"
    scales = (2.0**-12, 2.0**-11, 2.0**-10) if wide else (0.05, 0.07, 0.09)
    zeros = (0, 0, 0) if wide else (3, -7, 11)
    values = int16_values if wide else int8_values
    for number, shapes in enumerate(_BROADCASTS):
        for constant in (False, True):
            for swap in (False, True):
                a, b = shapes[::-1] if swap else shapes
                first = model.input(f"a{len(outputs)}", a, scales[0], zeros[0], dtype)
                if constant:
                    second = model.tensor(b, scales[1], zeros[1], values(4 * number, b), dtype)
                else:
                    second = model.input(f"b{len(outputs)}", b, scales[1], zeros[1], dtype)
                out = model.tensor(np.broadcast_shapes(a, b), scales[2], zeros[2], dtype=dtype)
                model.op(kind, [first, second], [out], fusedActivationFunction=number % 4)
                outputs[f"y{len(outputs)}"] = out
    return model.bytes(outputs)


def _batch_products(dtype: str = "INT8") -> bytes:
    model = ModelBuilder()
    outputs: dict[str, int] = {}
    wide = dtype == "INT16"
    scales = (2.0**-13, 2.0**-13, 2.0**-10) if wide else (0.05, 0.07, 0.9)
    zeros = (0, 0, 0) if wide else (3, -7, 11)
    shapes: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 2))
    for batches in shapes:
        for transposed in (False, True):
            right = (*batches, 5, 12) if transposed else (*batches, 12, 5)
            a = model.input(f"a{len(outputs)}", (*batches, 3, 12), scales[0], zeros[0], dtype)
            if wide or transposed:
                b = model.input(f"b{len(outputs)}", right, scales[1], zeros[1], dtype)
            else:
                b = model.tensor(right, scales[1], zeros[1], int8_values(8, right))
            out = model.tensor((*batches, 3, 5), scales[2], zeros[2], dtype=dtype)
            model.op("BATCH_MATMUL", [a, b], [out], adjX=False, adjY=transposed)
            outputs[f"y{len(outputs)}"] = out
    return model.bytes(outputs)


def _unary() -> bytes:
    model = ModelBuilder()
    outputs: dict[str, int] = {}
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    for kind in ("LOGISTIC", "TANH", "RSQRT", "RELU", "RELU6", "QUANTIZE", "SOFTMAX", "MEAN"):
        source = model.input(f"x{len(outputs)}", (4, 16), 0.06, -128 if kind == "RSQRT" else 9)
        scale, zero = (1 / 256, -128) if kind == "SOFTMAX" else fixed.get(kind, (0.05, -11))
        out = model.tensor((4, 1) if kind == "MEAN" else (4, 16), scale, zero)
        if kind == "MEAN":
            model.op(kind, [source, model.tensor((1,), data=[1], dtype="INT32")], [out], keepDims=True)
        else:
            model.op(kind, [source], [out], **({"beta": 0.5} if kind == "SOFTMAX" else {}))
        outputs[kind.lower()] = out
    return model.bytes(outputs)


def _views() -> bytes:
    """Splits, concatenations, gathers, reshapes and transposes of unit axes."""
    model = ModelBuilder()
    outputs: dict[str, int] = {}
    token, position = (model.input(name, (1,), dtype="INT32") for name in ("token", "position"))
    for name, index in (("token", token), ("position", position)):
        table = model.tensor((7, 6), 0.1, 4, int8_values(4, (7, 6)))
        outputs[f"row_{name}"] = model.tensor((1, 6), 0.1, 4)
        model.op("GATHER", [table, index], [outputs[f"row_{name}"]], axis=0)
    for axis in (0, 1):
        source = model.input(f"x{axis}", (6, 6), 0.1, 4)
        part_shape = (2, 6) if axis == 0 else (6, 2)
        parts = [model.tensor(part_shape, 0.1, 4) for _ in range(3)]
        model.op("SPLIT", [model.tensor((1,), data=[axis], dtype="INT32"), source], parts, numSplits=3)
        changed = model.tensor(part_shape, 0.1, 4)
        model.op("RELU", [parts[1]], [changed])
        outputs[f"joined{axis}"] = model.tensor((6, 6), 0.1, 4)
        model.op("CONCATENATION", [parts[2], changed, parts[0]], [outputs[f"joined{axis}"]], axis=axis)
    wide = model.tensor((1, 6, 6), 0.1, 4)
    shape = model.tensor((3,), data=[1, 6, 6], dtype="INT32")
    model.op("RESHAPE", [outputs["joined0"], shape], [wide], newShape=[1, 6, 6])
    moved = model.tensor((6, 1, 6), 0.1, 4)
    model.op("TRANSPOSE", [wide, model.tensor((3,), data=[1, 0, 2], dtype="INT32")], [moved])
    outputs["moved"] = model.tensor((6, 1, 6), 0.3, 1)
    model.op("QUANTIZE", [moved], [outputs["moved"]])
    return model.bytes(outputs)


def wide_op_cases() -> Iterator[Case]:
    """Operators with int16 activations."""
    for rows, depth, bias_type in ((1, 1, None), (7, 37, np.int32), (21, 128, np.int64), (12, 172, None)):
        random = np.random.default_rng(rows)
        scales = [float(value) for value in (2.0**-8 * random.uniform(0.1, 1, rows)).astype(np.float32)]
        bias = None if bias_type is None else random.integers(-(10**8), 10**8, rows).astype(bias_type)
        x, y = Quantization(2.0**-12, 0), Quantization(2.0**-10, 0)
        data = fully_connected(int8_values(4 * rows, (rows, depth), -127), scales, bias, x, y, dtype="INT16")
        yield from compiled_cases(f"int16 product {rows} × {depth}", partial(_same, data))
    for why in ("minus 128", "sum", "bias", "large scale", "small scale"):
        yield from compiled_cases(f"int16 product with extremes: {why}", partial(_same, _wide_extreme(why)))
    for kind in ("ADD", "SUB", "MUL"):
        name = f"int16 broadcasts of {kind}"
        yield from compiled_cases(name, partial(_broadcasts, kind, "INT16"), (WeightLayout.INTERLEAVED_2,))
    yield from compiled_cases("int16 batch products", partial(_batch_products, "INT16"), (WeightLayout.INTERLEAVED_2,))
    yield from compiled_cases("int16 unary operators", partial(_same, _wide_unary()), (WeightLayout.INTERLEAVED_2,))
    for width in (1, 24):
        data = norm_s16(width, 2.0**-12, 2.0**-10, 2.0**-10, 2.0**-9, 2.0**-12, 1e-5)
        yield from compiled_cases(f"int16 norm of {width}", partial(_same, data), (WeightLayout.INTERLEAVED_2,))


def _wide_extreme(why: str) -> bytes:
    rows, depth = 6, 520 if why == "sum" else 40
    weights, bias = int8_values(3, (rows, depth), -127), np.zeros(rows, np.int64)
    y = {"large scale": 2.0**-15, "small scale": 2.0**9}.get(why, 2.0**-4)
    if why == "minus 128":
        weights[3, 5] = -128
    if why == "sum":
        weights[2] = 127
    if why == "bias":
        bias[1] = 1 << 40
    return fully_connected(weights, [2.0**-8], bias, Quantization(2.0**-8, 0), Quantization(y, 0), dtype="INT16")


def _wide_unary() -> bytes:
    model = ModelBuilder()
    outputs: dict[str, int] = {}
    for kind in ("LOGISTIC", "TANH", "SOFTMAX", "QUANTIZE", "RELU", "RELU6", "MEAN"):
        source = model.input(f"x{len(outputs)}", (3, 16), 2.0**-11, dtype="INT16")
        scale = {"QUANTIZE": 2.0**-12, "RELU6": 2.0**-11, "RELU": 2.0**-12, "MEAN": 2.0**-12}.get(kind, 2.0**-15)
        out = model.tensor((3, 1) if kind == "MEAN" else (3, 16), scale, dtype="INT16")
        if kind == "MEAN":
            model.op(kind, [source, model.tensor((1,), data=[1], dtype="INT32")], [out], keepDims=True)
        else:
            model.op(kind, [source], [out], **({"beta": 1.0} if kind == "SOFTMAX" else {}))
        outputs[kind.lower()] = out
    narrow, widened = model.input("narrow", (5,), 0.05, 3), model.tensor((5,), 2.0**-12, dtype="INT16")
    model.op("QUANTIZE", [narrow], [widened])
    outputs["widened"] = widened
    wide, narrowed = model.input("wide", (5,), 2.0**-12, dtype="INT16"), model.tensor((5,), 0.05, 3)
    model.op("QUANTIZE", [wide], [narrowed])
    outputs["narrowed"] = narrowed
    return model.bytes(outputs)


# --- without TensorFlow: attention and compressed weights


def attention_cases() -> Iterator[Case]:
    """Decode steps of attentions alone, fused and by the general operators."""
    plain, mask = AttentionSpec(), default_mask(AttentionSpec())
    mask[2, 1] = 5
    specs: dict[str, tuple[AttentionSpec, Sequence[int], Mapping[int, np.ndarray] | None]] = {
        "plain": (plain, (0,), None),
        "all hidden": (replace(plain, unmasked=-128, masked=127), (0,), None),
        "nothing hidden": (replace(plain, unmasked=0, masked=0), (0,), None),
        "absurd scale": (
            replace(plain, scores=Quantization(0.001, 0), masked_scores=Quantization(0.001, 0)),
            (0,),
            None,
        ),
        "coarse scale": (replace(plain, scores=Quantization(4.0, 0), masked_scores=Quantization(4.0, 0)), (0,), None),
        "hundreds": (
            AttentionSpec(kv_heads=1, group=2, head_dim=4, context=300, scores=Quantization(2.0, 0)),
            (0,),
            None,
        ),
        "two layers": (plain, (0, 1), None),
        "two layers, exchanged": (plain, (1, 0), None),
        "second fused": (plain, (0, 1), {0: mask}),
        "first fused": (plain, (0, 1), {1: mask}),
        **{f"heads of {size}": (replace(plain, head_dim=size), (0,), None) for size in (3, 6, 16, 68)},
        "mask first, beta": (replace(plain, mask_first=True, beta=0.5), (0,), None),
        **{f"drawn {seed}": (_drawn(seed), (0,), None) for seed in range(8)},
    }
    for name, (spec, caches, masks) in specs.items():
        yield from compiled_cases(f"attention: {name}", partial(attention_step, spec, caches, masks))
    wide = {
        "plain": WideSpec(),
        "all hidden": WideSpec(unmasked=-127, masked=127),
        "equal scales": WideSpec(scores=-8.0, mask=-1.0, masked_scores=-8.0),
        "saturating": WideSpec(scores=-16.0, masked_scores=-12.0),
        "hundreds": WideSpec(kv_heads=1, group=1, head_dim=4, context=300, scores=-4.0, seed=3),
        "irregular": WideSpec(irregular=True, context=4),
        "heads of 6": WideSpec(head_dim=6),
        "heads of 36": WideSpec(head_dim=36),
        "coarse out": WideSpec(out=-14.0),
        "sums beyond 32 bits": WideSpec(q=-8.0, k=-8.0, scores=-17.0),
        "mask first, beta": WideSpec(mask_first=True, beta=0.5),
    }
    for name, spec_s16 in wide.items():
        yield from compiled_cases(f"int16 attention: {name}", partial(wide_attention_step, spec_s16))


def _drawn(seed: int) -> AttentionSpec:
    random = np.random.default_rng(seed)

    def quantized(low: float, high: float) -> Quantization:
        return Quantization(float(np.float32(2.0 ** random.uniform(low, high))), int(random.integers(-128, 128)))

    return AttentionSpec(
        kv_heads=int(random.integers(1, 4)),
        group=int(random.integers(1, 4)),
        head_dim=int(random.choice([4, 8, 12, 16])),
        context=int(random.integers(1, 10)),
        x=quantized(-7, -3),
        q=quantized(-7, -2),
        k=quantized(-7, -2),
        v=quantized(-7, -2),
        scores=quantized(-7, 1),
        mask=quantized(-5, 0),
        masked_scores=quantized(-7, 1),
        out=quantized(-8, -2),
        seed=seed,
    )


def weight_cases() -> Iterator[Case]:
    """Products with structured weights, for every aim, and products of the benchmarks' sizes."""
    base = ModelConfig.from_mapping({"variant": "base"})
    for name, change in STRUCTURES.items():
        yield from compiled_cases(f"layer of base, {name}", partial(layer_tflite, base, change), aims=tuple(Objective))
    for depth in DEPTHS:
        yield from compiled_cases(f"product of {depth}", partial(product_tflite, depth, 64))
        yield from compiled_cases(f"int16 product of {depth}", partial(product_tflite, depth, 64, "INT16"))


# --- converted by TensorFlow

_SMALL: dict[str, object] = {"vocab_size": 61, "d_model": 32, "layers": 2, "heads": 4, "ffn_dim": 44, "context": 12}
_WINDOW: dict[str, object] = {
    **_SMALL,
    **{"kv_heads": 2, "ffn": "gated", "positions": "rotary", "context": 40},
}
_BOARD: dict[str, object] = {"vocab_size": 300, "d_model": 32, "heads": 4, "kv_heads": 2, "context": 40}


@dataclass(frozen=True)
class Decoder:
    """A decoder's sizes and how it is quantized."""

    sizes: Mapping[str, object]
    activations: str = "int8"
    weights: str = "int8"
    ranges: str = "minmax"
    smooth: bool = False


DECODERS: dict[str, Decoder] = {
    **{
        f"decoder: {name}": Decoder(
            {**_SMALL, **sizes},
            "int16" if name.startswith("int16x8") else "int8",
            ranges="fitted" if "less their mean" in name else "minmax",
            smooth="less their mean" in name,
        )
        for name, sizes in KINDS.items()
    },
    "decoder: four layers, shared by two": Decoder(
        {**_SMALL, "layers": 4, "kv_heads": 2, "ffn": "gated", "shared_layers": 2}
    ),
    "decoder: weights of 4 bits": Decoder({**_SMALL, "kv_heads": 2, "ffn": "gated"}, weights="int4"),
    "decoder: logits of their own": Decoder({**_SMALL, "kv_heads": 2, "tied_embeddings": False}, ranges="fitted"),
    "window: int8": Decoder({**_WINDOW, "window": 9}),
    "window: int8, sinks": Decoder({**_WINDOW, "window": 10, "sinks": 3}),
    "window: int8, strided": Decoder({**_WINDOW, "window": 14, "sinks": 2, "stride": 5}),
    "window: int8, strided, learned positions": Decoder({**_WINDOW, "window": 12, "stride": 7, "positions": "learned"}),
    "window: int16, strided": Decoder({**_WINDOW, "window": 14, "stride": 5}, "int16"),
    "window: int16, sinks": Decoder({**_WINDOW, "window": 10, "sinks": 2}, "int16"),
    "board: int8": Decoder({**_BOARD, "layers": 2, "ffn_dim": 48}),
    "board: int16": Decoder({**_BOARD, "layers": 2, "ffn_dim": 48}, "int16"),
    "board: window": Decoder({**_BOARD, "layers": 1, "ffn_dim": 32, "positions": "rotary", "window": 16, "sinks": 4}),
    "board: strided": Decoder({**_BOARD, "layers": 1, "ffn_dim": 32, "window": 20, "sinks": 2, "stride": 8}),
    "board: microbit": Decoder(
        {**_BOARD, "d_model": 24, "heads": 2, "layers": 1, "ffn_dim": 32, "positions": "rotary", "context": 32}
    ),
}


@cache
def decoder(name: str) -> bytes:
    """The .tflite of one of DECODERS."""
    load_tensorflow()
    from tests.golden.decoders import decoder_tflite

    definition = DECODERS[name]
    return decoder_tflite(
        definition.sizes,
        1 + list(DECODERS).index(name),
        definition.activations,
        definition.weights,
        definition.ranges,
        definition.smooth,
    )


def decoder_cases() -> Iterator[Case]:
    """Whole decode steps of small decoders, and what their tests change in them."""
    for name in DECODERS:
        yield from compiled_cases(name, partial(decoder, name), converted=True)
        yield Case(f"interpreted {name}", partial(_interpreted, name), True)
    for name in (f"decoder: {kind}" for kind in KINDS):
        yield from compiled_cases(f"{name}, irregular mask", partial(_irregular, name), converted=True)
        if name.startswith("decoder: int16"):
            continue
        yield from compiled_cases(f"{name}, dead channels", partial(_dead, name), converted=True)
        yield from compiled_cases(f"{name}, almost all dead", partial(_all_dead, name), converted=True)
        for columns in (4, 8):
            change = partial(prune_blocks, columns=columns, density=0.3, seed=7)
            source = partial(_changed, name, change)
            yield from compiled_cases(f"{name}, blocks of {columns}", source, aims=(Objective.SPEED,), converted=True)
        structures: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "4 bits": _four_bits,
            "1:4": partial(prune_to_n_of_four, nonzeros=1, seed=3),
            "2:4": partial(prune_to_n_of_four, nonzeros=2, seed=3),
        }
        for structure, thinned in structures.items():
            source = partial(_changed, name, thinned)
            yield from compiled_cases(f"{name}, {structure}", source, aims=(Objective.SIZE,), converted=True)
    first = f"decoder: {next(iter(KINDS))}"
    for name in (first, "decoder: int16x8: rmsnorm, rotary, gated, grouped", "window: int8, sinks"):
        yield from compiled_cases(name, partial(decoder, name), blocks=(1, 4, 5), converted=True)


def _interpreted(name: str, folder: Path) -> None:
    """What TensorFlow Lite Micro's interpreter is given."""
    write_interpreted(decoder(name), 1000, 1 << 16, folder)
    (folder / MODEL_FILE).write_bytes(decoder(name))


def _irregular(name: str) -> bytes:
    return with_irregular_mask(decoder(name), 12)


def _dead(name: str) -> bytes:
    (down, other_down), (out, _) = down_and_out(decoder(name))
    heads = 16 if DECODERS[name].sizes["kv_heads"] == 2 else 8  # queries of the first K/V head
    return with_zero_columns(decoder(name), {down: [*range(0, 44, 3), 43], out: range(heads), other_down: [5]})


def _all_dead(name: str) -> bytes:
    (down, _), (out, _) = down_and_out(decoder(name))
    return with_zero_columns(decoder(name), {down: range(44), out: range(32)})


def _changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    return with_weights(decoder(name), change)


def _four_bits(weights: np.ndarray) -> np.ndarray:
    return weights >> 4


@cache
def recipe(name: str, activations: str) -> bytes:
    """The .tflite of a shipped recipe."""
    load_tensorflow()
    from tests.golden.decoders import recipe_tflite

    return recipe_tflite(name, **({"quantize": {"activations": activations}} if activations != "int8" else {}))


@cache
def stories(activations: str, window: int) -> bytes:
    """The .tflite of stories260K, not fitted to integers, which takes minutes."""
    load_tensorflow()
    from tests.golden.decoders import imported_tflite

    options = ImportOptions(activations=activations, fit=0, window=window, sinks=4 if window else 0)
    files = CHECKPOINT / "stories260K.bin", CHECKPOINT / "tok512.bin"
    return imported_tflite(*files, f"stories-{activations}-{window}", options)


@cache
def stories_shapes() -> bytes:
    """The .tflite of a decoder with the sizes of stories260K."""
    load_tensorflow()
    from tests.golden.decoders import decoder_tflite

    return decoder_tflite({**STORIES, "context": 64}, 11)


def model_cases() -> Iterator[Case]:
    """Shipped recipes and stories260K."""
    for name in RECIPES:
        yield from compiled_cases(name, partial(recipe, name, "int8"), aims=tuple(Objective), converted=True)
    yield from compiled_cases("home-en-small, int16", partial(recipe, "home-en-small", "int16"), converted=True)
    yield from compiled_cases("sizes of stories260K", stories_shapes, converted=True)
    for activations, window in (("int8", 0), ("int16", 0), ("int8", 64)):
        name = f"stories260K, {activations}{', window' if window else ''}"
        yield from compiled_cases(name, partial(stories, activations, window), converted=True, checkpoint=True)


# --- besides the model


def project_cases() -> Iterator[Case]:
    """Tokenizers' tables, and what a project's board is described by."""
    for name in RECIPES:
        yield Case(f"tokenizer of {name}", partial(_tokenizer, ROOT / "models" / name / "tokenizer.json"))
    yield Case("tokenizer of llama2.c", _made_tokenizer)
    yield Case("tokenizer of stories260K", _stories_tokenizer, checkpoint=True)
    for board in all_boards():
        yield Case(f"board {board.name}", partial(_board, board.name))


def _tokenizer(path: Path, folder: Path) -> None:
    write_tokenizer(load_tokenizer(path), folder)


def _made_tokenizer(folder: Path) -> None:
    learned = {" ": -1.0, "t": -2.0, "h": -3.0, "e": -4.0, "he": -5.0, "the": -6.0, " the": -7.0, "é": -8.0}
    pieces = pieces_of(learned)
    path = tokenizer_file(folder / "words.bin", pieces)
    write_tokenizer(Llama2cTokenizer.read(path, len(pieces)), folder)
    path.unlink()


def _stories_tokenizer(folder: Path) -> None:
    write_tokenizer(Llama2cTokenizer.read(CHECKPOINT / "tok512.bin", 512), folder)


def _board(name: str, folder: Path) -> None:
    """`model/build.h` is left out: it has a digest of all sources, the copied ones too."""
    tokenizer = load_tokenizer(ROOT / "models" / "home-en-nano" / "tokenizer.json")
    write_project(STANDIN, PlainCodec(tokenizer), load_board(name), "stand-in", folder)
    project_files = (folder / "board" / "board_facts.h", folder / "board" / "memory.ld")
    for path in folder.rglob("*"):
        if path.is_file() and path not in project_files:
            path.unlink()


CASES: tuple[Case, ...] = (
    *op_cases(),
    *wide_op_cases(),
    *attention_cases(),
    *weight_cases(),
    *project_cases(),
    *decoder_cases(),
    *model_cases(),
)
