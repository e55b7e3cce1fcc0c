"""The way in: `nox -s demo` runs the main job, `nox -s tests` the tests, `nox --list` shows the rest.

Sessions take only what they need. An environment is made on first use, and again when its requirements in
pyproject.toml change:

    .nox/thimble   everything, 3 GB, of it 1.9 GB TensorFlow: all that runs a recipe, and `tests`
    .nox/fast      what needs no TensorFlow: `fast`, `renode`
    .nox/lint      ruff, mypy, import-linter, clang-tidy, cppcheck, codespell: `lint`, `schemas`
    .nox/browser   what drives a browser: `playground_tests`, `playground_picture`
    .nox/exports   tools of other build systems: `exports`, beside .nox/thimble
    .nox/docs      what makes the site: `docs`

The Arm toolchain and QEMU come from the system's packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
DEMO = "models/home-en-small/recipe.yaml"
SWEEP = "models/sweeps/home-en.yaml"

EXTRAS = {
    "thimble": ("all", "ray", "test", "lint"),
    "fast": ("compile", "prove", "tasks", "sweep", "serve", "test"),
    "lint": ("compile", "tasks", "test", "lint", "c-lint", "spelling"),
    "browser": ("compile", "prove", "tasks", "test", "browser"),
    "exports": ("export-tools",),
    "docs": ("docs",),
}
"""The environments in `.nox`, and the extras of pyproject.toml that each holds beside the core."""
STAGES: dict[str, str] = runpy.run_path(str(ROOT / "pipeline" / "stages" / "__init__.py"))["SUMMARIES"]


def environment(session: nox.Session, name: str = "thimble") -> Path:
    """The environment's Python, made if it is not there or not current."""
    folder = ROOT / ".nox" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = folder / "thimble-requirements"
    state = state_of(EXTRAS[name])
    if not (mark.exists() and mark.read_text() == state and python.exists()):
        size = " (3 GB of Python packages)" if name == "thimble" else ""
        session.log(f"setting up .nox/{name}{size}, once; this takes a minute or more")
        quiet = [] if sys.stdout.isatty() else ["-qq"]  # in a terminal pip shows its progress
        session.run(sys.executable, "-m", "virtualenv", "--clear", "-q", str(folder), external=True)
        project = f"{ROOT}[{','.join(EXTRAS[name])}]"
        session.run(str(python), "-m", "pip", "install", *quiet, "-e", project, external=True)
        mark.write_text(state)
    return python


def state_of(extras: tuple[str, ...]) -> str:
    """A digest of all that an environment with these extras is made from."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = data["project"]
    wanted = {"": project["dependencies"]}
    ahead = list(extras)
    while ahead:
        extra = ahead.pop()
        if extra not in wanted:
            wanted[extra] = project["optional-dependencies"][extra]
            for requirement in wanted[extra]:
                if own := re.fullmatch(rf"{project['name']}\[(.*)\]", requirement):
                    ahead += own[1].split(",")
    facts = [sys.version, str(ROOT), data["build-system"], project["scripts"], wanted]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def c_files() -> list[str]:
    """All C that is ours."""
    folders = (ROOT / "firmware_templates", ROOT / "tests")
    return [str(path) for folder in folders for path in sorted(folder.rglob("*.[ch]"))]


def with_toolchain(session: nox.Session) -> Path:
    """The Python of the environment with everything, the Arm toolchain and QEMU being there."""
    python = environment(session)
    session.run(str(python), "-m", "pipeline", "tools", "--install", external=True)
    return python


def pipeline(session: nox.Session, *command: str) -> None:
    """`python -m pipeline COMMAND` with the session's arguments, or the demo's recipe where none are given."""
    python = with_toolchain(session)
    arguments = list(session.posargs)
    if not any(argument.endswith((".yaml", ".yml")) for argument in arguments):
        arguments.insert(0, DEMO)
    session.run(str(python), "-m", "pipeline", *command, *arguments, external=True)


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """The main job with the shipped weights: quantize, convert, build, emulate, verify, report."""
    pipeline(session, "run")


def run_tests(session: nox.Session, *chosen: str) -> None:
    """pytest on all processors, with the session's arguments."""
    python = with_toolchain(session)
    # A file's tests stay in one process: they share what takes long to build. tests/conftest.py begins with long files.
    parallel = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run(str(python), "-m", "pytest", *parallel, *chosen, *session.posargs, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """The tests, on all processors; arguments go to pytest (`-- -n 0`: one after the other; `-- -m ''`: all cases)."""
    run_tests(session, "-m", "not variant")


@nox.session(venv_backend="none")
def variants(session: nox.Session) -> None:
    """More cases of the longest tests: other shapes, cores, boards, builds, seeds; with `tests` they are all."""
    run_tests(session, "-m", "variant")


@nox.session(venv_backend="none")
def fast(session: nox.Session) -> None:
    """The tests that need no TensorFlow, no emulator and less than a minute; arguments go to pytest."""
    python = environment(session, "fast")
    chosen = () if any(not argument.startswith("-") for argument in session.posargs) else ("tests/unit", "tests/oracle")
    parallel = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")
    command = (str(python), "-m", "pytest", "-q", *parallel, "-m", "not slow", *chosen, *session.posargs)
    session.run(*command, external=True)


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Wrong inputs against all that reads a file or a text, docs/reliability.md (`-- --minutes 10 --target recipe`)."""
    session.run(str(with_toolchain(session)), "-m", "tests.fuzz", *session.posargs, external=True)


@nox.session(venv_backend="none")
def golden(session: nox.Session) -> None:
    """Every recorded digest of generated C, four minutes; `tests` checks those that TensorFlow need not convert."""
    session.run(str(with_toolchain(session)), "-m", "tests.golden", *session.posargs, external=True)


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """The C library under every compiler, option and core, as a table, half an hour (`-- --targets m4f --builds -O2`).
    Uses, where installed, clang and lld, gcc-riscv64-unknown-elf with picolibc-riscv64-unknown-elf, and qemu-user."""
    session.run(str(with_toolchain(session)), "-m", "tests.kernels", *session.posargs, external=True)


@nox.session(venv_backend="none")
def exports(session: nox.Session) -> None:
    """Every form of `thimble export`, built and run: docs/exports.md. Installs what they need from apt and PyPI; what
    is missing all the same is skipped, with the reason; arguments go to pytest."""
    python = with_toolchain(session)
    tools = environment(session, "exports").parent
    session.run(str(python), "-m", "tests.exports", external=True)
    environment_of_tests = {"THIMBLE_EXPORTS": "1", "THIMBLE_EXPORT_TOOLS": str(tools)}
    session.run(str(python), "-m", "pytest", "tests/exports", *session.posargs, env=environment_of_tests, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """ruff, mypy, the rule which package may import which (import-linter), spelling (codespell), C's layout
    (clang-format), what clang-tidy and cppcheck find in it, and whether docs/schemas is current."""
    python = environment(session, "lint")
    session.run(str(python), "-m", "ruff", "check", ".", external=True)
    session.run(str(python), "-m", "ruff", "format", "--check", ".", external=True)
    session.run(str(python), "-m", "mypy", external=True)
    session.run(str(python.parent / "lint-imports"), external=True)
    session.run(str(python.parent / "codespell"), external=True)
    session.run(str(python.parent / "clang-format"), "--dry-run", "-Werror", *c_files(), external=True)
    session.run(str(python), "-m", "tests.c_lint", external=True)
    session.run(str(python), "-m", "pipeline", "schemas", "--check", external=True)


@nox.session(venv_backend="none", name="format")
def format_(session: nox.Session) -> None:
    """Lay out Python and C as `lint` wants them."""
    python = environment(session, "lint")
    session.run(str(python), "-m", "ruff", "format", ".", external=True)
    session.run(str(python.parent / "clang-format"), "-i", *c_files(), external=True)


@nox.session(venv_backend="none")
def schemas(session: nox.Session) -> None:
    """Write the JSON schemas in docs/schemas anew from the types."""
    session.run(str(environment(session, "lint")), "-m", "pipeline", "schemas", *session.posargs, external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """The documentation as a site in build/docs, which needs no network; a broken link is an error (`-- --serve` shows
    it at http://127.0.0.1:8000 and follows edits)."""
    build_site(session, "serve" if "--serve" in session.posargs else "build")


def build_site(session: nox.Session, action: str = "build") -> None:
    """MkDocs, strict."""
    python = environment(session, "docs")
    command = (str(python), "-m", "mkdocs", action, "--strict")
    session.run(*command, env={"NO_MKDOCS_2_WARNING": "1"}, external=True)


def stage_session(name: str, summary: str) -> None:
    """A session for a stage of the pipeline."""

    def run(session: nox.Session) -> None:
        pipeline(session, name)

    run.__doc__ = summary[0].upper() + summary[1:] + "."
    nox.session(name=name, venv_backend="none")(run)


for stage, text in STAGES.items():
    stage_session(stage, text)


@nox.session(venv_backend="none")
def renode(session: nox.Session) -> None:
    """Fetch the pinned portable release of Renode into build/renode, its SHA-256 checked."""
    python = environment(session, "fast")
    session.run(str(python), "-m", "pipeline", "renode", "fetch", external=True)


@nox.session(venv_backend="none")
def renode_tests(session: nox.Session) -> None:
    """The Robot suites on Renode, its result against QEMU's (`-- RECIPE --board B`)."""
    pipeline(session, "renode", "suites")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Instructions on six emulated cores, ours beside CMSIS-NN's and others (`-- --quick`, `-- --cores m4f,m55`)."""
    session.run(str(with_toolchain(session)), "-m", "pipeline", "bench", *session.posargs, external=True)


@nox.session(venv_backend="none")
def accuracy(session: nox.Session) -> None:
    """What people say, and what the models do: all tables of docs/accuracy.md (`-- --intents CHECKOUT` for those who
    have no `../shared`)."""
    shared = Path("..") / "shared"
    known = {"--sentences": shared / "human_sentences", "--assist": shared / "assist"}
    options = [str(part) for option, folder in known.items() if folder.is_dir() for part in (option, folder)]
    options += ["--foreign", "tests/foreign.en.jsonl", "--inflected", "tests"]
    command = ("-m", "pipeline", "bench", "accuracy", *options, *session.posargs)
    session.run(str(with_toolchain(session)), *command, external=True)


@nox.session(venv_backend="none")
def sweep(session: nox.Session) -> None:
    """Train and measure many recipes: what accuracy costs (`-- SWEEP --jobs N`, `--ray ADDRESS`)."""
    arguments = session.posargs or [SWEEP]
    session.run(str(with_toolchain(session)), "-m", "pipeline", "sweep", *arguments, external=True)


@nox.session(venv_backend="none")
def chat(session: nox.Session) -> None:
    """Type sentences to the emulated board."""
    pipeline(session, "chat")


@nox.session(venv_backend="none")
def playground(session: nox.Session) -> None:
    """One HTML file that runs the firmware's own C in a browser; clang and lld must be installed."""
    pipeline(session, "playground")


@nox.session(venv_backend="none")
def playground_tests(session: nox.Session) -> None:
    """The demo's playground, that of a stand-in, the report and the site, in Node and in the system's Chromium."""
    session.run(str(with_toolchain(session)), "-m", "pipeline", "playground", DEMO, external=True)
    build_site(session)
    page = ROOT / "build" / Path(DEMO).parent.name / "playground" / "index.html"
    python = environment(session, "browser")
    environment_of_tests = {"THIMBLE_PLAYGROUND": str(page), "THIMBLE_SITE": str(ROOT / "build" / "docs")}
    command = ("-m", "pytest", "tests/playground", *session.posargs)
    session.run(str(python), *command, env=environment_of_tests, external=True)


@nox.session(venv_backend="none")
def playground_picture(session: nox.Session) -> None:
    """The README's picture, docs/images/playground.png: the demo's playground in the system's Chromium, headless."""
    session.run(str(with_toolchain(session)), "-m", "pipeline", "playground", DEMO, external=True)
    session.run(str(environment(session, "browser")), "-m", "tests.playground.picture", external=True)
