"""Whether a run keeps the recipe's budgets."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.recipes.schema import Budgets

__all__ = [
    "DEFAULT_MAX_LOSS",
    "DEFAULT_MAX_PERPLEXITY_LOSS",
    "accuracy_failures",
    "over_budget",
    "proof_holds",
    "text_failures",
]

_BUDGET_CHECKS = ("budgets_met", "accuracy", "tests")
DEFAULT_MAX_PERPLEXITY_LOSS = 25.0
"""Percent by which the perplexity of a quantized model may be above float's where its recipe, which says how to train
it, has no budget of that."""
DEFAULT_MAX_LOSS = 10.0
"""Points of exact match, mean of all splits, that a quantized model may lose where the recipe has no budget of
accuracy. The worst of the shipped sweep's models loses 4.8."""


def proof_holds(checks: Mapping[str, bool]) -> bool:
    """Whether all checks but those of budgets passed: the board did what it should, at whatever cost."""
    return all(passed for check, passed in checks.items() if check not in _BUDGET_CHECKS)


def over_budget(budgets: Budgets, flash: int, ram: int, ms_per_token: float, ms_to_first_token: float) -> list[str]:
    """Describes each exceeded budget, one line each.

    Args:
        flash, ram: bytes in use.
        ms_per_token: the high estimate of the step at the end of the context.
        ms_to_first_token: that of a prompt that fills the context, the reading of its text included.
    """
    lines = []
    if budgets.flash is not None and flash > budgets.flash:
        lines.append(f"flash: {flash:,} bytes are used, the budget is {budgets.flash:,}")
    if budgets.ram is not None and ram > budgets.ram:
        lines.append(f"RAM: {ram:,} bytes are used, the budget is {budgets.ram:,}")
    if budgets.ms_per_token is not None and ms_per_token > budgets.ms_per_token:
        lines.append(
            f"time: the last token of the context takes {ms_per_token:.2f} ms by the high estimate, "
            f"the budget is {budgets.ms_per_token:g} ms"
        )
    if budgets.ms_to_first_token is not None and ms_to_first_token > budgets.ms_to_first_token:
        lines.append(
            f"time: the first token of the longest prompt there can be takes {ms_to_first_token:.2f} ms by the high "
            f"estimate, the budget is {budgets.ms_to_first_token:g} ms"
        )
    return lines


def accuracy_failures(
    budgets: Budgets, float_match: Mapping[str, float], quantized_match: Mapping[str, float]
) -> list[str]:
    """A line for each budget of accuracy that is not kept, with the figures.

    Where the recipe has none, the quantized model must be right at least once, and may lose `DEFAULT_MAX_LOSS`.

    Args:
        budgets: the recipe's.
        float_match: exact match of the float model by split, 0 to 1.
        quantized_match: that of the quantized model.
    """
    lines = []
    max_loss, least = budgets.max_loss, budgets.min_exact_match
    if max_loss is None and least is None:
        max_loss = DEFAULT_MAX_LOSS
        if quantized_match and not any(quantized_match.values()):
            lines.append(
                "accuracy: the quantized model is right on no sentence of any split "
                "(`budgets: {min_exact_match: 0}` accepts that)"
            )
    loss = 100 * (_mean(float_match) - _mean(quantized_match))
    if max_loss is not None and loss > max_loss:
        allowed = "the budget is" if budgets.max_loss is not None else "without a budget that fails above"
        lines.append(
            f"accuracy: the quantized model loses {loss:.1f} points of exact match against float, "
            f"{allowed} {max_loss:g}"
        )
    limits = least if isinstance(least, Mapping) else dict.fromkeys(quantized_match, least or 0.0)
    for split, limit in limits.items():
        if split not in quantized_match:
            lines.append(f"accuracy: no split is called {split}; the budget names one of {', '.join(quantized_match)}")
        elif 100 * quantized_match[split] < limit:
            lines.append(
                f"accuracy: {100 * quantized_match[split]:.1f} % of {split.replace('_', ' ')} are right, "
                f"the budget is at least {limit:g} %"
            )
    return lines


def text_failures(budgets: Budgets, figures: Mapping[str, float], is_imported: bool) -> list[str]:
    """A line for each budget of likelihood that is not kept.

    Where the recipe has none, a model that was trained may lose `DEFAULT_MAX_PERPLEXITY_LOSS`; of imported ones nothing
    is asked.

    Args:
        budgets: the recipe's.
        figures: of the quantized model, as `pipeline.verification.likelihood.measure` has them.
        is_imported: whether the model is an imported one.
    """
    lines = []
    max_loss, allowed = budgets.max_perplexity_loss, "the budget is"
    if max_loss is None and budgets.max_perplexity is None and not is_imported:
        max_loss, allowed = DEFAULT_MAX_PERPLEXITY_LOSS, "without a budget that fails above"
    perplexity, loss = figures["perplexity"], 100 * figures["perplexity_loss"]
    if budgets.max_perplexity is not None and perplexity > budgets.max_perplexity:
        lines.append(
            f"accuracy: the quantized model's perplexity is {perplexity:.2f}, the budget is {budgets.max_perplexity:g}"
        )
    if max_loss is not None and loss > max_loss:
        lines.append(
            f"accuracy: the quantized model's perplexity is {loss:.1f} % above float's, {allowed} {max_loss:g} %"
        )
    return lines


def _mean(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / max(len(shares), 1)
