"""Sets of slots that templates always fill, and which slots answers then have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hassil.expression import ListReference, Sentence
from hassil.parse_expression import parse_sentence
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.needed_slots import needed_by
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.slot_sets import MAX_SETS, least_sets

RULES: dict[str, Sentence] = {"place": parse_sentence("(in|at) ({area}|{floor})")}
SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=5), max_size=40)


def needed(template: str) -> list[set[str]]:
    def slot_of(reference: ListReference) -> str:
        return "" if reference.slot_name == "hidden" else reference.slot_name

    return [set(one) for one in needed_by(parse_sentence(template).expression, RULES, slot_of)]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("turn it off", [set()]),
        ("turn off {name}", [{"name"}]),
        ("turn off [the] {name} [<place>]", [{"name"}]),
        ("dim {name} <place>", [{"area", "name"}, {"floor", "name"}]),
        ("({a}|{b}) and ({c}|{d})", [{"a", "c"}, {"a", "d"}, {"b", "c"}, {"b", "d"}]),
        ("({a} {b}|{a})", [{"a"}]),
        ("[{a}]", [set()]),
        ("({a};{b})", [{"a", "b"}]),
        ("{name:thing} {hidden}", [{"thing"}]),
    ],
)
def test_what_a_template_always_fills(template: str, expected: list[set[str]]) -> None:
    assert needed(template) == expected


@given(SETS)
def test_the_least_sets_say_the_same(sets: Sequence[frozenset[str]]) -> None:
    least = least_sets(sets)
    assert len(least) <= MAX_SETS
    assert not any(one < other for one in least for other in least)
    assert all(any(one <= slots for one in least) for slots in sets), "what held a set before holds one now"
    few = least_sets(sets[:MAX_SETS])
    assert all(one in sets for one in few), "few sets are kept as they are"


def together(intent: IntentSchema) -> list[tuple[set[str], set[str]]]:
    schema = make_schema({"Do": intent}, (), 3)
    names = [
        [{schema.slots[slot] for slot in part} for part in (one.required, one.possible)] for one in schema.slot_sets[1]
    ]
    return [(required, possible) for required, possible in names]


def slots(*names: str) -> dict[str, SlotSchema]:
    return {name: SlotSchema(kinds=frozenset({"number"})) for name in names}


def test_an_answer_has_one_of_the_needed_sets() -> None:
    sets = together(IntentSchema(slots("a", "b", "c"), (frozenset("a"), frozenset("bc"))))
    assert sets == [({"a"}, {"a", "b", "c"}), ({"b", "c"}, {"a", "b", "c"})]
    assert together(IntentSchema(slots("a"))) == [(set(), {"a"})]


def test_a_duration_stands_instead_of_its_units() -> None:
    intent = IntentSchema(slots("minutes", "hours", "x"), (frozenset({"hours"}), frozenset({"minutes"})))
    units = {"minutes", "hours", "x"}
    assert together(intent) == [({"duration"}, {"duration", "x"}), ({"hours"}, units), ({"minutes"}, units)]


def test_of_exclusive_slots_there_is_one() -> None:
    intent = IntentSchema(slots("a", "b", "c"), (frozenset("a"), frozenset("c")), (frozenset("ab"),))
    assert together(intent) == [({"a"}, {"a", "c"}), ({"c"}, {"a", "c"}), ({"c"}, {"b", "c"})]
    later = IntentSchema(slots("minutes", "time"), (), (frozenset({"minutes", "time"}),))
    assert together(later) == [(set(), {"duration"}), (set(), {"minutes"}), (set(), {"time"})]
