"""Wrong inputs by grammar: YAML trees and texts, binary files and sentences, as hypothesis' strategies.

A mutant begins with a seed of the corpus, so that most of it is right, and what is wrong reaches deep.
"""

from __future__ import annotations

import copy
import datetime
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

__all__ = ["binary_mutants", "json_mutants", "text_mutants", "yaml_mutants"]

_RAW = "@@raw{}@@"
"""Stands in a tree for YAML that no dumper writes; see `_SNIPPETS`."""

_SNIPPETS = (
    "!!python/object/apply:os.system [true]",
    "!!python/name:os.system",
    "!!binary aGVsbG8=",
    "!!binary ///",
    "!!set {a, b}",
    "!!omap [a: 1, b: 2]",
    "!!pairs [a: 1]",
    "!!timestamp 2026-01-01",
    "!!int ''",
    "!!int x",
    "!!float x",
    "!!bool maybe",
    "!!null x",
    "!!str 12",
    "!unknown {a: 1}",
    "2026-01-01",
    "2026-99-99",
    "2026-01-01T10:00:00+25:00",
    "1:30:00",
    "190:20:30.15",
    "0x",
    "0b",
    "0_",
    "-0o17",
    ".nan",
    "-.inf",
    "1e999",
    "1" + "0" * 40,
    "1" + "0" * 5000,
    "-1" + "0" * 400,
    "0x" + "f" * 300,
    "=",
    "<<",
    "~",
    "yes",
    '"\\uD800"',
    '"\\0"',
    '"\\e[31m\\e]0;x\\a"',
    '"\\u202e"',
    "[" * 300 + "]" * 300,
    "[" * 3000 + "]" * 3000,
    "{a: " * 300 + "1" + "}" * 300,
    "&x [*x]",
    "&x {a: *x}",
    "*nowhere",
    "&x [&y [a, a, a, a, a, a, a, a, a], *y, *y, *y, *y, *y, *y, *y, *y]",
    "&a1 [&a2 [&a3 [&a4 [&a5 [&a6 [&a7 [x, x, x, x, x, x, x, x], *a7, *a7, *a7, *a7, *a7, *a7, *a7],"
    " *a6, *a6, *a6, *a6, *a6, *a6, *a6], *a5, *a5, *a5, *a5, *a5, *a5, *a5], *a4, *a4, *a4, *a4, *a4, *a4, *a4],"
    " *a3, *a3, *a3, *a3, *a3, *a3, *a3], *a2, *a2, *a2, *a2, *a2, *a2, *a2]",
    "{<<: {a: 1}}",
    "{<<: [1, 2]}",
    "{<<: x}",
    "{? [1, 2] : 3}",
    "{? {a: b} : 3}",
    "{1: 2, true: 3, null: 4, 1.5: 5, 2026-01-01: 6}",
    "{a: 1, a: 2}",
    "|\n      text\n     less",
    "'unclosed",
    '"\\x"',
    "[unclosed",
    "{a: b",
    "%",
    "@",
    "`",
    "- a\n- b",
)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 255, 256, 65536, 2**31, 2**32, 2**63, 10**12, 10**20, -(10**20),
    0.0, -0.0, 0.1, 0.5, 1.5, -2.5, 1e-300, 1e308, float("nan"), float("inf"), float("-inf"), 1.0, 2.0, 100.0,
    "", " ", "a", "x" * 70, "x" * 10_000, "../../../../../../../x", "..", ".", "/", "/etc/passwd", "/dev/zero", "a/b",
    "a\\b", "a\nb", "a\0b", "a\tb", "\x1b[31m", "ä ö", "日本語", "\U0001f600", "\u202ex", "$HOME", "${x}", "%s%n",
    "{0}", "{name}",
    "{a|b", "(a|b)", "[a [b]]", "<a>", "<rule>", "{list:slot}", "{0..1000000000:n}", "{9..1:n}", "*", "**/*",
    "../**/*", "[",
    "shipped:", "shipped:nothing", "shipped:../../x", "shipped:home-en-small", "none", "nan", "1e5", "256K",
    "1e9M", "0K", "-1K",
    "9" * 400 + "K", "2:4", "CON", "con.txt", "-x", "--help", "x" * 64, "x" * 65, "a b", "a;b", 'a"b', "a'b",
    "name\n", "#",
    datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 1, 1), b"bytes", (1, 2),
    [], [[]], [None], [1, 2, 3], ["a", "b"], ["a", "a"], [{}], [[["a"]]], ["x"] * 2000, [1, "a", None, {"a": 1}],
    {}, {"": ""}, {"a": 1}, {"name": "x"}, {"from": "x"}, {1: 2}, {None: 1}, {True: 1}, {1.5: 2},
    {"a": {"b": {"c": {}}}},
    {"key": "train.steps", "low": 1, "high": 10, "step": 1}, {"key": "a.b.c", "low": 0, "high": 1e9, "step": 1e-9},
    {"key": "", "low": 1, "high": 2, "step": 1}, {"key": "name", "low": 1, "high": 2, "step": 1},
    {"key": "train.steps", "low": 1, "high": 10**18, "step": 1}, {"key": "x", "low": 0, "high": 1, "step": 1e-320},
    {"key": "x", "low": -1e308, "high": 1e308, "step": 1},
)  # fmt: skip
_KEYS: tuple[Any, ...] = (
    "name", "from", "key", "low", "high", "step", "id", "names", "aliases", "values", "range", "wildcard",
    "in", "out", "variant",
    "files", "home", "tests", "boards", "shipped", "weights", "x" * 500, "../x", "../../../../../../../x",
    "a/b", "", " ", "\n", "\0",
    "\x1b[31m", "ä", "on", 1, 0, -1, 1.5, True, None, datetime.date(2026, 1, 1), ".", "..", "a.b", "<<", "=",
    "__class__",
    "model_config", "_path", "self",
)  # fmt: skip


class _Dumper(yaml.SafeDumper):
    """Writes tuples as lists, and never an alias: those are snippets."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(tuple, lambda dumper, data: dumper.represent_list(list(data)))


def _drawn(make: Callable[[random.Random], bytes]) -> st.SearchStrategy[bytes]:
    """Inputs of a generator whose seed hypothesis draws: its own choices go to the first of each kind too often."""
    return st.integers(0, 2**64 - 1).map(lambda number: make(random.Random(number)))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything below, the root left out."""
    found: list[tuple[Any, Any]] = []
    ahead = [tree]
    while ahead:
        node = ahead.pop()
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                ahead.append(node[key])
    return found


def _mutate_tree(rng: random.Random, tree: Any, others: Sequence[Any]) -> Any:
    """One change somewhere; most keep the form."""
    places = _places(tree) if isinstance(tree, dict | list) else []
    kind = rng.randrange(12)
    if not places or (kind == 0 and rng.randrange(12) == 0):
        return copy.deepcopy(rng.choice(_VALUES))
    node, key = rng.choice(places)
    value = node[key]
    if kind <= 4:
        alike = [other for other in _VALUES if type(other) is type(value)]
        node[key] = copy.deepcopy(rng.choice(alike if alike and rng.randrange(2) else _VALUES))
    elif kind == 5:
        node[key] = _RAW.format(rng.randrange(len(_SNIPPETS)))
    elif kind == 6:
        del node[key]
    elif kind == 7 and isinstance(node, dict):
        node[rng.choice(_KEYS)] = node.pop(key)
    elif kind == 8 and isinstance(node, dict):
        node[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(_VALUES))
    elif kind == 9 and isinstance(node, list):
        node.append(copy.deepcopy(value))
    elif kind == 10:
        source = rng.choice(others)
        inside = _places(source) if isinstance(source, dict | list) else []
        if inside:
            container, name = rng.choice(inside)
            node[key] = copy.deepcopy(container[name])
    elif isinstance(value, bool):
        node[key] = not value
    elif isinstance(value, int | float):
        node[key] = rng.choice(
            (-value, value + 1, value - 1, value * 1000, float(value), value / 3, str(value), [value])
        )
    elif isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        node[key] = value[:at] + str(rng.choice(_VALUES[33:76])) + value[at:]
    else:
        node[key] = [copy.deepcopy(value)]
    return tree


def _mutate_text(rng: random.Random, text: bytes) -> bytes:
    """One change of a text's bytes or lines."""
    kind = rng.randrange(14)
    at = rng.randrange(len(text) + 1)
    lines = text.split(b"\n")
    index = rng.randrange(len(lines))
    if kind <= 2:  # a key twice
        return b"\n".join([*lines[: index + 1], lines[index], *lines[index + 1 :]])
    if kind == 3:
        return text[:at]
    if kind == 4:
        return text[:at] + rng.randbytes(rng.randrange(1, 5)) + text[at:]
    if kind == 5:
        return b"\n".join([*lines[:index], *lines[index + 1 :]])
    if kind == 6:
        return b"\n".join([*lines[:index], b" " + lines[index], *lines[index + 1 :]])
    if kind == 7:
        return text.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8")))
    if kind == 8:
        return (
            rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"%YAML 9.9\n---\n", b"--- \n", b"\x00", b"---\na: 1\n---\n"))
            + text
        )
    if kind == 9:
        return bytes(text.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "latin-1")), "replace"))
    if kind == 10:
        line = lines[index]
        colon = line.find(b":")
        snippet = rng.choice(_SNIPPETS).encode()
        return b"\n".join([*lines[:index], line[: colon + 1] + b" " + snippet, *lines[index + 1 :]])
    if kind == 11:
        return (
            text[:at]
            + rng.choice((b"&a ", b"*a ", b"!!str ", b"<<: ", b"? ", b"- ", b": ", b"{", b"[", b"\t", b"#"))
            + text[at:]
        )
    if kind == 12:
        return text + b"\n" + rng.choice((b"x: y", b"- x", b"...", b"---", b"\x80", b"name: again", b"<<: *x")) + b"\n"
    return bytes(
        rng.choice((b"", b"\n", b"[]", b"{}", b"null", b"1", b"text", b"- a", b"# nothing", b"\0", b"{", b"&a [*a]"))
    )


def yaml_mutants(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """YAML files, changed in their trees or their texts in one to four places."""
    trees = [yaml.safe_load(seed) for seed in seeds]
    return _drawn(lambda rng: _yaml_mutant(rng, seeds, trees))


def _yaml_mutant(rng: random.Random, seeds: Sequence[bytes], trees: Sequence[Any]) -> bytes:
    tree = copy.deepcopy(rng.choice(trees))
    kind = rng.randrange(8)
    if kind == 0:
        text = rng.choice(seeds)
    else:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            tree = _mutate_tree(rng, tree, trees)
        text = yaml.dump(tree, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=200).encode(
            "utf-8", "replace"
        )
        for index, snippet in enumerate(_SNIPPETS):
            for quoted in (f"'{_RAW.format(index)}'", _RAW.format(index)):
                text = text.replace(quoted.encode(), snippet.encode())
    for _ in range(rng.choice((0, 0, 0, 1, 2)) if kind else rng.choice((1, 1, 2))):
        text = _mutate_text(rng, text)
    return bytes(text)


_JSON_SNIPPETS = (
    b"NaN", b"-Infinity", b"1e999", b"1" + b"0" * 5000, b'"\\ud800"', b'"\\u0000"', b"[" * 3000 + b"]" * 3000,
    b"[" * 200_000,
    b'{"a": 1, "a": 2}', b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1.5", b'"x"', b'["x"]', b'{"x": 1}',
    b"tru", b"'x'",
)  # fmt: skip


def json_mutants(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Files of JSON, or of JSON lines: a value replaced by another, or bytes changed."""
    return _drawn(lambda rng: _json_mutant(rng, seeds))


def _json_mutant(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    text = bytes(rng.choice(seeds))
    for _ in range(1 + rng.randrange(3)):
        starts = [at + 1 for at, byte in enumerate(text[:20_000]) if byte in b":,["]
        if starts and rng.randrange(3):
            at = rng.choice(starts)
            end = next((e for e in range(at + 1, min(len(text), at + 400)) if text[e] in b",]}"), at)
            text = text[:at] + b" " + rng.choice(_JSON_SNIPPETS) + text[end:]
        else:
            text = _mutate_text(rng, text)
    return text


def binary_mutants(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Binary files of little-endian words: some changed, some cut off or added."""
    return _drawn(lambda rng: _binary_mutant(rng, seeds))


def _binary_mutant(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    words = (0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, -(2**31), 0x7FC00000, 0x7F800000, 0x616B3432)
    for _ in range(1 + rng.randrange(3)):
        kind = rng.randrange(8)
        if kind <= 2 and len(data) >= 4:  # the header
            at = 4 * rng.randrange(min(len(data) // 4, 10))
            data[at : at + 4] = struct.pack("<i", rng.choice(words))
        elif kind == 3 and len(data) >= 4:
            at = 4 * rng.randrange(len(data) // 4)
            data[at : at + 4] = struct.pack("<i", rng.choice(words))
        elif kind == 4:
            del data[rng.randrange(len(data) + 1) :]
        elif kind == 5:
            data += rng.randbytes(rng.randrange(9))
        elif kind == 6 and data:
            data[rng.randrange(len(data))] = rng.randrange(256)
        else:
            at = rng.randrange(len(data) + 1)
            del data[at : at + 1 + rng.randrange(8)]
    return bytes(data)


_FRAGMENTS = (
    " ", "  ", "\t", "\n", "the", "kitchen", "light", "lights", "turn", "on", "21", "21.5", "½", "three",
    "o'clock", "é", "e\u0301",
    "ß", "ẞ", "İ", "ı", "ŉ", "ﬁ", "日本", "한", "\u1112\u1161\u11ab", "\U0001f600", "\U0001f468\u200d\U0001f469",
    "\u200b", "\ufeff",
    "\u202e", "\x00", "\x1b[A", "\x7f", "<eos>", "<0x41>", "<s>", "�", "\uffff", "\U0010ffff", "'", "’", "-",
    ".", ",", "!", "°", "%", "café",
)  # fmt: skip


def text_mutants() -> st.SearchStrategy[str]:
    """Sentences, and anything else that Unicode can write."""
    words = st.sampled_from(_FRAGMENTS)
    return st.lists(st.one_of(words, words, words, st.text(max_size=6)), max_size=12).map("".join)
