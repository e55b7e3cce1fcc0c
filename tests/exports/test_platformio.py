"""The form `platformio`: `pio run`, offline, with a local platform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import picolibc, python_with, qemu, require, run

FORM = load_form("platformio")
HERE = Path(__file__).parent
INI = """\
[platformio]
core_dir = {core}

[env:an386]
platform = symlink://{platform}
framework = arduino
board = an386
lib_deps = symlink://{library}
build_type = {build_type}
"""


WANTED = "from platformio.dependencies import get_core_dependencies as all; print(all()['tool-scons'].lstrip('~^'))"

PACK = """\
from platformio.__main__ import main
from platformio.package.manifest.schema import ManifestSchema
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "MIT"}]})  # else from the network
raise SystemExit(main())
"""


def _install_scons(folder: Path) -> None:
    """The package that PlatformIO wants from its registry, calling the SCons that is installed."""
    version = run([python_with("platformio"), "-c", WANTED]).strip()
    package = {"name": "tool-scons", "version": version}
    spec = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
    folder.mkdir(parents=True)
    shutil.copy(HERE / "platformio" / "scons.py", folder)
    (folder / "package.json").write_text(json.dumps(package))
    (folder / ".piopm").write_text(json.dumps({"type": "tool", **package, "spec": spec}))


def build(library: Path, build_type: str, folder: Path) -> Path:
    """The image of the example, made by a project of one's own."""
    (pio,) = require("pio")
    picolibc("cortex-m4", folder / "unused.cmake")
    core = folder / "core"
    _install_scons(core / "packages" / "tool-scons")
    project = folder / "project"
    shutil.copytree(library / "examples" / "ask", project)
    platform = HERE / "platformio" / "platform"
    ini = INI.format(core=core, platform=platform, library=library, build_type=build_type)
    (project / "platformio.ini").write_text(ini)
    sources = HERE / "arduino" / "hardware" / "thimble" / "mps2" / "cores" / "mps2"
    settings = {"PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no", "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "9999"}
    run([pio, "run", "-d", project], {"THIMBLE_ARDUINO_CORE": str(sources), **settings})
    return project / ".pio" / "build" / "an386" / "firmware.elf"


def test_the_manifest_says_what_is_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    manifest = json.loads((out / "library.json").read_text())
    assert (manifest["name"], manifest["version"], manifest["license"]) == ("thimble-tiny-lights", "1.2.3", "MIT")
    assert (out / manifest["build"]["srcDir"] / manifest["headers"][0]).is_file()
    for example in manifest["examples"]:
        assert all((out / example["base"] / name).is_file() for name in example["files"])
    assert "flags" not in manifest["build"]


@pytest.mark.exports
@pytest.mark.parametrize("build_type", ["release", "debug"])
def test_pio_run_makes_an_image_that_answers(build_type: str, library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    assert qemu("cortex-m4", build(out, build_type, tmp_path)) == "HassLightSet domain=light name=Desk Lamp\n" * 2


@pytest.mark.exports
def test_pio_packs_it(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    pack: list[str | Path] = [
        python_with("platformio"),
        "-c",
        PACK,
        "pkg",
        "pack",
        out,
        "-o",
        tmp_path / "packed.tar.gz",
    ]
    run(pack, {"PLATFORMIO_CORE_DIR": str(tmp_path / "core")})
    shutil.unpack_archive(tmp_path / "packed.tar.gz", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "src" / "thimble.c").is_file()


@pytest.mark.exports
def test_the_shipped_model_answers(home: tuple[Library, RunResult], out: Path, tmp_path: Path) -> None:
    library, result = home
    write_export(library, FORM, out)
    assert qemu("cortex-m4", build(out, "release", tmp_path)).splitlines()[0] == result.prompts[0].text_out
