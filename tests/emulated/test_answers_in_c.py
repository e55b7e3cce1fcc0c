"""The device's answer tokens, compiled for the host under sanitizers, against the host's, on random sentences."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.answer_tables import write_answers
from pipeline.firmware.tables import write_tokenizer
from pipeline.numerics.confidence import CERTAIN, joint, probability
from pipeline.resources import ROOT
from pipeline.tasks.answer_schema import QUANTITY_KINDS, make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.text.annotation import Annotated, Mark, Word
from pipeline.text.answers import DURATION_UNITS, NO_MATCH, AnswerSchema, StructuredPrompt, TokenIds
from pipeline.text.tokenizers.byte_bpe import BOS, EOS, SEP, Tokenizer

RUNTIME = ROOT / "firmware_templates" / "runtime"
NAME_KINDS = ("area", "light", "person", "switch")
WORDS = ["turn", "Küche", "lamp", "ON", "in", "the", "двор", "a", "it's", "☃", "Pizza", "x" * 70]
VALUES = {"time": ["08:15", "23:00"], "number": ["0", "7", "05", "24", "25", "-3", "2.5", "123456"]}
SEEDS = range(4)
HERE = ("in the", "küche", "двор a", "n the", "lamp lamp")


def random_schema(rng: random.Random) -> AnswerSchema:
    kinds = [*NAME_KINDS, *QUANTITY_KINDS]
    values = [f"value {number} ü" for number in range(rng.choice([1, 8, 40]))]

    def slot(is_free: bool) -> SlotSchema:
        return SlotSchema(
            kinds=frozenset(rng.sample(kinds, rng.randrange(4))),
            values=tuple(rng.sample(values, min(len(values), rng.randrange(5)))),
            is_free=is_free and rng.random() < 0.3,
            part=rng.choice(["", *DURATION_UNITS]),
        )

    free_text = rng.random() < 0.8
    intents = {}
    for number in range(rng.randrange(1, 12)):
        slots = {
            name: slot(free_text) for name in rng.sample(["area", "name", "z", "ärea", "domain"], rng.randrange(5))
        }
        prefix = rng.choice(["", "start_"])
        if rng.random() < 0.4:
            for unit in DURATION_UNITS[rng.randrange(3) :]:
                slots[prefix + unit] = SlotSchema(kinds=frozenset({"number"}))
        some = [frozenset(rng.sample(sorted(slots), rng.randrange(len(slots) + 1))) for _ in range(rng.randrange(4))]
        exclusive = [frozenset(rng.sample(sorted(slots), 2))] if len(slots) > 1 and rng.random() < 0.4 else []
        room = rng.choice(["", "always", "said", "said"])
        intents[f"Intent{number}"] = IntentSchema(slots, tuple(some), tuple(exclusive), room)
    here = rng.sample(HERE, rng.randrange(len(HERE) + 1))
    return make_schema(intents, NAME_KINDS, rng.choice([1, 3, 16]), rng.choice([0.0, 0.001]), here)


def random_sentence(rng: random.Random) -> Annotated:
    words: list[Word] = []
    text = rng.choice(["", " ", "¿"])
    for _ in range(rng.choice([0, 1, 3, 6, 12, 60])):
        word = rng.choice(WORDS[:-1] if rng.random() < 0.99 else WORDS)
        words.append(Word(word.lower(), len(text.encode()), len((text + word).encode())))
        text += word + rng.choice([" ", ", ", " — "])
    marks: list[Mark] = []
    index = 0
    while index < len(words):
        end = min(index + rng.randrange(1, 4), len(words))
        kind = rng.choice([*NAME_KINDS, *QUANTITY_KINDS])
        if rng.random() < 0.25:
            parts: tuple[tuple[str, str], ...] = ()
            if kind == "duration":
                units = sorted(rng.sample(range(5), rng.randrange(1, 4)))
                parts = tuple((DURATION_UNITS[unit], str(rng.choice([1, 90, 4294967295]))) for unit in units)
            value = rng.choice(VALUES.get(kind, ["", "Küche", "PT5M", "12.5"]))
            marks.append(Mark(kind, index, end, value, parts, kind in QUANTITY_KINDS))
        index = end
    return Annotated(text, tuple(words), tuple(marks))


class Case:
    """A sentence with rows of logits for its answer."""

    def __init__(self, rng: random.Random, schema: AnswerSchema, tokenizer: Tokenizer) -> None:
        self.ids = TokenIds(schema, tokenizer.vocab_size)
        self.annotated = random_sentence(rng)
        self.prompt = StructuredPrompt(
            self.annotated, self.ids, lambda word: tokenizer.encode(f" {word}"), BOS, SEP, EOS
        )
        self.capacity = 1000 if rng.random() < 0.9 else rng.randrange(len(self.prompt.tokens))
        self.step = rng.choice([1 << 16, 1 << 20, 1 << 22])
        dtype = np.dtype(rng.choice(["i1", "i2"]))
        limits = np.iinfo(dtype)
        generator = np.random.default_rng(rng.randrange(1 << 30))
        spread = rng.choice([3, limits.max])
        self.rows = generator.integers(-spread, spread, (12, self.ids.end), endpoint=True).astype(dtype)
        if rng.random() < 0.7:
            self.rows[:, EOS] = rng.choice([limits.min, 0])

    def data(self) -> bytes:
        annotated, schema = self.annotated, self.ids.schema
        texts = [word.text.encode() for word in annotated.words]
        out = _bytes(annotated.text.encode()) + _bytes(b" ".join(texts)) + _numbers(len(texts))
        at = 0
        for word, text in zip(annotated.words, texts, strict=True):
            out += _numbers(at, at + len(text), word.start, word.end)
            at += len(text) + 1
        out += _numbers(len(annotated.marks))
        for mark in annotated.marks:
            parts = dict(mark.parts)
            out += _numbers(schema.kinds.index(mark.kind), mark.first, mark.end, int(mark.is_quantity))
            out += _numbers(*(int(parts.get(unit, 0)) for unit in DURATION_UNITS)) + _bytes(mark.value.encode())
        out += _numbers(self.capacity, len(self.rows), self.ids.end, self.rows.itemsize, self.step)
        return out + b"".join(_bytes(row.tobytes()) for row in self.rows)

    def expected(self) -> list[str]:
        prompt = self.prompt
        if prompt.has_too_many_names:
            return ["too-many-names", "end"]
        if len(prompt.tokens) > self.capacity:
            return ["too-long", "end"]
        lines = [" ".join(map(str, ("-", *prompt.tokens)))]
        answer: list[int] = []
        confidence = CERTAIN
        for row in self.rows:
            choices = prompt.allowed(answer)
            answer.append(choices[int(np.argmax(row[choices]))])
            confidence = joint(confidence, probability(row, answer[-1], self.step, choices))
            lines.append(f"{' '.join(map(str, choices))} -> {answer[-1]} {confidence}")
            if answer[-1] == EOS:
                said = prompt.answer(answer)
                reason = prompt.answer(answer, confidence).reason
                known = reason if reason in ("", "low-confidence") else "model"
                lines.append(f"{known or '-'} {len(said.context)} {said.text.encode().hex()}")
                break
        return [*lines, "end"]


def _numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _bytes(data: bytes) -> bytes:
    return _numbers(len(data)) + data


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([word.lower() for word in WORDS[:6] for _ in range(3)], 290, 16)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_device_answers_as_the_host_does(seed: int, tokenizer: Tokenizer, tmp_path: Path) -> None:
    rng = random.Random(seed)
    schema = random_schema(rng)
    driver = compile_driver(schema, tokenizer, tmp_path)
    cases = [Case(rng, schema, tokenizer) for _ in range(200)]
    data = b"".join(case.data() for case in cases)
    done = subprocess.run([driver], input=data, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    answered = done.stdout.decode("ascii").split("end\n")[:-1]
    assert len(answered) == len(cases)
    for case, lines in zip(cases, answered, strict=True):
        assert [*lines.splitlines(), "end"] == case.expected()
    assert sum("->" in lines and not lines.startswith("-\n") for lines in answered) > 20
    contexts = [line.split()[1] for lines in answered for line in lines.splitlines()[-1:] if "->" in lines]
    assert {"0", "1"} <= set(contexts), "some need the room where they are said"


def compile_driver(schema: AnswerSchema, tokenizer: Tokenizer, folder: Path) -> Path:
    write_tokenizer(tokenizer, folder)
    write_answers(schema, tokenizer.vocab_size, folder)
    sources = [RUNTIME / "thimble.c", *(RUNTIME / f"thimble_{name}.c" for name in ("answer", "tokenizer", "sampler"))]
    sources += [folder / "answer_tables.c", folder / "tokenizer_tables.c", Path(__file__).parent / "answer_driver.c"]
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command: list[str | Path] = [tools.require("gcc"), *flags, *sanitizers, "-I", RUNTIME, "-I", folder]
    done = subprocess.run([*command, "-o", folder / "driver", *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "driver"


def test_what_the_tables_cannot_hold(tmp_path: Path) -> None:
    intents = {"Play": IntentSchema({"song": SlotSchema(values=tuple(map(str, range(33_000))))})}
    with pytest.raises(ThimbleError, match="33"):
        write_answers(make_schema(intents, (), 3), 300, tmp_path)
    with pytest.raises(ThimbleError, match="`pointers` is 17"):
        write_answers(make_schema({}, (), 17), 300, tmp_path)


def test_an_answer_is_as_likely_as_its_tokens() -> None:
    logits = np.array([0, 10, -128], np.int8)
    step = 1 << 23  # half a factor of two
    shares = np.exp2(logits / 2) / np.exp2(logits / 2).sum()
    for token, share in enumerate(shares):
        assert probability(logits, token, step) == pytest.approx(65536 * share, abs=1)
    assert joint(CERTAIN, 30_000) == 30_000
    assert joint(1, CERTAIN // 2) == 1 and joint(1, CERTAIN // 2 - 1) == 0
    assert probability(np.zeros(4, np.int16), 0, step) == CERTAIN // 4
    assert probability(np.zeros(4, np.int16), 2, step, (1, 2)) == CERTAIN // 2
    assert probability(np.array([127, -128], np.int8), 1, step, (1,)) == CERTAIN, "nothing else may follow"


def test_no_match_is_the_first_intent() -> None:
    assert make_schema({}, (), 3).intents == (NO_MATCH,)


def test_indices_have_names_for_programs(tmp_path: Path) -> None:
    values = ("cold", "Cold!", "größer", "☃", "❄", "50 %")
    intents = {"HassTurnOn": IntentSchema({"start_hours": SlotSchema(values=values)}), "Empty": IntentSchema({})}
    write_answers(make_schema(intents, (), 3), 300, tmp_path)
    text = (tmp_path / "answer_ids.h").read_text("ascii")
    names = dict(re.findall(r"MODEL_(\w+) = (\d+),", text))
    assert names["INTENT_NO_MATCH"] == "0" and names["INTENT_HASS_TURN_ON"] == "2" and names["NUM_INTENTS"] == "3"
    assert {"SLOT_START_HOURS", "SLOT_REASON", "VALUE_COLD", "VALUE_COLD_2", "VALUE_50"} <= set(names)
    assert {"VALUE_GROER", "VALUE_OTHER", "VALUE_OTHER_2"} <= set(names)
    assert len(names) == 3 + 1 + 2 + 1 + len(values) + 1 + 1  # "two-commands" is a value of `reason`
    program = tmp_path / "program.c"
    program.write_text('#include "answer_ids.h"\nint main(void) { return MODEL_INTENT_NO_MATCH; }\n')
    subprocess.run([tools.require("gcc"), "-std=c99", "-pedantic", "-Werror", "-fsyntax-only", program], check=True)
