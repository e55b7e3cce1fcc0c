"""The bar of the evaluation says what it measures, how much is done, and nothing where there is no terminal."""

from __future__ import annotations

import io

from rich.console import Console

from pipeline.stages.evaluate import evaluation_progress


def drawn(is_terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=120)
    with evaluation_progress(console, 8) as progress:
        with progress("float: new names", 4) as report:
            report(2)
        with progress("quantized, on the host: noisy", 4) as report:
            report(4)
    return text.getvalue()


def test_each_part_is_announced_and_the_last_ends_at_the_whole() -> None:
    shown = drawn(is_terminal=True)
    assert "quantized, on the host: noisy" in shown and "100%" in shown


def test_nothing_is_drawn_into_a_file() -> None:
    assert drawn(is_terminal=False).strip() == ""
