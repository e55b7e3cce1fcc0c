"""docs/embed.md, followed to the letter on the emulated board, and what it says of stack and time."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.bench.cores import CORES
from pipeline.bench.machine import build, run
from pipeline.compiler import WeightLayout
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.firmware.library import LibraryModel, write_library
from pipeline.numerics.sampler import logit_step
from pipeline.resources import ROOT
from pipeline.verification.host_engine import host_engine
from pipeline.verification.reply import ask
from tests.support.tiny_library import TinyLibrary

PAGE = (ROOT / "docs" / "embed.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for language, text in _BLOCK.findall(PAGE) if language == kind]


def test_the_example_answers_as_the_host(tiny: TinyLibrary, tmp_path: Path) -> None:
    write_library(
        [LibraryModel("home_en_small", tiny.intents, tiny.intents_codec)], WeightLayout.INTERLEAVED_2, tmp_path / "lib"
    )
    (tmp_path / "main.c").write_text(blocks("c")[0])
    (tmp_path / "start.c").write_text(blocks("c")[1])
    (tmp_path / "link.ld").write_text(blocks("")[0])
    make, start = blocks("sh")[0].replace("\\\n", " ").splitlines()
    compiler, *arguments = shlex.split(make)
    arguments = [*arguments[:-1], *map(str, sorted((tmp_path / "lib").glob("*.c")))]
    assert compiler == "arm-none-eabi-gcc"
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    done = subprocess.run(
        [str(tools.require(compiler)), *warnings, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    emulator, *options = shlex.split(start)
    command = [str(tools.require(emulator)), *options]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )
    text = re.search(r'text\[\] = "(.*?)";', blocks("c")[0])
    assert text is not None
    graph = read_tflite(tiny.intents)
    step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
    with host_engine(tiny.intents) as engine:
        reply = ask(engine, tiny.intents_codec, text[1], step)
    assert "brightness=50" in reply.text
    assert (done.stdout + done.stderr).splitlines() == [f"eos {reply.text}", "brightness 50"]
    assert len(blocks("c")[0].splitlines()) < 60


def test_a_hook_comes_several_times_a_step(library: Path, tmp_path: Path) -> None:
    sources = [Path(__file__).with_name("costs.c"), *sorted(library.glob("*.c"))]
    rows = run(CORES["m4f"], build(CORES["m4f"], sources, [library], tmp_path, ("-O2", "-DTHIMBLE_YIELD")))
    whole = {row.name: row.instructions for row in rows if row.first}
    longest = {row.name: row.instructions for row in rows if not row.first}
    for name in ("step_intents", "step_text"):
        assert 0 < longest[name] < whole[name] / 3, (name, whole, longest)


@pytest.mark.parametrize("optimization", ["-Os", "-O2", "-O0"])
def test_the_stack_is_what_the_page_says(library: Path, tmp_path: Path, optimization: str) -> None:
    """The tables of shipped models are larger than the tiny ones', their calls are the same."""
    stated = {}
    columns = re.search(r"^\| call \| (.*) \|\n\| --- .*\n((?:\|.*\n)+)", PAGE.split("## Stack")[1], re.MULTILINE)
    assert columns is not None
    index = columns[1].split(" | ").index(f"`{optimization}`")
    for row in columns[2].splitlines():
        call, *values = row.strip("| ").split(" | ")
        stated[call] = int(values[index].replace(",", ""))
    begin, step, whole = stated.values()
    sources = [Path(__file__).with_name("costs.c"), *sorted(library.glob("*.c"))]
    counts = {
        counted.name: counted
        for counted in run(CORES["m4f"], build(CORES["m4f"], sources, [library], tmp_path, (optimization,)))
    }
    assert counts["init"].second == 0 and counts["understand"].second >= 10 and counts["ask"].second >= 10
    most = {"init": step, "begin_intents": begin, "step_intents": step, "understand": whole}
    for name, bound in {**most, "begin_text": begin, "step_text": step, "ask": whole}.items():
        assert 0 < counts[name].first <= 1.1 * bound, name
    assert counts["begin_text"].instructions < counts["begin_intents"].instructions
