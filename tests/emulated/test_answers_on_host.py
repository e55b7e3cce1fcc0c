"""The application of a model with answer tokens, compiled for the host under sanitizers, fed with anything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.device.understanding import parse_understanding
from tests.support.host_boards import build_answering_board

SENTENCES = (
    "turn on the lamp",
    "wait for two and a half hours",
    "lamp lamp lamp lamp",
    "a " * 70,
    "a very long sentence that no context holds, however one would say it, over and over",
)
COMMANDS = tuple(f"turn on the lamp {number * 'a'}" for number in range(20))


@pytest.fixture(scope="module", params=[0, 200, 4096])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("host"), request.param)


def run(program: Path, data: bytes) -> list[str]:
    done = subprocess.run([program], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    lines = done.stdout.decode("ascii").split("\n")
    assert lines[0] == "READY thimble 1"
    return [line for line in lines[1:-1] if not line.startswith(("STEP ", "PREFILL "))]


commands = st.sampled_from(
    [
        *("ASK 9", "PROMPT 48", "PROMPT 2", "ANSWER 48", "ANSWER 2", "UNDERSTAND 48", "UNDERSTAND 3", "GEN 3 5"),
        *("NAME light", "NAME area", "NAMES", "NAMES clear"),
    ]
)
texts = st.one_of(st.sampled_from(SENTENCES), st.text(max_size=40), st.text("twolamp ½%:°ü5'-", max_size=60))
encoded = st.one_of(texts.map(lambda text: quote(text, safe="")), st.binary(max_size=9).map(quote))
requests = st.lists(st.one_of(commands, encoded), max_size=4).map(
    lambda parts: " ".join(parts).encode("ascii", "replace")
)


def test_every_line_gets_one_answer_and_nothing_is_touched_that_should_not_be(program: Path) -> None:
    @settings(max_examples=100, deadline=None)
    @given(st.lists(requests, max_size=12))
    @example([f"PROMPT 48 {quote(sentence)}".encode() for sentence in SENTENCES])
    @example([f"{how} 48 {quote(sentence)}".encode() for sentence in SENTENCES for how in ("ANSWER", "UNDERSTAND")])
    @example([f"NAME light {quote('ü' * 20)}{number} lamp%20{number}".encode() for number in range(9)])
    def check(lines: list[bytes]) -> None:
        answers = run(program, b"".join(line + b"\n" for line in lines) + b"STACK\n")
        assert len(answers) == len(lines) + 1
        assert all(answer.startswith(("OK", "ERR ")) for answer in answers)

    check()


def test_sentences_for_which_the_model_is_not_asked(program: Path) -> None:
    answers = run(program, b"".join(f"PROMPT 48 {quote(sentence)}\n".encode() for sentence in SENTENCES[2:]))
    reasons = ("too-many-names", "too-many-words", "too-long")
    assert answers == [f"OK 0 0 0 refused NoMatch 65536 {reason}" for reason in reasons]


def test_an_answer_that_is_cut_does_nothing(program: Path) -> None:
    (answer,) = run(program, b"PROMPT 1 turn%20on\n")
    end, text, _, reason = answer.split()[4:]
    assert (end, text, reason) == ("length", "NoMatch", "unfinished")
    (same,) = run(program, b"ANSWER 1 turn%20on\n")
    assert same.split()[4:] == answer.split()[4:]


def test_the_two_best_answers_are_told_alike(tmp_path: Path) -> None:
    lines = [f"{how} 48 {quote(text)}" for text in COMMANDS for how in ("ANSWER", "UNDERSTAND")]
    answers = run(build_answering_board(tmp_path, asks=True), "".join(f"{line}\n" for line in lines).encode())
    asked = 0
    for answer, said in zip(answers[::2], answers[1::2], strict=True):
        read = parse_understanding(said.removeprefix("OK "))
        assert (read.intent == "NoMatch") or not read.choices
        asked += len(read.choices) == 2
        words = answer.split()[8:]
        assert [unquote(text) for text in words[::2]] == [choice.text for choice in read.choices]
        assert [int(number) for number in words[1::2]] == [choice.confidence * 65536 for choice in read.choices]
    assert asked


def test_json_is_json_whatever_names_are(program: Path) -> None:
    values = 0
    for name in ("ü", "\U0001f4a1", 'a "lamp"\\', "\u2028 / \x7f"):
        lines = [f"NAME light {quote(name, safe='')} lamp", *(f"UNDERSTAND 48 {quote(text)}" for text in COMMANDS)]
        added, *answers = run(program, "".join(f"{line}\n" for line in lines).encode())
        assert added.startswith(("OK", "ERR unsupported"))
        expected = name if added.startswith("OK") else "Lamp"
        for answer in answers:
            read = json.loads(answer.removeprefix("OK "))
            assert answer.isascii() and read["confidence"] <= 65536 and read["tokens_in"] > 0
            for slot in read["slots"]:
                assert slot["type"] != "name" or slot["value"] == expected
                values += slot["type"] == "name"
    assert values
