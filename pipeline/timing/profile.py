"""Profile of a trace: instructions and cycles of each step of the model, and of each function in them.

A shadow call stack follows the blocks: a call pushes a frame with its return address; an indirect branch to such an
address pops; a branch into another function without a call (a tail call) puts that function in the frame's place;
an exception pushes a frame that the next return out of it pops, wherever execution goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pipeline.targets.memories import Flash
from pipeline.timing.costs import ZERO, Core, Estimate
from pipeline.timing.disassembly import Code, Flow
from pipeline.timing.line_cache import LineCache, flash_lines, worst_fetch
from pipeline.timing.trace import Block

__all__ = ["Node", "Profile", "Step"]

_STARTS = {"thimble_prefill": "prefill", "thimble_step": "decode"}
_AT_START = "measure_step"  # of the application, which times a step before the first request: no part of an answer


@dataclass(eq=False)
class _Edge:
    """A block and its successor. `action` changes the call stack; None for no change."""

    block: Block
    taken: bool
    following: int
    action: Callable[[_Edge], None] | None = None


@dataclass(eq=False)
class Node:
    """A function as called from somewhere: how often each edge was run in it, and the cycles that fetching waited."""

    function: int
    site: int
    counts: dict[_Edge, int] = field(default_factory=dict)
    waits: int = 0
    children: dict[tuple[int, int], Node] = field(default_factory=dict)

    def child(self, site: int, function: int) -> Node:
        """The node of a function called at an address."""
        node = self.children.get((site, function))
        if node is None:
            node = self.children[site, function] = Node(function, site)
        return node


@dataclass(frozen=True)
class Step:
    """One call of the model: `kind` is prefill or decode. `waits` are likely cycles that fetching instructions waited.

    `cycles` are those of the core and of fetching, not of reading weights.
    """

    kind: str
    instructions: int
    cycles: Estimate
    waits: float


@dataclass
class _Frame:
    node: Node | None
    returns_to: int | None  # None: an exception's frame
    resumes: _Edge | None = None  # of an exception: the edge that it came into


class Profile:
    """Follows a trace. Everything outside of the model's own calls is followed, and not counted."""

    def __init__(self, code: Code, core: Core, flash: Flash, progress: Callable[[int], None] | None = None) -> None:
        """`progress` is called with the number of steps that are done."""
        self.steps: list[Step] = []
        self.roots = {kind: Node(-1, -1) for kind in _STARTS.values()}
        self._code, self._core, self._flash, self._progress = code, core, flash, progress
        self._cache = LineCache(flash) if flash.wait_states else None
        self._edges: dict[tuple[Block, int], _Edge] = {}
        self._lines: dict[Block, tuple[int, ...]] = {}
        self._prices: dict[_Edge, list[Estimate]] = {}
        self._entries: dict[int, str] = {}
        for name, kind in _STARTS.items():
            if (span := code.range(name)) is not None:
                self._entries[span[0]] = kind
        self._stack: list[_Frame] = [_Frame(None, 0)]
        self._node: Node | None = None
        self._counts: dict[_Edge, int] = {}
        self._waits = 0
        self._base = 0  # the stack's height where the running step began
        self._start_base: int | None = None  # the stack's height where the application measures a step
        self._kind = ""

    # ---- following

    def ran(self, block: Block, following: int) -> None:
        """Records that a block ran and execution continued at the address."""
        edge = self._edges.get((block, following))
        if edge is None:
            edge = self._edges[block, following] = self._edge(block, following)
        node = self._node
        if node is not None:
            counts = node.counts
            counts[edge] = counts.get(edge, 0) + 1
            counts = self._counts
            counts[edge] = counts.get(edge, 0) + 1
        if self._cache is not None:
            waits = self._cache.fetch(self._lines[block])
            if node is not None and waits:
                node.waits += waits
                self._waits += waits
        if edge.action is not None:
            edge.action(edge)

    def resumed_elsewhere(self, expected: int, address: int) -> None:
        """Records an exception between two blocks."""
        if address in self._code.handlers:
            self._enter_exception(address, None)

    def _edge(self, block: Block, following: int) -> _Edge:
        self._lines[block] = flash_lines(self._flash, block)
        last = block.instructions[-1]
        code = self._code
        possible: set[int | None] | None = None  # any address
        if last.flow is Flow.NEXT:
            possible = {block.end}
        elif last.target is not None:
            possible = {last.target, block.end} if last.flow is Flow.CONDITIONAL else {last.target}
        edge = _Edge(block, following != block.end, following)
        if last.flow is Flow.CALL and following == block.end:  # into a function that the trace leaves out, and back
            return edge
        if following in code.handlers and (possible is None or following not in possible):
            edge.taken = last.flow not in (Flow.NEXT, Flow.CONDITIONAL)
            edge.action = self._interrupted
        elif last.flow is Flow.CALL:
            edge.action = self._call
        elif last.flow is Flow.INDIRECT:
            edge.action = self._indirect
        elif edge.taken and self._leaves(edge):
            edge.action = self._tail_call
        return edge

    def _leaves(self, edge: _Edge) -> bool:
        code = self._code
        return code.function(edge.block.start) != code.function(edge.following)

    def _call(self, edge: _Edge) -> None:
        kind = self._entries.get(edge.following)
        if self._node is None and kind is not None and not self._is_at_start(edge):
            self._kind, self._base = kind, len(self._stack)
            self._counts, self._waits = {}, 0
            self._node = self.roots[kind].child(-1, edge.following)
        elif self._node is not None:
            self._node = self._node.child(edge.block.instructions[-1].address, edge.following)
        self._stack.append(_Frame(self._node, edge.block.end))

    def _is_at_start(self, call: _Edge) -> bool:
        """Whether a call of the model is the application's own when it starts, or one within that."""
        if self._start_base is None and _AT_START in self._code.frames(call.block.instructions[-1].address):
            self._start_base = len(self._stack)
        return self._start_base is not None

    def _indirect(self, edge: _Edge) -> None:
        stack = self._stack
        if stack[-1].returns_to is None and self._leaves(edge):  # out of an exception
            self._leave_exception(edge.following)
            return
        for height in range(len(stack) - 1, 0, -1):
            if stack[height].returns_to is None:
                break
            if stack[height].returns_to == edge.following:
                self._cut(height)
                return
        if self._leaves(edge):
            self._tail_call(edge)

    def _tail_call(self, edge: _Edge) -> None:
        frame = self._stack[-1]
        if self._node is None or frame.node is None:
            return
        parent = self._stack[-2].node if len(self._stack) > self._base + 1 else self.roots[self._kind]
        if parent is not None:
            frame.node = self._node = parent.child(frame.node.site, edge.following)

    def _interrupted(self, edge: _Edge) -> None:
        if self._stack[-1].returns_to is None and edge.block.instructions[-1].flow is Flow.INDIRECT:
            self._leave_exception(edge.following)  # out of one exception into the next
        else:
            self._enter_exception(edge.following, edge)

    def _enter_exception(self, handler: int, edge: _Edge | None) -> None:
        if self._node is not None:
            self._node = self._node.child(-1, handler)
        self._stack.append(_Frame(self._node, None, edge))

    def _leave_exception(self, address: int) -> None:
        interrupted = self._stack[-1].resumes
        self._cut(len(self._stack) - 1)
        if address in self._code.handlers:  # the next one, at once
            self._enter_exception(address, interrupted)
        elif interrupted is not None:  # what the interrupted branch does to the stack is still to do
            edge = self._edge(interrupted.block, address)
            if edge.action is not None:
                edge.action(edge)

    def _cut(self, height: int) -> None:
        """Drops the frames from a height on; ends the step if its own is among them."""
        del self._stack[height:]
        if self._start_base is not None and height <= self._start_base:
            self._start_base = None
        if self._kind and height <= self._base:
            self._end_step()
            self._node = None
        else:
            self._node = self._stack[-1].node

    def _end_step(self) -> None:
        instructions, cycles = 0, ZERO
        for edge, count in self._counts.items():
            instructions += count * len(edge.block.instructions)
            for price in self._price(edge):
                cycles = cycles.plus(price.times(count))
            cycles = cycles.plus(Estimate(0.0, 0.0, count * worst_fetch(self._flash, edge.block)))
        cycles = cycles.plus(Estimate(0.0, float(self._waits), 0.0))
        self.steps.append(Step(self._kind, instructions, cycles, float(self._waits)))
        self._kind = ""
        if self._progress is not None:
            self._progress(len(self.steps))

    def _price(self, edge: _Edge) -> list[Estimate]:
        estimates = self._prices.get(edge)
        if estimates is None:
            target = self._code.at.get(edge.following)
            estimates = self._prices[edge] = self._core.costs(edge.block.instructions, edge.taken, target)
        return estimates

    # ---- results

    def stacks(self, kind: str) -> dict[tuple[str, ...], tuple[int, float]]:
        """Instructions and likely cycles (weights' wait states left out) of each stack of functions, inlined ones too.

        Args:
            kind: prefill or decode.
        """
        stacks: dict[tuple[str, ...], tuple[int, float]] = {}
        for node in self.roots[kind].children.values():
            for stack, instructions, cycles in self._walk(node, ()):
                before = stacks.get(stack, (0, 0.0))
                stacks[stack] = (before[0] + instructions, before[1] + cycles)
        return stacks

    def _walk(self, node: Node, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, float]]:
        for edge, count in node.counts.items():
            for instruction, price in zip(edge.block.instructions, self._price(edge), strict=True):
                yield above + self._code.frames(instruction.address), count, count * price.likely
        if node.waits:
            yield (*above, self._code.function(node.function)), 0, float(node.waits)
        for (site, _), child in node.children.items():
            frames = self._code.frames(site) if site >= 0 else (self._code.function(node.function),)
            yield from self._walk(child, above + frames)
