"""Homes of other formats, in which something is of another kind than they have there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.tasks.home_file import load_home


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("areas: [{id: a, names: 5}]", "areas.0.names"),
        ("areas: [{id: [a], names: [Kitchen]}]", "areas.0.id"),
        ("areas: [{id: a, names: [Kitchen]}]\nentities: [{id: light.a, names: {a: b}}]", "entities.0.names"),
        ("areas: [{id: a, name: A, floor: [up]}]", "areas.0.floor"),
        ("areas: [{id: a, name: A}]\nentities: [{id: light.a, device: {a: b}}]", "entities.0.device"),
        ("areas: [{id: a, name: A}]\nentities: [{id: light.a, name: L, attributes: 5}]", "entities.0.attributes"),
        ("areas: [{id: a, name: A}]\ndevices: [{id: {}, name: D}]", "devices.0.id"),
    ],
)
def test_what_is_of_another_kind_is_named_with_its_key(text: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_home(path)
    assert key in [problem.key for problem in caught.value.problems]


def test_a_home_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no home at .*nowhere\.yaml"):
        load_home(tmp_path / "nowhere.yaml")
