"""Tests of a task, asked of its model: how many are right, what is done wrongly, and what a threshold would change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipeline.tasks.tests_file import Outcome, SentenceTest, Verdict, score
from pipeline.text.answers import StructuredAnswer
from pipeline.text.codec import Codec
from pipeline.verification.reply import BlockEngine, Reply, ask, at_threshold, parse_reply

__all__ = ["HALVES", "ask_tests", "format_tests", "mismatches", "overall", "summarize", "understood", "unmet_tests"]

HALVES = ("look", "blind")
_STEPS = 100


def ask_tests(
    engine: BlockEngine,
    codec: Codec,
    tests: Sequence[SentenceTest],
    step: int,
    max_new: int,
    progress: Callable[[int], None] | None = None,
) -> list[Reply]:
    """A model's reply to each test.

    Args:
        engine: of the model.
        codec: of the model, with a threshold of 0.
        tests: what is asked.
        step: see `ask`.
        max_new: maximum number of tokens of an answer.
        progress: called with the number of sentences asked.
    """
    replies = []
    for count, test in enumerate(tests, 1):
        replies.append(ask(engine, codec, test.sentence, step, max_new))
        if progress is not None:
            progress(count)
    return replies


def summarize(
    tests: Sequence[SentenceTest], replies: Sequence[Reply], slots: Sequence[str] | None, threshold: int
) -> dict[str, Any]:
    """Counts by half, kind and intent at a threshold; the mistakes of the half `look`; and the counts of all sentences
    over the threshold.

    Args:
        tests: what was asked.
        replies: to each, with a threshold of 0.
        slots: names that slots may have; None: any.
        threshold: of the recipe, in 1/65536.
    """
    outcomes = _outcomes(tests, replies, slots, threshold)
    halves = {half: [outcome for outcome in outcomes if outcome.test.is_blind == (half == "blind")] for half in HALVES}
    return {
        "threshold": threshold / 65536,
        "halves": {half: _counts(some) for half, some in halves.items()},
        "kinds": {half: _grouped(some, lambda test: test.label) for half, some in halves.items()},
        "intents": {half: _grouped(some, lambda test: test.intent) for half, some in halves.items()},
        "mistakes": [_mistake(outcome) for outcome in halves["look"] if outcome.verdict != "right"],
        "curve": [
            {"threshold": number / _STEPS, **_counts(_outcomes(tests, replies, slots, round(65536 * number / _STEPS)))}
            for number in range(_STEPS)
        ],
    }


def understood(tests: Sequence[SentenceTest], summary: dict[str, Any]) -> list[str]:
    """Commands of the half `look` that a model understood: the first of each intent before the second of any.

    Args:
        tests: what was asked.
        summary: of `summarize`.
    """
    mistakes = {mistake["sentence"] for mistake in summary["mistakes"]}
    turns: dict[str, int] = {}
    ranked = []
    for test in tests:
        if not (test.is_blind or test.is_foreign or test.sentence in mistakes):
            turns[test.intent] = turns.get(test.intent, 0) + 1
            ranked.append((turns[test.intent], test.sentence))
    return [sentence for _, sentence in sorted(ranked, key=lambda one: one[0])]


def overall(summary: dict[str, Any]) -> Verdict:
    """The counts of both halves of a summary."""
    return Verdict(*(sum(half[name] for half in summary["halves"].values()) for name in ("right", "nothing", "wrong")))


def format_tests(summary: dict[str, Any]) -> str:
    """A summary in one line."""
    counts = overall(summary)
    halves = ", ".join(f"{half} {some['right']}/{sum(some.values())}" for half, some in summary["halves"].items())
    return f"{counts.right} of {counts.total} tests right ({halves}), {counts.nothing} nothing, {counts.wrong} wrong"


def unmet_tests(summary: dict[str, Any], min_right: float | None, max_wrong: float | None) -> list[str]:
    """A line for each limit that the tests do not keep.

    Args:
        summary: see `summarize`.
        min_right: least share of right ones in percent.
        max_wrong: largest share of wrong actions in percent.
    """
    counts = overall(summary)
    lines = []
    if min_right is not None and 100 * counts.share("right") < min_right:
        share = f"{counts.right} of {counts.total} ({100 * counts.share('right'):.1f} %)"
        lines.append(f"tests: {share} are right, the budget is at least {min_right:g} %")
    if max_wrong is not None and 100 * counts.share("wrong") > max_wrong:
        share = f"{counts.wrong} of {counts.total} ({100 * counts.share('wrong'):.1f} %)"
        lines.append(f"tests: {share} do something else than was asked for, the budget is at most {max_wrong:g} %")
    return lines


def mismatches(sentences: Iterable[str], board: Iterable[Reply], host: Iterable[Reply]) -> list[str]:
    """A line for each sentence to which a board replies otherwise than the host.

    Args:
        sentences: what was asked.
        board: the board's replies; a model without answer tokens says no confidence there.
        host: the same model's on the host, at the same threshold.
    """
    return [
        f"tests: to {sentence!r} the board says {_said(theirs)}, the host {_said(ours)}"
        for sentence, theirs, ours in zip(sentences, board, host, strict=True)
        if (theirs.text, theirs.reason) != (ours.text, ours.reason)
        or (theirs.confidence is not None and theirs.confidence != ours.confidence)
    ]


def _outcomes(
    tests: Sequence[SentenceTest], replies: Sequence[Reply], slots: Sequence[str] | None, threshold: int
) -> list[Outcome]:
    return score(tests, [_answer(at_threshold(reply, threshold), slots) for reply in replies])


def _answer(reply: Reply, slots: Sequence[str] | None) -> StructuredAnswer:
    answer = parse_reply(reply, slots)
    confidence = 1.0 if reply.confidence is None else reply.confidence / 65536
    return StructuredAnswer(answer.intent, answer.slots, confidence, reply.reason)


def _counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    counts = Verdict()
    for outcome in outcomes:
        counts.add(outcome.verdict)
    return {"right": counts.right, "nothing": counts.nothing, "wrong": counts.wrong}


def _grouped(outcomes: Sequence[Outcome], key: Callable[[SentenceTest], str]) -> dict[str, dict[str, int]]:
    names = sorted({key(outcome.test) for outcome in outcomes})
    return {name: _counts(outcome for outcome in outcomes if key(outcome.test) == name) for name in names}


def _mistake(outcome: Outcome) -> dict[str, Any]:
    test, answer = outcome.test, outcome.answer
    return {
        "sentence": test.sentence,
        "kind": test.label,
        "verdict": outcome.verdict,
        "expected": [StructuredAnswer(one.intent, one.slots).text for one in test.answers],
        "answer": answer.text,
        "confidence": round(answer.confidence, 5),
    }


def _said(reply: Reply) -> str:
    confidence = "" if reply.confidence is None else f" at {reply.confidence}/65536"
    return f"{reply.text!r}{confidence}"
