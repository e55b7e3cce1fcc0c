"""Whether a run keeps the recipe's budgets."""

from __future__ import annotations

from pipeline.recipes.schema import Budgets

__all__ = ["over_budget"]


def over_budget(budgets: Budgets, flash: int, ram: int, ms_per_token: float, ms_to_first_token: float) -> list[str]:
    """A line for each budget that is exceeded, with the figures.

    Args:
        flash, ram: bytes in use.
        ms_per_token: the high estimate of the worst step. ms_to_first_token: that of the worst prompt.
    """
    lines = []
    if budgets.flash is not None and flash > budgets.flash:
        lines.append(f"flash: {flash:,} bytes are used, the budget is {budgets.flash:,}")
    if budgets.ram is not None and ram > budgets.ram:
        lines.append(f"RAM: {ram:,} bytes are used, the budget is {budgets.ram:,}")
    if budgets.ms_per_token is not None and ms_per_token > budgets.ms_per_token:
        lines.append(
            f"time: the slowest token takes {ms_per_token:.2f} ms by the high estimate, "
            f"the budget is {budgets.ms_per_token:g} ms"
        )
    if budgets.ms_to_first_token is not None and ms_to_first_token > budgets.ms_to_first_token:
        lines.append(
            f"time: the first token of the longest prompt takes {ms_to_first_token:.2f} ms by the high estimate, "
            f"the budget is {budgets.ms_to_first_token:g} ms"
        )
    return lines
