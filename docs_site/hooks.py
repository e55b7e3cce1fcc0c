"""MkDocs calls these functions by their names (`hooks` in mkdocs.yml)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

from docs_site.command_reference import command_page
from docs_site.offline import loaded_from_elsewhere
from docs_site.python_reference import python_page
from docs_site.repository import linked_files, page_markdown, place_in_site, shown_source
from docs_site.schema_reference import schema_page
from docs_site.session_reference import session_page
from pipeline.commands.main import command_parser
from pipeline.device.command import command_parser as client_parser

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).resolve().parent.parent
_IN_NAVIGATION = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_COMMANDS = (
    "Made from the command's own parser; `--help` says the same. `thimble` is the command of an installed package, "
    "`python -m pipeline` the same in a clone. A command that fails exits with 1 and loses nothing that was there."
)
_CLIENT = "The command of the distribution [`thimble-client`](../client.md), which needs pyserial and nothing else."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Takes the pages of docs with the site's links, adds what they link to, and the reference."""
    pages = {f"docs/{file.src_uri}": _read(f"docs/{file.src_uri}") for file in files.documentation_pages()}
    for name in _IN_NAVIGATION:
        pages[name] = _read(name)
    for file in list(files.documentation_pages()):
        files.remove(file)
    for path, text in pages.items():
        files.append(File.generated(config, place_in_site(path), content=page_markdown(text, path)))
    for path in linked_files(pages, _read):
        files.append(_linked_file(path, config))
    for place, content in _reference().items():
        files.append(File.generated(config, place, content=content))
    for place in ("assets/javascripts/iframe-worker.js", "assets/stylesheets/site.css"):
        files.append(File.generated(config, place, abs_src_path=str(ROOT / "docs_site" / Path(place).name)))
    return files


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _linked_file(path: str, config: MkDocsConfig) -> File:
    if not (ROOT / path).is_file():
        raise PluginError(f"a page links to {path}, which is no file")
    outside = InclusionLevel.NOT_IN_NAV
    place = place_in_site(path)
    if not place.endswith(".md"):
        return File.generated(config, place, abs_src_path=str(ROOT / path), inclusion=outside)
    text = _read(path)
    content = shown_source(path, text) or page_markdown(text, path)
    return File.generated(config, place, content=content, inclusion=outside)


def _reference() -> dict[str, str]:
    """Pages that are made from code, by their place in the site."""
    pages = {
        "reference/commands.md": command_page("Commands", _COMMANDS, command_parser()),
        "reference/thimble-client.md": command_page("thimble-client", _CLIENT, client_parser()),
        "reference/sessions.md": session_page(_read("noxfile.py"), ROOT),
        "reference/python.md": python_page(),
    }
    for path in sorted((ROOT / "docs" / "schemas").glob("*.schema.json")):
        name = path.name.partition(".")[0]
        schema = json.loads(path.read_text(encoding="utf-8"))
        pages[f"reference/schemas/{name}.md"] = schema_page(schema, f"../../schemas/{path.name}")
    return pages


def on_post_page(output: str, **_: object) -> str:
    """Gives the theme's search a name for screen readers."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def on_post_build(config: MkDocsConfig) -> None:
    """Refuses a site that would load anything from elsewhere."""
    for path in Path(config.site_dir).rglob("*.html"):
        if elsewhere := loaded_from_elsewhere(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path} loads {elsewhere[0]}: the site must work without a network")
