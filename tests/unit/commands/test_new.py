"""`thimble new`: folders that can be run as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.commands.new import create_folder, template_names
from pipeline.errors import ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.recipes.paths import MODELS, shipped_models
from pipeline.tasks.registry import load_task, task_tests
from pipeline.text.normalize import Normalizer

TEMPLATES = [(kind, language) for kind, languages in template_names().items() for language in languages]


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize(("kind", "language"), TEMPLATES)
def test_each_template_is_a_task_that_loads(kind: str, language: str, tmp_path: Path) -> None:
    files = create_folder(tmp_path / "mine", kind, language)
    assert {Path("recipe.yaml"), Path("README.md")} <= set(files)
    recipe = load_recipe(tmp_path / "mine" / "recipe.yaml")
    assert recipe.name == "mine" and "$" not in (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    task, tests = load_task(recipe), task_tests(recipe)
    if kind == "corpus":
        documents = task.dataset().documents
        assert documents is not None and len(documents.train) > 400 and documents.dev and documents.held_out
        return
    assert len(task.examples()) >= 7
    if kind != "text":
        assert len(tests) >= 40 and sum(test.is_foreign for test in tests) >= 10
        intents = set(task.source.intents())  # type: ignore[attr-defined]
        assert {answer.intent for test in tests for answer in test.answers} <= intents


@pytest.mark.parametrize("language", ["en", "de"])
def test_tests_are_no_sentences_of_a_template(language: str, tmp_path: Path) -> None:
    create_folder(tmp_path / "mine", "appliance", language)
    recipe = load_recipe(tmp_path / "mine" / "recipe.yaml")
    source, normalizer = load_task(recipe).source, Normalizer()  # type: ignore[attr-defined]
    read = [test.sentence for test in task_tests(recipe) if source.reads(normalizer.text(test.sentence))]
    assert len(read) <= 4, read


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("kind", ["appliance", "tools"])
def test_its_folder_is_checked_as_its_recipe_is(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not as a folder of sentence files, in which recipe and tests are files without a meaning."""
    create_folder(tmp_path / "mine", kind, "en")
    found = []
    for path in (tmp_path / "mine", tmp_path / "mine" / "recipe.yaml"):
        assert main(["check", str(path), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert not [finding for finding in found[0]["findings"] if finding["kind"] == "file"]


def test_an_existing_folder_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine"]) == 0
    assert "recipe.yaml" in capsys.readouterr().out
    recipe = tmp_path / "mine" / "recipe.yaml"
    recipe.write_text("mine", encoding="utf-8")
    assert main(["new", "mine", "--like", "text"]) == 1
    assert "mine is there already" in capsys.readouterr().err and recipe.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["-x", ".hidden", "a b", "ä", "x" * 65])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="cannot name a recipe"):
        create_folder(tmp_path / name, "appliance", "en")
    assert not list(tmp_path.iterdir())


def test_what_there_is_no_template_for(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="no template 'appliance' in the language 'fr'") as caught:
        create_folder(tmp_path / "mine", "appliance", "fr")
    assert "--like appliance --language de|en" in caught.value.remedy
    with pytest.raises(ThimbleError, match="no folder"):
        create_folder(tmp_path / "none" / "mine", "appliance", "en")


def test_templates_are_no_shipped_models() -> None:
    assert "templates" not in shipped_models() and (MODELS / "templates").is_dir()
