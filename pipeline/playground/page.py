"""One HTML file with everything in it: module, scripts and style, and what is known of model and boards."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.pages.templates import page_environment, page_style
from pipeline.text.annotation import Entry
from pipeline.text.codec import Codec, PlainCodec, StructuredCodec
from pipeline.version import VERSION

__all__ = ["PageFacts", "render_page"]

_FOLDER = Path(__file__).resolve().parent
_SCRIPTS = ("engine.js", "home.js", "board.js", "board_panel.js", "page.js")


@dataclass(frozen=True)
class PageFacts:
    """What a page is made of.

    Attributes:
        name: of the recipe.
        description: of the recipe.
        language: of what people type, as HTML says it; empty where it is not known.
        module: the WebAssembly.
        codec: of the model.
        entries: the names that the model knows from the start, in the order in which they count.
        examples: sentences to begin with.
        boards: of `board_facts`; the first is shown first.
        expected: the content of `expected.json`; None where no board was asked.
        command: what made the page.
    """

    name: str
    description: str
    language: str
    module: bytes
    codec: Codec
    entries: Sequence[Entry]
    examples: Sequence[str]
    boards: Sequence[Mapping[str, Any]]
    expected: Mapping[str, Any] | None
    command: str


def render_page(facts: PageFacts) -> str:
    """The page, which needs no other file and no network."""
    is_structured = isinstance(facts.codec, StructuredCodec)
    return (
        page_environment(_FOLDER)
        .get_template("page.html.j2")
        .render(
            facts=facts,
            is_structured=is_structured,
            grammar=facts.codec.grammar.source if isinstance(facts.codec, PlainCodec) and facts.codec.grammar else "",
            has_names=is_structured and bool(_kinds(facts.codec)),
            version=VERSION,
            style=page_style(_FOLDER / "page.css"),
            scripts=[Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in _SCRIPTS],
            data=Markup(_json(_data(facts))),
            module=base64.b64encode(facts.module).decode(),
        )
    )


def _data(facts: PageFacts) -> dict[str, Any]:
    codec = facts.codec
    data: dict[str, Any] = {
        "name": facts.name,
        "boards": list(facts.boards),
        "examples": list(facts.examples),
        "expected": _expected(facts.expected),
    }
    if isinstance(codec, StructuredCodec):
        kinds = codec.schema.kinds
        data["answerTokens"] = {"first": codec.ids.first, "names": codec.ids.names}
        data["pointers"] = {"first": codec.ids.pointer, "end": codec.ids.position}
        data["positions"] = {"first": codec.ids.position, "end": codec.ids.intent}
        data["kinds"] = list(kinds)
        data["nameKinds"] = _kinds(codec)
        data["names"] = [
            {"text": entry.text, "kind": kinds.index(entry.kind), "value": entry.value}
            for entry in facts.entries
            if entry.kind in kinds
        ]
    return data


def _kinds(codec: Codec) -> list[int]:
    """Indices of the kinds that names may have: all but quantities."""
    assert isinstance(codec, StructuredCodec)
    return [index for index, kind in enumerate(codec.schema.kinds) if kind not in codec.schema.quantities]


def _expected(expected: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Each prompt's text, percent-encoded as on the serial line, its tokens, and the CRC-32 of each step's logits."""
    if expected is None:
        return []
    return [
        {
            "text": prompt["text"],
            "count": prompt["tokens_in"],
            "tokens": [step["token"] for step in prompt["steps"]],
            "crcs": [step["crc"] for step in prompt["steps"]],
            "next": [step["next"] for step in prompt["steps"]],
        }
        for prompt in expected["prompts"]
    ]


def _json(data: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
