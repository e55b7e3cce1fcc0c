"""The result of a run, put together from what was verified, built and timed: the same for emulators and real boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipeline.recipes.schema import Budgets
from pipeline.targets.boards import Board
from pipeline.verification.budgets import accuracy_failures, over_budget, text_failures
from pipeline.verification.checks import Verification
from pipeline.verification.result import (
    BudgetResult,
    CycleCounts,
    EmulatedCounts,
    EmulatorVersion,
    FlashBytes,
    InstructionCounts,
    LayerCost,
    RamBytes,
    RunResult,
    StepEstimates,
    TestCounts,
)
from pipeline.verification.sentence_tests import unmet_tests

__all__ = ["Described", "assemble_result", "flash_bytes", "ram_bytes"]


class Described(Protocol):
    """What a result says of that which ran: a recipe, or a decode step without one."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> str: ...

    @property
    def budgets(self) -> Budgets: ...

    @property
    def quick(self) -> bool:
        """Whether accuracy was measured on few sentences."""
        ...

    @property
    def is_imported(self) -> bool:
        """Whether the weights come from elsewhere, and nothing here says how they were trained."""
        ...


def assemble_result(
    recipe: Described,
    board: Board,
    emulator: EmulatorVersion,
    verification: Verification,
    *,
    sizes: Mapping[str, Any],
    compiled: Mapping[str, Any],
    clock_hz: int,
    instructions: InstructionCounts | None,
    cycles: CycleCounts | None,
    milliseconds: StepEstimates,
    more_checks: Mapping[str, bool] | None = None,
    more_failures: Sequence[str] = (),
    layers: Sequence[Mapping[str, Any]] = (),
    quality: Mapping[str, dict[str, float]] | None = None,
    tests: Mapping[str, Any] | None = None,
    quality_sentences: Mapping[str, int] | None = None,
    versions: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
    emulated: EmulatedCounts | None = None,
) -> RunResult:
    """The result; the budgets are checked against the high estimates.

    Args:
        recipe: what ran.
        board: where.
        emulator: on what.
        verification: what the board answered.
        sizes: the content of the firmware's `sizes.json`.
        compiled: the content of its `compiled.json`.
        clock_hz: at which `milliseconds` hold.
        instructions: None where the board counted cycles.
        cycles: None where nothing is known of them.
        milliseconds: low, likely and high.
        more_checks: besides those of the verification.
        more_failures: their lines.
        layers: the cost of each, with the fields of `LayerCost`.
        quality: figures by engine and split.
        tests: what came of the task's tests, as `pipeline.verification.sentence_tests.summarize` has it.
        quality_sentences: how many sentences were asked.
        versions: of the tools.
        seconds: that each stage took.
        emulated: an emulator's figures, beside a real board's.
    """
    flash, ram = flash_bytes(sizes, board), ram_bytes(sizes, compiled, verification.stack_peak, board)
    budgets, quality = recipe.budgets.for_board(board.name), dict(quality or {})
    exceeded = over_budget(budgets, flash.total, ram.total, milliseconds.decode_max.high, milliseconds.prompt_max.high)
    checks = {**verification.checks, "budgets_met": not exceeded, **(more_checks or {})}
    if "device" in quality:
        inaccurate = accuracy_failures(budgets, quality["float"], quality["quantized"])
        checks["accuracy"] = not inaccurate
        exceeded += inaccurate
    if "perplexity_loss" in quality.get("quantized", {}):
        unlikely = text_failures(budgets, quality["quantized"], is_imported=recipe.is_imported)
        checks["accuracy"] = not unlikely
        exceeded += unlikely
    if tests is not None:
        failed = unmet_tests(dict(tests), budgets.min_tests, budgets.max_wrong_action)
        checks["tests"] = not failed
        exceeded += failed
    return RunResult(
        recipe=recipe.name,
        board=board.name,
        engine=recipe.engine,
        emulator=emulator,
        ok=all(checks.values()),
        checks=checks,
        failures=(*verification.failures, *more_failures, *exceeded),
        prompts=verification.prompts,
        instructions=instructions,
        cycles=cycles,
        milliseconds=milliseconds,
        clock_hz=clock_hz,
        macs=compiled["macs"],
        flash_bytes=flash,
        ram_bytes=ram,
        budgets=BudgetResult(limits=budgets.limits(), failures=tuple(exceeded)),
        layers=tuple(LayerCost.model_validate(layer) for layer in layers),
        quality=quality,
        tests={} if tests is None else {half: TestCounts(**counts) for half, counts in tests["halves"].items()},
        quick=recipe.quick,
        quality_sentences=dict(quality_sentences or {}),
        versions=dict(versions or {}),
        seconds=dict(seconds or {}),
        emulated=emulated,
    )


def flash_bytes(sizes: Mapping[str, Any], board: Board) -> FlashBytes:
    """Flash in use, from the image's sections; initial values of variables count as tables."""
    return FlashBytes(
        code=sizes["code"],
        weights=sizes["weights"],
        tables=sizes["tables"] + sizes["data"],
        total=sizes["flash"],
        size=board.flash.size,
    )


def ram_bytes(sizes: Mapping[str, Any], compiled: Mapping[str, Any], stack_peak: int, board: Board) -> RamBytes:
    """RAM in use: the model's memory by the compiler's plan, the rest from the image's sections."""
    parts = {
        "kv_cache": compiled["kv_cache_bytes"],
        "activations": compiled["arena_bytes"],
        "application": sizes["static"],
        "stack": sizes["stack"],
    }
    return RamBytes(
        **parts,
        total=sum(parts.values()),
        stack_peak=stack_peak,
        largest_live_set=compiled["largest_live_set"],
        size=board.ram.size,
    )
