"""A valid `RunResult`, of which a test changes what it is about."""

from __future__ import annotations

from typing import Any

from pipeline.verification.result import (
    BudgetResult,
    CycleCounts,
    EmulatorVersion,
    Estimate,
    FlashBytes,
    InstructionCounts,
    PromptResult,
    RamBytes,
    RunResult,
    StepEstimates,
)

__all__ = ["made_prompt", "made_result"]

_STEPS = ("prefill_per_token", "prompt_max", "decode_mean", "decode_max")


def made_prompt(text: str = "turn on", ticks: tuple[int, ...] = (10, 12)) -> PromptResult:
    """A prompt of one token that is answered as expected."""
    return PromptResult(
        text=text,
        tokens_in=(1,),
        tokens_out=(5, 2),
        text_out="on",
        expected_tokens=(5, 2),
        expected_text="on",
        end="eos",
        ticks=ticks,
        logits_crc=("0" * 8,) * len(ticks),
    )


def made_result(**changes: Any) -> RunResult:
    """A result of a run on an emulated board in which all is well.

    Args:
        changes: fields of `RunResult` with other values.
    """
    span = Estimate(low=1.0, likely=1.5, high=2.0)
    steps = dict.fromkeys(_STEPS, span)
    fields: dict[str, Any] = {
        "recipe": "tiny",
        "board": "mps2_an386",
        "engine": "aot",
        "emulator": EmulatorVersion(name="qemu", version="9.0"),
        "ok": True,
        "checks": {"tokens_match": True},
        "failures": (),
        "prompts": (made_prompt(),),
        "instructions": InstructionCounts(
            prefill_per_token=1.0, prompt_max=1.0, decode_mean=1.0, decode_max=1.0, per_mac=1.0, steps=2
        ),
        "cycles": CycleCounts.model_validate({**steps, "model": "cortex-m4, 0 wait states", "per_instruction": span}),
        "milliseconds": StepEstimates.model_validate(steps),
        "clock_hz": 25_000_000,
        "macs": 1000,
        "flash_bytes": FlashBytes(code=1, weights=2, tables=3, total=6, size=4 << 20),
        "ram_bytes": RamBytes(
            kv_cache=1,
            activations=2,
            application=3,
            stack=4,
            total=10,
            stack_peak=3,
            largest_live_set=2,
            size=4 << 20,
        ),
        "budgets": BudgetResult(limits={"flash": None}, failures=()),
    }
    return RunResult(**{**fields, **changes})
