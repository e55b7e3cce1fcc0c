"""A JSON schema as a page: a table for each kind of object in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from docs_site.markdown import cell, table

__all__ = ["schema_page"]

Schema = Mapping[str, Any]


def schema_page(schema: Schema, file: str) -> str:
    """A page that says of each key what it holds.

    Args:
        schema: of draft 7, as `thimble schemas` writes it.
        file: where the page finds the schema itself.
    """
    parts = [f"# {schema['title'].partition(':')[0]}\n", f"Made from [{file.rpartition('/')[2]}]({file})"]
    parts[-1] += ", with which an editor completes and checks such a file.\n"
    if schema.get("description"):
        parts.append(_words(schema["description"]) + "\n")
    if "properties" in schema or "oneOf" in schema or "anyOf" in schema or "$ref" in schema:
        parts.append("## The whole\n")
        parts += _object(schema)
    for name, part in schema.get("$defs", {}).items():
        parts.append(f"## {name}\n")
        if part.get("description"):
            parts.append(_words(part["description"]) + "\n")
        parts += _object(part)
    return "\n".join(parts)


def _object(schema: Schema) -> Iterator[str]:
    properties: Schema = schema.get("properties", {})
    if not properties:
        yield f"{_type(schema)}\n"
        return
    required = schema.get("required", [])
    rows = [
        (f"`{key}`", _type(value), _default(value, key in required), _words(value.get("description", "")))
        for key, value in properties.items()
    ]
    yield table(("key", "holds", "default", "meaning"), rows)
    if isinstance(more := schema.get("additionalProperties"), Mapping):
        yield f"Further keys hold {_type(more)}.\n"


def _default(schema: Schema, is_required: bool) -> str:
    if is_required:
        return "must be there"
    default = schema.get("default")
    if isinstance(default, dict) and default:
        return "that of its keys"
    return cell(f"`{json.dumps(default, ensure_ascii=False)}`") if "default" in schema else ""


def _type(schema: Schema) -> str:
    """What a value may be, with links to the parts that are objects."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return cell(f"`{json.dumps(schema['const'], ensure_ascii=False)}`")
    if "enum" in schema:
        return ", ".join(cell(f"`{json.dumps(value, ensure_ascii=False)}`") for value in schema["enum"])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[key])))
    if "allOf" in schema:
        return " and ".join(map(_type, schema["allOf"]))
    kinds = schema.get("type", "any value")
    words = " or ".join(_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    return f"{words}{_limits(schema)}"


def _kind(kind: str, schema: Schema) -> str:
    if kind == "array":
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            items = schema.get("prefixItems") or schema["items"]
            return f"a list of {', '.join(map(_type, items))}"
        return f"a list, each {_type(schema['items'])}" if schema.get("items") else "a list"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping) and values:
            return f"an object, each value {_type(values)}"
        return "an object"
    return {
        "integer": "an integer",
        "number": "a number",
        "string": "text",
        "boolean": "true or false",
        "null": "nothing",
    }.get(kind, kind)


def _limits(schema: Schema) -> str:
    words = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in schema:
            words.append(f"{sign} {schema[key]}")
    if "pattern" in schema:
        words.append(cell(f"like `{schema['pattern']}`"))
    for key, limit in (
        ("minItems", "at least"),
        ("maxItems", "at most"),
        ("minLength", "at least"),
        ("maxLength", "at most"),
    ):
        if key in schema and not (key == "minLength" and schema[key] == 1 and "pattern" in schema):
            words.append(f"{limit} {schema[key]} {_unit(key)}{'' if schema[key] == 1 else 's'}")
    return f" ({', '.join(words)})" if words else ""


def _unit(key: str) -> str:
    return "letter" if "Length" in key else "item"


def _words(text: str) -> str:
    """A description as Markdown: what is code there already stays, and nothing else is markup."""
    pieces = re.split(r"(`[^`]*`)", cell(text))
    return "".join(
        piece if index % 2 else re.sub(r"([<>*_\[\]])", r"\\\1", piece) for index, piece in enumerate(pieces)
    )
