"""The form `cmsis-pack`: what the schema misses, other readers of packs, and a build of what the pack lists."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import picolibc_flags, python_with, qemu, require, run

FORM = load_form("cmsis-pack")
READ = """\
import json, sys
from cmsis_pack_manager import Cache
cache = Cache(True, True, json_path=sys.argv[2], data_path=sys.argv[2])
cache.add_pack_from_path(sys.argv[1])
print(json.dumps({name: device["from_pack"] for name, device in cache.index.items()}))
"""
DEVICES = """\
  <devices>
    <family Dfamily="Boards" Dvendor="ARM:82">
      <processor Dcore="Cortex-M4" DcoreVersion="r0p1" Dfpu="SP_FPU" Dmpu="NO_MPU" Dendian="Little-endian"/>
      <device Dname="AN386">
        <memory id="IROM1" start="0x00000000" size="0x400000" startup="1" default="1"/>
      </device>
    </family>
  </devices>
"""
"""What cmsis-pack-manager looks for in a pack, and ours has not."""


def description(folder: Path, library: Library) -> ElementTree.Element:
    return ElementTree.parse(folder / f"Thimble.{library.package}.pdsc").getroot()


def text_of(root: ElementTree.Element, path: str) -> str:
    element = root.find(path)
    assert element is not None and element.text
    return element.text


def test_the_description_says_what_is_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    root = description(out, library)
    vendor, name = text_of(root, "vendor"), text_of(root, "name")
    (release,), (component,) = root.iter("release"), root.iter("component")
    version = release.get("version")
    assert (out / f"{vendor}.{name}.pdsc").is_file() and (out / f"{vendor}.{name}.{version}.pack").is_file()
    assert component.get("Cversion") == version == "1.2.3"
    assert component.get("Cclass") == "Machine Learning"
    named = [str(file.get("name")) for file in root.iter("file")]
    assert len(named) == len(set(named)) and all((out / path).exists() for path in named)
    assert {path for path in named if path.endswith((".c", ".h"))} == {
        path.relative_to(out).as_posix() for path in out.rglob("*.[ch]")
    }
    (index,) = ElementTree.parse(out / "Thimble.pidx").getroot().iter("pdsc")
    assert (index.get("vendor"), index.get("name"), index.get("version")) == (vendor, name, version)


def test_the_pack_holds_all_of_it(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    (pack,) = out.glob("*.pack")
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    del files[pack.name]
    with zipfile.ZipFile(pack) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.exports
def test_other_readers_take_it(library: Library, out: Path, tmp_path: Path) -> None:
    (lint,) = require("xmllint")
    write_export(library, FORM, out)
    run([lint, "--noout", *out.glob("*.pdsc"), *out.glob("*.pidx")])
    (pdsc,) = out.glob("*.pdsc")
    (tmp_path / "cache").mkdir()
    (tmp_path / pdsc.name).write_text(pdsc.read_text().replace("  <components>", f"{DEVICES}  <components>"))
    read: list[str | Path] = [
        python_with("cmsis_pack_manager"),
        "-c",
        READ,
        tmp_path / pdsc.name,
        tmp_path / "cache",
    ]
    (pack,) = json.loads(run(read)).values()
    assert (pack["vendor"], pack["pack"], pack["version"]) == ("Thimble", library.package, "1.2.3")


@pytest.mark.exports
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O2"])
def test_what_the_pack_lists_builds_and_answers(level: str, home: tuple[Library, RunResult], out: Path) -> None:
    library, result = home
    write_export(library, FORM, out)
    root = description(out, library)
    files = [(str(file.get("category")), str(file.get("name"))) for file in root.iter("file")]
    sources = [out / name for category, name in files if category == "sourceC"]
    includes = [f"-I{out / name}" for category, name in files if category == "include"]
    command = ["arm-none-eabi-gcc", "-std=c99", level, "-Wall", *picolibc_flags("cortex-m4"), *includes]
    run([*command, *sources, "-o", out / "ask.elf"])
    assert qemu("cortex-m4", out / "ask.elf") == f"{result.prompts[0].text_out}\n"
