"""The reference's pages have every command, option, session, key and name, and links that hold in the site."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import thimble
from docs_site.command_reference import actions_of, command_page, subcommands
from docs_site.markdown import anchors, links
from docs_site.offline import loaded_from_elsewhere
from docs_site.python_reference import python_page
from docs_site.repository import linked_files, page_markdown, place_in_site, shown_source
from docs_site.schema_reference import schema_page
from docs_site.session_reference import session_page, sessions
from pipeline.commands.main import COMMANDS, command_parser
from pipeline.device.command import command_parser as client_parser
from pipeline.resources import ROOT

SCHEMAS = sorted((ROOT / "docs" / "schemas").glob("*.json"))


def options(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, str]]:
    """Each command with each of its options."""
    for action in actions_of(parser):
        for name in action.option_strings:
            yield path, name
    for name, (made, _) in subcommands(parser).items():
        yield from options(made, f"{path} {name}".strip())


@pytest.mark.parametrize("parser", [command_parser(), client_parser()], ids=["thimble", "thimble-client"])
def test_every_command_and_option_is_there(parser: argparse.ArgumentParser) -> None:
    page = command_page("Commands", "All.", parser)
    sections = {part.partition("`")[0]: part for part in page.replace("\n###", "\n##").split("\n## `")[1:]}
    for path, option in options(parser):
        where = sections[path] if path else page
        assert f"| `{option}" in where or f", `{option}" in where, (path, option)
    assert {link.removeprefix("#") for link in links(page)} <= anchors(page)


def test_all_commands_have_a_section() -> None:
    page = command_page("Commands", "All.", command_parser())
    assert all(f"\n## `{command.name}`\n" in page for command in COMMANDS)
    assert "\n### `home push`\n" in page and "(default: home.yaml)" not in page.partition("## `home`")[0]


def test_help_texts_are_no_markup() -> None:
    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("--a", default=3, help="a *b* <c> `*d|e*` of %(default)s")
    parser.add_argument("--hidden", help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="+", metavar="FILE")
    page = command_page("P", "", parser)
    assert "| `--a A` | A \\*b\\* \\<c\\> `*d|e*` of 3. |" in page
    assert "| `FILE …` |" in page and "hidden" not in page


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_key_of_a_schema_is_there(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    page = schema_page(schema, f"../../schemas/{path.name}")
    for name, part in [("The whole", schema), *schema.get("$defs", {}).items()]:
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for key in part.get("properties", {}):
            assert f"| `{key}` |" in section, (name, key)
    assert {link.removeprefix("#") for link in links(page) if link.startswith("#")} <= anchors(page)


def test_kinds_limits_and_defaults_are_in_words() -> None:
    properties = {
        "a": {"type": "integer", "minimum": 1, "default": 2, "description": "One *star*, `code|bar`."},
        "b": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}], "default": None},
        "c": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1},
    }
    schema = {"title": "T", "properties": properties, "required": ["c"], "$defs": {"Part": {"type": "string"}}}
    page = schema_page(schema, "t.json")
    assert "| `a` | an integer (≥ 1) | `2` | One \\*star\\*, `code|bar`. |" in page
    assert "| `b` | [Part](#part) or nothing | `null` |  |" in page
    assert '| `c` | a list, each `"x"`, `"y"` (at least 1 item) | must be there |  |' in page


def test_sessions_and_names_are_there() -> None:
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    named = sessions(text, ROOT)
    assert {"docs", "tests", "format", "train", "report"} <= set(named) and all(named.values())
    assert all(f"| `nox -s {name}` |" in session_page(text, ROOT) for name in named)
    assert all(f"::: thimble.{name}\n" in python_page() for name in thimble.__all__ if name != "__version__")


def test_links_that_leave_docs_go_to_what_the_site_has_of_them() -> None:
    text = "[a](../CONTRIBUTING.md#rules) [b](../firmware_templates/x.h) [c](engine.md) [d](https://x.y) [e](#f)\n"
    made = page_markdown(text, "docs/timing.md")
    expected = "[a](repository/CONTRIBUTING.md#rules) [b](repository/firmware_templates/x.h.md) [c](engine.md)"
    assert made == f"{expected} [d](https://x.y) [e](#f)\n"
    assert page_markdown("[a](docs/README.md) [b](CHANGELOG.md)\n", "README.md") == (
        "[a](pages.md) [b](repository/CHANGELOG.md)\n"
    )
    assert page_markdown("[a](../../../README.md)\n", "models/sweeps/a/b.md") == "[a](../../../../index.md)\n"
    assert place_in_site("docs/README.md") == "pages.md"
    named = linked_files({"docs/a.md": "[a](../m/b.md) [c](b.md)\n"}, {"m/b.md": "[p](p.png)\n"}.__getitem__)
    assert named == {"m/b.md": "docs/a.md", "m/p.png": "m/b.md"}
    assert shown_source("a/b.h", "int x;\n") == "# a/b.h\n\n````c\nint x;\n````\n"
    assert shown_source("a/b.png", "") is None


def test_a_page_that_loads_from_elsewhere_is_found() -> None:
    assert loaded_from_elsewhere('<script async src="https://a.b/c.js"></script><img src=//d.e/f.png>') == [
        "https://a.b/c.js",
        "//d.e/f.png",
    ]
    kept = '<a href="https://a.b"></a><link rel="canonical" href="http://a.b/c"><script src="assets/a.js"></script>'
    assert loaded_from_elsewhere(kept) == []
