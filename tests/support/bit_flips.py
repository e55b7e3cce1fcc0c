"""Flips bits of an image, runs it under QEMU, and says what became of each.

`python -m tests.support.bit_flips --count 500` prints a table of the stand-in's image, by part.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.project import write_project
from pipeline.targets.boards import Board, load_board
from pipeline.text.codec import PlainCodec
from tests.support.standin import FOLDER, standin_tokenizer

__all__ = ["MISSED", "PARTS", "UNCHANGED", "Flips", "write_model_with_variables"]

PARTS = {
    "weights": (".weights",),
    "tables": (".tables",),
    "code": (".vectors", ".text"),
    "data": (".data",),
    "record": (".image",),
}
"""The sections of each part of an image."""
UNCHANGED, REFUSED, FAULT, SILENT, MISSED = "unchanged", "refused", "fault", "silent", "missed"
REQUESTS = ("ASK 6 turn%20on", "ENC Turn%20on%20the%20light")
_SHORTEST, _LONGEST = 3.0, 60.0
"""Seconds in which a line comes."""
_TIMES = 20
"""What an image that is whole takes, which is measured again and again: others may be at work on the machine."""
_EVERY = 200
_MAX_LINES = 200


@dataclass(frozen=True)
class _Ran:
    """The lines with which requests were answered, without ticks; and whether all of them were."""

    lines: tuple[str, ...]
    is_whole: bool


class Flips:
    """An image for a board that QEMU emulates, one of whose bits is flipped at a time.

    Args:
        firmware: the image.
        board: the board.
        folder: for the changed images.
    """

    def __init__(self, firmware: Firmware, board: Board, folder: Path) -> None:
        self._board, self._path = board, folder / "flipped.elf"
        self.elf, self.content = firmware.elf, firmware.elf.read_bytes()
        with firmware.elf.open("rb") as file:
            sections = {section.name: section for section in ELFFile(file).iter_sections()}
            self._places = {
                part: [
                    sections[name]["sh_offset"] + at
                    for name in names
                    if name in sections
                    for at in range(sections[name]["sh_size"])
                ]
                for part, names in PARTS.items()
            }
        self._timeout, self._count = _LONGEST, 0
        self.expected = self._run(firmware.elf)
        assert self.expected.is_whole and sum(line.startswith("OK ") for line in self.expected.lines) == len(REQUESTS)

    def sample(self, part: str, count: int, seed: int) -> Iterator[tuple[int, int]]:
        """So many places in the file, and a bit of each byte; fewer where the part is smaller."""
        draw = random.Random(f"{part} {seed}")
        every = range(8 * len(self._places[part]))
        for number in draw.sample(every, min(count, len(every))):
            yield self._places[part][number // 8], number % 8

    def outcome(self, place: int, bit: int) -> str:
        """What the board with that bit flipped does: `missed` where it answers something else, as if all were well."""
        if self._count % _EVERY == 0:
            self._measure()
        self._count += 1
        content = bytearray(self.content)
        content[place] ^= 1 << bit
        self._path.write_bytes(content)
        ran = self._run(self._path)
        if ran == self.expected:
            return UNCHANGED
        if any(line.startswith(("OK", "STEP ")) and line not in self.expected.lines for line in ran.lines):
            return MISSED
        if any(line.startswith("FAULT ") for line in ran.lines):
            return FAULT
        if not ran.is_whole:
            return SILENT
        return REFUSED if any(line.startswith("ERR ") for line in ran.lines) else MISSED

    def _measure(self) -> None:
        """How long to wait for a line."""
        self._timeout, started = _LONGEST, time.monotonic()
        assert self._run(self.elf) == self.expected
        self._timeout = min(max(_TIMES * (time.monotonic() - started), _SHORTEST), _LONGEST)

    def _run(self, elf: Path) -> _Ran:
        lines: list[str] = []
        link = Qemu().start(elf, self._board)
        try:
            while not lines or not lines[-1].startswith("READY "):
                lines.append(link.read_line(self._timeout))
                if len(lines) > _MAX_LINES:
                    return _Ran(tuple(lines), False)
            lines.clear()
            for request in REQUESTS:
                link.send_line(request)
                while True:
                    lines.append(_without_ticks(link.read_line(self._timeout)))
                    if lines[-1].startswith(("OK ", "ERR ", "FAULT ")) or len(lines) > _MAX_LINES:
                        break
        except ThimbleError:  # no line in time
            return _Ran(tuple(lines), False)
        finally:
            link.close()
        return _Ran(tuple(lines), True)


def _without_ticks(line: str) -> str:
    """A line without what it says of time."""
    words = line.split(" ")
    if words[0] == "STEP" and len(words) == 6:
        del words[4]
    if words[0] == "OK" and len(words) >= 6 and words[4] in ("eos", "length", "context", "stopped"):
        del words[3]
    return " ".join(words)


def write_model_with_variables(out: Path) -> None:
    """The stand-in, with variables that have values from the start and count in every step."""
    out.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "model.c":
            head, tail = text.split("static const void *standin_step", 1)
            assert "+ weights[i % 16]" in tail
            tail = tail.replace("+ weights[i % 16]", "+ weights[i % 16] + salts[i % 8]")
            text = f"{head}static volatile uint32_t salts[8] = {{1, 2, 3, 4, 5, 6, 7, 8}};\n\n"
            text += f"static const void *standin_step{tail}"
        (out / path.name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a flip was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.bit_flips", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="bits of each part (100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--board", default="mps2_an386")
    options = parser.parse_args(arguments)
    board = load_board(options.board)
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model_with_variables(folder / "model")
        write_project(folder / "model", PlainCodec(standin_tokenizer()), board, "flipped", folder / "project")
        flips = Flips(build_project(folder / "project", folder / "build"), board, folder)
        kinds = (UNCHANGED, REFUSED, FAULT, SILENT, MISSED)
        print("part", "tried", *kinds, sep="\t")
        for part in PARTS:
            counts = Counter(flips.outcome(*flip) for flip in flips.sample(part, options.count, options.seed))
            print(part, counts.total(), *(counts[kind] for kind in kinds), sep="\t", flush=True)
            missed += counts[MISSED]
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
