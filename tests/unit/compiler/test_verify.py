"""Graphs and programs that contradict themselves are found, after each pass, where it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import api, compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph, Op
from pipeline.compiler.ir.program import (
    Address,
    Call,
    Constant,
    Parameters,
    Pointer,
    Program,
    Record,
    Table,
    View,
)
from pipeline.compiler.ir.verify import graph_contradictions, program_contradictions
from pipeline.errors import ThimbleError
from tests.support.build_model import ModelBuilder


def two_operators() -> bytes:
    """softmax(relu(x)) + relu(x)"""
    model = ModelBuilder()
    x = model.input("x", (1, 8), 0.1, 3)
    relu, softmax, out = (model.tensor((1, 8), *pair) for pair in ((0.1, 3), (1 / 256, -128), (0.2, 0)))
    model.op("RELU", [x], [relu])
    model.op("SOFTMAX", [relu], [softmax], beta=1.0)
    model.op("ADD", [softmax, relu], [out])
    return model.bytes({"y": out})


def graph() -> Graph:
    return read_tflite(two_operators())


def swapped(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    return ops[1], ops[0], ops[2]


BROKEN = {
    "before it is computed": replace(graph(), ops=swapped(graph().ops)),
    "reads tensor 99": replace(graph(), ops=(replace(graph().ops[0], inputs=(99,)), *graph().ops[1:])),
    "reads tensor -2": replace(graph(), ops=(replace(graph().ops[0], inputs=(-2,)), *graph().ops[1:])),
    "which is there already": replace(graph(), ops=(*graph().ops, graph().ops[-1])),
    "makes nothing": replace(graph(), ops=(*graph().ops, Op("RELU", (0,), ()))),
    "nothing computes the output 'y'": replace(graph(), ops=graph().ops[:2]),
    "z is no tensor": replace(graph(), outputs={"z": 7}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_graph_that_contradicts_itself(what: str) -> None:
    assert not graph_contradictions(graph())
    assert any(what in line for line in graph_contradictions(BROKEN[what]))


def test_a_tflite_that_contradicts_itself_is_refused_as_such(tmp_path: Path) -> None:
    model = ModelBuilder()
    x, later, out = model.input("x", (4,), 0.1), model.tensor((4,), 0.1), model.tensor((4,), 0.1)
    model.op("ADD", [x, later], [out])
    model.op("RELU", [x], [later])
    with pytest.raises(ThimbleError, match=r"contradicts itself: operator 0 .* before it is computed"):
        compile_model(model.bytes({"y": out}), tmp_path)


def buffer(name: str, columns: int = 8, offset: int = 0) -> View:
    return View("arena", name, 1, columns, columns, (offset,))


def program() -> Program:
    own = Parameters("p", "own", (("table", Table("numbers")), ("record", Record((Table("numbers"), 3)))))
    arguments = (Address("own"), Pointer(buffer("x")), Pointer(buffer("y")))
    return Program(
        calls=[Call("first", arguments, ("x",), ("y",), (own,)), Call("last", (Pointer(buffer("y")),), ("y",), ())],
        constants={"numbers": Constant("numbers", "int8_t", np.zeros(4, np.int8))},
        buffers={"x": 8, "y": 8},
        inputs={"x": buffer("x")},
        outputs={"y": buffer("y")},
    )


def changed(number: int, **fields: object) -> Program:
    calls = list(program().calls)
    calls[number] = replace(calls[number], **fields)  # type: ignore[arg-type]
    return replace(program(), calls=calls)


OTHERS = Parameters("p", "own", (("record", Record((Table("others"),))),))
WRONG = {
    "there are no parameters own": changed(0, parameters=()),
    "there is no constant numbers": replace(program(), constants={}),
    "there is no constant others": changed(
        0, parameters=(Parameters("p", "own", (("t", Record((Table("others"),))),)),)
    ),
    "there is no arena y": replace(program(), buffers={"x": 8}),
    "ends at byte 9 of y": changed(1, arguments=(Pointer(buffer("y", 8, 1)),)),
    "names ['x', 'y'], and reads or writes ['y']": changed(0, reads=()),
    "reads ['y'], which nothing has written": replace(program(), calls=program().calls[1:]),
    "nothing writes the output 'y'": replace(program(), calls=[]),
    "serves more than logits": changed(0, logits_only=True),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_program_that_contradicts_itself(what: str) -> None:
    assert not program_contradictions(program())
    assert any(what in line for line in program_contradictions(WRONG[what]))


@pytest.mark.parametrize("list_of_passes", ["GRAPH_PASSES", "PROGRAM_PASSES"])
def test_the_pass_that_breaks_something_is_named(
    list_of_passes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget_the_first(form: Graph | Program) -> Graph | Program:
        if isinstance(form, Graph):
            return replace(form, ops=form.ops[1:])
        return replace(form, calls=form.calls[1:])

    monkeypatch.setattr(api, list_of_passes, (*getattr(api, list_of_passes), forget_the_first))
    with pytest.raises(ThimbleError, match=r"a fault of Thimble: .*after forget_the_first: "):
        compile_model(two_operators(), tmp_path)
