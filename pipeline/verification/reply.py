"""What comes of a sentence: an answer's text, how sure the model is of it, or why nothing is done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.confidence import CERTAIN, joint, probability
from pipeline.text.answers import NO_MATCH, StructuredAnswer, StructuredPrompt, parse_answer
from pipeline.text.codec import Codec, Prompt

__all__ = [
    "REFUSED",
    "BlockEngine",
    "Reply",
    "ask",
    "at_threshold",
    "choose",
    "parse_reply",
    "refusal",
    "reply_of",
]

REFUSED = "refused"
"""End of an answer for which the model was not asked."""
_SLOT = re.compile(r"[A-Za-z_]\w*")
_UNFINISHED = {"context": "too-long", "length": "unfinished", "stopped": "unfinished"}


class BlockEngine(Protocol):
    """Engine that takes a prompt at once: `pipeline.verification.host_engine.HostEngine`."""

    @property
    def context(self) -> int: ...

    def reset(self) -> None: ...

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.signedinteger]: ...


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
    reason = prompt.refusal(context)
    return Reply(NO_MATCH, CERTAIN, reason) if reason else None


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


def at_threshold(reply: Reply, threshold: int) -> Reply:
    """What a model replies that does nothing below a confidence.

    Args:
        reply: of the same model with a threshold of 0.
        threshold: in 1/65536.
    """
    if reply.confidence is None or reply.confidence >= threshold or reply.reason in _UNFINISHED.values():
        return reply
    return Reply(NO_MATCH, reply.confidence, "low-confidence")


def parse_reply(reply: Reply, slots: Iterable[str] | None) -> StructuredAnswer:
    """Intent and slots of a reply; `NO_MATCH` for text that says none.

    Args:
        reply: of a model.
        slots: names that slots may have; None: any.
    """
    text = reply.text
    if slots is None:
        slots = [name for word in text.split(" ")[1:] if _SLOT.fullmatch(name := word.partition("=")[0])]
        intent, _, rest = text.partition(" ")
        if not _SLOT.fullmatch(intent) or (rest and "=" not in rest.partition(" ")[0]):
            return StructuredAnswer(NO_MATCH)
    return parse_answer(text, list(slots))


def choose(allowed: Sequence[int] | None, logits: NDArray[np.signedinteger]) -> int:
    """The most likely of the ids that may follow an answer so far, the lowest of equals.

    Args:
        allowed: of the prompt after that answer, ascending; None: all.
        logits: of the next token, [vocab].
    """
    if allowed is None:
        return int(logits.argmax())
    choices = np.asarray(allowed)
    return int(choices[logits[choices].argmax()])


def ask(engine: BlockEngine, codec: Codec, sentence: str, step: int, max_new: int | None = None) -> Reply:
    """What a model replies, decoding as the device does.

    Args:
        engine: of the model.
        codec: of the model.
        sentence: what is said.
        step: `pipeline.numerics.sampler.logit_step` of the logits' scale.
        max_new: maximum number of tokens of the answer; None: up to the end of the context.
    """
    prompt = codec.prompt(sentence)
    refused = refusal(prompt, engine.context)
    if refused is not None:
        return refused
    if len(prompt.tokens) > engine.context:
        return Reply("", None, "too-long")
    engine.reset()
    answer: list[int] = []
    fed, confidence, end = list(prompt.tokens), CERTAIN, ""
    position = 0
    while not end:
        logits = engine.prefill(fed)
        position += len(fed)
        allowed = prompt.allowed(answer)
        answer.append(choose(allowed, logits))
        confidence = joint(confidence, probability(logits, answer[-1], step, allowed))
        fed = answer[-1:]
        if answer[-1] in codec.tokenizer.template.stops:
            end = "eos"
        elif len(answer) == max_new:
            end = "length"
        elif position == engine.context:
            end = "context"
    return reply_of(prompt, answer, confidence, end)
