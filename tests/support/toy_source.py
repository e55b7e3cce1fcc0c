"""A small task for tests of weave and negatives: templates with slots, written by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from pipeline.tasks.samples import IntentSchema, Sample, SlotSchema
from pipeline.text.annotation import Entry

__all__ = ["ToySource"]


class ToySource:
    """Draws from templates `(sentence with {list} or {a..b}, intent)`; a `SampleSource`.

    Args:
        language: its code.
        templates: sentences by intent.
        lists: surface forms by name.
        free: slots of free text with what they may hold.
    """

    def __init__(
        self,
        language: str,
        templates: Mapping[str, Sequence[str]],
        lists: Mapping[str, Sequence[str]],
        free: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._language = language
        self._lists = lists
        self._free = free or {}
        self._templates = [(text, intent) for intent, texts in templates.items() for text in texts]
        self._patterns = {}
        for text, intent in self._templates:
            parts = re.split(r"(\{[^}]+\})", text)
            self._patterns[text] = (
                re.compile(
                    "".join(self._group(part) if part.startswith("{") else re.escape(part) for part in parts), re.I
                ),
                intent,
            )

    def _group(self, hole: str) -> str:
        name = hole[1:-1]
        if name in self._free:
            return "(.+)"
        return r"(\d+)" if name == "number" else "(" + "|".join(map(re.escape, self._lists[name])) + ")"

    @property
    def language(self) -> str:
        return self._language

    def draw(self, rng: random.Random) -> Sample:
        text, intent = rng.choice(self._templates)
        sentence, fixed, slots = "", [], {}
        for part in re.split(r"(\{[^}]+\})", text):
            if not part.startswith("{"):
                sentence += part
                continue
            name = part[1:-1]
            value = (
                str(rng.randint(1, 100)) if name == "number" else rng.choice(self._lists.get(name) or self._free[name])
            )
            fixed.append((len(sentence), len(sentence) + len(value)))
            slots[name] = value
            sentence += value
        return Sample(sentence, intent, slots, fixed=tuple(fixed))

    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(text, name, text) for name, texts in self._lists.items() for text in texts)

    def intents(self) -> Mapping[str, IntentSchema]:
        schemas: dict[str, dict[str, SlotSchema]] = {}
        for text, intent in self._templates:
            slots = schemas.setdefault(intent, {})
            for name in re.findall(r"\{([^}]+)\}", text):
                slots[name] = SlotSchema(kinds=frozenset({name}), is_free=name in self._free)
        return {name: IntentSchema(slots) for name, slots in schemas.items()}

    def literal_words(self) -> frozenset[str]:
        return frozenset(
            word.lower() for text, _ in self._templates for word in re.sub(r"\{[^}]+\}", " ", text).split()
        )

    def reads(self, sentence: str) -> bool:
        return self.intent_of(sentence) is not None

    def intent_of(self, sentence: str) -> str | None:
        plain = " ".join(re.sub(r"[,.;:?!…]", " ", sentence).split())
        return next((intent for pattern, intent in self._patterns.values() if pattern.fullmatch(plain)), None)
