"""What is wrong, or may be, in a task of sentences, said before it is trained."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, TextChunk
from hassil.intents import TextSlotList, WildcardSlotList
from hassil.recognize import RecognizeResult

from pipeline.errors import ThimbleError
from pipeline.languages import load_language_file
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.samples import NO_MATCH, Sample
from pipeline.tasks.sentences.files import HOME_LISTS, Fault, references
from pipeline.tasks.sentences.located import UNKNOWN, Place
from pipeline.tasks.sentences.source import HERE, SentencesSource, Template
from pipeline.tasks.sentences.templates import HIDDEN, slot_text, words_of
from pipeline.tasks.tests_file import SentenceTest
from pipeline.tasks.text_path import KnownNames
from pipeline.text.answers import StructuredAnswer
from pipeline.text.codec import StructuredCodec
from pipeline.text.normalize import build_restore, skeleton

__all__ = ["Finding", "Summary", "check_sentences"]

Severity = Literal["error", "warning", "note"]
_ORDER = ("error", "warning", "note")
_MANY_VARIANTS = 10_000
_MANY_SENTENCES = 1_000_000
_SHOWN = 6  # names that one finding lists
_MAX_SAMPLES = 2_500
_MAX_OTHERS = 300  # templates below the user's own
_ODD = re.compile(r"[»«“”„‟]")
_LOST_PLURAL = re.compile(r"\w\((s|es|e|n|en)\)")
_EMPTY = re.compile(r"\(\|[^()]*\)|\([^()]*\|\)|\|\|")
_MARK = re.compile(r"[?!¿¡]")


@dataclass(frozen=True)
class Finding:
    """Something that the check found.

    Attributes:
        kind: one or two words, by which findings are counted.
        severity: an error stops the task from being loaded, a warning is likely wrong, a note is worth knowing.
        place: file and line; empty for the task as a whole.
        what: what is so.
        remedy: what would change it.
    """

    kind: str
    severity: Severity
    place: Place
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Summary:
    """What a task is made of.

    Attributes:
        intents: how many.
        templates: how many can be drawn.
        variants: all templates' expansions with lists as placeholders.
        sentences: those with lists and ranges filled.
        lists: how many, and their values.
        findings: errors first.
    """

    intents: int
    templates: int
    variants: int
    sentences: int
    lists: int
    values: int
    findings: tuple[Finding, ...]


def check_sentences(
    source: SentencesSource,
    tests: Sequence[SentenceTest] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Checks a task.

    Args:
        source: loaded with `is_strict=False`.
        tests: of the task.
        progress: called with the samples that were read so far and in all.
    """
    findings = [Finding("cannot work", "error", f.place, f.what, f.remedy) for f in source.faults]
    findings += [Finding("dead sentence", "warning", *_fault(f)) for f in source.impossible if f not in source.faults]
    findings += [Finding("file", "warning", *_fault(f)) for f in source.notes]
    findings += _catch_alls(source)
    findings += _spellings(source)
    findings += _explosions(source)
    findings += _unused(source)
    findings += _home(source)
    findings += _values(source)
    findings += _lone_words(source)
    if source.templates:
        samples = _samples(source)
        findings += _ambiguous(source, samples, progress)
        findings += _slots(source, samples)
        findings += _answers(source, samples)
    findings += _tests(source, tests)
    unique = dict.fromkeys(findings)
    lists = {id(values): values for template in source.templates for values in template.lists.values()}
    return Summary(
        intents=len({template.intent for template in source.templates}),
        templates=len(source.templates),
        variants=sum(template.count for template in source.templates),
        sentences=sum(template.filled for template in source.templates),
        lists=len(lists),
        values=sum(len(values.values) for values in lists.values() if isinstance(values, TextSlotList)),
        findings=tuple(sorted(unique, key=lambda finding: (_ORDER.index(finding.severity), finding.kind))),
    )


def _fault(fault: Fault) -> tuple[Place, str, str]:
    return fault.place, fault.what, fault.remedy


def _own(source: SentencesSource) -> list[Template]:
    return [template for template in source.templates if template.is_own]


def _shown(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _catch_alls(source: SentencesSource) -> Iterator[Finding]:
    for template in source.catch_alls:
        optional = "[" in template.text
        remedy = (
            "every word stands in […] and may be left out: write (…) around those that must be said"
            if optional
            else "no match is not trained then; give it a word that must be said, if you want that"
        )
        yield Finding("catch-all", "warning", template.place, f"{template.text!r} reads any sentence", remedy)


def _spellings(source: SentencesSource) -> Iterator[Finding]:
    """What hassil reads otherwise than it looks."""
    for template in _own(source):
        text, place = template.text, template.place
        if match := _LOST_PLURAL.search(text):
            remedy = f"write [{match[1]}] if it may be left out"
            yield Finding("spelling", "warning", place, f"in {text!r} the ({match[1]}) must be said", remedy)
        if _EMPTY.search(text):
            what = f"{text!r} has an empty choice, which Home Assistant never takes; Thimble does"
            yield Finding("spelling", "note", place, what, "write […] around what may be left out")
        if _ODD.search(text):
            yield Finding("spelling", "warning", place, f"{text!r} has quotation marks", "take them out, or write |")
        if _MARK.search(text):
            what = f"{text!r} has a mark that nobody says: Home Assistant never reads it, Thimble leaves it out"
            remedy = "take it out; what may be left out stands in […]"
            yield Finding("spelling", "warning" if re.search(r"\)\?", text) else "note", place, what, remedy)


def _explosions(source: SentencesSource) -> Iterator[Finding]:
    for template in _own(source):
        if template.count > _MANY_VARIANTS or template.filled > _MANY_SENTENCES:
            what = f"{template.text!r} has {template.count:.3g} variants, {template.filled:.3g} with lists filled"
            yield Finding(
                "explosion",
                "note",
                template.place,
                what,
                "it is sampled, so nothing need be done; split it where rare parts matter",
            )


def _unused(source: SentencesSource) -> Iterator[Finding]:
    """Lists and rules to which nothing refers, and lists without entries."""
    files = source.files
    used: set[tuple[str, str]] = set()
    expressions = [rule.expression for rule in files.intents.expansion_rules.values()]
    for intent in files.intents.intents.values():
        for block in intent.data:
            expressions += [sentence.expression for sentence in block.sentences]
            expressions += [rule.expression for rule in block.expansion_rules.values()]
    for values in files.intents.slot_lists.values():
        if isinstance(values, TextSlotList):
            expressions += [value.text_in for value in values.values]
    for reference in (reference for expression in expressions for reference in references(expression)):
        if isinstance(reference, ListReference):
            used.add(("list", reference.list_name))
        else:
            used.add(("rule", reference.rule_name))
    for name, place in files.own_lists.items():
        defined = files.intents.slot_lists.get(name)
        if isinstance(defined, TextSlotList) and not defined.values:
            severity: Severity = "warning" if ("list", name) in used else "note"
            yield Finding("empty list", severity, place, f"the list {{{name}}} has no entries", "give it values")
        elif ("list", name) not in used and name != "skip_words":
            yield Finding("unused", "note", place, f"nothing refers to the list {{{name}}}", "take it out, or use it")
    for name, place in files.own_rules.items():
        if ("rule", name) not in used:
            yield Finding("unused", "note", place, f"nothing refers to the rule <{name}>", "take it out, or use it")


def _home(source: SentencesSource) -> Iterator[Finding]:
    """What Home Assistant knows at run time and a board does not."""
    for name in HOME_LISTS:
        if name in source.files.own_lists:
            where = source.files.own_lists[name]
            if source.has_home:
                what = f"the home's own {{{name}}} wins over this list"
            else:
                what = f"Home Assistant's own {{{name}}} wins over this list; without a home Thimble takes this one"
            yield Finding("home list", "warning", where, what, "call the list otherwise")
    seen = set()
    for template in _own(source):
        block = template.block
        copied = [
            key
            for key, value in block.requires_context.items()
            if isinstance(value, Mapping) and value.get("slot") and not isinstance(value.get("value"), str)
        ]
        if copied and id(block) not in seen:
            what = f"a board does not know the {_shown(copied)} that the block takes from the device that listens"
            yield Finding("context", "note", template.place, what, "the slot is left out of the answer")
        needs = [key for key in block.requires_context if key != "area"]
        gives = "name" in template.lists or "{name" in template.text or "<name>" in template.text
        gives = gives or any(
            isinstance(values, TextSlotList) and any(value.context for value in values.values)
            for values in template.lists.values()
        )
        if needs and not gives:
            what = f"{template.text!r} requires the context {_shown(needs)}, which nothing in it brings"
            yield Finding("context", "note", template.place, what, "Home Assistant never reads it; Thimble does")
        seen.add(id(block))


def _values(source: SentencesSource) -> Iterator[Finding]:
    """Values that are one word for the device."""
    normalizer = normalizer_of(source.language)
    umlauts = _has_umlauts(source.language)
    by_text: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for name, values, surfaces in source.listed():
        place = source.files.own_lists.get(name)
        if place is None:
            continue
        known: dict[str, tuple[str, str]] = {}
        for said, value in surfaces:
            folded = "".join(skeleton(word.text, umlauts) for word in normalizer.words(said))
            if not folded:
                what = f"{said!r} of {{{name}}} has no letter that can be said"
                yield Finding("value", "warning", place, what, "write it as it is said")
                continue
            other = known.setdefault(folded, (said, value))
            if other[1] != value:
                what = f"{said!r} and {other[0]!r} of {{{name}}} sound alike and mean {value!r} and {other[1]!r}"
                yield Finding("value", "warning", place, what, f"the first counts: {other[1]!r}; take one out")
            by_text[folded].setdefault(name, (said, value))
        if isinstance(values, TextSlotList) and len(surfaces) < len(values.values):
            twice = [
                text for text, n in Counter(_plain(value.text_in) for value in values.values).items() if n > 1 and text
            ]
            if twice:
                what = f"{len(twice)} values of {{{name}}} stand more than once: {_shown(twice)}"
                yield Finding("value", "note", place, what, "the first counts")
    pairs: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for lists in by_text.values():
        if len(lists) > 1:
            pairs[tuple(lists)].append(next(iter(lists.values()))[0])
    for names, texts in pairs.items():
        what = f"{_shown(texts)} stand in the lists {', '.join(f'{{{name}}}' for name in names)}"
        remedy = f"it is marked as {{{names[0]}}}; the model tells them apart where templates do"
        yield Finding("two lists", "note", source.files.own_lists[names[0]], what, remedy)


def _plain(expression: Expression) -> str:
    return expression.text.casefold() if isinstance(expression, TextChunk) else ""


def _has_umlauts(language: str) -> bool:
    try:
        return bool(load_language_file(language, "inflection").get("umlauts", False))
    except ThimbleError:
        return language.split("-", maxsplit=1)[0] == "de"


def _lone_words(source: SentencesSource) -> Iterator[Finding]:
    """Words that may be left out, and that the templates of one intent alone hold: the model would go by them."""
    if len({template.intent for template in source.templates}) < 2:
        return
    intents: dict[str, set[str]] = defaultdict(set)
    optional: dict[str, Template] = {}
    rules = source.files.intents.expansion_rules
    for template in source.templates:
        for word in template.words:
            intents[word].add(template.intent)
        for sentence in template.block.sentences:
            if sentence.text == template.text:
                for text in _optional(sentence.expression, {**rules, **template.block.expansion_rules}, False, 0):
                    for word in words_of(text):
                        optional.setdefault(word, template)
    lone: dict[str, list[str]] = defaultdict(list)
    for word, template in optional.items():
        if len(intents[word]) == 1 and len(word) > 2 and word.isalpha() and template.is_own:
            lone[template.intent].append(word)
    if lone:
        groups = [f"{_shown(sorted(words))} ({intent})" for intent, words in lone.items()]
        what = f"words that may be left out and that one intent alone holds: {'; '.join(groups)}"
        remedy = "if others may say them too, write them there as well, or as `skip_words`"
        yield Finding("lone word", "note", UNKNOWN, what, remedy)


def _optional(expression: Expression, rules: Mapping[str, Any], inside: bool, depth: int) -> Iterator[str]:
    if isinstance(expression, TextChunk):
        if inside:
            yield expression.text
    elif isinstance(expression, RuleReference):
        if depth < 12 and expression.rule_name in rules:
            yield from _optional(rules[expression.rule_name].expression, rules, inside, depth + 1)
    elif isinstance(expression, Group):
        inner = inside or (isinstance(expression, Alternative) and expression.is_optional)
        for item in expression.items:
            yield from _optional(item, rules, inner, depth)


def _samples(source: SentencesSource) -> list[Sample]:
    """A few sentences of each template."""
    rng = random.Random("check")
    own = _own(source)
    others = [template for template in source.templates if not template.is_own]
    rng.shuffle(others)
    each = max(2, min(12, _MAX_SAMPLES // max(len(own), 1)))
    result: list[Sample] = []
    for template in [*own[: _MAX_SAMPLES // 2], *others[:_MAX_OTHERS]]:
        count = each if template.is_own else 1
        drawn: dict[str, Sample] = {}
        for _ in range(3 * count):
            sample = source.draw_template(template, rng)
            if sample is not None:
                drawn.setdefault(sample.sentence, sample)
            if len(drawn) == count:
                break
        result += drawn.values()
    return result


def _ambiguous(
    source: SentencesSource, samples: Sequence[Sample], progress: Callable[[int, int], None] | None
) -> Iterator[Finding]:
    """Pairs of templates that read one sentence with different answers."""
    catch_alls = {template.index for template in source.catch_alls}
    by_text: dict[tuple[str, str], Template] = {}
    for template in source.templates:
        by_text.setdefault((template.intent, template.text), template)
    pairs: dict[tuple[int, int], tuple[Sample, str]] = {}
    counts: Counter[tuple[int, int]] = Counter()
    for number, sample in enumerate(samples):
        if progress and number % 20 == 0:
            progress(number, len(samples))
        if sample.template in catch_alls or sample.intent == NO_MATCH:
            continue
        said = sample.sentence.casefold()
        names = [entry for entry in sample.entries if entry.text.casefold() in said]
        seen = set()
        for index, result in enumerate(source.recognize(sample.sentence, names)):
            if index >= 60:  # wildcards can be split in many ways
                break
            text = result.intent_sentence.text if result.intent_sentence else ""
            other = by_text.get((result.intent.name, text or ""))
            if other is None or other.index == sample.template or other.index in catch_alls or other.index in seen:
                continue
            slots = answer_slots(result)
            defaults = source.hints.default.get(result.intent.name, {})
            slots = {**{name: slot_text(value) for name, value in defaults.items()}, **slots}
            if result.intent.name == sample.intent and _equal(slots, sample.slots):
                continue
            seen.add(other.index)
            pair = (sample.template, other.index)
            key = (pair[1], pair[0]) if (pair[1], pair[0]) in pairs else pair
            counts[key] += 1
            pairs.setdefault(key, (sample, StructuredAnswer(result.intent.name, slots).text))
    if progress:
        progress(len(samples), len(samples))
    for (first, second), (sample, answer) in sorted(pairs.items(), key=lambda item: -counts[item[0]]):
        one, two = source.templates[first], source.templates[second]
        if not (one.is_own or two.is_own):
            continue
        wild = [sum(isinstance(v, WildcardSlotList) for v in t.lists.values()) for t in (one, two)]
        severity: Severity = "warning" if wild[0] == wild[1] else "note"
        mine = StructuredAnswer(sample.intent, sample.slots).text
        what = f"{sample.sentence!r} is {mine} by {one.text!r}, and {answer} by {two.text!r} ({two.place})"
        remedy = "let one of them say something that the other does not, or give both one meaning"
        if severity == "note":
            remedy = "Home Assistant takes the one with less free text"
        yield Finding("ambiguous", severity, one.place, what, remedy)


def answer_slots(result: RecognizeResult) -> dict[str, str]:
    """The slots of a reading as answers have them: without the room of the device, and without hidden ones."""
    return {
        name: slot_text(entity.value).strip()
        for name, entity in result.entities.items()
        if entity.value != HERE and not name.startswith(HIDDEN)
    }


def _equal(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return {k: v.casefold() for k, v in one.items()} == {k: v.casefold() for k, v in other.items()}


def _slots(source: SentencesSource, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Slots that no sentence fills."""
    filled: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        filled[sample.intent].update(sample.slots)
    for intent, schema in source.intents().items():
        for slot in schema.slots:
            if slot not in filled[intent] and any(t.intent == intent and t.is_own for t in source.templates):
                place = next(t.place for t in source.templates if t.intent == intent and t.is_own)
                what = f"no sentence of {intent} that was drawn fills the slot {slot}"
                yield Finding("empty slot", "warning", place, what, "check the template that should")
    for intent, names in source.hints.required.items():
        for slot in names:
            if intent in source.intents() and slot not in source.intents()[intent].slots:
                what = f"{intent} requires the slot {slot}, which none of its sentences fills: it is never understood"
                yield Finding("empty slot", "warning", UNKNOWN, what, "take it out of `required`, or add sentences")


class _NoTokens:
    """A tokenizer that is only asked how an answer is given."""

    vocab_size = 512

    def encode(self, text: str) -> list[int]:
        return [5]


def _answers(source: SentencesSource, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Answers that answer tokens cannot give."""
    known = source.literal_words()
    entries = source.entries()
    texts = [*known, *(word for entry in entries for word in entry.text.lower().split())]
    try:
        annotator = KnownNames(source.language, entries, tuple(sorted(known)), build_restore(texts, known)).annotator()
    except ThimbleError as error:
        yield Finding("language", "warning", UNKNOWN, error.what, error.remedy)
        return
    kinds = {entry.kind for entry in entries} | {entry.kind for sample in samples for entry in sample.entries}
    schema = make_schema(source.intents(), kinds, source.config.pointers)
    codec = StructuredCodec(_NoTokens(), schema, annotator)  # type: ignore[arg-type]
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    totals: Counter[str] = Counter()
    for sample in samples:
        totals[sample.intent] += 1
        try:
            codec.encode_sample(sample.sentence, sample.intent, sample.slots, sample.entries)
        except ValueError as error:
            match = re.match(r"(\S+?)=", str(error))
            lost[sample.intent, match[1] if match else str(error)].append(f"{sample.sentence!r}: {error}")
    for (intent, slot), reasons in lost.items():
        share = len(reasons) / totals[intent]
        if share < 0.05 or intent not in source.files.own:
            continue
        place = next((t.place for t in source.templates if t.intent == intent), UNKNOWN)
        what = f"{share:.0%} of the sentences of {intent} cannot be answered for {slot}, such as {reasons[0]}"
        remedy = "they are left out of training; check what the slot's words are, or give it a list or a type"
        yield Finding("answer", "warning", place, what, remedy)


def _tests(source: SentencesSource, tests: Sequence[SentenceTest]) -> Iterator[Finding]:
    intents = source.intents()
    expanded, foreign = [], []
    for test in tests:
        for answer in test.answers:
            if answer.intent == NO_MATCH:
                continue
            if answer.intent not in intents:
                what = f"the test {test.sentence!r} expects {answer.intent}, which the task does not have"
                yield Finding("test", "warning", UNKNOWN, what, "check its spelling")
            else:
                for slot in sorted(set(answer.slots) - set(intents[answer.intent].slots)):
                    what = (
                        f"the test {test.sentence!r} expects a slot {slot}, which no sentence of {answer.intent} fills"
                    )
                    yield Finding("test", "warning", UNKNOWN, what, "check its spelling, or add a sentence")
        readings = [
            (result.intent.name, answer_slots(result))
            for result, _ in zip(source.recognize(test.sentence), range(40), strict=False)
        ]
        if not readings:
            continue
        if test.is_foreign:
            if not source.catch_alls:
                foreign.append((test.sentence, readings[0][0]))
        elif any(intent == a.intent and _equal(slots, a.slots) for intent, slots in readings for a in test.answers):
            expanded.append(test.sentence)
        else:
            what = f"a template reads the test {test.sentence!r} as {readings[0][0]} {dict(readings[0][1])}"
            yield Finding("test", "warning", UNKNOWN, what, "the test does not count that as right")
    if expanded:
        what = f"{len(expanded)} of {len(tests)} tests are said by a template: {_shown([repr(t) for t in expanded])}"
        yield Finding("test", "note", UNKNOWN, what, "write tests as people speak who have not seen the templates")
    for sentence, intent in foreign:
        what = f"the test {sentence!r} is no command, and a template of {intent} reads it"
        yield Finding("test", "warning", UNKNOWN, what, "change the test or the template")
