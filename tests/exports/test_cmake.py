"""The form `cmake`: consumers in C and C++, on the host and for Arm, by add_subdirectory and by find_package."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import TOKENS, cmake, crcs, logits_program, picolibc, qemu, run, ticks_program

FORM = load_form("cmake")
CONSUMER = """\
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C CXX)
add_executable(c main.c)
add_executable(cpp main.cpp)
{package}
target_link_libraries(c PRIVATE thimble::{name})
target_link_libraries(cpp PRIVATE thimble::{name})
"""
EMBEDDED = """\
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C)
add_executable(c main.c)
add_subdirectory({folder} library)
target_link_libraries(c PRIVATE thimble::{name})
"""
ARM = [("cortex-m4", build_type) for build_type in ("Debug", "Release", "MinSizeRel", "")]
ARM += [(core, build_type) for core in ("cortex-m3", "cortex-m7") for build_type in ("Debug", "MinSizeRel")]


def consumer(folder: Path, library: Library, tokens: tuple[int, ...], package: str) -> Path:
    """A project with a program in C and one in C++ that print CRCs of logits."""
    folder.mkdir()
    program = logits_program(library.models[0], tokens)
    (folder / "main.c").write_text(program)
    (folder / "main.cpp").write_text(program)
    name = library.package.removeprefix("thimble-")
    (folder / "CMakeLists.txt").write_text(CONSUMER.format(package=package, name=name))
    return folder


def test_the_example_answers_and_a_consumer_has_the_models_logits(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    build = cmake(out / "examples" / "ask", tmp_path / "ask")
    model = library.models[0]
    assert run([build / "ask"]) == f"{model.answer}\n"
    assert model.answer == "HassLightSet domain=light name=Desk Lamp"
    source = consumer(tmp_path / "consumer", library, TOKENS, f"add_subdirectory({out} library)")
    build = cmake(source, tmp_path / "built", "-DCMAKE_BUILD_TYPE=Release")
    expected = crcs(library.models[0], TOKENS)
    assert run([build / "c"]).split() == run([build / "cpp"]).split() == expected


@pytest.mark.exports
def test_an_installed_package_is_found(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    build = cmake(out, tmp_path / "library", f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}", target="install")
    assert build.is_dir()
    found = f"find_package({library.package} 1.2 REQUIRED)"
    source = consumer(tmp_path / "consumer", library, TOKENS, found)
    out.rename(tmp_path / "moved")  # what is installed does not point back
    built = cmake(source, tmp_path / "built", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    assert run([built / "cpp"]).split() == crcs(library.models[0], TOKENS)


@pytest.mark.exports
def test_a_model_that_answers_in_text(plain_library: Library, out: Path, tmp_path: Path) -> None:
    write_export(plain_library, FORM, out)
    build = cmake(out / "examples" / "ask", tmp_path / "ask")
    assert run([build / "ask"]) == f"{plain_library.models[0].answer}\n"


@pytest.mark.exports
def test_two_models_in_one_library(both: Library, out: Path, tmp_path: Path) -> None:
    write_export(both, FORM, out)
    answers = [model.answer for model in both.models]
    assert run([cmake(out / "examples" / "ask", tmp_path / "ask") / "ask"]).splitlines() == answers
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={picolibc('cortex-m4', tmp_path / 'arm.cmake')}",
        "-DCMAKE_BUILD_TYPE=MinSizeRel",
    )
    build = cmake(out / "examples" / "ask", tmp_path / "arm", *options)
    assert qemu("cortex-m4", build / "ask").splitlines() == answers


@pytest.mark.exports
@pytest.mark.parametrize("build_type", ["Debug", "Release", "MinSizeRel", ""])
def test_every_build_type_has_the_boards_logits(
    build_type: str, home: tuple[Library, RunResult], out: Path, tmp_path: Path
) -> None:
    library, result = home
    write_export(library, FORM, out)
    prompt = result.prompts[0]
    tokens = (*prompt.tokens_in, *prompt.tokens_out[:-1])
    source = consumer(tmp_path / "consumer", library, tokens, f"add_subdirectory({out} library)")
    build = cmake(source, tmp_path / "built", f"-DCMAKE_BUILD_TYPE={build_type}")
    assert run([build / "c"]).split() == run([build / "cpp"]).split() == list(prompt.logits_crc)
    build = cmake(out / "examples" / "ask", tmp_path / "ask", f"-DCMAKE_BUILD_TYPE={build_type}")
    for prompt in result.prompts:
        assert run([build / "ask", prompt.text]) == f"{prompt.text_out}\n"


@pytest.mark.exports
@pytest.mark.parametrize(("core", "build_type"), ARM)
def test_on_an_emulated_core_without_a_line_of_board_code(
    core: str, build_type: str, home: tuple[Library, RunResult], out: Path, tmp_path: Path
) -> None:
    library, result = home
    write_export(library, FORM, out)
    prompt = result.prompts[0]
    tokens = (*prompt.tokens_in, *prompt.tokens_out[:-1])
    name = library.package.removeprefix("thimble-")
    (tmp_path / "consumer").mkdir()
    (tmp_path / "consumer" / "main.c").write_text(logits_program(library.models[0], tokens))
    (tmp_path / "consumer" / "CMakeLists.txt").write_text(EMBEDDED.format(folder=out, name=name))
    options = (f"-DCMAKE_TOOLCHAIN_FILE={picolibc(core, tmp_path / 'arm.cmake')}", f"-DCMAKE_BUILD_TYPE={build_type}")
    build = cmake(tmp_path / "consumer", tmp_path / "built", *options)
    assert qemu(core, build / "c").split() == list(prompt.logits_crc)
    build = cmake(out / "examples" / "ask", tmp_path / "ask", *options)
    assert qemu(core, build / "ask") == f"{library.models[0].answer}\n"


@pytest.mark.exports
@pytest.mark.parametrize("build_type", ["Debug", "MinSizeRel"])
def test_a_step_takes_the_firmwares_instructions(
    build_type: str, home: tuple[Library, RunResult], out: Path, tmp_path: Path
) -> None:
    library, result = home
    write_export(library, FORM, out)
    prompt = result.prompts[0]
    (tmp_path / "consumer").mkdir()
    tokens = (*prompt.tokens_in, *prompt.tokens_out[:-1])
    (tmp_path / "consumer" / "main.c").write_text(ticks_program(library.models[0], tokens))
    name = library.package.removeprefix("thimble-")
    (tmp_path / "consumer" / "CMakeLists.txt").write_text(EMBEDDED.format(folder=out, name=name))
    options = (f"-DCMAKE_TOOLCHAIN_FILE={picolibc('cortex-m4', tmp_path / 'arm.cmake')}",)
    build = cmake(tmp_path / "consumer", tmp_path / "built", *options, f"-DCMAKE_BUILD_TYPE={build_type}")
    ticks = [int(line) for line in qemu("cortex-m4", build / "c").split()]
    assert len(ticks) == len(prompt.ticks)
    # Debug builds: what is around the kernels.
    most = 1.01 if build_type == "MinSizeRel" else 1.1
    for own, boards in zip(ticks, prompt.ticks, strict=True):
        assert own <= most * boards, (ticks, prompt.ticks)
