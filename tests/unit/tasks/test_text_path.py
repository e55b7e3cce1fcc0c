"""What a recipe's model reads and may answer: its codec."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ThimbleError
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.tasks.text_path import ANSWERS_FILE, TOKENIZER_FILE, recipe_codec
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import EOS, Tokenizer

RULES = 'root ::= "on" | "off"'


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "pairs.jsonl").write_text('{"sentence": "light on", "answer": "it is on"}\n')
    (tmp_path / "answer.gbnf").write_text(RULES)
    (tmp_path / "recipe.yaml").write_text(
        "name: spoken\ntask: {name: pairs, files: [pairs.jsonl]}\ntokenizer: {vocab_size: 300}\n"
        "model: {variant: nano}\ntrain: {steps: 10}\nboards: [mps2_an386]\nanswers: {grammar: answer.gbnf}\n"
    )
    Tokenizer.train(["light on", "it is off"], 270, 1).save(tmp_path / TOKENIZER_FILE)
    return load_recipe(tmp_path / "recipe.yaml")


def test_answers_in_text_follow_the_recipes_grammar(recipe: Recipe, tmp_path: Path) -> None:
    codec = recipe_codec(recipe, tmp_path)
    assert isinstance(codec, PlainCodec) and codec.grammar is not None
    prompt = codec.prompt("light on")
    first = [codec.tokenizer.pieces[token] for token in prompt.allowed(()) or ()]
    assert first and all(piece[:1] == b"o" for piece in first)
    assert prompt.allowed(codec.tokenizer.encode("off")) == [EOS]
    bare = recipe.replace(answers=recipe.answers.replace(grammar=None))
    assert recipe_codec(bare, tmp_path).prompt("light on").allowed(()) is None


def test_a_grammar_that_cannot_be(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "answer.gbnf").write_text("root ::= missing")
    with pytest.raises(ThimbleError, match="line 1: there is no rule 'missing'"):
        recipe_codec(recipe, tmp_path)
    (tmp_path / "answer.gbnf").unlink()
    with pytest.raises(ThimbleError, match="cannot read the grammar"):
        recipe_codec(recipe, tmp_path)
    (tmp_path / ANSWERS_FILE).write_text("{}")
    with pytest.raises(ThimbleError, match="intents and slots"):
        recipe_codec(recipe, tmp_path)
