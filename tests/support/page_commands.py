"""The shell commands that pages name, and whether today's parsers, sessions, modules and files know them.

A command in a block is whole: it must parse. One within a sentence may leave out arguments, but names nothing that is
not. Words in capitals stand for what the reader has: RECIPE, FORM, N.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from docs_site.command_reference import actions_of, subcommands
from docs_site.markdown import CodeBlock, code_blocks, inline_code
from docs_site.session_reference import sessions
from pipeline.commands.main import command_parser
from pipeline.commands.new import KINDS
from pipeline.device.command import command_parser as client_parser
from pipeline.exports.registry import FORMS
from pipeline.recipes.schema import ENGINES
from pipeline.resources import ROOT
from pipeline.targets.boards import all_boards

__all__ = ["OTHER_PROGRAMS", "PageCommand", "commands_of", "fault_of"]

OTHER_PROGRAMS = frozenset(
    (
        *("apt", "apt-get", "arm-none-eabi-gcc", "build/ask", "cargo", "cd", "cmake", "cpackget", "esphome", "eval"),
        *("export", "git", "idf.py", "make", "pio", "pip", "pytest", "qemu-system-arm", "ray", "renode", "west"),
    )
)
"""Programs of others whose arguments are not looked at, but for those of pip and pytest."""
_OTHER_OPTIONS = frozenset({"--console"})
"""Options of other programs that pages explain: Renode's."""
_SHELL_LANGUAGES = ("sh", "bash", "console")
_JOINTS = ("&&", "||", "|", ";", ">", "<")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_PLACEHOLDER = re.compile(r"\[?[A-Z][A-Z|_.:-]*…?\]?")
_OWN_FOLDERS = ("client", "docs", "firmware_templates", "models", "pipeline", "renode", "tests")
_DEMO = "models/home-en-small/recipe.yaml"


@dataclass(frozen=True)
class PageCommand:
    """A command as a page names it.

    Attributes:
        line: its number in the page.
        words: as a shell splits them.
        is_whole: whether it may be typed as it stands.
    """

    line: int
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"line {self.line}: {shlex.join(self.words)}"


def commands_of(text: str) -> list[PageCommand]:
    """The commands of a page, in blocks and in sentences, in their order.

    Raises:
        AssertionError: a block of commands has a line that is none, or one that no shell reads.
    """
    found = [command for block in code_blocks(text) for command in _of_block(block)]
    for line, code in inline_code(text):
        words = _split(code)
        if words and _names_ours(words):
            found += [PageCommand(line, tuple(part), False) for part in _parted(words)]
    return sorted(found, key=lambda command: command.line)


def _of_block(block: CodeBlock) -> Iterator[PageCommand]:
    if block.language not in ("", *_SHELL_LANGUAGES):
        return
    lines = _joined(block)
    if block.language == "console":
        lines = [(number, line.removeprefix("$ ")) for number, line in lines if line.startswith("$ ")]
    elif block.language == "":
        first = next((words for _, line in lines if (words := _split(line))), [])
        if not first or not _is_program(first):
            return
    for number, line in lines:
        if block.language == "" and line.startswith(("{", "renode:")):
            return  # what a command prints stands behind it
        words = _split(line)
        assert words is not None, f"line {number}: no shell reads {line!r}"
        for part in _parted(words):
            assert _is_program(part), f"line {number}: {part[0]!r} is no known program"
            yield PageCommand(number, tuple(part), True)


def _joined(block: CodeBlock) -> list[tuple[int, str]]:
    """Lines with what follows a backslash at their end."""
    lines: list[tuple[int, str]] = []
    goes_on = False
    for number, line in enumerate(block.lines, block.first_line):
        text = line.removesuffix("\\")
        if goes_on:
            lines[-1] = (lines[-1][0], lines[-1][1] + text)
        else:
            lines.append((number, text))
        goes_on = line.endswith("\\")
    return lines


def _split(line: str) -> list[str] | None:
    """Words without comments and leading assignments; None where no shell reads the line."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    while words and _ASSIGNMENT.fullmatch(words[0]) and len(words) > 1:
        words = words[1:]
    return words


def _parted(words: list[str]) -> Iterator[list[str]]:
    """The commands that a line joins; what `>` writes to is left out, and what `$(…)` runs is one of them."""
    part: list[str] = []
    is_file = False
    for word in [*words, ";"]:
        if word in _JOINTS:
            while part and _ASSIGNMENT.fullmatch(part[0]):
                part = part[1:]
            if part and not is_file:
                yield part
            part, is_file = [], word in (">", "<")
        elif inner := re.fullmatch(r"\$\((.*)\)", word):
            yield shlex.split(inner[1])
        else:
            part.append(word)


def _is_program(words: list[str]) -> bool:
    return _names_ours(words) or words[0] in OTHER_PROGRAMS or words[:3] == ["python3", "-m", "venv"] or words[0] == "."


def _names_ours(words: list[str]) -> bool:
    """Whether a command is one of this project, or of Python and pip, which take its modules and extras."""
    if words[0] in ("thimble", "thimble-client", "nox", "pytest", "pip"):
        return len(words) > 1
    if words[0] in ("python", "python3"):
        return len(words) > 2 and words[1] == "-m"
    if words[0].startswith("-"):
        return _options_of(words) != []
    # `run --quick`, `chat RECIPE`: the program is left out.
    is_shortened = len(words) > 1 and words[0] in subcommands(_thimble())
    return is_shortened and (words[1].startswith("--") or _PLACEHOLDER.match(words[1]) is not None)


def _options_of(words: list[str]) -> list[str]:
    """Long options of a piece of code that begins with one: `--home FILE`, or `-- --cores m4f`."""
    if words[0] == "--":
        words = words[1:]
    if not words or not words[0].startswith("--"):
        return []
    return [word for word in words if re.fullmatch(r"--[a-z][a-z-]+", word)]


def fault_of(command: PageCommand) -> str | None:
    """What of a command is not so; None where all of it is."""
    words = list(command.words)
    if fault := _fault_of_names(words):
        return fault
    match words[0]:
        case "thimble":
            return _parse(_thimble(), words[1:], command.is_whole)
        case "thimble-client":
            return _parse(_client(), words[1:], command.is_whole)
        case "nox":
            return _fault_of_session(words, command.is_whole)
        case "python" | "python3":
            return _fault_of_module(words[2], words[3:], command.is_whole)
        case "pip":
            return _fault_of_extras(words[2:]) if words[1] in ("install", "wheel") else f"pip has no {words[1]}"
        case word if word.startswith("-"):
            unknown = [option for option in _options_of(words) if option not in _all_options() | _OTHER_OPTIONS]
            return f"no command has {', '.join(unknown)}" if unknown else None
        case word if word in subcommands(_thimble()) and word not in OTHER_PROGRAMS:
            return _parse(_thimble(), words, command.is_whole)
    return None


def _fault_of_names(words: list[str]) -> str | None:
    """Files, shipped models and boards of this project that are not there."""
    models = {path.parent.name for path in (ROOT / "models").glob("*/recipe.yaml")}
    for before, word in zip(["", *words], words, strict=False):
        path = word.partition("[")[0].partition("::")[0].removeprefix("./")
        if path.partition("/")[0] in _OWN_FOLDERS and ("/" in word or word.startswith("./")):
            if not (ROOT / path).exists() and not _PLACEHOLDER.search(path.rpartition("/")[2]):
                return f"there is no {path}"
        elif word.startswith("shipped:") and word.removeprefix("shipped:") not in {*models, "NAME"}:
            return f"no model {word}"
        elif before in _values() and not _PLACEHOLDER.fullmatch(word) and word not in _values()[before]:
            return f"{before} {word} is not known"
    return None


@cache
def _thimble() -> argparse.ArgumentParser:
    return command_parser()


@cache
def _client() -> argparse.ArgumentParser:
    return client_parser()


@cache
def _values() -> dict[str, frozenset[str]]:
    """What options may say that a command's work looks up, and not its parser."""
    boards = {board.name for board in all_boards()} | {"weather_station"}  # the one that docs/add-a-board.md adds
    return {
        "--board": frozenset(boards),
        "--engine": frozenset(ENGINES),
        "--form": frozenset(FORMS),
        "--like": frozenset(KINDS),
    }


def _fault_of_words(parser: argparse.ArgumentParser, words: list[str]) -> str | None:
    """A command or an option that a parser does not know; arguments may be missing."""
    known = {"--help", "-h"}
    while True:
        known.update(name for action in actions_of(parser) for name in action.option_strings)
        commands = subcommands(parser)
        if not commands or not words or words[0].startswith("-") or _PLACEHOLDER.fullmatch(words[0]):
            break
        if words[0] not in commands:
            return f"no command {words[0]}"
        parser, words = commands[words[0]][0], words[1:]
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    return next((f"no option {option}" for option in options if option not in known), None)


def _parse(parser: argparse.ArgumentParser, words: list[str], is_whole: bool) -> str | None:
    """What a parser says against words, with values for those in capitals."""
    if not is_whole and (fault := _fault_of_words(parser, words)):
        return fault
    words = [word for word in words if not re.fullmatch(r"\[[A-Z]+…?\]", word)]
    for _ in range(len(words) + 1):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                parser.parse_args(words)
                return None
            except SystemExit as error:
                if error.code == 0:
                    return None
        said = errors.getvalue().rpartition("error: ")[2].strip()
        invalid = re.search(r"invalid (?:choice|\w+ value): '([^']*)'(?: \(choose from '?([^',)]*))?", said)
        if invalid and _PLACEHOLDER.fullmatch(invalid[1]):
            words = [(invalid[2] or "1") if word == invalid[1] else word for word in words]
            continue
        is_left_out = "arguments are required" in said or "expected" in said
        return None if is_left_out and not is_whole else said
    raise AssertionError(words)


def _fault_of_session(words: list[str], is_whole: bool) -> str | None:
    end = words.index("--") if "--" in words else len(words)
    names, arguments = words[2:end], words[end + 1 :]
    known = _sessions()
    if words[1] != "-s" or not names:
        return "nox is called with -s SESSION"
    if unknown := [name for name in names if name not in known]:
        return f"no session {', '.join(unknown)}"
    for name in names if arguments else ():
        program, takes_recipe = _program_of(name)
        if takes_recipe and not any(word == "RECIPE" or word.endswith((".yaml", ".yml")) for word in arguments):
            arguments = [_DEMO, *arguments]
        if program[0] == "pipeline":
            fault = _parse(_thimble(), [*program[1:], *arguments], is_whole)
        elif program[0] == "pytest":
            fault = None
        else:
            fault = _fault_of_module(program[0], [*program[1:], *arguments], is_whole)
        if fault:
            return f"{name}: {fault}"
    return None


@cache
def _sessions() -> frozenset[str]:
    return frozenset(sessions((ROOT / "noxfile.py").read_text(encoding="utf-8"), ROOT))


@cache
def _program_of(session: str) -> tuple[list[str], bool]:
    """The module that a session gives its arguments to, with those before them, and whether it adds a recipe."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if session not in functions:
        return ["pipeline", session], True  # a stage's
    for node in ast.walk(functions[session]):
        if not isinstance(node, ast.Call | ast.Tuple):
            continue
        parts = node.args if isinstance(node, ast.Call) else node.elts
        texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pipeline":
            return ["pipeline", *(text for text in texts if isinstance(text, str))], True
        takes_arguments = "posargs" in ast.unparse(node) or "*arguments" in ast.unparse(node)
        if "-m" in texts and takes_arguments:
            return [text for text in texts[texts.index("-m") + 1 :] if isinstance(text, str)], False
    return ["pytest"], False


def _fault_of_module(module: str, words: list[str], is_whole: bool) -> str | None:
    if module in ("pipeline", "thimble"):
        return _parse(_thimble(), words, is_whole)
    if module == "venv":
        return None
    base = ROOT.joinpath(*module.split("."))
    path = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
    if not path.is_file():
        return f"no module {module}"
    text = path.read_text(encoding="utf-8")
    if path.name != "__main__.py" and '__name__ == "__main__"' not in text:
        return f"the module {module} is no program"
    literals = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    unknown = [word for word in words if word.startswith("--") and word not in literals]
    return f"{module} has no {', '.join(unknown)}" if unknown else None


def _fault_of_extras(words: list[str]) -> str | None:
    """Extras that a project's file does not declare."""
    for word in words:
        folder, mark, extras = word.rstrip("]").partition("[")
        file = {".": "pyproject.toml", "./client": "client/pyproject.toml", "thimble-client": "client/pyproject.toml"}
        if not mark or folder not in file:
            continue
        project = tomllib.loads((ROOT / file[folder]).read_text(encoding="utf-8"))["project"]
        if unknown := set(extras.split(",")) - set(project.get("optional-dependencies", {})):
            return f"{folder} has no extra {', '.join(sorted(unknown))}"
    return None


@cache
def _all_options() -> frozenset[str]:
    """Long options of all commands, and of the tests' own programs."""
    found: set[str] = {"--help"}

    def add(parser: argparse.ArgumentParser) -> None:
        found.update(name for action in actions_of(parser) for name in action.option_strings)
        for made, _ in subcommands(parser).values():
            add(made)

    add(_thimble())
    add(_client())
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "ArgumentParser" in text and not path.name.startswith("test_"):
            found.update(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text))
    return frozenset(found)
