"""Tests of a task: counts, mistakes, the curve over the threshold, and the comparison with a board."""

from __future__ import annotations

from pipeline.tasks.tests_file import SentenceTest
from pipeline.verification.reply import Reply, at_threshold
from pipeline.verification.sentence_tests import (
    format_tests,
    mismatches,
    overall,
    summarize,
    understood,
    unmet_tests,
)

ON, OFF = [{"intent": "TurnOn"}], [{"intent": "TurnOff", "slots": {"what": "lamp"}}]
TESTS = [
    SentenceTest.from_mapping({"sentence": sentence, "answers": answers})
    for sentence, answers in (("light it", ON), ("dark now", OFF), ("the lamp please off", OFF), ("who won", []))
]
REPLIES = [
    Reply("TurnOn", 60000),
    Reply("TurnOn", 20000),
    Reply("TurnOff what=lamp", 50000),
    Reply("TurnOn", 10000),
]


def test_counts_mistakes_and_the_curve() -> None:
    summary = summarize(TESTS, REPLIES, ("what",), 0)
    counts = overall(summary)
    assert (counts.right, counts.nothing, counts.wrong) == (2, 0, 2)
    for half, is_blind in (("look", False), ("blind", True)):
        assert sum(summary["halves"][half].values()) == sum(test.is_blind == is_blind for test in TESTS)
    blind = {test.sentence for test in TESTS if test.is_blind}
    assert blind and not blind & {mistake["sentence"] for mistake in summary["mistakes"]}
    curve = {point["threshold"]: point for point in summary["curve"]}
    assert curve[0.5] == {"threshold": 0.5, "right": 3, "nothing": 1, "wrong": 0}
    assert curve[0.99]["right"] == 1 and curve[0.99]["nothing"] == 3
    assert format_tests(summary).startswith("2 of 4 tests right (look ")


def test_at_a_threshold_nothing_is_done_below_it() -> None:
    counts = overall(summarize(TESTS, REPLIES, ("what",), 30000))
    assert (counts.right, counts.nothing, counts.wrong) == (3, 1, 0)
    assert at_threshold(Reply("TurnOn", 10), 20) == Reply("NoMatch", 10, "low-confidence")
    assert at_threshold(Reply("NoMatch", 10, "unfinished"), 20).reason == "unfinished"
    assert at_threshold(Reply("once upon", None), 20).text == "once upon"


def test_limits_that_are_not_kept() -> None:
    summary = summarize(TESTS, REPLIES, ("what",), 0)
    assert unmet_tests(summary, 50, 50) == [] == unmet_tests(summary, None, None)
    few, wrong = unmet_tests(summary, 90, 4)
    assert "2 of 4 (50.0 %) are right, the budget is at least 90 %" in few
    assert "2 of 4 (50.0 %) do something else" in wrong


def test_a_board_that_replies_otherwise() -> None:
    board = [REPLIES[0], Reply("TurnOn", 20001), Reply("TurnOff what=lamp"), Reply("TurnOff", 10000)]
    lines = mismatches([test.sentence for test in TESTS], board, REPLIES)
    assert len(lines) == 2 and "'dark now'" in lines[0] and "20001/65536" in lines[0] and "'who won'" in lines[1]


def test_examples_are_commands_of_the_looked_at_half_that_were_understood_an_intent_after_the_other() -> None:
    intents = ("A", "A", "B", "A", "C", "B", "") * 6
    tests = [
        SentenceTest.from_mapping({"sentence": f"say {at}", "answers": [{"intent": name}] if name else []})
        for at, name in enumerate(intents)
    ]
    replies = [Reply(name or "NoMatch", 60000) for name in intents]
    wrong = next(at for at, test in enumerate(tests) if not test.is_blind and test.intent == "A")
    replies[wrong] = Reply("B", 60000)
    chosen = understood(tests, summarize(tests, replies, (), 0))
    right = [test for at, test in enumerate(tests) if not test.is_blind and test.intent != "NoMatch" and at != wrong]
    assert sorted(chosen) == sorted(test.sentence for test in right)
    by_sentence = {test.sentence: test.intent for test in tests}
    firsts = [by_sentence[sentence] for sentence in chosen[:3]]
    assert sorted(firsts) == ["A", "B", "C"]
    for intent in "ABC":
        assert [one for one in chosen if by_sentence[one] == intent] == [
            test.sentence for test in right if test.intent == intent
        ]
