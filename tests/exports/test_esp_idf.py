"""The form `esp-idf`: packed by its own tool, its CMake against a stand-in, its C by RISC-V's compiler and Xtensa's."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
import yaml

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import TOKENS, cmake, crcs, logits_program, require, run, rv32

FORM = load_form("esp-idf")
HERE = Path(__file__).parent


def build(folder: Path, to: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Path:
    monkeypatch.setenv("IDF_PATH", str(HERE / "esp-idf"))
    return cmake(folder / "examples" / "ask", to, *options)


def test_manifests_say_what_is_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    manifest = yaml.safe_load((out / "idf_component.yml").read_text())
    assert (manifest["version"], manifest["license"]) == ("1.2.3", "MIT")
    named = re.findall(r"^    (src/\S+\.c)$", (out / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert set(named) == {path.relative_to(out).as_posix() for path in (out / "src").rglob("*.c")}


@pytest.mark.exports
def test_every_object_that_goes_to_iram_is_a_kernel(home_for_esp: tuple[Library, RunResult], out: Path) -> None:
    write_export(home_for_esp[0], FORM, out)
    objects = re.findall(r"^        (\w+) \(noflash_text\)$", (out / "linker.lf").read_text(), re.MULTILINE)
    assert objects and all((out / "src" / f"{name}.c").is_file() for name in objects)


@pytest.mark.exports
def test_the_example_answers(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / library.package
    write_export(library, FORM, out)
    assert run([build(out, tmp_path / "built", monkeypatch) / "app"]) == "HassLightSet domain=light name=Desk Lamp\n"
    program = logits_program(library.models[0], TOKENS).replace("int main(void)", "int app_main(void)")
    (out / "examples" / "ask" / "main" / "main.c").write_text(program)
    assert run([build(out, tmp_path / "logits", monkeypatch) / "app"]).split() == crcs(library.models[0], TOKENS)


@pytest.mark.exports
def test_compote_packs_all_of_it(library: Library, out: Path, tmp_path: Path) -> None:
    (compote,) = require("compote")
    write_export(library, FORM, out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pack: list[str | Path] = [
        compote,
        "component",
        "pack",
        "--name",
        library.package,
        "--project-dir",
        out,
        "--dest-dir",
        tmp_path / "to",
    ]
    run(pack, {"HOME": str(tmp_path)})
    with tarfile.open(tmp_path / "to" / f"{library.package}_1.2.3.tgz") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert files <= names


@pytest.mark.exports
@pytest.mark.parametrize("build_type", ["Debug", "MinSizeRel"])
def test_the_shipped_model_on_riscv(
    build_type: str, home_for_esp: tuple[Library, RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, result = home_for_esp
    out = tmp_path / library.package
    write_export(library, FORM, out)
    options = [f"-DCMAKE_TOOLCHAIN_FILE={rv32(tmp_path / 'rv32.cmake')}", f"-DCMAKE_BUILD_TYPE={build_type}"]
    options.append(f"-DEXTRA_SOURCES={HERE / 'rv32_start.c'}")
    built = build(out, tmp_path / "built", monkeypatch, *options)
    (emulator,) = require("qemu-riscv32")
    assert run([emulator, built / "app"]) == f"{result.prompts[0].text_out}\n"
    prompt = result.prompts[0]
    program = logits_program(library.models[0], (*prompt.tokens_in, *prompt.tokens_out[:-1]))
    (out / "examples" / "ask" / "main" / "main.c").write_text(program.replace("int main(void)", "int app_main(void)"))
    built = build(out, tmp_path / "logits", monkeypatch, *options)
    assert run([emulator, built / "app"]).split() == list(prompt.logits_crc)


@pytest.mark.exports
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O2"])
def test_xtensa_compiles_all_without_a_warning(
    level: str, home_for_esp: tuple[Library, RunResult], out: Path, tmp_path: Path
) -> None:
    (compiler,) = require("xtensa-lx106-elf-gcc")
    library, _ = home_for_esp
    write_export(library, FORM, out)
    warnings = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
    for path in (out / "src").rglob("*.c"):
        includes = ("-ffreestanding", "-I", HERE / "freestanding", "-I", out / "src")
        run([compiler, "-std=gnu99", level, *warnings, *includes, "-c", path, "-o", tmp_path / "out.o"])
