"""Random homes for training, with names as real homes have them, so that a model learns kinds and never names.

A language's words are in `pipeline/languages/<code>/homes.yaml`:

- `areas`, `floors`, `people`, `brands`, `modifiers`: words and phrases; an area may be `[name, form]`, where `form` is
  what stands before a noun in a compound (`[küche, küchen]`), or what `{form}` stands for (`[cuisine, la cuisine]`);
- `modified_areas`: patterns of the fields `{area}` (the name, or the form), `{modifier}` and `{person}`, where these
  do not stand before the area ("chambre de Paul");
- `syllables`: `onsets` and `rimes` of made-up words;
- `patterns`: how names of things are put together, each with its weight. Fields: `{area}`, `{noun}`, `{modifier}`,
  `{person}`, `{brand}`, `{made}`, `{number}`, `{form}`, the form of an area, and `{compound}`, the form with the noun
  glued to it;
- `things`: by kind, or kind and device class (`sensor.battery`), the `nouns` of patterns, and whole `names`, which are
  used alone in four of five cases;
- `phrases`: by list, free text for wildcards;
- `declined`: by word its forms as an object and behind a preposition (`lampa: [lampę, lampy]`): names are said in
  sentences with these for the words that they begin with; areas with what their `form` has behind its first word;
- `glued`: whether words stand without spaces between them.

Names change as the language's `weave.yaml` says under `elision` ("lampe de la entrée").

A language without such a file gets made-up names from pairs of letters that its templates use.
"""

from __future__ import annotations

import random
import re
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, TypeVar

from pipeline.languages import languages, load_language_file
from pipeline.tasks.elision import Elision, elision_of
from pipeline.tasks.home_file import Area, Entity, Floor, Home
from pipeline.text.annotation import Entry
from pipeline.text.normalize import skeleton
from pipeline.text.vocabulary import Inflection

__all__ = ["HomeSource", "made_up_words"]

_T = TypeVar("_T")

_FIELD = re.compile(r"\{(\w+)\}")
_SAID_DECLINED = 0.6  # share of names that are said in another case
_POOL = 2_000  # homes that are drawn once, of which a sentence takes one
_COMMON = (
    ("light", 8), ("switch", 5), ("media_player", 3), ("cover", 3), ("climate", 2), ("lock", 2), ("fan", 2),
    ("vacuum", 1), ("lawn_mower", 0.3), ("valve", 0.5), ("scene", 2), ("script", 1.5), ("button", 1), ("todo", 1),
    ("person", 2), ("weather", 0.6), ("binary_sensor", 5), ("sensor", 6),
)  # fmt: skip
"""How often things of a kind stand in a home."""


class HomeSource:
    """Draws names and homes, the same for the same random numbers.

    Args:
        words: the content of a language's `homes.yaml`.
        pool_seed: decides the homes of the pool.
        avoided: names of things that are never drawn, lower-case, but those that are a noun of the language for such
            things: they name whatever home has one, and are no name to learn by heart.
        elision: of the language; none unless given.
        inflection: of the language; nothing is declined unless given.
    """

    def __init__(
        self,
        words: Mapping[str, Any],
        pool_seed: int = 1,
        avoided: frozenset[str] = frozenset(),
        elision: Elision | None = None,
        inflection: Inflection | None = None,
    ) -> None:
        self._elision = elision or Elision({})
        self._common_words = inflection.common_words if inflection else frozenset[str]()
        self._declined = lru_cache(1 << 16)(inflection.declined) if inflection and inflection.stems else None
        self._areas = [_area(item) for item in words["areas"]]
        self._floors: Sequence[str] = words["floors"]
        self._forms: Mapping[str, Sequence[str]] = words.get("declined") or {}
        self._places = {name: form.partition(" ")[2] for name, form in self._areas} if self._forms else {}
        self._people: Sequence[str] = words.get("people") or ["anna"]
        self._brands: Sequence[str] = words.get("brands") or words["modifiers"]
        self._modifiers: Sequence[str] = words["modifiers"]
        self._modified_areas: Sequence[str] = words.get("modified_areas") or ()
        self._phrases: Mapping[str, Sequence[str]] = words.get("phrases") or {}
        self._onsets: Sequence[str] = words["syllables"]["onsets"]
        self._rimes: Sequence[str] = words["syllables"]["rimes"]
        self._joiner = "" if words.get("glued") else " "
        self._things: Mapping[str, Mapping[str, Sequence[str]]] = words["things"]
        self._nouns = frozenset(noun.lower() for thing in self._things.values() for noun in thing.get("nouns") or ())
        self._avoided = avoided - self._nouns
        self._classes: dict[str, list[str]] = {}
        for key in self._things:
            self._classes.setdefault(key.partition(".")[0], []).append(key)
        patterns: Mapping[str, float] = words["patterns"]
        self._patterns = [_split_pattern(pattern) for pattern in patterns]
        self._pattern_weights = list(accumulate(patterns.values()))
        self._kinds = [kind for kind, _ in _COMMON if kind in self._classes]
        self._kind_weights = list(accumulate(weight for kind, weight in _COMMON if kind in self._classes))
        self._pool_seed = pool_seed
        self._pool: list[tuple[tuple[str, Entry], ...]] = []
        self._fields: dict[str, Callable[[random.Random], str]] = {
            "modifier": self._modifier,
            "person": lambda rng: _pick(rng, self._people),
            "brand": lambda rng: _pick(rng, self._brands),
            "made": self.made_up,
            "number": lambda rng: str(1 + int(9 * rng.random() ** 2)),
        }

    @classmethod
    def of_language(
        cls,
        code: str,
        template_texts: Sequence[str] = (),
        pool_seed: int = 1,
        avoided: frozenset[str] = frozenset(),
    ) -> HomeSource:
        """The source of a language, with made-up words where it has no file.

        Args:
            code: of the language.
            template_texts: literal text of the task's templates, for languages without a file.
            pool_seed: decides the homes of the pool.
            avoided: names of things that are never drawn, lower-case.
        """
        if {code, code.split("-", maxsplit=1)[0]} & set(languages("homes")):
            return cls(load_language_file(code, "homes"), pool_seed, avoided, elision_of(code), _inflection_of(code))
        return cls(made_up_words(template_texts, pool_seed), pool_seed, avoided)

    def stems(self, text: str) -> str:
        """A text in lower case with the stems of its words, where the language declines names; as it is elsewhere."""
        if self._declined is None:
            return text
        return f" {' '.join(self._declined(skeleton(word)) for word in text.split())} "

    @cached_property
    def words(self) -> frozenset[str]:
        """Words of which names are made, lower-case, but made-up ones."""
        texts = [
            *(name for name, _ in self._areas),
            *self._floors,
            *self._people,
            *self._brands,
            *self._modifiers,
            *(text for thing in self._things.values() for texts in thing.values() for text in texts),
        ]
        return frozenset(word for text in texts for word in text.lower().split())

    def area(self, rng: random.Random) -> str:
        """The name of an area."""
        return _cased(self._area(rng)[0], rng)

    def floor(self, rng: random.Random) -> str:
        """The name of a floor."""
        if rng.random() < 0.08:
            return _cased(f"{self.made_up(rng)}{self._joiner}{_pick(rng, self._floors)}", rng)
        return _cased(_pick(rng, self._floors), rng)

    def name(self, rng: random.Random, kind: str, device_class: str = "") -> str:
        """The name of a thing.

        Args:
            rng: random numbers.
            kind: one of `pipeline.tasks.home_file.KINDS`.
            device_class: of a sensor; empty for any.
        """
        while True:
            name = self._name(rng, kind, device_class)
            if name.lower() not in self._avoided:
                return name

    def _name(self, rng: random.Random, kind: str, device_class: str) -> str:
        if kind == "person":
            return _cased(_pick(rng, self._people) if rng.random() < 0.7 else self.made_up(rng), rng)
        key = f"{kind}.{device_class}"
        if key not in self._things:
            key = _pick(rng, self._classes.get(kind) or self._classes["switch"])
        thing = self._things[key]
        names = thing.get("names")
        if names and (rng.random() < 0.8 or not thing.get("nouns")):
            text = _pick(rng, names)
            if rng.random() < 0.1:
                text = f"{self.made_up(rng)}{self._joiner}{text}"
            return _cased(text, rng)
        return _cased(self._put_together(rng, thing["nouns"]), rng)

    def said(self, name: str, rng: random.Random) -> str:
        """A name as a sentence may say it: in another case, where the language declines names."""
        if not self._forms or rng.random() >= _SAID_DECLINED:
            return name
        place = self._places.get(name.lower())
        if place:
            return place
        words, form = name.split(), int(2 * rng.random())
        for index, word in enumerate(words):
            forms = self._forms.get(word.lower())
            if forms is None or (len(words) == 1 and forms[form] in self._common_words):
                break
            words[index] = forms[form].title() if word.istitle() else forms[form]
        return " ".join(words)

    def is_noun(self, name: str) -> bool:
        """Whether the name of a thing is what any such thing is called ("Garage door")."""
        return name.lower() in self._nouns

    def phrase(self, rng: random.Random, list_name: str) -> str:
        """Free text of a wildcard list."""
        known = self._phrases.get(list_name) or ()
        if known and rng.random() < 0.6:
            return _pick(rng, known)
        count = 1 + int(3 * rng.random() ** 2)
        parts = [self.made_up(rng) for _ in range(count)]
        if known and rng.random() < 0.7:
            other = _pick(rng, known).split(" ")
            parts[rng.randrange(len(parts))] = " ".join(other[: 1 + int(3 * rng.random())])
        return self._joiner.join(parts)

    def made_up(self, rng: random.Random) -> str:
        """A word that nobody knows."""
        count = (1, 2, 2, 3)[int(4 * rng.random())]
        return "".join([_pick(rng, self._onsets) + _pick(rng, self._rimes) for _ in range(count)])

    def kind(self, rng: random.Random) -> str:
        """The kind of a thing, as often as homes have it."""
        return self._kinds[bisect(self._kind_weights, rng.random() * self._kind_weights[-1])]

    def draw_home(self, rng: random.Random) -> Home:
        """A home of one to five floors, two to fifteen areas and five to forty things."""
        floors = [Floor(name=self.floor(rng)) for _ in range(rng.choice((0, 0, 1, 2, 3, 4)))]
        areas: dict[str, Area] = {}
        for _ in range(rng.randrange(2, 16)):
            name = self.area(rng)
            floor = rng.choice(floors).name if floors and rng.random() < 0.8 else ""
            areas.setdefault(name.lower(), Area(name=name, floor=floor))
        entities = []
        for _ in range(rng.randrange(5, 41)):
            kind = self.kind(rng)
            key = _pick(rng, self._classes[kind])
            device_class = key.partition(".")[2]
            called = kind
            if kind in ("sensor", "binary_sensor") and rng.random() < 0.15:  # a sensor is called as its thing is
                called = self._kinds[int(rng.random() * len(self._kinds))]
            name = self.name(rng, called, device_class if called == kind else "")
            aliases = (self.name(rng, kind, device_class),) if rng.random() < 0.06 else ()
            area = rng.choice(list(areas.values())).name
            entities.append(Entity(name=name, domain=kind, area=area, device_class=device_class, aliases=aliases))
        return Home(tuple(floors), tuple(areas.values()), tuple(entities))

    def other_entries(self, rng: random.Random) -> tuple[tuple[str, Entry], ...]:
        """The names of one home of a pool of homes, which is drawn once; each with the stems of its text in lower case
        between spaces."""
        if not self._pool:
            own = random.Random(f"homes:{self._pool_seed}")
            self._pool = [
                tuple((self.stems(f" {entry.text.lower()} "), entry) for entry in self.draw_home(own).entries())
                for _ in range(_POOL)
            ]
        return self._pool[int(rng.random() * _POOL)]

    def _area(self, rng: random.Random) -> tuple[str, str]:
        chance = rng.random()
        if chance < 0.72:
            # The list begins with what most homes have: the first tenth of it is drawn every fourth time.
            return self._areas[int(len(self._areas) * rng.random() ** 1.6)]
        if chance < 0.82:
            made = self.made_up(rng)
            return made, made
        name, form = _pick(rng, self._areas)
        if self._modified_areas:
            pattern = _pick(rng, self._modified_areas)
            parts = {"person": _pick(rng, self._people), "modifier": self._modifier(rng)}
            return self._said(pattern.format(area=name, **parts)), self._said(pattern.format(area=form, **parts))
        first = _pick(rng, self._people) if chance < 0.86 else self._modifier(rng)
        return f"{first}{self._joiner}{name}", f"{first}{self._joiner}{form}"

    def _modifier(self, rng: random.Random) -> str:
        return _pick(rng, self._modifiers) if rng.random() < 0.75 else self.made_up(rng)

    def _put_together(self, rng: random.Random, nouns: Sequence[str]) -> str:
        pattern = self._patterns[bisect(self._pattern_weights, rng.random() * self._pattern_weights[-1])]
        parts = []
        for text, name in pattern:
            parts.append(text)
            if name == "noun":
                parts.append(_pick(rng, nouns))
            elif name == "area":
                parts.append(self._area(rng)[0])
            elif name == "form":
                parts.append(self._area(rng)[1])
            elif name == "compound":
                parts.append(self._area(rng)[1] + _pick(rng, nouns))
            elif name:
                parts.append(self._fields[name](rng))
        return self._said("".join(parts))

    def _said(self, name: str) -> str:
        return self._elision.text(name, ())[0]


def made_up_words(template_texts: Sequence[str], seed: int) -> dict[str, Any]:
    """Words of a language that has no file: pairs of letters that its templates use, put together.

    Each kind, areas and floors get last words of their own, because a name mostly tells what it is.

    Args:
        template_texts: literal text of the templates.
        seed: of the made-up words.
    """
    rng = random.Random(seed)
    letters = [word for text in template_texts for word in text.lower().split() if len(word) > 1 and word.isalpha()]
    pairs = sorted({word[i : i + 2] for word in letters for i in range(0, len(word) - 1, 2)})
    onsets = [pair for pair in pairs if len(pair) == 2] or ["ka", "to", "mi"]
    rng.shuffle(onsets)
    onsets = onsets[:120]

    is_glued = not any(" " in text.strip() for text in template_texts)
    joiner = "" if is_glued else " "

    def several(count: int) -> list[str]:
        return sorted({"".join(rng.choice(onsets) for _ in range(rng.choice((2, 2, 3)))) for _ in range(count)})

    return {
        "areas": several(40),
        "floors": several(8),
        "people": several(40),
        "modifiers": several(100),
        "syllables": {"onsets": onsets, "rimes": [""]},
        "patterns": {
            f"{{modifier}}{joiner}{{noun}}": 6,
            f"{{area}}{joiner}{{noun}}": 4,
            "{noun}": 1,
            f"{{made}}{joiner}{{noun}}": 3,
            "{made}": 1,
        },
        "things": {kind: {"nouns": several(12)} for kind, _ in _COMMON},
        "glued": is_glued,
    }


def _pick(rng: random.Random, items: Sequence[_T]) -> _T:
    """As `rng.choice`, in half of its time."""
    return items[int(rng.random() * len(items))]


def _cased(name: str, rng: random.Random) -> str:
    """The name as people write it: each word with a capital, or as it is."""
    if rng.random() < 0.75:
        return " ".join([word[:1].upper() + word[1:] for word in name.split(" ")])
    return name


def _area(item: str | Sequence[str]) -> tuple[str, str]:
    return (item, item) if isinstance(item, str) else (item[0], item[1])


def _inflection_of(code: str) -> Inflection | None:
    """How the language changes names; None where it has no file."""
    found = [name for name in (code, code.split("-", maxsplit=1)[0]) if name in languages("inflection")]
    return Inflection.of(load_language_file(found[0], "inflection")) if found else None


def _split_pattern(pattern: str) -> list[tuple[str, str]]:
    """Literal text and the field behind it."""
    parts = _FIELD.split(pattern)
    return list(zip(parts[::2], [*parts[1::2], ""], strict=True))
