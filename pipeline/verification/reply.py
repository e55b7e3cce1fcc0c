"""What comes of a sentence: an answer's text, how sure the model is of it, or why nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.numerics.confidence import CERTAIN
from pipeline.text.answers import NO_MATCH, StructuredPrompt
from pipeline.text.codec import Prompt

__all__ = ["MAX_WORDS", "MAX_WORDS_BYTES", "REFUSED", "Reply", "refusal", "reply_of"]

MAX_WORDS, MAX_WORDS_BYTES = 64, 640
"""Of a sentence that the device keeps: THIMBLE_MAX_WORDS and THIMBLE_MAX_WORDS_BYTES of words.h."""
REFUSED = "refused"
"""End of an answer for which the model was not asked."""
_UNFINISHED = {"context": "too-long", "length": "unfinished", "stopped": "unfinished"}


@dataclass(frozen=True)
class Reply:
    """What comes of a sentence.

    Attributes:
        text: `Intent slot=value slot=value`, or what a model without answer tokens writes.
        confidence: in 1/65536; None where it is not known, as of a board whose model has no answer tokens.
        reason: why nothing is done; empty where something is, or where the reason is not known.
    """

    text: str
    confidence: int | None = None
    reason: str = ""


def refusal(prompt: Prompt, context: int) -> Reply | None:
    """What comes of a sentence for which a model with answer tokens is not asked; None where it is.

    Args:
        prompt: the sentence.
        context: tokens that the model sees.
    """
    if not isinstance(prompt, StructuredPrompt):
        return None
    words = prompt.annotated.words
    num_bytes = sum(len(word.text.encode()) + 1 for word in words) - 1
    if len(words) > MAX_WORDS or num_bytes > MAX_WORDS_BYTES:
        return Reply(NO_MATCH, CERTAIN, "too-many-words")
    if prompt.has_too_many_names:
        return Reply(NO_MATCH, CERTAIN, "too-many-names")
    if len(prompt.tokens) > context:
        return Reply(NO_MATCH, CERTAIN, "too-long")
    return None


def reply_of(prompt: Prompt, tokens: Sequence[int], confidence: int, end: str) -> Reply:
    """What an answer says.

    Args:
        prompt: the sentence.
        tokens: ids of the answer, the one that ends it included.
        confidence: the product of their probabilities, in 1/65536.
        end: "eos" where it is whole, else "length", "context" or "stopped".
    """
    if not isinstance(prompt, StructuredPrompt):
        return Reply(prompt.text(tokens), confidence)
    if end in _UNFINISHED:
        return Reply(NO_MATCH, confidence, _UNFINISHED[end])
    answer = prompt.answer(tokens, confidence)
    return Reply(answer.text, confidence, answer.reason)
