"""`chat` and `generate`: text to and from a board, emulated or real."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path

from rich.console import Console

from pipeline.device.chat import (
    TextStream,
    TickScale,
    chat_loop,
    described,
    plain_text,
    read_lines,
    statistics,
)
from pipeline.device.client import connect
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.errors import DeviceError, ThimbleError
from pipeline.numerics.sampler import SamplerSettings
from pipeline.recipes.load import Recipe
from pipeline.stages.understanding import Place, device_in_home
from pipeline.targets.boards import Board, load_board
from pipeline.tasks.text_path import recipe_codec
from pipeline.text.codec import Codec, StructuredCodec
from pipeline.timing.costs import load_core
from pipeline.verification.result import RESULT
from pipeline.workflow.artifacts import FIRMWARE
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["CUT_OFF", "SessionOptions", "chat_with_board", "generate_text"]

CUT_OFF = 3
"""The exit status of `generate` where an answer has no end of its own."""


@dataclass(frozen=True)
class SessionOptions:
    """Where the board is (an emulator's name, or a serial port), and how it draws tokens; `max_tokens` None: the
    model's context; `home`: a file of names, instead of the recipe's; `is_quiet`: answers alone are shown; `is_json`:
    a chat's answers are lines of JSON."""

    emulator: str | None = None
    port: str | None = None
    baud: int | None = None
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    max_tokens: int | None = None
    home: Path | None = None
    is_quiet: bool = False
    is_json: bool = False


def chat_with_board(recipe: Recipe, workspace: Workspace, options: SessionOptions, console: Console) -> int:
    """Chats with the recipe's first board until end of file; returns the exit status."""
    with _opened(recipe, workspace, options) as (device, tick_scale, title):
        codec = _codec(recipe, workspace)
        tokenizer = codec.tokenizer
        start = tokenizer.template.bos if tokenizer.template.is_open_ended else None
        hint = "" if start is None else "; an empty line begins a text"
        if options.is_json and not isinstance(codec, StructuredCodec):
            raise ThimbleError(
                f"the model of {recipe.name} answers in text, which is no JSON", "leave --json out, or add --quiet"
            )
        if not options.is_quiet and not options.is_json:
            console.print(
                f"{title}; Ctrl-C ends an answer or clears the line, Ctrl-D ends the chat{hint}", highlight=False
            )
        decoder = None if isinstance(codec, StructuredCodec) else tokenizer
        is_bare = options.is_quiet or options.is_json
        lines = read_lines("" if is_bare else "> ", is_echoed=not options.is_json)
        max_new = _max_new_tokens(recipe, options)
        chat_loop(device, tick_scale, decoder, lines, _write, max_new, start, options.is_quiet, options.is_json)
    return 0


def generate_text(recipe: Recipe, workspace: Workspace, options: SessionOptions, prompt: str) -> int:
    """Streams the board's answer to one prompt to stdout, and its statistics to stderr.

    Returns:
        The exit status: 0, or `CUT_OFF` where the context or the length ended the answer.

    Raises:
        ThimbleError: the prompt is empty, and the model's texts begin with something.
    """
    prompt = plain_text(prompt)
    with _opened(recipe, workspace, options) as (device, tick_scale, _):
        codec = _codec(recipe, workspace)
        if not prompt.strip() and not codec.tokenizer.template.is_open_ended:
            raise ThimbleError("the text is empty", "say something by --prompt")
        if isinstance(codec, StructuredCodec):
            answer = device.answer(prompt, _max_new_tokens(recipe, options))
            _write(described(answer))
        else:
            stream = TextStream(codec.tokenizer, _write, None if prompt else codec.tokenizer.template.bos)
            answer = device.prompt(prompt, _max_new_tokens(recipe, options), stream.take)
            stream.end()
        _write("\n")
        if not options.is_quiet:
            print(statistics(answer, tick_scale), file=sys.stderr)
    is_as_asked = answer.end == "length" and options.max_tokens and codec.tokenizer.template.is_open_ended
    return CUT_OFF if answer.end in ("context", "length", "stopped") and not is_as_asked else 0


@contextmanager
def _opened(recipe: Recipe, workspace: Workspace, options: SessionOptions) -> Iterator[tuple[Device, TickScale, str]]:
    """The board, ready for requests; what its ticks mean; and what it is, for people."""
    board = load_board(recipe.boards[0])
    key = target_key(board.name, recipe.engine)
    if options.port:
        with _connected(recipe, workspace, options, board) as device:
            _set(device, options.sampler)
            yield device, TickScale.real(device.info().tick_hz), f"{board.title} on {options.port}"
        return
    emulator = pick(board, options.emulator)
    rate = _traced_rate(RESULT.path(workspace.folder / key), board.core)
    with _emulated(recipe, workspace, options, board, emulator) as device:
        _set(device, options.sampler)
        tick_scale = TickScale.emulated(board.instructions_per_tick(emulator.name), board.milliseconds(1.0, rate))
        yield device, tick_scale, f"{board.title} on {emulator.name} {emulator.version}"


@contextmanager
def _connected(recipe: Recipe, workspace: Workspace, options: SessionOptions, board: Board) -> Iterator[Device]:
    port, baud = str(options.port), options.baud or board.uart.baud
    if options.home is not None:
        with device_in_home(recipe, workspace, Place(port, baud=baud), options.home) as device:
            yield device
        return
    with connect(port, baud=baud) as device:
        yield device


@contextmanager
def _emulated(
    recipe: Recipe, workspace: Workspace, options: SessionOptions, board: Board, emulator: Emulator
) -> Iterator[Device]:
    if options.home is not None:
        with device_in_home(recipe, workspace, Place(board.name, emulator.name), options.home) as device:
            yield device
        return
    elf = workspace.path(FIRMWARE.of("firmware"), target_key(board.name, recipe.engine))
    with Device(emulator.start(elf, board)) as device:
        yield device


def _set(device: Device, sampler: SamplerSettings) -> None:
    """Sets how tokens are drawn; a board that was built without drawing takes the best ones anyway."""
    try:
        device.sample(*astuple(sampler))
    except DeviceError as error:
        if error.code != "unsupported" or sampler.temperature or sampler.penalty != 1000:
            raise


def _codec(recipe: Recipe, workspace: Workspace) -> Codec:
    return recipe_codec(recipe, workspace.stage("data"))


def _max_new_tokens(recipe: Recipe, options: SessionOptions) -> int:
    return options.max_tokens or recipe.model.context


def _write(text: str) -> None:
    sys.stdout.write(text.encode("utf-8", "replace").decode())
    sys.stdout.flush()


def _traced_rate(path: Path, core: str) -> float:
    """Likely cycles an instruction of a decode step as the last run modelled them, else the mean of the core."""
    try:
        cycles = RESULT.load_file(path).cycles
    except ThimbleError:  # nothing was run yet, or by another version: chat needs no result
        cycles = None
    if cycles is None or cycles.per_instruction is None:
        return load_core(core).mean.likely
    return cycles.per_instruction.likely
