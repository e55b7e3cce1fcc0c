"""Versions of what an image holds besides the model, whose own version is of its .tflite: digests of what they mean,
the same on every board."""

from __future__ import annotations

import dataclasses

from pipeline.files import VERSION_DIGITS, fingerprint
from pipeline.text.answers import AnswerSchema
from pipeline.text.prompt import PromptTokenizer

__all__ = ["answers_version", "tokenizer_version"]

_ADDED_LATER = ("byte_ids", "word_rules")
"""Of a prompt's template: no part of a version where they are empty."""


def tokenizer_version(tokenizer: PromptTokenizer) -> str:
    """16 hexadecimal digits: another where any text would be other ids, or any ids another text."""
    parts = {
        "pieces": [piece.hex() for piece in tokenizer.pieces],
        "characters": sorted((ord(character), index) for character, index in tokenizer.characters.items()),
        "merges": sorted((*pair, *merge) for pair, merge in tokenizer.ranked_merges.items()),
        "template": {
            key: value
            for key, value in dataclasses.asdict(tokenizer.template).items()
            if key not in _ADDED_LATER or value
        },
    }
    return fingerprint(parts)[:VERSION_DIGITS]


def answers_version(schema: AnswerSchema) -> str:
    """16 hexadecimal digits: another where an answer could have other intents, slots or values, or other tokens for
    them. The threshold below which nothing is done, whether the model asks then, and what needs a room, are no part of
    it."""
    parts = dataclasses.asdict(schema)
    del parts["threshold"], parts["asks"], parts["room"]
    parts["quantities"] = sorted(schema.quantities)
    parts["slot_sets"] = {
        intent: [[sorted(one.required), sorted(one.possible)] for one in sets]
        for intent, sets in sorted(schema.slot_sets.items())
    }
    return fingerprint(parts)[:VERSION_DIGITS]
