"""Sentences to what they ask for, by the model on this machine, on an emulated board, or on a real one."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from rich.console import Console

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.device.client import connect
from pipeline.device.names import push_names
from pipeline.device.protocol import Device
from pipeline.emulators.select import pick
from pipeline.errors import ThimbleError
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.load import Recipe
from pipeline.recipes.schema import ENGINES
from pipeline.stages.artifacts import KNOWN_NAMES
from pipeline.stages.registry import run_recipe
from pipeline.targets.boards import Board, all_boards, load_board
from pipeline.tasks.home_file import KINDS, load_home
from pipeline.tasks.registry import load_calls
from pipeline.tasks.text_path import recipe_codec
from pipeline.tasks.tool_files import CallMaker
from pipeline.text.annotation import Entry
from pipeline.text.answers import StructuredAnswer
from pipeline.text.codec import Codec, StructuredCodec
from pipeline.verification.board_reply import ask_device
from pipeline.verification.host_engine import host_engine
from pipeline.verification.reply import Reply, ask, at_threshold, parse_reply
from pipeline.workflow.artifacts import FIRMWARE, MODEL_SOURCES, PACKED_SOURCES, TFLITE
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["HOST", "Listener", "Place", "device_in_home", "listening", "read_sentences", "understand"]

HOST = "host"
_HOME_KINDS = frozenset({*KINDS, "area", "floor"})

Asker = Callable[[str], Reply]
"""Gives the reply to a sentence."""


@dataclass(frozen=True)
class Place:
    """Where the model runs.

    Attributes:
        name: `HOST`, a board's name for an emulated one, or a serial port.
        emulator: instead of the first that is present.
        baud: of the port, instead of the board's speed.
    """

    name: str = HOST
    emulator: str | None = None
    baud: int | None = None

    @property
    def is_board(self) -> bool:
        """Whether it is an emulated board."""
        return any(board.name == self.name for board in all_boards())


def understand(
    recipe: Recipe, build: Path, place: Place, home: Path | None, sentences: str, out: str, retrain: bool = False
) -> None:
    """Writes a line of JSON for each sentence, with `sentence`, `intent`, `slots`, `confidence`, `text` and, where
    nothing is done and it is known why, `reason`; where the answer needs the room in which it is said, `context`; where
    the model asks which of two answers is meant, `choices`, with `intent`, `slots`, `confidence` and `text` of each;
    for a task of tools `call` too: name and arguments, or null where nothing can be called.

    Args:
        recipe: of the model; what is missing of it is made.
        build: where artifacts are.
        place: where the model runs.
        home: a file of names, instead of those of the home that came with the task; None: the task's. A board on a port
            knows those of its image too.
        sentences: a file with a sentence a line, see `read_sentences`; "-": standard input.
        out: the file to write; "-": standard output.
        retrain: see `RunOptions`.

    Raises:
        ThimbleError: from the stages; a file cannot be read; the recipe's model knows no homes; the board on the port
            has no memory for the names of `home`.
    """
    console = Console(stderr=True, quiet=out == "-" and not sys.stderr.isatty())
    call = load_calls(recipe)
    with ExitStack() as stack:
        source = sys.stdin.buffer if sentences == "-" else stack.enter_context(_opened(Path(sentences)))
        listener = stack.enter_context(listening(recipe, build, place, home, console, retrain))
        sink = sys.stdout if out == "-" else stack.enter_context(Path(out).open("w", encoding="utf-8"))
        for sentence in read_sentences(source):
            record = _record(sentence, listener.ask(sentence), listener.slots, call)
            print(json.dumps(record, ensure_ascii=False), file=sink, flush=True)


@dataclass(frozen=True)
class Listener:
    """A model that can be asked.

    Attributes:
        ask: gives the reply to a sentence.
        slots: names that slots of its answers may have; None where it answers in text.
    """

    ask: Asker
    slots: tuple[str, ...] | None

    def understand(self, sentence: str) -> StructuredAnswer:
        """What a sentence asks for."""
        return self._answer(self.ask(sentence))

    def understand_at(self, sentence: str, thresholds: Sequence[float]) -> list[StructuredAnswer]:
        """What a sentence asks for, of a model that does nothing below a confidence.

        Args:
            sentence: asked once.
            thresholds: from 0 to 1, none of them below the model's own.
        """
        reply = self.ask(sentence)
        return [self._answer(at_threshold(reply, round(65536 * threshold))) for threshold in thresholds]

    def _answer(self, reply: Reply) -> StructuredAnswer:
        answer = parse_reply(reply, self.slots)
        confidence = 1.0 if reply.confidence is None else reply.confidence / 65536
        return replace(answer, confidence=confidence, reason=reply.reason)


@contextmanager
def listening(
    recipe: Recipe, build: Path, place: Place, home: Path | None, console: Console, retrain: bool = False
) -> Iterator[Listener]:
    """A recipe's model, ready to be asked; see `understand`."""
    if place.is_board:
        recipe = recipe.with_boards([place.name])
    until = "quantize" if place.name == HOST else "firmware"
    options = RunOptions(build, until, emulator=place.emulator, retrain=retrain)
    workspace = run_recipe(recipe.with_boards(recipe.boards[:1]), options, console)
    codec, entries = _codec(recipe, workspace, home)
    slots = codec.schema.slots if isinstance(codec, StructuredCodec) else None
    with _asker(recipe, workspace, codec, place, entries) as ask_one:
        yield Listener(ask_one, slots)


def read_sentences(lines: Iterable[bytes]) -> Iterator[str]:
    """The sentences of lines, each plain text or a JSON object whose `sentence` it is; empty lines are left out.

    Raises:
        ThimbleError: a line is no UTF-8, or a JSON object without a sentence.
    """
    for number, data in enumerate(lines, 1):
        try:
            line = data.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise ThimbleError(
                f"line {number} of the sentences is no UTF-8: {error.reason}", "save it as UTF-8"
            ) from None
        if line.startswith("{"):
            try:
                line = str(json.loads(line)["sentence"])
            except (ValueError, KeyError) as error:
                raise ThimbleError(
                    f"line {number} of the sentences begins as JSON and has no `sentence`: {error}",
                    'write lines such as {"sentence": "turn on the light"}, or plain text',
                ) from None
        if line:
            yield line


def _record(
    sentence: str, reply: Reply, slots: Iterable[str] | None, call: CallMaker | None = None
) -> dict[str, object]:
    answer = parse_reply(reply, slots)
    record: dict[str, object] = {
        "sentence": sentence,
        "intent": answer.intent,
        "slots": dict(answer.slots),
        "confidence": None if reply.confidence is None else round(reply.confidence / 65536, 5),
        "text": reply.text,
    }
    if call is not None:
        record["call"] = call(answer)
    if reply.reason:
        record["reason"] = reply.reason
    if answer.context:
        record["context"] = list(answer.context)
    if answer.choices:
        record["choices"] = [
            {
                "intent": choice.intent,
                "slots": dict(choice.slots),
                "confidence": round(choice.confidence, 5),
                "text": choice.text,
            }
            for choice in answer.choices
        ]
    return record


def _codec(recipe: Recipe, workspace: Workspace, home: Path | None) -> tuple[Codec, tuple[Entry, ...] | None]:
    """The model's codec, and the names of the home, where one is given."""
    data = workspace.stage("data")
    codec = recipe_codec(recipe, data)
    if home is None:
        return codec, None
    if not isinstance(codec, StructuredCodec):
        raise ThimbleError(
            f"the model of {recipe.name} takes no names: it answers in text",
            "leave --home out, or train a model with answer tokens",
        )
    names = KNOWN_NAMES.load(data)
    lists = frozenset(entry.kind for entry in names.entries) - _HOME_KINDS
    entries = tuple(entry for entry in load_home(home).entries() if entry.kind in codec.schema.kinds)
    return recipe_codec(recipe, data, names.with_home(entries, lists)), entries


@contextmanager
def _asker(
    recipe: Recipe, workspace: Workspace, codec: Codec, place: Place, entries: tuple[Entry, ...] | None
) -> Iterator[Asker]:
    if place.name == HOST:
        tflite = workspace.path(TFLITE.of("quantize")).read_bytes()
        graph = read_tflite(tflite)
        step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
        with host_engine(tflite) as engine:
            yield lambda sentence: ask(engine, codec, sentence, step, recipe.model.context)
        return
    with _device(recipe, workspace, codec, place, entries) as device:
        is_structured = isinstance(codec, StructuredCodec)
        yield lambda sentence: ask_device(device, sentence, recipe.model.context, is_structured)


@contextmanager
def _device(
    recipe: Recipe, workspace: Workspace, codec: Codec, place: Place, entries: tuple[Entry, ...] | None
) -> Iterator[Device]:
    board = load_board(recipe.boards[0])
    if not place.is_board:
        with connect(place.name, baud=place.baud or board.uart.baud) as device:
            if entries is not None:
                _tell_names(device, entries, place)
            yield device
        return
    emulator = pick(board, place.emulator)
    with tempfile.TemporaryDirectory() as folder:
        elf = workspace.path(FIRMWARE.of("firmware"), target_key(board.name, recipe.engine))
        if entries is not None:
            elf = _build(recipe, workspace, codec, board, Path(folder))
        with Device(emulator.start(elf, board)) as device:
            yield device


@contextmanager
def device_in_home(recipe: Recipe, workspace: Workspace, place: Place, home: Path) -> Iterator[Device]:
    """A board that knows the names of a home; see `understand`.

    Args:
        recipe: of the model, whose firmware is built.
        workspace: its artifacts.
        place: an emulated board or a port.
        home: a file of names.
    """
    codec, entries = _codec(recipe, workspace, home)
    with _device(recipe, workspace, codec, place, entries) as device:
        yield device


def _tell_names(device: Device, entries: Sequence[Entry], place: Place) -> None:
    """Adds the names of a home to those of a board's image, before which they count."""
    pushed = push_names(device, ((entry.kind, entry.value, entry.text) for entry in entries), is_stored=False)
    if pushed.left_out:
        raise ThimbleError(
            f"the board on {place.name} has no memory for {len(entries)} names",
            "build its image with a larger -DTHIMBLE_NAMES_BYTES, or with this home",
        )


def _build(recipe: Recipe, workspace: Workspace, codec: Codec, board: Board, folder: Path) -> Path:
    """The image of a recipe with other names."""
    model = workspace.path(MODEL_SOURCES.of("firmware"), target_key(board.name, recipe.engine))
    if not model.is_dir():
        model = workspace.path(PACKED_SOURCES.of("convert"), packing=board.packing)
    write_project(model, codec, board, recipe.name, folder / "project", ENGINES[recipe.engine])
    return build_project(folder / "project", folder / "build").elf


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "name a file with a sentence a line") from None
    with file:
        yield file
