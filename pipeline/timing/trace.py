"""QEMU's log of what it executed (`-d exec,nochain,in_asm`), as blocks of instructions.

QEMU translates a straight run of instructions at once and logs each execution of one:

    Trace 0: 0x7f58bc000100 [00800408/00000284/00000110/ff020200] reset_handler

The second number in brackets is the address; where the block ends follows from the listing before its first execution.
Two kinds of lines revoke an execution: `Stopped execution of TB chain before …` says that the block logged last did not
run, and `cpu_io_recompile: rewound execution of TB to ADDRESS` that it ran only up to that address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Protocol

from pipeline.errors import ThimbleError
from pipeline.timing.disassembly import Code, Instruction

__all__ = ["OPTIONS", "Block", "TraceListener", "Tracer", "dfilter_ranges"]

OPTIONS = "exec,nochain,in_asm"
# They run at start alone or between steps, and long; without them the log is a tenth.
UNTRACED_FUNCTIONS = ("reset_handler", "thimble_crc32")

_TRACE = re.compile(rb"Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
_LISTED = re.compile(rb"0x([0-9a-f]+):\s+([0-9a-f]{4}(?: [0-9a-f]{4})?)(?: |$)")
_REWOUND = re.compile(rb"rewound execution of TB to ([0-9a-f]+)")


@dataclass(frozen=True, eq=False)
class Block:
    """A straight run of instructions, [start, end)."""

    number: int
    start: int
    end: int
    instructions: tuple[Instruction, ...]


class TraceListener(Protocol):
    """Receives the executed blocks, in order."""

    def ran(self, block: Block, following: int) -> None:
        """Called after a block ran, with the address where execution continues."""

    def resumed_elsewhere(self, expected: int, address: int) -> None:
        """Called when execution continues at `address` instead of `expected`: an exception."""


class Tracer:
    """Reads the log, and passes its blocks to the listener."""

    def __init__(self, code: Code, listener: TraceListener) -> None:
        self._code = code
        self._listener = listener
        self._by_line: dict[bytes, Block] = {}
        self._by_range: dict[tuple[int, int], Block] = {}
        self._ends: dict[int, int] = {}
        self._listed: tuple[int, int] | None = None
        self._waiting: Block | None = None  # logged; whether and how far it ran is not yet known
        self._expected: int | None = None  # where execution goes on after a block that did not run, or in part

    def read(self, stream: IO[bytes]) -> None:
        """Reads to the end of a stream."""
        left = b""
        read = getattr(stream, "read1", stream.read)
        while data := read(1 << 18):
            *lines, left = (left + data).split(b"\n")
            self.lines(lines)
        self.lines([left])

    def lines(self, lines: Iterable[bytes]) -> None:
        """Takes complete lines, without their ends."""
        known = self._by_line
        for line in lines:
            block = known.get(line)
            if block is None:
                if not line.startswith(b"Trace "):
                    self._other(line)
                    continue
                block = self._learn(line)
            waiting = self._waiting
            if waiting is not None:
                self._listener.ran(waiting, block.start)
            elif self._expected is not None and self._expected != block.start:
                self._listener.resumed_elsewhere(self._expected, block.start)
            self._expected = None
            self._waiting = block

    def _other(self, line: bytes) -> None:
        if line.startswith(b"0x"):
            if match := _LISTED.match(line):
                address = int(match[1], 16)
                start = address if self._listed is None else self._listed[0]
                self._listed = (start, address + (2 if len(match[2]) == 4 else 4))
        elif line.startswith(b"IN:"):
            self._listed = None
        elif line == b"":
            self._close_listing()
        elif line.startswith(b"Stopped execution"):
            if self._waiting is not None:
                self._expected = self._waiting.start
                self._waiting = None
        elif b"rewound" in line and (match := _REWOUND.search(line)):
            self._rewind(int(match[1], 16))

    def _close_listing(self) -> None:
        if self._listed is not None:
            start, end = self._listed
            self._ends[start] = end
            self._listed = None

    def _rewind(self, address: int) -> None:
        """The block that was logged last ran up to an address, and goes on there."""
        block = self._waiting
        if block is None:
            return
        self._waiting = None
        if address > block.start:
            self._listener.ran(self._block(block.start, address), address)
        self._expected = address

    def _learn(self, line: bytes) -> Block:
        self._close_listing()
        match = _TRACE.match(line)
        if match is None:
            raise ThimbleError(f"QEMU's log has a line of a form that is not known: {line!r:.120}", "use QEMU 6 to 8")
        start = int(match[1], 16)
        if start not in self._ends:
            raise ThimbleError(f"QEMU's log lists no instructions at 0x{start:x}", "use a QEMU built with capstone")
        block = self._block(start, self._ends[start])
        self._by_line[line] = block
        return block

    def _block(self, start: int, end: int) -> Block:
        block = self._by_range.get((start, end))
        if block is None:
            block = Block(len(self._by_range), start, end, tuple(self._code.block(start, end)))
            self._by_range[start, end] = block
        return block


def dfilter_ranges(code: Code) -> str:
    """The value of QEMU's `-dfilter`: all addresses but those of the functions that are left out."""
    ranges = sorted(span for name in UNTRACED_FUNCTIONS if (span := code.range(name)) is not None)
    parts = []
    start = 0
    for first, end in ranges:
        if first > start:
            parts.append(f"0x{start:x}..0x{first - 1:x}")
        start = end
    return ",".join([*parts, f"0x{start:x}..0xffffffff"])
