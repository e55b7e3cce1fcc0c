"""Progress of a training in the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.training.loop import Progress as Report

__all__ = ["training_progress"]

_EVERY = 100  # steps a line, where there is no terminal


@contextlib.contextmanager
def training_progress(console: Console, title: str) -> Iterator[Report]:
    """A bar with steps, loss and exact match; where there is no terminal, a line now and then."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, figures="")

        def report(done: int, steps: int, figures: dict[str, float]) -> None:
            text = f"loss {figures['loss']:.4f}" if "loss" in figures else ""
            if "dev_exact_match" in figures:
                text += f", exact match on dev {100 * figures['dev_exact_match']:.1f} %"
            if "agreement" in figures:
                text += f", agreement {100 * figures['agreement']:.1f} %"
            bar.update(task, completed=done, total=steps, figures=text)
            if not console.is_terminal and done % _EVERY == 0:
                console.print(f"  step {done:,} of {steps:,}: {text}", highlight=False)

        yield report
