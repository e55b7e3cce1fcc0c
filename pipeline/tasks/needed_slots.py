"""The slots without which an intent has no meaning: what each of its templates always fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, Sentence

from pipeline.tasks.slot_sets import least_sets

__all__ = ["needed_by"]


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
