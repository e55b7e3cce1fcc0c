"""The page of Python's names: `import thimble`, by mkdocstrings."""

from __future__ import annotations

import thimble

__all__ = ["python_page"]


def python_page() -> str:
    """A page with each name of `thimble`, functions first."""
    names = [name for name in thimble.__all__ if not name.startswith("_")]
    parts = ["# Python\n", "```python\nimport thimble\n```\n"]
    parts.append(
        "gives these names; everything else may change with any version. "
        "[Installing](../install.md#from-python) has an example.\n"
    )
    for name in sorted(names, key=lambda name: (name[0].isupper(), name)):
        parts.append(f"::: thimble.{name}\n")
    return "\n".join(parts)
