"""Two models in one program on the host, under sanitizers: sessions say what the host's Python says, however the steps
of several of them are mixed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.numerics.sampler import Sampler, SamplerSettings, logit_step
from pipeline.verification.host_engine import HostEngine, host_engine
from pipeline.verification.reply import Reply, ask
from tests.support.tiny_library import CONTEXT, SENTENCES, STORIES, TinyLibrary

DRIVER = Path(__file__).with_name("driver.c")
PROGRAM = Path(__file__).with_name("program.cpp")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
INTENTS, TEXTS = (0, 1), (2, 3)
OTHERS = ("turn on the kitchen", "nothing that is known to anybody here", "play a b c d", "a " * 65)


def compile_with(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Program:
    """The driver, running."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, session: int, command: str, argument: object = "") -> list[str]:
        """The words of its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{session} {command} {argument}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "it stopped"
        return line.rstrip("\n").split(" ")

    def text(self, session: int, text: str, capacity: int = 400) -> tuple[str, str]:
        """Status and answer of the call that waits."""
        status, answer = self(session, "a", f"{capacity} {text}")
        return status, bytes.fromhex(answer).decode()

    def steps(self, session: int, count: int = 1000) -> tuple[str, str, int]:
        """Status, text and number of steps, at most so many."""
        status, text, steps = self(session, "s", count)
        return status, bytes.fromhex(text).decode(), int(steps)


@pytest.fixture(scope="module")
def path(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("program") / "driver"
    sources = [DRIVER, *sorted(library.glob("*.c"))]
    options = ("-std=c11", *SANITIZERS, *WARNINGS, "-DTHIMBLE_YIELD", f"-I{library}")
    compile_with(tools.require("gcc"), *options, "-o", out, *sources)
    return out


@pytest.fixture
def program(path: Path) -> Iterator[Program]:
    program = Program(path)
    yield program
    program.process.communicate()
    assert program.process.returncode == 0, "nothing that the sanitizers find"


@pytest.fixture(scope="module")
def replies(tiny: TinyLibrary) -> dict[str, Reply]:
    """What the model with intents says on the host."""
    step = _logit_step(tiny.intents)
    with host_engine(tiny.intents) as engine:
        return {text: ask(engine, tiny.intents_codec, text, step) for text in (*SENTENCES, *OTHERS)}


def _logit_step(tflite: bytes) -> int:
    graph = read_tflite(tflite)
    return logit_step(graph.tensors[graph.outputs["logits"]].scale)


@pytest.fixture(scope="module")
def engine(tiny: TinyLibrary) -> Iterator[HostEngine]:
    """Of the model that writes text."""
    with host_engine(tiny.text) as engine:
        yield engine


def generated(engine: HostEngine, tiny: TinyLibrary, text: str, max_new: int = CONTEXT) -> str:
    """What it writes, the most likely tokens."""
    prompt = tiny.text_codec.prompt(text)
    tokens = engine.generate(prompt.tokens, max_new, tiny.text_codec.tokenizer.template.stops[0])
    return prompt.text(tokens)


def test_the_models_learned_something(replies: dict[str, Reply], engine: HostEngine, tiny: TinyLibrary) -> None:
    assert sum(replies[text].text.split(" ")[0] == intent for text, (intent, _) in SENTENCES.items()) >= 3
    assert len({generated(engine, tiny, text) for text in STORIES}) == 2


def test_answers_of_both_models_are_the_hosts(
    program: Program, replies: dict[str, Reply], engine: HostEngine, tiny: TinyLibrary
) -> None:
    for text, reply in replies.items():
        status, answer = program.text(0, text)
        assert answer == reply.text and status in ("eos", "context")
        intent, reason, confidence, *slots = program(0, "r")[1:]
        assert (reason if reason != "-" else "") == reply.reason and int(confidence) == reply.confidence
        assert (int(intent) == 0) == (reply.text == "NoMatch")
        assert len(slots) == reply.text.count("=")
        assert program.text(2, text if len(text) < 60 else "the end")[1] == generated(
            engine, tiny, text if len(text) < 60 else "the end"
        )


def test_steps_of_four_sessions_are_mixed(
    program: Program, replies: dict[str, Reply], engine: HostEngine, tiny: TinyLibrary
) -> None:
    sentences, starts = list(SENTENCES)[:2], list(STORIES)
    for session, text in zip((*INTENTS, *TEXTS), (*sentences, *starts), strict=True):
        assert program(session, "b", text) == ["more"]
    ends: dict[int, str] = {}
    said = dict.fromkeys((*INTENTS, *TEXTS), "")
    while len(ends) < len(said):
        for session in said.keys() - ends.keys():
            status, text, made = program.steps(session, 1)
            assert made == 1
            said[session] += text
            if status != "more":
                ends[session] = status
    assert set(ends.values()) <= {"eos", "context"}
    assert [said[session] for session in TEXTS] == [generated(engine, tiny, text) for text in starts]
    for session, text in zip(INTENTS, sentences, strict=True):
        assert int(program(session, "r")[3]) == replies[text].confidence and said[session] == ""


def test_a_step_is_a_block_of_the_prompt_or_a_token(program: Program, tiny: TinyLibrary, engine: HostEngine) -> None:
    prompt = tiny.text_codec.prompt("once upon a time").tokens
    program(2, "m", 3)
    program(2, "b", "once upon a time")
    before = int(program(0, "y")[0])
    status, _, steps = program.steps(2)
    assert (status, steps) == ("length", -(-len(prompt) // 2) + 2)
    assert int(program(0, "y")[0]) > before + 5 * steps, "the hook between layers"
    assert program.steps(2)[0] == "length", "the end is told again"
    assert program.steps(2, 1) == ("length", "", 1)
    assert program.text(2, "the end") == ("length", generated(engine, tiny, "the end", 3))


def test_a_cancelled_answer_ends_at_the_next_step(program: Program) -> None:
    text = next(iter(SENTENCES))
    whole = program.text(0, text)
    assert program(2, "b", "the end") == program(0, "b", text) == ["more"]
    assert program.steps(2, 2)[0] == program.steps(0, 2)[0] == "more"
    for session in (0, 2):
        program(session, "c")
        assert program.steps(session)[::2] == ("cancelled", 1)
    assert program(0, "r")[1:3] == ["0", "unfinished"]
    assert program.text(0, text) == whole, "the next one is not"
    program(0, "b", text)
    program(0, "c")
    assert program.steps(0)[0] == "cancelled", "before the first step"


def test_tokens_are_drawn_as_on_the_host(program: Program, tiny: TinyLibrary, engine: HostEngine) -> None:
    template = tiny.text_codec.tokenizer.template
    graph = read_tflite(tiny.text)
    zero_point = graph.tensors[graph.outputs["logits"]].zero_point
    different = set()
    for settings in (SamplerSettings(1500, 0, 1000, 1000, 5), SamplerSettings(1000, 20, 900, 1300, 6)):
        words = f"{settings.temperature} {settings.top_k} {settings.top_p} {settings.penalty} {settings.seed}"
        assert program(3, "d", words) == ["ok"]
        sampler = Sampler(settings, _logit_step(tiny.text), zero_point)
        for text in (*STORIES, "once"):
            sampler.reset()
            prompt = tiny.text_codec.prompt(text)
            engine.reset()
            made: list[int] = []
            fed = list(prompt.tokens)
            while len(prompt.tokens) + len(made) <= CONTEXT and not (made and made[-1] in template.stops):
                for token in fed:
                    sampler.take(token)
                made.append(sampler.draw(engine.prefill(fed)))
                fed = made[-1:]
            expected = b"".join(tiny.text_codec.tokenizer.pieces[token] for token in made)
            program(3, "b", text)
            _, raw, _ = program(3, "s", 1000)
            assert bytes.fromhex(raw) == expected
            different.add(expected)
    assert len(different) > 3
    for words in ("100001 0 1000 1000 0", "0 65 1000 1000 0", "0 0 0 1000 0", "0 0 1001 1000 0", "0 0 1 99 0"):
        assert program(3, "d", words) == ["bad-option"]
    assert program(0, "d", "1000 0 1000 1000 0") == ["bad-option"], "intents are not drawn"


def test_names_of_the_application(program: Program) -> None:
    text = next(iter(SENTENCES))
    before = program.text(0, text)
    assert "name=Desk Lamp" in before[1]
    assert program(0, "n", "Chandelier desk lamp") == ["0"]
    assert program.text(0, text)[1] == before[1].replace("Desk Lamp", "Chandelier")
    assert program.text(1, text) == before, "the other session has its own"


def test_texts_that_cannot_be_asked(program: Program) -> None:
    for session in (0, 2):
        assert program(session, "b", "x" * 300) == ["long-text"]
        assert program.steps(session)[::2] == ("long-text", 1)
    assert program(2, "b", "") == ["bad-text"]
    assert program(2, "b", "once upon a time " * 10) == ["long-text"], "longer than the context"
    assert program(0, "b", "a " * 65) == ["more"]
    assert program.steps(0)[::2] == ("eos", 1)
    assert program(0, "r")[1:] == ["0", "too-many-words", "65536"]


def test_an_answer_is_cut_at_a_whole_character(program: Program, engine: HostEngine, tiny: TinyLibrary) -> None:
    whole = generated(engine, tiny, "once upon a time")
    assert "ö" in whole or "☃" in whole, "it learned a character of several bytes"
    for capacity in range(1, len(whole.encode()) + 2):
        status, text = program.text(2, "once upon a time", capacity)
        fits = whole.encode()[: capacity - 1].decode(errors="ignore")
        assert text == fits
        assert (status == "length") == (len(whole.encode()) >= capacity)


def test_the_cpp_header(
    library: Path, tmp_path: Path, replies: dict[str, Reply], engine: HostEngine, tiny: TinyLibrary
) -> None:
    objects = []
    for source in sorted(library.glob("*.c")):
        objects.append(tmp_path / f"{source.stem}.o")
        compile_with(tools.require("gcc"), "-std=c99", "-O1", f"-I{library}", "-c", source, "-o", objects[-1])
    options = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-pedantic", "-Wshadow", *SANITIZERS, *WARNINGS)
    program = tmp_path / "program"
    compile_with("g++", *options, f"-I{library}", "-o", program, PROGRAM, *objects)
    symbols = subprocess.run(["nm", "-u", program], capture_output=True, text=True, check=True).stdout
    assert "_Znw" not in symbols and "__cxa_throw" not in symbols, "no heap, no exceptions"
    text = "Desk lamp to 50%!"
    done = subprocess.run([program, text, "the end"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked, understood, written, end, cancelled = done.stdout.splitlines()
    assert asked.split(" ", 1)[1] == replies[text].text
    assert understood == f"{asked.split(' ')[0]} {replies[text].confidence} yes"
    assert written == generated(engine, tiny, "the end", 12)
    assert end == "length" and cancelled == "cancelled"
