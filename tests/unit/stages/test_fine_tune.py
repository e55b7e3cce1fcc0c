"""The stages that train a model further: pass weights on or change them, and say what a teacher lacks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from pipeline.errors import ThimbleError
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.stages.registry import all_stages
from pipeline.tasks.sentence_files import write_pairs
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.workflow.shipped import read_weights_metadata, training_facts
from pipeline.workflow.stage import Stage, StageContext
from pipeline.workflow.workspace import Workspace

PAIRS = [
    Pair(f"turn {state} the {area} light", f"HassTurn{state.title()} area={area} domain=light")
    for state in ("on", "off")
    for area in ("kitchen", "hall", "attic")
]
TOKENS = 320
SIZES = {"d_model": 16, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 24, "context": 64}

Make = Callable[..., Recipe]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a recipe, its `data` stage, and trained weights on request; returns the recipe."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    from pipeline.network.checkpoint import save_model
    from pipeline.network.decoder import build_decoder

    def made(name: str, trained: str = "", vocabulary: int = TOKENS, **sections: Any) -> Recipe:
        path = tmp_path / f"{name}.yaml"
        data = {
            "name": name,
            "task": {"name": "home_assistant"},
            "tokenizer": {"vocab_size": vocabulary},
            "model": SIZES,
            "train": {"steps": 5, "batch_size": 2},
            "boards": ["mps2_an386"],
        }
        path.write_text(yaml.safe_dump({**data, **sections}), encoding="utf-8")
        recipe = load_recipe(path)
        folder = Workspace(tmp_path, name).stage("data")
        folder.mkdir(parents=True, exist_ok=True)
        texts = [text for pair in PAIRS for text in (pair.sentence, pair.action)]
        Tokenizer.train(texts, vocabulary).save(folder / "tokenizer.json")
        write_pairs(folder / "train.tsv", PAIRS)
        write_pairs(folder / "dev.tsv", PAIRS[:2])
        if trained:
            stage_folder = Workspace(tmp_path, name).stage(trained)
            stage_folder.mkdir()
            made_by = trained if getattr(recipe, trained) is not None else "train"
            facts = training_facts(recipe, made_by, {"train": [{"step": 5, "loss": 1.0}]})
            save_model(stage_folder / "weights.npz", build_decoder(recipe.model), facts)
        return recipe

    return made


def run(stage: str, recipe: Recipe) -> tuple[str, Path]:
    """What the stage says, and the weights that it wrote."""
    folder = recipe.path.parent
    out = folder / f"{recipe.name}-{stage}-out"
    out.mkdir()
    chosen: Stage = next(stage_of_name for stage_of_name in all_stages() if stage_of_name.name == stage)
    context = StageContext(recipe, Workspace(folder, recipe.name), out, Console(file=io.StringIO()))
    return chosen.run(context), out / "weights.npz"


@pytest.mark.parametrize(("stage", "before"), [("distill", "train"), ("prune", "distill"), ("qat", "prune")])
def test_what_is_not_asked_for_passes_on(make: Make, tmp_path: Path, stage: str, before: str) -> None:
    note, weights = run(stage, make("plain", trained=before))
    assert note == "not asked for"
    assert weights.read_bytes() == (tmp_path / "plain" / before / "weights.npz").read_bytes()


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize(
    ("stage", "before", "sections"),
    [
        ("distill", "train", {"distill": {"teacher": "teacher.yaml", "steps": 2}}),
        ("distill", "train", {"distill": {"teacher": "teacher.yaml", "steps": 2, "labelled": 2, "relabelled": 3}}),
        ("prune", "distill", {"prune": {"steps": 2, "pattern": "block", "sparsity": 0.5}}),
        ("qat", "prune", {"qat": {"steps": 2}, "quantize": {"weights": "int4"}}),
    ],
)
def test_a_stage_tells_what_it_made(
    make: Make, tmp_path: Path, stage: str, before: str, sections: dict[str, Any]
) -> None:
    make("teacher", trained="qat", model={**SIZES, "layers": 2})
    if stage == "distill":
        sections = {"distill": {**sections["distill"], "teacher": str(tmp_path / "teacher.yaml")}}
    recipe = make("student", trained=before, **sections)
    note, weights = run(stage, recipe)
    assert note.startswith("exact match on dev ")
    facts = read_weights_metadata(weights)
    assert facts["stage"] == stage and set(facts["history"]) == {"train", stage}
    assert stage in facts["command"]
    with np.load(weights) as after, np.load(tmp_path / "student" / before / "weights.npz") as then:
        assert any((after[name] != then[name]).any() for name in then.files if name != "metadata")


def test_weights_that_have_been_through_a_stage_pass_it(make: Make, tmp_path: Path) -> None:
    recipe = make("shipped", prune={"steps": 2})
    pruned = make("shipped", trained="prune", prune={"steps": 2})
    (tmp_path / "shipped" / "distill").mkdir()
    source = tmp_path / "shipped" / "prune" / "weights.npz"
    (tmp_path / "shipped" / "distill" / "weights.npz").write_bytes(source.read_bytes())
    note, weights = run("prune", recipe)
    assert note == "the shipped weights have it" and weights.read_bytes() == source.read_bytes()
    assert pruned.prune == recipe.prune


def test_a_teacher_is_of_the_same_tokens_and_trained(make: Make, tmp_path: Path) -> None:
    student = make("student", trained="train", distill={"teacher": str(tmp_path / "teacher.yaml"), "steps": 2})
    cases: list[tuple[dict[str, Any], str]] = [
        ({"trained": ""}, r"has no trained weights"),
        ({"trained": "qat", "vocabulary": 300}, r"reads other tokens[\s\S]*vocab_size: 300"),
        ({"trained": "qat", "model": {**SIZES, "context": 32}}, r"sees 32 tokens"),
        ({"trained": "qat", "distill": {"teacher": str(tmp_path / "teacher.yaml")}}, r"has a teacher itself"),
    ]
    for number, (changes, message) in enumerate(cases):
        for stale in (tmp_path / "teacher" / "qat", tmp_path / "student-distill-out"):
            if stale.exists():
                stale.rename(tmp_path / f"{stale.parent.name}-{stale.name}-{number}")
        make("teacher", **changes)
        with pytest.raises(ThimbleError, match=message):
            run("distill", student)


def test_a_teacher_that_is_not_there_is_named(make: Make) -> None:
    recipe = make("student", trained="train", distill={"teacher": "no/such.yaml", "steps": 2})
    with pytest.raises(ThimbleError, match=r"no recipe at .*no/such\.yaml"):
        run("distill", recipe)
