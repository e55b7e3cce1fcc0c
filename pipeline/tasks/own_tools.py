"""The task `tools`: functions that are called, with sentences that call them.

Tools become intents and their parameters slots; all else is as with the task `sentences`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from hassil.expression import ListReference, RuleReference, TextChunk
from hassil.intents import IntentData, SlotList, TextSlotList

from pipeline.errors import ConfigError, Problem
from pipeline.recipes.schema import SlotType, ToolsConfig
from pipeline.tasks.own_sentences import SentencesTask
from pipeline.tasks.sentences.files import (
    HINTS,
    HOME_LISTS,
    Fault,
    SentenceFiles,
    expand_paths,
    merge_contents,
    raise_faults,
    references,
)
from pipeline.tasks.sentences.located import UNKNOWN, Place, place_of, read_located, with_place
from pipeline.tasks.sentences.source import SentencesSource, fixed_slots, make_source
from pipeline.tasks.sentences.templates import HIDDEN, number_words, slot_text
from pipeline.tasks.tool_files import CallMaker, Parameter, Tool, call_maker, read_tools
from pipeline.validation import did_you_mean

__all__ = ["ToolsTask", "load_calls", "load_tool_sentences"]

_RANGE = 100  # steps of numbers that the schema does not limit
_INLINE = "task.examples"
_FORMATS = {"time": "time", "date": "date", "duration": "duration"}
"""Formats of strings that are said as quantities."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORDS = re.compile(r"[_\-/()\[\]{}<>|;\\]+")


class ToolsTask(SentencesTask):
    """See `pipeline.tasks.task.Task`.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.

    Raises:
        ConfigError: files that cannot be read, tools that no sentence can call, or sentences that cannot work.
    """

    def __init__(self, config: ToolsConfig, folder: Path) -> None:
        self._take(config, load_tool_sentences(config, folder), folder)


def load_calls(config: ToolsConfig, folder: Path) -> CallMaker:
    """What makes calls of a model's answers.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.

    Raises:
        ConfigError: see `read_tools`.
    """
    return call_maker(read_tools(expand_paths(config.files, folder)))


def load_tool_sentences(config: ToolsConfig, folder: Path, is_strict: bool = True) -> SentencesSource:
    """The sentences of tools as a source of samples; see `pipeline.tasks.sentences.source.load_sentences`."""
    tools = {tool.name: tool for tool in read_tools(expand_paths(config.files, folder))}
    paths = expand_paths(config.sentences, folder) if config.sentences else []
    own = [(name, read_located(path, name)) for name, path in paths]
    own.append((_INLINE, _inline(config)))
    called = _called(config, tools, own)
    language = config.language or next((content["language"] for _, content in own if _has_language(content)), "en")
    lists, faults = _lists(config, called, language)
    own_values = _own_values(own)
    shared = _shared(lists, own_values)
    for _, content in own:
        for tool, block in _blocks(content):
            if tool in called:
                _put_lists(block, _local(called[tool], lists[tool], shared, own_values))
    types, clashes = _types(called.values(), lists, own_values)
    hints = {**_defaults(called.values()), "types": types}
    files = merge_contents([("task.files", {"lists": shared, HINTS: hints}), *own], config.language)
    files.faults += [*faults, *clashes, *_check(files, called)]
    if is_strict:
        raise_faults(files.faults)
    return make_source(config, files, folder, is_strict=is_strict)


def _inline(config: ToolsConfig) -> Any:
    """The recipe's examples in the form of a file."""
    intents = {
        tool: {"data": [{"sentences": list(one.sentences), "slots": dict(one.arguments)} for one in examples]}
        for tool, examples in config.examples.items()
        if examples
    }
    return with_place({"intents": intents}, Place(_INLINE)) if intents else {}


def _blocks(content: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """The blocks of a file that has the right form, each with its intent's name; the rest is refused later."""
    intents = content.get("intents") if isinstance(content, dict) else None
    for tool, body in intents.items() if isinstance(intents, dict) else ():
        data = body.get("data") if isinstance(body, dict) else None
        for block in data if isinstance(data, list) else ():
            if isinstance(block, dict):
                yield str(tool), block


def _has_language(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("language"), str)


def _called(config: ToolsConfig, tools: Mapping[str, Tool], own: Iterable[tuple[str, Any]]) -> dict[str, Tool]:
    """The tools that sentences call.

    Raises:
        ConfigError: sentences of no tool, a tool without sentences, or one that cannot be called so.
    """
    places: dict[str, Place] = {}
    for name, content in own:
        for called, block in _blocks(content):
            places.setdefault(called, place_of(block) if place_of(block) != UNKNOWN else Place(name))
    problems = []
    for called in {**dict.fromkeys(config.examples), **places}:
        if called not in tools:
            remedy = f"use one of: {', '.join(tools)}{did_you_mean(called, tools)}"
            where = str(places.get(called, _INLINE))
            problems.append(Problem("examples", f"{where}: {called!r} is no tool of `task.files`", remedy))
    for name, tool in tools.items():
        if name in places:
            problems += [Problem("files", f"{tool.file}: {what}", _remedy(name)) for what in tool.faults()]
        elif name not in config.examples:
            what = f"{tool.file}: no sentence calls the tool {name}"
            problems.append(Problem("examples", what, f"add some to `examples`, or `{name}: []` to leave it out"))
    if problems:
        raise ConfigError("", problems)
    return {name: tool for name, tool in tools.items() if name in places}


def _remedy(tool: str) -> str:
    return f"make its parameters text, numbers, truth values or lists of them, or leave it out: `{tool}: []`"


def _own_values(own: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    """The values that the users' own lists have, by the list's name; a list of another kind has none."""
    values: dict[str, list[Any]] = {}
    for _, content in own:
        lists = content.get("lists") if isinstance(content, dict) else None
        for name, body in lists.items() if isinstance(lists, dict) else ():
            some = body.get("values") if isinstance(body, dict) else None
            values.setdefault(str(name), []).extend(some if isinstance(some, list) else ())
    return values


def _lists(
    config: ToolsConfig, tools: Mapping[str, Tool], language: str
) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """The lists of parameters, by tool and parameter; none of what templates have to fix and of what the home names."""
    result: dict[str, dict[str, Any]] = {}
    faults: list[Fault] = []
    for tool in tools.values():
        lists: dict[str, Any] = {}
        for name, parameter in tool.parameters.items():
            place = Place(f"{tool.file}, {tool.name}")
            if config.home and name in HOME_LISTS:
                if parameter.values is not None:
                    what = f"the parameter `{name}` has values of its own, and `{{{name}}}` is what the home names"
                    faults.append(Fault(place, what, "take `home` out, or call the parameter otherwise"))
                continue
            try:
                body = _list(parameter, language)
            except ValueError as error:
                faults.append(Fault(place, f"the parameter `{name}` {error}", "give it other limits, or an `enum`"))
                continue
            if body is not None:
                lists[name] = with_place(body, place)
        result[tool.name] = lists
    return result, faults


def _list(parameter: Parameter, language: str) -> dict[str, Any] | None:
    """The list of what is said for a parameter; None where templates have to fix it.

    Raises:
        ValueError: there is none.
    """
    values = parameter.values
    if values is None and parameter.type == "boolean":
        if not parameter.synonyms:
            return None
        values = [True, False]
    if values is not None and not _is_progression(values):
        said = [(text, slot_text(value)) for value in values for text in _said(parameter, value, language)]
        return {"values": [{"in": text, "out": value} for text, value in said]}
    if parameter.type == "string" or "x-type" in parameter.schema:
        return {"wildcard": True}
    return {"range": _range(parameter, values)}


def _is_progression(values: Sequence[Any]) -> bool:
    """Whether they are whole numbers that a range says."""
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _said(parameter: Parameter, value: Any, language: str) -> Iterator[str]:
    """What is said for a value: its words, and its synonyms."""
    text = slot_text(value)
    said: dict[str, None] = {}
    if not isinstance(value, bool):
        said[" ".join(_NO_WORDS.sub(" ", _CAMEL.sub(" ", text) if isinstance(value, str) else text).split())] = None
    if isinstance(value, int) and not isinstance(value, bool):
        said.update(dict.fromkeys(number_words(language, value)))
    said.update(dict.fromkeys(parameter.synonyms.get(text, ())))
    return (one for one in said if one)


def _range(parameter: Parameter, values: Sequence[Any] | None) -> dict[str, Any]:
    """The range of a number.

    Raises:
        ValueError: no whole number is in it.
    """
    schema = parameter.schema
    if values is not None:
        return {"from": values[0], "to": values[-1]}
    given = schema.get("multipleOf", 1)
    step = int(given) if given >= 1 and float(given).is_integer() else 1
    low, high = _limit(schema, "inimum", max, math.ceil, 1), _limit(schema, "aximum", min, math.floor, -1)
    if low is None:
        low = 0 if high is None or high > 0 else high - _RANGE * step
    if high is None:
        high = low + _RANGE * step
    low = -(-low // step) * step
    if low > high:
        raise ValueError("has limits without a whole number between them")
    result: dict[str, Any] = {"from": low, "to": high, "step": step}
    if parameter.type == "number" and not float(given).is_integer():
        result["fractions"] = "halves" if given == 0.5 else "tenths"
    elif parameter.type == "number" and "multipleOf" not in schema:
        result["fractions"] = "tenths"
    return result


def _limit(schema: Mapping[str, Any], name: str, pick: Any, whole: Any, inward: int) -> int | None:
    """The lowest or the highest whole number that a schema allows."""
    limits = [whole(schema[key]) for key in (f"m{name}",) if key in schema]
    key = f"exclusiveM{name}"
    if key in schema:
        limits.append(schema[key] + inward if float(schema[key]).is_integer() else whole(schema[key]))
    return int(pick(limits)) if limits else None


def _shared(lists: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> dict[str, Any]:
    """The lists of parameters that are the same in all tools that have them.

    Args:
        lists: by tool and parameter.
        own: the users' own lists: they are added to listed values, and take the place of anything else.
    """
    by_name: dict[str, list[Any]] = {}
    for several in lists.values():
        for name, body in several.items():
            if name not in own or "values" in body:
                by_name.setdefault(name, []).append(body)
    return {name: bodies[0] for name, bodies in by_name.items() if all(body == bodies[0] for body in bodies)}


def _local(
    tool: Tool, lists: Mapping[str, Any], shared: Mapping[str, Any], own: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """The lists that a tool does not share with others, with what the users' own add to its values."""
    result: dict[str, Any] = {}
    for name, body in lists.items():
        if name in shared or (name in own and "values" not in body):
            continue
        added = [
            value
            for value in own.get(name, ())
            if isinstance(value, dict) and tool.parameters[name].argument(slot_text(value.get("out"))) is not None
        ]
        result[name] = {"values": [*body["values"], *added]} if "values" in body else body
    return result


def _put_lists(block: dict[Any, Any], lists: Mapping[str, Any]) -> None:
    """Gives a block lists; its own win."""
    own = block.get("lists")
    if lists and (own is None or isinstance(own, dict)):
        block["lists"] = {**lists, **(own or {})}


def _defaults(tools: Iterable[Tool]) -> dict[str, Any]:
    """What calls need: the parameters, and values of those of them that sentences may leave out."""
    required: dict[str, list[str]] = {}
    default: dict[str, dict[str, Any]] = {}
    for tool in tools:
        for name, parameter in tool.parameters.items():
            if parameter.is_required:
                required.setdefault(tool.name, []).append(name)
                if isinstance(parameter.schema.get("default"), str | int | float):
                    default.setdefault(tool.name, {})[name] = parameter.schema["default"]
    return {"required": required, "default": default}


def _types(
    tools: Iterable[Tool], lists: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]
) -> tuple[dict[str, str], list[Fault]]:
    """The types of what is said for parameters that have no list."""
    types: dict[str, str] = {}
    faults: list[Fault] = []
    for tool in tools:
        place = Place(f"{tool.file}, {tool.name}")
        for name, parameter in tool.parameters.items():
            if "wildcard" not in lists[tool.name].get(name, ()) or name in own:
                continue
            formats = _FORMATS if parameter.type == "string" else {}
            kind = str(parameter.schema.get("x-type") or formats.get(parameter.schema.get("format", "")) or "name")
            if kind not in get_args(SlotType):
                known = ", ".join(get_args(SlotType))
                faults.append(Fault(place, f"`x-type` of `{name}` is {kind!r}", f"use one of: {known}"))
            elif types.setdefault(name, kind) != kind:
                what = f"the parameter `{name}` is {kind}, and that of another tool {types[name]}"
                faults.append(Fault(place, what, "call one of them otherwise"))
    return {name: kind for name, kind in types.items() if kind != "name"}, faults


def _check(files: SentenceFiles, tools: Mapping[str, Tool]) -> Iterator[Fault]:
    """Sentences that do not fit their tool's schema."""
    for name, intent in files.intents.intents.items():
        tool = tools[name]
        filled: set[str] = set()
        for block in intent.data:
            for slot, given in fixed_slots(block).items():
                filled.add(slot)
                yield from _fits(tool, slot, [slot_text(given)], place_of(block.sentence_texts))
            lists = {**files.intents.slot_lists, **block.slot_lists}
            for place, reference in _references(files, block):
                slot = reference.slot_name
                if reference.is_capture or slot.startswith(HIDDEN):
                    continue
                filled.add(slot)
                yield from _fits(tool, slot, _outs(lists.get(reference.list_name)), place)
        for parameter in tool.parameters.values():
            is_given = parameter.name in filled or "default" in parameter.schema
            if parameter.is_required and not is_given:
                what = f"no sentence of the tool {name} gives `{parameter.name}`, without which it cannot be called"
                remedy = f"write {{{parameter.name}}} in its sentences, or an argument that they have"
                yield Fault(Place(tool.file), what, remedy)


def _fits(tool: Tool, slot: str, values: Iterable[str], place: Place) -> Iterator[Fault]:
    if slot not in tool.parameters:
        remedy = f"its parameters: {', '.join(tool.parameters) or 'none'}{did_you_mean(slot, tool.parameters)}"
        yield Fault(place, f"`{slot}` is no parameter of the tool {tool.name}", remedy)
        return
    parameter = tool.parameters[slot]
    for value in values:
        if parameter.argument(value) is None:
            known = parameter.values
            allowed = "a value of" if known is None else f"one of {', '.join(map(slot_text, known))}, or"
            what = f"the tool {tool.name} allows no `{slot}` of {value!r}"
            yield Fault(place, what, f"use {allowed} the type {parameter.type} within its limits")


def _references(files: SentenceFiles, block: IntentData) -> Iterator[tuple[Place, ListReference]]:
    """The lists to which a block's sentences refer, through rules too, and where."""
    rules = {**files.intents.expansion_rules, **block.expansion_rules}
    for text, sentence in zip(block.sentence_texts, block.sentences, strict=True):
        pending = [sentence.expression]
        seen: set[str] = set()
        while pending:
            for reference in references(pending.pop()):
                if not isinstance(reference, RuleReference):
                    yield place_of(text), reference
                elif reference.rule_name not in seen and reference.rule_name in rules:
                    seen.add(reference.rule_name)
                    pending.append(rules[reference.rule_name].expression)


def _outs(values: SlotList | None) -> Iterator[str]:
    """The values that a list gives."""
    for value in values.values if isinstance(values, TextSlotList) else ():
        if value.value_out is not None:
            yield slot_text(value.value_out)
        elif isinstance(value.text_in, TextChunk):
            yield value.text_in.text.strip()
