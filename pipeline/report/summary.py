"""What a finished run says in the terminal: what was typed, what the model understands, what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.report.page import worst_first
from pipeline.verification.likelihood import format_metric
from pipeline.verification.result import RESULT, Estimate, RunResult
from pipeline.verification.sentence_tests import overall
from pipeline.workflow.artifacts import PAGE, PROJECT, TESTS
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["print_serial_summary", "print_step_summary", "print_summary"]

_MAX_MISTAKES = 10


def print_summary(recipe: Recipe, workspace: Workspace, console: Console) -> None:
    """Prints sample answers, what the model understands, costs and output paths."""
    tests = workspace.path(TESTS.of("evaluate"))
    for board in recipe.boards:
        key = target_key(board, recipe.engine)
        result = RESULT.load(workspace.folder / key)
        _print_answers(result, console)
        if board == recipe.boards[0]:  # the tests are the host's, and each board is held to its answers
            if result.tests and tests.exists():
                _print_tests(TESTS.load(tests.parent), console)
            elif hasattr(recipe.task, "tests"):
                console.print(
                    "\nno tests: name a file of sentences and answers in `task: {tests: …}` to see how many are right",
                    markup=False,
                    highlight=False,
                )
        _print_quality(result, console, "text of its own" if recipe.weights is not None else "held-out text")
        _print_cost(result, console)
        for line in result.failures:
            console.print(f"[red]✗[/] {escape(line)}", highlight=False)
        console.print(f"\nfirmware project  {workspace.path(PROJECT.of('firmware'), key)}", highlight=False)
        console.print(f"result            {RESULT.path(workspace.folder / key)}", highlight=False)
    console.print(f"report            {workspace.path(PAGE.of('report'))}", highlight=False)
    console.print(f"talk to it        {command(f'chat {recipe.path}')}", highlight=False)


def print_step_summary(result: RunResult, folder: Path, console: Console) -> None:
    """Prints sample answers, costs and output paths of a decode step without a recipe.

    Args:
        result: of the run.
        folder: that `compile --project` wrote.
        console: where to print.
    """
    _print_answers(result, console)
    _print_cost(result, console)
    console.print(f"\nfirmware project  {PROJECT.path(folder)}", highlight=False)
    console.print(f"result            {RESULT.path(folder)}", highlight=False)
    console.print(f"report            {PAGE.path(folder)}", highlight=False)


def print_serial_summary(result: RunResult, console: Console) -> None:
    """Prints a real board's answers and its own cycle counts."""
    _print_answers(result, console)
    times = result.milliseconds
    if result.cycles is not None:
        unit, how = "cycles", "measured"
        cycles = result.cycles
        mean, worst, fed = cycles.decode_mean.likely, cycles.decode_max.likely, cycles.prefill_per_token.likely
    else:
        assert result.instructions is not None, "a board counts instructions or cycles"
        unit, how = "instructions", "at one cycle an instruction,"
        counts = result.instructions
        mean, worst, fed = counts.decode_mean, counts.decode_max, counts.prefill_per_token
    console.print(
        f"\n{len(result.prompts)} prompts equal TensorFlow Lite Micro's at every step\n"
        f"{mean:,.0f} {unit} a token (the last of the context {worst:,.0f}), "
        f"{fed:,.0f} a token of a prompt\n"
        f"{times.decode_mean.likely:.2f} ms a token (the last of the context {times.decode_max.likely:.2f}), "
        f"the first of the longest prompt there can be {times.prompt_max.likely:.1f} ms, {how} at "
        f"{result.clock_hz / 1e6:g} MHz",
        highlight=False,
    )


def _print_answers(result: RunResult, console: Console) -> None:
    emulator = result.emulator
    how = "on serial port" if emulator.name == "serial" else f"emulated by {emulator.name}"
    console.print(f"\n[bold]Typed into {result.board}[/], {how} {emulator.version}:")
    table = Table("sentence", "the board's answer", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for prompt in result.prompts:
        table.add_row(escape(prompt.text or "(nothing)"), f"[green]{escape(prompt.text_out)}[/]")
    console.print(table)


def _print_tests(summary: dict[str, Any], console: Console) -> None:
    """The counts of all tests, of the groups in which not all are right, and the mistakes of the half `look`."""
    counts = overall(summary)
    console.print(
        f"\n[bold]{counts.share('right'):.1%} of {counts.total} tests right[/], {counts.share('nothing'):.1%} nothing "
        f"done, {counts.share('wrong'):.1%} wrong action",
        highlight=False,
    )
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in ("right", "nothing", "wrong"):
        table.add_column(name, justify="right")
    for half, some in summary["halves"].items():
        table.add_row(f"half {half}", *_cells(some))
    for title, key in (("kind", "kinds"), ("intent", "intents")):
        for name, halves in worst_first(summary[key]).items():
            if halves["all"]["nothing"] or halves["all"]["wrong"]:
                table.add_row(f"{title} {escape(name)}", *_cells(halves["all"]))
    console.print(table)
    mistakes = sorted(summary["mistakes"], key=lambda mistake: mistake["verdict"] != "wrong")
    for mistake in mistakes[:_MAX_MISTAKES]:
        color = "red" if mistake["verdict"] == "wrong" else "yellow"
        console.print(
            f"[{color}]{mistake['verdict']:7}[/]  {escape(mistake['sentence'])}  [dim]→ {escape(mistake['answer'])}[/]",
            highlight=False,
        )
    if len(mistakes) > _MAX_MISTAKES:
        console.print(f"and {len(mistakes) - _MAX_MISTAKES} more in the report", highlight=False)


def _cells(counts: Mapping[str, int]) -> list[str]:
    return [str(counts[name]) for name in ("right", "nothing", "wrong")]


def _print_cost(result: RunResult, console: Console) -> None:
    instructions, cycles, flash, ram = result.instructions, result.cycles, result.flash_bytes, result.ram_bytes
    assert instructions is not None and cycles is not None, "an emulator counts instructions, from which cycles follow"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    times = result.milliseconds
    table.add_row(
        "time, modelled",
        f"{_range(times.decode_mean)} ms a token, at {result.clock_hz / 1e6:g} MHz; {cycles.model}",
    )
    table.add_row(
        "at most",
        f"{times.decode_max.high:.1f} ms a token, the last of the context; {times.prompt_max.high:.1f} ms to the first "
        f"of a prompt that fills it, {instructions.read_max / max(instructions.prompt_max, 1):.0%} to read its text",
    )
    table.add_row(
        "flash",
        f"{flash.total / 1024:.1f} KB of {flash.size / 1024:,.0f} KB: weights {flash.weights / 1024:.1f}, "
        f"tables {flash.tables / 1024:.1f}, code {flash.code / 1024:.1f}",
    )
    table.add_row(
        "RAM",
        f"{ram.total / 1024:.1f} KB of {ram.size / 1024:,.0f} KB: KV cache {ram.kv_cache / 1024:.1f}, "
        f"activations {ram.activations / 1024:.1f}, stack peak {ram.stack_peak / 1024:.1f}",
    )
    if instructions.answer_mean:
        table.add_row(
            "an answer",
            f"{instructions.answer_mean:,.0f} instructions in the mean, only what is allowed computed; "
            f"{instructions.answer_own_mean:,.0f} of them after the prompt",
        )
    table.add_row(
        "instructions",
        f"{instructions.decode_mean:,.0f} a token, {instructions.prefill_per_token:,.0f} a token of a prompt; "
        f"{instructions.per_mac:.2f} a multiply-accumulate; at most {instructions.decode_seen:,.0f} and "
        f"{instructions.prompt_seen:,.0f} a whole prompt in {len(result.prompts)} prompts, "
        f"{instructions.decode_max:,.0f} and {instructions.prompt_max:,.0f} with a full context",
    )
    console.print()
    console.print(table)


def _range(span: Estimate) -> str:
    """`likely (low to high)`."""
    return f"{span.likely:.1f} ({span.low:.1f} to {span.high:.1f})"


def _print_quality(result: RunResult, console: Console, text: str) -> None:
    quality = result.quality
    names = {"float": "float", "quantized": "quantized, host", "device": "quantized, board", "hassil": "hassil itself"}
    engines = [engine for engine in names if quality.get(engine)]
    if not engines:
        return
    what = text if "nll" in quality["float"] else "exact match"
    if result.quick:
        what += ", quick: little of it" if "nll" in quality["float"] else ", quick: few sentences"
    table = Table(what, *(names[engine] for engine in engines), box=None, header_style="dim", padding=(0, 2, 0, 0))
    for split in dict.fromkeys(key for engine in engines for key in quality[engine]):
        cells = [format_metric(split, quality[engine][split]) if split in quality[engine] else "" for engine in engines]
        table.add_row(split.replace("_", " "), *cells)
    console.print()
    console.print(table)
