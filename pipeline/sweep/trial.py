"""One point of a sweep, in a process of its own: its recipe through the pipeline's runner, and what was measured.

A process a point keeps TensorFlow's memory and a crash to that point. Started as `python -m pipeline.sweep.trial JOB`;
it ends with the process that started it, whose end closes its standard input.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.extras import needs_extras
from pipeline.files import write_json
from pipeline.resources import ROOT

__all__ = ["Job", "Outcome", "failure", "run_trial", "stop_all"]

_THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
_OUTCOME = "outcome.json"

_running: set[subprocess.Popen[bytes]] = set()

Outcome = dict[str, Any]
"""`point`, `ok`, `seconds`; then `results` by board and `parameters`, or `error` and `remedy`."""


@dataclass(frozen=True)
class Job:
    """A point to run: its recipe as text, and where things go (absolute paths): the recipe, the workspaces of all
    points, shared stages, and the log, beside which the outcome lies."""

    point: str
    text: str
    recipe: str
    build: str
    shared: str
    log: str
    boards: tuple[str, ...] = ()
    emulator: str | None = None


def run_trial(job: Job) -> Outcome:
    """Runs the point in a new process and returns its outcome; failures inside are part of the outcome."""
    log = Path(job.log)
    for path in (log, Path(job.recipe)):
        path.parent.mkdir(parents=True, exist_ok=True)
    Path(job.recipe).write_text(job.text, encoding="utf-8")
    outcome = log.parent / _OUTCOME
    outcome.unlink(missing_ok=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "pipeline.sweep.trial", json.dumps(dataclasses.asdict(job))]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_THREADS, **os.environ},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the sweep's; it ends its points itself
        )
        _running.add(process)
        try:
            status = process.wait()
        finally:
            _running.discard(process)
    seconds = round(time.monotonic() - started, 1)
    with contextlib.suppress(OSError, ValueError):
        return {**json.loads(outcome.read_text(encoding="utf-8")), "seconds": seconds}
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return {**failure(job.point, f"its process ended with {how}", f"see {log}"), "seconds": seconds}


def failure(point: str, error: str, remedy: str) -> Outcome:
    """The outcome of a failed point."""
    return {"point": point, "ok": False, "error": error, "remedy": remedy, "seconds": 0.0}


def stop_all() -> None:
    """Ends the processes that `run_trial` waits for in this process's threads."""
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _run(job: Job) -> Outcome:
    from pipeline.recipes.load import load_recipe
    from pipeline.stages.registry import run_recipe
    from pipeline.verification.result import RESULT
    from pipeline.workflow.runner import RunOptions
    from pipeline.workflow.workspace import target_key

    recipe = load_recipe(Path(job.recipe))
    if job.boards:
        recipe = recipe.with_boards(job.boards)
    options = RunOptions(Path(job.build), "emulate", emulator=job.emulator, shared=Path(job.shared))
    workspace = run_recipe(recipe, options, Console(width=200, soft_wrap=True))
    results = {
        board: RESULT.load(workspace.folder / target_key(board, recipe.engine)).as_data() for board in recipe.boards
    }
    return {"point": job.point, "ok": True, "parameters": recipe.model.parameter_count, "results": results}


def _end_with_parent() -> None:
    """Waits for the end of standard input, then ends this process and all that it started."""
    while os.read(sys.stdin.fileno(), 1):  # not through Python's buffer, whose lock this thread would hold at the end
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _main(text: str) -> int:
    fields = json.loads(text)
    job = Job(**{**fields, "boards": tuple(fields["boards"])})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with needs_extras("compile", "prove", "train"):
            outcome = _run(job)
    except ThimbleError as error:
        print(f"error: {error.what}\n  fix: {error.remedy}", flush=True)
        outcome = failure(job.point, error.what, error.remedy)
    except Exception as error:  # whatever a point fails with, the sweep reports it and goes on
        traceback.print_exc()
        outcome = failure(job.point, f"{type(error).__name__}: {error}", f"see {job.log}")
    write_json(Path(job.log).parent / _OUTCOME, outcome)
    return 0 if outcome["ok"] else 1


if __name__ == "__main__":
    tools.configure_tensorflow()
    sys.exit(_main(sys.argv[1]))
