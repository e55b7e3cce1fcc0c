"""Where a file of the repository is in the site, and how a page links to it.

Pages of docs stand at the root. What they link to outside of docs comes into the site too: pages as pages, source as a
page that shows it, the rest as it is. So one relative link is right on GitHub and in the site.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path

from docs_site.markdown import links, replace_links

__all__ = ["is_outside", "linked_files", "page_markdown", "place_in_site", "shown_source"]

_SPECIAL = {"README.md": "index.md", "docs/README.md": "pages.md"}
_SOURCES = {".c": "c", ".h": "c", ".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".robot": "text"}


def is_outside(target: str) -> bool:
    """Whether a link leaves the repository."""
    return "://" in target or target.startswith("mailto:")


def place_in_site(path: str) -> str:
    """The source in MkDocs' sense of a file.

    Args:
        path: seen from the repository's root.
    """
    if path in _SPECIAL:
        return _SPECIAL[path]
    place = path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"
    return f"{place}.md" if not path.startswith("docs/") and Path(path).suffix in _SOURCES else place


def _resolved(target: str, page: str) -> str:
    """The file that a link of a page names, seen from the root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def page_markdown(text: str, path: str) -> str:
    """A page of the repository with the links that it has in the site.

    Args:
        text: Markdown.
        path: of the page, seen from the repository's root.
    """
    folder = posixpath.dirname(place_in_site(path))

    def new(target: str) -> str:
        file, mark, anchor = target.partition("#")
        if is_outside(target) or not file:
            return target
        return posixpath.relpath(place_in_site(_resolved(file, path)), folder or ".") + mark + anchor

    return replace_links(text, new)


def linked_files(pages: dict[str, str], read: Callable[[str], str]) -> dict[str, str]:
    """Files outside of docs that pages link to, and those that these link to.

    Args:
        pages: their text, by path from the repository's root.
        read: gives the text of a page.

    Returns:
        For each file which page names it first.
    """
    named: dict[str, str] = {}
    ahead = list(pages.items())
    while ahead:
        path, text = ahead.pop()
        for target in links(text):
            file = target.partition("#")[0]
            if is_outside(target) or not file:
                continue
            place = _resolved(file, path)
            if place in named or place in pages or place.startswith("docs/"):
                continue
            named[place] = path
            if place.endswith(".md"):
                ahead.append((place, read(place)))
    return named


def shown_source(path: str, text: str) -> str | None:
    """The page that shows a file of source; None for another kind of file."""
    language = _SOURCES.get(Path(path).suffix)
    return None if language is None else f"# {path}\n\n````{language}\n{text.rstrip()}\n````\n"
