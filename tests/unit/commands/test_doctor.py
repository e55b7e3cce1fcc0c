"""`thimble doctor`, and what commands say where a package is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline import extras, tools
from pipeline.commands.main import main
from pipeline.resources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIP = "pip install -e "


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which packages are there, in versions that do, but for those that are named."""
    wanted = {
        requirement.name: next((part.version for part in requirement.specifier), "1")
        for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for requirement in map(Requirement, texts)
    }

    def say(*missing: str, **others: str) -> None:
        def version(name: str) -> str:
            if name in missing:
                raise metadata.PackageNotFoundError(name)
            return others.get(name, wanted[name])

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setattr(tools, "missing", list)

    return say


def test_where_everything_is_it_says_so(installed: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    installed()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "everything that is needed is here" in printed and "tensorflow" in printed and "arm-none-eabi-gcc" in printed


@pytest.mark.parametrize(
    ("missing", "asked", "status", "command"),
    [
        (["tensorflow", "tf-keras"], [], 1, "[train]"),
        (["tensorflow", "tf-keras"], ["compile", "prove"], 0, ""),
        (["hassil"], [], 1, "[tasks]"),
        (["tflite-micro", "ai-edge-litert", "tensorflow"], [], 1, "[compile,prove,train]"),
        (["optuna", "ray", "bakenn"], [], 0, ""),
        (["optuna"], ["sweep"], 1, "[sweep]"),
        (["rich"], [], 1, "'"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_brings_it(
    missing: list[str],
    asked: list[str],
    status: int,
    command: str,
    installed: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed(*missing)
    assert main(["doctor", *asked]) == status
    printed = capsys.readouterr().out
    assert (f"{PIP}'{ROOT}{command}" in printed) == bool(command)
    assert ("✗" in printed) == (status == 1)


def test_a_version_that_does_not_do_is_missing_too(
    installed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    installed(tensorflow="2.0.0")
    assert main(["doctor", "--json"]) == 1
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["tensorflow"]["found"] == "2.0.0" and not findings["tensorflow"]["ok"]
    assert findings["tensorflow"]["wanted"] == "==2.21.0"


def test_missing_tools_are_named(
    installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed()
    lost = tools.TOOLS["arm-none-eabi-gcc"]
    find = tools.find
    monkeypatch.setattr(tools, "missing", lambda: [lost])
    monkeypatch.setattr(tools, "find", lambda program: None if program == lost.program else find(program))
    assert main(["doctor"]) == 1
    assert "thimble tools --install" in capsys.readouterr().out
    assert main(["doctor", "prove"]) == 0


def test_an_unknown_extra_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "trains"]) == 1
    assert "'trains'" in capsys.readouterr().err


def test_a_folder_that_hides_the_package_is_named(
    installed: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed()
    (tmp_path / "pipeline").mkdir()
    monkeypatch.chdir(tmp_path)
    main(["doctor"])
    assert "hides" not in capsys.readouterr().out, "a folder that is no package hides nothing"
    (tmp_path / "pipeline" / "__init__.py").touch()
    main(["doctor"])
    assert f"{tmp_path / 'pipeline' / '__init__.py'} hides" in capsys.readouterr().out
    (tmp_path / "thimble").mkdir()
    (tmp_path / "thimble" / "__init__.py").touch()
    main(["doctor"])
    assert "hides" not in capsys.readouterr().out, "a clone has both packages, of one version"


def test_every_extra_and_module_is_one_of_the_project() -> None:
    extra_of = {
        Requirement(text).name: extra for extra in extras.EXTRAS for text in PROJECT["optional-dependencies"][extra]
    }
    assert set(extras.MODULES.values()) <= set(extras.EXTRAS)
    names = {"robot": "robotframework"}
    for module, extra in extras.MODULES.items():
        distribution = names.get(module, module.replace("_", "-"))
        assert extra_of[distribution] == extra, module
    every = Requirement(PROJECT["optional-dependencies"]["all"][0])
    assert every.name == extras.DISTRIBUTION == PROJECT["name"]
    assert every.extras | {"tasks", "ray"} == set(extras.EXTRAS)


def without(module: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process where a module cannot be imported."""
    code = (
        "import sys; sys.modules[sys.argv[1]] = None; from pipeline.commands.main import main; "
        "sys.exit(main(sys.argv[2:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, module, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("ai_edge_litert", ["compile", "pyproject.toml", "--out"], "compile"),
        ("hassil", ["data", "models/home-en-nano/recipe.yaml", "--build"], "train"),
    ],
)
def test_a_command_says_which_extra_it_needs(module: str, command: list[str], extra: str, tmp_path: Path) -> None:
    run = without(module, [*command, str(tmp_path / "new")])
    assert run.returncode == 1, run.stderr
    assert run.stderr.startswith(f"error: this needs the Python package that brings `{module}`")
    assert f"{PIP}'{ROOT}[{extra}]'" in run.stderr and "Traceback" not in run.stderr


def test_commands_of_the_core_need_no_extra() -> None:
    for module in extras.MODULES:
        for command in (["--help"], ["boards"]):
            run = without(module, command)
            assert run.returncode == 0, (module, command, run.stderr)


def test_of_an_installed_wheel_the_command_names_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "IN_CLONE", False)
    missing = extras.missing_package(ModuleNotFoundError("no", name="tensorflow.lite"))
    assert missing is not None and missing.remedy == "pip install 'thimble-mcu[train]'"
    assert extras.missing_package(ModuleNotFoundError("no", name="pipeline.none")) is None
    assert extras.install_command() == "pip install 'thimble-mcu'"
