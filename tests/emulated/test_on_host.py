"""The application, compiled for the host under the address and undefined-behaviour sanitizers, fed with anything."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import tools
from pipeline.firmware.tables import write_tokenizer
from pipeline.resources import ROOT
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import FOLDER

TEMPLATES = ROOT / "firmware_templates"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("host")
    write_tokenizer(tokenizer, folder)
    (folder / "build.h").write_text(
        '#define BUILD_MODEL_NAME "stand-in"\n#define BUILD_TOKENIZER_VERSION "0123456789abcdef"\n'
    )
    runtime = TEMPLATES / "runtime"
    sources = [
        *sorted((TEMPLATES / "app").glob("*.c")),
        *(runtime / name for name in ("thimble.c", "thimble_sampler.c", "thimble_tokenizer.c", "thimble_crc32.c")),
        *(FOLDER / "model.c", folder / "tokenizer_tables.c", Path(__file__).parent / "host_board.c"),
    ]
    out = folder / "application"
    flags = [
        "-std=gnu11",
        "-g",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-DTHIMBLE_PROFILE",
        "-DTHIMBLE_SAMPLING",
    ]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{path}" for path in (TEMPLATES / "app", runtime, FOLDER, folder)]
    command: list[str | Path] = [tools.require("gcc"), *flags, *sanitizers, *includes, "-o", out, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def run(program: Path, data: bytes) -> list[str]:
    done = subprocess.run([program], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    lines = done.stdout.decode("ascii").split("\n")
    assert lines[0] == "READY thimble 1"
    assert all(line.isprintable() for line in lines)
    return lines[1:-1]


def ends(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith(("STEP ", "LAYER "))]


words = st.sampled_from(["ASK", "GEN", "ENC", "INFO", "STACK", "PROFILE", "", "0", "1", "4", "48", "49", "299", "300"])
encoded = st.binary(max_size=30).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
odd = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
requests = st.lists(st.one_of(words, encoded, odd), max_size=6).map(lambda parts: " ".join(parts).encode())
noise = st.binary(max_size=1500).filter(lambda data: b"\n" not in data and b"\r" not in data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(requests, noise), max_size=12))
@example([b"ASK 48 " + b"a" * 1017])
@example([b"ENC " + b"%e2%98%83" * 113])
@example([b"ENC " + b"a" * 1020])
@example([b"ENC " + b"%C3%80" * 170])
@example([b"GEN 48 " + b"5 " * 508])
@example([b"x" * 1025, b"\xff", b"INFO\xff"])
def test_every_line_gets_one_answer_and_nothing_is_touched_that_should_not_be(
    program: Path, lines: list[bytes]
) -> None:
    answers = ends(run(program, b"".join(line + b"\n" for line in lines) + b"STACK\n"))
    assert len(answers) == len(lines) + 1
    assert all(answer.startswith(("OK", "ERR ")) for answer in answers)
    assert answers[-1] == "OK peak=100 size=4096"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"STACK", b"x"]), max_size=30))
def test_any_mix_of_line_ends(program: Path, parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert len(ends(run(program, data))) == whole.count(b"\n")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"IN\xffFO", "ERR overrun bytes were lost: wait for the answer before the next request"),
        (b"ENC Turn%20ON", None),
        (b"ASK 48 " + b"a" * 1017, "ERR too-long the prompt takes 1019 tokens, the context has 48"),
    ],
)
def test_single_lines(program: Path, tokenizer: Tokenizer, line: bytes, answer: str | None) -> None:
    expected = answer or " ".join(["OK", *map(str, tokenizer.encode("turn on"))])
    assert run(program, line + b"\n") == [expected]


def test_a_corrupt_image_is_not_computed_with(program: Path, tmp_path: Path) -> None:
    patched = tmp_path / "application"
    content = program.read_bytes()
    assert content.count(bytes([1, 2, 3, 4, 0])) >= 1
    patched.write_bytes(content.replace(bytes([1, 2, 3, 4, 0]), bytes([1, 2, 3, 5, 0])))
    patched.chmod(0o755)
    info, *refused = run(patched, b"INFO\nASK 4 light\nGEN 4 5\nENC a\nSTACK\n")
    assert info.endswith(" weights=corrupt tables=intact code=intact data=intact record=intact")
    assert len(refused) == 4 and refused[3].startswith("OK peak=")
    assert all(line.startswith("ERR image ") for line in refused[:3])


def marked(number: int, request: str) -> bytes:
    """A request with an id and a checksum."""
    text = f"#{number} {request}"
    return f"{text} *{zlib.crc32(text.encode()):08x}".encode()


def test_answers_carry_the_id_of_their_request(program: Path) -> None:
    plain = run(program, b"ASK 3 turn\n")
    assert run(program, b"#a1Z ASK 3 turn\nSTACK\n#12345678 STACK\n") == [
        *(f"#a1Z {line}" for line in plain),
        "OK peak=100 size=4096",
        "#12345678 OK peak=100 size=4096",
    ]
    for line in (b"#123456789 STACK", b"# STACK", b"#1", b"#_ STACK"):
        (answer,) = run(program, line + b"\n")
        assert answer.startswith("ERR unknown "), line
    (long,) = run(program, b"#7 ENC " + b"a" * 2000 + b"\n")
    assert long.startswith("#7 ERR line-too-long ")


def test_each_line_of_an_answer_has_a_checksum_where_the_request_had_one(program: Path) -> None:
    plain = run(program, b"ASK 3 turn\n")
    answers = run(program, marked(5, "ASK 3 turn") + b"\n")
    assert [line[:-10] for line in answers] == [f"#5 {line}" for line in plain]
    assert all(line[-10:] == f" *{zlib.crc32(line[:-10].encode()):08x}" for line in answers)


def test_a_request_that_was_changed_on_its_way_is_not_done(program: Path) -> None:
    data = marked(5, "ASK 3 turn")
    for at in range(3, len(data) - 10):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if changed[at] in b"\r\n":
            continue
        (answer,) = run(program, changed + b"\n")
        assert answer.startswith("#5 ERR checksum "), changed
    (answer,) = run(program, data[:-1] + (b"0" if data[-1:] != b"0" else b"1") + b"\n")
    assert answer.startswith("#5 ERR checksum ")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 90), max_size=4, unique=True))
def test_after_lost_bytes_it_is_known_which_requests_were_answered(program: Path, lost: list[int]) -> None:
    """Eight requests without waiting, of which bytes are lost: 0xFF stands for them here."""
    requests = [marked(number, "STACK") for number in range(8)]
    data = b"".join(request + b"\n" for request in requests)
    # A lost byte takes the place of one, and of line ends too: two requests become one line.
    data = bytes(0xFF if index in lost else byte for index, byte in enumerate(data))
    whole = {number for number, request in enumerate(requests) if request in data.split(b"\n")}
    answered = [line for line in run(program, data) if line.startswith("#")]
    assert {int(line[1]) for line in answered} == whole and len(answered) == len(whole)
