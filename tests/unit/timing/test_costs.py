"""The cost tables against snippets that are counted by hand from the manuals' tables."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import ThimbleError
from pipeline.targets.boards import all_boards
from pipeline.timing.costs import TABLES, Estimate, load_core
from pipeline.timing.disassembly import Flow, Kind
from tests.support.listings import listing


def cycles(core: str, *lines: str, branch_taken: bool = False, target: str | None = None) -> tuple[float, float, float]:
    to = listing(target, start=0x202)[0] if target else None
    costs = load_core(core).costs(listing(*lines), branch_taken, to)
    total = Estimate(0, 0, 0)
    for cost in costs:
        total = total.plus(cost)
    return total.low, total.likely, total.high


# (core, instructions, (low, likely, high)[, branch taken[, target]]); for cortex-m4 by Arm DDI 0439D, table 3-1 and
# section 3.3.2.
SNIPPETS: dict[str, tuple[Any, ...]] = {
    "one cycle each": ("cortex-m4", ["adds r0, r1, r2", "smlad r3, r4, r5, r3", "mla r0, r1, r2, r0"], (3, 3, 3)),
    "a load is two": ("cortex-m4", ["ldr r0, [r1, #0]", "adds r2, r2, #1"], (3, 3, 3)),
    "LDR R0,[R1]; LDR R1,[R2] is three": ("cortex-m4", ["ldr r0, [r1, #0]", "ldr r1, [r2, #0]"], (3, 3, 4)),
    "three loads in a row are four": (
        "cortex-m4",
        ["ldr r0, [r1, #0]", "ldr r2, [r3, #0]", "ldr r4, [r5, #0]"],
        (4, 4, 6),
    ),
    "a load whose address the load before it brings is not pipelined": (
        "cortex-m4",
        ["ldr r0, [r1, #0]", "ldr r2, [r0, #0]"],
        (4, 4, 4),
    ),
    "an address that was just computed stalls": ("cortex-m4", ["adds r1, r1, r2", "ldr r0, [r1, #0]"], (3, 4, 4)),
    "LDM of four words is 1 + N": ("cortex-m4", ["ldmia r0!, {r4, r5, r6, r7}"], (5, 5, 5)),
    "PUSH of three is 1 + N": ("cortex-m4", ["push {r4, r5, lr}"], (4, 4, 4)),
    "POP with PC is 1 + N + P": ("cortex-m4", ["pop {r4, pc}"], (6, 6, 6), True),
    "a branch not taken is one": ("cortex-m4", ["subs r0, #1", "bne.n 100 <f>"], (2, 2, 2), False),
    "a branch taken is 1 + P, P 1 to 3": ("cortex-m4", ["subs r0, #1", "bne.n 100 <f>"], (3, 3, 5), True),
    "a wide target across words refills later": ("cortex-m4", ["b.n 202 <f>"], (2, 3, 4), True, "ldr.w r0, [r1, #0]"),
    "a return is 1 + P": ("cortex-m4", ["bx lr"], (2, 3, 4), True),
    "a call is 1 + P": ("cortex-m4", ["bl 202 <f>"], (2, 2, 4), True),
    "a divide is 2 to 12": ("cortex-m4", ["sdiv r0, r1, r2"], (2, 7, 12)),
    "a float multiply-add is three": ("cortex-m4", ["vmla.f32 s0, s1, s2"], (3, 3, 3)),
    "IT may be folded, what it holds skipped": ("cortex-m4", ["it eq", "ldreq r0, [r1, #0]"], (1, 3, 3)),
    "Cortex-M3: MLA two, SMULL 3 to 7": ("cortex-m3", ["mla r0, r1, r2, r3", "smull r0, r1, r2, r3"], (5, 6, 9)),
    "Cortex-M0: loads and stores two": ("cortex-m0", ["ldr r0, [r1, #0]", "str r0, [r2, #0]"], (4, 4, 4)),
    "Cortex-M0: LDM 1 + N": ("cortex-m0", ["ldmia r0!, {r4, r5}"], (3, 3, 3)),
    "Cortex-M0: a taken branch three": ("cortex-m0", ["bne.n 100 <f>"], (3, 3, 3), True),
    "Cortex-M0: BL four": ("cortex-m0", ["bl 202 <f>"], (4, 4, 4), True),
    "Cortex-M0: POP with PC 4 + N": ("cortex-m0", ["pop {r4, pc}"], (6, 6, 6), True),
    "Cortex-M7: two independent ones in one cycle": ("cortex-m7", ["adds r0, #1", "adds r1, #1"], (1, 1, 2)),
    "Cortex-M7: the second needs the first": ("cortex-m7", ["adds r0, #1", "adds r1, r0, #1"], (1, 2, 2)),
    "Cortex-M7: one multiplier": ("cortex-m7", ["smlad r0, r1, r2, r0", "smlad r3, r4, r5, r3"], (1, 2, 2)),
    "Cortex-M7: three are not one pair": ("cortex-m7", ["adds r0, #1", "adds r1, #1", "adds r2, #1"], (2, 2, 3)),
    "Cortex-M7: a load used at once": ("cortex-m7", ["ldr r0, [r1, #0]", "adds r2, r0, #1"], (1, 3, 4)),
    "Cortex-M33: 16-bit neighbours pair": ("cortex-m33", ["adds r0, #1", "adds r1, #1"], (1, 1, 2)),
    "Cortex-M33: 32-bit ones do not": ("cortex-m33", ["add.w r0, #1", "add.w r1, #1"], (2, 2, 2)),
    "Cortex-M55: a load and a multiply overlap": (
        "cortex-m55",
        ["vldrb.u8 q0, [r0], #16", "vmladava.s8 r2, q0, q1"],
        (3, 3, 4),
    ),
    "Cortex-M55: two multiplies do not": (
        "cortex-m55",
        ["vmladava.s8 r2, q0, q1", "vmladava.s8 r4, q2, q3"],
        (4, 4, 4),
    ),
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_cost_what_the_manual_says(name: str) -> None:
    core, lines, expected, *rest = SNIPPETS[name]
    branch_taken, target = bool(rest and rest[0]), rest[1] if len(rest) > 1 else None
    assert cycles(core, *lines, branch_taken=branch_taken, target=target) == expected


def test_every_board_has_a_table_and_low_is_never_above_high() -> None:
    for board in all_boards():
        core = load_core(board.core)
        assert core.source and core.mean.low <= core.mean.likely <= core.mean.high
        for span in (*core.classes.values(), *core.taken.values()):
            assert 0 <= span.low <= span.likely <= span.high, (core.name, span)


def test_an_unknown_core_names_the_table() -> None:
    with pytest.raises(ThimbleError, match="no cycle table for the core 'cortex-m99'") as caught:
        load_core("cortex-m99")
    assert TABLES.name in caught.value.remedy


def test_an_instruction_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(ThimbleError, match="cortex-m0 has no cycles for smlad"):
        cycles("cortex-m0", "smlad r0, r1, r2, r0")


def test_data_among_code_is_left_out_and_registers_are_understood() -> None:
    first, second, third, fourth = listing(
        "ldr.w r0, [r1], #4", "strd r2, r3, [sp, #8]", "ldmia.w sp!, {r4-r6, pc}", "cbz r0, 104 <f+0x4>"
    )
    assert (first.size, set(first.writes), set(first.addresses)) == (4, {"r0", "r1"}, {"r1"})
    assert second.kind is Kind.STORE_DOUBLE
    assert (set(second.reads), set(second.addresses)) == ({"r2", "r3"}, {"sp"})
    assert (third.registers, third.flow) == (4, Flow.INDIRECT)
    assert (fourth.flow, fourth.target) == (Flow.CONDITIONAL, 0x104)
    assert listing(".word 0x12345678") == []
