"""What decides a stage's bytes besides its inputs: Python modules, data files, and versions of tools.

The modules are the import closure of those that do the work; grimp reads it from the sources without importing them.
A module counts by its syntax tree, so that comments, docstrings and layout change nothing.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import grimp

from pipeline import tools
from pipeline.resources import ROOT

__all__ = ["NOT_FOLLOWED", "data_digests", "import_closure", "module_digests", "tool_versions"]

_PACKAGE = "pipeline"
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent

NOT_FOLLOWED = {
    "pipeline.errors": "what an error says is in no artifact",
    "pipeline.tools": "finds programs; their versions are in the fingerprint themselves",
    "pipeline.program": "what remedies call the program is in no artifact",
    "pipeline.resources": "says where files are; their contents are in the fingerprint themselves",
    "pipeline.tasks.registry": "finds a task's module, which stages name in `work` themselves",
    "pipeline.files": "how a file is put in place",
    "pipeline.validation": "refuses what files may not say; what they say is in the fingerprint itself",
    "pipeline.targets.boards": "describes boards; the stages that work for one name it in `work` themselves",
    "pipeline.tasks.sentences.located": "notes at which lines a file's texts stand, for messages",
    "pipeline.training.progress": "draws the terminal's progress bar",
    "pipeline.workflow": "runs stages; what it passes to them is in the fingerprint",
    "pipeline.stages": "a stage's own module counts, and names in `work` what it imports to do the work",
}
"""Modules and packages that decide no byte of any artifact, and why; closures end at them."""


def import_closure(work: Iterable[str]) -> tuple[str, ...]:
    """The modules of this package that the given ones import, directly or not, and these themselves; sorted.

    Modules of NOT_FOLLOWED are left out; where `work` names one it counts by itself, without its imports.
    """
    graph = _graph()
    closure: set[str] = set()
    pending = list(work)
    closure.update(pending)
    while pending:
        module = pending.pop()
        if _is_not_followed(module):
            continue
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in closure and not _is_not_followed(imported):
                closure.add(imported)
                pending.append(imported)
    return tuple(sorted(closure))


def module_digests(work: Iterable[str]) -> dict[str, str]:
    """A digest of each module of the closure, over its syntax tree without docstrings."""
    return {module: _tree_digest(read_module(module)) for module in import_closure(work)}


def data_digests(patterns: Iterable[str]) -> dict[str, str]:
    """A digest of the files that each glob pattern matches, seen from where the package's data lies, or from where the
    package lies where it begins with its name."""
    digests: dict[str, str] = {}
    for pattern in patterns:
        digest = hashlib.sha256()
        folder = _PACKAGE_FOLDER.parent if pattern.startswith(f"{_PACKAGE}/") else ROOT
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(hashlib.sha256(read_data(path)).digest())
        digests[pattern] = digest.hexdigest()[:16]
    return digests


def tool_versions(names: Iterable[str]) -> dict[str, str]:
    """The version of each program of `pipeline.tools` or Python distribution; `missing` where it is not installed."""
    return {name: tool_version(name) for name in names}


@cache
def tool_version(name: str) -> str:
    """The version of one program or Python distribution, or `missing`."""
    if name in tools.TOOLS:
        return tools.version(name) if tools.find(name) is not None else "missing"
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def read_module(name: str) -> bytes:
    """A module's source. It is not imported: that would run the packages above it."""
    path = _PACKAGE_FOLDER.joinpath(*name.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_bytes()


def read_data(path: Path) -> bytes:
    """A data file's content."""
    return path.read_bytes()


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(_PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


def _is_not_followed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NOT_FOLLOWED)


@cache
def _tree_digest(source: bytes) -> str:
    return hashlib.sha256("\0".join(_canonical(ast.parse(source))).encode()).hexdigest()[:16]


def _canonical(node: object) -> Iterator[str]:
    """A syntax tree as text, without positions, docstrings and other bare texts, and without what is empty, which newer
    versions of Python have more of."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None and not isinstance(node, ast.Constant):
                continue
            if isinstance(value, list) and not value:
                continue
            yield name
            yield from _canonical(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not _is_bare_text(item):
                yield from _canonical(item)
        yield "]"
    else:
        yield repr(node)


def _is_bare_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
