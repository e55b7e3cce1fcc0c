"""Grammars as people write them, to the automaton over bytes: GBNF, llama.cpp's notation, and JSON Schema.

A rule that refers to itself is unrolled: beyond the depth the way that goes deeper is none. An automaton is made by
Thompson's construction, the subset construction and Moore's partition refinement; characters are UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.text.grammar import DEAD, START, Grammar

__all__ = ["MAX_STATES", "compile_rules", "compile_source", "read_gbnf", "read_json_schema"]

MAX_STATES = 2000
"""States of an automaton on a device."""
_MAX_PARTS = 60_000
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)


@dataclass(frozen=True)
class Chars:
    """One character of some ranges of code points, first and last."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Text:
    """These bytes."""

    data: bytes


@dataclass(frozen=True)
class Sequenced:
    """One behind the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Repeated:
    """So often, without end where `most` is None."""

    item: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Rule:
    """Another rule."""

    name: str


Node = Chars | Text | Sequenced | Choice | Repeated | Rule
_EMPTY = Text(b"")


class GrammarError(ThimbleError):
    """A grammar that cannot be read."""


def compile_source(name: str, text: str, depth: int) -> Grammar:
    """The automaton of a file.

    Args:
        name: of the file; one that ends in `.json` is a JSON Schema.
        text: its content.
        depth: how often a rule may stand within itself.

    Raises:
        ThimbleError: it cannot be read, or is too large.
    """
    rules = read_json_schema(text, name) if name.endswith(".json") else read_gbnf(text, name)
    return compile_rules(rules, depth, name)


# GBNF


_TOKENS = re.compile(
    r"""(?P<space>[ \t]+|\#[^\n]*)|(?P<line>\r?\n)|(?P<name>[a-zA-Z][a-zA-Z0-9-]*)|(?P<is>::=)
    |(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<chars>\[(?:[^\]\\\n]|\\.)*\])
    |(?P<count>\{\s*\d*\s*(?:,\s*\d*\s*)?\})|(?P<sign>[|()*+?.])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-", "^": "^"}
_HEX = {"x": 2, "u": 4, "U": 8}


def read_gbnf(text: str, name: str = "grammar") -> dict[str, Node]:
    """The rules of a grammar in llama.cpp's notation (its grammars/README.md), `root` among them.

    Raises:
        ThimbleError: with file and line.
    """
    return _Gbnf(text, name).rules()


class _Gbnf:
    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._tokens: list[tuple[str, str, int]] = []
        at, line = 0, 1
        while at < len(text):
            match = _TOKENS.match(text, at)
            if match is None:
                raise self._error(f"{text[at : at + 12]!r} is none of GBNF's signs", line)
            kind = str(match.lastgroup)
            if kind != "space":
                self._tokens.append((kind, match.group(), line))
            line += match.group().count("\n")
            at = match.end()
        self._tokens.append(("end", "", line))
        self._at = 0

    def _error(self, what: str, line: int | None = None) -> GrammarError:
        where = self._tokens[min(self._at, len(self._tokens) - 1)][2] if line is None else line
        return GrammarError(f"{self._name}, line {where}: {what}", "docs/grammar.md has the notation")

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _said(self) -> str:
        return self._tokens[self._at][1]

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _skip_lines(self) -> None:
        while self._kind == "line":
            self._at += 1

    def rules(self) -> dict[str, Node]:
        rules: dict[str, Node] = {}
        used: list[tuple[str, int]] = []
        self._used = used
        self._skip_lines()
        while self._kind != "end":
            if self._kind != "name" or self._tokens[self._at + 1][0] != "is":
                raise self._error(f"a rule begins as `name ::=`, not as {self._said!r}")
            name = self._take()
            if name in rules:
                raise self._error(f"the rule {name!r} stands twice")
            self._at += 1
            self._skip_lines()
            rules[name] = self._choice(False)
            if self._kind not in ("line", "end"):
                raise self._error(f"{self._said!r} does not go on with the rule {name!r}")
            self._skip_lines()
        for name, line in used:
            if name not in rules:
                raise self._error(f"there is no rule {name!r}", line)
        if "root" not in rules:
            raise self._error("there is no rule `root`, with which a text begins", 1)
        return rules

    def _choice(self, is_inside: bool) -> Node:
        items = [self._sequence(is_inside)]
        while self._said == "|" and self._kind == "sign":
            self._at += 1
            self._skip_lines()
            items.append(self._sequence(is_inside))
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def _sequence(self, is_inside: bool) -> Node:
        items: list[Node] = []
        while True:
            if is_inside:
                self._skip_lines()
            node = self._part()
            if node is None:
                return items[0] if len(items) == 1 else Sequenced(tuple(items))
            items.append(self._counted(node))

    def _part(self) -> Node | None:
        kind, said, line = self._tokens[self._at]
        if kind == "text":
            self._at += 1
            return Text("".join(map(chr, self._points(said[1:-1]))).encode("utf-8", "surrogatepass"))
        if kind == "chars":
            self._at += 1
            return self._class(said[1:-1])
        if kind == "name" and self._tokens[self._at + 1][0] != "is":
            self._at += 1
            self._used.append((said, line))
            return Rule(said)
        if kind == "sign" and said == ".":
            self._at += 1
            return Chars(((0, _LAST),))
        if kind == "sign" and said == "(":
            self._at += 1
            node = self._choice(True)
            self._skip_lines()
            if self._said != ")":
                raise self._error("a ( has no )")
            self._at += 1
            return node
        return None

    def _counted(self, node: Node) -> Node:
        while True:
            if self._kind == "sign" and self._said in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._take()]
            elif self._kind == "count":
                low, comma, high = self._take()[1:-1].partition(",")
                least = int(low.strip() or 0)
                most = (int(high) if high.strip() else None) if comma else least
                if most is not None and most < least:
                    raise self._error(f"{{{low},{high}}} ends before it begins")
            else:
                return node
            node = Repeated(node, least, most)

    def _points(self, text: str) -> Iterator[int]:
        at = 0
        while at < len(text):
            if text[at] != "\\":
                yield ord(text[at])
                at += 1
                continue
            kind = text[at + 1]
            if kind in _HEX:
                digits = text[at + 2 : at + 2 + _HEX[kind]]
                if not re.fullmatch(rf"[0-9a-fA-F]{{{_HEX[kind]}}}", digits) or int(digits, 16) > _LAST:
                    raise self._error(f"\\{kind}{digits} is no character")
                yield int(digits, 16)
                at += 2 + _HEX[kind]
            elif kind in _ESCAPES:
                yield ord(_ESCAPES[kind])
                at += 2
            else:
                raise self._error(f"\\{kind} means nothing")

    def _class(self, text: str) -> Chars:
        is_negated = text.startswith("^")
        # A `-` that is written as an escape is a character, one between two a range.
        parts = re.findall(r"\\[xuU][0-9a-fA-F]+|\\.|.", text[1:] if is_negated else text, re.DOTALL)
        ranges: list[tuple[int, int]] = []
        at = 0
        while at < len(parts):
            points = list(self._points(parts[at]))
            if at + 2 < len(parts) and parts[at + 1] == "-" and len(points) == 1:
                last = next(self._points(parts[at + 2]))
                if last < points[0]:
                    raise self._error(f"the range {parts[at]}-{parts[at + 2]} ends before it begins")
                ranges.append((points[0], last))
                at += 3
                continue
            ranges += [(point, point) for point in points]
            at += 1
        if is_negated:
            ranges = list(_others(ranges))
        if not ranges:
            raise self._error(f"[{text}] holds no character")
        return Chars(tuple(ranges))


def _others(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = 0
    for first, last in sorted(ranges):
        if first > start:
            yield start, first - 1
        start = max(start, last + 1)
    if start <= _LAST:
        yield start, _LAST


# JSON Schema


_DIGIT = Chars(((0x30, 0x39),))
_NUMBER = Sequenced(
    (
        Repeated(Text(b"-"), 0, 1),
        Choice((Text(b"0"), Sequenced((Chars(((0x31, 0x39),)), Repeated(_DIGIT, 0, None))))),
        Repeated(Sequenced((Text(b"."), Repeated(_DIGIT, 1, None))), 0, 1),
    )
)
_LETTER = Choice(
    (
        Chars(((0x20, 0x21), (0x23, 0x5B), (0x5D, _LAST))),
        Sequenced((Text(b"\\"), Chars(tuple((ord(c), ord(c)) for c in '"\\/bfnrt')))),
    )
)
_IGNORED = {
    *("$schema", "$id", "$defs", "definitions", "title", "description", "default", "examples", "format", "$comment"),
    *("additionalProperties", "deprecated", "readOnly", "writeOnly"),
}
_KNOWN = {
    "object": {"properties", "required"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": set(),
    "boolean": set(),
    "null": set(),
}


def read_json_schema(text: str, name: str = "schema") -> dict[str, Node]:
    """The rules of a JSON Schema: what it allows, written without spaces, properties in the schema's order.

    Raises:
        ThimbleError: it is no JSON, or has a keyword that no grammar says, by name.
    """
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise GrammarError(f"{name} is no JSON: {error}", "write a JSON Schema, or GBNF in a file .gbnf") from None
    return _Schema(schema, name).rules()


class _Schema:
    def __init__(self, schema: Any, name: str) -> None:
        self._schema, self._name = schema, name
        self._rules: dict[str, Node] = {}

    def _error(self, what: str, where: str) -> GrammarError:
        return GrammarError(f"{self._name}: {where or 'the schema'}: {what}", "docs/grammar.md says what is read")

    def rules(self) -> dict[str, Node]:
        self._rules["root"] = self._node(self._schema, "")
        return self._rules

    def _node(self, schema: Any, where: str) -> Node:
        if schema is True or schema == {}:
            raise self._error("anything at all is allowed there", where)
        if not isinstance(schema, dict):
            raise self._error("that is no schema", where)
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]), where)
        for key in ("const", "enum"):
            if key in schema:
                values = [schema[key]] if key == "const" else schema[key]
                if not isinstance(values, list) or not values:
                    raise self._error(f"`{key}` lists nothing", where)
                return Choice(tuple(Text(_json(value)) for value in values))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                some = schema[key]
                return Choice(tuple(self._node(one, f"{where}/{key}/{index}") for index, one in enumerate(some)))
        kinds = schema.get("type", "object" if "properties" in schema else None)
        several = kinds if isinstance(kinds, list) else [kinds]
        unread = sorted(
            schema.keys() - _IGNORED - {"type"} - set().union(*(_KNOWN.get(str(k), set()) for k in several))
        )
        if unread:
            raise self._error(f"`{unread[0]}` cannot be said by a grammar", where)
        nodes = [self._typed(str(kind), schema, where) for kind in several]
        return nodes[0] if len(nodes) == 1 else Choice(tuple(nodes))

    def _reference(self, reference: str, where: str) -> Node:
        if not reference.startswith("#/"):
            raise self._error(f"{reference} lies in another file", where)
        if reference not in self._rules:
            target: Any = self._schema
            for key in reference[2:].split("/"):
                target = target.get(key) if isinstance(target, dict) else None
            if target is None:
                raise self._error(f"there is no {reference}", where)
            self._rules[reference] = _EMPTY  # while it is read, and may refer to itself
            self._rules[reference] = self._node(target, reference)
        return Rule(reference)

    def _typed(self, kind: str, schema: Mapping[str, Any], where: str) -> Node:
        if kind == "object":
            return self._object(schema, where)
        if kind == "array":
            return self._array(schema, where)
        if kind == "string":
            count = Repeated(_LETTER, int(schema.get("minLength", 0)), schema.get("maxLength"))
            return Sequenced((Text(b'"'), count, Text(b'"')))
        if kind == "integer":
            return self._integer(schema, where)
        if kind == "number":
            return _NUMBER
        if kind == "boolean":
            return Choice((Text(b"true"), Text(b"false")))
        if kind == "null":
            return Text(b"null")
        raise self._error(f"the type {kind} is not known", where)

    def _object(self, schema: Mapping[str, Any], where: str) -> Node:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        for name in required:
            if name not in properties:
                raise self._error(f"`required` names {name!r}, which is no property", where)
        said = [
            (Sequenced((Text(_json(name) + b":"), self._node(one, f"{where}/{name}"))), name in required)
            for name, one in properties.items()
        ]
        return Sequenced((Text(b"{"), _members(said, True), Text(b"}")))

    def _array(self, schema: Mapping[str, Any], where: str) -> Node:
        if "items" not in schema:
            raise self._error("an array needs `items`", where)
        item = self._node(schema["items"], f"{where}/items")
        least, most = int(schema.get("minItems", 0)), schema.get("maxItems")
        if most == 0:
            return Text(b"[]")
        more = Repeated(Sequenced((Text(b","), item)), max(least - 1, 0), None if most is None else int(most) - 1)
        some: Node = Sequenced((item, more))
        return Sequenced((Text(b"["), some if least else Repeated(some, 0, 1), Text(b"]")))

    def _integer(self, schema: Mapping[str, Any], where: str) -> Node:
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + 1
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - 1
        if low is None and high is None:
            return Sequenced(_NUMBER.items[:2])
        if low is None or high is None:
            raise self._error("an integer with one limit needs the other one too", where)
        if low > high:
            raise self._error(f"no integer lies between {low} and {high}", where)
        return Choice(tuple(_between(int(low), int(high))))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _members(said: Sequence[tuple[Node, bool]], is_first: bool) -> Node:
    """Properties in their order, with commas between those that are there."""
    if not said:
        return _EMPTY
    (member, is_required), *rest = said
    here = Sequenced((*(() if is_first else (Text(b","),)), member, _members(rest, False)))
    return here if is_required else Choice((here, _members(rest, is_first)))


def _between(low: int, high: int) -> Iterator[Node]:
    """Whole numbers from `low` to `high` in decimal digits."""
    if low < 0:
        yield Sequenced((Text(b"-"), Choice(tuple(_between(max(1, -high), -low)))))
        low = 0
    if high < low:
        return
    edges = [low, *(10**power for power in range(1, len(str(high))) if low < 10**power <= high), high + 1]
    for first, end in pairwise(edges):
        yield _digits(str(first), str(end - 1))


def _digits(low: str, high: str) -> Node:
    """Numbers of as many digits."""
    if not low:
        return _EMPTY
    if low[0] == high[0]:
        return Sequenced((Text(low[0].encode()), _digits(low[1:], high[1:])))
    zeros, nines = "0" * len(low[1:]), "9" * len(low[1:])
    nodes = [Sequenced((Text(low[0].encode()), _digits(low[1:], nines)))]
    if ord(high[0]) - ord(low[0]) > 1:
        between = Chars(((ord(low[0]) + 1, ord(high[0]) - 1),))
        nodes.append(Sequenced((between, Repeated(_DIGIT, len(zeros), len(zeros)))))
    nodes.append(Sequenced((Text(high[0].encode()), _digits(zeros, high[1:]))))
    return Choice(tuple(nodes))


# The automaton


def compile_rules(rules: Mapping[str, Node], depth: int, name: str = "grammar") -> Grammar:
    """The least automaton of what `root` says.

    Args:
        rules: by name.
        depth: how often a rule may stand within itself.
        name: of the file.

    Raises:
        ThimbleError: nothing at all is said, or the automaton is too large.
    """
    parts = _Parts(rules, depth, name)
    start, end = parts.of(Rule("root"))
    classes, count = _byte_classes(parts)
    states, accepts = _subsets(parts, start, end, classes, count, name)
    return _least(states, accepts, classes, name)


class _Parts:
    """A nondeterministic automaton: by state, edges over ranges of bytes, and edges over nothing."""

    def __init__(self, rules: Mapping[str, Node], depth: int, name: str) -> None:
        self._rules, self._depth, self._name = rules, depth, name
        self.edges: list[list[tuple[int, int, int]]] = []
        self.free: list[list[int]] = []
        self._within: dict[str, int] = {}

    def state(self) -> int:
        if len(self.edges) == _MAX_PARTS:
            raise GrammarError(
                f"{self._name} unrolls to more than {_MAX_PARTS} parts",
                "say fewer repetitions, or take `grammar_depth` down",
            )
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def of(self, node: Node) -> tuple[int, int]:
        """First and last state of a node."""
        start, end = self.state(), self.state()
        if isinstance(node, Text):
            at = start
            for byte in node.data:
                following = self.state()
                self.edges[at].append((byte, byte, following))
                at = following
            self.free[at].append(end)
        elif isinstance(node, Chars):
            for first, last in node.ranges:
                for encoded in _utf8(first, last):
                    at = start
                    for index, (low, high) in enumerate(encoded):
                        following = end if index + 1 == len(encoded) else self.state()
                        self.edges[at].append((low, high, following))
                        at = following
        elif isinstance(node, Sequenced):
            at = start
            for item in node.items:
                first, last = self.of(item)
                self.free[at].append(first)
                at = last
            self.free[at].append(end)
        elif isinstance(node, Choice):
            for item in node.items:
                first, last = self.of(item)
                self.free[start].append(first)
                self.free[last].append(end)
        elif isinstance(node, Repeated):
            self._repeat(node, start, end)
        else:
            self._rule(node.name, start, end)
        return start, end

    def _repeat(self, node: Repeated, start: int, end: int) -> None:
        at = start
        for _ in range(node.least):
            first, last = self.of(node.item)
            self.free[at].append(first)
            at = last
        self.free[at].append(end)
        if node.most is None:
            first, last = self.of(node.item)
            self.free[at].append(first)
            self.free[last] += [first, end]
            return
        for _ in range(node.most - node.least):
            first, last = self.of(node.item)
            self.free[at].append(first)
            self.free[last].append(end)
            at = last

    def _rule(self, name: str, start: int, end: int) -> None:
        within = self._within.get(name, 0)
        if within > self._depth:
            return  # deeper there is no way
        self._within[name] = within + 1
        first, last = self.of(self._rules[name])
        self._within[name] = within
        self.free[start].append(first)
        self.free[last].append(end)


def _utf8(first: int, last: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges of bytes, one behind the other, which are the UTF-8 of a range of code points without surrogates."""
    low, high = _SURROGATES
    for start, end in ((first, min(last, low - 1)), (max(first, high + 1), last)):
        if start <= end:
            yield from _utf8_plain(start, end)


def _utf8_plain(first: int, last: int) -> Iterator[list[tuple[int, int]]]:
    for limit in (0x7F, 0x7FF, 0xFFFF):
        if first <= limit < last:
            yield from _utf8_plain(first, limit)
            yield from _utf8_plain(limit + 1, last)
            return
    one, other = chr(first).encode(), chr(last).encode()
    for place in range(1, len(one)):
        mask = (1 << 6 * place) - 1
        if first & ~mask != last & ~mask:
            if first & mask:
                yield from _utf8_plain(first, first | mask)
                yield from _utf8_plain((first | mask) + 1, last)
                return
            if last & mask != mask:
                yield from _utf8_plain(first, (last & ~mask) - 1)
                yield from _utf8_plain(last & ~mask, last)
                return
    yield list(zip(one, other, strict=True))


def _byte_classes(parts: _Parts) -> tuple[list[int], int]:
    """Bytes that no edge tells apart: the class of each, and how many there are."""
    cuts = {0, 256}
    for edges in parts.edges:
        for low, high, _ in edges:
            cuts |= {low, high + 1}
    classes, number = [0] * 256, -1
    for byte in range(256):
        number += byte in cuts
        classes[byte] = number
    return classes, number + 1


def _subsets(
    parts: _Parts, start: int, end: int, classes: Sequence[int], count: int, name: str
) -> tuple[list[list[int]], set[int]]:
    """A deterministic automaton; state 0 is the dead one."""
    first_byte = {number: byte for byte, number in reversed(list(enumerate(classes)))}

    def closed(states: set[int]) -> frozenset[int]:
        pending = list(states)
        while pending:
            for following in parts.free[pending.pop()]:
                if following not in states:
                    states.add(following)
                    pending.append(following)
        return frozenset(state for state in states if parts.edges[state] or state == end)

    begin = closed({start})
    numbers = {frozenset[int](): DEAD, begin: START}
    rows: list[list[int]] = [[DEAD] * count, []]
    pending = [begin]
    while pending:
        states = pending.pop()
        row = [DEAD] * count
        for number in range(count):
            byte = first_byte[number]
            reached = {to for state in states for low, high, to in parts.edges[state] if low <= byte <= high}
            if reached:
                key = closed(reached)
                if key not in numbers:
                    if len(numbers) > 10 * MAX_STATES:
                        raise GrammarError(f"{name} needs more than {10 * MAX_STATES} states", "make it simpler")
                    numbers[key] = len(rows)
                    rows.append([])
                    pending.append(key)
                row[number] = numbers[key]
        rows[numbers[states]] = row
    return rows, {number for states, number in numbers.items() if end in states}


def _least(rows: list[list[int]], accepts: set[int], classes: Sequence[int], name: str) -> Grammar:
    """The automaton with as few states as can be; states from which no text becomes whole are dead."""
    alive = set(accepts)
    while True:
        more = {state for state, row in enumerate(rows) if state not in alive and not alive.isdisjoint(row)}
        if not more:
            break
        alive |= more
    if START not in alive:
        raise GrammarError(f"{name} says no text at all", "a rule that refers to itself needs another way out")
    rows = [
        [to if to in alive else DEAD for to in row] if state in alive else [DEAD] * len(row)
        for state, row in enumerate(rows)
    ]
    block = [0 if state not in alive else 1 + (state in accepts) for state in range(len(rows))]
    while True:
        keys = [(block[state], tuple(block[to] for to in row)) for state, row in enumerate(rows)]
        order = {keys[DEAD]: 0, **({} if keys[START] == keys[DEAD] else {keys[START]: 1})}
        for key in keys:
            order.setdefault(key, len(order))
        refined = [order[key] for key in keys]
        if len(set(refined)) == len(set(block)):
            break
        block = refined
    block = refined
    if len(order) - 1 > MAX_STATES:
        raise GrammarError(f"{name} needs {len(order) - 1:,} states", f"a device takes {MAX_STATES:,}: make it simpler")
    made = {block[state]: tuple(block[to] for to in row) for state, row in enumerate(rows)}
    table = [made[number] for number in range(len(order))]
    columns = {column: index for index, column in enumerate(dict.fromkeys(zip(*table, strict=True)))}
    kept = {index: columns[column] for index, column in enumerate(zip(*table, strict=True))}
    return Grammar(
        tuple(kept[number] for number in classes),
        tuple(tuple(row) for row in zip(*columns, strict=True)),
        frozenset(block[state] for state in accepts if state in alive),
        name,
    )
