"""clang-tidy (bugprone, cert) and cppcheck over all C that goes onto a device: `python -m tests.c_lint`.

`.clang-tidy` lists the checks that are left out, `CPPCHECK_EXCEPTIONS` below the findings, each with its reason. What
they read is plain C; bodies in assembler are compared with it on the emulated core (`tests/kernels`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.firmware.project import TEMPLATES, write_board, write_project
from pipeline.resources import ROOT
from pipeline.targets.boards import all_boards, load_board
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.codec import StructuredCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import FOLDER

__all__ = ["CPPCHECK_EXCEPTIONS", "check", "clang_tidy_commands", "cppcheck_command", "unexpected"]

RUNTIME = TEMPLATES / "runtime"
CPPCHECK_EXCEPTIONS = {
    # A right shift of a negative number; thimble_fixed_point.h wants a compiler that keeps the sign.
    "shiftTooManyBitsSigned": ("thimble_fixed_point.h", "thimble_fixed_point_s16.h", "thimble_elementwise.h"),
    "shiftNegativeLHS": ("thimble_fixed_point_s16.h",),
    # The best token is among those that are summed, and counts for thimble_power(0).
    "zerodiv": ("thimble_answer.c",),
    # Both ends of a stretch of memory are names of the linker script's.
    "comparePointers": ("startup.c",),
}
"""By the kind of finding, the files in which it may stand."""
_CPPCHECK_LINE = re.compile(r"(?P<file>.+?):(?P<line>\d+): (?P<id>\w+): (?P<text>.*)")


def check() -> list[str]:
    """Findings, one a line.

    Raises:
        FileNotFoundError: clang-tidy or cppcheck is not in this environment.
    """
    with tempfile.TemporaryDirectory(prefix="thimble-lint-") as name:
        folder = Path(name)
        commands = list(clang_tidy_commands(folder))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            findings = [line for lines in pool.map(_run_clang_tidy, commands) for line in lines]
        done = subprocess.run(cppcheck_command(folder), capture_output=True, text=True, check=False)
        findings += unexpected(done.stderr.splitlines())
        if done.returncode:
            findings.append(f"cppcheck ended with {done.returncode}: {done.stdout}")
    return sorted(set(findings))


def clang_tidy_commands(folder: Path) -> Iterable[list[str]]:
    """A command for each source.

    Args:
        folder: receives the generated headers that sources include.
    """
    project = folder / "project"
    write_project(FOLDER, _codec(), load_board("mps2_an386"), "stand-in", project)
    runtime = [f"-I{RUNTIME}", f"-I{RUNTIME / 'kernels'}"]
    for source in (*sorted(RUNTIME.glob("*.c")), *sorted((RUNTIME / "kernels").glob("*.c"))):
        yield _clang_tidy(source, ["-std=c99", *runtime])
    defined = ["THIMBLE_ANSWERS", "THIMBLE_NAMES_BYTES=4096", "THIMBLE_SAMPLING", "THIMBLE_PROFILE", "THIMBLE_STORE"]
    options = ["-std=c11", *(f"-D{name}" for name in (*defined, "THIMBLE_TEST_COMMANDS"))]
    for source in sorted((TEMPLATES / "app").glob("*.c")):
        target = ["--target=arm-none-eabi", "-mthumb", "-mcpu=cortex-m4", "-ffreestanding"]
        yield _clang_tidy(source, [*target, *options, *runtime, f"-I{project / 'model'}"])
    seen: set[Path] = set()
    for board in all_boards():
        written = folder / board.name
        written.mkdir()
        write_board(board, written, board.stack_bytes, has_store=True)
        target = [
            "--target=arm-none-eabi",
            *board.flags,
            "-ffreestanding",
            "-std=c11",
            "-DTHIMBLE_STORE",
            f"-I{RUNTIME}",
        ]
        for source in (path for place in board.folders for path in sorted(place.glob("*.c"))):
            if source not in seen:
                seen.add(source)
                yield _clang_tidy(source, [*target, f"-I{written}", f"-I{TEMPLATES / 'app'}"])


def cppcheck_command(folder: Path) -> list[str]:
    """One command for all sources; `folder` holds what `clang_tidy_commands` wrote."""
    sources = [TEMPLATES / "app", RUNTIME, *sorted((TEMPLATES / "boards").glob("*/"))]
    return [
        *(
            _program("cppcheck"),
            "--quiet",
            "--std=c99",
            "--platform=unix32",
            "--enable=warning,performance,portability",
        ),
        "--template={file}:{line}: {id}: {message}",
        *(f"-I{path}" for path in (RUNTIME, RUNTIME / "kernels", TEMPLATES / "app", folder / "project" / "model")),
        *(
            "-U__arm__",
            "-U__pic__",
            "-D__GNUC__",
            "-DTHIMBLE_ANSWERS",
            "-DTHIMBLE_SAMPLING",
            "-DTHIMBLE_STORE",
            "-D__ARM_ARCH=7",
        ),
        *(str(path) for path in sources),
    ]


def unexpected(lines: Sequence[str]) -> list[str]:
    """The findings of cppcheck that are no exception."""
    left = []
    for line in lines:
        match = _CPPCHECK_LINE.fullmatch(line)
        if match is None or Path(match["file"]).name not in CPPCHECK_EXCEPTIONS.get(match["id"], ()):
            left.append(line)
    return left


def _clang_tidy(source: Path, options: Sequence[str]) -> list[str]:
    config = f"--config-file={ROOT / '.clang-tidy'}"
    return [_program("clang-tidy"), "--quiet", config, str(source), "--", *options]


def _run_clang_tidy(command: Sequence[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if re.search(r": (warning|error): ", line)]
    if done.returncode and not lines:
        lines = [f"clang-tidy ended with {done.returncode}: {done.stderr.strip()}"]
    return lines


def _program(name: str) -> str:
    """A program of this environment."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError(f"{name} is not in this environment: `nox -s lint` installs it")
    return found


def _codec() -> StructuredCodec:
    """Of a task as small as can be, for the tables that the application includes."""
    intents = {"TurnOn": IntentSchema({"name": SlotSchema(kinds=frozenset({"light"}))})}
    names = KnownNames("en", (Entry("lamp", "light", "Lamp"),), ("on", "the", "turn"))
    schema = make_schema(intents, ("light",), 3, 0.5)
    return StructuredCodec(Tokenizer.train(["turn on"] * 3, 268), schema, names.annotator())


if __name__ == "__main__":
    found = check()
    print("\n".join(found))
    sys.exit(1 if found else 0)
