"""What a training leaves in its folder while it runs: its state, from which it goes on, and its curve."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = [
    "CHECKPOINT",
    "HISTORY",
    "Checkpoint",
    "discard_checkpoint",
    "interruptible",
    "read_history",
    "write_history",
]

CHECKPOINT = "checkpoint.npz"
HISTORY = "log/history.csv"
_SECONDS = 60.0
"""Between two checkpoints."""
_COLUMNS = ("step", "loss", "learning_rate", "dev_loss", "dev_exact_match", "seconds")


class Checkpoint:
    """A training's state in a file that is always whole: variables, and plain data as JSON.

    Args:
        path: The file.
        variables: All that training changes, in an order that is the same in every process.
        settings: What the training is given; a checkpoint of other settings is not taken.
    """

    def __init__(self, path: Path, variables: Sequence[tf.Variable], settings: Mapping[str, Any]) -> None:
        self._path = path
        self._variables = list(variables)
        self._settings = json.dumps(settings, sort_keys=True, default=str)

    def save(self, facts: Mapping[str, Any]) -> None:
        """Writes the variables as they are now, and the facts; renamed into place when whole."""
        arrays = {f"v{index}": variable.numpy() for index, variable in enumerate(self._variables)}
        beside = self._path.with_name(f".{self._path.name}.tmp")
        with beside.open("wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), settings=np.array(self._settings), **arrays)
        os.replace(beside, self._path)

    def step_of_file(self) -> int:
        """Steps done in the state that lies in the file; 0 where there is none of these settings."""
        read = self._read()
        return 0 if read is None else int(read[1].get("step", 0))

    def load(self) -> dict[str, Any] | None:
        """Puts what was saved into the variables.

        Returns:
            The facts; None, and the variables as they were, where the file is missing, damaged or of another training.
        """
        read = self._read()
        if read is None:
            return None
        values, facts = read
        for value, variable in zip(values, self._variables, strict=True):
            variable.assign(value)
        return facts

    def _read(self) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        try:
            with np.load(self._path) as data:
                if str(data["settings"]) != self._settings:
                    return None
                values = [data[f"v{index}"] for index in range(len(self._variables))]
                facts = dict(json.loads(str(data["facts"])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        pairs = zip(values, self._variables, strict=True)
        return None if any(value.shape != tuple(variable.shape) for value, variable in pairs) else (values, facts)


def discard_checkpoint(folder: Path) -> None:
    """Removes the checkpoint of a training whose result is kept elsewhere by now."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def write_history(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes the curve as CSV, renamed into place when whole: step, loss, learning_rate, dev_loss, dev_exact_match and
    seconds, empty where a row has none."""
    path = folder / HISTORY
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(beside, path)


def read_history(folder: Path) -> list[dict[str, float]]:
    """What `write_history` wrote; a row has only what was measured."""
    with (folder / HISTORY).open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@contextlib.contextmanager
def interruptible(save: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Saves the state of a training by time and where it is asked to stop.

    Ctrl-C and SIGTERM are held back until the work is at a point where it can stop; a second one stops it at once.

    Args:
        save: Writes the state.

    Yields:
        A function to call at such a point, which saves once a minute. Where a signal has come it saves and raises
        KeyboardInterrupt, or SystemExit with status 143 for SIGTERM.
    """
    came: list[int] = []
    before: dict[int, Any] = {}
    saved = time.monotonic()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()

    def checkpoint() -> None:
        nonlocal saved
        if came or time.monotonic() - saved >= _SECONDS:
            save()
            saved = time.monotonic()
        if came:
            raise KeyboardInterrupt if came[0] == signal.SIGINT else SystemExit(128 + came[0])

    if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    try:
        yield checkpoint
    finally:
        restore()
