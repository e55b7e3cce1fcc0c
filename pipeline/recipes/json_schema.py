"""JSON schemas of recipes, boards and sweeps, with which editors complete and check the files.

They are made from the models: descriptions are the docstrings of the keys. The command `schemas` writes the files.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pipeline.recipes.schema import Recipe, variants
from pipeline.recipes.sweep_schema import SweepFile
from pipeline.targets.boards import Board
from pipeline.targets.cores import CORES

__all__ = ["schema_of", "schemas"]

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""What editors' YAML servers read; pydantic's schemas use nothing of a later draft but `$defs`, which they know."""


_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""Bounds that pydantic leaves as they are where a validator of ours stands around the number."""


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by the name of their file."""
    recipe = schema_of(Recipe, "A recipe of Thimble")
    _complete_recipe(recipe)
    board = schema_of(Board, "A board of Thimble: board.yaml")
    board["properties"]["core"]["enum"] = list(CORES)
    sweep = schema_of(SweepFile, "A sweep of Thimble")
    return {"recipe.schema.json": recipe, "board.schema.json": board, "sweep.schema.json": sweep}


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """A model's schema, without the titles that pydantic makes of the keys' names."""
    schema: dict[str, Any] = _cleaned(model.model_json_schema())
    return {"$schema": _DIALECT, "title": title, **schema}


def _complete_recipe(schema: dict[str, Any]) -> None:
    """What the model's validators add: variants, the vocabulary from the tokenizer, empty sections, and which sections
    a trained and an imported model have."""
    model = schema["$defs"]["ModelConfig"]
    del model["properties"]["vocab_size"]
    variant = {"enum": variants(), "description": "A file of models/variants, whose keys further keys override."}
    model["properties"] = {"variant": variant, **model["properties"]}
    for task in ("HomeAssistantConfig", "TextTask"):
        schema["$defs"][task]["required"] = ["name"]
    examples = schema["$defs"]["ToolsConfig"]["properties"]["examples"]["additionalProperties"]
    examples["items"] = {"anyOf": [{"type": "string"}, examples["items"]]}
    imported = {"properties": {"task": {"properties": {"name": {"const": "text"}}}}}
    schema["if"], schema["then"], schema["else"] = imported, {"required": ["weights"]}, {"required": ["train"]}


def _cleaned(value: Any, named: bool = False) -> Any:
    """Without titles; descriptions in one line. `named`: the value's keys are names of properties."""
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    cleaned: dict[str, Any] = {}
    for key, entry in value.items():
        if key == "title" and not named:
            continue
        if key == "description" and not named:
            cleaned[key] = " ".join(entry.split())
            continue
        name = key if named else _BOUNDS.get(str(key), str(key))
        cleaned[name] = _cleaned(entry, named=not named and key in ("properties", "$defs"))
    return cleaned
