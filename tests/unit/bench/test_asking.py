"""The table of `bench asking`: what is right among the two best answers below a threshold."""

from __future__ import annotations

from pipeline.bench.asking import asking_row
from pipeline.stages.understanding import Listener
from pipeline.text.answers import NO_MATCH, StructuredAnswer
from pipeline.verification.reply import Choice, Reply

ON, OFF = "HassTurnOn name=Lamp", "HassTurnOff name=Lamp"
REPLIES = [
    Reply(ON, round(0.9 * 65536)),
    *(
        Reply(NO_MATCH, round(best * 65536), "low-confidence", (Choice(one, round(best * 65536)), Choice(other, 1)))
        for best, one, other in ((0.6, ON, OFF), (0.4, OFF, ON), (0.3, NO_MATCH, OFF))
    ),
    Reply(NO_MATCH, round(0.2 * 65536), "low-confidence"),
]


def is_on(answer: StructuredAnswer) -> bool:
    return (answer.intent, dict(answer.slots)) == ("HassTurnOn", {"name": "Lamp"})


def test_only_what_is_below_the_threshold_is_counted() -> None:
    listener = Listener(lambda sentence: REPLIES[int(sentence)], ("name",))
    answers = [(listener.understand(str(number)), is_on) for number in range(len(REPLIES))]
    rows = [asking_row("some", "model", threshold, answers) for threshold in (0.7, 0.5, 0.25)]
    assert [(row.total, row.below, row.best, row.second) for row in rows] == [(5, 4, 1, 1), (5, 3, 0, 1), (5, 1, 0, 0)]
