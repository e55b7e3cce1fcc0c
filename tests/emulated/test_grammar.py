"""Answers in text that follow a grammar: the device's C, the host's twin, and a board that says nothing else."""

from __future__ import annotations

import ctypes
import json
import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.grammar_tables import write_grammar
from pipeline.firmware.project import write_project
from pipeline.firmware.tables import write_tokenizer
from pipeline.numerics.sampler import Sampler, SamplerSettings
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.grammar import Grammar
from pipeline.text.grammar_sources import compile_source
from pipeline.text.prompt import PromptTokenizer
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.verification.checks import reference_run, verify
from pipeline.verification.host_engine import RUNTIME, compile_library
from tests.support.made_llama2c import pieces_of
from tests.support.standin import CONTEXT, FOLDER, MACS, Standin

RULES = """
root ::= " "? "light" "s"? " " ("on" | "off" | "to " number "%") (", " again)?
again ::= "then " root
number ::= [1-9] [0-9]? | "100"
"""
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "do": {"enum": ["turn on", "turn off", "Küche"]},
            "to": {"type": "integer", "minimum": 0, "maximum": 255},
            "note": {"type": "string", "maxLength": 40},
        },
        "required": ["do"],
    }
)
GRAMMARS = {"few states": ("answer.gbnf", RULES), "many states": ("answer.json", SCHEMA)}
STEP, ZERO = 1 << 21, 0  # as tests/support/standin/model.c has them
_SHIM = """\
#include "grammar_tables.h"
#include "tokenizer_tables.h"
static thimble_grammar_walk walk;
void start(int32_t before)
{
    thimble_grammar_begin(&walk, &thimble_model_grammar, &thimble_model_tokenizer, before);
}
int32_t allows(int32_t id) { return thimble_grammar_allows(&walk, id); }
void go_on(int32_t id) { thimble_grammar_take(&walk, id); }
int32_t best(const void *logits, int32_t vocab, int32_t bytes)
{
    const thimble_model model = {.vocab = vocab, .logit_bytes = bytes};
    return thimble_grammar_choose(&walk, &model, logits);
}
"""


def grammar_of(kind: str) -> Grammar:
    return compile_source(*GRAMMARS[kind], 1)


def llama2c() -> Llama2cTokenizer:
    parts = {" ": -1.0, " light": -2.0, "light": -3.0, "s": -4.0, " on": -5.0, "off": -6.0, '{"do":': -7.0, '"': -8.0}
    pieces = pieces_of(parts)
    return Llama2cTokenizer([text for text, _ in pieces], [score for _, score in pieces])


TOKENIZERS = {
    "byte pairs": lambda: Tokenizer.train([RULES, SCHEMA, "lights on", "light off, then light to 40%"], 330, 24),
    "llama2.c": llama2c,
}


@pytest.mark.parametrize("spoken", TOKENIZERS)
@pytest.mark.parametrize("kind", GRAMMARS)
def test_the_device_allows_what_the_host_allows(kind: str, spoken: str, tmp_path: Path) -> None:
    grammar, tokenizer = grammar_of(kind), TOKENIZERS[spoken]()
    assert (len(grammar.next) > 255) == (kind == "many states")
    library = compiled(grammar, tokenizer, tmp_path)
    rng, template = random.Random(1), tokenizer.template
    prompt = PlainCodec(tokenizer, grammar).prompt("x" if template.suffix else "")
    whole = 0
    for _ in range(30):
        answer: list[int] = []
        library.start(ctypes.c_int32(prompt.tokens[-1]))
        while not answer or answer[-1] not in template.stops:
            allowed = prompt.allowed(answer)
            assert allowed, "there is always a way on"
            assert [token for token in range(tokenizer.vocab_size) if library.allows(token)] == list(allowed)
            row = np.array([rng.randrange(-128, 128) for _ in range(tokenizer.vocab_size)], np.int8)
            best = library.best(row.ctypes.data_as(ctypes.c_void_p), tokenizer.vocab_size, 1)
            assert best == allowed[int(row[list(allowed)].argmax())]
            answer.append(rng.choice(list(allowed)) if rng.random() < 0.5 else min(allowed))
            library.go_on(answer[-1])
            if len(answer) > 80:
                break
        else:
            whole += 1
            assert grammar.reads(tokenizer.decode(answer[:-1], prompt.tokens[-1]).encode())
    assert whole > 5


def compiled(grammar: Grammar, tokenizer: PromptTokenizer, folder: Path) -> ctypes.CDLL:
    write_tokenizer(tokenizer, folder)
    write_grammar(grammar, folder)
    (folder / "shim.c").write_text(_SHIM)
    flags = (
        "-std=c11",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-fPIC",
        "-shared",
        "-fsanitize=undefined",
    )
    names = ("thimble_grammar.c", "thimble_tokenizer.c", "thimble.c")
    sources = [folder / name for name in ("shim.c", "grammar_tables.c", "tokenizer_tables.c")]
    compile_library([*sources, *(RUNTIME / name for name in names)], [RUNTIME, folder], folder / "grammar.so", flags)
    return ctypes.CDLL(str(folder / "grammar.so"))


@pytest.fixture(scope="module")
def codec(tokenizer: Tokenizer) -> PlainCodec:
    return PlainCodec(tokenizer, grammar_of("few states"))


@pytest.fixture(scope="module")
def bound_project(tmp_path_factory: pytest.TempPathFactory, codec: PlainCodec, board: Board) -> Path:
    folder = tmp_path_factory.mktemp("bound") / "project"
    write_project(FOLDER, codec, board, "stand-in", folder)
    return folder


@pytest.fixture(scope="module")
def bound(bound_project: Path) -> Firmware:
    return build_project(bound_project, bound_project / "build")


PROMPTS = ("turn on the kitchen lights", "schalte das licht aus", "x")


@pytest.mark.slow
def test_a_board_answers_within_the_grammar(codec: PlainCodec, bound: Firmware, board: Board) -> None:
    expectations = [reference_run(Standin(), codec, CONTEXT, prompt, CONTEXT) for prompt in PROMPTS]
    with Device(Qemu().start(bound.elf, board), timeout=20) as device:
        result = verify(device, expectations, macs_per_step=MACS, instructions_per_tick=40)
        free = device.generate(codec.prompt(PROMPTS[0]).tokens, 3)
    assert result.ok, result.failures
    assert codec.grammar is not None
    for prompt, expectation in zip(result.prompts, expectations, strict=True):
        assert expectation.confidence is None and prompt.text_out == expectation.text_out
        if prompt.end == "eos":
            assert codec.grammar.reads(prompt.text_out.encode()), prompt.text_out
        else:
            assert codec.grammar.after(1, prompt.text_out.encode()) != 0, prompt.text_out
    assert free.tokens_out != expectations[0].tokens_out[:3], "ids in are bound to nothing"


@pytest.mark.slow
def test_a_board_draws_within_the_grammar(codec: PlainCodec, bound_project: Path, board: Board) -> None:
    firmware = build_project(bound_project, bound_project / "build-sampling", sampling=True)
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        for seed, (top_k, top_p, penalty) in enumerate([(0, 1000, 1000), (5, 1000, 1000), (0, 900, 1300)]):
            settings = SamplerSettings(800, top_k, top_p, penalty, seed)
            device.sample(800, top_k, top_p, penalty, seed)
            answer = device.prompt(PROMPTS[0], CONTEXT)
            assert list(answer.tokens_out) == drawn(codec, settings, len(answer.tokens_out))


def drawn(codec: PlainCodec, settings: SamplerSettings, count: int) -> list[int]:
    """What the host's sampler draws, as the board does."""
    engine, sampler, prompt = Standin(), Sampler(settings, STEP, ZERO), codec.prompt(PROMPTS[0])
    engine.reset()
    logits = np.zeros(0, np.int8)
    for token in prompt.tokens:
        sampler.take(token)
        logits = engine.step(token).ravel()
    tokens: list[int] = []
    while len(tokens) < count:
        tokens.append(sampler.draw(logits, prompt.allowed(tokens)))
        sampler.take(tokens[-1])
        logits = engine.step(tokens[-1]).ravel()
    return tokens
