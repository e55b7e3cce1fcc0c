"""The form `zephyr`: its manifests by Zephyr's own readers, its CMake against a stand-in for Zephyr's functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from pipeline.verification.result import RunResult
from tests.exports.programs import TOKENS, cmake, crcs, logits_program, python_with, run

FORM = load_form("zephyr")
STAND_IN = Path(__file__).parent / "zephyr"
KCONFIG = """\
import json, sys
import kconfiglib
config = kconfiglib.Kconfig(sys.argv[1], warn_to_stderr=False)
values = []
for settings in ({}, {sys.argv[2]: "y"}, {sys.argv[2]: "y", "SHELL": "y", sys.argv[2] + "_SHELL": "y"}):
    for name, value in settings.items():
        config.syms[name].set_value(value)
    values.append([config.syms[sys.argv[2] + end].str_value for end in ("", "_SHELL")])
print(json.dumps([values, config.warnings]))
"""


def build(folder: Path, to: Path, *options: str) -> Path:
    return cmake(folder, to, f"-DZephyr_DIR={STAND_IN}", *options)


def test_manifests_say_what_is_there(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    module = yaml.safe_load((out / "zephyr" / "module.yml").read_text())
    assert module["name"] == "thimble-tiny-lights"
    assert (out / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (out / module["build"]["kconfig"]).is_file()
    sample = yaml.safe_load((out / module["samples"][0] / "ask" / "sample.yaml").read_text())
    (test,) = sample["tests"].values()
    assert test["harness_config"]["regex"] == ["HassLightSet\\ domain=light\\ name=Desk\\ Lamp"]
    assert test["min_ram"] > 0 and test["min_flash"] > 0


@pytest.mark.exports
def test_the_sample_and_the_shell_command_answer(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    built = build(out / "samples" / "ask", tmp_path / "built")
    assert run([built / "app"]) == "HassLightSet domain=light name=Desk Lamp\n"
    shell = f"-DEXTRA_SETTINGS=CONFIG_{library.identifier.upper()}_SHELL=y"
    built = build(out / "samples" / "ask", tmp_path / "shell", shell)
    assert run([built / "app"]) == "HassLightSet domain=light name=Desk Lamp\n" * 2


@pytest.mark.exports
def test_an_application_has_the_models_logits(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    (out / "samples" / "ask" / "src" / "main.c").write_text(logits_program(library.models[0], TOKENS))
    built = build(out / "samples" / "ask", tmp_path / "built")
    assert run([built / "app"]).split() == crcs(library.models[0], TOKENS)


@pytest.mark.exports
def test_kconfig_is_off_until_it_is_asked_for(library: Library, out: Path, tmp_path: Path) -> None:
    write_export(library, FORM, out)
    (tmp_path / "Kconfig").write_text(f'config SHELL\n\tbool "shell"\n\nsource "{out}/zephyr/Kconfig"\n')
    script: list[str | Path] = [
        python_with("kconfiglib"),
        "-c",
        KCONFIG,
        tmp_path / "Kconfig",
        library.identifier.upper(),
    ]
    values, warnings = json.loads(run(script))
    assert values == [["n", "n"], ["y", "n"], ["y", "y"]]
    assert warnings == []


@pytest.mark.exports
def test_the_shipped_model_answers(home: tuple[Library, RunResult], out: Path, tmp_path: Path) -> None:
    library, result = home
    write_export(library, FORM, out)
    built = build(out / "samples" / "ask", tmp_path / "built", "-DCMAKE_BUILD_TYPE=Debug")
    assert run([built / "app"]) == f"{result.prompts[0].text_out}\n"
