"""What the compiler says of models that it cannot take; and that no damage leads to anything but such a message."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler import api, compile_model
from pipeline.compiler.ops.registry import SUPPORTED
from pipeline.errors import ThimbleError
from tests.support.build_model import ModelBuilder
from tests.support.strategies import int8_values, some


def small_model() -> bytes:
    """A product, its activation, a sum, a softmax."""
    model = ModelBuilder()
    x = model.input("x", (1, 8), 0.1, 3)
    weights = model.tensor((6, 8), [0.01 * (row + 1) for row in range(6)], 0, int8_values(0, (6, 8), -127))
    bias = model.tensor((6,), [0.001 * (row + 1) for row in range(6)], 0, np.arange(6), "INT32")
    product, gate, total = (model.tensor((1, 6), *pair) for pair in ((0.2, 0), (1 / 256, -128), (0.3, 7)))
    out = model.tensor((1, 6), 1 / 256, -128)
    model.op("FULLY_CONNECTED", [x, weights, bias], [product])
    model.op("LOGISTIC", [product], [gate])
    model.op("ADD", [product, gate], [total])
    model.op("SOFTMAX", [total], [out], beta=1.0)
    return model.bytes({"y": out})


def compiled_or_refused(tflite: bytes, folder: Path) -> bool:
    """Whether it compiled; any exception but ThimbleError fails the test."""
    try:
        compile_model(tflite, folder)
    except ThimbleError as error:
        assert error.what and error.remedy
        return False
    return True


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def refusal(model: ModelBuilder, out: int, folder: Path) -> ThimbleError:
    with pytest.raises(ThimbleError) as caught:
        compile_model(model.bytes({"y": out}), folder)
    return caught.value


def test_an_unsupported_op_is_named_with_its_tensor_and_the_supported_ones(folder: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (4,), 0.1), model.tensor((4,), 0.1)
    model.op("FLOOR", [x], [out])
    error = refusal(model, out, folder)
    assert error.what == "operator FLOOR (tensor 'tensor1') is not supported"
    assert set(re.findall(r"[A-Z_0-9]+", error.remedy)) == set(SUPPORTED)


def test_a_float_tensor_is_named(folder: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (4,), dtype="FLOAT32"), model.tensor((4,), dtype="FLOAT32")
    model.op("RELU", [x], [out])
    error = refusal(model, out, folder)
    assert "RELU has a FLOAT32 tensor 'tensor0'" in error.what
    assert "quantize" in error.remedy


@pytest.mark.parametrize("scale", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_a_tensor_without_a_usable_scale_is_named(scale: float | None, folder: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (4,), 0.1), model.tensor((4,), scale)
    model.op("RELU", [x], [out])
    assert "tensor 'tensor1' has no usable scale" in refusal(model, out, folder).what


def test_several_rows_of_a_product_are_refused(folder: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (2, 8), 0.1), model.tensor((2, 4), 0.1)
    model.op("FULLY_CONNECTED", [x, model.tensor((4, 8), 0.1, 0, int8_values(0, (4, 8)))], [out])
    assert "2 rows at once" in refusal(model, out, folder).what


@pytest.mark.parametrize("kind", ["MUL", "ADD"])
def test_an_output_scale_far_too_small_is_refused(kind: str, folder: Path) -> None:
    model = ModelBuilder()
    a, b = model.input("a", (4,), 4.0), model.input("b", (4,), 4.0)
    out = model.tensor((4,), 2.0**-20)
    model.op(kind, [a, b], [out])
    assert "an output scale far below" in refusal(model, out, folder).what


@pytest.mark.parametrize("data", [b"", b"TFL3", b"not a model at all, but long enough", bytes(64)])
def test_what_is_no_tflite_is_said_to_be_none(data: bytes, folder: Path) -> None:
    with pytest.raises(ThimbleError, match=r"not a \.tflite file"):
        compile_model(data, folder)


def test_a_model_that_computes_nothing_is_refused(folder: Path) -> None:
    model = ModelBuilder()
    x = model.input("x", (4,), 0.1)
    with pytest.raises(ThimbleError, match="computes nothing"):
        compile_model(model.bytes({"x": x}), folder)


def test_a_mistake_of_the_compiler_is_not_called_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise KeyError("a missing buffer")

    monkeypatch.setattr(api, "lower_graph", mistaken)
    with pytest.raises(
        ThimbleError, match=r"a fault of Thimble: KeyError .*'a missing buffer'.* at \w+\.py:\d+"
    ) as caught:
        compile_model(small_model(), folder)
    assert "report it" in caught.value.remedy and isinstance(caught.value.__cause__, KeyError)


def test_the_small_model_itself_compiles(folder: Path) -> None:
    assert compiled_or_refused(small_model(), folder)


@pytest.mark.slow
def test_truncated_anywhere(folder: Path) -> None:
    whole = small_model()
    for length in range(0, len(whole), 7):
        compiled_or_refused(whole[:length], folder)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=4))
@some
def test_any_bytes_changed(folder: Path, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(small_model())
    for index, mask in changes:
        damaged[index % len(damaged)] ^= mask
    compiled_or_refused(bytes(damaged), folder)


@pytest.mark.slow
def test_each_byte_changed(folder: Path) -> None:
    whole = small_model()
    for index in range(len(whole)):
        damaged = bytearray(whole)
        damaged[index] ^= 0xFF
        compiled_or_refused(bytes(damaged), folder)
