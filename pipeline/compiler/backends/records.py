"""The kernel calls of a model as records, for other programs: one JSON object a call, in the order of a step.

docs/schemas/call.schema.json is made from these types by the command `schemas`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from pipeline.compiler.ir.names import layer_of
from pipeline.compiler.ir.program import (
    Address,
    Argument,
    BlockSize,
    Call,
    Constant,
    Float,
    Index,
    Number,
    Operand,
    Parameters,
    Pointer,
    Program,
    Record,
    Scaled,
    Table,
    Value,
    View,
)

__all__ = ["SCHEMA_VERSION", "CallRecord", "call_schema", "records_of"]

SCHEMA_VERSION: Final = 1
"""Of a record's shape. A change that a reader can notice raises it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class IndexRecord(_Part):
    """What a call knows of its token, times a factor: its id, its position, the row of the cache that it takes, and how
    many tokens came before (without a window the last three are one)."""

    index: Literal["token", "position", "slot", "time"]
    factor: int = 1


class ViewRecord(_Part):
    """Elements of a buffer of the arena, of a part of the cache, or of a constant."""

    space: str
    """`arena`, `cache` or `constant`."""
    name: str
    element: str
    """`int8_t` and the like."""
    offset: tuple[int | IndexRecord, ...]
    """Elements from the start: the sum of these."""
    rows: int
    columns: int
    stride: int
    """Elements from a row to the next."""


class PointerArgument(_Part):
    """The address of a view's first element."""

    pointer: ViewRecord


class OperandArgument(_Part):
    """A `thimble_operand_s8` or `_s16`: a view, with the elements to the next row and column; 0 repeats one."""

    operand: ViewRecord
    row_stride: int
    step: int


class ConstantArgument(_Part):
    """A constant, by its name."""

    constant: str


class ParametersArgument(_Part):
    """The address of parameters of this or an earlier call, by their name."""

    parameters: str


class NumberArgument(_Part):
    """A number."""

    number: int | float


class BlockSizeArgument(_Part):
    """How many tokens the call takes: those of the block."""

    block_size: Literal[True] = True


ArgumentRecord: TypeAlias = (
    PointerArgument
    | OperandArgument
    | ConstantArgument
    | ParametersArgument
    | NumberArgument
    | IndexRecord
    | BlockSizeArgument
)


class ParametersRecord(_Part):
    """A constant structure that comes with a call."""

    type: str
    """Of C: `thimble_norm_s8_params`."""
    name: str
    fields: dict[str, Any]
    """By name: a number, null, `{"constant": NAME}`, `{"parameters": NAME}`, or a structure as a list or object."""


class ConstantRecord(_Part):
    """A constant that a call is the first to name; its values stand in model_data.c."""

    name: str
    type: str
    """Of an element: `int8_t` and the like."""
    elements: int
    is_weights: bool


class CallRecord(_Part):
    """One kernel call of a decode step."""

    schema_version: Literal[1] = SCHEMA_VERSION
    number: int
    """From 0, in the order of execution."""
    kernel: str
    """The C function, declared in thimble_kernels.h."""
    layer: int | None
    """The transformer's layer, None for what is before or behind all."""
    group: str
    """The layer function in which it stands."""
    kind: str
    """Of the layer function: attention, cache, fully_connected, matmul, norm or elementwise."""
    arguments: tuple[ArgumentRecord, ...]
    """In the order of the C function's."""
    parameters: tuple[ParametersRecord, ...] = ()
    constants: tuple[ConstantRecord, ...] = ()
    reads: tuple[str, ...] = ()
    """Buffers of the arena."""
    writes: tuple[str, ...] = ()
    macs: int = 0
    """Multiply-accumulates a token."""
    weight_bytes: int = 0
    in_block: bool = False
    """Whether it takes a block of tokens at once."""
    writes_cache: bool = False
    for_logits_only: bool = False
    """Whether nothing but the logits needs it: of a block it is for the last token."""


def call_schema() -> dict[str, Any]:
    """The JSON schema of a record."""
    return CallRecord.model_json_schema(mode="serialization")


def records_of(program: Program) -> Iterator[CallRecord]:
    """A record for each call, in order."""
    told: set[str] = set()
    for number, call in enumerate(program.calls):
        named = [name for name in _constants(call) if name not in told]
        told.update(named)
        yield CallRecord(
            number=number,
            kernel=call.kernel,
            layer=layer_of(call.group),
            group=call.group,
            kind=call.kind,
            arguments=tuple(map(_argument, call.arguments)),
            parameters=tuple(map(_parameters, call.parameters)),
            constants=tuple(_constant(program.constants[name]) for name in dict.fromkeys(named)),
            reads=call.reads,
            writes=call.writes,
            macs=call.macs,
            weight_bytes=call.weight_bytes,
            in_block=call.block,
            writes_cache=call.appends,
            for_logits_only=call.logits_only,
        )


def _constants(call: Call) -> Iterator[str]:
    """Names of constants that the call mentions."""
    for argument in call.arguments:
        if isinstance(argument, Table):
            yield argument.name
        elif isinstance(argument, Pointer | Operand) and argument.view.space == "constant":
            yield argument.view.name
    waiting: list[Value] = [value for parameters in call.parameters for _, value in parameters.fields]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, Record):
            waiting[:0] = value.values
        elif isinstance(value, Table):
            yield value.name


def _constant(constant: Constant) -> ConstantRecord:
    return ConstantRecord(
        name=constant.name, type=constant.ctype, elements=constant.values.size, is_weights=constant.weights
    )


def _argument(argument: Argument) -> ArgumentRecord:
    match argument:
        case Number():
            return NumberArgument(number=argument.value)
        case Float():
            return NumberArgument(number=argument.value)
        case Index():
            return IndexRecord(index=argument.value)
        case BlockSize():
            return BlockSizeArgument()
        case Table():
            return ConstantArgument(constant=argument.name)
        case Address(str(name)):
            return ParametersArgument(parameters=name)
        case Pointer():
            return PointerArgument(pointer=_view(argument.view))
        case Operand(view, int(row_stride), int(step)):
            return OperandArgument(operand=_view(view), row_stride=row_stride, step=step)
    raise AssertionError(f"{argument} stands in a loop over layers alone")


def _view(view: View) -> ViewRecord:
    return ViewRecord(
        space=view.space,
        name=view.name,
        element=view.element,
        offset=tuple(map(_term, view.offset)),
        rows=view.rows,
        columns=view.columns,
        stride=view.stride,
    )


def _term(term: object) -> int | IndexRecord:
    match term:
        case int():
            return term
        case Scaled(index, int(factor)):
            return IndexRecord(index=index.value, factor=factor)
    raise AssertionError(f"{term} stands in a loop over layers alone")


def _parameters(parameters: Parameters) -> ParametersRecord:
    fields = {name: _value(value) for name, value in parameters.fields}
    return ParametersRecord(type=parameters.ctype, name=parameters.name, fields=fields)


def _value(value: Value) -> object:
    match value:
        case Table():
            return {"constant": value.name}
        case Address(str(name)):
            return {"parameters": name}
        case Record(values, ()):
            return [_value(each) for each in values]
        case Record(values, names):
            return {name: _value(each) for name, each in zip(names, values, strict=True)}
    return None if value is None else int(str(value))
