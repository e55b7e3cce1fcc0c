"""Talking to a board: one sentence after another, by hand or by the hundred."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sequence

from pipeline.boards import Board
from pipeline.protocol import Answer, Device, DeviceError

__all__ = ["answer_line", "ask_many", "converse", "typed_lines"]


def ask_many(
    device: Device, sentences: Sequence[str], max_new: int, progress: Callable[[int], None] | None = None
) -> list[str]:
    """The board's answer to each sentence; empty where it refused one, as it does one that is too long for the context.

    Args:
        max_new: most tokens of an answer. progress: called with the number of sentences done.

    Raises:
        ThimbleError: the device stopped answering, or told of a fault.
    """
    answers = []
    for count, sentence in enumerate(sentences, 1):
        try:
            answers.append(device.prompt(sentence, max_new).text)
        except DeviceError as error:
            if error.code in ("fault", "protocol"):
                raise
            answers.append("")
        if progress is not None:
            progress(count)
    return answers


def converse(
    device: Device,
    board: Board,
    emulator: str,
    lines: Iterable[str],
    say: Callable[[str], None],
    max_new: int,
    cycles_per_instruction: float | None = None,
) -> None:
    """Sends each line to the board and says what came back; a line that the board refuses does not end it.

    Args:
        cycles_per_instruction: of this model on this board, where it is known from a trace; else the core's mean.
    """
    for line in lines:
        sentence = line.strip()
        if not sentence:
            continue
        try:
            say(answer_line(device.prompt(sentence, max_new), board, emulator, cycles_per_instruction))
        except DeviceError as error:
            if error.code == "fault":
                raise
            say(f"the board refuses: {error.text}")


def answer_line(answer: Answer, board: Board, emulator: str, cycles_per_instruction: float | None = None) -> str:
    """`action  (tokens, instructions a token, likely milliseconds a token at the board's clock)`."""
    per_tick = float(board.emulators[emulator]["instructions_per_tick"])
    mean = answer.model_ticks / (answer.count_in + len(answer.tokens_out) - 1) * per_tick
    count = f"{answer.count_in} tokens in, {len(answer.tokens_out)} out"
    cut = "" if answer.end == "eos" else f", cut off by the {'context' if answer.end == 'context' else 'length'}"
    time = board.milliseconds(mean, cycles_per_instruction)
    return f"{answer.text}  ({count}{cut}; {mean:,.0f} instructions, about {time:.1f} ms a token)"


def typed_lines(prompt: str = "> ") -> Iterable[str]:
    """Lines from the terminal until end of file or Ctrl-C; from a file or pipe they are shown too. Bytes that are no
    UTF-8 go through to the board, which refuses them."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    shown = sys.stdin.isatty()
    while True:
        try:
            line = input(prompt)
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not shown:
            print(line.encode("utf-8", "replace").decode())
        yield line
