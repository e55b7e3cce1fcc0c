"""Whether a page of the site needs a network."""

from __future__ import annotations

import re

__all__ = ["loaded_from_elsewhere"]

_LOADS = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)[^>]*>"""
)


def loaded_from_elsewhere(html: str) -> list[str]:
    """Addresses of what a page loads by itself from other machines; links that are followed are none."""
    return [found[1] for found in _LOADS.finditer(html) if 'rel="canonical"' not in found[0]]
