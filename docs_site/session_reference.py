"""nox's sessions as a page, read from noxfile.py without running it."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

from docs_site.markdown import cell, table

__all__ = ["session_page", "sessions"]


def sessions(noxfile: str, root: Path) -> dict[str, str]:
    """What each session does, by its name.

    Args:
        noxfile: the text of noxfile.py.
        root: of the repository, whose stages are sessions too.
    """
    made: dict[str, str] = {}
    for node in ast.parse(noxfile).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "nox.session"):
                continue
            given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
            made[given.get("name", node.name)] = ast.get_docstring(node) or ""
    stages: dict[str, str] = runpy.run_path(str(root / "pipeline" / "stages" / "__init__.py"))["SUMMARIES"]
    return made | stages


def session_page(noxfile: str, root: Path) -> str:
    """The page of all sessions."""
    rows = [(f"`nox -s {name}`", cell(text[0].upper() + text[1:])) for name, text in sessions(noxfile, root).items()]
    head = (
        "# nox sessions\n\nIn a clone. A session makes the environment that it needs when it is first used; "
        "what stands behind `--` are its arguments.\n\n"
    )
    return head + table(("session", "what it does"), rows)
