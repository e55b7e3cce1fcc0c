"""A board's memories: what flash costs beyond the core."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Flash"]


@dataclass(frozen=True)
class Flash:
    """The flash behind a board's core: `timing.flash` in board.yaml.

    `wait_states` is what an access takes beyond its cycle at the board's clock, `line_bytes` what one access brings.
    `instruction_lines` and `data_lines` are what its caches, or the core's, hold. With `prefetch` the next line of code
    is read while one runs.
    """

    wait_states: int = 0
    line_bytes: int = 4
    instruction_lines: int = 0
    data_lines: int = 0
    prefetch: bool = False

    def __post_init__(self) -> None:
        if min(self.wait_states, self.instruction_lines, self.data_lines) < 0 or self.line_bytes < 4:
            raise ValueError("`timing.flash` has numbers of 0 or more, and lines of 4 bytes or more")

    def likely_data(self, weight_bytes: float) -> float:
        """Cycles that reading weights once, in order, waits: a line at a time with a cache, else a word at a time."""
        return self.wait_states * weight_bytes / (self.line_bytes if self.data_lines else 4)

    def worst_data(self, weight_bytes: float) -> float:
        """The same without a cache: every word waits."""
        return self.wait_states * weight_bytes / 4
