"""`tests.yaml` beside a task: sentences as a person says them, with all answers that count as right.

A hash of the sentence puts each into one of two halves: `look`, whose mistakes are shown, and `blind`, of which only
counts are, so that what is written after reading mistakes can be told from what is understood.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from pipeline.tasks.samples import NO_MATCH
from pipeline.text.answers import StructuredAnswer
from pipeline.validation import StrictModel, complain, complaint, read_yaml, validate

__all__ = ["Outcome", "SentenceTest", "TestsFile", "Verdict", "load_tests", "score", "wilson"]

FOREIGN = "foreign"
"""The kind of a sentence on which nothing may be done, where its test names no other."""

_REMEDY = "write `tests:` with entries of `sentence` and `answers`; docs/own-commands.md shows one"


class ExpectedAnswer(StrictModel):
    """An answer that counts as right."""

    intent: str
    """The intent's name."""
    slots: dict[str, str] = Field(default_factory=dict)
    """Its slots; numbers may be written without quotes."""

    @field_validator("slots", mode="before")
    @classmethod
    def _as_text(cls, slots: Any) -> Any:
        if not isinstance(slots, Mapping):
            return slots
        return {str(key): _text(value) for key, value in slots.items()}


class SentenceTest(StrictModel):
    """A sentence and what may come of it."""

    sentence: str = Field(min_length=1)
    """As it is said."""
    answers: tuple[ExpectedAnswer, ...] = Field((), strict=False)
    """All answers that count as right, such as `{intent: SwitchOff}`; none: nothing may be done."""
    kind: str = ""
    """A word by which results are counted; `foreign` where there are no answers and no kind."""

    @model_validator(mode="before")
    @classmethod
    def _single(cls, data: Any) -> Any:
        """`answer:` for a single one."""
        if isinstance(data, Mapping) and "answer" in data and "answers" not in data:
            rest = {key: value for key, value in data.items() if key != "answer"}
            return {**rest, "answers": [data["answer"]]}
        return data

    @property
    def is_foreign(self) -> bool:
        """Whether nothing may be done."""
        return not self.answers or all(answer.intent == NO_MATCH for answer in self.answers)

    @property
    def is_blind(self) -> bool:
        """Whether it is in the half whose mistakes are not shown."""
        return zlib.crc32(self.sentence.encode()) % 2 == 1

    @property
    def label(self) -> str:
        """Its kind."""
        return self.kind or (FOREIGN if self.is_foreign else "command")

    @property
    def intent(self) -> str:
        """The intent under which it is counted."""
        return NO_MATCH if self.is_foreign else self.answers[0].intent


class TestsFile(StrictModel):
    """Sentences that a user expects to be understood."""

    __test__ = False  # pytest would collect it
    section: ClassVar[str] = ""

    tests: tuple[SentenceTest, ...] = Field(strict=False, min_length=1)
    """The sentences."""

    @model_validator(mode="after")
    def _once(self) -> TestsFile:
        counts = Counter(test.sentence for test in self.tests)
        complain(
            complaint(("tests", index), f"says {test.sentence!r} a second time", "say it once, with all answers")
            for index, test in enumerate(self.tests)
            if counts[test.sentence] > 1 and [other.sentence for other in self.tests].index(test.sentence) != index
        )
        return self


def load_tests(path: Path) -> tuple[SentenceTest, ...]:
    """The tests of a file.

    Raises:
        ThimbleError: no such file.
        ConfigError: what is wrong in it, with the keys.
    """
    return validate(TestsFile, read_yaml(path, "tests", _REMEDY), path).tests


@dataclass(frozen=True)
class Outcome:
    """What came out of a test.

    Attributes:
        test: the test.
        answer: what was answered.
        verdict: "right", "nothing" or "wrong"; of a sentence on which nothing may be done "right" or "wrong".
    """

    test: SentenceTest
    answer: StructuredAnswer
    verdict: str


@dataclass
class Verdict:
    """Counts of outcomes.

    Attributes:
        right: what was asked for was done, and nothing where nothing may be.
        nothing: nothing was done though something was asked for.
        wrong: something else was done.
    """

    right: int = 0
    nothing: int = 0
    wrong: int = 0

    def add(self, verdict: str) -> None:
        """Counts one more."""
        setattr(self, verdict, getattr(self, verdict) + 1)

    @property
    def total(self) -> int:
        """All of them."""
        return self.right + self.nothing + self.wrong

    def share(self, name: str) -> float:
        """The share of one of them; 0 where there are none."""
        return getattr(self, name) / self.total if self.total else 0.0


def score(tests: Iterable[SentenceTest], answers: Iterable[StructuredAnswer]) -> list[Outcome]:
    """Which answers are right.

    Args:
        tests: the sentences.
        answers: to each.
    """
    return [Outcome(test, answer, _verdict(test, answer)) for test, answer in zip(tests, answers, strict=True)]


def _verdict(test: SentenceTest, answer: StructuredAnswer) -> str:
    if answer.intent == NO_MATCH:
        return "right" if test.is_foreign else "nothing"
    said = (answer.intent, {slot: _folded(value) for slot, value in answer.slots.items()})
    expected = ((one.intent, {slot: _folded(value) for slot, value in one.slots.items()}) for one in test.answers)
    return "right" if said in expected else "wrong"


def _folded(value: str) -> str:
    return " ".join(value.lower().split())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), 95 % unless `z` says otherwise.

    Args:
        successes: out of `trials`.
        trials: how many; 0 gives the whole range.
        z: the normal quantile.
    """
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    margin = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max((centre - margin) / scale, 0.0), min((centre + margin) / scale, 1.0)
