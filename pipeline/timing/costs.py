"""Cycles of instructions by core: the tables of `cores.yaml`, applied to straight runs of instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.errors import ThimbleError
from pipeline.timing.disassembly import Flow, Instruction, Kind

__all__ = ["ZERO", "Core", "Estimate", "core_names", "load_core"]

TABLES = Path(__file__).with_name("cores.yaml")


class Estimate(NamedTuple):
    """An estimate, in cycles or milliseconds: at least, likely, at most."""

    low: float
    likely: float
    high: float

    def plus(self, other: Estimate) -> Estimate:
        """The sum."""
        return Estimate(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> Estimate:
        """All three by a factor."""
        return Estimate(self.low * factor, self.likely * factor, self.high * factor)

    def rounded(self, digits: int = 0) -> dict[str, float]:
        """Plain data; whole numbers without digits."""
        return {name: round(value, digits) if digits else round(value) for name, value in self._asdict().items()}


ZERO = Estimate(0.0, 0.0, 0.0)
_LEVELS = range(3)
_MULTIPLIES = frozenset({Kind.MULTIPLY, Kind.MULTIPLY_ADD, Kind.MULTIPLY_LONG, Kind.MULTIPLY_DSP})
_MEMORY = frozenset(
    {Kind.LOAD, Kind.STORE, Kind.LOAD_DOUBLE, Kind.STORE_DOUBLE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE}
)
_LOADS = frozenset({Kind.LOAD, Kind.LOAD_DOUBLE, Kind.LOAD_MULTIPLE})
_VECTORS = frozenset({Kind.VECTOR_ALU, Kind.VECTOR_MULTIPLY, Kind.VECTOR_LOAD, Kind.VECTOR_STORE})
_ALONE = _VECTORS | {Kind.DIVIDE, Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.SYSTEM, Kind.FLOAT_DIVIDE, Kind.LOOP}
_SINGLE = frozenset({Kind.LOAD, Kind.STORE})


@dataclass(frozen=True)
class Core:
    """A core's table; see the head of `cores.yaml`."""

    name: str
    source: str
    classes: Mapping[Kind, Estimate]
    each_register: Estimate
    taken: Mapping[str, Estimate]
    wide_target: Estimate
    pipelined: Estimate
    address_stall: Estimate
    load_use: Estimate
    literal: Estimate
    offset: Estimate
    pairs: tuple[str, str, str]
    helium_overlap: Estimate
    mean: Estimate

    def costs(
        self, block: Sequence[Instruction], branch_taken: bool = False, target: Instruction | None = None
    ) -> list[Estimate]:
        """Cycles of each instruction of a straight run, without wait states.

        Args:
            block: in order; preceding instructions are assumed to have no influence.
            branch_taken: whether the last one's branch was taken, to the instruction `target` where that is known.
        """
        estimates = [self._alone(instruction, before) for before, instruction in _with_before(block)]
        if branch_taken and block:
            estimates[-1] = estimates[-1].plus(self._taken(block[-1], target))
        return [
            Estimate(*values)
            for values in zip(*(self._paired(block, estimates, level) for level in _LEVELS), strict=True)
        ]

    def _alone(self, instruction: Instruction, before: Instruction | None) -> Estimate:
        """Cycles with single issue."""
        kind = instruction.kind
        if kind not in self.classes:
            raise ThimbleError(
                f"{self.name} has no cycles for {instruction.mnemonic} ({kind})", f"add `{kind}` to {TABLES.name}"
            )
        cost = self.classes[kind]
        if kind in _MEMORY - _SINGLE:
            cost = cost.plus(self.each_register.times(instruction.registers))
        if kind is Kind.LOAD and "pc" in instruction.addresses:
            cost = cost.plus(self.literal)
        if kind is Kind.STORE and len(instruction.addresses) > 1:
            cost = cost.plus(self.offset)
        if before is not None:
            written = before.writes
            if before.kind in _LOADS:
                if (instruction.reads | instruction.addresses) & written:
                    cost = cost.plus(self.load_use)
                elif before.kind is Kind.LOAD and kind in _SINGLE and instruction.flow is Flow.NEXT:
                    cost = cost.plus(self.pipelined.times(-1))
            elif instruction.addresses & written and kind in _MEMORY:
                cost = cost.plus(self.address_stall)
            if kind in _VECTORS and before.kind in _VECTORS and kind is not before.kind:
                cost = cost.plus(self.helium_overlap.times(-1))
        if instruction.conditional:
            cost = Estimate(min(cost.low, 1.0), cost.likely, cost.high)  # it may be skipped
        return Estimate(max(cost.low, 0.0), max(cost.likely, 0.0), max(cost.high, 0.0))

    def _taken(self, branch: Instruction, target: Instruction | None) -> Estimate:
        if branch.kind is Kind.LOOP and "loop" in self.taken:
            return self.taken["loop"]
        if branch.kind in (Kind.LOAD, Kind.LOAD_MULTIPLE):
            return self.taken["load"]
        kind = {Flow.CALL: "call", Flow.INDIRECT: "indirect"}.get(branch.flow, "direct")
        if kind == "call" and branch.target is None:
            kind = "indirect"
        wide = target is not None and target.size == 4 and target.address % 4
        return self.taken[kind].plus(self.wide_target if wide else ZERO)

    def _paired(self, block: Sequence[Instruction], costs: Sequence[Estimate], level: int) -> list[float]:
        """One level's cycles: of two that issue together the second costs what it takes beyond one cycle."""
        rule = self.pairs[level]
        costs_in_order: list[float] = []
        free = False  # whether the instruction before can take a second one with it
        for (before, instruction), cost in zip(_with_before(block), costs, strict=True):
            together = free and before is not None and _pair(before, instruction, rule)
            costs_in_order.append(max(cost[level] - 1.0, 0.0) if together else cost[level])
            free = not together
        return costs_in_order


def _pair(first: Instruction, second: Instruction, rule: str) -> bool:
    """Whether two neighbours issue in one cycle."""
    if rule == "none" or first.kind in _ALONE or second.kind in _ALONE or first.flow is not Flow.NEXT:
        return False
    if rule.startswith("narrow") and not first.size == second.size == 2:
        return False
    if rule.endswith("any"):
        return True
    if first.writes & (second.reads | second.addresses):
        return False
    return not any(first.kind in unit and second.kind in unit for unit in (_MULTIPLIES, _MEMORY))


def _with_before(block: Sequence[Instruction]) -> list[tuple[Instruction | None, Instruction]]:
    return list(zip([None, *block[:-1]], block, strict=True))


def load_core(name: str) -> Core:
    """The table of a core, by its name in `board.yaml` (`cortex-m4`).

    Raises:
        ThimbleError: there is none.
    """
    cores = _cores()
    if name not in cores:
        raise ThimbleError(f"no cycle table for the core {name!r}", f"add it to {TABLES}, or use {', '.join(cores)}")
    return cores[name]


def core_names() -> tuple[str, ...]:
    """The cores that have a table."""
    return tuple(_cores())


@cache
def _cores() -> dict[str, Core]:
    return {name: _core(name, data) for name, data in yaml.safe_load(TABLES.read_text(encoding="utf-8")).items()}


def _core(name: str, data: dict[str, Any]) -> Core:
    first, second, third = data.get("pairs", ("none", "none", "none"))
    return Core(
        name=name,
        source=" ".join(str(data["source"]).split()),
        classes={Kind(kind): _estimate(value) for kind, value in data["classes"].items()},
        taken={kind: _estimate(value) for kind, value in data["taken"].items()},
        pairs=(first, second, third),
        mean=_estimate(data["mean"]),
        each_register=_estimate(data["each_register"]),
        **{
            key: _estimate(data.get(key, 0))
            for key in (
                "wide_target",
                "pipelined",
                "address_stall",
                "load_use",
                "literal",
                "offset",
                "helium_overlap",
            )
        },
    )


def _estimate(value: object) -> Estimate:
    if isinstance(value, list):
        return Estimate(*map(float, value))
    assert isinstance(value, int | float), value
    return Estimate(float(value), float(value), float(value))
