"""Verification passes on the real thing, and fails on a corrupted weight, a wrong token, a wrong count."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from pipeline.device.chat import TickScale, ask_many, chat_loop, read_lines, statistics
from pipeline.device.link import SerialLink
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.firmware.build import Firmware
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import (
    Expectation,
    FullContext,
    Verification,
    reference_full_context,
    reference_run,
    reference_run_to_context_end,
    verify,
    write_expectations,
)
from pipeline.verification.result import InstructionCounts
from tests.support.project_scripts import project_script
from tests.support.standin import CONTEXT, MACS, Standin, standin_tokenizer

PROMPTS = ("turn on the kitchen lights", "schalte das licht aus", "Größe ☃")


@pytest.fixture(scope="module")
def expectations(tokenizer: Tokenizer) -> tuple[Expectation, ...]:
    return tuple(reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, prompt, CONTEXT) for prompt in PROMPTS)


def test_one_text_goes_on_to_the_end_of_the_context(tokenizer: Tokenizer) -> None:
    context = 12
    texts = np.array([tokenizer.encode(f"{word} the light now")[:8] for word in ("turn on", "off", "x", "set", "dim")])
    lengths = [
        len(reference_run_to_context_end(Standin(), PlainCodec(tokenizer), context, [text]).steps) for text in texts
    ]
    assert min(lengths) < context == max(lengths), "the stand-in ends some texts early, and not all"
    expectation = reference_run_to_context_end(Standin(), PlainCodec(tokenizer), context, list(texts))
    assert len(expectation.steps) == context and expectation.end == "context"
    text = texts[lengths.index(context)]
    assert expectation.text == tokenizer.decode(text[1:4].tolist(), int(text[0]))
    short = [text for text, length in zip(texts, lengths, strict=True) if length < context]
    longest = max(length for length in lengths if length < context)
    assert len(reference_run_to_context_end(Standin(), PlainCodec(tokenizer), context, short).steps) == longest


def check(link: SerialLink, expectations: Sequence[Expectation], firmware: Firmware) -> Verification:
    with Device(link, timeout=20) as device:
        return verify(
            device,
            expectations,
            macs_per_step=MACS,
            instructions_per_tick=40,
            weights_crc=firmware.weights_crc,
            build_id=firmware.build_id,
        )


class LyingLink:
    """A board that does not say the truth: each line goes through `lie`."""

    def __init__(self, link: SerialLink, lie: Callable[[str], str]) -> None:
        self._link, self._lie = link, lie

    def send_line(self, line: str) -> None:
        self._link.send_line(line)

    def send_bytes(self, data: bytes) -> None:
        self._link.send_bytes(data)

    def read_line(self, timeout: float) -> str:
        return self._lie(self._link.read_line(timeout))

    def close(self) -> None:
        self._link.close()


def lies(position: int, field: int, change: Callable[[str], str], once: bool = False) -> Callable[[str], str]:
    """Changes one word of the STEP lines of a position."""
    done: list[bool] = []

    def lie(line: str) -> str:
        words = line.split(" ")
        if words[0] == "STEP" and words[1] == str(position) and not (once and done):
            done.append(True)
            words[field] = change(words[field])
        return " ".join(words)

    return lie


def test_the_board_passes(expectations: tuple[Expectation, ...], firmware: Firmware, board: Board) -> None:
    result = check(Qemu().start(firmware.elf, board), expectations, firmware)
    assert result.ok and not result.failures
    assert set(result.checks) == {
        *("image_intact", "build_match", "tokens_match", "logits_crc_match", "prefill_match"),
        *("counts_plausible", "counts_repeat"),
    }
    assert [prompt.tokens_out for prompt in result.prompts] == [e.tokens_out for e in expectations]
    assert [prompt.text for prompt in result.prompts] == list(PROMPTS)
    steps = sum(len(expectation.steps) for expectation in expectations)
    assert result.instructions.steps == steps
    assert 0 < result.instructions.decode_mean <= result.instructions.decode_max
    assert 0 < result.stack_peak < 4096


@pytest.fixture(scope="module")
def longest() -> FullContext:
    return reference_full_context(Standin(), CONTEXT, standin_tokenizer().vocab_size)


def test_the_slowest_prompt_and_step_are_those_of_a_full_context(
    expectations: tuple[Expectation, ...], longest: FullContext, firmware: Firmware, board: Board
) -> None:
    def measured(*texts: str) -> InstructionCounts:
        with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
            result = verify(
                device, expectations, macs_per_step=MACS, instructions_per_tick=40, longest=longest, slow_texts=texts
            )
        assert result.ok, result.failures
        return result.instructions

    counts, more = measured(), measured("e" * 200, "turn on the light")
    assert counts.decode_seen <= counts.decode_max and counts.prompt_seen < counts.prompt_max
    assert counts.read_max == 0 < more.read_max
    assert more.prompt_max - more.read_max == pytest.approx(counts.prompt_max, abs=80)


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        (lambda line: re.sub(rf"^(PREFILL {CONTEXT} )\w+", r"\g<1>00000000", line), "prefill_match"),
        (lambda line: re.sub(rf"^(STEP {CONTEXT - 1} \d+ )\w+", r"\g<1>00000000", line), "logits_crc_match"),
    ],
)
def test_a_full_context_has_the_expected_logits(
    lie: Callable[[str], str], broken: str, longest: FullContext, firmware: Firmware, board: Board
) -> None:
    with Device(LyingLink(Qemu().start(firmware.elf, board), lie), timeout=20) as device:
        result = verify(device, (), macs_per_step=MACS, instructions_per_tick=40, longest=longest)
    assert [check for check, holds in result.checks.items() if not holds] == [broken]
    assert "full context" in result.failures[0]


def flip(text: str) -> str:
    return f"{int(text, 16) ^ 1:08x}"


@pytest.mark.parametrize(("more", "per_tick", "repeats"), [(2, 40.0, False), (2, 5.95, True), (4, 5.95, False)])
def test_a_short_tick_may_hold_the_counters_own_handler(
    more: int,
    per_tick: float,
    repeats: bool,
    expectations: tuple[Expectation, ...],
    firmware: Firmware,
    board: Board,
) -> None:
    """SysTick comes round in another step of each request; its handler takes more than a tick where ticks are short."""
    told: list[int] = []

    def differing(ticks: str) -> str:
        """First so many more than always afterwards: the board's own counts may differ by one."""
        told.append(int(ticks))
        return str(told[0] + more) if len(told) == 1 else str(told[0])

    lie = lies(4, 4, differing)
    with Device(LyingLink(Qemu().start(firmware.elf, board), lie), timeout=20) as device:
        result = verify(device, expectations[:1], macs_per_step=1, instructions_per_tick=per_tick)
    assert result.checks["counts_repeat"] is repeats


def tells_of_prefill(field: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Changes one word of the PREFILL lines."""

    def lie(line: str) -> str:
        words = line.split(" ")
        if words[0] == "PREFILL":
            words[field] = change(words[field])
        return " ".join(words)

    return lie


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        (lies(3, 2, lambda token: str(int(token) + 1)), "tokens_match"),
        (lies(9, 5, lambda token: str(int(token) ^ 1)), "tokens_match"),
        (lies(0, 3, flip), "logits_crc_match"),
        (lies(7, 3, flip, once=True), "logits_crc_match"),
        (lies(4, 4, lambda ticks: "0"), "counts_plausible"),
        (lies(4, 4, lambda ticks: "2"), "counts_plausible"),
        (lies(4, 4, lambda ticks: str(int(ticks) + 100_000)), "counts_plausible"),
        (lies(4, 4, lambda ticks: str(int(ticks) + 5), once=True), "counts_repeat"),
        (lies(4, 1, lambda position: "5"), "counts_plausible"),
        (tells_of_prefill(2, flip), "prefill_match"),
        (tells_of_prefill(4, lambda token: str(int(token) ^ 1)), "prefill_match"),
        (tells_of_prefill(3, lambda ticks: str(int(ticks) + 100_000)), "counts_plausible"),
        (lambda line: line.replace("weights=intact", "weights=corrupt"), "image_intact"),
        (lambda line: re.sub(r"weights_crc=.", "weights_crc=0", line), "image_intact"),
        (lambda line: re.sub(r" build=\w", " build=x", line), "build_match"),
        (lambda line: re.sub(r"^(OK \d+ \d+ \d+ \w+) .*", r"\1 HassNevermind", line), "tokens_match"),
    ],
    ids=lambda value: value if isinstance(value, str) else "lie",
)
def test_a_lie_fails_its_check(
    lie: Callable[[str], str],
    broken: str,
    expectations: tuple[Expectation, ...],
    firmware: Firmware,
    board: Board,
) -> None:
    result = check(LyingLink(Qemu().start(firmware.elf, board), lie), expectations, firmware)
    assert not result.ok
    assert not result.checks[broken], result.checks
    assert any(line.startswith(f"{broken}: ") for line in result.failures)


def test_counts_that_are_all_too_small_do_not_add_up(
    expectations: tuple[Expectation, ...], firmware: Firmware, board: Board
) -> None:
    """Steps at a quarter of what they took would still be above the least count."""

    def lie(line: str) -> str:
        words = line.split(" ")
        if words[0] == "STEP":
            words[4] = str(int(words[4]) // 4)
        return " ".join(words)

    result = check(LyingLink(Qemu().start(firmware.elf, board), lie), expectations, firmware)
    assert not result.checks["counts_plausible"]


@pytest.fixture
def patched(firmware: Firmware, tmp_path: Path) -> Callable[[bool], Path]:
    """The image with one bit of one weight flipped; with its checksums mended too if asked."""

    def patch(mend_checksums: bool) -> Path:
        content = bytearray(firmware.elf.read_bytes())
        with firmware.elf.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".weights")
            assert section is not None
            content[section["sh_offset"] + 4 * 5] ^= 1
        path = tmp_path / "patched.elf"
        path.write_bytes(project_script("post_link").completed(content) if mend_checksums else content)
        return path

    return patch


def test_a_corrupted_weight_is_noticed_by_the_board_itself(
    patched: Callable[[bool], Path], expectations: tuple[Expectation, ...], firmware: Firmware, board: Board
) -> None:
    result = check(Qemu().start(patched(False), board), expectations, firmware)
    assert not result.checks["image_intact"]
    assert not result.checks["tokens_match"]
    assert any("answered image" in line for line in result.failures)
    assert result.instructions.steps == 0


def test_a_corrupted_weight_with_its_checksums_mended_still_fails(
    patched: Callable[[bool], Path], expectations: tuple[Expectation, ...], firmware: Firmware, board: Board
) -> None:
    with Device(Qemu().start(patched(True), board), timeout=20) as device:
        assert not device.info().corrupt
        result = verify(device, expectations, macs_per_step=MACS, instructions_per_tick=40)
    assert not result.checks["logits_crc_match"]
    result = check(Qemu().start(patched(True), board), expectations, firmware)
    assert not result.checks["image_intact"] and not result.checks["build_match"]


def test_another_models_expectations_fail(tokenizer: Tokenizer, firmware: Firmware, board: Board) -> None:
    class Other(Standin):
        def reset(self) -> None:
            super().reset()
            self.hash = 1

    expectations = [reference_run(Other(), PlainCodec(tokenizer), CONTEXT, PROMPTS[0], 5)]
    result = check(Qemu().start(firmware.elf, board), expectations, firmware)
    assert not result.checks["logits_crc_match"]


def test_a_prompt_beyond_the_context_is_an_error_before_anything_runs(tokenizer: Tokenizer) -> None:
    with pytest.raises(ThimbleError, match="context has 48"):
        reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, "☃" * 40, 5)


def test_expectations_are_written_in_the_protocols_notation(
    expectations: tuple[Expectation, ...], tmp_path: Path, firmware: Firmware, board: Board
) -> None:
    write_expectations(tmp_path / "expected.json", expectations)
    prompts = json.loads((tmp_path / "expected.json").read_text())["prompts"]
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        for prompt in prompts:
            *lines, last = device.request(f"ASK {prompt['max_new']} {prompt['text']}")
            for line, step in zip(lines, prompt["steps"], strict=True):
                pattern = rf"STEP {step['position']} {step['token']} {step['crc']} \d+ {step['next']}"
                assert re.fullmatch(pattern, line)
            assert last.startswith(f"OK {prompt['tokens_in']} {prompt['tokens_out']} ")


def test_many_sentences(device: Device, tokenizer: Tokenizer) -> None:
    done: list[int] = []
    answers = ask_many(device, [*PROMPTS, "☃" * 40], CONTEXT, done.append)
    expected = [
        reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, prompt, CONTEXT).text_out for prompt in PROMPTS
    ]
    assert answers == [*expected, ""]
    assert done == [1, 2, 3, 4]


def tick_scale(board: Board, rate: float) -> TickScale:
    return TickScale.emulated(board.instructions_per_tick("qemu"), board.milliseconds(1.0, rate))


def test_typed_lines_that_are_no_utf8_reach_the_board_which_refuses_them(
    device: Device, board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"turn on\nb\xfcro\nb\xc3\xbcro\n"), "utf-8"))
    printed: list[str] = []
    chat_loop(device, tick_scale(board, 1.5), standin_tokenizer(), read_lines(), printed.append, 5)
    assert printed.count("the board refuses: the text is not well-formed UTF-8\n") == 1
    assert "".join(printed).count(" ms a token") == 2
    assert capsys.readouterr().out == "> turn on\n> b?ro\n> büro\n> \n"


def test_the_time_of_an_answer_follows_the_rate_of_the_trace(device: Device, board: Board) -> None:
    answer = device.prompt("turn on", 6)
    times = [
        float(re.findall(r"about ([\d.]+) ms", statistics(answer, tick_scale(board, rate)))[0]) for rate in (10.0, 20.0)
    ]
    assert times[1] == pytest.approx(2 * times[0], abs=0.2) and times[0] > 0


def test_a_conversation_goes_on_after_a_refusal(device: Device, board: Board) -> None:
    printed: list[str] = []
    lines = ["turn on", "", "   ", "☃" * 40, "x" * 2000, "turn off"]
    chat_loop(device, tick_scale(board, 1.5), standin_tokenizer(), lines, printed.append, 6)
    output_lines = "".join(printed).splitlines()
    assert len(output_lines) == 4
    assert re.search(r"instructions, about \d+\.\d ms a token, [\d,]+ tokens a second\)$", output_lines[0])
    assert "the prompt takes 122 tokens, the context has 48" in output_lines[1]
    assert output_lines[2].startswith("the board refuses: a request has at most 1024")
    assert output_lines[3].endswith("a second)")
