"""The package as its users have it: `import thimble`, folders of theirs with our names, a wheel without the clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import thimble
from pipeline import api
from pipeline.program import program
from pipeline.resources import ROOT, cache_folder
from pipeline.version import VERSION


def python(code: str, folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, which it searches first, as a notebook there does."""
    search = os.pathsep.join(map(str, path or (ROOT,)))
    environment = {**os.environ, "PYTHONPATH": search}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_it_gives_the_names_of_the_api() -> None:
    assert thimble.__version__ == VERSION
    assert set(thimble.__all__) - {"__version__"} == set(api.__all__)
    for name in thimble.__all__:
        assert getattr(thimble, name) is not None
        assert name in dir(thimble)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = thimble.nothing


def test_to_import_it_is_to_import_little(tmp_path: Path) -> None:
    code = (
        "import sys, thimble; thimble.load_recipe, thimble.Device; thimble.compile_model; "
        "heavy = {'tensorflow', 'tf_keras', 'ai_edge_litert', 'matplotlib', 'hassil'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    run = python(code, tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_api_loads_a_recipe_and_says_what_is_wrong(tmp_path: Path) -> None:
    recipe = thimble.load_recipe(ROOT / "models" / "home-en-nano" / "recipe.yaml")
    assert recipe.name == "home-en-nano"
    with pytest.raises(thimble.ThimbleError, match="no recipe at"):
        thimble.load_recipe(str(tmp_path / "none.yaml"))
    with pytest.raises(thimble.ThimbleError, match="aim"):
        thimble.compile_model(b"", tmp_path / "c", aim="speedy")
    with pytest.raises(thimble.ThimbleError, match=r"not a \.tflite"):
        thimble.compile_model(b"junk" * 100, tmp_path / "c")
    with pytest.raises(thimble.ThimbleError, match="cannot read"):
        thimble.compile_model(tmp_path / "none.tflite", tmp_path / "c")
    (tmp_path / "c" / "mine.c").parent.mkdir(exist_ok=True)
    (tmp_path / "c" / "mine.c").touch()
    with pytest.raises(thimble.ThimbleError, match="not empty"):
        thimble.compile_model(b"", tmp_path / "c")


def test_a_users_folder_models_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise RuntimeError('the user\\'s')")
    command = [sys.executable, "-m", "pipeline", "boards"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "mps2_an386" in run.stdout, run.stderr
    assert python("import thimble; thimble.load_recipe", tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["pipeline/__init__.py", "pipeline.py"])
def test_beside_a_users_pipeline_the_import_names_it(name: str, tmp_path: Path) -> None:
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.touch()
    shown = own.parent if own.name == "__init__.py" else own
    for code in ("import thimble", "import pipeline, thimble"):
        run = python(code, tmp_path)
        assert run.returncode == 1
        last = run.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: ") and str(shown) in last and "rename" in last
        assert "During handling" not in run.stderr and run.stderr.count("ImportError: ") == 1


def test_a_folder_pipeline_without_code_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    run = python("import thimble; print(thimble.load_recipe)", tmp_path)
    assert run.returncode == 0, run.stderr


def test_beside_a_users_pipeline_the_command_works(tmp_path: Path) -> None:
    """A script's own folder is searched first, not the one that it is started in."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    script = tmp_path / "bin" / "thimble"
    script.parent.mkdir()
    script.write_text("import sys\nfrom pipeline.commands.main import main\nsys.exit(main())\n")
    run = subprocess.run(
        [sys.executable, str(script), "boards"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and "mps2_an386" in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/home/u/.local/bin/thimble", "thimble"),
        ("/clone/pipeline/__main__.py", "python -m pipeline"),
        ("/site-packages/thimble/__main__.py", "python -m thimble"),
        ("/site-packages/pytest/__main__.py", "thimble"),
        ("", "thimble"),
    ],
)
def test_it_calls_itself_as_it_was_started(started: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert program() == name


def test_in_a_clone_what_is_fetched_goes_to_build() -> None:
    assert cache_folder() == ROOT / "build"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the clone, unpacked into a folder as pip does; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("thimble_mcu-*.whl")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "site"), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "site"


def installed(wheel: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed `thimble` in a folder, without a clone on the path."""
    script = wheel / "bin" / "thimble"
    libraries = [str(wheel), sysconfig.get_paths()["purelib"]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(libraries), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, str(script), *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_wheel_holds_all_that_a_run_reads_and_nothing_else(wheel: Path) -> None:
    (file,) = wheel.parent.glob("*.whl")
    names = set(zipfile.ZipFile(file).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "pipeline", "thimble", "firmware_templates", "models", "renode"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    data = ("firmware_templates", "models", "renode")
    expected = {f"pipeline/_data/{name}" if name.startswith(data) else name for name in tracked}
    assert expected, "not a clone"
    assert expected | {"pipeline/_data/LICENSE"} <= names  # which goes into every export
    assert {name.partition("/")[0] for name in names} == {"pipeline", "thimble", f"thimble_mcu-{VERSION}.dist-info"}
    assert file.stat().st_size < 10_000_000


@pytest.mark.slow
def test_the_installed_command_works_outside_of_the_clone(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "pipeline").mkdir()
    for folder in ("models", "pipeline"):
        (tmp_path / folder / "__init__.py").touch()
    before = {path for path in wheel.rglob("*") if "__pycache__" not in path.parts}
    boards = installed(wheel, tmp_path, "boards", "--json")
    assert boards.returncode == 0, boards.stderr
    assert {"mps2_an386", "microbit"} <= {board["name"] for board in json.loads(boards.stdout)}
    assert installed(wheel, tmp_path, "--version").stdout == f"thimble {VERSION}\n"
    assert installed(wheel, tmp_path, "--help").stdout.startswith("usage: thimble ")
    best = installed(wheel, tmp_path, "recommend", "--board", "nrf52840dk", "--flash", "256K", "--ram", "64K")
    assert best.returncode == 0 and "accuracy" in best.stdout, best.stderr
    wrong = installed(wheel, tmp_path, "run", "none.yaml")
    assert wrong.returncode == 1 and "none.yaml" in wrong.stderr and "Traceback" not in wrong.stderr
    files = installed(wheel, tmp_path, "renode", "files")
    assert files.returncode == 1 and "clone" in files.stderr
    assert {path for path in wheel.rglob("*") if "__pycache__" not in path.parts} == before


@pytest.mark.slow
def test_an_installed_wheel_keeps_what_it_fetches_in_the_users_cache(wheel: Path, tmp_path: Path) -> None:
    code = (
        "from pipeline.emulators.renode.release import FOLDER; from pipeline.resources import ROOT; print(FOLDER, ROOT)"
    )
    libraries = [wheel, Path(sysconfig.get_paths()["purelib"])]
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, libraries)), "XDG_CACHE_HOME": str(tmp_path / "c")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(tmp_path / "c" / "thimble-mcu" / "renode"), str(wheel / "pipeline" / "_data")]
