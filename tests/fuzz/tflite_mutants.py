""".tflite files of every operator, changed in their structure or their bytes.

Most changes are small, so that many files still are models of which TensorFlow Lite Micro and the compiler can say what
they compute.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pipeline.compiler.ops.registry import SUPPORTED
from pipeline.quantize.tflite_file import read_model, schema, write_model

__all__ = ["tflite_mutants", "tflite_seeds"]

_CORPUS = Path(__file__).parent / "corpus" / "tflite"
"""The steps of docs/bring-your-own-model.md, smaller, as TensorFlow converts them."""
_REALS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 1.0, 3.0, 64.0, 1e6, 1e30, 3e38)
_INTEGERS = (-(2**31), -129, -128, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 65536, 2**31 - 1)
_TYPES = tuple(value for value in vars(schema.TensorType).values() if isinstance(value, int))
_KINDS = (*SUPPORTED, "DEQUANTIZE", "MAXIMUM", "PACK", "CUSTOM", "ABS", "SUM")


def tflite_seeds() -> list[bytes]:
    """Right files: each operator by itself and together, in int8 and int16, norms, attentions and random graphs."""
    from tests.support.attention_step import UPDATES, AttentionSpec, attention_step
    from tests.support.changed_tflite import every_operator, one_product
    from tests.support.random_graphs import RandomGraph
    from tests.support.single_op_models import batch_matmul, elementwise, layout, norm_s16
    from tests.support.strategies import Quantization

    narrow = (Quantization(0.05, 3), Quantization(0.04, -7), Quantization(0.1, 5))
    wide = (Quantization(2.0**-12, 0), Quantization(2.0**-11, 0), Quantization(2.0**-9, 0))
    seeds = [every_operator()[0], one_product(), one_product("INT16"), norm_s16(8, 2e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-5)]
    seeds += [layout(2, 4, dtype)[0] for dtype in ("INT8", "INT16")]
    for dtype, quantized in (("INT8", narrow), ("INT16", wide)):
        for kind in ("ADD", "MUL", "SQUARED_DIFFERENCE"):
            seeds.append(elementwise(kind, ((2, 5), (2, 1)), quantized, 3, dtype=dtype)[0])
        seeds.append(batch_matmul((2, 3, 4), (2, 4, 5), quantized, 4, False, dtype=dtype)[0])
    seeds += [attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8), layers) for layers in ((0,), (0, 1))]
    seeds += [attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8, update=update)) for update in UPDATES]
    seeds += [RandomGraph(seed, 5).bytes() for seed in range(12)]
    return seeds + [path.read_bytes() for path in sorted(_CORPUS.iterdir())]


def tflite_mutants() -> st.SearchStrategy[bytes]:
    """Files with one to four changes."""
    seeds = tflite_seeds()
    models = [read_model(seed) for seed in seeds]
    return st.integers(0, 2**64 - 1).map(lambda number: _mutant(random.Random(number), seeds, models))


def _mutant(rng: random.Random, seeds: Sequence[bytes], models: Sequence[Any]) -> bytes:
    if rng.randrange(8) == 0:
        return _with_other_bytes(rng, rng.choice(seeds))
    model = copy.deepcopy(rng.choice(models))
    count = rng.choice((1, 1, 1, 2, 2, 3, 4))
    try:
        for _ in range(count):
            rng.choice(_CHANGES)(rng, model)
        data = write_model(model)
    except (ValueError, TypeError, AttributeError, OverflowError, IndexError, struct.error):
        return _with_other_bytes(rng, rng.choice(seeds))  # the schema cannot hold it, or changes do not go together
    return _with_other_bytes(rng, data) if rng.randrange(20) == 0 else data


def _with_other_bytes(rng: random.Random, data: bytes) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(mutant))
        mutant[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, mutant[at] ^ (1 << rng.randrange(8)), rng.randrange(256)))
    if rng.randrange(20) == 0:
        del mutant[rng.randrange(len(mutant)) :]
    return bytes(mutant)


# --- changes of a ModelT


def _tensor(rng: random.Random, model: Any) -> Any:
    return rng.choice(model.subgraphs[0].tensors)


def _operator(rng: random.Random, model: Any) -> Any:
    return rng.choice(model.subgraphs[0].operators) if model.subgraphs[0].operators else schema.OperatorT()


def _integer(rng: random.Random) -> int:
    return rng.choice(_INTEGERS) if rng.randrange(3) else rng.randrange(-8, 9)


def _scales(rng: random.Random, model: Any) -> None:
    """Other scales: most by a factor."""
    quantization = _tensor(rng, model).quantization
    if quantization is None or quantization.scale is None:
        return
    scales = [float(scale) for scale in quantization.scale]
    at = rng.randrange(len(scales)) if scales else 0
    kind = rng.randrange(8)
    if kind < 5 and scales:
        factor = 2.0 ** (rng.uniform(-4, 4) if kind < 4 else rng.uniform(-40, 40))
        scales = [float(np.float32(min(scale * factor, 3e38))) for scale in scales]
    elif kind == 5 and scales:
        scales[at] = rng.choice(_REALS)
    elif kind == 6:
        scales = scales[:at]
    else:
        scales = scales + scales[:1]
    quantization.scale = scales


def _zero_points(rng: random.Random, model: Any) -> None:
    quantization = _tensor(rng, model).quantization
    if quantization is None or quantization.zeroPoint is None:
        return
    points = [int(point) for point in quantization.zeroPoint]
    kind = rng.randrange(6)
    if kind < 4:
        points = [rng.randrange(-128, 128)] * len(points)
    elif kind == 4:
        points = [_integer(rng) for _ in points]
    else:
        points = points[1:] if rng.randrange(2) else [*points, 0]
    quantization.zeroPoint = points


def _quantization(rng: random.Random, model: Any) -> None:
    tensor, other = _tensor(rng, model), _tensor(rng, model)
    kind = rng.randrange(4)
    if kind == 0:
        tensor.quantization = copy.deepcopy(other.quantization)
    elif kind == 1 and tensor.quantization is not None:
        tensor.quantization.quantizedDimension = _integer(rng)
    elif kind == 2 and tensor.quantization is not None and tensor.shape is not None and len(tensor.shape):
        axis = rng.randrange(len(tensor.shape))
        count = max(0, min(64, int(tensor.shape[axis])))
        tensor.quantization.quantizedDimension = axis
        tensor.quantization.scale = [2.0 ** rng.uniform(-9, 1) for _ in range(count)]
        tensor.quantization.zeroPoint = [0] * count
    elif kind == 3:
        tensor.quantization = None


def _shape(rng: random.Random, model: Any) -> None:
    tensor = _tensor(rng, model)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    at = rng.randrange(len(shape) + 1)
    kind = rng.randrange(7)
    if kind == 0:
        shape.insert(at, 1)
    elif kind == 1 and at < len(shape):
        del shape[at]
    elif kind == 2 and at < len(shape):
        shape[at] = max(0, shape[at] + rng.choice((-1, 1)))
    elif kind == 3 and at < len(shape):
        shape[at] = _integer(rng)
    elif kind == 4:
        rng.shuffle(shape)
    elif kind == 5:
        shape = [int(size) for size in (_tensor(rng, model).shape if tensor.shape is not None else [])]
    elif len(shape) > 1:
        shape[:2] = [shape[0] * shape[1]]
    tensor.shape = shape


def _axes_everywhere(rng: random.Random, model: Any) -> None:
    """One length is another, in every shape and constant of integers."""
    sizes = sorted({int(size) for t in model.subgraphs[0].tensors for size in (t.shape if t.shape is not None else [])})
    if not sizes:
        return
    old, new = rng.choice(sizes), rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 64))
    for tensor in model.subgraphs[0].tensors:
        if tensor.shape is None:
            continue
        before = int(np.prod(tensor.shape))
        tensor.shape = [new if int(size) == old else int(size) for size in tensor.shape]
        buffer, after = model.buffers[tensor.buffer], int(np.prod(tensor.shape))
        if buffer.data is None or not len(buffer.data) or not before:
            continue
        data = np.asarray(buffer.data, np.uint8)
        if tensor.type == schema.TensorType.INT32:
            values = data.view(np.int32).copy()
            values[values == old] = new
            buffer.data = values.view(np.uint8)
        else:
            buffer.data = np.resize(data, after * (data.size // before))
        quantization = tensor.quantization
        if quantization is not None and quantization.scale is not None and len(quantization.scale) == old > 1:
            quantization.scale = [float(scale) for scale in np.resize(quantization.scale, new)]
            quantization.zeroPoint = [int(point) for point in np.resize(quantization.zeroPoint, new)]


def _more_axes(rng: random.Random, model: Any) -> None:
    """Further axes before those of all that is computed."""
    further = rng.choice(([1], [2], [1, 1], [2, 1], [2, 1, 2], [1, 1, 1, 1]))
    for tensor in model.subgraphs[0].tensors:
        if not tensor.buffer and tensor.shape is not None and tensor.type != schema.TensorType.INT32:
            tensor.shape = further + [int(size) for size in tensor.shape]


def _alike(rng: random.Random, model: Any) -> None:
    """One quantization for all that is computed."""
    quantization = _tensor(rng, model).quantization
    for tensor in model.subgraphs[0].tensors:
        if not tensor.buffer and tensor.quantization is not None:
            tensor.quantization = copy.deepcopy(quantization)


def _type(rng: random.Random, model: Any) -> None:
    kind = rng.randrange(3)
    if kind:
        _tensor(rng, model).type = rng.choice(_TYPES)
        return
    old, new = rng.sample((schema.TensorType.INT8, schema.TensorType.INT16), 2)
    for tensor in model.subgraphs[0].tensors:  # all that is computed
        if tensor.type == old and not tensor.buffer:
            tensor.type = new
            if new == schema.TensorType.INT16 and tensor.quantization is not None:
                tensor.quantization.zeroPoint = [0]


def _values(rng: random.Random, model: Any) -> None:
    """Other values of a constant, or another length."""
    stored = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data)]
    if not stored:
        return
    buffer = rng.choice(stored)
    data = np.array(buffer.data, np.uint8)
    kind = rng.randrange(8)
    if kind < 3 and data.size % 4 == 0:
        values = data.view(np.int32)
        values[rng.randrange(values.size)] = _integer(rng)
    elif kind == 3:
        data[:] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    elif kind == 4:
        data = data[: rng.randrange(data.size)]
    elif kind == 5:
        data = np.concatenate([data, data[: rng.randrange(1, 9)]])
    elif kind == 6:
        data[rng.randrange(data.size)] = rng.randrange(256)
    else:
        buffer.offset, buffer.size = rng.choice((1, 8, 2**40)), rng.choice((1, 8))
    buffer.data = data


def _buffer(rng: random.Random, model: Any) -> None:
    _tensor(rng, model).buffer = rng.choice((0, rng.randrange(len(model.buffers)), 2**20))


def _operands(rng: random.Random, model: Any) -> None:
    operator = _operator(rng, model)
    name = rng.choice(("inputs", "inputs", "inputs", "outputs"))
    indices = [int(index) for index in (getattr(operator, name) if getattr(operator, name) is not None else [])]
    at = rng.randrange(len(indices) + 1)
    kind = rng.randrange(6)
    another = rng.randrange(len(model.subgraphs[0].tensors))
    if kind < 2 and at < len(indices):
        indices[at] = another
    elif kind == 2 and at < len(indices):
        indices[at] = rng.choice((-1, -2, 2**20))
    elif kind == 3 and at < len(indices):
        del indices[at]
    elif kind == 4:
        indices.insert(at, another)
    else:
        indices.reverse()
    setattr(operator, name, indices)


def _options(rng: random.Random, model: Any) -> None:
    operator = _operator(rng, model)
    options = operator.builtinOptions
    if options is None or rng.randrange(12) == 0:
        other = _operator(rng, model)
        operator.builtinOptions, operator.builtinOptionsType = other.builtinOptions, other.builtinOptionsType
        return
    fields = list(vars(options))
    if not fields:
        return
    name = rng.choice(fields)
    value = getattr(options, name)
    if isinstance(value, bool):
        setattr(options, name, not value)
    elif isinstance(value, float):
        setattr(options, name, rng.choice(_REALS) if rng.randrange(2) else value * 2.0 ** rng.uniform(-3, 3))
    elif isinstance(value, int):
        setattr(options, name, rng.choice((0, 1, 2, 3)) if rng.randrange(2) else _integer(rng))


def _kind(rng: random.Random, model: Any) -> None:
    """Another operator, most with its options."""
    name = rng.choice(_KINDS)
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, name)
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.version, code.customCode = rng.choice((1, 1, 1, 2, 3, 99)), b"\xff\x1b[31m" if name == "CUSTOM" else None
    model.operatorCodes.append(code)
    operator = _operator(rng, model)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    if rng.randrange(3):
        title = "".join(part.capitalize() for part in name.split("_")) + "Options"
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, title, 0)
        operator.builtinOptions = getattr(schema, f"{title}T")() if operator.builtinOptionsType else None


def _order(rng: random.Random, model: Any) -> None:
    """Operators left out, doubled, or in another order."""
    operators = model.subgraphs[0].operators
    if not operators:
        return
    at, other = rng.randrange(len(operators)), rng.randrange(len(operators))
    kind = rng.randrange(4)
    if kind == 0:
        del operators[at]
    elif kind == 1:
        operators.insert(other, operators[at])
    else:
        operators[at], operators[other] = operators[other], operators[at]


def _places(rng: random.Random, model: Any) -> None:
    """Other inputs, outputs, names and signatures."""
    graph, kind = model.subgraphs[0], rng.randrange(10)
    entries = [entry for each in model.signatureDefs for entry in (*each.inputs, *each.outputs)]
    if kind < 3:
        name = rng.choice(("inputs", "outputs"))
        indices = [int(index) for index in getattr(graph, name)]
        rng.shuffle(indices)
        setattr(graph, name, indices[: rng.randrange(len(indices) + 1)] if kind == 0 else indices)
    elif kind == 3:
        model.signatureDefs = []
    elif kind == 4 and model.signatureDefs:
        model.signatureDefs[0].subgraphIndex = rng.choice((0, 1, 7))
    elif kind == 5 and entries:
        rng.choice(entries).tensorIndex = rng.randrange(len(graph.tensors) + 3)
    elif kind == 6 and entries:
        rng.choice(entries).name = rng.choice(
            (b"", b"\xff", b"token", b"position", b"k_cache_0", b"x" * 3000, b"\x1b[2J")
        )
    elif kind == 7:
        _tensor(rng, model).name = rng.choice((None, b"", b"\xff\xfe", b"*/ int x; /*", b"a\nb", b"tensor1"))
    elif kind == 8:
        model.subgraphs.append(copy.deepcopy(graph))
        if rng.randrange(2):
            model.subgraphs.reverse()
    else:
        graph.outputs = [*graph.outputs, rng.randrange(len(graph.tensors))]


def _rarities(rng: random.Random, model: Any) -> None:
    tensor, kind = _tensor(rng, model), rng.randrange(7)
    if kind == 0:
        tensor.sparsity = schema.SparsityParametersT()
    elif kind == 1:
        tensor.isVariable = True
    elif kind == 2:
        tensor.externalBuffer = 1
    elif kind == 3:
        model.version = rng.choice((0, 2, 4))
    elif kind == 4:
        rng.choice(model.operatorCodes).version = rng.choice((0, 2, 4, 8, 99))
    elif kind == 5:
        tensor.shapeSignature = [-1]
    else:
        _operator(rng, model).opcodeIndex = rng.choice((0, 1, 77))


_CHANGES: tuple[Callable[[random.Random, Any], None], ...] = (
    *(_scales,) * 5,
    *(_zero_points,) * 3,
    *(_axes_everywhere,) * 4,
    *(_more_axes, _alike),
    *(_shape,) * 3,
    *(_operands,) * 3,
    *(_options,) * 3,
    *(_values,) * 3,
    *(_kind,) * 2,
    *(_quantization, _type, _buffer, _order, _places, _rarities),
)
