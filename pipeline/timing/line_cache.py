"""What flash costs beyond the core: wait states on new lines of code and on weights, behind the board's caches.

Low: every access hits. High: no cache and no prefetch: every line of code that a block touches waits, and every word of
weights. Likely: a cache of the documented size, fully associative with the least recently used line replaced, filled by
the trace itself; weights, which a step reads once each and in order, miss it once a line.
"""

from __future__ import annotations

from pipeline.targets.memories import Flash
from pipeline.timing.trace import Block

__all__ = ["LineCache", "flash_lines", "worst_fetch"]


def flash_lines(flash: Flash, block: Block) -> tuple[int, ...]:
    """The lines of flash that hold the block's instructions."""
    return tuple(range(block.start // flash.line_bytes, (block.end - 1) // flash.line_bytes + 1))


def worst_fetch(flash: Flash, block: Block) -> float:
    """Wait-state cycles of fetching the block without a cache."""
    return float(flash.wait_states * len(flash_lines(flash, block)))


class LineCache:
    """The instruction cache, and the buffer of the line that is being run."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._held: dict[int, None] = {}  # in order of last use
        self._last = -1
        # With prefetch, the next line is on its way while the words of this one run, one a cycle.
        self._behind_prefetch = max(flash.wait_states - flash.line_bytes // 4, 0)

    def fetch(self, lines: tuple[int, ...]) -> int:
        """Wait-state cycles of fetching these lines in order."""
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
