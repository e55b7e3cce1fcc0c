"""Encoding by tables: characters or bytes become ids, and neighbours merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["ids_of_characters", "merged"]


def ids_of_characters(text: str, characters: Mapping[str, int], byte_ids: Sequence[int]) -> list[int]:
    """Ids of the characters of a text, or of their bytes where they have none.

    Args:
        text: to encode.
        characters: ids of characters.
        byte_ids: of each byte, [256].
    """
    ids: list[int] = []
    for character in text:
        known = characters.get(character)
        ids += [byte_ids[byte] for byte in character.encode()] if known is None else [known]
    return ids


def merged(ids: list[int], merges: Mapping[tuple[int, int], tuple[int, int]]) -> list[int]:
    """The ids once neighbours of the lowest rank have become one, the leftmost of equals, until none is left.

    Args:
        ids: changed in place.
        merges: (left id, right id) → (rank, merged id).
    """
    while True:
        candidates = [(merges[pair][0], index) for index, pair in enumerate(pairwise(ids)) if pair in merges]
        if not candidates:
            return ids
        _, index = min(candidates)
        ids[index : index + 2] = [merges[ids[index], ids[index + 1]][1]]
