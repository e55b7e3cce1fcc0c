"""The reader of QEMU's log against made logs, and the shadow call stack against made traces."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.targets.memories import Flash
from pipeline.timing.costs import load_core
from pipeline.timing.disassembly import Code, read_code
from pipeline.timing.line_cache import LineCache
from pipeline.timing.profile import Profile
from pipeline.timing.trace import Block, Tracer, dfilter_ranges
from tests.support.listings import code_of, listing


class Recorder:
    """Records a tracer's calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def ran(self, block: Block, following: int) -> None:
        self.calls.append((block.start, block.end, following))

    def resumed_elsewhere(self, expected: int, address: int) -> None:
        self.calls.append((expected, address))


BODY = listing("adds r0, #1", "adds r0, #1", "bne.n 100 <f>", "bx lr")  # 0x100 to 0x108
LISTED = b"----------------\nIN: f\n0x00000100:  3001  adds\n0x00000102:  3001  adds\n0x00000104:  d1fc  bne\n\n"
TAIL = b"----------------\nIN: f\n0x00000106:  4770       bx       lr\n\n"


def trace(address: int) -> bytes:
    return f"Trace 0: 0x7f00{address:04x} [00800408/{address:08x}/00000110/ff020200] f\n".encode()


def recorded_calls(log: bytes, code: Code | None = None) -> list[tuple[int, ...]]:
    recorder = Recorder()
    Tracer(code or code_of({"f": BODY}), recorder).read(io.BytesIO(log))
    return recorder.calls


def test_blocks_end_where_the_listing_says() -> None:
    log = LISTED + trace(0x100) + trace(0x100) + TAIL + trace(0x106) + trace(0x100)
    assert recorded_calls(log) == [(0x100, 0x106, 0x100), (0x100, 0x106, 0x106), (0x106, 0x108, 0x100)]


def test_lines_that_come_in_pieces_are_whole() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(7)

    recorder = Recorder()
    Tracer(code_of({"f": BODY}), recorder).read(Slow(LISTED + trace(0x100) * 3))
    assert len(recorder.calls) == 2


def test_a_block_that_was_stopped_did_not_run() -> None:
    stopped = b"Stopped execution of TB chain before 0x7f000100 [00000100] f\n"
    assert recorded_calls(LISTED + trace(0x100) + trace(0x100) + stopped + trace(0x100) + trace(0x100)) == [
        (0x100, 0x106, 0x100),
        (0x100, 0x106, 0x100),
    ]


def test_an_exception_inside_a_block_is_followed() -> None:
    stopped = b"Stopped execution of TB chain before 0x7f000100 [00000100] f\n"
    assert recorded_calls(LISTED + trace(0x100) + stopped + TAIL + trace(0x106)) == [(0x100, 0x106)]


def test_a_block_that_was_rewound_ran_in_part() -> None:
    rewound = b"cpu_io_recompile: rewound execution of TB to 00000102\n"
    rest_of_block = b"----------------\nIN: f\n0x00000102:  3001  adds\n\n"
    rest = b"----------------\nIN: f\n0x00000104:  d1fc  bne\n\n"
    log = LISTED + trace(0x100) + rewound + rest_of_block + trace(0x102) + rest + trace(0x104) + trace(0x100)
    assert recorded_calls(log) == [(0x100, 0x102, 0x102), (0x102, 0x104, 0x104), (0x104, 0x106, 0x100)]


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        (b"Trace of another form\n", "of a form that is not known"),
        (trace(0x100), "lists no instructions"),
        (LISTED.replace(b"100:", b"0f0:") + trace(0xF0), "no instruction"),
    ],
)
def test_a_log_that_is_not_understood_is_an_error(log: bytes, complaint: str) -> None:
    with pytest.raises(ThimbleError, match=complaint):
        recorded_calls(log)


def test_the_filter_leaves_out_what_runs_at_start() -> None:
    code = code_of(
        {
            "main": listing("nop", "nop", start=0x100),
            "thimble_crc32": listing("nop", start=0x104),
            "f": listing("nop", start=0x106),
        }
    )
    assert dfilter_ranges(code) == "0x0..0x103,0x106..0xffffffff"
    assert dfilter_ranges(code_of({"f": BODY})) == "0x0..0xffffffff"


# ---- the shadow stack

MAIN = listing("bl 200 <thimble_step>", "nop", "b.n 100 <main>", start=0x100)
STEP = listing("push {r4, lr}", "bl 300 <kernel>", "nop", "pop {r4, pc}", start=0x200)
KERNEL = listing("adds r0, #1", "b.n 400 <helper>", "bx lr", start=0x300)
HELPER = listing("adds r0, #1", "adds r0, #1", "bx lr", start=0x400)
HANDLER = listing("push {lr}", "bl 400 <helper>", "pop {pc}", start=0x500)
NEXT_HANDLER = listing("bx lr", start=0x600)
IMAGE = code_of(
    {
        "main": MAIN,
        "thimble_step": STEP,
        "kernel": KERNEL,
        "helper": HELPER,
        "handler": HANDLER,
        "next_handler": NEXT_HANDLER,
    },
    handlers=(0x500, 0x600),
)


def follow(blocks: Sequence[tuple[int, int]], end: int, flash: Flash | None = None, code: Code = IMAGE) -> Profile:
    """Runs blocks [start, end) one after another; `end` is where execution goes on after the last."""
    profile = Profile(code, load_core("cortex-m4"), flash or Flash())
    blocks_by_span = {span: Block(i, *span, tuple(code.block(*span))) for i, span in enumerate(dict.fromkeys(blocks))}
    following = [start for start, _ in blocks[1:]] + [end]
    for span, address in zip(blocks, following, strict=True):
        profile.ran(blocks_by_span[span], address)
    return profile


CALL, ENTER, KERNEL_JUMPS = (0x100, 0x104), (0x200, 0x206), (0x300, 0x304)
HELPER_RUNS, LEAVE = (0x400, 0x406), (0x206, 0x20A)


def counts(profile: Profile) -> dict[str, int]:
    return {";".join(stack): count for stack, (count, _) in profile.stacks("decode").items()}


def test_a_tail_call_takes_its_callers_place_and_returns_for_it() -> None:
    profile = follow([CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE, (0x104, 0x108)], 0x104)
    assert counts(profile) == {"thimble_step": 4, "thimble_step;kernel": 2, "thimble_step;helper": 3}
    assert [(step.kind, step.instructions) for step in profile.steps] == [("decode", 9)]


def test_an_exception_returns_to_where_it_came_into() -> None:
    """Between a call and the callee's first instruction, with a call of its own in it, and another right behind it."""
    handler = [(0x500, 0x506), HELPER_RUNS, (0x506, 0x508), (0x600, 0x602)]
    profile = follow([CALL, ENTER, *handler, KERNEL_JUMPS, HELPER_RUNS, LEAVE], 0x104)
    assert counts(profile) == {
        "thimble_step": 4,
        "thimble_step;handler": 3,
        "thimble_step;handler;helper": 3,
        "thimble_step;next_handler": 1,
        "thimble_step;kernel": 2,
        "thimble_step;helper": 3,
    }
    assert [step.instructions for step in profile.steps] == [16]


def test_an_exception_between_steps_is_not_counted() -> None:
    profile = follow([CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE, (0x104, 0x106), (0x600, 0x602)], 0x106)
    assert [step.instructions for step in profile.steps] == [9]


def test_every_step_is_counted_alone_and_stacks_add_up_to_them() -> None:
    step = [CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE, (0x104, 0x108)]
    profile = follow([*step, *step, *step], 0x100)
    assert [traced_step.instructions for traced_step in profile.steps] == [9, 9, 9]
    assert len({traced_step.cycles for traced_step in profile.steps}) == 1
    stacks = profile.stacks("decode")
    assert sum(count for count, _ in stacks.values()) == 27
    assert sum(cycles for _, cycles in stacks.values()) == pytest.approx(sum(s.cycles.likely for s in profile.steps))


def test_cycles_of_a_step_by_hand() -> None:
    """Cortex-M4, likely: push 3, bl 2 | adds 1, b 2 | adds, adds, bx lr 2 + 3 | nop 1, pop {r4, pc} 6."""
    profile = follow([CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE], 0x104)
    assert profile.steps[0].cycles.likely == 5 + 3 + 5 + 7


def test_inlined_functions_are_frames() -> None:
    code = Code(
        [*MAIN, *STEP, *KERNEL, *HELPER],
        [("main", 0x100, 0x108), ("thimble_step", 0x200, 0x20A), ("kernel", 0x300, 0x306), ("helper", 0x400, 0x406)],
        inlined={0x202: ("thimble_step", "run_layer")},
    )
    profile = follow([CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE], 0x104, code=code)
    assert counts(profile) == {
        "thimble_step": 3,
        "thimble_step;run_layer": 1,
        "thimble_step;run_layer;kernel": 2,
        "thimble_step;run_layer;helper": 3,
    }


# ---- flash


def test_waits_of_a_step_are_in_its_cycles_and_its_stacks() -> None:
    flash = Flash(wait_states=5, line_bytes=16, instruction_lines=64)
    step = [CALL, ENTER, KERNEL_JUMPS, HELPER_RUNS, LEAVE, (0x104, 0x108)]
    profile = follow([*step, *step], 0x100, flash)
    first, second = profile.steps
    assert first.waits == 3 * 5 and second.waits == 0, "three lines, held from then on"
    assert first.cycles.likely - second.cycles.likely == 15
    assert first.cycles.low == second.cycles.low
    assert first.cycles.high - first.cycles.low > 4 * 5, "every block's line waits"
    assert sum(cycles for _, cycles in profile.stacks("decode").values()) == pytest.approx(
        first.cycles.likely + second.cycles.likely
    )


def test_the_cache_keeps_the_lines_used_last() -> None:
    cache = LineCache(Flash(wait_states=5, line_bytes=16, instruction_lines=2))
    assert [cache.fetch((line,)) for line in (1, 3, 1, 5, 1, 3)] == [5, 5, 0, 5, 0, 5]


def test_prefetch_hides_what_the_words_of_a_line_take() -> None:
    cache = LineCache(Flash(wait_states=5, line_bytes=16, instruction_lines=8, prefetch=True))
    assert cache.fetch((1, 2, 3)) == 5 + 1 + 1
    assert cache.fetch((7,)) == 5


def test_weights_wait_a_line_at_a_time_with_a_data_cache_else_a_word() -> None:
    assert Flash(wait_states=5, line_bytes=16, data_lines=8).likely_data(1600) == 500
    assert Flash(wait_states=2, line_bytes=16).likely_data(1600) == 800
    assert Flash(wait_states=5, line_bytes=16, data_lines=8).worst_data(1600) == 2000
    assert Flash().worst_data(1600) == 0


def test_names_of_cpp_are_told_as_they_are_written(tmp_path: Path) -> None:
    """Without their parameters; C's stay."""
    source, image = tmp_path / "names.c", tmp_path / "names.o"
    label = '__asm__("_ZN6tflite5Arena5ResetEi")'
    source.write_text(f"void reset(int) {label};\nvoid reset(int x) {{ (void)x; }}\nvoid plain(void) {{}}\n")
    compiler = str(tools.require("arm-none-eabi-gcc"))
    subprocess.run([compiler, "-mcpu=cortex-m4", "-mthumb", "-g", "-c", str(source), "-o", str(image)], check=True)
    code = read_code(image)
    assert {code.function(address) for address in code.at} == {"tflite::Arena::Reset", "plain"}
    assert code.frames(0) == ("tflite::Arena::Reset",)
