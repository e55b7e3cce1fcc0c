"""Layers that differ in numbers and names alone, which become one loop over their parameters.

Two calls are alike if they have the same kernel, and arguments of the same kinds: they may differ in the names of
parameters, tables, buffers and cache parts, and in numbers (`program.Leaf`), and in nothing else. Where all layers'
calls are alike, what differs becomes the fields of a structure, and the buffers that stand at the same place share an
offset. For example

    layer 0: thimble_widen_s8(arena + at_x0, 3, arena + at_wide_0, 16, tokens)
    layer 1: thimble_widen_s8(arena + at_x1, −5, arena + at_wide_1, 16, tokens)

have the leaves (x0, 3, wide_0, 16) and (x1, −5, wide_1, 16). The results wide_0 and wide_1 stand at one place, and so
do x0, which comes into the first layer, and x1, which comes out of it; 3 and −5 become the field `…_offset`; 16 stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

from pipeline.compiler.ir.layout import Field, LayerLoop
from pipeline.compiler.ir.names import in_layer, layer_of, layer_part, stem
from pipeline.compiler.ir.program import (
    Address,
    Argument,
    Call,
    Leaf,
    LoopField,
    Number,
    Parameters,
    Place,
    Program,
    Table,
    leaves,
    with_leaves,
)

__all__ = ["find_layer_loop"]


_L = TypeVar("_L")


def find_layer_loop(program: Program) -> LayerLoop | None:
    """Finds the loop over identical layers; None if there is none."""
    anew = [call for call in program.calls if call.recomputed_for_tail]
    calls = [call for call in program.calls if not call.recomputed_for_tail]
    numbers = [-1 if (layer := layer_of(call.group)) is None else layer for call in calls]
    count = max(numbers, default=-1) + 1
    size = numbers.count(0)
    first = numbers.index(0) if size else 0
    expected = [layer for layer in range(count) for _ in range(size)]
    if (
        count < 2
        or numbers[first:][: len(expected)] != expected
        or max(numbers[first + len(expected) :], default=-1) >= 0
    ):
        return None
    matcher = _LoopMatcher(program, count)
    layers = [calls[first + layer * size : first + (layer + 1) * size] for layer in range(count)]
    try:
        for row in zip(*layers, strict=True):
            matcher.join_results(row)
        merged = [matcher.merged(row) for row in zip(*layers, strict=True)]
    except _UnlikeError:
        return None
    parts = [[part for part in program.cache if layer_of(part.name) == layer] for layer in range(count)]
    sizes = [[part.bytes for part in of_layer] for of_layer in parts]
    alone = sum(map(len, parts)) == len(program.cache) and all(entry == sizes[0] for entry in sizes)
    if not alone or any(call.logits_only for layer in layers[:-1] for call in layer):
        return None
    same, names = matcher.same_buffers(), matcher.names()

    def renamed(leaf: _L) -> _L | Place:
        return Place(leaf.space, names[same.get(leaf.name, leaf.name)]) if isinstance(leaf, Place) else leaf

    def renamed_argument(argument: Argument) -> Argument:
        return with_leaves(argument, (renamed(leaf) for leaf in leaves(argument)[1]))

    ours = tuple(
        dataclasses.replace(
            call,
            arguments=tuple(map(renamed_argument, arguments)),
            parameters=(),
            group=in_layer(call.group),
        )
        for call, arguments in zip(layers[-1], merged, strict=True)
    )
    fields = tuple(
        dataclasses.replace(field, values=tuple(map(renamed, field.values))) for field in matcher.fields.values()
    )
    by_result = {call.writes: entry for call, entry in zip(layers[-1], ours, strict=True)}
    if any(call.writes not in by_result for call in anew):
        return None
    tail_calls = tuple(by_result[call.writes] for call in anew)
    return LayerLoop(first, count, ours, tail_calls, fields, same, names, sum(sizes[0]))


class _UnlikeError(Exception):
    """Two calls that differ in more than names and numbers."""


class _LoopMatcher:
    """Collects the differences between the layers' calls."""

    def __init__(self, program: Program, count: int) -> None:
        self.program = program
        self.fields: dict[tuple[object, ...], Field] = {}
        self._parameters: list[dict[str, Parameters]] = [{} for _ in range(count)]
        self._buffers: dict[str, str] = {}
        self._used: set[str] = set()
        self._made: set[str] = set()

    def join_results(self, row: Sequence[Call]) -> None:
        """What the layers' calls at one place write is one buffer.

        Raises:
            _UnlikeError: they write more or fewer.
        """
        if len({len(call.writes) for call in row}) > 1:
            raise _UnlikeError
        for call in row:
            for name, name_in_layer in zip(row[0].writes, call.writes, strict=True):
                self._join(name, name_in_layer)
                self._made.add(name)

    def merged(self, row: Sequence[Call]) -> tuple[Argument, ...]:
        """The arguments of the layers' calls at one place, with fields where they differ.

        Raises:
            _UnlikeError: they are not alike.
        """
        for layer, call in enumerate(row):
            if len(call.parameters) > 1:
                raise _UnlikeError  # parameters that point to others would need a field each
            self._parameters[layer].update({parameters.name: parameters for parameters in call.parameters})
        facts = {(call.kernel, len(call.arguments), call.block, call.kind, in_layer(call.group)) for call in row}
        if len(facts) > 1:
            raise _UnlikeError
        return tuple(self._argument(column, row[0]) for column in zip(*(call.arguments for call in row), strict=True))

    def _argument(self, column: tuple[Argument, ...], call: Call) -> Argument:
        apart = [leaves(argument) for argument in column]
        if any(rest != apart[0][0] for rest, _ in apart):
            raise _UnlikeError
        return with_leaves(column[0], self._replacements(list(zip(*(found for _, found in apart), strict=True)), call))

    def _replacements(self, columns: Sequence[tuple[Leaf, ...]], call: Call) -> Iterator[Leaf | LoopField]:
        for column in columns:
            yield self._leaf(column, call)

    def _leaf(self, column: tuple[Leaf, ...], call: Call) -> Leaf | LoopField:
        first = column[0]
        if isinstance(first, Place):
            names = [leaf.name for leaf in column if isinstance(leaf, Place)]
            one_place = self._one_place(names)
            alike = one_place and len({self.program.buffers.get(name) for name in names}) == 1
            if self.program.block > 1 and not call.block and not alike:
                raise _UnlikeError  # the loop over a block's tokens knows one distance
            if one_place:
                return first
        elif len(set(column)) == 1 and not isinstance(first, Address):
            return first
        key = tuple(leaf.value if isinstance(leaf, Number) else leaf for leaf in column)
        if key not in self.fields:
            self.fields[key] = self._field(column, call)
        name = self.fields[key].name
        return Address(LoopField(name)) if isinstance(first, Address) else LoopField(name)

    def _one_place(self, names: Sequence[str]) -> bool:
        """Whether all layers have one place for these buffers or parts of the cache. What comes into the first layer
        has that of what comes out of it; results of different calls, as two that are exchanged, have not."""
        self._used.update(names)
        parts = [part.name for part in self.program.cache]
        if all(name in self.program.buffers for name in names):
            roots = {self._root(name) for name in names}
            if len(roots) > 1 and roots <= {self._root(name) for name in self._made}:
                return False
            for name in names:
                self._join(name, names[-1])
            return True
        own = [layer_part(layer, in_layer(names[0])) for layer in range(len(names))]
        if any(name not in parts for name in names) or list(names) != own:
            raise _UnlikeError
        return True

    def _field(self, column: tuple[Leaf, ...], call: Call) -> Field:
        group = in_layer(call.group)
        places = [leaf for leaf in column if isinstance(leaf, Place)]
        if places:
            return Field("int32_t", self._name(f"{group}_place"), tuple(places))
        numbers = [leaf for leaf in column if isinstance(leaf, Number)]
        if numbers:
            return Field("int32_t", self._name(f"{group}_{numbers[0].label}"), tuple(numbers))
        tables = [leaf for leaf in column if isinstance(leaf, Table)]
        if tables:
            ctypes = {self.program.constants[table.name].ctype for table in tables}
            if len(ctypes) != 1:
                raise _UnlikeError
            return Field(f"const {ctypes.pop()} *", self._name(f"{group}_table"), tuple(tables))
        return self._parameter_field([leaf for leaf in column if isinstance(leaf, Address)], group)

    def _parameter_field(self, addresses: Sequence[Address], group: str) -> Field:
        known = [
            in_this.get(address.name) if isinstance(address.name, str) else None
            for in_this, address in zip(self._parameters, addresses, strict=True)
        ]
        parameters = [each for each in known if each is not None]
        if len(parameters) < len(known) or len({each.ctype for each in parameters}) != 1:
            raise _UnlikeError
        name = parameters[0].name
        plain = stem(name)
        if layer_of(name) is None:
            plain = group if group.endswith(plain) else f"{group}_{plain}"
        return Field(parameters[0].ctype, self._name(plain), tuple(parameters))

    def _name(self, name: str) -> str:
        used_names = {field.name for field in self.fields.values()}
        return next(
            candidate for candidate in (name, *(f"{name}_{i}" for i in range(2, 99))) if candidate not in used_names
        )

    def _join(self, left: str, right: str) -> None:
        first, second = self._root(left), self._root(right)
        if first != second:
            self._buffers[second] = first

    def _root(self, name: str) -> str:
        while name in self._buffers:
            name = self._buffers[name]
        return name

    def same_buffers(self) -> dict[str, str]:
        """Each buffer that stands for another, and that."""
        return {name: self._root(name) for name in self._buffers}

    def names(self) -> dict[str, str]:
        """What the buffers that others stand for, and the first layer's cache, are called in all layers."""
        used_names = {*self.program.buffers, *(part.name for part in self.program.cache)}
        names: dict[str, str] = {}
        for name in sorted({self._root(buffer_name) for buffer_name in self._used}):
            plain = in_layer(name)
            names[name] = plain if plain not in used_names and plain not in names.values() else name
        return names
