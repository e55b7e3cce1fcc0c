"""The form `arduino`: built as the IDE builds it, with a small core for an emulated board."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import TOKENS, crcs, logits_program, picolibc, qemu, require, run

FORM = load_form("arduino")
HARDWARE = Path(__file__).parent / "arduino" / "hardware"
DEBIAN = Path("/usr/share/arduino-builder")
BOARDS = {"cortex-m4": "an386", "cortex-m3": "an385"}
REQUIRED = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}


def build(core: str, libraries: Path, sketch: Path, to: Path) -> Path:
    """The image of a sketch for a core."""
    builder, _ = require("arduino-builder", "arduino-ctags")
    picolibc(core, to.parent / "unused.cmake")
    to.mkdir()
    command: list[str | Path] = [
        builder,
        "-hardware",
        DEBIAN,
        "-hardware",
        HARDWARE,
        "-tools",
        "/usr/bin",
        "-libraries",
        libraries,
        "-build-path",
        to,
    ]
    command += ["-fqbn", f"thimble:mps2:{BOARDS[core]}", "-ide-version", "10819", "-warnings", "all", sketch]
    run(command)
    return to / f"{sketch.name}.elf"


def test_the_properties_are_all_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    lines = (out / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert properties.keys() >= REQUIRED and all(properties.values())
    assert (out / "src" / properties["includes"]).is_file()
    assert (out / "examples" / "Ask" / "Ask.ino").is_file()


@pytest.mark.exports
@pytest.mark.parametrize("core", BOARDS)
def test_the_example_asks_and_is_asked(core: str, library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "libraries" / library.package
    write_export(library, FORM, folder)
    image = build(core, tmp_path / "libraries", folder / "examples" / "Ask" / "Ask.ino", tmp_path / "built")
    assert qemu(core, image) == "HassLightSet domain=light name=Desk Lamp\n" * 2


@pytest.mark.exports
def test_a_sketch_has_the_models_logits(library: Library, tmp_path: Path) -> None:
    write_export(library, FORM, tmp_path / "libraries" / library.package)
    sketch = tmp_path / "Logits" / "Logits.ino"
    sketch.parent.mkdir()
    program = logits_program(library.models[0], TOKENS).replace("int main(void)", "static int logits()")
    sketch.write_text(f"{program}\nvoid setup() {{ logits(); }}\nvoid loop() {{}}\n")
    image = build("cortex-m4", tmp_path / "libraries", sketch, tmp_path / "built")
    assert qemu("cortex-m4", image).split() == crcs(library.models[0], TOKENS)


@pytest.mark.exports
def test_the_shipped_model_answers(home: tuple[Library, RunResult], tmp_path: Path) -> None:
    library, result = home
    folder = tmp_path / "libraries" / library.package
    write_export(library, FORM, folder)
    shutil.copytree(folder / "examples" / "Ask", tmp_path / "Ask")  # as a sketch of one's own
    image = build("cortex-m4", tmp_path / "libraries", tmp_path / "Ask" / "Ask.ino", tmp_path / "built")
    assert qemu("cortex-m4", image).splitlines()[0] == result.prompts[0].text_out
