"""The serial protocol, on the emulated board."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.device.protocol import Device
from pipeline.emulators.process import ProcessLink
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError
from pipeline.firmware.build import Firmware
from pipeline.resources import ROOT
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.prompt import fold
from pipeline.text.tokenizers.byte_bpe import BOS, SEP, Tokenizer
from pipeline.verification.checks import reference_run
from tests.support.standin import CONTEXT, VOCAB, Standin

DOCS = ROOT / "docs" / "protocol.md"
once_a_board = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refusal(device: Device, request: str) -> str:
    with pytest.raises(DeviceError) as caught:
        device.request(request)
    assert not device.info().corrupt, "the device must be ready for the next request"
    return caught.value.code


def test_info(device: Device, firmware: Firmware) -> None:
    info = device.info()
    assert (info.protocol, info.board, info.model) == (1, "mps2_an386", "stand-in")
    assert (info.vocab, info.context, info.tick_hz, info.layers) == (VOCAB, CONTEXT, 25_000_000, 2)
    assert (info.weights_crc, info.weights_bytes, info.build) == (firmware.weights_crc, 64, firmware.build_id)


@pytest.mark.parametrize("text", ["turn on the lights", "Turn ON", "größer ÀÉ", "☃", "a=b&c%20d", "x"])
def test_ask_gives_the_models_tokens_and_logits(device: Device, tokenizer: Tokenizer, text: str) -> None:
    expected = reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, text, 20)
    answer = device.ask(text, 20)
    assert answer.tokens_in == (BOS, *tokenizer.encode(fold(text)), SEP)
    assert [(s.token, s.crc, s.next) for s in answer.steps] == [(s.token, s.crc, s.next) for s in expected.steps]
    assert [step.position for step in answer.steps] == list(range(len(answer.steps)))
    assert (answer.tokens_out, answer.end, answer.text) == (expected.tokens_out, expected.end, expected.text_out)
    assert 0 < sum(step.ticks for step in answer.steps) < answer.ticks


@pytest.mark.parametrize("text", ["turn on the lights", "x", "größer ÀÉ"])
def test_a_prompt_in_blocks_gives_the_same(device: Device, text: str) -> None:
    stepwise, answer = device.ask(text, 12), device.prompt(text, 12)
    after = stepwise.steps[len(stepwise.tokens_in) - 1 :]
    assert answer.prefill is not None
    assert (answer.count_in, answer.tokens_in) == (len(stepwise.tokens_in), ())
    assert (answer.prefill.crc, answer.prefill.next) == (after[0].crc, after[0].next)
    assert [(s.position, s.token, s.crc) for s in answer.steps] == [(s.position, s.token, s.crc) for s in after[1:]]
    assert (answer.tokens_out, answer.end, answer.text) == (stepwise.tokens_out, stepwise.end, stepwise.text)
    assert 0 < answer.model_ticks < answer.ticks


def test_generate_takes_ids_as_they_are(device: Device, tokenizer: Tokenizer) -> None:
    tokens = [BOS, *tokenizer.encode("turn on"), SEP]
    stepwise, generated = device.ask("turn on", 9), device.generate(tokens, 9)
    assert generated.tokens_in == tuple(tokens)
    assert [step.crc for step in generated.steps] == [step.crc for step in stepwise.steps]


def test_counts_are_the_same_every_time(device: Device) -> None:
    first, second = device.ask("kitchen", 12), device.ask("kitchen", 12)
    assert all(abs(a.ticks - b.ticks) <= 1 for a, b in zip(first.steps, second.steps, strict=True))


def test_every_end(device: Device, tokenizer: Tokenizer) -> None:
    ends = {device.generate([token], limit).end for token in range(4, 12) for limit in (1, CONTEXT)}
    assert {"eos", "length"} <= ends
    full = device.generate([4] * CONTEXT, CONTEXT)
    assert len(full.steps) == CONTEXT
    assert len(full.tokens_out) == 1
    assert full.end in ("context", "eos")


@once_a_board
@given(text=st.text(min_size=1, max_size=40))
def test_encodes_any_text_as_the_host_does(shared: Device, tokenizer: Tokenizer, text: str) -> None:
    assert shared.encode(text.encode("utf-8", "replace")) == tokenizer.encode(
        fold(text.encode("utf-8", "replace").decode())
    )


@pytest.fixture(scope="module")
def shared(firmware: Firmware, board: Board) -> object:
    device = Device(Qemu().start(firmware.elf, board), timeout=20)
    yield device
    device.close()


@pytest.mark.parametrize(
    ("request_line", "code"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("HELLO", "unknown"),
        ("ask 4 light", "unknown"),
        ("ASKED 4 light", "unknown"),
        ("ASK", "out-of-range"),
        ("ASK x light", "out-of-range"),
        ("ASK 0 light", "out-of-range"),
        ("ASK -1 light", "out-of-range"),
        (f"ASK {CONTEXT + 1} light", "out-of-range"),
        ("ASK 99999999999999999999 light", "out-of-range"),
        ("ASK 4", "malformed"),
        ("ASK 4 two words", "malformed"),
        ("ASK 4 %", "malformed"),
        ("ASK 4 %4", "malformed"),
        ("ASK 4 %4g", "malformed"),
        ("ASK 4 100%", "malformed"),
        ("ASK 4 %ff", "not-utf8"),
        ("ASK 4 %c3", "not-utf8"),
        ("ASK 4 %ed%a0%80", "not-utf8"),
        ("ASK 4 " + "%e2%98%83" * 20, "too-long"),
        ("GEN 4", "malformed"),
        ("GEN 4 300", "out-of-range"),
        ("GEN 4 -1", "out-of-range"),
        ("GEN 4 1 2 x", "out-of-range"),
        ("GEN 4 " + "5 " * (CONTEXT + 1), "too-long"),
        ("ENC a b", "malformed"),
        ("ENC %zz", "malformed"),
        ("ENC %80", "not-utf8"),
        ("PROFILE", "unsupported"),
        ("CRASH stack", "unknown"),
        ("INFO\x07", "not-printable"),
        ("INFO\t", "not-printable"),
        ("ASK 4 größe", "not-printable"),
        ("ASK 4 " + "a" * 1019, "line-too-long"),
        ("x" * 5000, "line-too-long"),
    ],
)
def test_bad_requests_are_refused_and_the_next_is_answered(shared: Device, request_line: str, code: str) -> None:
    assert refusal(shared, request_line) == code


def test_the_longest_line_is_taken(shared: Device) -> None:
    assert refusal(shared, "ASK 4 " + "a" * 1018) == "too-long"


def test_a_zero_byte_and_bytes_that_are_no_ascii_are_refused(firmware: Firmware, board: Board) -> None:
    link = Qemu().start(firmware.elf, board)
    assert isinstance(link, ProcessLink)
    with Device(link, timeout=20) as device:
        for data in (b"INFO\x00\n", b"\xff\xfe\n", b"IN\x1bFO\n"):
            link.send_bytes(data)
            assert link.read_line(20).startswith("ERR not-printable ")
        assert not device.info().corrupt


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end(firmware: Firmware, board: Board, end: bytes) -> None:
    link = Qemu().start(firmware.elf, board)
    assert isinstance(link, ProcessLink)
    with Device(link, timeout=20):
        for _ in range(3):
            link.send_bytes(b"STACK" + end)
            assert link.read_line(20).startswith("OK peak=")


@once_a_board
@given(data=st.binary(max_size=200).filter(lambda data: b"\n" not in data and b"\r" not in data))
def test_any_bytes_get_one_answer(shared: Device, data: bytes) -> None:
    link = shared._link
    assert isinstance(link, ProcessLink)
    link.send_bytes(data + b"\n")
    assert link.read_line(20).startswith(("ERR ", "OK"))


def test_requests_that_come_while_it_works_wait(device: Device) -> None:
    """The UART keeps what the ring has no room for, and an emulated one makes its sender wait."""
    link = device._link
    assert isinstance(link, ProcessLink)
    link.send_bytes(b"GEN 48 5 6 7\n" * 400)
    for _ in range(400):
        while (line := link.read_line(20)).startswith("STEP"):
            pass
        assert line.startswith("OK 3 ")
    assert not device.info().corrupt


@pytest.mark.variants(keep=4)
@pytest.mark.parametrize("letters", [200, 251, 252, 253, 254, 255, 256, 257, 280, 600, 1000])
def test_lines_longer_than_the_ring(device: Device, letters: int) -> None:
    for _ in range(40):
        assert device.request("ENC " + "a" * letters)[-1].startswith("OK ")


def test_stack_is_measured(device: Device) -> None:
    before, size = device.stack()
    device.ask("turn on the lights", 10)
    after, _ = device.stack()
    assert 0 < before <= after < size == 4096


def test_profile_counts_each_layer(test_device: Device) -> None:
    answer = test_device.ask("turn on", 8)
    steps, ticks = test_device.profile()
    assert steps == len(answer.steps)
    assert len(ticks) == 2
    assert 0.8 * sum(step.ticks for step in answer.steps) < sum(ticks) <= sum(step.ticks for step in answer.steps)
    assert test_device.profile() == (0, [0, 0])


def test_the_documentation_shows_every_request_and_every_error() -> None:
    text = DOCS.read_text(encoding="utf-8")
    source = "".join(path.read_text() for path in (ROOT / "firmware_templates/app").glob("*.c"))
    requests = set(re.findall(r'\{"([A-Z]+)", \w+\}', source))
    assert {"ASK", "PROMPT", "GEN", "SAMPLE", "ENC", "INFO", "STACK", "PROFILE", "CRASH"} <= requests
    for request in requests - {"CRASH", "ARENA"}:  # of test builds
        assert f"`{request}" in text, request
    source = re.sub(r"__asm volatile\(.*?\);", "", source, flags=re.DOTALL)
    codes = set(re.findall(r'"(?:ERR )?([a-z][a-z0-9-]*) [^"]*"', source))  # errors alone begin with a word
    assert {"malformed", "not-utf8", "out-of-range", "overrun", "too-long", "step", "image", "unknown"} <= codes
    for code in codes - {"code", "masked", "poked"}:  # the latter two of test builds
        assert f"`{code}`" in text, code
    assert quote("turn on the kitchen lights") in text
