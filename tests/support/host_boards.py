"""Boards that are processes: the application with the stand-in model, compiled for the host under sanitizers."""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import tools
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.resources import ROOT
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.codec import StructuredCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import FOLDER, VOCAB, standin_tokenizer

__all__ = ["Port", "answering_codec", "build_answering_board", "build_board", "on_port"]

TEMPLATES = ROOT / "firmware_templates"
HOST_BOARD = ROOT / "tests" / "emulated" / "host_board.c"
INTENTS = {
    "TurnOn": IntentSchema(
        {"name": SlotSchema(kinds=frozenset({"light"})), "to": SlotSchema(kinds=frozenset({"percent"}))}
    ),
    "Wait": IntentSchema({unit: SlotSchema(kinds=frozenset({"number"})) for unit in ("hours", "minutes")}),
}


def answering_codec(asks: bool = False) -> StructuredCodec:
    """Of a stand-in that answers in answer tokens, knows a lamp, and says nothing of sense; one may ask which of two
    answers is meant."""
    names = KnownNames("en", (Entry("lamp", "light", "Lamp"),), ("for", "on", "the", "turn", "wait"))
    tokenizer = Tokenizer.train(["turn on"] * 3, 268)
    schema = replace(make_schema(INTENTS, ("light",), 3, 0.5), asks=asks)
    codec = StructuredCodec(tokenizer, schema, names.annotator())
    assert codec.vocab_size <= VOCAB
    return codec


def build_answering_board(
    folder: Path, names_bytes: int = 4096, options: Sequence[str] = (), asks: bool = False
) -> Path:
    """The program of a board whose model answers in answer tokens.

    Args:
        folder: where its tables and the program go.
        names_bytes: its memory for names.
        options: further ones of the compiler.
        asks: whether its model asks which of two answers is meant.
    """
    codec = answering_codec(asks)
    write_tokenizer(codec.tokenizer, folder)
    write_text_path(codec, folder)
    return _built(folder, ["-DTHIMBLE_ANSWERS", f"-DTHIMBLE_NAMES_BYTES={names_bytes}", *options])


def build_board(folder: Path) -> Path:
    """The program of a board whose model answers in text."""
    write_tokenizer(standin_tokenizer(), folder)
    return _built(folder, ["-DTHIMBLE_SAMPLING"])


def _built(folder: Path, options: Sequence[str]) -> Path:
    (folder / "build.h").write_text(
        '#define BUILD_MODEL_NAME "stand-in"\n#define BUILD_TOKENIZER_VERSION "0123456789abcdef"\n'
        '#define BUILD_ANSWERS_VERSION "0123456789abcdef"\n'
    )
    runtime = TEMPLATES / "runtime"
    sources = [
        *sorted((TEMPLATES / "app").glob("*.c")),
        *sorted(runtime.glob("*.c")),
        *sorted(folder.glob("*.c")),
        *(FOLDER / "model.c", HOST_BOARD),
    ]
    flags = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", *options]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{path}" for path in (TEMPLATES / "app", runtime, FOLDER, folder)]
    program = folder / "program"
    command: list[str | Path] = [tools.require("gcc"), *flags, *sanitizers, *includes, "-o", program, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


@dataclass
class Port:
    """A pseudo-terminal with a board behind it.

    Attributes:
        name: of the port.
        process: the board.
    """

    name: str
    process: subprocess.Popen[bytes]

    def pull_out(self) -> None:
        """Ends the board."""
        self.process.kill()
        self.process.wait()


@contextmanager
def on_port(program: Path) -> Iterator[Port]:
    """A board behind a pseudo-terminal, which stays when programs close it."""
    board_end, host_end = pty.openpty()
    tty.setraw(board_end)
    process = subprocess.Popen([program], stdin=board_end, stdout=board_end)
    os.close(board_end)
    try:
        yield Port(os.ttyname(host_end), process)
    finally:
        os.close(host_end)
        process.kill()
        process.wait()
