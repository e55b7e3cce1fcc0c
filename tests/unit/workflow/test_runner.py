"""The runner: stages run exactly when they must, and what was finished stays."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pipeline.errors import ThimbleError
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.stages import emulate, firmware, registry
from pipeline.stages.registry import run_recipe
from pipeline.workflow.artifacts import Artifact
from pipeline.workflow.runner import PartialFailure, RunOptions
from pipeline.workflow.stage import Stage, StageContext

DATA = {
    "name": "r",
    "task": {"name": "home_assistant"},
    "tokenizer": {"vocab_size": 400},
    "model": {"d_model": 32, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 48, "context": 64},
    "train": {"steps": 10},
    "boards": ["mps2_an386"],
}


OUT: Artifact[str] = Artifact("out", Path.read_text, Path.write_text)


class Chain:
    """Three stages that write what they read; `ran` lists those that ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail: Callable[[StageContext], None] | None = None
        self.stages: tuple[Stage, ...] = (
            Stage("first", "", self._work("first"), sections=("task",)),
            Stage("second", "", self._work("second"), (OUT.of("first"),), sections=("train",), resumable=True),
            Stage("third", "", self._work("third"), (OUT.of("second"),), sections=("prompts",), per_board=True),
        )

    def _work(self, name: str) -> Callable[[StageContext], str]:
        def run(context: StageContext) -> str:
            self.ran.append(name)
            text = "" if name == "first" else context.load(OUT.of({"second": "first", "third": "second"}[name]))
            context.save(OUT, f"{text}{name} {context.recipe.part(*self._sections(name))}\n")
            if name == "second" and self.fail is not None:
                self.fail(context)
            return f"{name} done"

        return run

    def note(self, name: str) -> Callable[[StageContext], str]:
        """Work that writes nothing but its name."""

        def run(context: StageContext) -> str:
            self.ran.append(name)
            (context.out / "out").write_text(name)
            return f"{name} done"

        return run

    def _sections(self, name: str) -> tuple[str, ...]:
        return next(stage.sections for stage in self.stages if stage.name == name)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    chain = Chain()
    monkeypatch.setattr(registry, "all_stages", lambda: chain.stages)
    return chain


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return make_recipe(tmp_path)


def make_recipe(folder: Path, **sections: object) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**DATA, **sections}))
    return load_recipe(path)


def run(recipe: Recipe, folder: Path, **options: object) -> str:
    text = io.StringIO()
    settings = RunOptions(**{"build": folder / "build", "until": "third", **options})  # type: ignore[arg-type]
    run_recipe(recipe, settings, Console(file=text, width=200))
    return text.getvalue()


def test_a_second_run_does_nothing_and_says_so(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path)
    assert chain.ran == ["first", "second", "third"]
    printed = run(recipe, tmp_path)
    assert chain.ran == ["first", "second", "third"]
    assert "nothing changed" in printed and printed.count("unchanged") == 3


def test_a_changed_section_runs_what_reads_it_and_what_follows(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path)
    chain.ran.clear()
    run(make_recipe(tmp_path, train={"steps": 11}), tmp_path)
    assert chain.ran == ["second", "third"]
    chain.ran.clear()
    run(make_recipe(tmp_path, train={"steps": 11}, prompts=["hello"]), tmp_path)
    assert chain.ran == ["third"]


def test_from_and_until(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path, until="second")
    assert chain.ran == ["first", "second"]
    chain.ran.clear()
    run(recipe, tmp_path, restart="second")
    assert chain.ran == ["second", "third"]
    with pytest.raises(ThimbleError, match="fourth"):
        run(recipe, tmp_path, until="fourth")


def test_changed_output_is_made_again(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    run(recipe, tmp_path)
    chain.ran.clear()
    (tmp_path / "build" / "r" / "second" / "out").write_text("tampered")
    printed = run(recipe, tmp_path)
    assert chain.ran == ["second"] and "made again" in printed, "the same output again leaves what follows current"


@pytest.mark.parametrize(
    "error", [ThimbleError("broken", "mend it"), KeyboardInterrupt(), OSError(28, "no space left")]
)
def test_a_stage_that_fails_leaves_what_was_there(
    chain: Chain, recipe: Recipe, tmp_path: Path, error: BaseException
) -> None:
    run(recipe, tmp_path)
    before = (tmp_path / "build" / "r" / "second" / "out").read_text()

    def fail(context: StageContext) -> None:
        (context.out / "checkpoint").write_text("step 5")
        raise error

    chain.fail = fail
    changed = make_recipe(tmp_path, train={"steps": 12})
    with pytest.raises(type(error)):
        run(changed, tmp_path)
    assert (tmp_path / "build" / "r" / "second" / "out").read_text() == before

    checkpoints: list[bool] = []
    chain.fail = lambda context: checkpoints.append((context.out / "checkpoint").exists())
    run(changed, tmp_path)
    assert checkpoints == [True], "a resumable stage goes on from what the stopped run left"
    assert "12" in (tmp_path / "build" / "r" / "third" / "mps2_an386-aot" / "out").read_text()


def test_a_stage_may_ask_for_another_run(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    chain.stages = (
        dataclasses.replace(chain.stages[0], should_rerun=lambda context: context.retrain),
        *chain.stages[1:],
    )
    run(recipe, tmp_path)
    chain.ran.clear()
    run(recipe, tmp_path)
    assert chain.ran == []
    run(recipe, tmp_path, retrain=True)
    assert chain.ran == ["first"]


def test_a_cache_beyond_the_boards_ram_is_refused_first(chain: Chain, tmp_path: Path) -> None:
    big = make_recipe(tmp_path, model={**DATA["model"], "context": 200_000})  # type: ignore[dict-item]
    with pytest.raises(ThimbleError, match=r"context.*6,400,000 bytes.*mps2_an386.*4,194,304") as caught:
        run(big, tmp_path)
    assert "context" in caught.value.remedy and chain.ran == []


def test_an_unknown_board_is_refused_first(chain: Chain, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="no_such_board"):
        run(recipe.with_boards(["no_such_board"]), tmp_path)
    assert chain.ran == []


def test_of_several_boards_those_that_fail_are_told_and_the_others_go_on(chain: Chain, tmp_path: Path) -> None:
    recipe = make_recipe(
        tmp_path,
        boards=["microbit", "mps2_an385", "mps2_an386"],
        model={**DATA["model"], "context": 600},  # type: ignore[dict-item]
    )
    with pytest.raises(PartialFailure, match=r"1 of 3 boards failed\n  microbit: .*19,200 bytes.*16,384") as caught:
        run(recipe, tmp_path)
    assert caught.value.finished == ("mps2_an385", "mps2_an386")
    assert caught.value.remedy.startswith("shorten `model.context`")
    assert chain.ran == ["first", "second", "third", "third"]
    assert {path.name for path in (tmp_path / "build" / "r" / "third").iterdir()} >= {
        "mps2_an385-aot",
        "mps2_an386-aot",
    }


def test_each_failed_board_has_its_own_remedy(chain: Chain, tmp_path: Path) -> None:
    """What helps one need not help another; boards with the same remedy share a line."""
    boards = ["microbit", "mps2_an385", "mps2_an386", "mps2_an500"]
    recipe = make_recipe(tmp_path, boards=boards, model={**DATA["model"], "context": 600})  # type: ignore[dict-item]

    def emulate(context: StageContext) -> str:
        if context.board is not None and context.board.name != "mps2_an500":
            raise ThimbleError("no emulator is installed", "install one")
        return "done"

    chain.stages = (*chain.stages[:2], dataclasses.replace(chain.stages[2], run=emulate))
    with pytest.raises(PartialFailure, match=r"3 of 4 boards failed\n  microbit: .*\n  mps2_an385: no") as caught:
        run(recipe, tmp_path)
    lines = caught.value.remedy.split("\n")
    assert lines[1].startswith("  microbit: shorten")
    assert lines[2:] == ["  mps2_an385, mps2_an386: install one"]


@pytest.mark.parametrize(
    ("engine", "emulator", "complaint"), [("tflm", None, "TFLM_DIR"), ("aot", "renode", "no Renode at /nowhere")]
)
def test_what_is_missing_is_told_before_anything_runs(
    chain: Chain,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    emulator: str | None,
    complaint: str,
) -> None:
    """A run that cannot end does not begin; one that ends before the stage in question does."""
    monkeypatch.delenv("TFLM_DIR", raising=False)
    monkeypatch.setenv("RENODE", "/nowhere")
    first, second, third = chain.stages
    checks = {stage.name: stage.check_prerequisites for stage in (firmware.STAGE, emulate.STAGE)}
    checked = (
        dataclasses.replace(third, name=name, run=lambda context: "", check_prerequisites=check)
        for name, check in checks.items()
    )
    chain.stages = (first, second, *checked)
    options = RunOptions(build=tmp_path / "build", until="emulate", emulator=emulator)
    with pytest.raises(ThimbleError, match=complaint):
        run_recipe(recipe.with_engine(engine), options, Console(file=io.StringIO()))
    assert chain.ran == []
    until_second = dataclasses.replace(options, until="second")
    run_recipe(recipe.with_engine(engine), until_second, Console(file=io.StringIO()))
    assert chain.ran == ["first", "second"]


def test_if_no_board_is_left_the_run_ends(chain: Chain, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, boards=["microbit"], model={**DATA["model"], "context": 600})  # type: ignore[dict-item]
    with pytest.raises(ThimbleError, match="KV cache"):
        run(recipe, tmp_path)
    assert chain.ran == []


def test_recipes_share_stages_that_are_the_same(chain: Chain, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    run(make_recipe(tmp_path), tmp_path, shared=shared)
    chain.ran.clear()
    second_recipe = make_recipe(tmp_path, name="other", prompts=["hello"])
    printed = run(second_recipe, tmp_path, shared=shared)
    assert chain.ran == ["third"] and printed.count("(shared)") == 2
    assert (tmp_path / "build" / "other" / "second" / "out").read_text().count("\n") == 2
    chain.ran.clear()
    run(make_recipe(tmp_path, name="other", train={"steps": 11}, prompts=["hello"]), tmp_path, shared=shared)
    assert chain.ran == ["second", "third"]
    chain.ran.clear()
    assert "nothing changed" in run(make_recipe(tmp_path), tmp_path)
    assert "nothing changed" in run(make_recipe(tmp_path), tmp_path, shared=shared)


def test_a_damaged_shared_stage_is_made_again(chain: Chain, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    run(make_recipe(tmp_path), tmp_path, shared=shared)
    (folder,) = shared.glob("*/second")
    (folder / "out").unlink()
    (folder / "out").write_text("tampered")
    chain.ran.clear()
    run(make_recipe(tmp_path, name="other"), tmp_path, shared=shared)
    assert chain.ran == ["second", "third"]
    assert "tampered" not in (tmp_path / "build" / "other" / "second" / "out").read_text()


def test_a_shared_stage_that_was_stopped_goes_on_in_whoever_comes_next(chain: Chain, tmp_path: Path) -> None:
    shared = tmp_path / "shared"

    def fail(context: StageContext) -> None:
        (context.out / "checkpoint").write_text("step 5")
        raise KeyboardInterrupt

    chain.fail = fail
    with pytest.raises(KeyboardInterrupt):
        run(make_recipe(tmp_path), tmp_path, shared=shared)
    checkpoints: list[bool] = []
    chain.fail = lambda context: checkpoints.append((context.out / "checkpoint").exists())
    run(make_recipe(tmp_path, name="other"), tmp_path, shared=shared)
    assert checkpoints == [True]


def test_demands_that_are_not_met_fail_the_run_at_its_end_and_every_time(chain: Chain, tmp_path: Path) -> None:
    first, second, third = chain.stages
    report = Stage("report", "", chain.note("report"), (OUT.of("third"),))

    def unmet(context: StageContext) -> list[str]:
        return ["time: too slow", "flash: too much"] if context.require_board().name == "mps2_an385" else []

    chain.stages = (first, second, dataclasses.replace(third, unmet=unmet), report)
    both = make_recipe(tmp_path, boards=["mps2_an385", "mps2_an386"])
    for ran in (["first", "second", "third", "third", "report"], []):
        chain.ran.clear()
        with pytest.raises(PartialFailure, match=r"time: too slow \(and 1 more\)") as error:
            run(both, tmp_path, until="report")
        assert error.value.finished == ("mps2_an385", "mps2_an386") and chain.ran == ran
