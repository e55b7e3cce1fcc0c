"""Grammars in GBNF and JSON Schema: what the automaton reads is what they say."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.text.grammar import DEAD, START, Grammar
from pipeline.text.grammar_sources import MAX_STATES, compile_source


def gbnf(text: str, depth: int = 2) -> Grammar:
    return compile_source("answer.gbnf", text, depth)


def schema(value: Any, depth: int = 2) -> Grammar:
    return compile_source("answer.json", json.dumps(value), depth)


def written(grammar: Grammar, rng: random.Random, limit: int = 60) -> bytes:
    """A whole text that the automaton reads."""
    state, text = START, bytearray()
    while not (state in grammar.accepts and (rng.random() < 0.3 or len(text) > limit)):
        ways = [byte for byte in range(256) if grammar.next[state][grammar.classes[byte]] != DEAD]
        if not ways:
            break
        byte = rng.choice(ways)
        text.append(byte)
        state = grammar.next[state][grammar.classes[byte]]
        assert len(text) < 100 * limit, "it comes to an end"
    return bytes(text)


ARITHMETIC = """
# sums in brackets
root ::= sum ("," ws sum)* "\\n"?
sum  ::= term ([-+*/] term)*   # left to right
term ::= number | "(" sum ")"
number ::= [0-9]{1,3}
ws ::= [ \\t]*
"""


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        (ARITHMETIC, ["1", "1+22*3", "(1)", "((1+2))/3", "1, 2,3\n"], ["", "1234", "+1", "(1", "1\n\n", "1 ,2"]),
        ('root ::= "a" | "b" "c"', ["a", "bc"], ["b", "ac", "abc"]),
        ('root ::= ("x" | "y"){2,3} "z"?', ["xx", "yxz", "xyx"], ["x", "xxxx", "z"]),
        ('root ::= "a"{2} "b"{1,} "c"{,1}', ["aab", "aabbbc"], ["ab", "aac", "aabcc"]),
        ('root ::= [^"a-c]+', ["é", "☃x", "d"], ["", "a", "xb", '"']),
        ('root ::= [à-ü] . "\\u2603"', ["éx☃", "ü😀☃"], ["x☃", "ex☃", "éx"]),
        (r'root ::= "\"\\\n\x41" [\]\-\[]', ['"\\\nA]', '"\\\nA-', '"\\\nA['], ['"\\\nA\\']),
        ("root ::=\n  one |\n  two\none ::= (\n 'x'\n)\ntwo ::= \"y\"".replace("'", '"'), ["x", "y"], ["xy"]),
    ],
)
def test_gbnf(rules: str, good: list[str], bad: list[str]) -> None:
    grammar = gbnf(rules)
    assert [text for text in good if not grammar.reads(text.encode())] == []
    assert [text for text in bad if grammar.reads(text.encode())] == []


def test_rules_within_themselves_are_unrolled_to_a_depth() -> None:
    rules = 'root ::= "(" root ")" | "x"'
    for depth in range(4):
        grammar = gbnf(rules, depth)
        for inside in range(6):
            assert grammar.reads(("(" * inside + "x" + ")" * inside).encode()) == (inside <= depth)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('rot ::= "a"', "no rule `root`"),
        ("root ::= thing", "line 1: there is no rule 'thing'"),
        ('root ::= "a"\nroot ::= "b"', "line 2: the rule 'root' stands twice"),
        ('root ::= ("a"', r"has no \)"),
        ("root ::= 'a'", "line 1: .*none of GBNF's signs"),
        ('root ::= "a" ::= "b"', "line 1"),
        ("root ::= [z-a]", "ends before it begins"),
        ('root ::= "\\q"', "means nothing"),
        ('root ::= "a"{3,2}', "ends before it begins"),
        ("root ::= root", "says no text at all"),
        ('root ::= "a"{0,99999}', "parts"),
        (f'root ::= "{"ab" * (MAX_STATES // 2 + 1)}"', "states"),
    ],
)
def test_what_is_no_grammar_is_said_with_its_line(rules: str, message: str) -> None:
    with pytest.raises(ThimbleError, match=message):
        gbnf(rules)


COMMAND = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "do": {"enum": ["on", "off", "größer"]},
        "level": {"type": "integer", "minimum": -5, "maximum": 120},
        "who": {"type": "string", "minLength": 1, "maxLength": 6},
        "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        "much": {"type": "number"},
        "none": {"type": "null"},
        "any": {"anyOf": [{"const": 7}, {"$ref": "#/$defs/deep"}]},
    },
    "required": ["do"],
    "$defs": {"deep": {"type": "object", "properties": {"in": {"$ref": "#/$defs/deep"}}}},
}


@pytest.mark.parametrize(
    ("value", "is_good"),
    [
        ({"do": "on"}, True),
        ({"do": "größer", "level": -5, "who": "aé☃", "list": [True, False], "much": -0.25, "none": None}, True),
        ({"do": "on", "any": 7}, True),
        ({"do": "on", "any": {"in": {"in": {}}}}, True),
        ({"do": "on", "any": {"in": {"in": {"in": {}}}}}, False),  # deeper than was said
        ({"level": 3}, False),
        ({"do": "on", "level": 121}, False),
        ({"do": "on", "level": 1.5}, False),
        ({"do": "on", "who": ""}, False),
        ({"do": "on", "who": "1234567"}, False),
        ({"do": "on", "list": []}, False),
        ({"do": "on", "list": [True, True, True]}, False),
        ({"do": "on", "more": 1}, False),
    ],
)
def test_json_schema(value: Any, is_good: bool) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert schema(COMMAND).reads(text.encode()) == is_good


@settings(max_examples=60, deadline=None)
@given(st.integers(-1200, 1200), st.integers(0, 1500), st.lists(st.integers(-3000, 3000), max_size=200))
def test_whole_numbers_lie_between_their_limits(low: int, size: int, numbers: list[int]) -> None:
    grammar = schema({"type": "integer", "minimum": low, "maximum": low + size})
    for number in [*numbers, low, low + size, low - 1, low + size + 1]:
        assert grammar.reads(str(number).encode()) == (low <= number <= low + size)
    assert not grammar.reads(b"00") and not grammar.reads(b"-0") and not grammar.reads(b"")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "no JSON"),
        ({"type": "string", "pattern": "a+"}, "`pattern` cannot be said"),
        ({"type": "object", "properties": {"a": {"type": "thing"}}}, "/a: the type thing"),
        ({"type": "object", "properties": {"a": {}}}, "/a: anything at all"),
        ({"type": "array"}, "needs `items`"),
        ({"type": "integer", "minimum": 3}, "needs the other one"),
        ({"$ref": "#/$defs/x"}, "there is no #/\\$defs/x"),
        ({"$ref": "other.json"}, "another file"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "no property"),
        ({"not": {"type": "null"}}, "`not`"),
    ],
)
def test_what_a_grammar_cannot_say_is_named(value: Any, message: str) -> None:
    with pytest.raises(ThimbleError, match=message):
        compile_source("answer.json", value if isinstance(value, str) else json.dumps(value), 2)


def texts(grammar: Grammar, count: int) -> Iterator[bytes]:
    rng = random.Random(1)
    return (written(grammar, rng) for _ in range(count))


def test_what_the_automaton_writes_is_json_of_the_schema() -> None:
    allowed = {"do", "level", "who", "list", "much", "none", "any"}
    for text in texts(schema(COMMAND), 200):
        value = json.loads(text.decode("utf-8"))
        assert value["do"] in ("on", "off", "größer") and value.keys() <= allowed
        assert -5 <= value.get("level", 0) <= 120 and 1 <= len(value.get("list", [True])) <= 2


def test_what_the_automaton_writes_is_what_a_regular_expression_reads() -> None:
    wanted = re.compile(r"[0-9]{1,3}([-+*/][0-9]{1,3})*")
    plain = gbnf("root ::= n ([-+*/] n)*\nn ::= [0-9]{1,3}")
    assert all(wanted.fullmatch(text.decode()) for text in texts(plain, 200))
    assert len(plain.next) - 1 == 4, "the least automaton: the beginning, and one to three digits"
