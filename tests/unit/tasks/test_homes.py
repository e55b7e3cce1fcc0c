"""Homes: files of three formats, Home Assistant's registries, and made-up homes for training."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.main import main
from pipeline.errors import ThimbleError
from pipeline.languages import languages, load_language_file
from pipeline.tasks.home_file import KINDS, Home, kind_of, load_home
from pipeline.tasks.home_registry import home_of_registries, write_home
from pipeline.tasks.homes import HomeSource
from pipeline.text.annotation import Entry
from pipeline.text.normalize import skeleton
from pipeline.text.vocabulary import Inflection


def _load(tmp_path: Path, text: str) -> Home:
    path = tmp_path / "home.yaml"
    path.write_text(text, encoding="utf-8")
    return load_home(path)


def test_entries_are_names_and_aliases_with_their_kinds(tmp_path: Path) -> None:
    home = _load(
        tmp_path,
        "areas: [{name: Kitchen, floor: Ground Floor, aliases: [Cookery]}]\n"
        "entities:\n"
        "  - {name: Mini Split, domain: climate, area: Kitchen, aliases: [A.C.]}\n"
        "  - {name: Nightlight, domain: input_boolean}\n",
    )
    assert home.entries() == (
        Entry("Mini Split", "climate", "Mini Split"),
        Entry("Nightlight", "switch", "Nightlight"),
        Entry("A.C.", "climate", "Mini Split"),
        Entry("Kitchen", "area", "Kitchen"),
        Entry("Cookery", "area", "Kitchen"),
        Entry("Ground Floor", "floor", "Ground Floor"),
    )


def test_a_name_of_several_entities_has_the_kind_that_commands_act_on(tmp_path: Path) -> None:
    home = _load(
        tmp_path,
        "areas: [{name: Front Door}]\n"
        "entities:\n"
        "  - {name: Front Door, domain: sensor, device_class: battery}\n"
        "  - {name: Front Door, domain: binary_sensor, device_class: door}\n"
        "  - {name: front door, domain: lock}\n",
    )
    assert home.entries() == (Entry("front door", "lock", "front door"),)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = (
        "areas: [{name: Kitchen}, {name: kitchen}]\nentities: [{name: Lamp, domain: light, area: Attic}, {domain: fan}]"
    )
    with pytest.raises(ThimbleError) as caught:
        _load(tmp_path, text)
    assert "entities" in str(caught.value) and "name" in str(caught.value)
    with pytest.raises(ThimbleError) as caught:
        _load(tmp_path, text.replace(", {domain: fan}", ""))
    assert "Attic" in str(caught.value) and "kitchen" in str(caught.value)


def test_homes_of_test_sentences_are_read(tmp_path: Path) -> None:
    data = {
        "floors": [{"id": "up", "names": ["Upstairs", "Top"]}],
        "areas": [{"id": "den", "floor": "up", "names": ["Den"]}],
        "entities": [{"id": "light.lamp", "area": "den", "device_class": None, "names": ["Lamp", "Lantern"]}],
    }
    home = _load(tmp_path, json.dumps(data))
    assert home.entries() == (
        Entry("Lamp", "light", "Lamp"),
        Entry("Lantern", "light", "Lamp"),
        Entry("Den", "area", "Den"),
        Entry("Upstairs", "floor", "Upstairs"),
        Entry("Top", "floor", "Upstairs"),
    )
    assert home.entities[0].area == "Den" and home.areas[0].floor == "Upstairs"


def test_synthetic_homes_are_read(tmp_path: Path) -> None:
    home = _load(
        tmp_path,
        "areas: [{name: Den, id: den, floor: Upstairs}]\n"
        "devices: [{name: Hub, id: hub, area: den}]\n"
        "entities: [{name: Hub Light, id: light.hub, device: hub}, {name: Door, id: binary_sensor.door, area: den,"
        " attributes: {device_class: door}}]\n",
    )
    assert [(entity.name, entity.kind, entity.area) for entity in home.entities] == [
        ("Hub Light", "light", "Den"),
        ("Door", "binary_sensor", "Den"),
    ]
    assert home.entities[1].device_class == "door"


def _registry(folder: Path, key: str, **data: Any) -> Path:
    path = folder / key
    path.write_text(json.dumps({"version": 1, "key": key, "data": data}), encoding="utf-8")
    return path


def _registries(folder: Path, exposed: Mapping[str, bool] | None = None) -> list[Path]:
    entities: list[dict[str, Any]] = [
        {"entity_id": "light.a", "original_name": None, "has_entity_name": True, "device_id": "d", "aliases": ["Glow"]},
        {"entity_id": "sensor.b", "original_name": "Humidity", "has_entity_name": True, "device_id": "d"},
        {"entity_id": "switch.c", "name": "Kettle", "area_id": "kitchen", "original_device_class": "outlet"},
        {"entity_id": "switch.d", "name": "Off", "disabled_by": "user"},
        {"entity_id": "sensor.e", "name": "Diagnosis", "entity_category": "diagnostic"},
        {"entity_id": "fan.front_fan"},
    ]
    for entity in entities:
        if exposed is not None:
            options = {"conversation": {"should_expose": exposed.get(entity["entity_id"], False)}}
            entity["options"] = options
    return [
        _registry(folder, "core.entity_registry", entities=entities),
        _registry(folder, "core.device_registry", devices=[{"id": "d", "name": "Tower", "area_id": "kitchen"}]),
        _registry(folder, "core.area_registry", areas=[{"id": "kitchen", "name": "Kitchen", "floor_id": "g"}]),
        _registry(folder, "core.floor_registry", floors=[{"floor_id": "g", "name": "Ground", "aliases": ["Main"]}]),
    ]


def test_registries_of_home_assistant_become_a_home(tmp_path: Path) -> None:
    home = home_of_registries(_registries(tmp_path))
    assert [(entity.name, entity.domain, entity.area) for entity in home.entities] == [
        ("Tower", "light", "Kitchen"),
        ("Tower Humidity", "sensor", "Kitchen"),
        ("Kettle", "switch", "Kitchen"),
        ("front fan", "fan", ""),
    ]
    assert home.entities[0].aliases == ("Glow",)
    assert home.areas[0].floor == "Ground" and home.floors[0].aliases == ("Main",)
    write_home(home, tmp_path / "home.yaml")
    assert load_home(tmp_path / "home.yaml") == home.home()


def test_only_exposed_entities_where_the_registry_says_so(tmp_path: Path) -> None:
    home = home_of_registries(_registries(tmp_path, {"switch.c": True}))
    assert [entity.name for entity in home.entities] == ["Kettle"]


def test_the_command_writes_a_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registries = [str(path) for path in _registries(tmp_path)]
    out = tmp_path / "mine.yaml"
    assert main(["home", "import", *registries, "--out", str(out)]) == 0
    assert "4 entities" in capsys.readouterr().out
    assert len(load_home(out).entities) == 4
    assert main(["home", "import", *registries, "--out", str(out)]) == 1
    assert main(["home", "import", *registries[1:], "--out", str(out), "--force"]) == 1
    assert "no entity registry" in capsys.readouterr().err


def test_a_file_that_is_no_registry_is_an_error(tmp_path: Path) -> None:
    path = _registry(tmp_path, "core.config")
    with pytest.raises(ThimbleError, match=r"core\.config.*holds no names"):
        home_of_registries([path])


def test_every_domain_has_a_kind() -> None:
    assert {kind_of(kind) for kind in KINDS} == set(KINDS)
    assert kind_of("input_button") == "button"
    assert kind_of("number") == "sensor"


@pytest.mark.parametrize("language", languages("homes"))
def test_made_up_homes_are_homes(language: str) -> None:
    source, rng = HomeSource.of_language(language), random.Random(1)
    kinds: set[str] = set()
    for _ in range(200):
        home = source.draw_home(rng)
        areas = {area.name for area in home.areas}
        assert 5 <= len(home.entities) <= 40 and 1 <= len(areas) <= 15
        assert all(entity.area in areas for entity in home.entities)
        entries = home.entries()
        assert all(entry.text == " ".join(entry.text.split()) != "" for entry in entries)
        kinds |= {entry.kind for entry in entries}
    assert kinds == {*KINDS, "area", "floor"}


@pytest.mark.parametrize("language", languages("homes"))
def test_names_are_many(language: str) -> None:
    source, rng = HomeSource.of_language(language), random.Random(1)
    for kind in ("light", "switch", "cover", "sensor"):
        assert len({source.name(rng, kind) for _ in range(1_000)}) > 800
    assert len({source.area(rng) for _ in range(1_000)}) > 300


def test_the_same_random_numbers_draw_the_same_home() -> None:
    first, second = (HomeSource.of_language("en").draw_home(random.Random(7)) for _ in range(2))
    assert first == second


def test_polish_names_are_said_in_other_cases_that_are_found() -> None:
    source, rng = HomeSource.of_language("pl"), random.Random(4)
    said = {(name, source.said(name, rng)) for _ in range(40) for name in ("Lampka Nocna Ani", "Kuchnia", "Zenek")}
    assert said == {
        *(("Lampka Nocna Ani", form) for form in ("Lampka Nocna Ani", "Lampkę Nocną Ani", "Lampki Nocnej Ani")),
        *(("Kuchnia", form) for form in ("Kuchnia", "kuchni")),
        ("Zenek", "Zenek"),
    }
    inflection = Inflection.of(load_language_file("pl", "inflection"))
    for name, forms in load_language_file("pl", "homes")["declined"].items():
        for form in forms:
            stem = inflection.declined(skeleton(form))
            assert stem in (inflection.declined(skeleton(name)), skeleton(name)), form


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_names_are_said_as_they_are_where_nothing_is_declined(language: str) -> None:
    source, rng = HomeSource.of_language(language), random.Random(4)
    state = rng.getstate()
    assert source.said("Kitchen", rng) == "Kitchen"
    assert rng.getstate() == state
    assert source.stems(" a b ") == " a b "
