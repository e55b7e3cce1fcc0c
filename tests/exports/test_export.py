"""What holds of every form: complete, licensed, the same each time, and wrong input is one clear error."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.errors import ThimbleError
from pipeline.exports.export import write_export
from pipeline.exports.form import Form
from pipeline.exports.library import Library
from pipeline.exports.licenses import WITHOUT_COMMENTS
from pipeline.exports.registry import FORMS, load_form
from pipeline.resources import ROOT

RECIPE = str(ROOT / "models" / "home-en-small" / "recipe.yaml")
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@every_form
def test_every_file_names_its_licence_and_no_place_or_date(form: Form, library: Library, out: Path) -> None:
    write_export(library, form, out)
    for name, data in files(out).items():
        if name.endswith(".pack"):  # an archive of the others
            continue
        text = data.decode()
        assert not re.search(r"(?<![\w.:/~$}])/(home|root|tmp|work|usr|build)/", text), name
        assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\b\d\d:\d\d:\d\d\b", text), name
        if Path(name).suffix not in WITHOUT_COMMENTS or Path(name).name.startswith("Kconfig"):
            assert "SPDX-License-Identifier: MIT" in text.split("\n\n")[0], name
    assert (out / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@every_form
def test_two_exports_are_the_same(form: Form, library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, form, out)
    write_export(library, form, tmp_path / "second")
    assert files(out) == files(tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir() if path not in (out, tmp_path / "second")] == []


@every_form
def test_the_readme_is_short_and_has_figures_and_commands(form: Form, library: Library, out: Path) -> None:
    model = dataclasses.replace(library.models[0], attribution=("Made from sentences of somebody, CC BY 4.0.",))
    write_export(dataclasses.replace(library, models=(model,)), form, out)
    text = (out / "README.md").read_text()
    assert text.count("\n") <= 40
    assert re.search(r"^\| tiny-lights \| [\d,]+ B \| [\d,]+ B,", text, re.MULTILINE)
    assert "`turn on the desk lamp` → `HassLightSet domain=light name=Desk Lamp`" in text
    assert text.count("\n    ") >= 3
    assert "CC BY 4.0" in (out / "NOTICE.md").read_text()
    for name in re.findall(r"\b(?:examples|samples|src)/[\w./]*\w", text):
        assert (out / name).exists(), name


@every_form
def test_the_version_stands_in_a_manifest(form: Form, library: Library, out: Path) -> None:
    write_export(dataclasses.replace(library, version="7.89.10"), form, out)
    places = [name for name, data in files(out).items() if b"7.89.10" in data]
    assert set(places) - {"README.md", "NOTICE.md"} or form.name == "zephyr"  # whose modules have no version


def test_only_what_the_models_call_goes_along(plain_library: Library, out: Path) -> None:
    write_export(plain_library, FORMS["cmake"], out)
    names = {path.name for path in (out / "src").glob("*.c")}
    assert "tiny_text.c" in names and "thimble_session.c" in names
    assert not names & {"thimble_answer.c", "thimble_matcher.c", "thimble_fully_connected_pairs_s8.c"}


def test_names_that_are_one_in_c_are_refused(library: Library) -> None:
    (model,) = library.models
    with pytest.raises(ThimbleError, match=r"tiny-lights and tiny\.lights are both called tiny_lights"):
        dataclasses.replace(library, models=(model, dataclasses.replace(model, name="tiny.lights")))


@pytest.mark.parametrize("version", ["1.2", "1.2.3-rc1", "v1.2.3", "01.2.3", ""])
def test_what_is_no_version_is_refused(version: str, library: Library) -> None:
    with pytest.raises(ThimbleError, match="no version"):
        dataclasses.replace(library, version=version)


def test_a_folder_that_is_not_empty_stays(library: Library, out: Path) -> None:
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ThimbleError, match="not empty"):
        write_export(library, FORMS["cmake"], out)
    assert files(out) == {"mine": b"kept"}


def test_an_empty_folder_is_taken(library: Library, out: Path) -> None:
    out.mkdir()
    write_export(library, load_form("cmake"), out)
    assert (out / "CMakeLists.txt").is_file()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--form", "makefile"), "--form makefile is not known"),
        (("--form", "cmake", "--core", "z80"), "the core 'z80' is not known"),
        (("--form", "cmake", "--package-version", "one"), "'one' is no version"),
    ],
)
def test_wrong_input_is_one_error(
    arguments: tuple[str, ...], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, build = tmp_path / "out", tmp_path / "build"
    assert main(["export", RECIPE, "--out", str(out), "--build", str(build), *arguments]) == 1
    assert what in capsys.readouterr().err
    assert not out.exists() and not build.exists()


def test_a_file_in_place_of_the_folder_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("mine")
    command = ["export", RECIPE, "--form", "cmake", "--out", str(tmp_path / "out"), "--build", str(tmp_path / "build")]
    assert main(command) == 1
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_the_page_has_a_section_for_each_form() -> None:
    text = (ROOT / "docs" / "exports.md").read_text()
    for name in FORMS:
        assert f"\n## {name}\n" in text and f"--form {name}" in text and f"(#{name})" in text, name
