"""What another program may have written into a .tflite is refused by name, all of it at once, before any pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.compiler import compile_decode_step, compile_model
from pipeline.compiler.frontend.check import check_graph
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ops.registry import FORMS
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.quantize.tflite_file import schema
from tests.support.attention_step import AttentionSpec, attention_step
from tests.support.build_model import ModelBuilder
from tests.support.changed_tflite import changed, every_operator, one_product

Change = Callable[[Any], None]
WHOLE, PLACES = every_operator()


def _graph(model: Any) -> Any:
    return model.subgraphs[0]


def _operator(model: Any, kind: str) -> Any:
    return _graph(model).operators[PLACES[kind]]


def _operand(model: Any, kind: str, position: int) -> Any:
    return _graph(model).tensors[int(_operator(model, kind).inputs[position])]


def _result(model: Any, kind: str) -> Any:
    return _graph(model).tensors[int(_operator(model, kind).outputs[0])]


def _values(model: Any, kind: str, position: int, values: object, dtype: type = np.int32) -> None:
    """Other values of a constant."""
    tensor = _operand(model, kind, position)
    model.buffers[tensor.buffer].data = np.ascontiguousarray(values, dtype).view(np.uint8).reshape(-1)


def _constant(kind: str, position: int, values: object, dtype: type = np.int32) -> Change:
    return lambda model: _values(model, kind, position, values, dtype)


def _both(first: Change, second: Change) -> Change:
    def change(model: Any) -> None:
        first(model)
        second(model)

    return change


def _set(of: Callable[[Any], Any], **values: object) -> Change:
    """Sets fields of what `of` gives for the model; those of its options where it has them there."""

    def change(model: Any) -> None:
        target = of(model)
        for name, value in values.items():
            inside = getattr(target, "builtinOptions", None)
            setattr(inside if inside is not None and hasattr(inside, name) else target, name, value)

    return change


def _options(kind: str, **values: object) -> Change:
    return _set(lambda model: _operator(model, kind), **values)


def _in(kind: str, position: int, **values: object) -> Change:
    return _set(lambda model: _operand(model, kind, position), **values)


def _out(kind: str, **values: object) -> Change:
    return _set(lambda model: _result(model, kind), **values)


def _quantized(of: Callable[[Any], Any], **values: object) -> Change:
    return _set(lambda model: of(model).quantization, **values)


def _weights(model: Any) -> Any:
    return _operand(model, "FULLY_CONNECTED", 1)


def _biases(model: Any) -> Any:
    return _operand(model, "FULLY_CONNECTED", 2)


def _relu(model: Any) -> Any:
    return _result(model, "RELU")


def _versions(model: Any) -> None:
    for code in model.operatorCodes:
        code.version = 99


def _subgraph_of_signature(model: Any) -> None:
    model.signatureDefs[0].subgraphIndex = 1
    model.subgraphs.append(_graph(model))


def _custom(model: Any) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, b"FlexErf"
    code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes.append(code)
    _operator(model, "TANH").opcodeIndex = len(model.operatorCodes) - 1


def _unread_input(model: Any, dtype: int) -> None:
    tensor, entry = schema.TensorT(), schema.TensorMapT()
    tensor.shape, tensor.type, tensor.name = [1, 4], dtype, b"more"
    entry.name, entry.tensorIndex = b"more", len(_graph(model).tensors)
    _graph(model).tensors.append(tensor)
    _graph(model).inputs = [*_graph(model).inputs, entry.tensorIndex]
    model.signatureDefs[0].inputs.append(entry)


def _external(model: Any) -> None:
    buffer = model.buffers[_weights(model).buffer]
    buffer.data, buffer.offset, buffer.size = None, 4096, 64


REFUSED: dict[str, tuple[Change, str]] = {
    "an operator's version": (_versions, "version 99"),
    "another schema": (_set(lambda model: model, version=4), "schema version 4"),
    "a custom operator": (_custom, r"operator CUSTOM 'FlexErf' \(tensor"),
    "a signature of another subgraph": (_subgraph_of_signature, "'serving_default' of subgraph 1"),
    "int4 weights": (_in("FULLY_CONNECTED", 1, type=schema.TensorType.INT4), "values of type INT4"),
    "uint8 activations": (_out("RELU", type=schema.TensorType.UINT8), "has a UINT8 tensor"),
    "two types": (_out("TANH", type=schema.TensorType.INT16), "tensors of several types, INT16"),
    "values outside of the flatbuffer": (_external, "outside of the flatbuffer"),
    "sparse values": (_in("FULLY_CONNECTED", 1, sparsity=schema.SparsityParametersT()), "a sparse format"),
    "a variable": (_in("GATHER", 0, isVariable=True), "kept from one run to the next"),
    "fewer values than the shape wants": (
        _constant("BATCH_MATMUL", 1, np.zeros(19), np.int8),
        r"19 bytes of values, and its shape \[4, 5\] wants 20",
    ),
    "more values than the shape wants": (
        _constant("BATCH_MATMUL", 1, np.zeros(21), np.int8),
        "21 bytes of values",
    ),
    "scales along the input": (
        _quantized(_weights, quantizedDimension=1, scale=[0.01] * 8, zeroPoint=[0] * 8),
        "8 scales along axis 1",
    ),
    "too few scales": (_quantized(_weights, scale=[0.01] * 7, zeroPoint=[0] * 7), "7 scales along axis 0"),
    "scales of activations": (_quantized(_relu, scale=[0.1] * 2, zeroPoint=[0] * 2), "2 scales along axis 0"),
    "more scales than zero points": (_quantized(_weights, scale=[0.01] * 8), "no usable scale"),
    "no quantization": (_out("RELU", quantization=None), "no usable scale"),
    "a scale of 0": (_quantized(_relu, scale=[0.0]), "no usable scale"),
    "a scale that is no number": (_quantized(_relu, scale=[float("nan")]), "no usable scale"),
    "a huge scale": (_quantized(_relu, scale=[1e30]), "a scale of 1e"),
    "a zero point beyond int8": (_quantized(_relu, zeroPoint=[128]), "a zero point of 128"),
    "weights with a zero point": (_quantized(_weights, zeroPoint=[1]), "with a zero point"),
    "a short bias": (
        _both(_in("FULLY_CONNECTED", 2, shape=[4]), _constant("FULLY_CONNECTED", 2, np.zeros(4))),
        r"biases of shape \[4\] for 8 rows",
    ),
    "a bias of another scale": (_quantized(_biases, scale=[0.5]), "a bias scale of 0.5"),
    "shuffled weights": (_options("FULLY_CONNECTED", weightsFormat=1), "weightsFormat"),
    "asymmetric inputs": (_options("FULLY_CONNECTED", asymmetricQuantizeInputs=True), "asymmetric_quantize_inputs"),
    "an activation that is not known": (_options("ADD", fusedActivationFunction=4), "the fused activation 4"),
    "an activation where none can be": (_options("CONCATENATION", fusedActivationFunction=1), "the fused activation 1"),
    "options of another operator": (
        _set(
            lambda model: _operator(model, "MUL"),
            builtinOptionsType=schema.BuiltinOptions.AddOptions,
            builtinOptions=schema.AddOptionsT(),
        ),
        "options of another kind, AddOptions",
    ),
    "no options": (
        _set(lambda model: _operator(model, "SOFTMAX"), builtinOptionsType=0, builtinOptions=None),
        "SOFTMAX .*: no options",
    ),
    "a beta that is no number": (_options("SOFTMAX", beta=float("nan")), "no numbers"),
    "a negative beta": (_options("SOFTMAX", beta=-1.0), "a beta of -1"),
    "an alpha that is infinite": (_options("LEAKY_RELU", alpha=float("inf")), "no numbers"),
    "a transposed left side": (_options("BATCH_MATMUL", adjX=True), "a transposed left side"),
    "a right side that does not fit": (_options("BATCH_MATMUL", adjY=True), "matrices of shapes"),
    "an axis that there is not": (_options("CONCATENATION", axis=5), "axis 5"),
    "another axis": (_options("CONCATENATION", axis=0), "along axis 0"),
    "an axis of a mean": (_constant("MEAN", 1, [0]), "axes other than the last"),
    "two axes of a mean": (
        _both(_in("MEAN", 1, shape=[2]), _constant("MEAN", 1, [1, 1])),
        "axes other than the last",
    ),
    "an axis of a look-up": (_options("GATHER", axis=1), "this look-up"),
    "axes of batches of a look-up": (_options("GATHER", batchDims=1), "this look-up"),
    "parts that there are not": (_options("SPLIT", numSplits=3), "in 3 parts, and 2 outputs"),
    "an axis of a split": (_constant("SPLIT", 0, [7]), "an axis that is computed"),
    "an order that is none": (_constant("TRANSPOSE", 1, [0, 0, 2]), "an order of axes"),
    "another order": (_constant("TRANSPOSE", 1, [0, 1, 2]), "the order"),
    "another shape": (_constant("RESHAPE", 1, [2, 8]), r"a shape of \[2, 8\]"),
    "bounds beyond an axis": (_constant("STRIDED_SLICE", 1, [0, 9]), "elements 8 to 4 of axis 1"),
    "a step": (_constant("STRIDED_SLICE", 3, [1, 2]), "with steps"),
    "two axes": (_constant("STRIDED_SLICE", 1, [1, 1]), "along several axes"),
    "a new axis": (_options("STRIDED_SLICE", newAxisMask=1), "new axes"),
    "another part": (_options("STRIDED_SLICE", endMask=3), r"elements 0 to 8 of axis 1"),
    "a result of another shape": (_out("RELU", shape=[2, 7]), r"output of \[2, 7\]"),
    "a broadcast that is none": (_out("ADD", shape=[2, 2, 4]), "broadcasting"),
    "an open shape": (_out("RELU", shape=[-1, 8]), "a part is open"),
    "no elements": (_out("RELU", shape=[0, 8]), "no elements"),
    "more elements than a device has": (_out("RELU", shape=[1 << 20, 1 << 20]), "at most"),
    "many axes": (_out("RELU", shape=[1, 1, 1, 1, 1, 2, 8]), "at most 6 axes"),
    "an index of another type": (_in("GATHER", 1, type=schema.TensorType.INT64), "'token' is INT64"),
    "an input that nothing reads": (
        lambda model: _unread_input(model, schema.TensorType.COMPLEX64),
        "'more', an input or output, is COMPLEX64",
    ),
    "an operand too few": (_set(lambda model: _operator(model, "ADD"), inputs=[1]), "1 inputs"),
    "an operand that is left out": (_set(lambda model: _operator(model, "MUL"), inputs=[1, -1]), "2 inputs"),
    "an operand too many": (_set(lambda model: _operator(model, "RELU"), inputs=[1, 1]), "2 inputs"),
}  # fmt: skip


def test_the_graph_itself_is_right(tmp_path: Path) -> None:
    check_graph(read_tflite(WHOLE))
    compile_model(WHOLE, tmp_path)
    assert set(PLACES) == set(FORMS)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_odd_is_refused_by_name(what: str, tmp_path: Path) -> None:
    change, said = REFUSED[what]
    with pytest.raises(ThimbleError, match=said) as caught:
        compile_model(changed(WHOLE, change), tmp_path)
    assert "damaged" not in str(caught.value) and "fault of Thimble" not in str(caught.value)
    assert isinstance(caught.value, UnsupportedModel)


def test_int16_has_no_zero_point(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        _graph(model).tensors[0].quantization.zeroPoint = [5]

    with pytest.raises(UnsupportedModel, match="int16 with a zero point of 5"):
        compile_model(changed(one_product("INT16"), change), tmp_path)


def test_all_that_is_not_supported_is_told_at_once() -> None:
    model = ModelBuilder()
    x = model.input("x", (1, 8), 0.1)
    tensors = [model.tensor((1, 8), 0.1) for _ in range(6)]
    for kind, source, out in (
        ("NEG", x, 0), ("NEG", x, 1), ("FLOOR", x, 2), ("GELU", x, 3), ("ROUND", x, 4),
    ):  # fmt: skip
        model.op(kind, [source], [tensors[out]])
    model.op("TANH", [x], [tensors[5]])
    with pytest.raises(UnsupportedModel) as caught:
        check_graph(read_tflite(model.bytes({f"y{number}": tensor for number, tensor in enumerate(tensors)})))
    lines = caught.value.what.splitlines()
    assert lines[0] == "the .tflite has 5 things that are not supported"
    assert "operator NEG (tensors 'tensor1', 'tensor2') is not supported; write a subtraction" in lines[1]
    assert [line.split()[1] for line in lines[1:]] == ["NEG", "FLOOR", "GELU", "ROUND", "TANH"]


def _compared_ids() -> bytes:
    """As Keras 3 writes a look-up: ids below 0 are counted from the end."""
    model = ModelBuilder()
    ids, size = model.input("ids", (1,), dtype="INT32"), model.tensor((1,), data=[48], dtype="INT32")
    table = model.tensor((48, 4), 0.1, 0, np.zeros((48, 4)))
    below, added, chosen = (model.tensor((1,), dtype=dtype) for dtype in ("BOOL", "INT32", "INT32"))
    out = model.tensor((1, 4), 0.1)
    model.op("LESS", [ids, size], [below])
    model.op("ADD", [ids, size], [added])
    model.op("SELECT_V2", [below, added, ids], [chosen])
    model.op("GATHER", [table, chosen], [out])
    return model.bytes({"y": out})


def test_what_is_computed_with_ids_is_refused_with_the_look_up_to_write() -> None:
    with pytest.raises(UnsupportedModel) as caught:
        check_graph(read_tflite(_compared_ids()))
    lines = caught.value.what.splitlines()[1:]
    assert len(lines) == 4
    for kind in ("LESS", "ADD", "SELECT_V2"):
        (line,) = [line for line in lines if line.strip().startswith(f"operator {kind} ")]
        assert "tf.gather(table, token)" in line and "quantize" not in line


def test_scales_are_refused_together_too(tmp_path: Path) -> None:
    model = ModelBuilder()
    a, b = model.input("a", (4,), 4.0), model.input("b", (4,), 4.0)
    first, second, after = model.tensor((4,), 2.0**-20), model.tensor((4,), 2.0**-20), model.tensor((4,), 0.1)
    model.op("MUL", [a, b], [first])
    model.op("ADD", [a, b], [second])
    model.op("ADD", [first, second], [after])
    with pytest.raises(UnsupportedModel, match="2 things") as caught:
        compile_model(model.bytes({"y": after}), tmp_path)
    assert caught.value.what.count("an output scale far below") == 2


def test_broadcasting_over_more_axes_than_tensorflow_lite_micro_has_is_refused(tmp_path: Path) -> None:
    model = ModelBuilder()
    a, b, out = model.input("a", (1, 2, 1, 3, 4), 0.1), model.input("b", (4,), 0.1), model.tensor((1, 2, 1, 3, 4), 0.2)
    model.op("ADD", [a, b], [out])
    with pytest.raises(UnsupportedModel, match="inputs of shapes"):
        compile_model(model.bytes({"y": out}), tmp_path)


def test_sums_that_32_bits_cannot_hold_are_refused(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        _values(model, "FULLY_CONNECTED", 2, np.full(8, 2**31 - 1))

    with pytest.raises(UnsupportedModel, match="sums beyond 32 bits"):
        compile_model(changed(WHOLE, change), tmp_path)


def test_more_tables_than_there_is_room_for_are_damage(tmp_path: Path) -> None:
    tflite = bytearray(one_product())
    model = schema.Model.GetRootAs(tflite, 0)
    table = model.Subgraphs(0)._tab
    start = table.Vector(table.Offset(4)) - 4  # the number of tensors
    tflite[start : start + 4] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(ThimbleError, match="more tables than it can hold"):
        compile_model(bytes(tflite), tmp_path)


# --- names


def test_inputs_without_a_signature_are_called_as_tensorflow_calls_them() -> None:
    def change(model: Any) -> None:
        model.signatureDefs = []
        _graph(model).tensors[0].name = b"serving_default_token:0"
        _graph(model).tensors[1].name = None

    assert list(read_tflite(changed(WHOLE, change)).inputs) == ["token", "input_1"]


def test_equal_names_stay_apart() -> None:
    def change(model: Any) -> None:
        model.signatureDefs = []
        for tensor in _graph(model).tensors[:2]:
            tensor.name = b"\xff\xfe"

    assert sorted(read_tflite(changed(WHOLE, change)).inputs.values()) == [0, 1]


def test_a_signature_that_names_other_tensors_contradicts_the_graph() -> None:
    def change(model: Any) -> None:
        model.signatureDefs[0].inputs[0].tensorIndex = 5

    with pytest.raises(ThimbleError, match="contradicts itself: its signature"):
        read_tflite(changed(WHOLE, change))


def test_of_several_signatures_the_first_subgraphs_is_taken() -> None:
    def change(model: Any) -> None:
        other = schema.SignatureDefT()
        other.signatureKey, other.subgraphIndex, other.inputs, other.outputs = b"other", 1, [], []
        model.signatureDefs.insert(0, other)
        model.subgraphs.append(schema.SubGraphT())

    assert list(read_tflite(changed(WHOLE, change)).inputs) == ["token", "x"]


# --- decode steps


def test_what_is_no_decode_step_is_refused_with_what_one_needs(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedModel, match=r"no decode step: it lacks token, position, k_cache_0, .*nothing fills its inputs x"
    ) as caught:
        compile_decode_step(one_product(), tmp_path)
    assert "k_new_i and v_new_i" in caught.value.remedy and not list(tmp_path.iterdir())


def test_operators_are_told_with_what_a_step_lacks(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        _graph(model).tensors[1].type = schema.TensorType.INT4

    with pytest.raises(UnsupportedModel, match="2 things") as caught:
        compile_decode_step(changed(one_product(), change), tmp_path)
    assert "no decode step" in caught.value.what and "values of type INT4" in caught.value.what


def _step(change: Change | None = None) -> bytes:
    tflite = attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8))
    return tflite if change is None else changed(tflite, change)


def _named(model: Any, name: str) -> Any:
    signature = model.signatureDefs[0]
    for entry in (*signature.inputs, *signature.outputs):
        if entry.name == name.encode():
            return _graph(model).tensors[entry.tensorIndex]
    raise KeyError(name)


def _renamed(old: str, new: str) -> Change:
    def change(model: Any) -> None:
        signature = model.signatureDefs[0]
        for entry in (*signature.inputs, *signature.outputs):
            entry.name = new.encode() if entry.name == old.encode() else entry.name

    return change


STEPS: dict[str, tuple[Change, str]] = {
    "an output of another name": (_renamed("k_new_0", "key"), "lacks k_new_0"),
    "no position": (_renamed("position", "index"), "no decode step: it lacks position; nothing fills its inputs index"),
    "an axis for a batch": (
        _set(lambda model: _named(model, "k_cache_0"), shape=[1, 1, 6, 8]),
        r"'k_cache_0' is INT8 \[1, 1, 6, 8\]; int8 or int16 \[heads, context, head width\]",
    ),
    "another row": (_set(lambda model: _named(model, "k_new_0"), shape=[1, 8]), "'k_new_0' is INT8"),
    "another scale": (
        _quantized(lambda model: _named(model, "v_new_0"), scale=[0.5]),
        "'v_new_0' and 'v_cache_0' have scales",
    ),
    "a token that is no int32": (
        _set(lambda model: _named(model, "token"), type=schema.TensorType.INT64),
        "'token' is INT64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", STEPS)
def test_a_step_that_the_runtime_could_not_drive_is_refused(what: str, tmp_path: Path) -> None:
    change, said = STEPS[what]
    with pytest.raises(UnsupportedModel, match=said):
        compile_decode_step(_step(change), tmp_path)


def test_a_step_that_contradicts_itself_is_told_so(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        _graph(model).operators[0].inputs = [99, 1]

    with pytest.raises(ThimbleError, match=r"contradicts itself: operator 0 .* reads tensor 99"):
        compile_decode_step(_step(change), tmp_path)


def test_a_table_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"a table of 24 rows, .*, is looked up by 'token' of 32"):
        compile_decode_step(attention_step(AttentionSpec()), tmp_path)
    compile_decode_step(_step(), tmp_path)


def test_an_unknown_core_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    import thimble

    with pytest.raises(ThimbleError, match="'cortex-m99' is not known") as caught:
        thimble.compile_model(_step(), tmp_path / "c", core="cortex-m99")
    assert "cortex-m0plus" in caught.value.remedy and not (tmp_path / "c").exists()
