"""Sentences in pieces, and patterns with holes that sentences are made of."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from pipeline.errors import ThimbleError

__all__ = [
    "SEAM",
    "Hole",
    "Pattern",
    "Piece",
    "Spans",
    "count_expansions",
    "expansions",
    "items",
    "join",
    "lines",
    "parse_pattern",
    "split",
]

Spans = tuple[tuple[int, int], ...]
_CLOSING = frozenset(",.;:?!…")


def lines(value: str | Sequence[str]) -> list[str]:
    """A list of a language file, which may be written as a text with an item a line."""
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else list(value)


def items(value: str | Sequence[str]) -> list[str]:
    """A list of a language file, which may be written as a text with commas."""
    return (
        [" ".join(item.split()) for item in value.split(",") if item.strip()] if isinstance(value, str) else list(value)
    )


class Piece(NamedTuple):
    """A word, or several where a slot's value is.

    Attributes:
        text: never empty.
        spans: of characters of `text` that hold slot values, which nothing may change.
    """

    text: str
    spans: Spans = ()


SEAM = Piece("~")
"""Where a modal particle ("mal", "please") may stand; never in a finished sentence."""


def split(sentence: str, fixed: Spans) -> list[Piece]:
    """The words of a sentence; a word that a fixed span reaches into is one piece with all that the span covers."""
    pieces: list[Piece] = []
    spans = sorted(fixed)
    index = 0
    for match in re.finditer(r"\S+", sentence):
        start, end = match.span()
        if start < index:
            continue
        inside: list[tuple[int, int]] = []
        for first, last in spans:
            if first < end and last > start:
                inside.append((first, last))
                if last > end:
                    rest = re.match(r"\S*", sentence[last:])
                    end = last + (rest.end() if rest else 0)
        pieces.append(Piece(sentence[start:end], tuple((first - start, last - start) for first, last in inside)))
        index = end
    return pieces


def join(pieces: Iterable[Piece]) -> tuple[str, Spans]:
    """The sentence of the pieces, and its fixed spans; a piece that begins with `,` follows without a space."""
    text = ""
    spans: list[tuple[int, int]] = []
    for piece in pieces:
        if piece == SEAM:
            continue
        if text and piece.text[0] not in _CLOSING:
            text += " "
        elif not text and piece.text in _CLOSING:
            continue
        spans += ((len(text) + first, len(text) + last) for first, last in piece.spans)
        text += piece.text
    return text, tuple(spans)


@dataclass(frozen=True, slots=True)
class Hole:
    """What a pattern leaves open."""

    name: str


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[tuple[_Node, ...], ...]


_Node = Piece | Hole | _Choice


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern.

    Attributes:
        source: as it is written.
        nodes: in order.
        holes: names of all holes, of each alternative.
    """

    source: str
    nodes: tuple[_Node, ...]
    holes: frozenset[str]

    def draw(self, rng: random.Random) -> list[Piece | Hole]:
        """One of the pattern's expansions, each alternative as likely as the others beside it."""
        drawn: list[Piece | Hole] = []
        _draw(self.nodes, rng, drawn)
        return drawn


def _draw(nodes: Sequence[_Node], rng: random.Random, drawn: list[Piece | Hole]) -> None:
    for node in nodes:
        if isinstance(node, _Choice):
            _draw(node.options[int(rng.random() * len(node.options))], rng, drawn)
        else:
            drawn.append(node)


def parse_pattern(source: str, rules: Mapping[str, Sequence[str]] | None = None) -> Pattern:
    """Reads `a (b|c) [d] {hole} <rule> ~`.

    Args:
        source: alternatives in `( | )`, what may be missing in `[ | ]`, a `{hole}`, `<rule>` for the alternatives of a
            rule, `~` where a modal particle may stand.
        rules: alternatives by name.

    Raises:
        ThimbleError: brackets do not match, or there is no such rule.
    """
    tokens = re.findall(r"\{[a-z_]+\}|<[a-z_]+>|[()\[\]|~]|[^\s()\[\]|~{}<>]+|[{}<>]", source)
    nodes, index = _parse(tokens, 0, source, rules or {})
    if index < len(tokens):
        raise _broken(source)
    return Pattern(source, nodes[0] if len(nodes) == 1 else (_Choice(nodes),), frozenset(_holes(nodes)))


def _parse(
    tokens: list[str], index: int, source: str, rules: Mapping[str, Sequence[str]]
) -> tuple[tuple[tuple[_Node, ...], ...], int]:
    options: list[tuple[_Node, ...]] = []
    nodes: list[_Node] = []
    while index < len(tokens) and tokens[index] not in (")", "]"):
        token = tokens[index]
        index += 1
        if token == "|":
            options.append(tuple(nodes))
            nodes = []
        elif token in ("(", "["):
            inner, index = _parse(tokens, index, source, rules)
            if index >= len(tokens) or tokens[index] != {"(": ")", "[": "]"}[token]:
                raise _broken(source)
            index += 1
            nodes.append(_Choice(inner if token == "(" else (*inner, ())))
        elif token == "~":
            nodes.append(SEAM)
        elif token in ("{", "}", "<", ">"):
            raise _broken(source)
        elif token.startswith("{"):
            nodes.append(Hole(token[1:-1]))
        elif token.startswith("<"):
            name = token[1:-1]
            if name not in rules:
                raise ThimbleError(f"there is no rule <{name}>, which {source!r} names", "write it under `rules`")
            inside = {key: value for key, value in rules.items() if key != name}
            nodes.append(_Choice(tuple(parse_pattern(option, inside).nodes for option in rules[name])))
        else:
            nodes.append(Piece(token))
    options.append(tuple(nodes))
    return tuple(options), index


def _broken(source: str) -> ThimbleError:
    return ThimbleError(f"the pattern {source!r} has brackets that do not match", "close each ( [ { and < once")


def _holes(options: Iterable[Sequence[_Node]]) -> Iterator[str]:
    for nodes in options:
        for node in nodes:
            if isinstance(node, Hole):
                yield node.name
            elif isinstance(node, _Choice):
                yield from _holes(node.options)


def expansions(pattern: Pattern) -> Iterator[list[Piece | Hole]]:
    """All expansions, in order."""
    yield from _expand(pattern.nodes)


def _expand(nodes: Sequence[_Node]) -> Iterator[list[Piece | Hole]]:
    parts = [
        [expansion for option in node.options for expansion in _expand(option)]
        if isinstance(node, _Choice)
        else [[node]]
        for node in nodes
    ]
    for combination in product(*parts):
        yield [node for part in combination for node in part]


def count_expansions(pattern: Pattern) -> int:
    """How many sentences a pattern gives, before its holes are filled."""
    return _count(pattern.nodes)


def _count(nodes: Sequence[_Node]) -> int:
    count = 1
    for node in nodes:
        if isinstance(node, _Choice):
            count *= sum(map(_count, node.options))
    return count
