"""A board's memories: where they lie, and what flash costs beyond the core."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.validation import StrictModel, complain, complaint

__all__ = ["Flash", "MemoryRegion"]


class MemoryRegion(StrictModel):
    """Where a memory lies."""

    origin: int = Field(ge=0)
    """Address of the first byte."""
    size: int = Field(ge=1)
    """Bytes."""

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.origin + self.size > 1 << 32:
            complain([complaint("", "does not end below 4 GB", "mend its origin or size")])
        return self


class Flash(StrictModel):
    """The flash behind a board's core: `timing.flash` in board.yaml."""

    section: ClassVar[str] = "timing.flash"

    wait_states: int = Field(0, ge=0, le=1_000)
    """Cycles that an access takes beyond its own, at the board's clock."""
    line_bytes: int = Field(4, ge=4, le=4_096)
    """Bytes that one access brings."""
    instruction_lines: int = Field(0, ge=0, le=1_000_000)
    """Lines that the cache of instructions holds, its own or the core's."""
    data_lines: int = Field(0, ge=0, le=1_000_000)
    """Lines that the cache of data holds, its own or the core's."""
    prefetch: bool = False
    """Whether the next line of code is read while one runs."""

    def likely_data(self, weight_bytes: float) -> float:
        """Wait-state cycles of reading weights once, in order: per line with a cache, else per word."""
        return self.wait_states * weight_bytes / (self.line_bytes if self.data_lines else 4)

    def worst_data(self, weight_bytes: float) -> float:
        """The same without a cache: every word waits."""
        return self.wait_states * weight_bytes / 4
