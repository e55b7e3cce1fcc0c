"""A new operator is not forgotten: by the registry, by the tests, by the documentation, by the kernels' header."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from pipeline.compiler import compile_model, fusions, ops
from pipeline.compiler.fusions.registry import FUSED
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.registry import OPERATORS, SUPPORTED
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.resources import ROOT
from tests.support.build_model import ModelBuilder
from tests.support.operator_table import operator_table

KERNELS = ROOT / "firmware_templates" / "runtime" / "kernels"
PAGE = ROOT / "docs" / "add-an-operator.md"
HELPERS = {"checks", "operator", "real", "registry", "rows", "scale_s16"}

TESTED_BY = {
    "INT8": {
        "test_elementwise": {"ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"},
        "test_unary_over_all_inputs": {
            *("LOGISTIC", "TANH", "RSQRT", "RELU", "RELU6", "QUANTIZE", "LEAKY_RELU", "HARD_SWISH"),
        },
        "test_fully_connected": {"FULLY_CONNECTED"},
        "test_batch_matmul": {"BATCH_MATMUL"},
        "test_softmax": {"SOFTMAX"},
        "test_mean": {"MEAN"},
        "test_gather_by_token": {"GATHER"},
        "test_split": {"SPLIT"},
        "test_strided_slice": {"STRIDED_SLICE"},
        "test_concatenation": {"CONCATENATION"},
        "test_reshape_and_transpose_of_unit_axes": {"RESHAPE", "TRANSPOSE"},
        "test_other_shapes": {"EXPAND_DIMS", "SQUEEZE"},
    },
    "INT16": {
        "test_elementwise": {"ADD", "SUB", "MUL"},
        "test_squared_difference": {"SQUARED_DIFFERENCE"},
        "test_leaky_relu_at_every_input": {"LEAKY_RELU"},
        "test_rescaling": {"QUANTIZE", "RELU", "RELU6"},
        "test_sigmoids_at_every_input": {"LOGISTIC", "TANH"},
        "test_fully_connected": {"FULLY_CONNECTED"},
        "test_batch_matmul": {"BATCH_MATMUL"},
        "test_softmax": {"SOFTMAX"},
        "test_mean": {"MEAN"},
        "test_strided_slice": {"STRIDED_SLICE"},
        "test_layout": {"SPLIT", "CONCATENATION", "TRANSPOSE", "RESHAPE", "EXPAND_DIMS", "SQUEEZE"},
    },
}
"""The tests against TensorFlow Lite Micro, in test_ops.py and test_ops_s16.py, and what they run."""


@pytest.mark.parametrize("dtype", ["INT8", "INT16"])
def test_every_operator_is_tested_against_the_oracle(dtype: str) -> None:
    module = importlib.import_module("tests.oracle.test_ops" + ("_s16" if dtype == "INT16" else ""))
    assert all(callable(getattr(module, name)) for name in TESTED_BY[dtype])
    tested = {kind for kinds in TESTED_BY[dtype].values() for kind in kinds}
    assert tested == {kind for kind, of in OPERATORS if of == dtype}


@pytest.mark.parametrize(("package", "registered"), [(ops, OPERATORS), (fusions, FUSED)])
def test_every_file_is_in_the_registry(package: object, registered: dict[tuple[str, str], Operator]) -> None:
    (folder,) = getattr(package, "__path__")  # noqa: B009
    names = [info.name for info in pkgutil.iter_modules([folder]) if info.name not in HELPERS]
    modules = [importlib.import_module(f"{getattr(package, '__name__')}.{name}") for name in names]  # noqa: B009
    assert names
    for module in modules:
        assert all(registered[row.kind, row.dtype] is row for row in module.OPERATORS)


@pytest.mark.parametrize("row", [*OPERATORS.values(), *FUSED.values()], ids=lambda row: f"{row.kind} {row.dtype}")
def test_every_kernel_has_a_file_and_a_declaration(row: Operator) -> None:
    headers = "".join(path.read_text(encoding="utf-8") for path in KERNELS.glob("thimble_kernels*.h"))
    sources = "".join(path.read_text(encoding="utf-8") for path in KERNELS.glob("*.c"))
    for kernel in row.kernels:
        assert re.search(rf"\b{kernel}\(", headers), kernel
        assert kernel in sources, kernel


def test_the_documentation_lists_every_operator() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert operator_table() in page, f"the table of docs/{PAGE.name} is to be\n{operator_table()}"


@pytest.mark.parametrize("dtype", ["INT8", "INT16"])
def test_a_negative_slope_is_refused(dtype: str, tmp_path: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (4,), 0.1, dtype=dtype), model.tensor((4,), 0.1, dtype=dtype)
    model.op("LEAKY_RELU", [x], [out], alpha=-0.25)
    with pytest.raises(ThimbleError, match="a negative alpha"):
        compile_model(model.bytes({"y": out}), tmp_path)


def test_gelu_is_refused_with_what_to_write(tmp_path: Path) -> None:
    model = ModelBuilder()
    x, out = model.input("x", (4,), 0.1), model.tensor((4,), 0.1)
    model.op("GELU", [x], [out])
    with pytest.raises(UnsupportedModel) as caught:
        compile_model(model.bytes({"y": out}), tmp_path)
    assert "tanh(0.7978845608 * (x + 0.044715 * x * x * x))" in caught.value.remedy
    assert "GELU" not in SUPPORTED
