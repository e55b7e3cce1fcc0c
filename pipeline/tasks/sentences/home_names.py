"""Names of homes for sentences with `{name}`, `{area}` and `{floor}`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, Problem
from pipeline.recipes.schema import SentencesConfig
from pipeline.tasks.home_assistant.home import Home, english_home, generic_home
from pipeline.tasks.home_assistant.words import NOUNS
from pipeline.tasks.sentences.files import SentenceFiles
from pipeline.tasks.sentences.names import HomeNames, Named, NameSource
from pipeline.text.annotation import Entry
from pipeline.validation import read_yaml

__all__ = ["home_names"]


def home_names(config: SentencesConfig, folder: Path, files: SentenceFiles) -> NameSource:
    """Names of the task's home, and made-up homes for training.

    Raises:
        ConfigError: the home's file cannot be read.
    """
    shipped = HomeNames() if config.home is None else _shipped(folder / config.home)
    if files.language.split("-", maxsplit=1)[0] == "en":
        home = english_home()
    else:
        texts = [
            sentence for intent in files.intents.intents.values() for b in intent.data for sentence in b.sentence_texts
        ]
        home = generic_home(texts, sorted(NOUNS), config.seed)
    return _MadeUpHomes(home, shipped)


class _MadeUpHomes:
    """A small home for each sentence, and the shipped one among them."""

    def __init__(self, home: Home, shipped: HomeNames) -> None:
        self._home, self._shipped = home, shipped
        self._domains = sorted({*(domain for domain in NOUNS), *(named.entry.kind for named in shipped.things)})
        rng = random.Random(1)
        self._homes = [self._made_up(rng) for _ in range(200)]
        if shipped.entries:
            self._homes += [shipped] * 50

    def _made_up(self, rng: random.Random) -> HomeNames:
        home = self._home
        names: dict[str, Named] = {}
        for domain in self._domains:
            for _ in range(rng.choice((1, 1, 2))):
                text = home.entity(rng, domain, held_out=False)
                names.setdefault(text, Named(Entry(text, domain, text), {"domain": domain}))
        areas = {text: Named(Entry(text, "area", text)) for text in (home.area(rng, False) for _ in range(6))}
        floors = {text: Named(Entry(text, "floor", text)) for text in (home.floor(rng) for _ in range(2))}
        return HomeNames(tuple(names.values()), tuple(areas.values()), tuple(floors.values()))

    def draw(self, rng: random.Random) -> HomeNames:
        return self._homes[int(rng.random() * len(self._homes))]

    def shipped(self) -> HomeNames:
        return self._shipped

    def domains(self) -> Sequence[str]:
        return self._domains


def _shipped(path: Path) -> HomeNames:
    remedy = "name a file with `areas` and `entities`"
    try:
        data = read_yaml(path, "home", remedy)
    except FileNotFoundError:
        raise ConfigError("", [Problem("home", f"there is no home file {path}", remedy)]) from None
    if not isinstance(data, Mapping):
        raise ConfigError(path, [Problem("", "it holds no mapping of keys", remedy)])

    def named(section: str, kind: str | None) -> tuple[Named, ...]:
        result = []
        for item in data.get(section) or ():
            body: Mapping[str, Any] = item if isinstance(item, Mapping) else {"name": item}
            name, domain = str(body.get("name", "")), str(kind or body.get("domain", "light"))
            context = {key: str(value) for key, value in body.items() if key in ("domain", "device_class", "area")}
            for text in (name, *map(str, body.get("aliases") or ())):
                result.append(Named(Entry(text, domain, name), {"domain": domain, **context} if kind is None else {}))
        return tuple(result)

    return HomeNames(named("entities", None), named("areas", "area"), named("floors", "floor"))
