"""The slots without which an intent has no meaning: what each of its templates always fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, Sentence

__all__ = ["MAX_SETS", "least_sets", "needed_by"]

MAX_SETS = 16
"""Sets of an intent, beyond which those that have most in common become one."""


def needed_by(
    expression: Expression, rules: Mapping[str, Sentence], slot_of: Callable[[ListReference], str]
) -> list[frozenset[str]]:
    """The sets of slots of which each sentence of an expression fills at least one, `least_sets`.

    Args:
        expression: of a template, as hassil parsed it.
        rules: that it may refer to.
        slot_of: the slot that a reference fills; empty for none.
    """
    if isinstance(expression, ListReference):
        slot = slot_of(expression)
        return [frozenset({slot} if slot else ())]
    if isinstance(expression, Alternative):
        return least_sets(one for item in expression.items for one in needed_by(item, rules, slot_of))
    if isinstance(expression, Group):
        sets = [frozenset[str]()]
        for item in expression.items:
            more = needed_by(item, rules, slot_of)
            sets = least_sets(one | other for one in sets for other in more)
        return sets
    if isinstance(expression, RuleReference) and expression.rule_name in rules:
        return needed_by(rules[expression.rule_name].expression, rules, slot_of)
    return [frozenset()]


def least_sets(sets: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """The sets that hold no other one, ascending; what holds one of all sets holds one of these.

    Args:
        sets: of slots. Where more than `MAX_SETS` are left, two become what they have in common.
    """
    least: list[frozenset[str]] = []
    for slots in sorted(set(sets), key=lambda one: (len(one), sorted(one))):
        if not any(other <= slots for other in least):
            least.append(slots)
    if len(least) <= MAX_SETS:
        return sorted(least, key=sorted)
    one, other = max(combinations(least, 2), key=lambda pair: len(pair[0] & pair[1]) - len(pair[0] ^ pair[1]))
    return least_sets([*(slots for slots in least if slots not in (one, other)), one & other])
