"""Talking to a board: one sentence after another, by hand or by the hundred."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import DeviceError
from .protocol import Answer, Device

__all__ = [
    "Decoder",
    "TextStream",
    "TickScale",
    "ask_many",
    "chat_loop",
    "described",
    "plain_text",
    "read_lines",
    "statistics",
]

_ESCAPES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI: arrow keys, colors
    "|\x1bO[ -~]"  # SS3: arrow and function keys of some terminals
    "|\x1b[P\\]X^_].*?(?:\x07|\x1b\\\\|$)"  # strings, such as a window's title
    "|\x1b[ -/]*[0-~]?"
    "|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""All but the tab, which text may hold."""


def plain_text(line: str) -> str:
    """What a line says, without the sequences that keys and terminals send."""
    return _CONTROLS.sub("", _ESCAPES.sub("", line))


class Decoder(Protocol):
    """Interface to turn token ids into text, as a tokenizer does."""

    def decode(self, ids: Sequence[int], after: int | None = None) -> str: ...


@dataclass(frozen=True)
class TickScale:
    """Conversion of the board's ticks: instructions or cycles (`unit`) a tick, and milliseconds of each; `measured`
    where the board measured its own time."""

    per_tick: float
    unit: str
    milliseconds: float
    measured: bool = False

    @classmethod
    def emulated(cls, instructions_per_tick: float, milliseconds: float) -> TickScale:
        """Of an emulated board, which counts instructions, and what one of them would take on the real one."""
        return cls(instructions_per_tick, "instructions", milliseconds)

    @classmethod
    def real(cls, tick_hz: int) -> TickScale:
        """Of a real board, which counts cycles."""
        return cls(1.0, "cycles", 1000 / tick_hz, measured=True)


class TextStream:
    """Streams token ids as text; an incomplete UTF-8 character is held back.

    Args:
        after: the id before the first, where that decides how the text begins.
    """

    def __init__(self, decoder: Decoder, write: Callable[[str], None], after: int | None = None) -> None:
        self._decoder, self._write, self._after = decoder, write, after
        self._tokens: list[int] = []
        self._num_written = 0

    def take(self, token: int) -> None:
        """Takes the next id."""
        self._tokens.append(token)
        self._write_new(self._decoder.decode(self._tokens, self._after), whole=False)

    def end(self) -> None:
        """Writes the bytes held back."""
        self._write_new(self._decoder.decode(self._tokens, self._after), whole=True)

    def _write_new(self, text: str, whole: bool) -> None:
        known = text if whole else text.rstrip("\ufffd")
        if len(known) > self._num_written:
            self._write(known[self._num_written :])
            self._num_written = len(known)


def ask_many(
    device: Device,
    sentences: Sequence[str],
    max_new: int,
    progress: Callable[[int], None] | None = None,
    is_structured: bool = False,
) -> list[str]:
    """The board's answer to each sentence; empty where it refused one, as it does one that is too long for the context.

    Args:
        device: the board.
        sentences: what is said.
        max_new: most tokens of an answer.
        progress: called with the number of sentences done.
        is_structured: whether the board's model has answer tokens; then only logits that may follow are computed.

    Raises:
        ThimbleError: the device stopped answering, or reported a fault.
    """
    answers = []
    for count, sentence in enumerate(sentences, 1):
        try:
            answers.append((device.answer if is_structured else device.prompt)(sentence, max_new).text)
        except DeviceError as error:
            if error.code in ("checksum", "fault", "protocol"):
                raise
            answers.append("")
        if progress is not None:
            progress(count)
    return answers


def chat_loop(
    device: Device,
    tick_scale: TickScale,
    decoder: Decoder | None,
    lines: Iterable[str],
    write: Callable[[str], None],
    max_new: int,
    start: int | None = None,
    is_quiet: bool = False,
    is_json: bool = False,
    is_structured: bool = True,
) -> None:
    """Sends each line to the board and streams its answer; a line that the board refuses does not end the loop. Ctrl-C
    ends an answer.

    Args:
        device: the board.
        tick_scale: of its ticks.
        decoder: makes text of tokens as they come; None: answers are shown when they are whole, with their confidence
            where they have one.
        lines: what to send.
        write: shows text.
        max_new: most tokens of an answer.
        start: the id that texts begin with; an empty line then asks for a text that begins with nothing, else for none.
            An indentation is a part of text that goes on.
        is_quiet: whether only answers are shown, without figures.
        is_json: whether answers in answer tokens are shown as lines of JSON, without figures.
        is_structured: whether, where there is no decoder, answers are in answer tokens.
    """
    for line in map(plain_text, lines):
        sentence = line.strip() if start is None else line.rstrip()
        if not sentence and start is None:
            continue
        stream = TextStream(decoder, write, None if sentence else start) if decoder is not None else None
        try:
            if is_json:
                write(f"{device.understand(sentence, max_new).as_json()}\n")
                continue
            if stream is not None:
                answer = device.prompt(sentence, max_new, stream.take)
            else:
                answer = (device.answer if is_structured else device.prompt)(sentence, max_new, _ignore)
        except DeviceError as error:
            if error.code == "fault":
                raise
            refusal = json.dumps({"error": error.code, "text": error.text}) if is_json else error.text
            write(f"{refusal}\n" if is_json else f"the board refuses: {refusal}\n")
            continue
        if stream is not None:
            stream.end()
        else:
            write(described(answer))
        write("\n" if is_quiet else f"  ({statistics(answer, tick_scale)})\n")


def described(answer: Answer) -> str:
    """An answer in answer tokens: its text, the reason why nothing is done, where there is one, and its confidence; of
    one that may be the one or the other, which these are."""
    if answer.choices:
        return " or ".join(f"{text} {100 * confidence / 65536:.0f} %" for text, confidence in answer.choices) + "?"
    reason = f", {answer.reason}" if answer.reason and f"={answer.reason}" not in answer.text else ""
    confidence = f" {100 * answer.confidence / 65536:.0f} %" if answer.confidence is not None else ""
    return f"{answer.text}{reason}{confidence}"


def _ignore(token: int) -> None:
    """Takes a token of an answer that is shown when it is whole."""


def statistics(answer: Answer, tick_scale: TickScale) -> str:
    """Tokens, instructions or cycles a token, milliseconds a token and tokens a second at the board's clock; of an
    answer in answer tokens how many of its tokens were certain, and what all of it took."""
    if not answer.tokens_out:
        return "the model was not asked"
    mean = answer.model_ticks / (answer.count_in + len(answer.tokens_out) - 1) * tick_scale.per_tick
    generated = [step.ticks for step in answer.steps[len(answer.tokens_in) :]]
    count = f"{answer.count_in} token{'s' * (answer.count_in != 1)} in, {len(answer.tokens_out)} out"
    reasons = {"context": ", cut off by the context", "length": ", cut off by the length", "stopped": ", stopped"}
    about = "" if tick_scale.measured else "about "
    if answer.confidence is not None:
        certain = f", {answer.count_certain} of them certain" if answer.count_certain else ""
        whole = answer.model_ticks * tick_scale.per_tick
        time = f"{about}{whole * tick_scale.milliseconds:.1f} ms"
        return f"{count}{certain}{reasons.get(answer.end, '')}; {whole:,.0f} {tick_scale.unit}, {time}"
    rate = ""
    if generated:
        each = sum(generated) / len(generated) * tick_scale.per_tick * tick_scale.milliseconds
        rate = f", {1000 / each:,.0f} tokens a second"
    time = f"{about}{mean * tick_scale.milliseconds:.1f} ms a token{rate}"
    return f"{count}{reasons.get(answer.end, '')}; {mean:,.0f} {tick_scale.unit}, {time}"


def read_lines(prompt: str = "> ", is_echoed: bool = True) -> Iterable[str]:
    """Lines from the terminal, edited as its shell's are and with those before at the arrow keys, until end of file;
    Ctrl-C clears the line. From a file or pipe they are shown too, until its end or Ctrl-C. Bytes that are no UTF-8 go
    through to the board, which refuses them.

    Args:
        prompt: stands before each line.
        is_echoed: whether lines from a file or pipe, and its end, are shown.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - `input` uses it where it was imported
    while True:
        try:
            line = input(prompt)
        except EOFError:
            if interactive or is_echoed:
                print()
            return
        except KeyboardInterrupt:
            print()
            if interactive:
                continue
            return
        if not interactive and is_echoed:
            print(plain_text(line).encode("utf-8", "replace").decode())
        yield line
