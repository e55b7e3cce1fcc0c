"""Calls and their parameters as C: for one token, for a block of tokens, or for each token of a block in a loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.compiler.ir.program import (
    Address,
    Argument,
    BlockSize,
    Call,
    Float,
    Index,
    LoopField,
    Number,
    Operand,
    Parameters,
    Place,
    Pointer,
    Record,
    Scaled,
    Table,
    Value,
    View,
)

__all__ = ["AlonePrinter", "BlockPrinter", "CallPrinter", "LoopPrinter", "print_fields", "print_parameters"]


class CallPrinter:
    """Prints calls, and notes what they mention.

    `words` are the variables of the surrounding function that the printed calls read, `places` the buffers and parts of
    the cache.

    Args:
        window: whether the cache has a sliding window; without one a token's slot, time and position are one.
    """

    def __init__(self, window: bool) -> None:
        self.window = window
        self.words: set[str] = set()
        self.places: set[str] = set()

    def statement(self, call: Call) -> str:
        """The call as a statement."""
        return f"{call.kernel}({', '.join(self.argument(argument) for argument in call.arguments)});"

    def argument(self, argument: Argument) -> str:
        """An argument as an expression."""
        match argument:
            case Number():
                return str(argument.value)
            case Table():
                return argument.name
            case Address():
                return f"&{self.field(argument.name) if isinstance(argument.name, LoopField) else argument.name}"
            case LoopField():
                return self.field(argument)
            case Place():
                return self.start(argument.space, argument.name)
            case Pointer():
                return self.cast(argument.ctype, self.pointer(argument.view))
            case Operand():
                kind = "thimble_operand_s16" if argument.view.element == "int16_t" else "thimble_operand"
                strides = f"{self.number(argument.row_stride)}, {self.number(argument.step)}"
                return f"({kind}){{{self.pointer(argument.view)}, {strides}}}"
            case BlockSize():
                return self.block_size()
            case Float():
                return f"{float(np.float32(argument.value)).hex()}f"
        return self.index(argument)

    def pointer(self, view: View) -> str:
        """The address of a view's first element."""
        if view.space == "constant":
            start = self.field(view.buffer) if isinstance(view.buffer, LoopField) else view.buffer
        else:
            start = self.start(view.space, view.buffer)
            if view.element != "int8_t":
                start = self.cast(f"{view.element} *", start)
        terms = (
            f"{self.index(term.index)} * {self.number(term.factor)}" if isinstance(term, Scaled) else self.number(term)
            for term in view.offset
        )
        return " + ".join((start, *terms))

    def cast(self, ctype: str, text: str) -> str:
        """An address as another type, by way of `void *` where that wants an alignment, which the plan gives."""
        if not ctype:
            return text
        void = "" if "int8_t" in ctype else "(const void *)" if ctype.startswith("const ") else "(void *)"
        return f"({ctype}){void}({text})"

    def start(self, space: str, name: str | LoopField) -> str:
        """Where a buffer or a part of the cache starts."""
        self.words.add(space)
        if isinstance(name, LoopField):
            return f"{space} + {self.field(name)}"
        self.places.add(name)
        return f"{space} + at_{name}"

    def field(self, field: LoopField) -> str:
        """A value that differs between layers."""
        self.words.add("p")
        return f"p->{field.name}"

    def number(self, number: int | LoopField) -> str:
        """A number that may differ between layers."""
        return self.field(number) if isinstance(number, LoopField) else str(number)

    def index(self, index: Index) -> str:
        """What is known of the token."""
        word = index if self.window or index is Index.TOKEN else Index.POSITION
        self.words.add(word)
        return self.word(word)

    def word(self, index: Index) -> str:
        """The expression of an index."""
        return index.value

    def block_size(self) -> str:
        """The expression of the number of tokens."""
        raise NotImplementedError


class BlockPrinter(CallPrinter):
    """Calls that take all tokens of a block."""

    def word(self, index: Index) -> str:
        return "*token" if index is Index.TOKEN else super().word(index)

    def block_size(self) -> str:
        self.words.add("tokens")
        return "tokens"


class AlonePrinter(BlockPrinter):
    """Calls for a single token."""

    def block_size(self) -> str:
        return "1"


class LoopPrinter(CallPrinter):
    """Calls for the token `i` of a block, counted from the last one backwards.

    Args:
        window: as CallPrinter has it.
        token_bytes: of each buffer, the bytes from a token's part to the next token's.
    """

    def __init__(self, window: bool, token_bytes: Mapping[str, int]) -> None:
        super().__init__(window)
        self.token_bytes = token_bytes
        self.words.add("tokens")

    def start(self, space: str, name: str | LoopField) -> str:
        assert space != "arena" or isinstance(name, str), "a loop over a block's tokens knows one distance"
        distance = self.token_bytes[name] if space == "arena" and isinstance(name, str) else 0
        return super().start(space, name) + (f" + i * {distance}" if distance else "")

    def word(self, index: Index) -> str:
        return "token[-i]" if index is Index.TOKEN else f"({index.value} - i)"


def print_parameters(parameters: Parameters) -> str:
    """The definition of a kernel's constant parameters."""
    return f"static const {parameters.ctype} {parameters.name} = {print_fields(parameters)};\n"


def print_fields(parameters: Parameters) -> str:
    """The initializer of a kernel's parameters."""
    fields = ",\n    ".join(f".{key} = {print_value(value)}" for key, value in parameters.fields)
    return f"{{\n    {fields},\n}}"


def print_value(value: Value) -> str:
    """The initializer of a field."""
    match value:
        case None:
            return "0"
        case Table():
            return value.name
        case Address():
            return f"&{value.name}"
        case Record():
            texts = [print_value(each) for each in value.values]
            if value.names:
                texts = [f".{name} = {text}" for name, text in zip(value.names, texts, strict=True)]
            return f"{{{', '.join(texts)}}}"
    return str(value)
