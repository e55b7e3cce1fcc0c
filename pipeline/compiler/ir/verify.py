"""What holds of every graph and every program, whichever pass made it."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.compiler.ir.graph import Graph, Tensor
from pipeline.compiler.ir.program import (
    Address,
    Argument,
    Call,
    Operand,
    Parameters,
    Pointer,
    Program,
    Record,
    Scaled,
    Table,
    Value,
    View,
    sum_of,
)

__all__ = ["graph_contradictions", "program_contradictions"]


def graph_contradictions(graph: Graph) -> list[str]:
    """What is wrong with a graph, empty where nothing is.

    Every tensor that is read is an input, a constant, or made by an operator before; none is made twice; and the names
    of inputs and outputs stand for tensors that there are.
    """
    count = len(graph.tensors)
    named = {**graph.inputs, **graph.outputs}
    unknown = [name for name, index in named.items() if not 0 <= index < count]
    if unknown:
        return [f"{name} is no tensor" for name in unknown]
    given = {*graph.inputs.values(), *graph.input_order}
    made: set[int] = set()
    wrong: list[str] = []
    for number, op in enumerate(graph.ops):
        here = f"operator {number} ({op.kind})"
        if not op.outputs:
            wrong.append(f"{here} makes nothing")
        if not op.inputs:
            wrong.append(f"{here} reads nothing")
        for index in (index for index in op.inputs if index != -1):
            if not 0 <= index < count:
                wrong.append(f"{here} reads tensor {index}, and there are {count}")
            elif index not in made | given and not _is_constant(graph.tensors[index]):
                wrong.append(f"{here} reads {graph.tensors[index].name!r} before it is computed")
        for index in op.outputs:
            if not 0 <= index < count:
                wrong.append(f"{here} makes tensor {index}, and there are {count}")
            elif index in made | given or graph.tensors[index].data is not None:
                wrong.append(f"{here} makes {graph.tensors[index].name!r}, which is there already")
            made.add(index)
    for name, index in graph.outputs.items():
        if index not in made | given and graph.tensors[index].data is None:
            wrong.append(f"nothing computes the output {name!r}")
    return wrong


def _is_constant(tensor: Tensor) -> bool:
    """Whether it is a constant, of no elements or whose values could not be read among them."""
    return tensor.data is not None or tensor.size == 0 or bool(tensor.fault)


def program_contradictions(program: Program) -> list[str]:
    """What is wrong with a program, empty where nothing is.

    Every buffer, cache part, constant and parameter that is named exists and is large enough; a call says of each
    buffer that it names whether it reads or writes it; nothing is read before it is written; and once a call serves
    logits alone, so do all after it.
    """
    written = {view.name for view in program.inputs.values()}
    declared: set[str] = set()
    wrong: list[str] = []
    for number, call in enumerate(program.calls):
        here = f"call {number} ({call.kernel})"
        declared |= {parameters.name for parameters in call.parameters}
        wrong += [f"{here}: {what}" for what in _wrong_names(program, call, declared)]
        wrong += [f"{here}: {what}" for view in _views(call) for what in _beyond(program, view)]
        named = {view.name for view in _views(call) if view.space == "arena"}
        if named != {*call.reads, *call.writes}:
            wrong.append(f"{here} names {sorted(named)}, and reads or writes {sorted({*call.reads, *call.writes})}")
        unwritten = set(call.reads) - written - set(call.writes)
        if unwritten:
            wrong.append(f"{here} reads {sorted(unwritten)}, which nothing has written")
        written |= set(call.writes)
        if number and program.calls[number - 1].logits_only and not call.logits_only:
            wrong.append(f"{here} stands in the logits' tail, and serves more than logits")
    for name, view in program.outputs.items():
        if view.name not in written:
            wrong.append(f"nothing writes the output {name!r}")
    return wrong


def _views(call: Call) -> Iterator[View]:
    return (argument.view for argument in call.arguments if isinstance(argument, Pointer | Operand))


def _wrong_names(program: Program, call: Call, declared: set[str]) -> Iterator[str]:
    for argument in call.arguments:
        yield from _unknown(program, argument, declared)
    for parameters in call.parameters:
        yield from _unknown_values(program, parameters, declared)


def _unknown_values(program: Program, parameters: Parameters, declared: set[str]) -> Iterator[str]:
    waiting: list[Value] = [value for _, value in parameters.fields]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Record):
            waiting.extend(value.values)
        elif isinstance(value, Table | Address):
            yield from _unknown(program, value, declared)


def _unknown(program: Program, argument: Argument, declared: set[str]) -> Iterator[str]:
    if isinstance(argument, Table) and argument.name not in program.constants:
        yield f"there is no constant {argument.name}"
    if isinstance(argument, Address) and argument.name not in declared:
        yield f"there are no parameters {argument.name}"


def _beyond(program: Program, view: View) -> Iterator[str]:
    """Where a view is no part of what it lies in."""
    if view.space == "constant":
        known = {name: constant.values.nbytes for name, constant in program.constants.items()}
    elif view.space == "cache":
        known = {part.name: part.bytes for part in program.cache}
    else:
        known = program.buffers
    if view.name not in known:
        yield f"there is no {view.space} {view.name}"
    elif not any(isinstance(term, Scaled) for term in view.offset):
        width = 2 if view.element == "int16_t" else 1
        end = width * (sum_of(view.offset) + (view.rows - 1) * view.stride + view.columns)
        if end > known[view.name]:
            yield f"a view ends at byte {end} of {view.name}, which has {known[view.name]}"
