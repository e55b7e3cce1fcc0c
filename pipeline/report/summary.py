"""What a finished run says in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.verification.likelihood import format_metric
from pipeline.verification.result import RESULT, Estimate, RunResult
from pipeline.workflow.artifacts import PAGE, PROJECT
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["print_serial_summary", "print_summary"]


def print_summary(recipe: Recipe, workspace: Workspace, console: Console) -> None:
    """Prints sample answers, costs, accuracy and output paths."""
    for board in recipe.boards:
        key = target_key(board, recipe.engine)
        result = RESULT.load(workspace.folder / key)
        _print_answers(result, console)
        _print_cost(result, console)
        _print_quality(result, console, "text of its own" if recipe.weights is not None else "held-out text")
        for line in result.failures:
            console.print(f"[red]✗[/] {escape(line)}", highlight=False)
        console.print(f"\nfirmware project  {workspace.path(PROJECT.of('firmware'), key)}", highlight=False)
        console.print(f"result            {RESULT.path(workspace.folder / key)}", highlight=False)
    console.print(f"report            {workspace.path(PAGE.of('report'))}", highlight=False)
    console.print(f"talk to it        {command(f'chat {recipe.path}')}", highlight=False)


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
        f"{mean:,.0f} {unit} a token (worst {worst:,.0f}), "
        f"{fed:,.0f} a token of a prompt\n"
        f"{times.decode_mean.likely:.2f} ms a token (worst {times.decode_max.likely:.2f}), "
        f"first token within {times.prompt_max.likely:.1f} ms, {how} at {result.clock_hz / 1e6:g} MHz",
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


def _print_cost(result: RunResult, console: Console) -> None:
    instructions, cycles, flash, ram = result.instructions, result.cycles, result.flash_bytes, result.ram_bytes
    assert instructions is not None and cycles is not None, "an emulator counts instructions, from which cycles follow"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row(
        "instructions",
        f"{instructions.decode_mean:,.0f} a token (worst {instructions.decode_max:,.0f}), "
        f"{instructions.per_mac:.2f} a multiply-accumulate; "
        f"{instructions.prefill_per_token:,.0f} a token of a prompt",
    )
    if instructions.answer_mean:
        table.add_row(
            "an answer",
            f"{instructions.answer_mean:,.0f} instructions in the mean, only what is allowed computed; "
            f"{instructions.answer_own_mean:,.0f} of them after the prompt",
        )
    times = result.milliseconds
    table.add_row(
        "time, modelled",
        f"{_range(times.decode_mean)} ms a token (worst at most {times.decode_max.high:.1f}), first token "
        f"within {_range(times.prompt_max)} ms, at {result.clock_hz / 1e6:g} MHz; {cycles.model}",
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
    console.print()
    console.print(table)


def _range(span: Estimate) -> str:
    """`likely (low to high)`."""
    return f"{span.likely:.1f} ({span.low:.1f} to {span.high:.1f})"


def _print_quality(result: RunResult, console: Console, text: str) -> None:
    quality = result.quality
    names = {"float": "float", "quantized": "quantized, host", "device": "quantized, board", "hassil": "hassil itself"}
    engines = [engine for engine in names if quality.get(engine)]
    for half, counts in result.tests.items():
        console.print(
            f"tests, {half}: {counts.right} right, {counts.nothing} nothing, {counts.wrong} wrong", highlight=False
        )
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
