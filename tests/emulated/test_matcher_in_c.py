"""The device's matcher, compiled for the host with sanitizers, against the host's."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.firmware.vocabulary_tables import LayerTables, fnv1a
from pipeline.text.annotation import Annotated, Entry
from pipeline.text.matcher import Annotator
from pipeline.text.vocabulary import Inflection, Vocabulary

MAX_WORDS, MAX_BYTES, MAX_MARKS = 64, 640, 16
TOO_LONG, TOO_MANY_MARKS = -2, -3


class CMark(NamedTuple):
    kind: int
    first: int
    end: int
    is_quantity: int
    value: str


class CMatcher:
    """The compiled C in a process of its own."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout

    def close(self) -> None:
        self._in.close()
        assert self._process.wait(60) == 0

    def inflection(self, inflection: Inflection) -> None:
        self._send(b"I", inflection.umlauts, inflection.min_letters)
        for strings in (inflection.last, inflection.inner, inflection.linking, inflection.dropped):
            data = b"".join(string.encode() + b"\0" for string in strings) + b"\0"
            self._send(b"", len(strings))
            self._table("B", data)
        self._hashes(b"C", inflection.common_words)

    def known(self, words: Iterable[str]) -> None:
        self._hashes(b"K", words)

    def layer(self, index: int, tables: LayerTables) -> None:
        self._send(b"L", index, tables.longest, tables.max_words)
        self._table("I", [*accumulate(map(len, tables.texts), initial=0)])
        self._table("B", b"".join(tables.texts))
        self._table("H", tables.by_text)
        self._table("H", tables.by_skeleton)
        self._table("B", tables.kinds)
        self._table("H", tables.value_of)
        self._table("I", [*accumulate(map(len, tables.values), initial=0)])
        self._table("B", b"".join(tables.values))

    def annotate(self, text: str) -> tuple[list[tuple[str, int, int]], list[CMark]] | int:
        """Words and marks, or an error."""
        self._send(b"S")
        self._table("B", text.encode())
        self._in.flush()
        count = self._number()
        if count < 0:
            return count
        words = []
        for _ in range(self._number()):
            word, first, end = self._line().rsplit(" ", 2)
            words.append((word, int(first), int(end)))
        marks = []
        for _ in range(count):
            kind, first, end, is_quantity, value = self._line().split(" ", 4)
            marks.append(CMark(int(kind), int(first), int(end), int(is_quantity), value))
        return words, marks

    def _line(self) -> str:
        line = self._out.readline()
        assert line.endswith(b"\n"), f"the program ended with {self._process.wait(60)}"
        return line[:-1].decode()

    def _number(self) -> int:
        return int(self._line())

    def _send(self, command: bytes, *numbers: int) -> None:
        self._in.write(command + struct.pack(f"<{len(numbers)}I", *numbers))

    def _table(self, form: str, values: Sequence[int]) -> None:
        self._in.write(struct.pack(f"<I{len(values)}{form}", len(values), *values))

    def _hashes(self, command: bytes, words: Iterable[str]) -> None:
        self._in.write(command)
        self._table("I", sorted(map(fnv1a, words)))
