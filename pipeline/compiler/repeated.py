"""Layers that differ in numbers alone, which become one loop over their parameters.

Two calls are alike if their texts differ in the names of parameters, tables, buffers and cache parts, and in numbers,
and in nothing else. Where all layers' calls are alike, what differs becomes the fields of a structure, and the buffers
that stand at the same place share an offset.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.compiler.program import Call, Program

__all__ = ["Field", "LayerLoop", "find_layer_loop"]

_TOKENS = re.compile(r"(?<!\w)-?\d+|@?\w+|\W")
_LAYER = re.compile(r"layer(\d+)_")
_DECLARED = re.compile(r"static const (\w+) (\w+) = (\{.*\});\n", re.DOTALL)


@dataclass(frozen=True)
class Field:
    """A parameter that differs between layers: its C type, and its value for each layer as C."""

    ctype: str
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class LayerLoop:
    """`count` layers from the call `first` on, as many calls each.

    `calls` are one layer's, with `p->field` for what differs, and `tail_calls` the texts of those that the last layer
    has besides, where its tail begins. `same` maps each of their buffers to the one whose memory it shares, `names`
    what buffers and parts of the cache are called in the calls; `cache_bytes` lie between two layers' parts of the
    cache.
    """

    first: int
    count: int
    calls: tuple[Call, ...]
    tail_calls: tuple[str, ...]
    fields: tuple[Field, ...]
    same: dict[str, str]
    names: dict[str, str]
    cache_bytes: int


def find_layer_loop(program: Program, calls: Sequence[Call]) -> LayerLoop | None:
    """Finds the loop over identical layers; None if there is none."""
    anew = [call for call in calls if call.recomputed_for_tail]
    calls = [call for call in calls if not call.recomputed_for_tail]
    numbers = [int(match[1]) if (match := _LAYER.match(call.group)) else -1 for call in calls]
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
        texts = [matcher.text(row) for row in zip(*layers, strict=True)]
    except _UnlikeError:
        return None
    parts = [[part for part in program.cache if part.name.startswith(f"layer{layer}_")] for layer in range(count)]
    sizes = [[part.bytes for part in of_layer] for of_layer in parts]
    alone = sum(map(len, parts)) == len(program.cache) and all(entry == sizes[0] for entry in sizes)
    if not alone or any(call.logits_only for layer in layers[:-1] for call in layer):
        return None
    same, names = matcher.same_buffers(), matcher.names()

    def renamed(text: str) -> str:
        return re.sub(r"\bat_(\w+)", lambda match: f"at_{names[same.get(match[1], match[1])]}", text)

    ours = tuple(
        dataclasses.replace(call, text=renamed(text), declaration="", group=_LAYER.sub("", call.group, count=1))
        for call, text in zip(layers[-1], texts, strict=True)
    )
    fields = tuple(
        dataclasses.replace(field, values=tuple(map(renamed, field.values))) for field in matcher.fields.values()
    )
    texts_by_result = {call.writes: entry.text for call, entry in zip(layers[-1], ours, strict=True)}
    if any(call.writes not in texts_by_result for call in anew):
        return None
    tail_calls = tuple(texts_by_result[call.writes] for call in anew)
    return LayerLoop(first, count, ours, tail_calls, fields, same, names, sum(sizes[0]))


class _UnlikeError(Exception):
    """Two calls that differ in more than names and numbers."""


class _LoopMatcher:
    """Collects the differences between the layers' calls."""

    def __init__(self, program: Program, count: int) -> None:
        self.program = program
        self.fields: dict[tuple[str, ...], Field] = {}
        self._declared: list[dict[str, tuple[str, str]]] = [{} for _ in range(count)]
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

    def text(self, row: Sequence[Call]) -> str:
        """The layers' calls at one place as one text.

        Raises:
            _UnlikeError: they are not alike.
        """
        for layer, call in enumerate(row):
            if call.declaration:
                match = _DECLARED.fullmatch(call.declaration)
                if match is None:
                    raise _UnlikeError
                self._declared[layer][match[2]] = (match[1], match[3])
        facts = {(call.block, call.kind, _LAYER.sub("", call.group, count=1)) for call in row}
        tokens = [_TOKENS.findall(call.text) for call in row]
        if len(facts) > 1 or len({len(layer_tokens) for layer_tokens in tokens}) > 1:
            raise _UnlikeError
        return "".join(self._token(column, row[0]) for column in zip(*tokens, strict=True))

    def _token(self, tokens: tuple[str, ...], call: Call) -> str:
        if len(set(tokens)) == 1 and not tokens[0].startswith("at_") and tokens[0] not in self._declared[0]:
            return tokens[0]
        if all(token.startswith("at_") for token in tokens):
            names = [token[3:] for token in tokens]
            one_place = self._one_place(names)
            alike = one_place and len({self.program.buffers.get(name) for name in names}) == 1
            if self.program.block > 1 and not call.block and not alike:
                raise _UnlikeError  # the loop over a block's tokens knows one distance
            if one_place:
                return tokens[0]
        if tokens not in self.fields:
            self.fields[tokens] = self._field(tokens, call)
        return f"p->{self.fields[tokens].name}"

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
        if any(name not in parts or name != _LAYER.sub(f"layer{layer}_", names[0]) for layer, name in enumerate(names)):
            raise _UnlikeError
        return True

    def _field(self, tokens: tuple[str, ...], call: Call) -> Field:
        group = _LAYER.sub("", call.group, count=1)
        if all(token.startswith("at_") for token in tokens):
            return Field("int32_t", self._name(f"{group}_place"), tokens)
        declared = [names.get(token) for names, token in zip(self._declared, tokens, strict=True)]
        if all(re.fullmatch(r"-?\d+", token) for token in tokens):
            widens = call.text.startswith("thimble_widen_s8")
            return Field("int32_t", self._name(f"{group}_{'offset' if widens else 'number'}"), tokens)
        known = [declaration for declaration in declared if declaration is not None]
        if len(known) == len(tokens) and len({ctype for ctype, _ in known}) == 1:
            plain = re.sub(r"_?\d+$", "", _LAYER.sub("", tokens[0], count=1))
            named = _LAYER.match(tokens[0]) or group.endswith(plain)
            name = (plain if _LAYER.match(tokens[0]) else group) if named else f"{group}_{plain}"
            return Field(known[0][0], self._name(name), tuple(value for _, value in known))
        constants = [self.program.constants.get(token) for token in tokens]
        ctypes = {constant.ctype for constant in constants if constant is not None}
        if None in constants or len(ctypes) != 1:
            raise _UnlikeError
        return Field(f"const {ctypes.pop()} *", self._name(f"{group}_table"), tokens)

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
            plain = _LAYER.sub("", name, count=1)
            names[name] = plain if plain not in used_names and plain not in names.values() else name
        return names
