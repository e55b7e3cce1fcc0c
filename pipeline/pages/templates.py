"""Templates and style sheets of pages that need no other file and no network."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["SHARED_STYLE", "page_environment", "page_style"]

SHARED_STYLE = Path(__file__).resolve().parent / "style.css"
"""Colours, type and components of all pages, light and dark."""


def page_environment(folder: Path) -> Environment:
    """The templates of a folder; what they are given is escaped, and must be there."""
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def page_style(path: Path) -> Markup:
    """The shared style, and behind it a page's own.

    Args:
        path: of the page's own style sheet.
    """
    return Markup(SHARED_STYLE.read_text(encoding="utf-8") + path.read_text(encoding="utf-8"))
