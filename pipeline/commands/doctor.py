"""`doctor`: what is installed, what is missing, and the commands that mend it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command
from pipeline.extras import DISTRIBUTION, EXTRAS, install_command
from pipeline.program import command
from pipeline.resources import IN_CLONE, ROOT
from pipeline.version import VERSION

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["COMMAND", "Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        group: `core`, an extra, `tools`, or `python`.
        name: of the package or program.
        found: its version; empty where it is missing.
        wanted: which versions do; empty for all.
        ok: whether what was found does.
        needed: whether its lack makes the exit status 1.
        remedy: the command that brings it.
    """

    group: str
    name: str
    found: str
    wanted: str
    ok: bool
    needed: bool
    remedy: str = ""


def examine(extras: tuple[str, ...] = WHOLE_RUN) -> list[Finding]:
    """Looks for everything that some command uses.

    Args:
        extras: those that must be there. Tools must be there for `compile`, which builds firmware.
    """
    needed = {"core", *extras, *(("tasks",) if "train" in extras else ())}
    return [_python(), *_packages(needed), *_tools("compile" in needed)]


def _python() -> Finding:
    from packaging.specifiers import SpecifierSet

    found = ".".join(map(str, sys.version_info[:3]))
    wanted = _project().requires_python
    return Finding("python", "python", found, wanted, SpecifierSet(wanted).contains(found), True, "use one of these")


@dataclass(frozen=True)
class _Project:
    """What the distribution says of itself: the Python versions, and requirements by extra, `core` without one."""

    requires_python: str
    requirements: dict[str, list[Requirement]]


def _project() -> _Project:
    """From pyproject.toml in a clone, which may not be installed; else from the installed distribution."""
    from packaging.requirements import Requirement

    if IN_CLONE:
        import tomllib

        data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lists = {"core": data["dependencies"], **data["optional-dependencies"]}
        parsed = {extra: [Requirement(text) for text in texts] for extra, texts in lists.items()}
        return _Project(data["requires-python"], parsed)
    requirements: dict[str, list[Requirement]] = {}
    for text in metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        for extra in ("core", *EXTRAS):
            if (marker is None) == (extra == "core") and (marker is None or marker.evaluate({"extra": extra})):
                requirements.setdefault(extra, []).append(requirement)
    return _Project(metadata.metadata(DISTRIBUTION)["Requires-Python"], requirements)


def _packages(needed: set[str]) -> Iterator[Finding]:
    requirements = _project().requirements
    for extra in ("core", *EXTRAS):
        for requirement in requirements.get(extra, []):
            if requirement.name == DISTRIBUTION:  # an extra that includes another
                continue
            try:
                found = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                found = ""
            ok = bool(found) and requirement.specifier.contains(found, prereleases=True)
            remedy = install_command() if extra == "core" else install_command(extra)
            yield Finding(extra, requirement.name, found, str(requirement.specifier), ok, extra in needed, remedy)


def _tools(needed: bool) -> Iterator[Finding]:
    from pipeline import tools
    from pipeline.emulators.renode.launcher import find_renode

    missing = {tool.program for tool in tools.missing()}
    for tool in tools.TOOLS.values():
        found = tools.version(tool.program) if tools.find(tool.program) else ""
        required = needed and (tool.program in missing or bool(found))
        packages = f"sudo apt-get install {' '.join(tool.debian)}, or what your system calls them"
        remedy = packages if tool.is_optional else command("tools --install")
        yield Finding("tools", tool.program, found, "", bool(found), required, remedy)
    renode = find_renode()
    path = str(renode) if renode is not None and renode.is_file() else ""
    yield Finding("tools", "renode", path, "", bool(path), False, command("renode fetch"))


def _hiding() -> Path | None:
    """A `pipeline` here that hides Thimble's own where Python looks in the working directory first."""
    here = Path.cwd()
    is_own = (here / "pipeline").resolve() == Path(__file__).resolve().parent.parent
    if is_own or (here / "thimble" / "__init__.py").is_file():  # a clone has both, of one version
        return None
    return next((path for path in (here / "pipeline" / "__init__.py", here / "pipeline.py") if path.is_file()), None)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "wanted",
        nargs="*",
        metavar="EXTRA",
        default=list(WHOLE_RUN),
        help=f"what must be there, of {', '.join(EXTRAS)} (default: {' '.join(WHOLE_RUN)})",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.errors import ThimbleError

    for extra in options.wanted:
        if extra not in EXTRAS:
            raise ThimbleError(f"{extra!r} is no extra of {DISTRIBUTION}", f"use some of: {', '.join(EXTRAS)}")
    findings = examine(tuple(options.wanted))
    missing = [finding for finding in findings if finding.needed and not finding.ok]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print(findings, missing, console)
    return 1 if missing else 0


def _print(findings: list[Finding], missing: list[Finding], console: Console) -> None:
    from rich.table import Table

    place = f"the clone {ROOT}" if IN_CLONE else str(Path(__file__).resolve().parent.parent)
    console.print(f"thimble {VERSION} from {place}", highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    group = ""
    for finding in findings:
        mark = "[green]✓[/]" if finding.ok else "[red]✗[/]" if finding.needed else "[dim]-[/]"
        wanted = f"[dim]needs {finding.wanted}[/]" if finding.wanted and not finding.ok else ""
        state = finding.found or ("missing" if finding.needed else "not installed")
        title = EXTRAS.get(finding.group, "")
        if finding.group != group:
            group = finding.group
            table.add_row("", f"[bold]{group}[/]", f"[dim]{title}[/]", "")
        table.add_row(mark, f"  {finding.name}", state, wanted)
    console.print(table, highlight=False)
    if (hiding := _hiding()) is not None:
        console.print(
            f"[yellow]![/] {hiding} hides Thimble's package `pipeline` from Python started in this folder: "
            "`import thimble` ends in an error here; the command `thimble` works",
            highlight=False,
        )
    if not missing:
        console.print("[green]✓[/] everything that is needed is here")
        return
    console.print(f"[red]✗[/] {len(missing)} missing or of another version; what brings them:")
    extras = sorted({finding.group for finding in missing if finding.group in EXTRAS} - {"tasks"})
    if "tasks" in {finding.group for finding in missing} and "train" not in extras:
        extras.append("tasks")
    if extras or any(finding.group == "core" for finding in missing):
        console.print(f"  {install_command(*extras)}", highlight=False, markup=False)
    if any(finding.group == "tools" for finding in missing):
        console.print(f"  {command('tools --install')}", highlight=False)
    if any(finding.group == "python" for finding in missing):
        console.print(f"  a Python {_project().requires_python}; this one is {sys.executable}", highlight=False)


COMMAND = Command(
    "doctor",
    "say what is installed, what is missing, and the command that mends it",
    _arguments,
    _work,
)
