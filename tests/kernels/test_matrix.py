"""The library under other compilers and options. A build takes some ten seconds, so here are those in which kernels
did not build or computed wrongly before, and the instruction sets; `nox -s matrix` has each option on each core."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.verification.host_engine import RUNTIME
from tests.kernels.builds import BUILDS, TARGETS, missing_tools, outcome, reference

_BUILDS = [
    *(("m4f", f"gcc {option}") for option in ("-O0", "-fno-omit-frame-pointer", "-flto")),
    ("m0+", "gcc -O2"),  # on the other cores test_kernels builds so
    ("m4f", "clang -O2"),
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
