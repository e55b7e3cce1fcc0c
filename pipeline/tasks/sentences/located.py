"""YAML whose texts and mappings know the file and line where they stand, so that messages can name them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError, Problem
from pipeline.files import PlainLoader

__all__ = ["UNKNOWN", "LocatedDict", "LocatedText", "Place", "place_of", "read_located", "with_place"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file; `str` gives `file:line`.

    Attributes:
        file: as the user named it.
        line: from 1; 0 for a file as a whole.
    """

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


UNKNOWN = Place()


class LocatedText(str):
    """Text of a YAML file."""

    __slots__ = ("place",)
    place: Place


class LocatedDict(dict[Any, Any]):
    """A mapping of a YAML file, and the keys that it has twice, of which the last counts."""

    place: Place = UNKNOWN
    duplicates: tuple[LocatedText, ...] = ()


def place_of(value: object) -> Place:
    """Where the value stands; that of the first thing in a list or a mapping that knows."""
    place = getattr(value, "place", None)
    if isinstance(place, Place):
        return place
    items: Iterator[object] = iter(())
    if isinstance(value, dict):
        items = (part for pair in value.items() for part in pair)
    elif isinstance(value, list | tuple):
        items = iter(value)
    return next((place for item in items if (place := place_of(item)) != UNKNOWN), UNKNOWN)


def located(text: str, place: Place) -> LocatedText:
    """The text with its place."""
    result = LocatedText(text)
    result.place = place
    return result


def with_place(value: Any, place: Place) -> Any:
    """Plain data whose texts and mappings all have this place."""
    if isinstance(value, str):
        return located(value, place)
    if isinstance(value, dict):
        result = LocatedDict({with_place(key, place): with_place(item, place) for key, item in value.items()})
        result.place = place
        return result
    return [with_place(item, place) for item in value] if isinstance(value, list) else value


def read_located(path: Path, name: str) -> Any:
    """The content of a YAML file.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        ConfigError: it cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = Problem("", f"cannot read the file {name}: {reason}", "name a YAML file in UTF-8 that is there")
        raise ConfigError("", [problem]) from None
    try:
        loader = _Loader(text)
        loader.file = name
        return loader.get_single_data()
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace("<unicode string>", name).split())
        raise ConfigError(name, [Problem("", f"not valid YAML: {reason}", "mend the line that it names")]) from None


class _Loader(PlainLoader):
    file = ""
    has_distinct_keys = False  # the last counts, as in Home Assistant; `check` notes it

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._slots: set[int] = set()  # nodes whose keys are names of slots

    def place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)

    def construct_text(self, node: yaml.ScalarNode) -> LocatedText:
        return located(str(self.construct_scalar(node)), self.place(node))

    def construct_located_map(self, node: yaml.MappingNode) -> Iterator[LocatedDict]:
        data = LocatedDict()
        data.place = self.place(node)
        yield data
        keys: list[Hashable] = []
        duplicates: list[LocatedText] = []
        of_slots = id(node) in self._slots
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True) if isinstance(key_node, yaml.ScalarNode) else None
            is_name = isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool) and not of_slots)
            if isinstance(key_node, yaml.ScalarNode) and not is_name:
                what = f"the key {key_node.value!r} is no text: write it in quotes"
                raise yaml.constructor.ConstructorError(None, None, what, key_node.start_mark)
            if key == "slots" and isinstance(value_node, yaml.MappingNode):
                self._slots.add(id(value_node))
            if key in keys and isinstance(key, LocatedText) and key != "<<":
                duplicates.append(key)
            keys.append(key)
        data.duplicates = tuple(duplicates)
        data.update(self.construct_mapping(node))


_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_text)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_located_map)
