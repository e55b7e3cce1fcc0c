"""What comes of a sentence: an answer's text, how sure the model is of it, or why nothing is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.confidence import CERTAIN, joint, probability
from pipeline.text.answers import NO_MATCH, StructuredAnswer, StructuredPrompt, parse_answer
from pipeline.text.codec import Codec, Prompt

__all__ = [
    "REFUSED",
    "BlockEngine",
    "Branch",
    "Choice",
    "Reply",
    "ask",
    "at_threshold",
    "choose",
    "parse_reply",
    "refusal",
    "reply_of",
    "second_best",
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
class Choice:
    """An answer that may be the one that is meant.

    Attributes:
        text: `Intent slot=value slot=value`.
        confidence: in 1/65536.
        context: see `Reply`.
    """

    text: str
    confidence: int
    context: tuple[str, ...] = ()


@dataclass(frozen=True)
class Branch:
    """Of the answers that depart from the most likely one, each at the second most likely token of its place, the one
    that is most likely so far.

    Attributes:
        index: of that token in the answer.
        token: its id.
        confidence: of the answer up to it, in 1/65536; 0 where no other token may follow anywhere.
    """

    index: int = 0
    token: int = 0
    confidence: int = 0

    def or_other(
        self,
        index: int,
        confidence: int,
        logits: NDArray[np.signedinteger],
        token: int,
        step: int,
        allowed: Sequence[int],
    ) -> Branch:
        """This one, or that at one more place of the answer where that is more likely.

        Args:
            index: of the place.
            confidence: of the answer before it.
            logits: [vocab].
            token: the most likely one there.
            step: see `ask`.
            allowed: ids that may follow, ascending.
        """
        others = [other for other in allowed if other != token]
        if not others:
            return self
        second = choose(others, logits)
        reached = joint(confidence, probability(logits, second, step, allowed))
        return Branch(index, second, reached) if reached > self.confidence else self


@dataclass(frozen=True)
class Reply:
    """What comes of a sentence.

    Attributes:
        text: `Intent slot=value slot=value`, or what a model without answer tokens writes.
        confidence: in 1/65536; None where it is not known, as of a board whose model has no answer tokens.
        reason: why nothing is done; empty where something is, or where the reason is not known.
        choices: the two best answers, the more likely one first; none but where the confidence of a model that asks is
            below its threshold.
        context: what the answer needs to know of where it is said: "area", the room.
    """

    text: str
    confidence: int | None = None
    reason: str = ""
    choices: tuple[Choice, ...] = ()
    context: tuple[str, ...] = ()


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
    return Reply(answer.text, confidence, answer.reason, context=answer.context)


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
    """Intent and slots of a reply, and of its choices; `NO_MATCH` for text that says none.

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
    names = list(slots)
    choices = (
        replace(parse_answer(one.text, names), confidence=one.confidence / 65536, context=one.context)
        for one in reply.choices
    )
    return replace(parse_answer(text, names), choices=tuple(choices), context=reply.context)


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
    best = _completed(engine.prefill, prompt, codec, engine.context, step, max_new, [], CERTAIN)
    reply = reply_of(prompt, best.tokens, best.confidence, best.end)
    if best.end == "eos" and isinstance(prompt, StructuredPrompt) and prompt.asks(best.confidence):
        engine.reset()
        choices = second_best(
            engine.prefill, prompt, codec, engine.context, best.tokens, best.confidence, best.branch, step, max_new
        )
        return replace(reply, choices=choices)
    return reply


def second_best(
    feed: Callable[[Sequence[int]], NDArray[np.signedinteger]],
    prompt: StructuredPrompt,
    codec: Codec,
    context: int,
    tokens: Sequence[int],
    confidence: int,
    branch: Branch,
    step: int,
    max_new: int | None = None,
) -> tuple[Choice, ...]:
    """The best answer and the second best one: that of the branch, completed as the best one was. None where it has no
    end.

    Every other answer departs from the best one at some token, and is no likelier than it is up to there; the branch is
    the likeliest of these beginnings, so nothing is likelier than it is there.

    Args:
        feed: gives a model that is reset tokens, and returns the logits after the last, [vocab].
        prompt: the sentence.
        codec: of the model.
        context: tokens that the model sees.
        tokens: of the best answer.
        confidence: of it, in 1/65536.
        branch: where the other one departs.
        step: see `ask`.
        max_new: maximum number of tokens of an answer.
    """
    if not branch.confidence:
        return ()
    begun = [*tokens[: branch.index], branch.token]
    other = _completed(feed, prompt, codec, context, step, max_new, begun, branch.confidence)
    if other.end != "eos":
        return ()
    pairs = ((tokens, confidence), (other.tokens, other.confidence))
    said = ((prompt.answer(ids), known) for ids, known in pairs)
    return tuple(Choice(answer.text, known, answer.context) for answer, known in said)


@dataclass(frozen=True)
class _Completed:
    """An answer, how likely it is, why it ended, and where the second best one departs from it."""

    tokens: list[int]
    confidence: int
    end: str
    branch: Branch


def _completed(
    feed: Callable[[Sequence[int]], NDArray[np.signedinteger]],
    prompt: Prompt | StructuredPrompt,
    codec: Codec,
    context: int,
    step: int,
    max_new: int | None,
    begun: Sequence[int],
    confidence: int,
) -> _Completed:
    """An answer with its most likely tokens behind those with which it has begun."""
    answer, fed, branch = list(begun), [*prompt.tokens, *begun], Branch()
    end = _end_of(answer, len(prompt.tokens), codec, context, max_new) if answer else ""
    while not end:
        logits, fed = feed(fed), []
        allowed = prompt.allowed(answer)
        following = choose(allowed, logits)
        if allowed is not None:
            branch = branch.or_other(len(answer), confidence, logits, following, step, allowed)
        confidence = joint(confidence, probability(logits, following, step, allowed))
        answer.append(following)
        fed.append(following)
        end = _end_of(answer, len(prompt.tokens), codec, context, max_new)
    return _Completed(answer, confidence, end, branch)


def _end_of(answer: Sequence[int], prompt: int, codec: Codec, context: int, max_new: int | None) -> str:
    """Why an answer ends behind its last token; empty where it goes on."""
    if answer[-1] in codec.tokenizer.template.stops:
        return "eos"
    if len(answer) == max_new:
        return "length"
    return "context" if prompt + len(answer) > context else ""
