"""A sweep runs its points many at once, records those that fail, and goes on where it was stopped."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from rich.console import Console

from pipeline.errors import ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.stages.registry import run_recipe
from pipeline.sweep.pareto import Results, read_results
from pipeline.sweep.plan import Sweep, load_sweep
from pipeline.sweep.run import SweepOptions, run_sweep, ship_results
from pipeline.sweep.trial import Job, Outcome, run_trial, stop_all
from pipeline.verification.result import Estimate
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace
from tests.support.run_results import made_result
from tests.support.sweep_points import made_point

BOARD = "mps2_an386"
TINY: dict[str, Any] = {
    "task": {"name": "home_assistant", "split_sentences": 20},
    "tokenizer": {"vocab_size": 560},
    "model": {"d_model": 16, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 24, "context": 64},
    "train": {"steps": 4, "batch_size": 8},
    "quantize": {"calibration_sentences": 5},
    "evaluate": {"host_sentences": 5, "device_sentences": 1},
    "boards": [BOARD],
    "prompts": ["hello"],
}
AXES = {
    "model": {"one": {}, "two": {"model": {"layers": 2}}},
    "method": {"dense": {}, "pruned": {"prune": {"sparsity": 0.5, "steps": 2}}},
}


def sweep_of(folder: Path, **changes: object) -> Sweep:
    path = folder / "sweep.yaml"
    data = {"name": "s", "recipe": TINY, "axes": AXES, **changes}
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return load_sweep(path)


def swept(sweep: Sweep, folder: Path, **options: Any) -> tuple[Results, str]:
    text = io.StringIO()
    run_point = options.pop("run_point", run_trial)
    settings = SweepOptions(**{"build": folder / "build", "emulator": "qemu", **options})
    return run_sweep(sweep, settings, Console(file=text, width=200), run_point), text.getvalue()


class Runner:
    """Stands for the pipeline: makes figures up; `most` is how many points ran at a time."""

    def __init__(self, fail: str = "", raises: str = "") -> None:
        self.fail, self.raises = fail, raises
        self.ran: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, job: Job) -> Outcome:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.ran.append(job.point)
        time.sleep(0.1)
        with self._lock:
            self._now -= 1
        if job.point == self.raises:
            raise RuntimeError("the worker is lost")
        if job.point == self.fail:
            return {"point": job.point, "ok": False, "error": "it does not fit", "remedy": "shrink it", "seconds": 0.1}
        size = len(self.ran)
        return {"point": job.point, "ok": True, "parameters": 10, "seconds": 0.1, "results": {BOARD: result(size)}}


def result(size: int) -> dict[str, Any]:
    """A result.json with the figures of a point."""
    cost = made_point("x", 0.9, 1000 * size, 100 * size, 1.0 * size).boards[BOARD]
    made = made_result()
    assert made.instructions and made.cycles
    span = Estimate(low=cost.ms, likely=cost.ms, high=cost.ms_worst)
    worst_cycles = made.cycles.decode_max.model_copy(update={"high": cost.cycles_worst})
    quality = {"new_names": 1 - 1 / (size + 1), "noisy": 1 - 1 / (size + 2)}
    return made.model_copy(
        update={
            "flash_bytes": made.flash_bytes.model_copy(update={"total": cost.flash, "weights": cost.weight_bytes}),
            "ram_bytes": made.ram_bytes.model_copy(update={"total": cost.ram}),
            "milliseconds": made.milliseconds.model_copy(update={"decode_mean": span, "decode_max": span}),
            "instructions": made.instructions.model_copy(
                update={"decode_mean": cost.instructions, "decode_max": cost.instructions_worst}
            ),
            "cycles": made.cycles.model_copy(update={"decode_max": worst_cycles}),
            "quality": {"float": quality, "quantized": quality, "device": quality},
            "quality_sentences": {"host": 100, "device": 5},
        }
    ).as_data()


def test_points_run_in_parallel_and_failures_are_reported(tmp_path: Path) -> None:
    runner = Runner(fail="one-pruned", raises="two-dense")
    results, printed = swept(sweep_of(tmp_path), tmp_path, jobs=2, run_point=runner)
    assert runner.most == 2 and sorted(runner.ran) == ["one-dense", "one-pruned", "two-dense", "two-pruned"]
    assert [point.name for point in results.points] == ["one-dense", "two-pruned"]
    assert {point.name: point.error for point in results.failed} == {
        "one-pruned": "it does not fit",
        "two-dense": "its worker was lost: RuntimeError: the worker is lost",
    }
    assert "it does not fit" in printed
    first = results.points[0]
    quality = list(first.splits.values())
    assert first.accuracy == pytest.approx(sum(quality) / 2)
    assert first.error == pytest.approx((sum(share * (1 - share) / 100 for share in quality)) ** 0.5 / 2)

    folder = tmp_path / "build" / "sweep" / "s"
    assert read_results(folder) == results
    assert (folder / "pareto.png").exists() and "it does not fit" in (folder / "pareto.md").read_text(encoding="utf-8")
    target = ship_results(folder, tmp_path / "sweep.yaml")
    assert target == tmp_path / "sweep" and read_results(target) == results
    assert {path.name for path in target.iterdir()} == {"pareto.json", "pareto.md", "pareto.png", "recipes"}
    chosen = {path.stem for path in (folder / "recipes").iterdir()}
    assert chosen == set(results.front[BOARD]) and chosen
    for path in (folder / "recipes").iterdir():
        assert load_recipe(path).name == f"s-{path.stem}"


def test_nothing_runs_where_one_recipe_of_a_grid_cannot_be(tmp_path: Path) -> None:
    runner = Runner()
    axes = {"model": {"good": {}, "bad": {"model": {"heads": 3}}}}
    with pytest.raises(ThimbleError, match=r"point bad: .*model\.heads"):
        swept(sweep_of(tmp_path, axes=axes), tmp_path, run_point=runner)
    with pytest.raises(ThimbleError, match="toaster"):
        swept(sweep_of(tmp_path), tmp_path, run_point=runner, boards=("toaster",))
    assert runner.ran == []


def test_a_search_leaves_out_recipes_that_cannot_be(tmp_path: Path) -> None:
    axes = {"model": {"good": {}, "bad": {"model": {"heads": 3}}, "wide": {"model": {"d_model": 32}}}}
    sweep = sweep_of(tmp_path, axes=axes, search={"points": 3})
    runner = Runner()
    results, _ = swept(sweep, tmp_path, run_point=runner)
    assert sorted(runner.ran) == ["good", "wide"] and [point.name for point in results.failed] == ["bad"]


def test_all_failing_is_an_error(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, axes={"model": {"one": {}}})
    with pytest.raises(ThimbleError, match="all 1 points failed; one: it does not fit"):
        swept(sweep, tmp_path, run_point=Runner(fail="one"))


def test_a_stopped_search_takes_its_points_up_again(tmp_path: Path) -> None:
    axes = {"sparsity": {"key": "prune.sparsity", "low": 0.1, "high": 0.9}}
    sweep = sweep_of(tmp_path, axes=axes, search={"points": 6})
    first = Runner()

    def stopped(job: Job) -> Outcome:
        if len(first.ran) == 3:
            raise KeyboardInterrupt
        return first(job)

    with pytest.raises(KeyboardInterrupt):
        swept(sweep, tmp_path, jobs=1, run_point=stopped)
    second = Runner()
    results, _ = swept(sweep, tmp_path, jobs=1, run_point=second)
    assert second.ran[:3] == first.ran and len(set(second.ran)) == len(results.points) == 6


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    with Workspace(tmp_path / "build" / "sweep", "s").locked(), pytest.raises(ThimbleError, match="at work"):
        swept(sweep_of(tmp_path), tmp_path, run_point=Runner())


def job_of(folder: Path, **sections: object) -> Job:
    folder = folder.resolve()
    text = yaml.safe_dump({"name": "p", **TINY, **sections})
    log = folder / "points" / "p" / "log.txt"
    return Job("p", text, str(folder / "p.yaml"), str(folder / "points"), str(folder / "shared"), str(log), (), "qemu")


def test_a_point_that_cannot_run_says_why(tmp_path: Path) -> None:
    outcome = run_trial(job_of(tmp_path, boards=["toaster"]))
    assert not outcome["ok"] and "toaster" in outcome["error"] and outcome["remedy"]
    log = (tmp_path / "points" / "p" / "log.txt").read_text(encoding="utf-8")
    assert "toaster" in log and "Fatal" not in log


def test_a_killed_point_is_reported(tmp_path: Path) -> None:
    timer = threading.Timer(1.0, stop_all)
    timer.start()
    outcome = run_trial(job_of(tmp_path))
    assert not outcome["ok"] and "SIGKILL" in outcome["error"] and "log.txt" in outcome["remedy"]


def test_a_point_ends_with_the_sweep(tmp_path: Path) -> None:
    """However the sweep ends: its points must not go on unseen and hold their folders."""
    code = f"from pipeline.sweep.trial import Job, run_trial\nrun_trial({job_of(tmp_path)!r})"
    sweep = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    log = tmp_path / "points" / "p" / "log.txt"
    deadline = time.monotonic() + 60
    while not (log.exists() and "data" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (point,) = psutil.Process(sweep.pid).children()
    sweep.kill()
    sweep.wait()
    point.wait(30)
    with Workspace(tmp_path / "points", "p").locked():
        pass


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sweep, Results]:
    """Two points through the real pipeline, on two processes."""
    folder = tmp_path_factory.mktemp("real")
    sweep = sweep_of(folder, axes={"method": AXES["method"]})
    return folder, sweep, swept(sweep, folder, jobs=2)[0]


@pytest.mark.slow
def test_two_points_share_their_data_and_training(real: tuple[Path, Sweep, Results]) -> None:
    folder, _, results = real
    assert [point.name for point in results.points] == ["dense", "pruned"], results.failed
    points = folder / "build" / "sweep" / "s" / "points"
    logs = [(points / f"s-{name}" / "log.txt").read_text(encoding="utf-8") for name in ("dense", "pruned")]
    for stage in ("data", "train"):
        shared = [
            any(line.startswith(f"✓ {stage}") and "(shared)" in line for line in text.split("\n")) for text in logs
        ]
        assert sorted(shared) == [False, True], stage
    for point in results.points:
        cost = point.boards[BOARD]
        assert cost.flash > cost.weight_bytes > 0 and cost.ms_worst >= cost.ms > 0
        assert point.sentences == {"host": 5, "device": 1}


@pytest.mark.slow
def test_a_chosen_recipe_is_ready_to_run(real: tuple[Path, Sweep, Results]) -> None:
    folder, _, results = real
    folder_of_sweep = folder / "build" / "sweep" / "s"
    path = folder_of_sweep / "recipes" / f"{results.front[BOARD][0]}.yaml"
    text = io.StringIO()
    options = RunOptions(folder_of_sweep / "points", "emulate", emulator="qemu")
    run_recipe(load_recipe(path), options, Console(file=text, width=200))
    assert "nothing changed" in text.getvalue()


@pytest.mark.variants(keep=0)
@pytest.mark.slow
def test_a_ray_cluster_of_two_workers_gives_the_same(real: tuple[Path, Sweep, Results]) -> None:
    """The same code path: the points, done already, are taken up by the cluster's workers."""
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    from ray.cluster_utils import Cluster

    folder, sweep, results = real
    logs = sorted((folder / "build" / "sweep" / "s" / "points").glob("*/log.txt"))
    before = [log.stat().st_mtime_ns for log in logs]
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        repeated, _ = swept(sweep, folder, ray=cluster.address)
    finally:
        cluster.shutdown()
    assert all(log.stat().st_mtime_ns > earlier for log, earlier in zip(logs, before, strict=True))
    assert all("nothing changed" in log.read_text(encoding="utf-8") for log in logs)
    for left, right in zip(repeated.points, results.points, strict=True):
        assert {**vars(left), "seconds": 0} == {**vars(right), "seconds": 0}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_there(tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    with pytest.raises(ThimbleError, match=f"no Ray cluster at {address}"):
        swept(sweep_of(tmp_path), tmp_path, run_point=Runner(), ray=address)
