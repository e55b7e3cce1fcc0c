"""Any sentence gives an answer that the host reads, or NoMatch: the device's C, from the text to typed slots, on
sentences of every kind, with logits that are a hash of what the model was given.

`python -m tests.fuzz.answers --sentences 100000` is the long form.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline import tools
from pipeline.device.understanding import SLOT_TYPES
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.numerics.confidence import CERTAIN
from pipeline.resources import ROOT
from pipeline.tasks.home_file import load_home
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.answers import DURATION_UNITS, NO_MATCH, AllowedValues, AnswerSchema, parse_answer
from pipeline.text.codec import StructuredCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.reply import Choice, Reply, ask

__all__ = ["LOGIT_STEP", "Answered", "HashEngine", "Slot", "answers", "build", "codec_of", "faults", "sentences"]

RUNTIME = ROOT / "firmware_templates" / "runtime"
MODEL = ROOT / "models" / "home-en-small"
CONTEXT, LOGIT_STEP = 96, 1 << 21
_FOREIGN = (
    "Mach bitte das Licht in der Küche aus und stell den Wecker auf halb sieben",
    "éteins la lumière du salon, s'il te plaît, à vingt-deux heures",
    "apaga las luces de la cocina y pon música a las ocho y media",
    "выключи свет на кухне и поставь таймер на пять минут",
    "σβήσε τα φώτα στην κουζίνα", "请把厨房的灯关掉", "キッチンの電気を消して", "부엌 불 꺼줘",
    "أطفئ أضواء المطبخ", "रसोई की बत्ती बंद करो", "mutfaktaki ışıkları kapat", "כבה את האור במטבח",
)  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """A slot as C gives it."""

    name: str
    index: int
    type: str
    layer: int
    entry: int
    span: tuple[int, int]
    amount: int
    value: str


@dataclass(frozen=True)
class Answered:
    """What C says of a sentence."""

    intent: str
    index: int
    confidence: int
    reason: str
    slots: tuple[Slot, ...]
    choices: tuple[Answered, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`Intent slot=value slot=value`."""
        return self.intent + "".join(f" {slot.name}={slot.value}" for slot in self.slots)


class HashEngine:
    """The logits of answers.c: a `BlockEngine`."""

    def __init__(self, vocab: int) -> None:
        self.context = CONTEXT
        self._ids = (np.arange(vocab, dtype=np.uint32) + np.uint32(1)) * np.uint32(2654435761)
        self.reset()

    def reset(self) -> None:
        self._hash = 0

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.int8]:
        for token in tokens:
            self._hash = ((self._hash + token) * 1664525 + 1013904223) % 2**32
        x = np.uint32(self._hash) ^ self._ids
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x45D9F3B)
        x = (x ^ x >> np.uint32(13)) * np.uint32(0x45D9F3B)
        return ((x ^ x >> np.uint32(16)) & np.uint32(0xFF)).astype(np.uint8).view(np.int8)


class _Known:
    """What the shipped English model knows."""

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        return load_home(MODEL / "home.yaml").entries()

    @cached_property
    def commands(self) -> list[str]:
        return [test["sentence"] for test in yaml.safe_load((MODEL / "tests.yaml").read_text("utf-8"))["tests"]]

    @cached_property
    def words(self) -> list[str]:
        return sorted({word for command in self.commands for word in re.findall(r"[a-z]+", command.lower())})


KNOWN = _Known()


def codec_of(asks: bool = False) -> StructuredCodec:
    """The shipped model's tokenizer and answer tokens, with the names of its home; one that asks of what is not quite
    certain."""
    schema = AnswerSchema.load(MODEL / "answers.json")
    schema = replace(schema, threshold=CERTAIN, asks=True) if asks else schema
    entries = tuple(entry for entry in KNOWN.entries if entry.kind in schema.kinds)
    names = KnownNames("en", entries, tuple(KNOWN.words))
    return StructuredCodec(Tokenizer.load(MODEL / "tokenizer.json"), schema, names.annotator())


def parts_of(codec: StructuredCodec, folder: Path) -> tuple[list[Path], list[str]]:
    """What answers.c is linked with, of which the codec's tables are written into a folder, and its options."""
    write_tokenizer(codec.tokenizer, folder)
    write_text_path(codec, folder)
    parts = ("tokenizer", "sampler", "normalize", "quantities", "matcher", "answer", "understand", "ask")
    sources = [*sorted(folder.glob("*.c")), RUNTIME / "thimble.c", *(RUNTIME / f"thimble_{part}.c" for part in parts)]
    return sources, [f"-DVOCAB={codec.vocab_size}", f"-DCONTEXT={CONTEXT}", f"-DLOGIT_STEP={LOGIT_STEP}"]


def build(codec: StructuredCodec, folder: Path) -> Path:
    """The program of answers.c, under sanitizers."""
    parts, defines = parts_of(codec, folder)
    sources = [Path(__file__).with_suffix(".c"), *parts]
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", *defines]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = folder / "answers"
    command: list[str | Path] = [tools.require("gcc"), *flags, "-I", RUNTIME, "-I", folder, "-o", program, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return program


def answers(program: Path, texts: Sequence[bytes]) -> Iterator[Answered]:
    """What C says of each sentence."""
    data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    done = subprocess.run([program], input=data, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"status {done.returncode}: {done.stderr.decode('utf-8', 'replace')[:2000]}")
    lines = iter(done.stdout.decode("ascii").splitlines())
    for line in lines:
        yield _answered(line, lines)


def _answered(line: str, lines: Iterator[str]) -> Answered:
    name, index, confidence, reason, room, num_slots, num_choices = line.split()
    slots = tuple(_slot(next(lines)) for _ in range(int(num_slots)))
    choices = tuple(_answered(next(lines), lines) for _ in range(int(num_choices)))
    context = ("area",) if int(room) else ()
    return Answered(_text(name), int(index), int(confidence), "" if reason == "-" else reason, slots, choices, context)


def _slot(line: str) -> Slot:
    name, index, kind, layer, entry, start, end, amount, number, value, has_value = line.split()
    said = _text(value) if has_value == "1" else number
    span = (int(start), int(end))
    return Slot(_text(name), int(index), SLOT_TYPES[int(kind)], int(layer), int(entry), span, int(amount), said)


def _text(word: str) -> str:
    return bytes.fromhex(word.removeprefix("-")).decode("utf-8")


def sentences(rng: random.Random, count: int) -> list[bytes]:
    """Random bytes, random characters, words, commands with slips, and other languages, in turn."""
    makers = (_bytes, _characters, _words, _command, _foreign)
    return [makers[number % len(makers)](rng) for number in range(count)]


def _bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 8, 40, 700]))


def _characters(rng: random.Random) -> bytes:
    ranges = [(0, 0x7F), (0x80, 0x24F), (0x370, 0x5FF), (0x1F300, 0x1FAFF), (0x2000, 0xD7FF), (0xE000, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randrange(40))).encode()


def _words(rng: random.Random) -> bytes:
    count = rng.choice([1, 2, 4, 8, 16, 90])
    return " ".join(_word(rng) for _ in range(count)).encode()


def _word(rng: random.Random) -> str:
    makers: list[Callable[[], str]] = [
        lambda: rng.choice(KNOWN.words),
        lambda: rng.choice(KNOWN.entries).text,
        lambda: str(rng.choice([0, 5, 21.5, 100, 7_000_000_000_000, -3, "007"])),
        lambda: f"{rng.randrange(30)}:{rng.randrange(70):02}",
        lambda: rng.choice(["%", "degrees", "minutes", "hours", "half", "and", "for two and a half hours", "="]),
        lambda: rng.choice(["for 4294967295 hours", "area=Kitchen", "?", "1e9", "٣", "½", "Ⅻ"]),
    ]
    return rng.choice(makers)()


def _command(rng: random.Random) -> bytes:
    words = rng.choice(KNOWN.commands).split()
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(words))
        slip = rng.randrange(4)
        if slip == 0 and len(words) > 1:
            del words[at]
        elif slip == 1:
            words.insert(at, _word(rng))
        elif slip == 2:
            words[at] = words[at][::-1]
        else:
            words[at] = words[at].upper()
    return " ".join(words).encode()


def _foreign(rng: random.Random) -> bytes:
    words = [word for text in rng.sample(_FOREIGN, 2) for word in text.split()]
    rng.shuffle(words)
    return " ".join(words[: rng.randrange(1, len(words) + 1)]).encode()


def faults(sentence: bytes, answered: Answered, codec: StructuredCodec) -> list[str]:
    """What is wrong with an answer by the task's schema and the sentence alone.

    Args:
        sentence: as it was given.
        answered: what C says.
        codec: of the model.
    """
    schema = codec.schema
    if answered.intent not in schema.intents or schema.intents[answered.index] != answered.intent:
        return [f"no intent is called {answered.intent!r} and has the index {answered.index}"]
    if answered.reason and answered.intent != NO_MATCH:
        return [f"{answered.reason}, and yet {answered.intent}"]
    found = []
    names = [slot.name for slot in answered.slots]
    if names != sorted(set(names)):
        found.append(f"slots out of order, or twice: {names}")
    allowed = {schema.slots[slot]: values for slot, values in schema.allowed.get(answered.index, {}).items()}
    for slot in answered.slots:
        if schema.slots[slot.index] != slot.name:
            found.append(f"{slot.name} has the index of {schema.slots[slot.index]}")
        candidates = [allowed[slot.name]] if slot.name in allowed else []
        for unit in DURATION_UNITS:
            if slot.name.endswith(unit) and (prefix := slot.name.removesuffix(unit) + "duration") in allowed:
                candidates.append(allowed[prefix])
        if not any(_holds(slot, values, sentence, schema) for values in candidates):
            found.append(f"{answered.intent} cannot have {slot}")
    if not _stand_together(frozenset(names), answered.index, schema):
        found.append(f"{answered.intent} cannot have just {', '.join(names) or 'no slot'}")
    said = answered.text
    if not any(f" {name}=" in slot.value for slot in answered.slots for name in schema.slots):
        read = parse_answer(said, schema.slots)
        if read.intent != answered.intent or dict(read.slots) != {slot.name: slot.value for slot in answered.slots}:
            found.append(f"{said!r} is read as {read}")
    return found


def _stand_together(names: frozenset[str], intent: int, schema: AnswerSchema) -> bool:
    """Whether an intent may have these slots and no others; a duration of nothing fills none."""
    units = {
        index: {schema.slots[index].removesuffix("duration") + unit for unit in DURATION_UNITS}
        for index, allowed in schema.allowed.get(intent, {}).items()
        if allowed.fills_units
    }
    sets = schema.slot_sets.get(intent, ())
    least = [{schema.slots[slot] for slot in one.required - units.keys()} for one in sets]
    most = [{name for slot in one.possible for name in units.get(slot, [schema.slots[slot]])} for one in sets]
    return not sets or any(few <= names <= many for few, many in zip(least, most, strict=True))


def _holds(slot: Slot, values: AllowedValues, sentence: bytes, schema: AnswerSchema) -> bool:
    """Whether a slot that may hold these values can hold what it does, of this sentence."""
    kinds = {schema.kinds[kind] for kind in values.kinds}
    start, end = slot.span
    if not slot.value or not 0 <= start <= end <= len(sentence) or (start == end) != (slot.type == "choice"):
        return False
    if slot.type == "choice":
        return slot.entry in values.values and schema.values[slot.entry] == slot.value
    if slot.type == "text":
        return values.is_free and sentence[start:end].decode() == slot.value and slot.value.strip() != ""
    if slot.type == "name":
        return any(entry.kind in kinds and entry.value == slot.value for entry in KNOWN.entries)
    if slot.type == "number":
        if not re.fullmatch(r"-?\d+(\.\d+)?", slot.value):
            return False
        whole, _, decimals = slot.value.lstrip("-").partition(".")
        amount = int(whole) * 1000 + int((decimals + "000")[:3])
        amount = min(amount, 2**31 - 1) if not slot.value.startswith("-") else max(-amount, -(2**31))
        is_number = "number" in kinds or (values.fills_units and "duration" in kinds) or bool(values.unit)
        return is_number and slot.amount == amount
    return slot.type in kinds


def main() -> int:
    """The exit status: 1 after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.answers", description=__doc__)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compared", type=int, default=50, metavar="N", help="every N-th with the host's answer")
    options = parser.parse_args()
    codec = codec_of()
    engine = HashEngine(codec.vocab_size)
    rng = random.Random(options.seed)
    texts = sentences(rng, options.sentences)
    kinds: Counter[str] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        program = build(codec, Path(folder))
        for number, (text, answered) in enumerate(zip(texts, answers(program, texts), strict=True)):
            wrong = faults(text, answered, codec)
            if number % options.compared < 5:
                wrong += differs_from_host(text, answered, codec, engine)
            kinds[answered.intent if not answered.reason else f"{answered.intent}, {answered.reason}"] += 1
            bad += bool(wrong)
            if wrong:
                print(f"{text!r}: {'; '.join(wrong)}", flush=True)
    print(f"{len(texts)} sentences, {len(kinds)} kinds of answers, {bad} faults")
    return 1 if bad else 0


def differs_from_host(sentence: bytes, answered: Answered, codec: StructuredCodec, engine: HashEngine) -> list[str]:
    """A line where the host, with all logits, answers otherwise."""
    try:
        text = sentence.decode()
    except UnicodeDecodeError:
        return [] if answered.reason == "not-utf8" else [f"no UTF-8, and yet {answered}"]
    expected = ask(engine, codec, text, LOGIT_STEP)
    reason = answered.slots[0].value if answered.reason == "model" else answered.reason
    choices = tuple(Choice(choice.text, choice.confidence, choice.context) for choice in answered.choices)
    said = Reply(answered.text, answered.confidence, reason, choices, answered.context)
    return [] if said == expected else [f"the device says {said}, the host {expected}"]


if __name__ == "__main__":
    sys.exit(main())
