"""The stages, in the order in which data flows through them."""

from __future__ import annotations

from rich.console import Console

from pipeline.recipes.load import Recipe
from pipeline.stages import SUMMARIES
from pipeline.workflow.runner import RunOptions, run_stages
from pipeline.workflow.stage import Stage
from pipeline.workflow.workspace import Workspace

__all__ = ["all_stages", "run_recipe", "stage_names"]


def all_stages() -> tuple[Stage, ...]:
    """Every stage in order."""
    from pipeline.stages import convert, data, distill, emulate, evaluate, firmware, prune, qat, quantize, report, train

    modules = (data, train, distill, prune, qat, quantize, convert, evaluate, firmware, emulate, report)
    return tuple(module.STAGE for module in modules)


def stage_names() -> list[str]:
    """Names of all stages in order."""
    return list(SUMMARIES)


def run_recipe(recipe: Recipe, options: RunOptions, console: Console) -> Workspace:
    """Brings a recipe's stages up to date; see `run_stages`."""
    return run_stages(all_stages(), recipe, options, console)
