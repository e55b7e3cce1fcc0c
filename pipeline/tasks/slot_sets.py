"""Sets of slots of which an answer has one at least."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

__all__ = ["MAX_SETS", "least_sets"]

MAX_SETS = 16
"""Sets of an intent, beyond which those that have most in common become one."""


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
