"""A home file from Home Assistant's own storage: `.storage/core.entity_registry` and its siblings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError
from pipeline.tasks.home_file import HomeFile
from pipeline.validation import validate

__all__ = ["home_of_registries", "write_home"]

_REMEDY = "name the files `core.entity_registry`, `core.area_registry` … of Home Assistant's folder `.storage`"
_LISTS = {
    "core.entity_registry": "entities",
    "core.area_registry": "areas",
    "core.device_registry": "devices",
    "core.floor_registry": "floors",
}
_UNSPOKEN = ("update", "camera", "image", "device_tracker", "zone", "sun", "event", "conversation", "stt", "tts")
"""Domains about which nobody asks by name."""


def home_of_registries(paths: Sequence[Path]) -> HomeFile:
    """The home that registries describe: entities that are enabled and visible, with the names that Home Assistant
    shows, areas, and floors.

    Where the entities' registry says which ones are exposed to voice assistants, only these.

    Args:
        paths: files of `.storage`, the entities' among them; others as far as they are known.

    Raises:
        ThimbleError: a file cannot be read or is no registry, or the entities' is missing.
        ConfigError: what it describes is no home.
    """
    lists: dict[str, list[Mapping[str, Any]]] = {}
    for path in paths:
        key, data = _read(path)
        lists[_LISTS[key]] = [item for item in data.get(_LISTS[key], []) if isinstance(item, Mapping)]
    if "entities" not in lists:
        raise ThimbleError("no entity registry is among the files", _REMEDY)
    floors = {str(item.get("floor_id")): item for item in lists.get("floors", [])}
    areas = {str(item.get("id") or item.get("area_id")): item for item in lists.get("areas", [])}
    devices = {str(item.get("id")): item for item in lists.get("devices", [])}
    entities = [item for item in lists["entities"] if _is_spoken_of(item)]
    if any(_exposed(item) is not None for item in entities):
        entities = [item for item in entities if _exposed(item)]
    home = {
        "floors": [_named(item, "") for item in floors.values()],
        "areas": [
            {**_named(item, ""), "floor": str(floors.get(str(item.get("floor_id")), {}).get("name", ""))}
            for item in areas.values()
        ],
        "entities": [_entity(item, areas, devices) for item in entities],
    }
    return validate(HomeFile, home, paths[0])


def write_home(home: HomeFile, path: Path) -> None:
    """Writes a home file, a line for each name, without what is empty."""
    data = home.model_dump(mode="json")
    lines: list[str] = []
    for section, items in data.items():
        if items:
            lines.append(f"{section}:")
            lines += [f"  - {_flow({key: value for key, value in item.items() if value})}" for item in items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _flow(item: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(item), default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
    return str(text).strip()


def _read(path: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        key, data = content["key"], content["data"]
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", _REMEDY) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ThimbleError(f"{path} is no registry of Home Assistant: {error!r}", _REMEDY) from None
    if key not in _LISTS or not isinstance(data, Mapping):
        raise ThimbleError(f"{path} is `{key}`, which holds no names of a home", _REMEDY)
    return key, data


def _is_spoken_of(entity: Mapping[str, Any]) -> bool:
    domain = _domain(entity)
    flags = ("disabled_by", "hidden_by", "entity_category")
    return bool(domain) and domain not in _UNSPOKEN and not any(entity.get(flag) for flag in flags)


def _exposed(entity: Mapping[str, Any]) -> bool | None:
    options = entity.get("options")
    conversation = options.get("conversation") if isinstance(options, Mapping) else None
    said = conversation.get("should_expose") if isinstance(conversation, Mapping) else None
    return None if said is None else bool(said)


def _domain(entity: Mapping[str, Any]) -> str:
    return str(entity.get("entity_id", "")).partition(".")[0]


def _entity(
    entity: Mapping[str, Any], areas: Mapping[str, Mapping[str, Any]], devices: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    device = devices.get(str(entity.get("device_id")), {})
    area = areas.get(str(entity.get("area_id") or device.get("area_id")), {})
    return {
        **_named(entity, _shown_name(entity, device)),
        "domain": _domain(entity),
        "area": str(area.get("name", "")),
        "device_class": str(entity.get("device_class") or entity.get("original_device_class") or ""),
        "id": str(entity.get("entity_id", "")),
    }


def _shown_name(entity: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    """The name that Home Assistant shows."""
    if entity.get("name"):
        return str(entity["name"])
    own = str(entity.get("original_name") or "")
    if entity.get("has_entity_name") or not own:
        own = f"{device.get('name_by_user') or device.get('name') or ''} {own}".strip()
    return own or str(entity.get("entity_id", "")).partition(".")[2].replace("_", " ")


def _named(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    name = name or str(item.get("name") or "")
    aliases = item.get("aliases")
    texts = [str(alias) for alias in aliases if alias] if isinstance(aliases, list) else []
    return {"name": name, "aliases": [alias for alias in texts if alias != name]}
