"""What makes a stage run again: an edit of each place that decides its bytes, and nothing else.

The stages are those of the pipeline, declarations and all; only their work is replaced by one that writes the declared
files with the same content each time. So the stages that run are those that read what was edited themselves.
"""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import grimp
import numpy as np
import pytest
import yaml
from rich.console import Console

from pipeline.recipes.load import Recipe, load_recipe
from pipeline.resources import ROOT
from pipeline.stages.registry import all_stages
from pipeline.workflow import shipped, sources
from pipeline.workflow.artifacts import SIZES, WEIGHTS
from pipeline.workflow.runner import RunOptions, run_stages
from pipeline.workflow.shipped import read_weights_metadata, training_facts
from pipeline.workflow.stage import Stage, StageContext

TEACHER = ROOT / "models" / "home-en-small" / "recipe.yaml"
RECIPE = {
    "name": "r",
    "task": {"name": "home_assistant"},
    "tokenizer": {"vocab_size": 768},
    "model": {"d_model": 32, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 48, "context": 64},
    "train": {"steps": 1000},
    "distill": {"teacher": str(TEACHER), "steps": 100},
    "prune": {"steps": 100},
    "qat": {"steps": 100},
    "boards": ["mps2_an386"],
}
FIRST_LINE = sources.read_module("pipeline.network.decoder").decode().partition("\n")[0]
TRAINING = ["train", "distill", "prune", "qat"]


class Pipeline:
    """The stages without their work; `edits` are made to sources and `versions` to tools as they are read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.printed = ""
        self.modules: dict[str, tuple[str, str]] = {}
        self.files: dict[str, tuple[str, str]] = {}
        self.versions: dict[str, str] = {}
        read_module, read_data = sources.read_module, sources.read_data

        def edited_module(name: str) -> bytes:
            return _edited(read_module(name), self.modules.get(name))

        def edited_file(path: Path) -> bytes:
            return _edited(read_data(path), self.files.get(path.relative_to(ROOT).as_posix()))

        monkeypatch.setattr(sources, "read_module", edited_module)
        monkeypatch.setattr(sources, "read_data", edited_file)
        monkeypatch.setattr(sources, "tool_version", lambda name: self.versions.get(name, "1.0"))
        self.stages = tuple(self._without_work(stage) for stage in all_stages())

    def _without_work(self, stage: Stage) -> Stage:
        def work(context: StageContext) -> str:
            self.ran.append(stage.name)
            for artifact in stage.writes:
                path = context.target(
                    artifact, split="dev", packing="pairs", count="cycles", picture="memory", form="hex"
                )
                if artifact == WEIGHTS:
                    facts = json.dumps(training_facts(context.recipe, stage.name, {}))
                    np.savez(path, metadata=np.array(facts))
                else:
                    path.write_text(artifact.name, encoding="utf-8")
            return f"{stage.name} done"

        facts = None if stage.name == "emulate" else stage.environment_facts  # asks for an emulator
        return dataclasses.replace(stage, run=work, environment_facts=facts, check_prerequisites=None, unmet=None)

    def recipe(self, **sections: object) -> Recipe:
        path = self.folder / "recipe.yaml"
        data = {key: value for key, value in {**RECIPE, **sections}.items() if value is not None}
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return load_recipe(path)

    def run(self, recipe: Recipe | None = None, retrain: bool = False, shared: Path | None = None) -> list[str]:
        """The stages that ran."""
        self.ran.clear()
        text = io.StringIO()
        options = RunOptions(self.folder / "build", retrain=retrain, shared=shared)
        run_stages(self.stages, recipe or self.recipe(), options, Console(file=text, width=400))
        self.printed = text.getvalue()
        return list(self.ran)

    def outdated(self) -> list[str]:
        """The lines that say what is newer than what was kept."""
        return [line for line in self.printed.splitlines() if "older than" in line]


def _edited(content: bytes, edit: tuple[str, str] | None) -> bytes:
    if edit is None:
        return content
    before, after = (text.encode() for text in edit)
    assert content.count(before) == 1, f"{before!r} is there {content.count(before)} times"
    return content.replace(before, after)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    pipeline = Pipeline(tmp_path, monkeypatch)
    assert pipeline.run() == [stage.name for stage in pipeline.stages]
    assert pipeline.run() == []
    return pipeline


@pytest.mark.parametrize(
    ("module", "before", "after", "again", "kept"),
    [
        ("network.decoder", "MASK = -30.0", "MASK = -20.0", ["quantize", "evaluate"], TRAINING),
        ("quantize.int4", "INT4_MAX = 7", "INT4_MAX = 6", ["quantize"], ["distill", "qat"]),
        (
            "numerics.rope",
            "_SEGMENTS = 128",
            "_SEGMENTS = 64",
            ["quantize", "convert", "evaluate", "firmware", "emulate", "report"],  # recipes know RoPE's frequencies
            ["distill"],
        ),
        ("numerics.sampler", "CANDIDATES = 64", "CANDIDATES = 32", ["convert", "evaluate", "emulate"], ["distill"]),
        ("numerics.sampler", "2.0**24 + 0.5", "2.0**24", ["convert", "evaluate", "emulate"], ["distill"]),
        ("verification.oracle", "arena_size=max(1 << 20", "arena_size=max(1 << 21", ["convert", "emulate"], []),
        (
            "tasks.pairs",
            "_PROOF_SENTENCES = 8",
            "_PROOF_SENTENCES = 0",
            ["quantize", "convert", "evaluate", "emulate"],
            ["data", *TRAINING],
        ),
        ("training.prune", "__all__ = ", "ALL = ", [], ["prune"]),
        (
            "tasks.home_assistant.noise",
            "__all__ = ",
            "ALL = ",
            ["quantize", "evaluate", "emulate"],
            ["data", *TRAINING],
        ),
        ("firmware.tables", "__all__ = ", "ALL = ", ["firmware", "emulate"], []),
        ("report.flame", "__all__ = ", "ALL = ", ["report"], []),
        ("tasks.registry", "__all__ = ", "ALL = ", [], []),
        ("errors", "__all__ = ", "ALL = ", [], []),
        ("workflow.runner", "__all__ = ", "ALL = ", [], []),
    ],
)
def test_an_edited_module_runs_what_it_decides(
    pipeline: Pipeline, module: str, before: str, after: str, again: list[str], kept: list[str]
) -> None:
    pipeline.modules[f"pipeline.{module}"] = (before, after)
    assert pipeline.run() == again
    lines = pipeline.outdated()
    assert len(lines) == bool(kept)
    for name in kept:
        assert f"`{name}`" in lines[0] and f"1 module: pipeline.{module}; --retrain" in lines[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FIRST_LINE, '"""Another first line'),
        (FIRST_LINE, f"# a comment\n{FIRST_LINE}"),
        ("MASK = -30.0\n", "MASK    = -30.0  # the same\n\n\n"),
    ],
)
def test_comments_docstrings_and_layout_run_nothing(pipeline: Pipeline, before: str, after: str) -> None:
    pipeline.modules["pipeline.network.decoder"] = (before, after)
    assert pipeline.run() == [] and pipeline.outdated() == []


@pytest.mark.parametrize(
    ("path", "again", "kept"),
    [
        ("firmware_templates/app/main.c", ["firmware"], []),
        ("firmware_templates/runtime/thimble_sampler.c", ["convert", "evaluate", "firmware"], ["distill"]),
        ("pipeline/timing/cores.yaml", ["emulate"], []),
        ("pipeline/report/page.html.j2", ["report"], []),
        (
            "pipeline/languages/en/weave.yaml",
            ["quantize", "convert", "evaluate", "firmware", "emulate"],
            ["data", *TRAINING],
        ),
        (
            "pipeline/tasks/home_assistant/sentences/en.yaml",
            ["quantize", "convert", "evaluate", "emulate"],
            ["data", *TRAINING],
        ),
    ],
)
def test_an_edited_data_file_runs_what_reads_it(
    pipeline: Pipeline, path: str, again: list[str], kept: list[str]
) -> None:
    first = (ROOT / path).read_text(encoding="utf-8")
    pipeline.files[path] = (first, f"{first} ")
    assert pipeline.run() == again
    lines = pipeline.outdated()
    assert len(lines) == bool(kept)
    assert all(f"`{name}`" in lines[0] for name in kept)


@pytest.mark.parametrize(
    ("tool", "again", "kept"),
    [
        ("arm-none-eabi-gcc", ["firmware", "emulate"], []),
        ("tensorflow", ["quantize", "evaluate"], TRAINING),
        ("gcc", ["convert", "evaluate"], ["distill"]),
        ("home-assistant-intents", ["quantize", "evaluate", "emulate"], ["data", *TRAINING]),
        ("jinja2", ["firmware", "emulate", "report"], []),
    ],
)
def test_another_version_of_a_tool_runs_what_uses_it(
    pipeline: Pipeline, tool: str, again: list[str], kept: list[str]
) -> None:
    pipeline.versions[tool] = "2.0"
    assert pipeline.run() == again
    lines = pipeline.outdated()
    assert len(lines) == bool(kept)
    assert all(f"`{name}`" in lines[0] and f"{tool} 2.0 (made with 1.0)" in lines[0] for name in kept)


def test_weights_are_kept_until_they_are_trained_anew(pipeline: Pipeline) -> None:
    """One line says what is newer, each time, until --retrain; then nothing is."""
    pipeline.modules["pipeline.network.decoder"] = ("MASK = -30.0", "MASK = -20.0")
    pipeline.run()
    expected = (
        "! weights of `train`, `distill`, `prune`, `qat` are older than 1 module: pipeline.network.decoder; "
        "--retrain trains anew"
    )
    assert pipeline.outdated() == [expected]
    assert pipeline.run() == [] and pipeline.outdated() == [expected]
    assert pipeline.run(retrain=True) == TRAINING and pipeline.outdated() == []
    assert pipeline.run() == [] and pipeline.outdated() == []


def test_shared_weights_are_kept_too(pipeline: Pipeline, tmp_path: Path) -> None:
    """A point of a sweep takes the weights that another one trained before a module changed."""
    pipeline.run(pipeline.recipe(name="first"), shared=tmp_path / "shared")
    pipeline.modules["pipeline.training.loop"] = ("__all__ = ", "ALL = ")
    assert pipeline.run(pipeline.recipe(name="second"), shared=tmp_path / "shared") == [
        "quantize",
        "evaluate",
        "firmware",
        "emulate",
        "report",
    ]
    assert len(pipeline.outdated()) == 1 and "pipeline.training.loop; --retrain" in pipeline.outdated()[0]


def test_a_changed_recipe_trains_anew_and_says_for_how_long(pipeline: Pipeline) -> None:
    stamp = pipeline.folder / "build" / "r" / "train" / "stage.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "seconds": 1500.0}))
    assert "train" in pipeline.run(pipeline.recipe(train={"steps": 2000}))
    told = "train: changed since it was made: `train.steps` 1000 → 2000; it takes about 50 min (the last time 25 min)"
    assert told in pipeline.printed


def test_other_sentences_train_anew(pipeline: Pipeline) -> None:
    (pipeline.folder / "build" / "r" / "data" / "dev.tsv").write_text("changed")
    assert pipeline.run() == ["data"], "the same sentences again"
    assert pipeline.run(pipeline.recipe(task={"name": "home_assistant", "seed": 2}))[:2] == ["data", "train"]


def test_weights_of_version_0_1_are_kept(pipeline: Pipeline) -> None:
    """Their stamps say nothing of what made them; the weights themselves do."""
    for name in ("data", *TRAINING):
        path = pipeline.folder / "build" / "r" / name / "stage.json"
        stamp = json.loads(path.read_text())
        old = {key: stamp[key] for key in ("digest", "seconds", "note")}
        path.write_text(json.dumps({**old, "fingerprint": "of another making"}))
    assert pipeline.run() == []
    assert pipeline.run(pipeline.recipe(prune={"steps": 101})) == ["prune", "qat", "quantize", "evaluate", "report"]


def test_newer_packages_void_no_shipped_weights(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(TEACHER)
    weights = shipped.shipped_weights(recipe)
    assert weights is not None
    facts = read_weights_metadata(weights)
    versions = {**facts["packages"], "hassil": "99"}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)
    assert shipped.weights_fingerprint(recipe) != facts["fingerprint"]
    assert shipped.shipped_weights(recipe) == weights
    assert shipped.newer_modules({"modules": {"a": "1", "b": "1"}}, {"a": "1", "b": "2", "c": "1"}) == ["b"]
    assert shipped.newer_modules(facts, {"a": "1"}) == [], "not known"
    assert shipped.newer_packages(facts) == [f"hassil {facts['packages']['hassil']} → 99"]
    assert pipeline.run() == [], "nor of those that they taught"


def _imports(graph: grimp.ImportGraph, modules: tuple[str, ...]) -> set[str]:
    return {imported for module in modules for imported in graph.find_modules_directly_imported_by(module)}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "pipeline", exclude_type_checking_imports=True, include_external_packages=True, cache_dir=None
    )


def _recipes() -> list[Recipe]:
    """One of each kind: trained, trained on text, imported, and for an interpreter."""
    trained = load_recipe(TEACHER)
    sections = {
        "tokenizer": {"vocab_size": trained.vocab_size},
        "model": {"variant": "small"},
        "boards": ["mps2_an386"],
    }
    imported = Recipe.from_mapping({"name": "i", "task": {"name": "text"}, "weights": "i.npz", **sections})
    corpus = Recipe.from_mapping({"name": "c", "task": {"name": "corpus", "files": ["*.txt"]}, "train": {}, **sections})
    return [trained, corpus, imported, trained.with_engine("tflm")]


# Through what a stage's own module reaches work that other recipes need; `_recipes` has one of each kind.
NOT_WORK = ("pipeline.recipes", "pipeline.tasks.registry", "pipeline.targets", "pipeline.tasks.task")
# Import name to distribution; the others print, lock or read YAML and decide no byte.
DISTRIBUTIONS = {
    "ai_edge_litert": "ai-edge-litert",
    "elftools": "pyelftools",
    "hassil": "hassil",
    "home_assistant_intents": "home-assistant-intents",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "tensorflow": "tensorflow",
    "tensorflow_model_optimization": "tensorflow-model-optimization",
    "tf_keras": "tf-keras",
    "tflite_micro": "tflite-micro",
    "tokenizers": "tokenizers",
}


@pytest.mark.parametrize("stage", all_stages(), ids=lambda stage: stage.name)
def test_what_a_stage_declares_is_what_it_imports(graph: grimp.ImportGraph, stage: Stage) -> None:
    own = f"pipeline.stages.{stage.name}"
    declared: set[str] = set()
    for recipe in _recipes():
        work = stage.work_modules(recipe)
        assert own in work and set(work) <= graph.modules
        closure = sources.import_closure(work)
        declared.update(closure)
        distributions = {DISTRIBUTIONS.get(name) for name in _imports(graph, closure)} - {None}
        assert distributions <= set(stage.tool_names(recipe))
    imported = {name for name in _imports(graph, (own,)) if name.startswith("pipeline.")}
    ignored = (*sources.NOT_FOLLOWED, *NOT_WORK)
    left_out = {name for name in imported - declared if not name.startswith(ignored)}
    assert not left_out, f"`work` of {stage.name} names none of {left_out}"


def test_declared_patterns_and_exceptions_are_there(graph: grimp.ImportGraph) -> None:
    for stage in all_stages():
        for pattern in stage.data:
            assert any(path.is_file() for path in ROOT.glob(pattern)), pattern
    assert set(sources.NOT_FOLLOWED) <= graph.modules


def test_a_new_form_of_an_artifact_makes_it_anew_and_a_further_one_does_not(pipeline: Pipeline) -> None:
    train = pipeline.stages[1]
    further = dataclasses.replace(SIZES, name="further.json")
    pipeline.stages = _replaced(pipeline.stages, dataclasses.replace(train, writes=(*train.writes, further)))
    assert pipeline.run() == []
    changed = dataclasses.replace(WEIGHTS, schema_version=2)
    pipeline.stages = _replaced(pipeline.stages, dataclasses.replace(train, writes=(changed,)))
    assert pipeline.run() == ["train"]


def _replaced(stages: tuple[Stage, ...], new: Stage) -> tuple[Stage, ...]:
    return tuple(new if stage.name == new.name else stage for stage in stages)


def test_inputs_are_outputs_of_earlier_stages() -> None:
    written: dict[str, Stage] = {}
    for stage in all_stages():
        for read in stage.reads:
            assert read.artifact in written[read.stage].writes, f"{stage.name} reads {read.pattern} of {read.stage}"
        written[stage.name] = stage


def test_closures_hold_what_decides_bytes_and_no_more() -> None:
    recipe = load_recipe(TEACHER)
    closures = {stage.name: sources.import_closure(stage.work_modules(recipe)) for stage in all_stages()}
    elsewhere = ("bench", "commands", "compiler", "device", "emulators", "firmware", "report", "timing", "verification")
    for name in ("data", "train", "prune", "qat"):
        assert not [module for module in closures[name] if module.split(".")[1] in elsewhere]


def test_running_needs_no_emulator_and_no_interpreter() -> None:
    script = (
        "import sys, pipeline.workflow.runner; "
        "print([m for m in sys.modules if m.startswith(('pipeline.emulators', 'tensorflow', 'tflite_micro'))])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout == "[]\n"


def test_digests_see_values_and_not_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(source: str) -> str:
        monkeypatch.setattr(sources, "read_module", lambda name: source.encode())
        return sources.module_digests(["pipeline.errors"])["pipeline.errors"]

    plain = "class A:\n    x = 1\n\ndef f(a):\n    return a\n"
    documented = (
        '"""D."""\n# c\nclass A:\n    """D."""\n\n    x = 1\n    """D."""\n\ndef f(a):\n    """D."""\n    return (a)\n'
    )
    assert digest(plain) == digest(documented)
    edits = [("x = 1", f"x = {value}") for value in ("2", "1.0", "None", "True", "'1'")]
    edits += [("return a", "return 'a'"), ("f(a)", "f(b)"), ("f(a)", "f(a=1)")]
    digests = [digest(plain), *(digest(plain.replace(*edit)) for edit in edits)]
    assert len(set(digests)) == len(digests)
