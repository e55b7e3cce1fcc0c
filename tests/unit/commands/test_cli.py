"""The command line: what it prints and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.command import recipe_path
from pipeline.commands.main import COMMANDS, main
from pipeline.resources import ROOT
from pipeline.stages import SUMMARIES, registry
from pipeline.version import VERSION


def test_boards_as_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    assert "mps2_an386" in capsys.readouterr().out
    assert main(["boards", "--json"]) == 0
    boards = json.loads(capsys.readouterr().out)
    board = next(entry for entry in boards if entry["name"] == "mps2_an386")
    assert board["core"] == "cortex-m4" and board["clock_hz"] == 25_000_000 and "qemu" in board["emulators"]


@pytest.mark.parametrize(
    "stage", ["data", "train", "distill", "prune", "qat", "quantize", "convert", "firmware", "emulate", "report", "run"]
)
def test_every_stage_is_a_command(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([stage, "no/such/recipe.yaml"]) == 1
    printed = capsys.readouterr().err
    assert "error:" in printed and "no/such/recipe.yaml" in printed and "fix:" in printed and "home-en-small" in printed


def test_compile_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(tmp_path / "none.tflite"), "--out", str(tmp_path / "c")]) == 1
    assert "none.tflite" in capsys.readouterr().err
    (tmp_path / "junk.tflite").write_bytes(b"junk" * 100)
    assert main(["compile", str(tmp_path / "junk.tflite"), "--out", str(tmp_path / "c")]) == 1
    assert "not a .tflite" in capsys.readouterr().err
    assert main(["compile", str(tmp_path / "junk.tflite"), "--out", str(tmp_path / "c"), "--core", "cortex-m99"]) == 1
    assert "'cortex-m99' is not known" in capsys.readouterr().err
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.c").write_text("int mine;")
    assert main(["compile", str(tmp_path / "junk.tflite"), "--out", str(full)]) == 1
    assert "not empty" in capsys.readouterr().err and (full / "mine.c").read_text() == "int mine;"


def test_an_unknown_board_and_a_wrong_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = ["--build", str(tmp_path / "build")]
    assert main(["run", "models/home-en-small/recipe.yaml", "--board", "toaster", *build]) == 1
    assert "toaster" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text("name: x\nboard: y\n")
    assert main(["run", str(tmp_path / "bad.yaml"), *build]) == 1
    assert "`board`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(28, "No space left on device", "build/x"), 1, "No space left on device"),
        (OSError(30, "Read-only file system", "build/x"), 1, "Read-only"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_full_disk_and_ctrl_c_are_told_in_words(
    error: BaseException, status: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(registry, "run_recipe", fail)
    assert main(["run", "models/home-en-small/recipe.yaml"]) == status
    printed = capsys.readouterr().err
    assert words in printed and "Traceback" not in printed


def test_brackets_in_a_message_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "[red]x[/].yaml")]) == 1
    assert "[red]x[/].yaml" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"thimble {VERSION}\n"


def test_every_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == len(set(names))
    for name in names:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: thimble {name} ")


def test_stages_are_said_once() -> None:
    assert {stage.name: stage.summary for stage in registry.all_stages()} == SUMMARIES
    assert registry.stage_names() == [stage.name for stage in registry.all_stages()] == list(SUMMARIES)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("module", ["pipeline", "thimble"])
def test_a_module_that_is_run_calls_itself_so(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", module, "run", "x.yaml", "--board", "toaster"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1 and run.stderr.startswith("error: ")
    usage = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert usage.stdout.startswith(f"usage: python -m {module} ")
    wrong = subprocess.run(
        [sys.executable, "-m", module, "recommend", "--board", "toaster"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"`python -m {module} boards`" in wrong.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "thimble" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "completed"),
    [("thimble rec", ["recommend "]), ("thimble recommend --board mps2_an38", ["mps2_an385", "mps2_an386"])],
)
def test_commands_and_boards_are_completed(line: str, completed: list[str], tmp_path: Path) -> None:
    """As bash asks: the words come through file descriptor 8."""
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    code = "import sys; sys.argv[0] = 'thimble'; from pipeline.commands.main import main; main()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert answer.read_text().split("\n") == completed


def test_commands_that_need_no_tensorflow_do_not_import_it() -> None:
    code = (
        "import sys; from pipeline.commands.main import main; from pipeline.stages.registry import all_stages;"
        "all_stages(); main(['boards']); "
        "sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_recipe_is_named_by_its_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("", encoding="utf-8")
    assert recipe_path(str(tmp_path)) == tmp_path / "recipe.yaml" == recipe_path(str(tmp_path / "recipe.yaml"))
    assert recipe_path("shipped:home-en-small") == Path("shipped:home-en-small")


def _run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_the_letters_shows_the_rest(encoding: str, tmp_path: Path) -> None:
    done = _run(["run", str(tmp_path / "größe ▸ 日本.yaml")], PYTHONIOENCODING=encoding)
    assert done.returncode == 1
    assert b"no recipe at" in done.stderr and b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_the_command_without_a_complaint() -> None:
    command = [sys.executable, "-m", "pipeline", "boards", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
        assert process.wait() == 141
    assert complaint == b""


def test_out_that_is_a_file_is_named_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "model.tflite", tmp_path / "out"
    model.write_bytes(b"TFL3")
    out.write_text("mine", encoding="utf-8")
    assert main(["compile", str(model), "--out", str(out)]) == 1
    assert f"--out {out} is a file" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "mine"


def test_what_the_system_refuses_is_named_with_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise NotADirectoryError(20, "Not a directory", "build/x")

    monkeypatch.setattr(registry, "run_recipe", fail)
    assert main(["run", "models/home-en-small/recipe.yaml"]) == 1
    assert "cannot use build/x: Not a directory" in capsys.readouterr().err


def test_no_home_folder_is_needed() -> None:
    """Only Renode's release is kept there, and that in an installed wheel alone."""
    environment = {**os.environ, "HOME": "/proc/nowhere", "PYTHONPATH": str(ROOT)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pipeline", "boards"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "mps2_an386" in done.stdout and done.stderr == ""
