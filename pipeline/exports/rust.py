"""`rust`: a crate that compiles and declares the C, and a safe one on it."""

from __future__ import annotations

from typing import Any

from pipeline.exports.form import TEXT_BYTES, Form
from pipeline.exports.library import Library, Sources
from pipeline.firmware.answer_tables import max_slots
from pipeline.text.codec import StructuredCodec
from pipeline.verification.host_engine import Status

__all__ = ["FORM"]

_SESSION_WORDS = 32
"""Of 8 bytes; the C that goes along does not compile where a session is larger."""
_INTENTS_BYTES, _SLOT_BYTES, _NAMES_BYTES, _SAMPLER_BYTES = 2816, 64, 2048, 256
"""What a session has beside the model's memory, at most, on cores of 32 and 64 bits."""
_AROUND = 80
"""Ids beside those of a text or of the context."""


def _words(library: Library, sources: Sources) -> dict[str, int]:
    """Memory of a session with texts of TEXT_BYTES bytes, by the model's name, in words of 8 bytes; a constant of Rust
    cannot ask C for it."""
    words = {}
    for model in library.models:
        facts = sources.compiled[model.name]
        count = facts.kv_cache_bytes + facts.arena_bytes + 64
        if isinstance(model.codec, StructuredCodec):
            count += _INTENTS_BYTES + _SLOT_BYTES * max_slots(model.codec.schema) + 2 * (facts.context + _AROUND)
            count += TEXT_BYTES + (_NAMES_BYTES if facts.kv_cache_bytes < _NAMES_BYTES else 0)
        else:
            count += _SAMPLER_BYTES + facts.vocab // 8 + 2 * (TEXT_BYTES + _AROUND)
        words[model.name] = (count + 7) // 8
    return words


def _values(library: Library, sources: Sources) -> dict[str, Any]:
    return {
        "rust": {
            "session_words": _SESSION_WORDS,
            "words": _words(library, sources),
            "statuses": [(status.name, status.value) for status in Status],
        }
    }


FORM = Form("rust", "Rust crates", source="{package}-sys/c", compiles_with_flags=False, values=_values)
