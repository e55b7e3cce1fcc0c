"""A session of a model in text whose answers follow a grammar: nothing is to be called for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline import tools
from pipeline.firmware.library import LibraryModel, write_library
from pipeline.targets.cores import WeightLayout
from pipeline.text.codec import PlainCodec
from pipeline.text.grammar_sources import compile_source
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.reply import ask
from tests.library.test_sessions import _logit_step, engine  # noqa: F401  # a fixture
from tests.support.tiny_library import TinyLibrary

RULES = 'root ::= "o" [a-z]{1,6} (" " [a-z ]+)? "!"'
MAIN = """\
#include <stdio.h>
#include "tiny_text.h"
static _Alignas(8) unsigned char memory[THIMBLE_TINY_TEXT_SESSION_BYTES(200)];
int main(int count, char **words)
{
    thimble_session session;
    if (thimble_session_init(&session, &thimble_the_tiny_text, memory, sizeof memory) != THIMBLE_OK) {
        return 1;
    }
    for (int i = 1; i < count; i++) {
        char answer[300];
        size_t length = 0;
        while (words[i][length]) {
            length++;
        }
        (void)thimble_session_ask(&session, words[i], length, answer, sizeof answer);
        puts(answer);
    }
    return 0;
}
"""
TEXTS = ("turn on the light", "x", "what is it")


def test_a_session_answers_within_the_grammar(tiny: TinyLibrary, engine: HostEngine, tmp_path: Path) -> None:  # noqa: F811
    grammar = compile_source("answer.gbnf", RULES, 1)
    codec = PlainCodec(tiny.text_codec.tokenizer, grammar)
    folder = tmp_path / "library"
    write_library([LibraryModel("tiny_text", tiny.text, codec)], WeightLayout.INTERLEAVED_2, folder)
    assert (folder / "thimble_grammar.c").exists()
    (tmp_path / "main.c").write_text(MAIN)
    flags = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined")
    command: list[str | Path] = [tools.require("gcc"), *flags, "-I", folder, tmp_path / "main.c", *folder.glob("*.c")]
    subprocess.run([*command, "-o", tmp_path / "program"], check=True)
    done = subprocess.run([tmp_path / "program", *TEXTS], check=True, capture_output=True, text=True)
    step = _logit_step(tiny.text)
    assert done.stdout.splitlines() == [ask(engine, codec, text, step).text for text in TEXTS]
    assert all(grammar.after(1, line.encode()) for line in done.stdout.splitlines())


def test_a_library_without_a_grammar_has_none_of_it(library: Path) -> None:
    assert not (library / "thimble_grammar.c").exists() and (library / "thimble_grammar.h").exists()
