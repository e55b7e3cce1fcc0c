"""The library under other compilers and options. A build takes some ten seconds, so here each option of GCC is tried
on one core, each core with some option, and clang a few times; `nox -s matrix` has each option on each core."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.verification.host_engine import RUNTIME
from tests.kernels.builds import BUILDS, TARGETS, missing_tools, outcome, reference, with_constants

_BUILDS = [
    # In these kernels did not build, or computed wrongly, before.
    *(("m4f", f"gcc {option}") for option in ("-O0", "-fno-omit-frame-pointer", "-flto")),
    ("m4f", "clang -O2"),
    ("m4f", "clang -flto"),
    ("m0+", "gcc -O2"),  # on the other cores test_kernels builds so
    ("m0+", "gcc -fstack-protector-all"),
    ("m3", "gcc -O1"),
    ("m3", "gcc -fPIC -msingle-pic-base"),
    ("m4f", "gcc -Os -fno-omit-frame-pointer"),
    ("m7", "gcc -Os"),
    ("m7", "gcc -ffixed-r9 -DTHIMBLE_PLAIN_C"),
    ("m33", "gcc -Og"),
    ("m33", "gcc -finstrument-functions"),
    ("m55", "gcc -O3"),
    ("m55", "gcc -O3 -flto"),
    ("m55", "clang -O0"),
    ("m7", "gcc -Og -ffixed-r9 -DTHIMBLE_PLAIN_C"),
    ("rv32", "gcc -std=c17"),
    ("rv32", "gcc -std=c11"),
    ("x86-64", "gcc -funroll-loops"),
]
_HEADERS = sorted(path.relative_to(RUNTIME).as_posix() for path in RUNTIME.glob("*.h")) + [
    f"kernels/{path.name}" for path in sorted((RUNTIME / "kernels").glob("thimble_kernels*.h"))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize(("target", "name"), _BUILDS)
def test_every_build_computes_the_same(folder: Path, target: str, name: str) -> None:
    if missing := missing_tools(TARGETS[target], BUILDS[name]):
        pytest.skip(f"not installed here: {', '.join(missing)}")
    assert outcome(target, BUILDS[name], folder) == reference(folder)


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize(("offset", "shift"), [(0, 0), (1, 0), (128, 7), (-127, 3)])
@pytest.mark.parametrize("target", ["x86-64", "m4f", "m3"])
def test_linked_with_constants_by_clang(folder: Path, target: str, offset: int, shift: int) -> None:
    """As with GCC (`test_kernels`): operands that LLVM knows to be equal, or 0, stay apart where they must."""
    if missing := missing_tools(TARGETS[target], BUILDS["clang -flto"]):
        pytest.skip(f"not installed here: {', '.join(missing)}")
    assert with_constants(target, offset, shift, folder)[0] == 16


def test_each_option_and_each_core_is_tried() -> None:
    assert {name for name in BUILDS if name.startswith("gcc")} == {
        name for _, name in _BUILDS if name.startswith("gcc")
    }
    assert {target for target, _ in _BUILDS} == {*TARGETS}


def test_c_comes_first_and_bodies_for_cores_are_in_files_of_their_own() -> None:
    """A kernel's .c is plain C that a reader can follow, without assembler; what a core has instead is included there,
    below its plain C."""
    folder = RUNTIME / "kernels"
    bodies = [path for path in folder.glob("*.h") if re.search("_(dsp|mve|thumb2|words|fpu)$", path.stem)]
    including: dict[str, list[str]] = {path.name: [] for path in bodies}
    for source in sorted(folder.glob("*.c")):
        lines = source.read_text(encoding="utf-8").splitlines()
        assert not any("__asm__" in line for line in lines), source.name
        for above, line in pairwise(lines):
            name = line.removeprefix('#include "').removesuffix('"')
            if name in including:
                assert name.startswith(source.stem) and re.match("#(else|elif|ifdef) ?", above), (source.name, line)
                including[name].append(source.name)
    assert len(bodies) > 20
    assert all(len(sources) == 1 for sources in including.values()), including


def test_guards_of_headers_are_ours() -> None:
    """No vendor's header has the same: Nordic's nrf.h has NRF_H."""
    for header in sorted(RUNTIME.parent.rglob("*.h")):
        text = header.read_text(encoding="utf-8")
        if header.name != "pins.h":  # of a board alone: names of its pins
            guard = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.MULTILINE)
            name = header.stem.upper()
            assert guard and guard[1] == (f"{name}_H" if name.startswith("THIMBLE") else f"THIMBLE_{name}_H"), header


@pytest.mark.parametrize("standard", ["c++11", "c++17"])
def test_headers_from_cpp(tmp_path: Path, standard: str) -> None:
    """A program in C++ includes each header, first or after the others, and names the functions as C does."""
    if not (compiler := shutil.which("g++")):
        pytest.skip("not installed here: g++")
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-DTHIMBLE_PROFILE", "-DTHIMBLE_YIELD"]
    flags.append(f"-I{RUNTIME}")
    for header in _HEADERS:
        alone = tmp_path / "alone.cc"
        alone.write_text(f'#include "{header}"\n')
        subprocess.run([compiler, *flags, "-fsyntax-only", alone], check=True)
    source = tmp_path / "all.cc"
    texts = [(RUNTIME / header).read_text(encoding="utf-8") for header in _HEADERS]
    names = [
        name for text in texts for name in re.findall(r"^(?!static)(?:\w+ )+\*?(thimble_\w+)\(", text, re.MULTILINE)
    ]
    assert len(names) > 50
    lines = [f'#include "{header}"' for header in _HEADERS]
    source.write_text(
        "\n".join([*lines, *(f"void *use_{name} = reinterpret_cast<void *>(&{name});" for name in names), ""])
    )
    subprocess.run([compiler, *flags, "-c", source, "-o", tmp_path / "all.o"], check=True)
    symbols = subprocess.run(
        ["nm", "-u", tmp_path / "all.o"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {*names} <= {*symbols}
