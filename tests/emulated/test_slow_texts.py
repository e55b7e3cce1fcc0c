"""The texts from which the most that reading takes is measured are slower to read than others."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import Firmware
from pipeline.targets.boards import Board
from pipeline.text.answers import MAX_WORDS, MAX_WORDS_BYTES
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.slow_texts import MAX_LINE, slow_texts

NAMES = ("Kitchen Lights", "Desk Lamp", "Zoë", "TV")


def test_they_are_as_long_as_the_device_reads_them(tokenizer: Tokenizer) -> None:
    plain, named = slow_texts(tokenizer), slow_texts(tokenizer, NAMES)
    assert all(text.isascii() and text == text.strip() for text in plain + named)
    assert max(map(len, plain)) == MAX_LINE and max(map(len, named)) == MAX_WORDS_BYTES
    assert all(len(text.split(" ")) <= MAX_WORDS for text in named[-4:])
    assert {len(text.split(" ")) for text in named[-4:]} == {MAX_WORDS}, "names as many as are looked for"
    assert "Kqtchen" in named[-3] and "Zoë" not in " ".join(named)


@pytest.mark.slow
def test_no_other_text_takes_longer(tokenizer: Tokenizer, firmware: Firmware, board: Board) -> None:
    rng = random.Random(1)
    pieces = [text for piece in tokenizer.pieces if (text := piece.decode("ascii", "ignore"))]
    others = ["".join(rng.choices("etaoin shr", k=rng.randrange(1, MAX_LINE))) for _ in range(20)]
    others += ["".join(rng.choices(pieces, k=400)) for _ in range(20)]
    others = [text[: MAX_LINE * len(text) // len(quote(text, safe="")) - 50] for text in others]
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        most = max(device.read(text.encode())[1] for text in slow_texts(tokenizer))
        assert most > max(device.read(text.encode())[1] for text in others)
        assert device.read(b"a")[0] == len(tokenizer.encode_prompt("a"))
