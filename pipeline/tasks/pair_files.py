"""Sentences and answers from files of one's own: JSON lines, CSV or TSV.

Answers that all have the form `intent slot=value` are given in answer tokens; any others are text.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.files import parse_json
from pipeline.tasks.samples import NO_MATCH, IntentSchema, Sample, SlotSchema
from pipeline.tasks.task import Pair
from pipeline.text.annotation import Entry
from pipeline.text.answers import DURATION_UNITS

__all__ = ["PairSource", "is_structured", "read_pair_files"]

_ANSWER = re.compile(r"[A-Za-z_][\w.-]*(?: [A-Za-z_]\w*=\S.*)?")
_SLOT = re.compile(r" ([A-Za-z_]\w*)=")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NUMBER_KINDS = frozenset({"number", "percent", "degrees"})
_MAX_CLOSED = 200  # values of a slot that get a token each


def read_pair_files(paths: Sequence[Path]) -> list[Pair]:
    """All pairs of the files, in order.

    Raises:
        ThimbleError: no such file, another kind of file, or an entry without sentence or answer; names file and line.
    """
    pairs: list[Pair] = []
    for path in paths:
        if path.exists() and not path.is_file():
            raise ThimbleError(f"{path} is no file", "name a .jsonl, .csv or .tsv file in `task.files`")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ThimbleError(f"cannot read {path}: {error.strerror}", "correct `task.files`") from None
        except UnicodeDecodeError:
            raise ThimbleError(f"{path} is not UTF-8", "save it as UTF-8") from None
        reader = {".jsonl": _json_lines, ".csv": _table, ".tsv": _table}.get(path.suffix.lower())
        if reader is None:
            raise ThimbleError(f"{path} is no file of pairs", "use .jsonl, .csv or .tsv")
        pairs += reader(path, text)
    if not pairs:
        raise ThimbleError(
            f"there are no pairs in {', '.join(map(str, paths))}", "write a sentence and an answer a line"
        )
    return pairs


def _json_lines(path: Path, text: str) -> list[Pair]:
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line)
        except ValueError as error:
            raise ThimbleError(f"{path} line {number} is no JSON: {error}", _REMEDY) from None
        if not isinstance(entry, Mapping):
            raise ThimbleError(f"{path} line {number} is no object", _REMEDY)
        pairs.append(_pair(path, number, entry.get("sentence"), entry.get("answer")))
    return pairs


def _table(path: Path, text: str) -> list[Pair]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise ThimbleError(f"{path} is no table: {error}", "write a sentence and an answer a line") from None
    has_header = bool(rows) and [cell.strip().lower() for cell in rows[0][:2]] == ["sentence", "answer"]
    pairs = []
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row) or (has_header and number == 1):
            continue
        if len(row) != 2:
            raise ThimbleError(f"{path} line {number} has {len(row)} columns", "write two: sentence and answer")
        pairs.append(_pair(path, number, row[0], row[1]))
    return pairs


_REMEDY = 'write a line such as {"sentence": "lights off", "answer": "SwitchOff what=lights"}'


def _pair(path: Path, number: int, sentence: object, answer: object) -> Pair:
    texts = []
    for name, value in (("sentence", sentence), ("answer", answer)):
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if not text:
            raise ThimbleError(f"{path} line {number} has no {name}", _REMEDY)
        texts.append(text)
    return Pair(*texts)


def is_structured(pairs: Sequence[Pair]) -> bool:
    """Whether all answers have the form `intent slot=value`, and some intent is given more than once or has slots."""
    if not all(_ANSWER.fullmatch(pair.action) for pair in pairs):
        return False
    intents = {pair.action.split(" ", 1)[0] for pair in pairs}
    return any("=" in pair.action for pair in pairs) or len(intents) < len(pairs)


def _parse(action: str) -> tuple[str, dict[str, str]]:
    intent, _, rest = action.partition(" ")
    parts = _SLOT.split(f" {rest}" if rest else "")
    return intent, {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


class PairSource:
    """Draws pairs with structured answers; see `pipeline.tasks.samples.SampleSource`.

    Args:
        pairs: with answers that `is_structured` takes.
        language: code of their language.
        lists: names that the vocabulary knows, by kind.

    Attributes:
        samples: the pairs.
    """

    def __init__(self, pairs: Sequence[Pair], language: str, lists: Mapping[str, Sequence[str]]) -> None:
        self._language = language
        self._entries = tuple(Entry(text, kind, text) for kind, texts in lists.items() for text in texts)
        self.samples = [Sample(pair.sentence, *_parse(pair.action)) for pair in pairs]
        self._sentences = {" ".join(pair.sentence.lower().split()) for pair in pairs}

    @property
    def language(self) -> str:
        """Of the recipe."""
        return self._language

    def draw(self, rng: random.Random) -> Sample:
        """Any of the pairs."""
        return rng.choice(self.samples)

    def entries(self) -> tuple[Entry, ...]:
        """The lists."""
        return self._entries

    def intents(self) -> Mapping[str, IntentSchema]:
        """What the answers hold."""
        return self._intents

    @cached_property
    def _intents(self) -> dict[str, IntentSchema]:
        values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        said: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for sample in self.samples:
            slots = values[sample.intent]
            for slot, value in sample.slots.items():
                slots[slot].add(value)
                said[sample.intent, slot].append(f" {value.lower()} " in f" {sample.sentence.lower()} ")
        return {
            intent: IntentSchema(
                {slot: self._slot(slot, texts, said[intent, slot]) for slot, texts in slots.items()},
                (self._always(intent),),
            )
            for intent, slots in values.items()
            if intent != NO_MATCH
        }

    def _always(self, intent: str) -> frozenset[str]:
        """The slots that all answers with an intent have."""
        return frozenset.intersection(*(frozenset(sample.slots) for sample in self.samples if sample.intent == intent))

    def _slot(self, slot: str, values: set[str], said: Sequence[bool]) -> SlotSchema:
        """Numbers point at quantities, listed values at names; what is always said word for word and is never the same
        is free text; anything else is a closed list."""
        kinds = {entry.kind for entry in self._entries if entry.value in values}
        numbers = all(_NUMBER.fullmatch(value) for value in values)
        if numbers:
            kinds |= _NUMBER_KINDS | ({"duration"} if slot.rpartition("_")[2] in DURATION_UNITS else set())
        listed = {entry.value for entry in self._entries}
        is_free = not numbers and all(said) and not values <= listed and len(values) > len(said) // 4
        closed = () if is_free or len(values) > _MAX_CLOSED else tuple(sorted(values - (listed if kinds else set())))
        return SlotSchema(frozenset(kinds), () if numbers and len(values) > 20 else closed, is_free)

    def literal_words(self) -> frozenset[str]:
        """The sentences' words."""
        return frozenset(word for sentence in self._sentences for word in sentence.split())

    def reads(self, sentence: str) -> bool:
        """Whether it is one of the sentences."""
        return " ".join(sentence.lower().split()) in self._sentences
