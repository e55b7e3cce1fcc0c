"""Drawing tokens: the device's C and the host's Python draw the same ones, and by the right probabilities."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.device.chat import TextStream, TickScale, chat_loop
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError, ThimbleError
from pipeline.firmware.build import Firmware, build_project
from pipeline.numerics.sampler import CANDIDATES, Sampler, SamplerSettings, logit_step
from pipeline.targets.boards import Board
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.host_engine import RUNTIME, compile_library
from tests.support.standin import Standin

STANDIN_STEP = 1 << 21  # as tests/support/standin/model.c has it
_SHIM = """\
#include "thimble_sampler.h"
static thimble_sampler sampler;
static uint8_t marks[4096];
void start(uint32_t t, uint32_t k, uint32_t p, uint32_t r, uint32_t seed)
{
    thimble_sampler_init(&sampler, marks);
    sampler.temperature = t, sampler.top_k = k, sampler.top_p = p, sampler.penalty = r;
    thimble_sampler_seed(&sampler, seed);
}
void take(int32_t token) { thimble_sampler_take(&sampler, token); }
int32_t draw(const void *logits, int32_t vocab, int32_t bytes, int32_t zero, int32_t step)
{
    const thimble_model model = {.vocab = vocab, .logit_bytes = bytes, .logit_zero_point = zero, .logit_step = step};
    const int32_t token = thimble_sampler_draw(&sampler, &model, logits);
    for (int i = 0; i < (vocab + 7) / 8 && sampler.marks_are_clear; i++) {
        if (marks[i]) {
            return -1; /* marks must be gone */
        }
    }
    return token;
}
void spoil(void)
{
    for (int i = 0; i < 4096; i++) {
        marks[i] = 0xff;
    }
}
int32_t marks_behind(int32_t vocab) { return marks[(vocab + 7) / 8]; }
"""


@pytest.fixture(scope="module")
def device_c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The device's sampler, built for this machine."""
    folder = tmp_path_factory.mktemp("sampler")
    (folder / "shim.c").write_text(_SHIM)
    flags = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared")
    sources = [folder / "shim.c", RUNTIME / "thimble_sampler.c", RUNTIME / "thimble.c"]
    compile_library(sources, [RUNTIME], folder / "sampler.so", flags)
    return ctypes.CDLL(str(folder / "sampler.so"))


def drawn_by_c(
    library: ctypes.CDLL, chosen: SamplerSettings, rows: list[np.ndarray], step: int, zero: int, history: list[int]
) -> list[int]:
    library.start(chosen.temperature, chosen.top_k, chosen.top_p, chosen.penalty, ctypes.c_uint32(chosen.seed))
    for token in history:
        library.take(token)
    tokens = []
    for row in rows:
        pointer = row.ctypes.data_as(ctypes.c_void_p)
        tokens.append(library.draw(pointer, len(row), row.itemsize, zero, step))
        library.take(tokens[-1])
    return tokens


def drawn_by_python(
    chosen: SamplerSettings, rows: list[np.ndarray], step: int, zero: int, history: list[int]
) -> list[int]:
    sampler = Sampler(chosen, step, zero)
    for token in history:
        sampler.take(token)
    tokens = []
    for row in rows:
        tokens.append(sampler.draw(row))
        sampler.take(tokens[-1])
    return tokens


_choices = st.builds(
    SamplerSettings,
    temperature=st.sampled_from([0, 1, 50, 300, 700, 1000, 1500, 5000, 100_000]),
    top_k=st.sampled_from([0, 0, 1, 2, 5, 40, CANDIDATES]),
    top_p=st.sampled_from([1000, 1000, 1, 100, 500, 900, 999]),
    penalty=st.sampled_from([1000, 1000, 100, 900, 1100, 1300, 10_000]),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=300, deadline=None)
@given(_choices, st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 50, 300]), st.booleans(), st.integers(-128, 127))
def test_c_and_python_draw_the_same(
    device_c: ctypes.CDLL, chosen: SamplerSettings, seed: int, vocab: int, wide: bool, zero: int
) -> None:
    random = np.random.default_rng(seed)
    dtype, low, high = (np.int16, -32768, 32767) if wide else (np.int8, -128, 127)
    kind = random.integers(0, 4)
    rows = [random.integers(low, high + 1, vocab).astype(dtype) for _ in range(4)]
    if kind == 0:
        rows = [np.full(vocab, random.integers(low, high + 1), dtype) for _ in rows]  # all equal
    elif kind == 1:
        for row in rows:
            row[:] = low
            row[random.integers(0, vocab)] = high  # one above all
    elif kind == 2:
        rows = [(row // (1024 if wide else 32)).astype(dtype) for row in rows]  # many equal ones
    step = logit_step(float(10.0 ** random.uniform(-4.5, -2.5) if wide else 10.0 ** random.uniform(-3, 0)))
    history = [int(token) for token in random.integers(0, vocab, random.integers(0, 100))]
    offset = 0 if wide else zero
    assert drawn_by_c(device_c, chosen, rows, step, offset, history) == drawn_by_python(
        chosen, rows, step, offset, history
    )


@pytest.mark.parametrize("temperature", [700, 1000, 1600])
def test_tokens_come_as_often_as_their_probabilities(temperature: int) -> None:
    random = np.random.default_rng(5)
    scale = 0.09
    logits = random.integers(-60, 20, 40).astype(np.int8)
    sampler = Sampler(SamplerSettings(temperature=temperature, seed=11), logit_step(scale), 0)
    count = 20_000
    observed = np.bincount([sampler.draw(logits) for _ in range(count)], minlength=40)
    shares = np.exp(logits * scale * 1000 / temperature)
    expected = count * shares / shares.sum()
    enough = expected > 5
    chi_square = ((observed - expected)[enough] ** 2 / expected[enough]).sum()
    assert chi_square < enough.sum() + 5 * np.sqrt(2 * enough.sum())


def test_top_k_and_top_p_keep_the_most_likely() -> None:
    logits = np.array([10, 30, 30, -5, 29, 0], np.int8)

    def drawn(**changes: int) -> set[int]:
        sampler = Sampler(SamplerSettings(temperature=3000, seed=3, **changes), logit_step(0.1), 0)
        return {sampler.draw(logits) for _ in range(400)}

    assert drawn() == {0, 1, 2, 3, 4, 5}
    assert drawn(top_k=1) == {1}
    assert drawn(top_k=3) == {1, 2, 4}
    assert drawn(top_p=1) == {1}
    assert drawn(top_p=400) == {1, 2}


def test_memory_for_marks_may_hold_anything(device_c: ctypes.CDLL) -> None:
    """And no byte behind them is touched."""
    rows = [np.array([3, 9, 8, 7, 1, 2, 5, 4, 6], np.int8)] * 12
    chosen = SamplerSettings(temperature=1000, penalty=1300, seed=5)
    device_c.spoil()
    assert drawn_by_c(device_c, chosen, rows, 1 << 21, 0, [1]) == drawn_by_python(chosen, rows, 1 << 21, 0, [1])
    assert device_c.marks_behind(9) == 0xFF


@pytest.mark.parametrize("temperature", [0, 800])
def test_a_penalty_of_nothing_is_none(device_c: ctypes.CDLL, temperature: int) -> None:
    """`SAMPLE` refuses it, but an application sets it as it likes."""
    row = np.array([3, 9, 8, 7], np.int8)
    tokens = []
    for penalty in (0, 1000):
        device_c.start(temperature, 0, 1000, penalty, 7)
        device_c.take(1)
        pointer = row.ctypes.data_as(ctypes.c_void_p)
        tokens.append([device_c.draw(pointer, 4, 1, 0, 1 << 21) for _ in range(9)])
    assert tokens[0] == tokens[1]


def test_the_penalty_takes_repetition_down() -> None:
    logits = np.array([50, 45, 0], np.int8)
    sampler = Sampler(SamplerSettings(penalty=1300), logit_step(0.1), 0)
    sampler.take(0)
    assert sampler.draw(logits) == 1
    sampler.take(1)
    assert sampler.draw(logits) == 0
    sampler.reset()
    assert sampler.draw(logits) == 0


@pytest.mark.parametrize(
    "values",
    [(-1, 0, 1, 1, 0), (1, 65, 1, 1, 0), (1, 0, 1.5, 1, 0), (1, 0, 1, 0, 0), (1, 0, 1, 1, -1), (1, 0, 0, 1, 0)],
)
def test_settings_out_of_range_are_refused(values: tuple[float, int, float, float, int]) -> None:
    with pytest.raises(ThimbleError, match="is out of range"):
        SamplerSettings.of(*values)


@pytest.mark.parametrize(
    "words", ["", "1 2 3 4", "100001 0 1000 1000 0", "0 65 1000 1000 0", "0 0 0 1000 0", "0 0 1 99 0"]
)
def test_the_board_refuses_them_too(device: Device, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        device.request(f"SAMPLE {words}".strip())
    assert caught.value.code == "out-of-range"


def test_a_thousand_tokens_on_the_board(device: Device, tokenizer: Tokenizer) -> None:
    """Several settings, seeds and prompts, to the token; the random numbers go on from request to request."""
    engine, total = Standin(), 0
    for number, chosen in enumerate(
        (
            SamplerSettings(900, 0, 1000, 1000, 7),
            SamplerSettings(1200, 40, 1000, 1000, 8),
            SamplerSettings(1500, 0, 900, 1000, 9),
            SamplerSettings(1500, 50, 950, 1200, 2**32 - 1),
            SamplerSettings(0, 0, 1000, 1300, 0),
        )
    ):
        device.sample(*astuple(chosen))
        sampler = Sampler(chosen, STANDIN_STEP, 0)
        texts, target = itertools.cycle(("turn on", "x", "off", "the lights", "on")), total + 200
        while total < target:  # an <eos> may end a text early
            text = next(texts)
            answer = device.prompt(text, 30) if number % 2 else device.ask(text, 30)
            engine.reset()
            sampler.reset()
            for token in tokenizer.encode_prompt(text):
                logits = engine.step(token)
                sampler.take(token)
            expected = [sampler.draw(logits)]
            while len(expected) < len(answer.tokens_out):
                sampler.take(expected[-1])
                expected.append(sampler.draw(engine.step(expected[-1])))
            assert list(answer.tokens_out) == expected
            total += len(expected)
    assert total >= 1000
    device.sample()


def test_instructions_of_a_draw(device: Device) -> None:
    """What it costs beside the best token's choice; printed with -s."""
    counts = {}
    for name, chosen in {
        "greedy": SamplerSettings(),
        "temperature": SamplerSettings(1000),
        "top-k 40": SamplerSettings(1000, 40),
        "top-p 0.9": SamplerSettings(1000, 0, 900),
    }.items():
        device.sample(*astuple(chosen))
        answer = device.ask("turn on", 30)
        counts[name] = 40 * (answer.ticks - answer.model_ticks) / len(answer.steps)
    print({name: round(count - counts["greedy"]) for name, count in counts.items()})
    assert max(counts.values()) - counts["greedy"] < 100_000


def test_a_generation_stops_on_request(firmware: Firmware, board: Board) -> None:
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        streamed: list[int] = []

        def stop_early(token: int) -> None:
            streamed.append(token)
            if len(streamed) == 2:
                raise KeyboardInterrupt

        answer = device.prompt("turn on", 40, stop_early)
        assert answer.end in ("stopped", "eos", "length")  # the board may have been faster
        assert answer.tokens_out[:2] == tuple(streamed[:2])
        repeated = device.ask("turn on", 5).tokens_out
        assert repeated[: len(answer.tokens_out)] == answer.tokens_out[:5]


def test_text_is_written_as_its_characters_become_whole(tokenizer: Tokenizer) -> None:
    written: list[str] = []
    stream = TextStream(tokenizer, written.append)
    for token in tokenizer.encode("größe ☃!"):
        stream.take(token)
    stream.end()
    assert "".join(written) == "größe ☃!"
    assert "\ufffd" not in "".join(written)
    assert len(written) > 1


def test_a_chat_streams_and_tells_what_it_took(firmware: Firmware, board: Board, tokenizer: Tokenizer) -> None:
    written: list[str] = []
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        scale = TickScale.emulated(board.instructions_per_tick("qemu"), board.milliseconds(1.0, 1.5))
        chat_loop(device, scale, tokenizer, ["turn on", "☃" * 40], written.append, 12)
        text = device.prompt("turn on", 12).text
    assert "".join(written).startswith(text)
    assert "tokens a second" in "".join(written)
    assert written[-1].startswith("the board refuses")


def test_a_real_boards_pace_is_its_own() -> None:
    assert TickScale.real(168_000_000).milliseconds * 168_000 == pytest.approx(1.0)
    assert TickScale.real(168_000_000).measured


def test_the_definition_and_the_code_have_the_same_powers() -> None:
    source = (Path(RUNTIME) / "thimble_sampler.c").read_text()
    for i in range(17):
        assert str(round(65536 * 2 ** (-i / 16))) in source


def test_an_image_without_sampling_is_smaller_and_says_so(project: Path, firmware: Firmware, board: Board) -> None:
    plain = build_project(project, project / "build-plain", sampling=False)
    assert plain.sizes.code < firmware.sizes.code - 1000
    with Device(Qemu().start(plain.elf, board), timeout=20) as device:
        with pytest.raises(DeviceError, match="unsupported"):
            device.sample(900)
        assert device.ask("turn on", 5).tokens_out
