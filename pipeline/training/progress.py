"""Progress of a training in the terminal, in a log, and for TensorBoard."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipeline.training.loop import Progress as Report

__all__ = ["training_progress"]

_LINE_SECONDS = 30.0  # between two lines, where there is no terminal
_WINDOW = 50  # reports over which the speed is measured
_SCALARS = ("loss", "learning_rate", "dev_loss", "dev_exact_match", "agreement")


@contextlib.contextmanager
def training_progress(console: Console, title: str, tensorboard: Path | None = None) -> Iterator[Report]:
    """A bar with steps, figures, steps a second and time left; where there is no terminal, a line every 30 seconds.

    Args:
        console: Where it is shown.
        title: What is trained.
        tensorboard: A folder for TensorBoard's event files, if they are asked for.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    speed = _Speed()
    said = time.monotonic()
    with (
        _scalars(tensorboard) as write,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(title, total=None, figures="")

        def report(done: int, steps: int, figures: dict[str, float]) -> None:
            nonlocal said
            text = ", ".join(filter(None, (_figures(figures), speed.text(done, steps))))
            bar.update(task, completed=done, total=steps, figures=text)
            write(done, figures)
            now = time.monotonic()
            if not console.is_terminal and (now - said >= _LINE_SECONDS or done == steps):
                console.print(f"  step {done:,} of {steps:,}: {text}", highlight=False)
                said = now

        yield report


def _figures(figures: dict[str, float]) -> str:
    parts = [f"loss {figures['loss']:.4f}"] if "loss" in figures else []
    if "dev_exact_match" in figures:
        parts.append(f"exact match on dev {100 * figures['dev_exact_match']:.1f} %")
    elif "dev_loss" in figures:
        parts.append(f"on dev {figures['dev_loss']:.4f}")
    if "agreement" in figures:
        parts.append(f"agreement {100 * figures['agreement']:.1f} %")
    return ", ".join(parts)


class _Speed:
    """Steps a second over the last reports, and the time that is left at that speed."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def text(self, done: int, steps: int) -> str:
        """In words; empty until two reports have come."""
        self._reports.append((time.monotonic(), done))
        (began, first), (now, last) = self._reports[0], self._reports[-1]
        if last <= first or now <= began:
            return ""
        rate = (last - first) / (now - began)
        return f"{rate:.1f} steps/s, {timedelta(seconds=round((steps - done) / rate))} left"


@contextlib.contextmanager
def _scalars(folder: Path | None) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A function (step, figures) that writes TensorBoard's scalars, or does nothing."""
    if folder is None:
        yield lambda step, figures: None
        return
    import tensorflow as tf

    with contextlib.closing(tf.summary.create_file_writer(str(folder))) as writer:

        def write(step: int, figures: dict[str, float]) -> None:
            with writer.as_default():
                for name in _SCALARS:
                    if name in figures:
                        tf.summary.scalar(name, figures[name], step=step)

        yield write
