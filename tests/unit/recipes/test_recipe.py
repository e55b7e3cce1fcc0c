"""Recipes: what is wrong is named by its key, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import ModelConfig
from pipeline.tasks.registry import load_task
from pipeline.workflow.shipped import weights_fingerprint

GOOD: dict[str, Any] = {
    "name": "tiny",
    "task": {"name": "home_assistant", "language": "en"},
    "tokenizer": {"vocab_size": 400},
    "model": {"d_model": 32, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 48, "context": 64},
    "train": {"steps": 10},
    "boards": ["mps2_an386"],
}


def write(folder: Path, data: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return path


def changed(**sections: object) -> dict[str, Any]:
    return {**GOOD, **sections}


def test_a_recipe_is_read_whole(tmp_path: Path) -> None:
    budgets = {"flash": "256K", "ram": 4096, "ms_per_token": 20, "ms_to_first_token": 150.5}
    recipe = load_recipe(write(tmp_path, changed(budgets=budgets, prompts=["hello"], prune={"sparsity": 0.25})))
    assert recipe.model.d_model == 32 and recipe.model.vocab_size == 400
    assert recipe.budgets.flash == 256 * 1024 and recipe.budgets.ram == 4096 and recipe.budgets.ms_per_token == 20.0
    assert recipe.budgets.ms_to_first_token == 150.5
    assert recipe.prune is not None and recipe.prune.sparsity == 0.25
    assert recipe.prompts == ("hello",) and recipe.engine == "aot"


def test_a_section_that_came_later_is_in_the_fingerprints_only_where_it_is_used(tmp_path: Path) -> None:
    """So that the digests in shipped weights, which know nothing of it, still fit."""
    plain = load_recipe(write(tmp_path, changed()))
    assert "weights" not in plain.part("quantize")["quantize"]
    used = load_recipe(write(tmp_path, changed(quantize={"weights": "int4"}, qat={"steps": 3})))
    assert used.part("quantize")["quantize"]["weights"] == "int4" and used.part("qat")["qat"]["steps"] == 3
    assert weights_fingerprint(plain) != weights_fingerprint(used)
    assert weights_fingerprint(plain, "prune") == weights_fingerprint(used, "prune")


@pytest.mark.parametrize("path", sorted(Path("models").glob("*/recipe.yaml")), ids=lambda path: path.parent.name)
def test_the_shipped_recipes_are_good(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.parent.name
    assert "nox -s train" in path.read_text(encoding="utf-8"), "the recipe records how its weights were made"


TEXT: dict[str, Any] = {
    **{key: value for key, value in GOOD.items() if key != "train"},
    "task": {"name": "text", "seed": 3},
    "weights": "tiny.npz",
}


def test_a_recipe_of_an_imported_model(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, {**TEXT, "prompts": ["", "One day"]}))
    assert recipe.text is not None and (recipe.text.seed, recipe.text.calibration_texts(64)) == (3, 94)
    assert recipe.weights_path == tmp_path / "tiny.npz" and recipe.prompts == ("", "One day")
    assert load_recipe(write(tmp_path, GOOD)).text is None


COMPLAINTS = {
    "imported without weights": (changed(task={"name": "text"}), "`weights`"),
    "imported and trained": ({**TEXT, "train": {"steps": 3}}, "`train`"),
    "imported and pruned": ({**TEXT, "prune": {"sparsity": 0.5}}, "`prune`"),
    "imported and of a form that is not fitted": (
        {**TEXT, "qat": {"steps": 3}, "model": {**TEXT["model"], "norm": "layernorm"}},
        "`qat` is given with an imported model",
    ),
    "weights of a trained one": (changed(weights="tiny.npz"), "`weights`"),
    "unknown key of text": ({**TEXT, "task": {"name": "text", "sentences": 3}}, "sentences"),
    "no tokens of text": ({**TEXT, "task": {"name": "text", "measured_tokens": 0}}, "measured_tokens"),
    "tokens that are no number": ({**TEXT, "task": {"name": "text", "seed": "one"}}, "task.seed"),
    "a prompt of nothing": (changed(prompts=[""]), "prompts"),
    "unknown key": (changed(modle={}), "modle"),
    "unknown key in tokenizer": (changed(tokenizer={"size": 3}), "size"),
    "unknown key in model": (changed(model={"width": 3}), "width"),
    "unknown key in train": (changed(train={"epochs": 3}), "epochs"),
    "unknown key in prune": (changed(prune={"amount": 0.5}), "amount"),
    "unknown key in quantize": (changed(quantize={"sentences": 3}), "sentences"),
    "unknown key in distill": (changed(distill={"teacher": "t.yaml", "master": 1}), "master"),
    "unknown key in qat": (changed(qat={"bits": 4}), "bits"),
    "no steps at all": (changed(train={"steps": 0}), "`train.steps`"),
    "unknown pattern": (changed(prune={"pattern": "3:4"}), "`prune.pattern`"),
    "unknown weights": (changed(quantize={"weights": "int2"}), "`quantize.weights` 'int2'"),
    "unknown activations": (changed(quantize={"activations": "int4"}), "`quantize.activations` 'int4'"),
    "activations that are no text": (changed(quantize={"activations": 16}), "`quantize.activations` 16"),
    "int16 with LayerNorm": (
        changed(quantize={"activations": "int16"}, model={**GOOD["model"], "norm": "layernorm"}),
        "`model.norm: layernorm`",
    ),
    "unknown key in evaluate": (changed(evaluate={"host": 3}), "host"),
    "unknown key in budgets": (changed(budgets={"rom": 3}), "rom"),
    "wrong type of a section": (changed(model=[1]), "model"),
    "wrong type of a number": (changed(train={"steps": "many"}), "steps"),
    "a bool is no number": (changed(tokenizer={"vocab_size": True}), "vocab_size"),
    "vocabulary too small": (changed(tokenizer={"vocab_size": 100}), "vocab_size"),
    "heads do not divide": (changed(model={**GOOD["model"], "heads": 3, "kv_heads": 3}), "heads"),
    "kv_heads do not divide": (changed(model={**GOOD["model"], "heads": 4, "kv_heads": 3}), "kv_heads"),
    "odd rotary heads": (changed(model={**GOOD["model"], "d_model": 30, "positions": "rotary"}), "rotary"),
    "unknown ffn": (changed(model={**GOOD["model"], "ffn": "moe"}), "ffn"),
    "unknown variant": (changed(model={"variant": "huge"}), "huge"),
    "no boards": (changed(boards=[]), "boards"),
    "boards hold no text": (changed(boards=[3]), "boards"),
    "unknown engine": (changed(engine="gpu"), "engine"),
    "bad name": (changed(name="a/b"), "name"),
    "bad size": (changed(budgets={"flash": "12 potatoes"}), "flash"),
    "bad time to the first token": (changed(budgets={"ms_to_first_token": "soon"}), "ms_to_first_token"),
    "bad time": (changed(budgets={"ms_per_token": -1}), "ms_per_token"),
    "zero sentences": (changed(evaluate={"host_sentences": 0}), "host_sentences"),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_a_complaint_names_the_file_and_the_key(tmp_path: Path, case: str) -> None:
    data, word = COMPLAINTS[case]
    path = write(tmp_path, data)
    with pytest.raises(ThimbleError) as caught:
        load_recipe(path)
    assert word in caught.value.what and str(path) in caught.value.what and caught.value.remedy


@pytest.mark.parametrize("section", ["name", "task", "tokenizer", "model", "train", "boards"])
def test_a_missing_section_is_named(tmp_path: Path, section: str) -> None:
    data = {key: value for key, value in GOOD.items() if key != section}
    with pytest.raises(ThimbleError, match=section):
        load_recipe(write(tmp_path, data))


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "just text", "a: [1", "\tname: x", "name: !!python/object:os.system x"]
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ThimbleError):
        load_recipe(write(tmp_path, text))


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="no recipe"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ThimbleError, match="cannot read"):
        load_recipe(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("task", "word"),
    [
        ({"name": "chess"}, "chess"),
        ({"name": "home_assistant", "language": "tlh"}, "tlh"),
        ({"name": "home_assistant", "sed": 1}, "sed"),
        ({"name": "home_assistant", "seed": "one"}, "seed"),
    ],
)
def test_a_task_is_checked(task: dict[str, object], word: str) -> None:
    with pytest.raises(ThimbleError, match=word):
        load_task(task)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_quick_recipe_measures_few_sentences(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, changed(evaluate={"host_sentences": 600, "device_sentences": 4})))
    quick = recipe.as_quick()
    assert (quick.evaluate.host_sentences, quick.evaluate.device_sentences) == (50, 4)
    assert quick.quick and not recipe.quick
    assert quick.part("evaluate") != recipe.part("evaluate")
    few = load_recipe(write(tmp_path, changed(evaluate={"host_sentences": 50, "device_sentences": 4})))
    assert quick.part("evaluate") != few.part("evaluate"), "a full run of the same size is another one"


@given(section=st.sampled_from([*GOOD, "prune", "budgets", "prompts", "evaluate", "shipped"]), value=JUNK)
def test_junk_gives_a_complaint_or_a_recipe(
    tmp_path_factory: pytest.TempPathFactory, section: str, value: object
) -> None:
    path = write(tmp_path_factory.mktemp("junk"), changed(**{section: value}))
    try:
        assert load_recipe(path).name
    except ThimbleError as error:
        assert error.remedy


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "train": {"steps": "many", "learning_rat": 0.1},
        "model": {**GOOD["model"], "heads": 3, "kv_heads": 2, "shared_layers": 2},
        "engine": "tfml",
        "modle": {},
        "weights": "tiny.npz",
    }
    path = write(tmp_path, changed(**sections))
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    problems = {problem.key: problem for problem in caught.value.problems}
    assert set(problems) == {
        "train.steps",
        "train.learning_rat",
        "model.heads",
        "model.kv_heads",
        "model.shared_layers",
        "engine",
        "modle",
        "weights",
    }
    assert problems["train.steps"].what == "`train.steps` is 'many' (str), not a whole number"
    assert problems["train.learning_rat"].remedy.startswith(
        "did you mean `learning_rate`? Known keys in `train`: steps,"
    )
    assert problems["engine"].remedy == "use one of: aot, tflm, tflm-reference; did you mean `tflm`?"
    assert problems["modle"].remedy.startswith("did you mean `model`?")
    assert caught.value.file == str(path) and caught.value.what.startswith(f"{path}: 8 errors\n  `")
    assert all(problem.what in caught.value.what for problem in problems.values())


def test_what_cannot_be_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"heads\n  3 does not divide `model.d_model` 64"):
        ModelConfig(heads=3, kv_heads=3, d_model=64)
    recipe = load_recipe(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match="engine"):
        recipe.with_engine("gpu")
    with pytest.raises(ValueError, match="boards"):
        recipe.with_boards([])
    with pytest.raises(ValueError, match="frozen"):
        recipe.engine = "tflm"  # type: ignore[misc]


def test_a_changed_recipe_says_so_everywhere(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    other = recipe.with_engine("tflm").with_boards(["mps2_an385", "mps2_an386"])
    assert other.part("engine") == {"engine": "tflm"} and other.boards == ("mps2_an385", "mps2_an386")
    assert other.path == recipe.path
    assert other.with_engine("aot").with_boards(recipe.boards) == recipe
    deeper = recipe.replace(model=recipe.model.replace(layers=2))
    assert deeper.fingerprint_data() != recipe.fingerprint_data()


def test_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    """2 and 2.0 are the same temperature and have other fingerprints; old weights know either."""
    sections: dict[str, Any] = {"distill": {"teacher": "t.yaml", "temperature": 2}, "train": {"dropout": 0}}
    recipe = load_recipe(write(tmp_path, changed(**sections)))
    assert json.dumps(recipe.part("distill")["distill"]["temperature"]) == "2"
    assert json.dumps(recipe.part("train")["train"]["dropout"]) == "0"
    assert recipe.part("task") == {"task": GOOD["task"]}, "a task is known by the keys that are written"


def test_empty_sections_are_absent_ones(tmp_path: Path) -> None:
    empty = dict.fromkeys(("prune", "qat", "budgets", "prompts", "engine", "quantize", "description"))
    assert load_recipe(write(tmp_path, changed(**empty))) == load_recipe(write(tmp_path, GOOD))
