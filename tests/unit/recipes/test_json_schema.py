"""The JSON schemas in docs/schemas say what the models say, and editors find them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.recipes.json_schema import schemas
from pipeline.recipes.schema import Recipe, variants
from pipeline.resources import ROOT

SCHEMAS = ROOT / "docs" / "schemas"


def test_every_key_is_described() -> None:
    def undescribed(place: str, schema: dict[str, Any]) -> list[str]:
        keys = schema.get("properties", {})
        missing = [f"{place}.{key}" for key, entry in keys.items() if not {"description", "$ref"} & set(entry)]
        return missing + [name for key, part in schema.get("$defs", {}).items() for name in undescribed(key, part)]

    assert [name for file, schema in schemas().items() for name in undescribed(file, schema)] == []


def test_a_recipes_schema_has_what_its_validators_add() -> None:
    schema = schemas()["recipe.schema.json"]
    assert list(schema["properties"]) == list(Recipe.model_fields)
    model = schema["$defs"]["ModelConfig"]["properties"]
    assert model["variant"]["enum"] == variants() and "vocab_size" not in model
    assert schema["$defs"]["DistillConfig"]["properties"]["alpha"]["maximum"] == 1
    assert schema["$defs"]["TrainConfig"]["properties"]["dropout"]["exclusiveMaximum"] == 1


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("models/*/recipe.yaml")), *sorted(ROOT.glob("models/sweeps/*.yaml"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_files_name_their_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert match is not None
    named = (path.parent / match[1]).resolve()
    assert named.parent == SCHEMAS and named.exists()
    assert set(yaml.safe_load(text)) <= set(schemas()[named.name]["properties"])
