"""Every command that a page names is known to today's parsers, sessions and modules, and its files are there."""

from __future__ import annotations

import pytest

from pipeline.resources import ROOT
from tests.support.page_commands import PageCommand, commands_of, fault_of

PAGES = ["README.md", "CONTRIBUTING.md", "client/README.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "models" / "templates").glob("*/README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_known(page: str) -> None:
    commands = commands_of((ROOT / page).read_text(encoding="utf-8"))
    faults = {str(command): fault for command in commands if (fault := fault_of(command))}
    assert faults == {}


def test_there_are_commands_to_test() -> None:
    found = [command for page in PAGES for command in commands_of((ROOT / page).read_text(encoding="utf-8"))]
    assert sum(command.is_whole for command in found) > 60 and len(found) > 150


def whole(line: str) -> PageCommand:
    (command,) = commands_of(f"```\n{line}\n```\n")
    return command


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("thimble fly", "invalid choice: 'fly'"),
        ("thimble run", "required: RECIPE"),
        ("thimble run RECIPE --fast", "unrecognized arguments: --fast"),
        ("thimble run models/nothing/recipe.yaml", "there is no models/nothing/recipe.yaml"),
        ("thimble run RECIPE --board nrf9000", "--board nrf9000 is not known"),
        ("thimble run shipped:nothing", "no model shipped:nothing"),
        ("python -m pipeline export RECIPE --form oven --out DIR", "--form oven is not known"),
        ("thimble-client ask", "required: PORT"),
        ("nox -s nothing", "no session nothing"),
        ("nox -s emulate -- RECIPE --fast", "unrecognized arguments: --fast"),
        ("nox -s bench -- --cores", "expected one argument"),
        ("nox -s fuzz -- --fast", "tests.fuzz has no --fast"),
        ("python -m tests.nothing", "no module tests.nothing"),
        ("python -m pipeline.bench.rounding", "is no program"),
        ("python -m tests.golden --slow", "tests.golden has no --slow"),
        ("pip install '.[everything]'", "no extra everything"),
        ("pytest tests/nothing.py", "there is no tests/nothing.py"),
    ],
)
def test_what_is_not_so_is_found(line: str, fault: str) -> None:
    assert fault in str(fault_of(whole(line)))


@pytest.mark.parametrize(
    "line",
    [
        "thimble export RECIPE [RECIPE…] --form FORM --out DIR",
        "THIMBLE_BOARDS=/x python -m pipeline boards",
        "thimble import-llama2c a.bin b.bin --out c.yaml --context N",
        "nox -s train qat -- RECIPE --retrain",
        "pip install -e '.[all]'  # with a comment",
    ],
)
def test_words_in_capitals_stand_for_values(line: str) -> None:
    assert fault_of(whole(line)) is None


def test_lines_are_parted_and_joined_as_a_shell_does() -> None:
    block = '```sh\ncd a && X=1 thimble \\\n  boards | make > b\neval "$(thimble completion bash)"\n```\n'
    assert [command.words for command in commands_of(block)] == [
        ("cd", "a"),
        ("thimble", "boards"),
        ("make",),
        ("thimble", "completion", "bash"),
        ("eval",),
    ]
    assert [command.words for command in commands_of("```console\n$ thimble boards\nmps2\n```\n")] == [
        ("thimble", "boards")
    ]
    with pytest.raises(AssertionError, match="'timble' is no known program"):
        commands_of("```\nthimble boards\ntimble boards\n```\n")


def test_a_sentence_may_leave_arguments_out_but_invents_none() -> None:
    text = "`thimble compile --aim` and `run --quick`, `--home FILE`, `-- --cores m4f`, `chat RECIPE`, `run it`, `-O2`"
    commands = commands_of(text)
    assert [command.words[0] for command in commands] == ["thimble", "run", "--home", "--", "chat"]
    assert [fault_of(command) for command in commands] == [None] * 5
    wrong = commands_of("`run --slow` `--nothing` `thimble bench flight`")
    assert [fault_of(command) for command in wrong] == [
        "no option --slow",
        "no command has --nothing",
        "no command flight",
    ]
