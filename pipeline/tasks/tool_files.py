"""Tools as the Model Context Protocol's `tools/list` and OpenAI's `tools` describe them, and calls of them.

A call is made of an answer's slots by the types of the parameters' JSON schemas, and only where it is valid by them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, Problem
from pipeline.files import parse_json, read_small_text
from pipeline.text.answers import StructuredAnswer

__all__ = ["Argument", "CallMaker", "Parameter", "Tool", "call_maker", "read_tools"]

Argument = str | int | float | bool
CallMaker = Callable[[StructuredAnswer], dict[str, Any] | None]
"""Makes of an answer the call, `{"name": …, "arguments": {…}}`; None where it is none that is valid."""

TYPES = ("string", "integer", "number", "boolean")
_COMPOSED = ("oneOf", "anyOf", "allOf", "not", "if", "then", "else")
_DEPENDENT = ("patternProperties", "dependentRequired", "dependentSchemas", "dependencies", "minProperties")
_NAME = re.compile(r"[^\s={}\[\]()<>|:@]+")
_FORM = 'use the form of `tools/list` or of OpenAI\'s `tools`: [{"name": …, "description": …, "inputSchema": {…}}]'


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool.

    Attributes:
        name: its name.
        type: "string", "integer", "number" or "boolean".
        schema: its JSON schema, without references and null.
        is_required: whether each call has it.
        fault: why no sentence can say it; empty where one can.
    """

    name: str
    type: str
    schema: Mapping[str, Any]
    is_required: bool = False
    fault: str = ""

    @property
    def values(self) -> Sequence[Argument] | None:
        """All values that it may have; None where they are not listed."""
        if "const" in self.schema:
            return [self.schema["const"]]
        listed = self.schema.get("enum")
        return None if listed is None else [value for value in listed if value is not None]

    @property
    def synonyms(self) -> Mapping[str, Sequence[str]]:
        """What else is said for a value, by its text: `x-synonyms`."""
        given = self.schema.get("x-synonyms", {})
        return {
            str(value): [several] if isinstance(several, str) else list(several) for value, several in given.items()
        }

    def argument(self, text: str) -> Argument | None:
        """The value that a slot's text stands for; None where the schema does not allow it."""
        value = _converted(text, self.type)
        if value is None or not _is_listed(value, self.values):
            return None
        is_valid = _is_valid_text(value, self.schema) if isinstance(value, str) else _is_in_range(value, self.schema)
        return value if is_valid else None


@dataclass(frozen=True)
class Tool:
    """A function that can be called.

    Attributes:
        name: its name, an intent's.
        description: what it does.
        parameters: by name.
        file: where it stands, as the recipe names the file.
        fault: why no sentence can call it; empty where one can.
    """

    name: str
    description: str
    parameters: Mapping[str, Parameter]
    file: str
    fault: str = ""

    def faults(self) -> list[str]:
        """What cannot be said in one call."""
        several = [f"the parameter `{p.name}` of the tool {self.name} {p.fault}" for p in self.parameters.values()]
        faulty = [what for what, p in zip(several, self.parameters.values(), strict=True) if p.fault]
        return [f"the tool {self.name} {self.fault}", *faulty] if self.fault else faulty

    def arguments(self, slots: Mapping[str, str]) -> dict[str, Argument] | None:
        """The arguments that slots stand for, in the order of the parameters; None where the schema allows no such."""
        if not slots.keys() <= self.parameters.keys():
            return None
        result: dict[str, Argument] = {}
        for name, parameter in self.parameters.items():
            if name in slots:
                argument = parameter.argument(slots[name])
                if argument is None:
                    return None
                result[name] = argument
            elif parameter.is_required:
                return None
        return result


def call_maker(tools: Iterable[Tool]) -> CallMaker:
    """What makes calls of answers."""
    by_name = {tool.name: tool for tool in tools}

    def call(answer: StructuredAnswer) -> dict[str, Any] | None:
        tool = by_name.get(answer.intent)
        arguments = None if tool is None else tool.arguments(answer.slots)
        return None if arguments is None else {"name": answer.intent, "arguments": arguments}

    return call


def read_tools(files: Iterable[tuple[str, Path]]) -> tuple[Tool, ...]:
    """The tools of files.

    Args:
        files: what messages call each, and its path.

    Raises:
        ConfigError: a file cannot be read, is no list of tools, or two tools have one name; names all of it.
    """
    tools: dict[str, Tool] = {}
    problems: list[Problem] = []
    for name, path in files:
        try:
            found = _tools(_read(name, path), name)
        except ValueError as error:
            problems.append(Problem("files", f"{name}: {error}", _FORM))
            continue
        for tool in found:
            if tool.name in tools:
                what = f"{name}: the tool {tool.name} is there twice, in {tools[tool.name].file} too"
                problems.append(Problem("files", what, "give each tool a name of its own"))
            tools[tool.name] = tool
    if problems:
        raise ConfigError("", problems)
    return tuple(tools.values())


def _read(name: str, path: Path) -> Any:
    try:
        return parse_json(read_small_text(path).removeprefix("\ufeff"))
    except OSError as error:
        problem = Problem("files", f"cannot read {name}: {error.strerror}", "correct `task.files`")
    except UnicodeDecodeError:
        problem = Problem("files", f"{name} is not UTF-8", "save it as UTF-8")
    except json.JSONDecodeError as error:
        problem = Problem("files", f"{name}:{error.lineno}: not valid JSON: {error.msg}", "mend the line that it names")
    except ValueError as error:
        problem = Problem("files", f"{name}: not valid JSON: {error}", "mend it")
    raise ConfigError("", [problem])


def _tools(data: Any, file: str) -> list[Tool]:
    """The tools of a file's content: a list, or what a server answers to `tools/list`."""
    if isinstance(data, Mapping) and isinstance(data.get("result"), Mapping):
        data = data["result"]
    if isinstance(data, Mapping) and "tools" in data:
        data = data["tools"]
    if isinstance(data, Mapping) and ("name" in data or "function" in data):
        data = [data]
    if not isinstance(data, list) or not data:
        raise ValueError("holds no list of tools")
    return [_tool(entry, file) for entry in data]


def _tool(entry: Any, file: str) -> Tool:
    if isinstance(entry, Mapping) and isinstance(entry.get("function"), Mapping):
        entry = entry["function"]
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str):
        raise ValueError(f"{json.dumps(entry):.60} has no `name`")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a tool: it has spaces, brackets or one of = : @ |")
    keys = ("inputSchema", "parameters", "input_schema")
    schema: Any = next((entry[key] for key in keys if entry.get(key)), {})
    description = str(entry.get("description") or "")
    if not isinstance(schema, Mapping):
        raise ValueError(f"the parameters of {name} are no JSON schema")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    names = required if isinstance(required, list) else [None]
    if not isinstance(properties, Mapping) or not all(isinstance(key, str) for key in (*names, *properties)):
        raise ValueError(f"the parameters of {name} are no JSON schema of an object")
    fault = next((f"has `{key}` in its schema" for key in (*_COMPOSED, *_DEPENDENT) if key in schema), "")
    if schema.get("type", "object") != "object":
        fault = f"takes {schema['type']!r} instead of an object of parameters"
    if unknown := [key for key in required if key not in properties]:
        fault = f"requires `{unknown[0]}`, which is not among its `properties`"
    parameters = {key: _parameter(key, body, schema, key in required) for key, body in properties.items()}
    return Tool(name, description, parameters, file, fault)


def _parameter(name: str, body: Any, root: Mapping[str, Any], is_required: bool) -> Parameter:
    try:
        schema = _plain(body, root)
        return Parameter(name, _type(name, schema), schema, is_required)
    except ValueError as error:
        return Parameter(name, "", {}, is_required, str(error))


def _plain(body: Any, root: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """A schema without references and without null beside another type.

    Raises:
        ValueError: it is none of one type; the message says what it is, as a sentence's end.
    """
    if not isinstance(body, Mapping) or depth > 8:
        raise ValueError("has no schema that says what it holds")
    if isinstance(reference := body.get("$ref"), str):
        target: Any = root
        for part in reference.removeprefix("#").split("/")[1:]:
            target = target.get(part) if isinstance(target, Mapping) else None
        if not reference.startswith("#") or target is None:
            raise ValueError(f"refers to {reference}, which is not in the file")
        rest = {key: value for key, value in body.items() if key != "$ref"}
        return _plain({**target, **rest}, root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        members = body.get(key)
        if isinstance(members, list):
            real = [member for member in members if not (isinstance(member, Mapping) and member.get("type") == "null")]
            if len(real) != 1 or not isinstance(real[0], Mapping):
                break
            return _plain({**{k: v for k, v in body.items() if k != key}, **real[0]}, root, depth + 1)
    if composed := [key for key in _COMPOSED if key in body]:
        raise ValueError(f"is composed with `{composed[0]}`: a sentence gives a value of one type")
    return body


def _type(name: str, schema: Mapping[str, Any]) -> str:
    """The type of a parameter.

    Raises:
        ValueError: it is none that a sentence can give.
    """
    given = schema.get("type")
    kinds: list[Any] = [kind for kind in given if kind != "null"] if isinstance(given, list) else [given]
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if kinds == [None] and isinstance(listed, list):
        kinds = sorted({_type_of(value) for value in listed if value is not None})
        kinds = ["number"] if kinds == ["integer", "number"] else kinds
    if len(kinds) != 1 or kinds[0] is None:
        raise ValueError(f"has {'several types' if len(kinds) > 1 else 'no type'}: a sentence gives a value of one")
    if kinds[0] in ("array", "object"):
        nested = "an array" if kinds[0] == "array" else "a nested object"
        raise ValueError(f"is {nested}, which one call of a sentence cannot give")
    if kinds[0] not in TYPES:
        raise ValueError(f"has the type {kinds[0]!r}, not one of {', '.join(TYPES)}")
    if name.startswith("x_") or not _NAME.fullmatch(name):
        raise ValueError("has a name that begins with x_, or with spaces, brackets or one of = : @ | in it")
    _check_keywords(schema)
    return str(kinds[0])


_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def _check_keywords(schema: Mapping[str, Any]) -> None:
    """Checks what keywords hold whose values are used.

    Raises:
        ValueError: what JSON schema does not allow there, as a sentence's end.
    """
    for key in ("minLength", "maxLength", *_NUMBERS):
        value = schema.get(key, 1)
        is_right = isinstance(value, int) or (key in _NUMBERS and isinstance(value, float))
        if isinstance(value, bool) or not is_right or (key not in _NUMBERS and value < 0):
            raise ValueError(f"has `{key}` {value!r:.40}, which is no such number")
    if schema.get("multipleOf", 1) <= 0:
        raise ValueError("has a `multipleOf` that is not above 0")
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError, RecursionError, OverflowError):
        raise ValueError(f"has the `pattern` {schema['pattern']!r:.40}, which is no regular expression") from None
    listed = schema.get("enum", [])
    if not isinstance(listed, list) or any(isinstance(value, list | dict) for value in (*listed, schema.get("const"))):
        raise ValueError("has an `enum` or `const` of other than plain values")
    synonyms = schema.get("x-synonyms", {})
    texts = [*synonyms.values()] if isinstance(synonyms, Mapping) else [None]
    if not all(isinstance(text, str) for some in texts for text in (some if isinstance(some, list) else [some])):
        raise ValueError("has `x-synonyms` that are no mapping of values to what is said for them")


def _type_of(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def _converted(text: str, kind: str) -> Argument | None:
    if kind == "string":
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text)
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    if number.is_integer():
        return int(number)
    return number if kind == "number" else None


def _is_listed(value: Argument, listed: Sequence[Argument] | None) -> bool:
    return listed is None or any(one == value and isinstance(one, bool) == isinstance(value, bool) for one in listed)


def _is_valid_text(value: str, schema: Mapping[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def _is_in_range(value: float, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, bool):
        return True
    if not schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf):
        return False
    if not schema.get("exclusiveMinimum", -math.inf) < value < schema.get("exclusiveMaximum", math.inf):
        return False
    try:  # decimal, since 0.3 is a multiple of 0.1
        return "multipleOf" not in schema or Decimal(str(value)) % Decimal(str(schema["multipleOf"])) == 0
    except InvalidOperation:
        return False
