"""The way in: `nox -s demo` runs the main job, `nox -s tests` the tests, `nox --list` shows the rest.

All sessions share one environment in `.nox/thimble`, because it takes 3 GB, 2.4 of them TensorFlow; it is made on
first use and again when the dependencies in pyproject.toml change. The Arm toolchain and QEMU come from the system's
packages.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.3.2"
nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".nox" / "thimble"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
DEMO = "models/home-en-small/recipe.yaml"
SWEEP = "models/sweeps/home-en.yaml"


def environment(session: nox.Session, toolchain: bool = True) -> None:
    """Makes the shared environment if it is not there or not current, and installs the toolchain if it is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    state = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()
    mark = ENVIRONMENT / "thimble-dependencies"
    if not (mark.exists() and mark.read_text() == state and PYTHON.exists()):
        session.log("setting up .nox/thimble: about 3 GB of Python packages, once; this takes a minute or more")
        quiet = [] if sys.stdout.isatty() else ["-qq"]  # in a terminal pip shows its progress
        session.run(sys.executable, "-m", "virtualenv", "--clear", "-q", str(ENVIRONMENT), external=True)
        session.run(str(PYTHON), "-m", "pip", "install", *quiet, *wanted, external=True)
        mark.write_text(state)
    if toolchain:
        session.run(str(PYTHON), "-m", "pipeline.tools", "--install", external=True, env={"PYTHONPATH": str(ROOT)})


def pipeline(session: nox.Session, command: str) -> None:
    """`python -m pipeline COMMAND` with the session's arguments, or the demo's recipe where none are given."""
    environment(session)
    arguments = list(session.posargs)
    if not any(argument.endswith((".yaml", ".yml")) for argument in arguments):
        arguments.insert(0, DEMO)
    session.run(str(PYTHON), "-m", "pipeline", command, *arguments, external=True)


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """The main job with the shipped weights: quantize, convert, build, emulate, verify, report."""
    pipeline(session, "run")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, on all processors; arguments go to pytest (`-- -n 0`: one after the other)."""
    environment(session)
    # A file's tests stay in one process: they share what takes long to build.
    parallel = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")
    session.run(str(PYTHON), "-m", "pytest", *parallel, *session.posargs, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """ruff, mypy, and the rule which package may import which (import-linter)."""
    environment(session, toolchain=False)
    session.run(str(PYTHON), "-m", "ruff", "check", ".", external=True)
    session.run(str(PYTHON), "-m", "ruff", "format", "--check", ".", external=True)
    session.run(str(PYTHON), "-m", "mypy", external=True)
    session.run(str(PYTHON.parent / "lint-imports"), external=True)


@nox.session(venv_backend="none")
def train(session: nox.Session) -> None:
    """Train the recipe's model (`-- RECIPE --retrain` where shipped weights match)."""
    pipeline(session, "train")


@nox.session(venv_backend="none")
def distill(session: nox.Session) -> None:
    """Let a larger model teach the trained one."""
    pipeline(session, "distill")


@nox.session(venv_backend="none")
def prune(session: nox.Session) -> None:
    """Prune and fine-tune."""
    pipeline(session, "prune")


@nox.session(venv_backend="none")
def qat(session: nox.Session) -> None:
    """Fine-tune with the integers' rounding in the forward pass."""
    pipeline(session, "qat")


@nox.session(venv_backend="none")
def quantize(session: nox.Session) -> None:
    """Write the full-integer .tflite of the decode step."""
    pipeline(session, "quantize")


@nox.session(venv_backend="none")
def convert(session: nox.Session) -> None:
    """Compile the .tflite to C and prove it against TensorFlow Lite Micro on the host."""
    pipeline(session, "convert")


@nox.session(venv_backend="none")
def evaluate(session: nox.Session) -> None:
    """Measure how often the float and the quantized model are right (`-- RECIPE`)."""
    pipeline(session, "evaluate")


@nox.session(venv_backend="none")
def firmware(session: nox.Session) -> None:
    """Generate and build the firmware project."""
    pipeline(session, "firmware")


@nox.session(venv_backend="none")
def emulate(session: nox.Session) -> None:
    """Run the firmware on the emulated board and verify it."""
    pipeline(session, "emulate")


@nox.session(venv_backend="none")
def renode(session: nox.Session) -> None:
    """Fetch the pinned portable release of Renode into build/renode, its SHA-256 checked."""
    environment(session, toolchain=False)
    session.run(str(PYTHON), "-m", "pipeline.emulators.renode.release", external=True)


@nox.session(venv_backend="none")
def renode_tests(session: nox.Session) -> None:
    """The Robot suites on Renode, its result against QEMU's (`-- RECIPE --board B`)."""
    environment(session)
    arguments = list(session.posargs)
    if not any(argument.endswith((".yaml", ".yml")) for argument in arguments):
        arguments.insert(0, DEMO)
    session.run(str(PYTHON), "-m", "pipeline.commands.renode_suites", *arguments, external=True)


@nox.session(venv_backend="none")
def report(session: nox.Session) -> None:
    """Write the pictures and build/RECIPE/report/index.html."""
    pipeline(session, "report")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Instructions on five emulated cores, ours beside CMSIS-NN's and others (`-- --quick`, `-- --cores m4f,m55`)."""
    environment(session)
    session.run(str(PYTHON), "-m", "pipeline.bench.run", *session.posargs, external=True)


@nox.session(venv_backend="none")
def sweep(session: nox.Session) -> None:
    """Train and measure many recipes: what accuracy costs (`-- SWEEP --jobs N`, `--ray ADDRESS`)."""
    environment(session)
    arguments = session.posargs or [SWEEP]
    session.run(str(PYTHON), "-m", "pipeline", "sweep", *arguments, external=True)


@nox.session(venv_backend="none")
def chat(session: nox.Session) -> None:
    """Type sentences to the emulated board."""
    pipeline(session, "chat")
