"""Files in Home Assistant's `custom_sentences` format: checked, merged as Home Assistant merges them, parsed by hassil.

What Home Assistant accepts in silence and then never does is refused here by name, with file and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import home_assistant_intents
from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, TextChunk
from hassil.expression import Sequence as ExpressionSequence
from hassil.intents import Intents, RangeFractionType, RangeType, SlotList, TextSlotList
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError
from hassil.util import is_template, merge_dict

from pipeline.errors import ConfigError, Problem, ThimbleError
from pipeline.languages import languages, load_language_file
from pipeline.tasks.samples import NO_MATCH
from pipeline.tasks.sentences.located import UNKNOWN, LocatedDict, Place, place_of, read_located, with_place
from pipeline.validation import did_you_mean

__all__ = [
    "BUILTIN",
    "HINTS",
    "HOME_LISTS",
    "Fault",
    "SentenceFiles",
    "expand_paths",
    "merge_contents",
    "raise_faults",
    "read_files",
    "references",
]

HOME_LISTS = ("name", "area", "floor")
"""Lists that the home fills."""
BUILTIN = Place("Home Assistant's sentences")
"""Where a template stands that is none of the user's."""
HINTS = "thimble"
"""The top-level key of a file that holds what only Thimble reads; Home Assistant ignores it."""

_TOP_KEYS = ("language", "intents", "lists", "expansion_rules", "skip_words", "settings", "responses", HINTS)
_BLOCK_KEYS = (
    "sentences",
    "slots",
    "response",
    "requires_context",
    "excludes_context",
    "expansion_rules",
    "lists",
    "required_keywords",
    "metadata",
    "settings",
    "inferred_domain",
    "name_domains",
    "example",
    "speech_to_phrase",
)
_EDGES = "?!¿¡؟？！…。，：；"
_MARKS_END = re.compile(rf"(?<=[^\s])[,;:{_EDGES}]+(?=\s)|[{_EDGES}]+$")
_MARKS_BEGIN = re.compile(rf"^[{_EDGES}]+|(?<=\s)[,;:{_EDGES}]+(?=\S)")
_QUOTES = re.compile(r"[“”„‟«»\"]")
_LANGUAGE = r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,3}"
"""Codes name files too."""
_MOST_VALUES = 10_000
"""Numbers of a range that become a value each."""
_RANGE_KEYS = ("from", "to", "step", "type", "multiplier", "fractions", "digits", "words", "words_language")


@dataclass(frozen=True, order=True)
class Fault:
    """Something that is wrong in a file.

    Attributes:
        place: where.
        what: what is wrong.
        remedy: what to write instead.
    """

    place: Place
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" if self.place != UNKNOWN else self.what


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raises all faults as one error.

    Raises:
        ConfigError: there is at least one.
    """
    if faults:
        raise ConfigError("", [Problem(str(fault.place), str(fault), fault.remedy) for fault in dict.fromkeys(faults)])


@dataclass
class SentenceFiles:
    """What the files say together.

    Attributes:
        language: code.
        intents: of all files, as hassil parses them.
        own: names of the intents with a block in the user's own files.
        own_lists: names of the lists that the user's own files define, with their places.
        own_rules: names of the rules that the user's own files define, with their places.
        skip_words: that the user's own files define.
        hints: what stands under `thimble:`, one mapping a file.
        faults: what cannot work.
        notes: what works otherwise than its writer may think.
    """

    language: str
    intents: Intents
    own: frozenset[str]
    own_lists: Mapping[str, Place]
    own_rules: Mapping[str, Place]
    skip_words: tuple[str, ...]
    hints: tuple[Mapping[str, Any], ...] = ()
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)


def expand_paths(names: Iterable[str], folder: Path) -> list[tuple[str, Path]]:
    """The files that paths name: files, folders with YAML files at any depth, and patterns such as `*.yaml`.

    Args:
        names: as the recipe has them.
        folder: where relative ones are seen from.

    Returns:
        What messages call each file, and its path; sorted within each folder or pattern.

    Raises:
        ConfigError: a name that stands for no file.
    """
    files: dict[Path, str] = {}
    for name in names:
        path = folder / name
        if path.is_dir():
            found = sorted(file for pattern in ("*.yaml", "*.yml") for file in path.rglob(pattern))
        elif any(character in name for character in "*?["):
            absolute = Path(name).is_absolute()
            base = Path(Path(name).anchor) if absolute else folder
            pattern = str(Path(name).relative_to(Path(name).anchor)) if absolute else name
            found = sorted(base.glob(pattern))
        else:
            found = [path] if path.is_file() else []
        if not found:
            raise ConfigError("", [Problem("files", f"`task.files` {name!r} names no file", "check the path")])
        for file in found:
            files.setdefault(file, str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file))
    return [(name, file) for file, name in files.items()]


def read_files(files: Iterable[tuple[str, Path]], language: str | None, is_on_top: bool = False) -> SentenceFiles:
    """Reads and merges files.

    Args:
        files: what messages call each, and its path.
        language: code; None takes that of the files.
        is_on_top: whether the language's own intents of Home Assistant lie below.

    Raises:
        ConfigError: a file is no YAML, or there is no language.
        ThimbleError: Home Assistant has no such language, and it is asked for.
    """
    return merge_contents(((name, read_located(path, name)) for name, path in files), language, is_on_top)


def merge_contents(contents: Iterable[tuple[str, Any]], language: str | None, is_on_top: bool = False) -> SentenceFiles:
    """Merges what files hold.

    Args:
        contents: what messages call each file, and its content as `read_located` gives it.
        language: see `read_files`.
        is_on_top: see `read_files`.

    Raises:
        ConfigError: there is no language.
        ThimbleError: Home Assistant has no such language, and it is asked for.
    """
    reader = _Reader()
    merged: dict[str, Any] = {}
    hints: list[Mapping[str, Any]] = []
    spoken: dict[str, Place] = {}
    for name, data in contents:
        if data is None:
            reader.note(Place(name), "the file is empty", "take it out of `task.files`")
            continue
        content = reader.content(data, Place(name, 1))
        if HINTS in content:
            hints.append(content.pop(HINTS))
        if isinstance(content.get("language"), str):
            spoken.setdefault(content.pop("language"), Place(name))
        try:
            merge_dict(merged, content)
        except AssertionError as error:
            reader.fault(
                Place(name), f"does not fit the files before it: {error}", "give the key one form in all files"
            )
    code = _language(language, spoken, reader)
    own = frozenset(merged.get("intents", {}))
    own_lists = {str(name): place_of(body) for name, body in merged.get("lists", {}).items()}
    own_rules = {str(name): place_of(body) for name, body in merged.get("expansion_rules", {}).items()}
    skip_words = tuple(map(str, merged.get("skip_words", ())))
    if is_on_top:
        below = _builtin(code)
        if below is None:
            known = ", ".join(_builtin_languages())
            raise ThimbleError(f"`task.language` {code!r} is not in home-assistant-intents", f"use one of: {known}")
        below = with_place({key: below[key] for key in _TOP_KEYS if key in below}, BUILTIN)
        below.pop("responses", None)
        try:
            merge_dict(below, merged)
            merged = below
        except AssertionError as error:
            reader.fault(UNKNOWN, f"the files do not fit Home Assistant's own: {error}", "give the key its form there")
    _resolve(merged, code, reader)
    merged["language"] = code
    merged.setdefault("intents", {})
    intents = Intents.from_dict(merged)
    _normalize(intents)
    return SentenceFiles(
        language=code,
        intents=intents,
        own=own,
        own_lists=own_lists,
        own_rules=own_rules,
        skip_words=skip_words,
        hints=tuple(hints),
        faults=reader.faults,
        notes=reader.notes,
    )


def _language(wanted: str | None, spoken: Mapping[str, Place], reader: _Reader) -> str:
    for code, place in spoken.items():
        first = wanted or next(iter(spoken))
        if code.replace("_", "-").split("-")[0].lower() != first.replace("_", "-").split("-")[0].lower():
            if wanted:
                reader.note(place, f"`language` is {code!r}, and `task.language` {wanted!r}", "check which is right")
            else:
                remedy = "name the language in `task.language`, or give a task each"
                reader.fault(place, f"`language` is {code!r}, and that of other files {first!r}", remedy)
    if wanted is None and not spoken:
        raise_faults(reader.faults)
        what = "neither the files nor the task name the language"
        raise ConfigError("", [Problem("language", what, "add `language`, such as `language: de`, to the task")])
    return wanted or next(iter(spoken))


class _Reader:
    """Takes from files what hassil understands, and names the rest."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []

    def fault(self, place: Place, what: str, remedy: str) -> None:
        self.faults.append(Fault(place, what, remedy))

    def note(self, place: Place, what: str, remedy: str) -> None:
        self.notes.append(Fault(place, what, remedy))

    def content(self, data: Any, place: Place) -> dict[str, Any]:
        """The parts of a file that are right."""
        if not isinstance(data, dict):
            self.fault(place, f"holds {_kind(data)}, not a mapping of keys", f"use the keys {', '.join(_TOP_KEYS)}")
            return {}
        self.duplicates(data)
        content: dict[str, Any] = {}
        readers: dict[str, Callable[[Any], Any]] = {
            "intents": self.intents,
            "lists": self.lists,
            "expansion_rules": self.rules,
            "skip_words": self.skip_words,
            "settings": lambda value: value if self.mapping(value, "settings", place) else None,
            "language": lambda value: value if self.language(value, place) else None,
            HINTS: lambda value: value if self.mapping(value, HINTS, place) else None,
        }
        for key, value in data.items():
            if key == "responses" or value is None:
                continue
            if key not in readers:
                remedy = f"known keys: {', '.join(_TOP_KEYS)}{did_you_mean(key, _TOP_KEYS)}"
                self.note(place_of(key), f"`{key}` means nothing", remedy)
            elif (read := readers[str(key)](value)) is not None:
                content[key] = read
        return content

    def duplicates(self, value: Any) -> None:
        if isinstance(value, LocatedDict):
            for key in value.duplicates:
                self.note(value.place, f"`{key}` stands twice, and the last counts", "put both under one key")
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self.duplicates(item)

    def mapping(self, value: Any, name: str, place: Place) -> bool:
        if not isinstance(value, dict):
            self.fault(_or(place_of(value), place), f"`{name}` is {_kind(value)}", "write a mapping of keys")
        return isinstance(value, dict)

    def text(self, value: Any, name: str, place: Place) -> bool:
        if not isinstance(value, str):
            shown = "empty" if value is None else f"{_yaml(value)}, which YAML reads as {_kind(value)}"
            self.fault(_or(place_of(value), place), f"{name} is {shown}", "write it in quotes")
        return isinstance(value, str)

    def language(self, value: Any, place: Place) -> bool:
        if not self.text(value, "language", place):
            return False
        if not re.fullmatch(_LANGUAGE, value):
            shown = value if len(value) <= 40 else f"{value[:40]}…"
            self.fault(place, f"`language` is {shown!r}", "write a language's code, such as `de` or `pt-BR`")
            return False
        return True

    def intents(self, value: Any) -> dict[str, Any]:
        if not self.mapping(value, "intents", UNKNOWN):
            return {}
        result: dict[str, Any] = {}
        for name, body in value.items():
            place = _or(place_of(name), place_of(body))
            if not self.text(name, "the name of an intent", place):
                continue
            if name == NO_MATCH or not re.fullmatch(r"[^\s=]+", name):
                remedy = f"use a name without spaces and `=`, other than {NO_MATCH}"
                self.fault(place, f"{name!r} cannot name an intent", remedy)
                continue
            blocks = body.get("data") if isinstance(body, dict) else None
            if blocks is None or blocks == []:
                self.note(place, f"the intent {name} has no sentences", "give it `data` with `sentences`")
                continue
            if not isinstance(blocks, list):
                self.fault(place, f"`data` of {name} is {_kind(blocks)}", "write a list of blocks with `sentences`")
                continue
            result[name] = {"data": [read for block in blocks if (read := self.block(name, block, place))]}
        return result

    def block(self, intent: str, block: Any, place: Place) -> LocatedDict | None:
        place = _or(place_of(block), place)
        if not isinstance(block, dict):
            self.fault(place, f"a block of {intent} is {_kind(block)}", "write a mapping with `sentences`")
            return None
        result = LocatedDict()
        result.place = place
        sentences = block.get("sentences")
        if isinstance(sentences, str):
            self.fault(place, f"`sentences` of {intent} is text", "write a list: a line with `- ` for each sentence")
            return None
        if not isinstance(sentences, list) or not sentences:
            self.note(place, f"a block of {intent} has no `sentences`", "give it some, or take it out")
            return None
        result["sentences"] = [
            text for text in sentences if self.text(text, f"a sentence of {intent}", place) and self.parses(text)
        ]
        for key in block:
            if key not in _BLOCK_KEYS:
                remedy = f"known keys: {', '.join(_BLOCK_KEYS[:9])}{did_you_mean(key, _BLOCK_KEYS)}"
                self.note(_or(place_of(key), place), f"`{key}` means nothing in a block", remedy)
        for key in ("slots", "requires_context", "excludes_context", "metadata", "settings"):
            if block.get(key) is not None and self.mapping(block[key], key, place):
                result[key] = block[key]
        for slot, value in result.get("slots", {}).items():
            if not re.fullmatch(r"[^\s=]+", str(slot)):
                self.fault(place, f"{slot!r} cannot name a slot", "use a name without spaces and `=`")
            if isinstance(value, dict):
                what = f"the fixed slot `{slot}` holds a mapping, which Home Assistant hands on as it is"
                self.note(_or(place_of(value), place), what, "write one value, or `requires_context` to limit names")
        if block.get("expansion_rules") is not None:
            result["expansion_rules"] = self.rules(block["expansion_rules"])
        if block.get("lists") is not None:
            result["lists"] = self.lists(block["lists"])
        keywords = block.get("required_keywords")
        if isinstance(keywords, list):
            result["required_keywords"] = [word for word in keywords if self.text(word, "a keyword", place)]
        elif keywords is not None:
            self.fault(place, f"`required_keywords` is {_kind(keywords)}", "write a list of words")
        if isinstance(block.get("name_domains"), list):
            result["name_domains"] = block["name_domains"]
        return result if result["sentences"] else None

    def parses(self, text: str, place: Place = UNKNOWN) -> bool:
        place = _or(place_of(text), place)
        try:
            parse_sentence(text)
        except (ParseError, AssertionError, IndexError) as error:
            reason = str(error) or "an empty pair of brackets"
            if "Error in chunk" in reason:
                reason = "`|` and `;` in one pair of brackets"
            remedy = "close each bracket, and write brackets that are said with a backslash: \\(" + "\\)"
            self.fault(place, f"cannot read {text!r}: {reason}", remedy)
            return False
        except RecursionError:
            self.fault(place, f"{text[:60]!r}… is nested too deep", "take parts of it into rules")
            return False
        return True

    def rules(self, value: Any) -> dict[str, Any]:
        if not self.mapping(value, "expansion_rules", UNKNOWN):
            return {}
        result = {}
        for name, body in value.items():
            place = _or(place_of(body), place_of(name))
            if self.text(body, f"the rule <{name}>", place) and self.parses(body, place):
                result[name] = body
        return result

    def skip_words(self, value: Any) -> list[str]:
        if not isinstance(value, list):
            self.fault(place_of(value), f"`skip_words` is {_kind(value)}", "write a list of words")
            return []
        return [word for word in value if self.text(word, "a skip word", UNKNOWN)]

    def lists(self, value: Any) -> dict[str, Any]:
        if not self.mapping(value, "lists", UNKNOWN):
            return {}
        result = {}
        for name, body in value.items():
            place = _or(place_of(name), place_of(body))
            if not isinstance(body, dict):
                remedy = f"write `{name}:` and below it `values:`, `range:` or `wildcard: true`"
                if name == "skip_words":
                    remedy = "move `skip_words` out of `lists`"
                self.fault(place, f"the list {{{name}}} is {_kind(body)}", remedy)
            elif (read := self.list(str(name), body, place)) is not None:
                result[name] = read
        return result

    def list(self, name: str, body: dict[str, Any], place: Place) -> LocatedDict | None:
        result = LocatedDict()
        result.place = place
        if "values" in body:
            values = body["values"]
            if not isinstance(values, list):
                self.fault(place, f"`values` of {{{name}}} is {_kind(values)}", "write a list: a line with `- ` each")
                return None
            result["values"] = [value for value in values if self.value(name, value, place)]
        if "range" in body:
            limits = body["range"]
            if not self.mapping(limits, f"range of {{{name}}}", place):
                return None
            if not self.range(name, limits, place):
                return None
            result["range"] = limits
        if body.get("wildcard"):
            result["wildcard"] = True
        if not result:
            remedy = "give it `values:`, `range:` or `wildcard: true`"
            self.fault(place, f"the list {{{name}}} has neither values nor a range, and is no wildcard", remedy)
            return None
        if name == "skip_words":
            self.note(place, "`skip_words` stands under `lists` and does nothing there", "move it out of `lists`")
        return result

    def value(self, name: str, value: Any, place: Place) -> bool:
        place = _or(place_of(value), place)
        if isinstance(value, dict):
            if "in" not in value:
                self.fault(place, f"a value of {{{name}}} has no `in`", "write `- in: TEXT` and `out: VALUE`")
                return False
            spoken = value["in"]
            for key in ("context", "metadata"):
                if value.get(key) is not None and not self.mapping(value[key], key, place):
                    return False
        else:
            spoken = value
        if not self.text(spoken, f"a value of the list {{{name}}}", place):
            return False
        return self.parses(spoken, place) if is_template(spoken) else True

    def range(self, name: str, limits: dict[str, Any], place: Place) -> bool:
        before = len(self.faults)
        for key in ("from", "to", "step"):
            value = limits.get(key, 1 if key == "step" else None)
            if isinstance(value, bool) or not isinstance(value, int | float | str) or not _is_whole(value):
                self.fault(place, f"`{key}` of the range {{{name}}} is {value!r}", "write a whole number")
        if before == len(self.faults) and (int(limits["from"]) > int(limits["to"]) or int(limits.get("step", 1)) < 1):
            self.fault(place, f"the range {{{name}}} has no number", "use `from` below `to`, and a `step` above 0")
        if not (limits.get("digits", True) or limits.get("words", True)):
            self.fault(place, f"the range {{{name}}} allows neither digits nor words", "allow one of them")
        choices = {"type": [str(kind.value) for kind in RangeType]}
        choices["fractions"] = [str(kind.value) for kind in RangeFractionType]
        for key, known in choices.items():
            if limits.get(key) is not None and limits[key] not in known:
                self.fault(
                    place, f"`{key}` of the range {{{name}}} is {limits[key]!r}", f"use one of: {', '.join(known)}"
                )
        multiplier = limits.get("multiplier")
        if multiplier is not None and (isinstance(multiplier, bool) or not isinstance(multiplier, int | float)):
            self.fault(place, f"`multiplier` of the range {{{name}}} is {multiplier!r}", "write a number")
        elif before == len(self.faults) and (multiplier or 1) != 1:
            count = (int(limits["to"]) - int(limits["from"])) // int(limits.get("step", 1)) + 1
            if count > _MOST_VALUES:
                what = f"the range {{{name}}} has {count:,} numbers, each of which is a value where they are multiplied"
                self.fault(place, what, f"use a `step` that leaves {_MOST_VALUES:,}, or no `multiplier`")
        for key in limits:
            if key not in _RANGE_KEYS:
                remedy = f"known keys: {', '.join(_RANGE_KEYS)}{did_you_mean(key, _RANGE_KEYS)}"
                self.note(_or(place_of(key), place), f"`{key}` means nothing in a range", remedy)
        return before == len(self.faults)


def _resolve(merged: dict[str, Any], code: str, reader: _Reader) -> None:
    """Takes rules and lists that are referred to and not there from Home Assistant's own; drops what stays unknown."""
    rules: dict[str, Any] = merged.setdefault("expansion_rules", {})
    lists: dict[str, Any] = merged.setdefault("lists", {})
    builtin = _builtin(code) or {}
    earlier = _earlier(code)
    known_rules = {**earlier.get("expansion_rules", {}), **builtin.get("expansion_rules", {})}
    known_lists = {**earlier.get("lists", {}), **builtin.get("lists", {})}
    for intent in merged.get("intents", {}).values():
        for block in intent["data"]:
            local_rules, local_lists = block.get("expansion_rules", {}), block.get("lists", {})
            scope = _Scope(rules, lists, local_rules, local_lists, known_rules, known_lists, BUILTIN)
            block["sentences"] = [text for text in block["sentences"] if _refer(text, scope, reader)]
        intent["data"] = [block for block in intent["data"] if block["sentences"]]
    if "intents" in merged:
        merged["intents"] = {name: body for name, body in merged["intents"].items() if body["data"]}


@dataclass
class _Scope:
    """Rules and lists by name, as YAML has them: global, of the block, and Home Assistant's own."""

    rules: dict[str, Any]
    lists: dict[str, Any]
    local_rules: Mapping[str, Any]
    local_lists: Mapping[str, Any]
    known_rules: Mapping[str, Any]
    known_lists: Mapping[str, Any]
    origin: Place

    def rule(self, name: str) -> Any:
        if name in self.local_rules:
            return self.local_rules[name]
        if name not in self.rules and name in self.known_rules:
            self.rules[name] = with_place(self.known_rules[name], self.origin)
        return self.rules.get(name)

    def list(self, name: str) -> Any:
        if name in self.local_lists:
            return self.local_lists[name]
        if name not in self.lists and name in self.known_lists:
            self.lists[name] = with_place(self.known_lists[name], self.origin)
        return self.lists.get(name)


def _refer(text: str, scope: _Scope, reader: _Reader) -> bool:
    """Whether all that a template refers to is there; names what is not."""
    place = place_of(text)
    before = len(reader.faults)

    def visit(body: str, rules: tuple[str, ...], lists: tuple[str, ...]) -> None:
        for reference in references(parse_sentence(body).expression):
            if isinstance(reference, RuleReference):
                name = reference.rule_name
                if name in rules:
                    path = " → ".join(f"<{rule}>" for rule in (*rules[rules.index(name) :], name))
                    reader.fault(place, f"{str(text)!r} uses a rule that calls itself: {path}", "take the circle out")
                elif (rule := scope.rule(name)) is not None:
                    visit(rule, (*rules, name), lists)
                else:
                    known = [*scope.local_rules, *scope.rules, *scope.known_rules]
                    remedy = f"add it to `expansion_rules`, or name the file that has it{did_you_mean(name, known)}"
                    if name in scope.lists or name in HOME_LISTS:
                        remedy = f"write {{{name}}}: it is a list"
                    reader.fault(place, f"{str(text)!r} uses the rule <{name}>, which is nowhere", remedy)
                continue
            name = reference.list_name
            if name in HOME_LISTS and scope.list(name) is None:
                continue
            if name in lists:
                reader.fault(place, f"{str(text)!r} uses a list in its own values: {{{name}}}", "take the circle out")
            elif (values := scope.list(name)) is not None:
                for value in values.get("values", ()):
                    spoken = value["in"] if isinstance(value, dict) else value
                    if is_template(spoken) and re.search(r"[{<]", spoken):
                        visit(spoken, rules, (*lists, name))
            elif reference.is_inline_range:
                low, high, step = cast(tuple[int, int, int], reference.get_inline_range())
                if low > high or step < 1:
                    reader.fault(
                        place, f"{str(text)!r} has a range without a number: {{{name}}}", "write {FROM..TO:slot}"
                    )
            else:
                reader.fault(
                    place, f"{str(text)!r} uses the list {{{name}}}, which is nowhere", _list_remedy(reference, scope)
                )

    try:
        visit(text, (), ())
    except (ParseError, AssertionError, IndexError):  # a rule or value of Home Assistant's own
        reader.fault(place, f"{str(text)!r} uses a rule that cannot be read", "define the rule in a file of yours")
    is_whole = len(reader.faults) == before
    if place == scope.origin:
        del reader.faults[before:]  # a template of Home Assistant's with a list that only it fills
    return is_whole


def _list_remedy(reference: ListReference, scope: _Scope) -> str:
    name, slot = reference.list_name, reference.slot_name if reference._slot_name else ""
    if re.match(r"^-?\d+\.\.-?\d+", name):
        if "-" in name:
            return "a range in a template has no negative numbers: make a list with `range:`"
        return f"name the slot: {{{name}:SLOT}}"
    if slot != name and scope.list(slot) is not None:
        return f"the list comes first: write {{{slot}:{name}}}"
    if scope.rule(name) is not None:
        return f"write <{name}>: it is a rule"
    known = [*scope.local_lists, *scope.lists, *scope.known_lists, *HOME_LISTS]
    return f"add it to `lists`, or name the file that has it{did_you_mean(name, known)}"


def references(expression: Expression) -> Iterator[ListReference | RuleReference]:
    """The lists and rules to which an expression refers."""
    if isinstance(expression, ListReference | RuleReference):
        yield expression
    elif isinstance(expression, Group):
        for item in expression.items:
            yield from references(item)


def _normalize(intents: Intents) -> None:
    """Lets hassil read what its documentation says, and what people mean.

    An empty alternative `(a|)` is `[a]`, and punctuation at the edges of words, which hassil takes out of sentences,
    is taken out of templates too.
    """

    def lists(several: Iterable[SlotList]) -> None:
        for some in several:
            for value in some.values if isinstance(some, TextSlotList) else ():
                value.text_in = _mend(value.text_in)

    lists(intents.slot_lists.values())
    for rule in intents.expansion_rules.values():
        rule.expression = _mend(rule.expression)
    for intent in intents.intents.values():
        for block in intent.data:
            lists(block.slot_lists.values())
            for sentence in [*block.expansion_rules.values(), *block.sentences]:
                sentence.expression = _mend(sentence.expression)


def _mend(expression: Expression) -> Expression:
    if isinstance(expression, TextChunk):
        text = _QUOTES.sub(" ", expression.text)
        text = _MARKS_BEGIN.sub("", _MARKS_END.sub("", text))
        if text != expression.text:
            expression.text = text if text.strip() or not expression.text.strip() else text[:0]
    elif isinstance(expression, Group):
        expression.items = [
            TextChunk()
            if isinstance(expression, Alternative) and isinstance(item, ExpressionSequence) and not item.items
            else _mend(item)
            for item in expression.items
        ]
    return expression


@cache
def _builtin(code: str) -> Mapping[str, Any] | None:
    folder = Path(home_assistant_intents.__file__).parent / "data"
    for candidate in (code, code.split("-", maxsplit=1)[0]):
        path = folder / f"{candidate}.json"
        if path.is_file():
            return cast(Mapping[str, Any], json.loads(path.read_text(encoding="utf-8")))
    return None


def _builtin_languages() -> list[str]:
    folder = Path(home_assistant_intents.__file__).parent / "data"
    return sorted(file.stem for file in folder.glob("*.json"))


def _earlier(code: str) -> Mapping[str, Any]:
    """Rules that Home Assistant's sentences had once, and that people's files still refer to."""
    known = {"expansion_rules": {name: f"{{{name}}}" for name in HOME_LISTS}, "lists": {}}
    known["expansion_rules"]["area_floor"] = "(<area>|<floor>)"
    purpose = "earlier_rules"
    if code in languages(purpose) or code.split("-", maxsplit=1)[0] in languages(purpose):
        data = load_language_file(code, purpose)
        known = {key: {**known[key], **data.get(key, {})} for key in known}
    return known


def _or(place: Place, other: Place) -> Place:
    return place if place != UNKNOWN else other


def _is_whole(value: float | str) -> bool:
    try:
        return float(value) == int(value)
    except ValueError:
        return False


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    if isinstance(value, dict):
        return "a mapping"
    return "text" if isinstance(value, str) else kinds.get(type(value), "a date")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
