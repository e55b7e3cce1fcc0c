"""What flash costs beyond the core: wait states on new lines of code and on weights, behind the board's caches.

Low: every access hits. High: no cache and no prefetch: every line of code that a block touches waits, and every word of
weights. Likely: a cache of the documented size, fully associative with the least recently used line replaced, filled by
the trace itself; weights, which a step reads once each and in order, miss it once a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.timing.trace import Block

__all__ = ["Flash", "LineCache"]


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

    def lines(self, block: Block) -> tuple[int, ...]:
        """The lines of flash that hold the block's instructions."""
        return tuple(range(block.start // self.line_bytes, (block.end - 1) // self.line_bytes + 1))

    def worst_fetch(self, block: Block) -> float:
        """Cycles that fetching the block waits where nothing is cached."""
        return float(self.wait_states * len(self.lines(block)))

    def likely_data(self, weight_bytes: float) -> float:
        """Cycles that reading weights once, in order, waits: a line at a time with a cache, else a word at a time."""
        return self.wait_states * weight_bytes / (self.line_bytes if self.data_lines else 4)

    def worst_data(self, weight_bytes: float) -> float:
        """The same without a cache: every word waits."""
        return self.wait_states * weight_bytes / 4


class LineCache:
    """The instruction cache, and the buffer of the line that is being run."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._held: dict[int, None] = {}  # in order of last use
        self._last = -1
        # With prefetch, the next line is on its way while the words of this one run, one a cycle.
        self._behind_prefetch = max(flash.wait_states - flash.line_bytes // 4, 0)

    def fetch(self, lines: tuple[int, ...]) -> int:
        """Cycles that fetching these lines one after another waits."""
        waits = 0
        held, flash = self._held, self._flash
        for line in lines:
            if line == self._last:
                continue
            follows = line == self._last + 1
            self._last = line
            if line in held:
                del held[line]
                held[line] = None
                continue
            waits += self._behind_prefetch if flash.prefetch and follows else flash.wait_states
            if flash.instruction_lines:
                held[line] = None
                if len(held) > flash.instruction_lines:
                    del held[next(iter(held))]
        return waits
