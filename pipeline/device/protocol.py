"""The host's side of the serial protocol that docs/protocol.md describes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ..errors import DeviceError
from .link import SerialLink
from .understanding import Understanding, parse_understanding

__all__ = ["VERSION", "Answer", "Device", "Info", "Names", "Prefill", "Step", "full_context"]

VERSION = 1
STOP = b"\x03"
_NUMBERS = ("protocol", "vocab", "context", "tick_hz", "layers", "weights_bytes")
_PARTS = ("tables", "code", "data", "record")
_STEP = re.compile(r"STEP (\d+) (\d+) ([0-9a-f]{8}) (\d+) (\d+)")
_PREFILL = re.compile(r"PREFILL (\d+) ([0-9a-f]{8}) (\d+) (\d+)")
_MAX_LINE = 1024
_MAX_ID = 9999
_CHECKSUM = re.compile(r" \*([0-9a-f]{8})")
_OK_ANSWER = re.compile(
    r"OK (\d+) (\d+) (\d+) (eos|length|context|stopped|refused) (\S*)(?: (\d+) (\S+)((?: \S+ \d+){2})?)?"
)


@dataclass(frozen=True)
class Step:
    """One decode step: the token fed at a position, the CRC-32 of the logits, ticks, and the greedy next token."""

    position: int
    token: int
    crc: int
    ticks: int
    next: int


@dataclass(frozen=True)
class Prefill:
    """A prompt taken in blocks: how many tokens, the CRC-32 of the logits after the last, ticks, and the next token."""

    count: int
    crc: int
    ticks: int
    next: int


@dataclass(frozen=True)
class Answer:
    """Answer to a prompt: every step, the tokens in and out, ticks of the whole request, the reason of its end, the
    text.

    Where the prompt was taken in blocks, `prefill` holds its measurements, the steps are those of the generated tokens
    alone, and `tokens_in` is empty. A model with answer tokens says its `confidence`, in 1/65536, and the `reason` why
    nothing is done, where it knows one; for a sentence that it refuses there are no steps and no tokens. `choices` are
    the two best answers, each its text and confidence, of a model that asks which is meant; the steps, tokens and
    `confidence` are those of the first of them.
    """

    steps: tuple[Step, ...]
    tokens_in: tuple[int, ...]
    tokens_out: tuple[int, ...]
    ticks: int
    end: str
    text: str
    prefill: Prefill | None = None
    confidence: int | None = None
    reason: str = ""
    choices: tuple[tuple[str, int], ...] = ()

    @property
    def count_in(self) -> int:
        """Number of tokens of the prompt."""
        return self.prefill.count if self.prefill else len(self.tokens_in)

    @property
    def count_certain(self) -> int:
        """Number of generated tokens that were the only ones allowed, and for which nothing was computed."""
        return sum(step.ticks == 0 and step.crc == 0 for step in self.steps)

    @property
    def model_ticks(self) -> int:
        """Ticks of the prompt and of the steps, without printing."""
        return sum(step.ticks for step in self.steps) + (self.prefill.ticks if self.prefill else 0)


@dataclass(frozen=True)
class Info:
    """The device's answer to INFO: what runs there, and which of its parts are in flash as they were built.

    `build` is the digest of the image. The versions are of the model's .tflite, the tokenizer and the answer tokens;
    empty where there are none, or the firmware is older than they are. `parts` has `weights`, `tables`, `code`, `data`
    and `record`, as far as the firmware checks them, each `intact` or `corrupt`. `formats` has `json` where the board
    has the request UNDERSTAND. `names_bytes` is the memory for names that are added, 0 where the build takes none, and
    `names_stored` the flash that keeps them over a loss of power, 0 where the board has none. `step_ticks` is what the
    longest step takes, as the board measured it when it started; 0: it did not.
    """

    protocol: int
    board: str
    model: str
    build: str
    vocab: int
    context: int
    tick_hz: int
    counter: str
    layers: int
    weights_bytes: int
    weights_crc: int
    parts: Mapping[str, str]
    model_version: str = ""
    tokenizer_version: str = ""
    answers_version: str = ""
    formats: tuple[str, ...] = ("text",)
    names_bytes: int = 0
    names_stored: int = 0
    step_ticks: int = 0

    @property
    def is_structured(self) -> bool:
        """Whether the model has answer tokens, so that the board knows ANSWER and UNDERSTAND."""
        return "json" in self.formats

    @property
    def corrupt(self) -> tuple[str, ...]:
        """The parts that are not in flash as they were built."""
        return tuple(part for part, state in self.parts.items() if state != "intact")


def full_context(context: int, vocab: int) -> list[int]:
    """The ids with which `Device.fill` fills the context; they mean nothing."""
    return [(7919 * index + 11) % vocab for index in range(context)]


@dataclass(frozen=True)
class Names:
    """Names that were added: how many, bytes of memory that they take, all there are, and whether the board has the
    same ones after a loss of power."""

    count: int
    used: int
    bytes: int
    is_stored: bool


class Device:
    """Requests to a booted board. As a context manager it closes the link at the end.

    Args:
        link: the UART. The constructor waits for the board's READY line, unless the board is known to be `booted`.
        timeout: seconds on this machine's clock that any line may take.
        has_ids: whether the board takes requests with ids and checksums, as `ids=yes` of INFO says. With them no answer
            is taken for that of another request, and none that was changed on the way.
    """

    def __init__(self, link: SerialLink, timeout: float = 60.0, booted: bool = False, has_ids: bool = False) -> None:
        self._link = link
        self._timeout = timeout
        self._has_ids = has_ids
        self._id = 0
        try:
            if not booted:
                self._await_ready()
        except BaseException:
            link.close()
            raise

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the emulation."""
        self._link.close()

    def info(self) -> Info:
        """Asks INFO; the device computes its image's checksums anew."""
        fields = self._fields(self.request("INFO")[-1])
        try:
            return Info(
                board=fields["board"],
                model=fields["model"],
                build=fields["build"],
                parts={"weights": fields["weights"], **{part: fields[part] for part in _PARTS if part in fields}},
                model_version=fields.get("model_version", ""),
                tokenizer_version=fields.get("tokenizer_version", ""),
                answers_version=fields.get("answers_version", ""),
                formats=tuple(fields.get("formats", "text").split(",")),
                names_bytes=int(fields.get("names_bytes", 0)),
                names_stored=int(fields.get("names_stored", "no").replace("no", "0")),
                step_ticks=int(fields.get("step_ticks", 0)),
                counter=fields["counter"],
                weights_crc=int(fields["weights_crc"], 16),
                **{key: int(fields[key]) for key in _NUMBERS},
            )
        except (KeyError, ValueError) as error:
            raise DeviceError("protocol", f"INFO lacks {error}") from None

    def ask(self, text: str, max_new: int) -> Answer:
        """Sends a sentence; returns the model's answer.

        Raises:
            DeviceError: the device refuses: too long, not UTF-8, out of range.
        """
        return self._answer(f"ASK {max_new} {_quoted(text)}")

    def prompt(self, text: str, max_new: int, on_token: Callable[[int], None] | None = None) -> Answer:
        """As `ask`, the prompt taken in blocks of tokens: the fast way, with one line for the whole prompt.

        Args:
            on_token: called with each new token as it comes. Ctrl-C then stops the board's generation instead of this
                program; a second one raises KeyboardInterrupt.
        """
        request = f"PROMPT {max_new} {_quoted(text)}"
        return self._answer(request, on_token)

    def answer(self, text: str, max_new: int, on_token: Callable[[int], None] | None = None) -> Answer:
        """As `prompt`, of a model with answer tokens: only what is allowed is computed.

        The CRCs are those of the logits that may follow. A step after which only one id may follow has a CRC and ticks
        of 0: nothing is computed for it before the next step, and for the last of an answer nothing at all. Ticks
        include the choice of tokens.

        Args:
            text: a sentence.
            max_new: maximum number of tokens of the answer.
            on_token: as for `prompt`.
        """
        request = f"ANSWER {max_new} {_quoted(text)}"
        return self._answer(request, on_token)

    def understand(self, text: str, max_new: int) -> Understanding:
        """What a sentence asks for, of a model with answer tokens: the fast way, with nothing told of the steps.

        Args:
            text: a sentence.
            max_new: maximum number of tokens of the answer.

        Raises:
            DeviceError: the device refuses, or its model has no answer tokens (`unknown`).
        """
        request = f"UNDERSTAND {max_new} {_quoted(text)}"
        return parse_understanding(self.request(request)[-1].removeprefix("OK").strip())

    def stop(self) -> None:
        """Stops the running generation; its answer then holds the tokens generated so far."""
        self._link.send_bytes(STOP)

    def sample(
        self, temperature: int = 0, top_k: int = 0, top_p: int = 1000, penalty: int = 1000, seed: int = 0
    ) -> None:
        """Sets how the board draws tokens from now on, and starts its random numbers anew.

        Args:
            temperature: in thousandths; 0: always the most likely token.
            top_k: draw from so many of the most likely; 0: from all.
            top_p: draw from those that make up this probability, in thousandths.
            penalty: in thousandths; above 1000 repeats less.
            seed: below 2^32.

        Raises:
            DeviceError: one is out of range, or the board was built without drawing (`unsupported`).
        """
        self.request(f"SAMPLE {temperature} {top_k} {top_p} {penalty} {seed}")

    def ask_bytes(self, text: bytes, max_new: int) -> Answer:
        """As `ask`, of bytes that need not be UTF-8."""
        return self._answer(f"ASK {max_new} {quote_from_bytes(text, safe='')}")

    def generate(self, tokens: Sequence[int], max_new: int) -> Answer:
        """Sends token ids; returns the model's answer."""
        return self._answer(f"GEN {max_new} {' '.join(map(str, tokens))}")

    def encode(self, text: bytes) -> list[int]:
        """The device's token ids of a text, lower-cased as ASK does."""
        return [int(word) for word in self.request(f"ENC {quote_from_bytes(text, safe='')}")[-1].split()[1:]]

    def add_name(self, kind: str, value: str, text: str) -> None:
        """Adds a name, which counts before those that the model's image knows.

        Args:
            kind: of its marker, such as `area` or `light`.
            value: what an answer holds for it.
            text: as people say it, in any case.

        Raises:
            DeviceError: there is no room (`full`), no such kind, or the build takes no names.
        """
        self.request(f"NAME {' '.join(map(_quoted, (kind, value, text)))}")

    def clear_names(self) -> None:
        """Forgets the names that were added, until the board starts anew where it keeps them."""
        self.request("NAMES clear")

    def read(self, text: bytes) -> tuple[int, int]:
        """What it takes the device to make a prompt of a text, without the model.

        Returns:
            The prompt's tokens, 0 where there is none, and ticks.
        """
        _, count, ticks = self.request(f"READ {quote_from_bytes(text, safe='')}")[-1].split()
        return int(count), int(ticks)

    def fill(self) -> tuple[Prefill, Step]:
        """The most that prompts and steps take: a prompt that fills the context, and the step at its last position
        after the others, of ids `full_context`."""
        *lines, _ = self.request("FULL")
        prefill = _PREFILL.fullmatch(lines[0]) if lines else None
        step = _STEP.fullmatch(lines[1]) if len(lines) == 2 else None
        if prefill is None or step is None:
            raise DeviceError("protocol", f"FULL was answered by {lines}")
        position, token, crc, ticks, following = step.groups()
        return (
            Prefill(int(prefill[1]), int(prefill[2], 16), int(prefill[3]), int(prefill[4])),
            Step(int(position), int(token), int(crc, 16), int(ticks), int(following)),
        )

    def store_names(self) -> None:
        """Keeps the names that were added over a loss of power, in place of those that were kept.

        Raises:
            DeviceError: the board has no flash for names (`unsupported`), or too little (`full`), or it does not do
                what it is told (`store`).
        """
        self.request("NAMES store")

    def names(self) -> Names:
        """How many names were added, and what they take."""
        fields = self._fields(self.request("NAMES")[-1])
        return Names(
            int(fields["names"]), int(fields["names_used"]), int(fields["names_bytes"]), fields["stored"] == "yes"
        )

    def stack(self) -> tuple[int, int]:
        """Bytes of stack that were ever in use, and the stack's size."""
        fields = self._fields(self.request("STACK")[-1])
        return int(fields["peak"]), int(fields["size"])

    def profile(self) -> tuple[int, list[int]]:
        """Steps since the last call, and the ticks that each layer took in them (a profiling build)."""
        *layers, last = self.request("PROFILE")
        return int(last.split()[1]), [int(line.split()[2]) for line in layers]

    def request(self, line: str, on_token: Callable[[int], None] | None = None) -> list[str]:
        """Sends any request line; its answer lines, the last of them the OK line.

        Args:
            line: the request.
            on_token: called with each token of an answer as it comes.

        Raises:
            DeviceError: the answer is ERR, or tells of a fault.
        """
        sent, beginning = self._with_id(line)
        self._link.send_line(sent)
        lines: list[str] = []
        interrupts = 0
        while True:
            try:
                answer = self._link.read_line(self._timeout)
            except KeyboardInterrupt:
                interrupts = self._interrupted(interrupts, on_token is not None)
                continue
            if beginning and not answer.startswith(("ERR ", "FAULT ", "READY ")):
                if not answer.startswith(beginning):
                    continue  # of a request before
                answer = _checked(answer).removeprefix(beginning)
            if answer.startswith("ERR "):
                _, code, *text = answer.split(" ", 2)
                raise DeviceError(code, " ".join(text))
            if answer.startswith("FAULT "):
                raise DeviceError("fault", answer)
            if answer.startswith("READY "):
                raise DeviceError("protocol", "the board started anew before it answered")
            if answer == "":
                continue  # the line end before a FAULT
            lines.append(answer)
            if answer == "OK" or answer.startswith("OK "):
                return lines
            if on_token is not None and answer.startswith(("PREFILL ", "STEP ")):
                try:
                    on_token(int(answer.rpartition(" ")[2]))
                except KeyboardInterrupt:
                    interrupts = self._interrupted(interrupts, True)

    def _with_id(self, line: str) -> tuple[str, str]:
        """A request with an id and a checksum, and what its answers begin with; as it is, and nothing, where the board
        takes none, or the line would be too long."""
        self._id = self._id % _MAX_ID + 1
        beginning = f"#{self._id} "
        marked = f"{beginning}{line}"
        try:
            marked += f" *{zlib.crc32(marked.encode('ascii')):08x}"
        except UnicodeEncodeError:  # the board refuses such a line
            return line, ""
        if not self._has_ids or len(marked) > _MAX_LINE:
            return line, ""
        return marked, beginning

    def _answer(self, request: str, on_token: Callable[[int], None] | None = None) -> Answer:
        *lines, last = self.request(request, on_token)
        match = _OK_ANSWER.fullmatch(last)
        if match is None:
            raise DeviceError("protocol", f"an answer ended in {last!r}")
        prefill = None
        if lines and (prefill_match := _PREFILL.fullmatch(lines[0])):
            prefill = Prefill(
                int(prefill_match[1]), int(prefill_match[2], 16), int(prefill_match[3]), int(prefill_match[4])
            )
            lines = lines[1:]
        steps = []
        for line in lines:
            step = _STEP.fullmatch(line)
            if step is None:
                raise DeviceError("protocol", f"{line!r} among the steps")
            position, token, crc, ticks, following = step.groups()
            steps.append(Step(int(position), int(token), int(crc, 16), int(ticks), int(following)))
        count_in, count_out, ticks = (int(match[group]) for group in (1, 2, 3))
        is_refused = match[4] == "refused"
        expected_steps = 0 if is_refused else count_out - 1 + (count_in if prefill is None else 0)
        is_counted = is_refused or (count_in > 0 and count_out > 0)
        if not is_counted or len(steps) != expected_steps or (prefill and prefill.count != count_in):
            raise DeviceError("protocol", f"{len(steps)} steps for {count_in} tokens in and {count_out} out")
        following = [step.next for step in steps]
        return Answer(
            steps=tuple(steps),
            tokens_in=() if prefill else tuple(step.token for step in steps[:count_in]),
            tokens_out=(prefill.next, *following) if prefill else tuple(following[max(count_in - 1, 0) :]),
            ticks=ticks,
            end=match[4],
            text=_unquoted(match[5]),
            prefill=prefill,
            confidence=None if match[6] is None else int(match[6]),
            reason="" if match[7] in (None, "-") else _unquoted(match[7]),
            choices=_choices((match[8] or "").split()),
        )

    def _interrupted(self, before: int, can_stop: bool) -> int:
        """Ctrl-C: the first one stops the board's generation, where one runs."""
        if before or not can_stop:
            raise KeyboardInterrupt
        self.stop()
        return before + 1

    def _await_ready(self) -> None:
        while True:
            line = self._link.read_line(self._timeout)
            if line.startswith("FAULT "):
                raise DeviceError("fault", line)
            if line.startswith("ERR "):
                raise DeviceError("start", line)
            if line.startswith("READY thimble "):
                if line != f"READY thimble {VERSION}":
                    raise DeviceError("protocol", f"{line!r}, but this host speaks version {VERSION}")
                return

    @staticmethod
    def _fields(line: str) -> dict[str, str]:
        pairs = (word.partition("=") for word in line.split(" ")[1:])
        return {key: unquote_to_bytes(value).decode("utf-8", "replace") for key, _, value in pairs}


def _checked(line: str) -> str:
    """A line without the checksum at its end.

    Raises:
        DeviceError: it is not that of the line.
    """
    end = _CHECKSUM.fullmatch(line[-10:])
    if end is None or int(end[1], 16) != zlib.crc32(line[:-10].encode("ascii", "replace")):
        raise DeviceError("checksum", f"a line was changed on its way: {line[:80]!r}")
    return line[:-10]


def _quoted(text: str) -> str:
    """A text as a word of a request. Bytes that Python read as no UTF-8 go as they came, and lone surrogates as what no
    UTF-8 holds: the board refuses both."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    return quote_from_bytes(data, safe="")


def _unquoted(word: str) -> str:
    """The text of a word of an answer."""
    return unquote_to_bytes(word).decode("utf-8", "replace")


def _choices(words: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Texts and confidences in turn."""
    return tuple((_unquoted(text), int(number)) for text, number in zip(words[::2], words[1::2], strict=True))
