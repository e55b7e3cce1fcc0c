"""Ranges of a decode step's integers, measured by running the float step, and a floor where only the best counts.

The converter's own calibration takes each tensor's smallest and largest value, and takes them late: an operator that
works in place spoils those of its input. Scores of attention and logits reach far below what matters: a value 20 below
the best one is nothing beside it after a softmax, and an int8 step for it is lost to the others. Their floor is the one
with which the softmax comes out most like in float, by the Kullback-Leibler divergence on the calibration's rows.

Ranges may have been learned, too (`pipeline.training.fit_int`); then they are taken, and the others measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.quantize.tflite_file import read_model, schema, write_model

__all__ = ["fitted_floor", "with_fitted_ranges"]

Inputs = dict[str, np.ndarray]

_ROWS_KEPT = 4_000  # of each softmax
_LEVELS = 255
_MARGIN = 8.0  # that the floor keeps below every row's best value: e^-8 is left of what is masked
_OP = schema.BuiltinOperator


def with_fitted_ranges(
    tflite: bytes, feeds: Iterator[Inputs], learned: Mapping[str, tuple[float, float]] | None = None
) -> bytes:
    """A float decode step, as the converter calibrates it, with ranges measured anew on `feeds`.

    Args:
        tflite: float32, with one signature and a range at each tensor that is to become integers.
        feeds: inputs by the signature's names, as many as shall be measured.
        learned: least and largest value by the names of `pipeline.network.decoder.TappedLayer`, which the tensors must
            bear then.
    """
    model = read_model(tflite)
    graph = model.subgraphs[0]
    names = {entry.name.decode(): int(entry.tensorIndex) for entry in model.signatureDefs[0].inputs}
    computed = {int(index) for op in graph.operators for index in op.outputs}
    watched = [i for i in sorted(computed | set(names.values())) if graph.tensors[i].type == schema.TensorType.FLOAT32]
    softmaxes = _before_softmax(model)
    low, high = dict.fromkeys(watched, 0.0), dict.fromkeys(watched, 0.0)
    rows: dict[int, list[np.ndarray]] = {index: [] for index in softmaxes}
    worst = dict.fromkeys(softmaxes, 0.0)  # the lowest best value of a row
    interpreter = Interpreter(
        model_content=tflite,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    for count, feed in enumerate(feeds):
        for name, value in feed.items():
            interpreter.set_tensor(names[name], value)
        interpreter.invoke()
        for index in watched:
            values = interpreter.get_tensor(index)
            low[index], high[index] = min(low[index], float(values.min())), max(high[index], float(values.max()))
            if index in rows:
                table = values.reshape(-1, values.shape[-1])
                worst[index] = min(worst[index], float(table.max(axis=-1).min()))
                rows[index] += list(table) if count % 3 == 0 else []
    alike = _alike(model, watched)
    for index, value in _joined_constants(model, alike):
        low[index], high[index] = min(low[index], float(value.min())), max(high[index], float(value.max()))
    ranges = {
        index: (min(low[member] for member in same), max(high[member] for member in same))
        for same in alike
        for index in same
    }
    known = _known(model, alike, learned or {})
    for index, producers in softmaxes.items():
        low_end, high_end = known.get(index) or (fitted_floor(_some(rows[index]), high[index]), high[index])
        for tensor in (index, *producers):
            ranges[tensor] = known[tensor] = (min(low_end, worst[index] - _MARGIN), high_end)
    ranges |= known
    for index, (low_end, high_end) in ranges.items():
        tensor = graph.tensors[index]
        tensor.quantization = tensor.quantization or schema.QuantizationParametersT()
        tensor.quantization.min, tensor.quantization.max = [low_end], [high_end]
    return write_model(model)


def fitted_floor(rows: np.ndarray, high: float) -> float:
    """Lower end of the quantization range of a softmax's inputs [rows, columns], up to `high`, that minimizes the
    divergence from the float softmax."""
    minimum = float(rows.min())
    floors = [high - (high - minimum) * share for share in np.geomspace(0.05, 1.0, 40)]
    below = [float(floor) for floor in floors if floor < 0]  # the range of integers has a 0
    return min(below, key=lambda floor: _divergence(rows, floor, high), default=minimum)


def _divergence(rows: np.ndarray, low: float, high: float) -> float:
    """Mean Kullback-Leibler divergence of the rows' softmax in integers from that in float."""
    step = (high - low) / _LEVELS
    exact = _log_softmax(rows)
    rounded = _log_softmax(np.round((np.clip(rows, low, high) - low) / step) * step)
    return float((np.exp(exact) * (exact - rounded)).sum(axis=-1).mean())


def _log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows.astype(np.float64) - rows.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def _some(rows: list[np.ndarray]) -> np.ndarray:
    """At most `_ROWS_KEPT` rows, evenly spaced."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _ROWS_KEPT)).astype(int)
    return np.stack([rows[i] for i in chosen])


def _alike(model: Any, watched: list[int]) -> list[set[int]]:
    """The tensors in sets that hold the same numbers, in other shapes or one beside the other."""
    group = {index: {index} for index in watched}
    for op in model.subgraphs[0].operators:
        if _kind(model, op) in (_OP.RESHAPE, _OP.TRANSPOSE, _OP.CONCATENATION):
            same: set[int] = set().union(*(group[int(i)] for i in (*op.inputs, *op.outputs) if int(i) in group))
            group.update(dict.fromkeys(same, same))
    return [same for index, same in group.items() if index == min(same)]


def _joined_constants(model: Any, alike: list[set[int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Constants that lie beside tensors in a concatenation, with its result."""
    graph = model.subgraphs[0]
    watched = set().union(*alike)
    for op in graph.operators:
        if _kind(model, op) == _OP.CONCATENATION and int(op.outputs[0]) in watched:
            for index in op.inputs:
                data = model.buffers[graph.tensors[index].buffer].data
                if data is not None:
                    yield int(op.outputs[0]), np.frombuffer(bytes(data), np.float32)


def _known(
    model: Any, alike: list[set[int]], learned: Mapping[str, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """The learned ranges by tensor: of those that bear the names, and of all that hold the same numbers."""
    graph, logits = model.subgraphs[0], _logits(model)
    ranges = {}
    for same in alike:
        for index in sorted(same):
            name = graph.tensors[index].name.decode().partition(";")[0].rpartition("/")[0]
            name = "head/out" if index == logits else name  # it bears the output's name
            if name in learned:
                ranges.update(dict.fromkeys(same, learned[name]))
    return ranges


def _kind(model: Any, op: Any) -> int:
    code = model.operatorCodes[op.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _before_softmax(model: Any) -> dict[int, list[int]]:
    """The tensors that a softmax reads, and the logits, which the sampler's will; with each the product that is its
    sum's other part than the mask, which has the same values."""
    graph = model.subgraphs[0]
    producer = {int(index): op for op in graph.operators for index in op.outputs}
    inputs_by_logits: dict[int, list[int]] = {}
    for op in graph.operators:
        if _kind(model, op) == _OP.SOFTMAX:
            index = int(op.inputs[0])
            parts = [int(part) for part in producer[index].inputs] if _kind(model, producer[index]) == _OP.ADD else []
            inputs_by_logits[index] = [
                part for part in parts if part in producer and _kind(model, producer[part]) == _OP.BATCH_MATMUL
            ]
    inputs_by_logits[_logits(model)] = []
    return inputs_by_logits


def _logits(model: Any) -> int:
    return next(int(entry.tensorIndex) for entry in model.signatureDefs[0].outputs if entry.name == b"logits")
