"""A board on a serial port, asked in one call each: what `thimble_client` gives."""

from __future__ import annotations

from contextlib import ExitStack

from .chat import TickScale, chat_loop, read_lines
from .protocol import Answer, Device
from .serial_port import connect as open_port
from .understanding import Understanding

__all__ = ["ask", "chat", "connect", "understand"]


def connect(port: str, *, baud: int = 115200) -> Device:
    """Opens the serial port of a real board with Thimble's firmware.

    Args:
        port: such as `/dev/ttyACM0` or `COM3`.
        baud: the board's speed, as in its board.yaml.

    Returns:
        The board, ready for requests; a context manager that closes the port.

    Raises:
        ThimbleError: the port cannot be opened, or nothing that answers as such a board does is on it.
    """
    link = open_port(port, baud)
    return Device(link, booted=True, has_ids=link.has_ids)


def ask(board: Device | str, text: str, *, max_new: int | None = None, baud: int = 115200) -> Answer:
    """What the board answers to a text, the fast way: tokens, their ticks and CRCs, and what they say.

    Args:
        board: one that `connect` opened; or a port, which is opened for this one answer.
        text: a sentence; or the beginning of a text that a language model goes on with.
        max_new: maximum number of tokens; None: what the context holds.
        baud: of the port.

    Raises:
        DeviceError: the board refuses the text.
        ThimbleError: see `connect`; or the board was pulled out.
    """
    with ExitStack() as stack:
        device = _opened(board, baud, stack)
        info = device.info()
        answer = device.answer if info.is_structured else device.prompt
        return answer(text, info.context if max_new is None else max_new)


def understand(board: Device | str, text: str, *, max_new: int | None = None, baud: int = 115200) -> Understanding:
    """What a sentence asks for: an intent, and slots with types; of a board whose model has answer tokens.

    Args:
        board: one that `connect` opened; or a port, which is opened for this one answer.
        text: a sentence.
        max_new: maximum number of tokens of the answer; None: what the context holds.
        baud: of the port.

    Raises:
        DeviceError: the board refuses the sentence, or its model answers in text (`unknown`).
        ThimbleError: see `connect`; or the board was pulled out.
    """
    with ExitStack() as stack:
        device = _opened(board, baud, stack)
        return device.understand(text, device.info().context if max_new is None else max_new)


def chat(board: Device | str, *, baud: int = 115200, is_quiet: bool = False, is_json: bool = False) -> None:
    """Sends each line of the terminal, file or pipe at standard input to the board, and prints its answer, until end of
    file. Ctrl-C ends an answer or clears the line.

    Args:
        board: one that `connect` opened; or a port, which is opened for this chat.
        baud: of the port.
        is_quiet: whether only answers are shown, without figures.
        is_json: whether answers are lines of JSON; of a board whose model has answer tokens.

    Raises:
        ThimbleError: see `connect`; or the board was pulled out.
    """
    with ExitStack() as stack:
        device = _opened(board, baud, stack)
        info = device.info()
        is_bare = is_quiet or is_json
        if not is_bare:
            print(f"{info.model} on {info.board}; Ctrl-C ends an answer or clears the line, Ctrl-D ends the chat")
        chat_loop(
            device,
            TickScale.real(info.tick_hz),
            None,
            read_lines("" if is_bare else "> ", is_echoed=not is_json),
            _write,
            info.context,
            is_quiet=is_quiet,
            is_json=is_json,
            is_structured=info.is_structured,
        )


def _opened(board: Device | str, baud: int, stack: ExitStack) -> Device:
    """The board; one that is opened here is closed with the stack."""
    return stack.enter_context(connect(board, baud=baud)) if isinstance(board, str) else board


def _write(text: str) -> None:
    print(text.encode("utf-8", "replace").decode(), end="", flush=True)
