"""Stages' folders: they appear whole or not at all, and are stale exactly when they must be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.errors import ThimbleError
from pipeline.files import fingerprint, write_json
from pipeline.workflow.fingerprint import Fingerprint
from pipeline.workflow.workspace import State, Workspace
from tests.support.kills import kill_and_look

F1, F2 = (Fingerprint({"recipe": name}, {"module": "1"}, {}, {}) for name in ("one", "two"))


def fill(workspace: Workspace, text: str) -> None:
    partial = workspace.begin("quantize", "", F1.digest, resumable=False)
    (partial / "model.tflite").write_text(text)
    workspace.finish("quantize", "", partial, F1, 1.0, "note")


def test_a_finished_stage_is_current_until_its_fingerprint_changes(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    assert workspace.staleness("quantize", "", F1) is State.NEW
    fill(workspace, "one")
    assert workspace.staleness("quantize", "", F1) is State.CURRENT
    assert workspace.staleness("quantize", "", F2) is State.CHANGED


def test_what_is_kept_may_be_older_than_its_modules(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    fill(workspace, "one")
    newer = dataclasses.replace(F1, modules={"module": "2"})
    assert workspace.staleness("quantize", "", newer) is State.CHANGED
    assert workspace.staleness("quantize", "", newer, keep=True) is State.OUTDATED
    assert workspace.staleness("quantize", "", F2, keep=True) is State.CHANGED
    (workspace.stage("quantize") / "model.tflite").write_text("two")
    assert workspace.staleness("quantize", "", newer, keep=True) is State.DAMAGED


@pytest.mark.parametrize("damage", ["edit", "delete", "add"])
def test_changed_output_is_noticed(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(tmp_path, "r")
    fill(workspace, "one")
    model = workspace.stage("quantize") / "model.tflite"
    if damage == "edit":
        model.write_text("two")
    elif damage == "delete":
        model.unlink()
    else:
        model.with_name("more").write_text("x")
    assert workspace.staleness("quantize", "", F1) is State.DAMAGED


def test_an_interrupted_stage_leaves_the_old_result_whole(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    fill(workspace, "one")
    partial = workspace.begin("quantize", "", "f2", resumable=False)
    (partial / "model.tflite").write_text("half")  # and the process dies here
    assert (workspace.stage("quantize") / "model.tflite").read_text() == "one"
    assert workspace.staleness("quantize", "", F1) is State.CURRENT
    restarted = workspace.begin("quantize", "", "f2", resumable=False)
    assert not (restarted / "model.tflite").exists()


def test_a_resumable_stage_finds_what_it_left_only_for_the_same_inputs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    (workspace.begin("train", "", "f1", resumable=True) / "checkpoint").write_text("step 100")
    assert (workspace.begin("train", "", "f1", resumable=True) / "checkpoint").exists()
    assert not (workspace.begin("train", "", "f2", resumable=True) / "checkpoint").exists()


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    with workspace.locked(), pytest.raises(ThimbleError, match="another run"), Workspace(tmp_path, "r").locked():
        pass


def test_a_damaged_stamp_means_new(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    fill(workspace, "one")
    (workspace.stage("quantize") / "stage.json").write_text('{"fingerprint": "f1"')
    assert workspace.staleness("quantize", "", F1) is State.NEW


def test_build_trees_do_not_count(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "r")
    fill(workspace, "one")
    (workspace.stage("quantize") / "_build").mkdir()
    (workspace.stage("quantize") / "_build" / "object.o").write_text("x")
    assert workspace.staleness("quantize", "", F1) is State.CURRENT


def test_fingerprints_see_values_not_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"ok": True})
    with pytest.raises(TypeError):
        write_json(path, {"ok": object()})
    assert path.read_text() == '{\n "ok": true\n}\n'


def test_a_folder_that_a_symbolic_link_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "recipe").symlink_to(outside)
    with pytest.raises(ThimbleError, match="leads out of"), Workspace(tmp_path / "build", "recipe").locked():
        pass
    (tmp_path / "build" / "other").mkdir()
    (tmp_path / "build" / "other" / "data").symlink_to(outside)
    with pytest.raises(ThimbleError, match="leads out of"):
        Workspace(tmp_path / "build", "other").begin("data", "", "0", resumable=False)
    with pytest.raises(ThimbleError, match="cannot name a file"), Workspace(tmp_path / "build", "../x").locked():
        pass
    assert list(outside.iterdir()) == [] and sorted(path.name for path in tmp_path.iterdir()) == ["build", "outside"]


@pytest.mark.parametrize("killed_at", ["rename", "renamed", "rmtree"])
def test_a_run_that_is_killed_between_two_renames_loses_nothing(
    killed_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Ends the work as SIGKILL does: nothing is put right on the way out."""

    workspace = Workspace(tmp_path, "recipe")

    def make(text: str, fingerprint: Fingerprint) -> None:
        partial = workspace.begin("train", "", fingerprint.digest, resumable=False)
        (partial / "weights").write_text(text, encoding="utf-8")
        workspace.finish("train", "", partial, fingerprint, 1.0, text)

    def kill(*_: object) -> None:
        raise Killed

    with workspace.locked():
        make("old", F1)
        rename = Path.rename
        renamed: list[Path] = []

        def second(path: Path, target: Path) -> Path:
            if renamed or killed_at == "rename":
                raise Killed
            renamed.append(path)
            return rename(path, target)

        with monkeypatch.context() as patch:
            if killed_at == "rmtree":
                patch.setattr("shutil.rmtree", kill)
            else:
                patch.setattr(Path, "rename", second)
            with pytest.raises(Killed):
                make("new", F2)
    with workspace.locked():
        stamp = workspace.stamp("train")
        expected = "old" if killed_at == "rename" else "new"
        assert stamp is not None and stamp.note == expected
        assert (workspace.stage("train") / "weights").read_text(encoding="utf-8") == expected
        assert not list(workspace.folder.glob(".*.old"))


def test_a_process_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """`python -m tests.support.kills` is the long form."""
    found = kill_and_look(tmp_path, 25)
    assert found.total() > 25, "most of the time there are results"
