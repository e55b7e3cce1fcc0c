"""Commands and questions taken apart and put together again, by the tables of a language's `weave.yaml`.

`docs/language-files.md` explains the tables.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from pipeline.errors import ThimbleError
from pipeline.tasks.elision import Elision
from pipeline.tasks.phrases import SEAM, Hole, Pattern, Piece, items, lines, parse_pattern

__all__ = ["Clause", "Frames", "Grammar", "Parts", "Verb", "VerbGroup", "pieces_of"]

Pieces = tuple[Piece, ...]

_MAY_BE_EMPTY = frozenset({"rest", "benefactor", "object", "adverbials", "particle", "early", "late"})
_HOLD_OBJECT = frozenset({"rest", "object", "subject", "negative", "thing"})
_HOLD_ADVERBIALS = frozenset({"rest", "adverbials", "value", "thing"})
_SAME_VERB = 0.4  # share of commands that keep their verb, where it has synonyms


@dataclass(frozen=True)
class Verb:
    """A verb of the table.

    Attributes:
        name: as the groups write it.
        particle: words that stand apart from the finite verb ("ein", "in Gang", "up").
        forms: pieces by hole: `<column>`, with the particle; `bare_<column>`, without; `to_infinitive`.
        is_free: whether the particle may stand before the object too ("turn on the light", "turn the light on").
        is_bound: whether it stands nowhere else ("faire cuire les pâtes").
    """

    name: str
    particle: Pieces
    forms: Mapping[str, Pieces]
    is_free: bool
    is_bound: bool = False


@dataclass(frozen=True)
class VerbGroup:
    """Verbs that stand for each other.

    Attributes:
        name: which frames and negatives refer to.
        verbs: synonyms.
        states: what may stand alone for the verb ("Licht an").
        asks: whether the command asks for a thing, so that the thing alone may stand for it.
        needs: features that a command must have to be read as one of the group.
    """

    name: str
    verbs: tuple[Verb, ...]
    states: tuple[Pieces, ...]
    asks: bool
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Clause:
    """A command without its form.

    Attributes:
        verb: of the command.
        group: its synonyms.
        values: pieces by hole, as far as the verb does not matter.
        features: names of the holes that are not empty, and what the object is: `definite`, `indefinite`, `bare`,
            `singular`, `plural`.
        has_verb: whether the command said its verb, and not only a state ("lights off").
    """

    verb: Verb
    group: VerbGroup
    values: Mapping[str, Pieces]
    features: frozenset[str]
    has_verb: bool = True


class Parts(NamedTuple):
    """A direct question without its order, or a thing that is asked for.

    Attributes:
        values: pieces by hole: `wh`, `verb`, `subject`, `predicate`, `adverbials`, `rest` of a question; `thing`.
        features: names of the holes that are not empty; of a question, whether it is `open` or `closed`, and whether it
            `asks_subject` ("how many lamps are on").
    """

    values: Mapping[str, Pieces]
    features: frozenset[str]


class _Frame(NamedTuple):
    pattern: Pattern
    required: frozenset[str]
    without: frozenset[str]
    groups: frozenset[str]
    not_groups: frozenset[str]
    holds_object: bool
    holds_adverbials: bool


class Frames:
    """Patterns of several classes, each class with a weight.

    Args:
        classes: by name `{weight, needs, without, groups, not_groups, patterns}`.
        rules: alternatives by name.
        is_complete: whether a frame must say all that the clause said.

    Attributes:
        patterns: all of them by class.
    """

    def __init__(
        self, classes: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Sequence[str]], is_complete: bool = True
    ) -> None:
        self._is_complete = is_complete
        self._classes: list[tuple[float, list[_Frame]]] = []
        self._eligible: dict[tuple[str, frozenset[str]], tuple[list[float], list[list[Pattern]]]] = {}
        self.patterns: dict[str, list[Pattern]] = {}
        for name, value in classes.items():
            patterns = [parse_pattern(str(source), rules) for source in lines(value["patterns"])]
            needs, without = frozenset(value.get("needs", ())), frozenset(value.get("without", ()))
            groups, not_groups = frozenset(value.get("groups", ())), frozenset(value.get("not_groups", ()))
            frames = [
                _Frame(
                    pattern,
                    (pattern.holes - _MAY_BE_EMPTY) | needs,
                    without,
                    groups,
                    not_groups,
                    bool(pattern.holes & _HOLD_OBJECT),
                    bool(pattern.holes & _HOLD_ADVERBIALS),
                )
                for pattern in patterns
            ]
            self._classes.append((float(value.get("weight", 1)), frames))
            self.patterns[name] = patterns

    def draw(self, rng: random.Random, group: str, features: frozenset[str]) -> list[Piece | Hole] | None:
        """One frame that these features fill, none where there is no such frame."""
        key = (group, features)
        if key not in self._eligible:
            weights, lists = [], []
            for weight, frames in self._classes:
                fitting = [frame.pattern for frame in frames if self._fits(frame, group, features)]
                if fitting:
                    weights.append(weight)
                    lists.append(fitting)
            self._eligible[key] = (list(accumulate(weights)), lists)
        cumulative, lists = self._eligible[key]
        if not lists:
            return None
        patterns = rng.choices(lists, cum_weights=cumulative)[0]
        return patterns[int(rng.random() * len(patterns))].draw(rng)

    def _fits(self, frame: _Frame, group: str, features: frozenset[str]) -> bool:
        if group in frame.not_groups or (frame.groups and group not in frame.groups):
            return False
        if not frame.required <= features or frame.without & features:
            return False
        if not self._is_complete:
            return True
        return (frame.holds_object or "object" not in features) and (
            frame.holds_adverbials or "adverbials" not in features
        )


def pieces_of(text: str) -> Pieces:
    """Words as pieces without fixed spans."""
    return tuple(Piece(word) for word in text.split())


class Grammar:
    """The verbs and small words of a language.

    Args:
        data: a `weave.yaml`.

    Raises:
        ThimbleError: a group names a stem that is not in the table, or a stem has too few forms.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        table = data["verbs"]
        self.elision = Elision(data.get("elision", {}))
        self.columns: tuple[str, ...] = tuple(table["columns"])
        self._particle_before = table["particle"] == "before"
        self._marked: Mapping[str, str] = table.get("marked_infinitive") or {}
        self._is_apart = bool(table.get("apart"))
        self.stems = {row.split()[0]: row.split() for row in lines(table["stems"])}
        for stem, forms in self.stems.items():
            if len(forms) != len(self.columns):
                raise ThimbleError(
                    f"the verb {stem!r} has {len(forms)} forms",
                    f"give it {len(self.columns)}: {', '.join(self.columns)}",
                )
        self.groups: list[VerbGroup] = []
        self._by_stem: dict[str, list[tuple[Verb, VerbGroup]]] = {}
        self._by_final: dict[str, list[tuple[Verb, VerbGroup]]] = {}
        self._by_state: dict[str, VerbGroup] = {}
        final = tuple(table.get("final", ()))
        for name, value in table["groups"].items():
            own = [self._verb(verb) for verb in value["verbs"]]
            also = [self._verb(verb) for verb in value.get("also", ())]
            states = tuple(pieces_of(state) for state in value.get("states", ()))
            group = VerbGroup(name, (*own, *also), states, bool(value.get("asks")), frozenset(value.get("needs", ())))
            self.groups.append(group)
            for verb in own:
                self._by_stem.setdefault(verb.forms[f"bare_{self.columns[0]}"][0].text.lower(), []).append(
                    (verb, group)
                )
                for column in final:
                    lasts = {verb.forms[column][-1].text.lower()}
                    if self._is_apart:
                        lasts.add(verb.forms[f"bare_{column}"][-1].text.lower())
                    for last in sorted(lasts):
                        self._by_final.setdefault(last, []).append((verb, group))
            for state in value.get("reads_states", value.get("states", ())):
                self._by_state.setdefault(state.lower(), group)
        for known in (self._by_stem, self._by_final):
            for verbs in known.values():
                verbs.sort(key=lambda item: -len(item[0].particle))
        self._imperatives: dict[str, list[tuple[Verb, VerbGroup]]] = {}
        self._polite: dict[str, list[tuple[Verb, VerbGroup]]] = {}
        polite = table.get("polite") or {}
        self._polite_word = str(polite.get("word", "")).lower()
        for stem, forms in self.stems.items():
            verbs = self._by_stem.get(stem.lower(), [])
            for column, form in zip(self.columns, forms, strict=True):
                if column in table["imperatives"]:
                    known_verbs = self._imperatives.setdefault(form.lower(), [])
                    known_verbs += [verb for verb in verbs if verb not in known_verbs]
                if column == polite.get("form"):
                    self._polite[form.lower()] = verbs
        self._nouns = frozenset(table.get("nouns", ()))
        self._adverbials = frozenset(word.lower() for word in data["adverbials_begin"])
        self._links = frozenset(data["links"])
        self._dropped = frozenset(word.lower() for word in data["politeness"])
        self._datives = frozenset(data.get("datives", ()))
        self.small_talk = self._dropped | self._datives | self._adverbials | set(data["surface"]["articles"])
        self._pronouns = frozenset(data.get("pronouns", ()))
        self._leads = sorted((tuple(lead.lower().split()) for lead in data.get("leads", ())), key=len, reverse=True)
        self._determiners: Mapping[str, Mapping[str, str]] = {
            word: value for value in data["determiners"] for word in value["words"].split()
        }
        self.determiners = frozenset(self._determiners)
        self._declined = {
            forms[0]: (forms[1:], value)
            for value in data.get("cases", ())
            for forms in map(str.split, items(value["words"]))
        }
        self._plural_endings = tuple(data["plural_endings"])
        self._bare_plural_endings = tuple(data.get("bare_plural_endings", self._plural_endings))
        self._plural_exceptions = tuple(data.get("plural_exceptions", ()))
        self._weak_endings = tuple(data.get("weak_endings", ()))
        self._small = frozenset(data.get("small_words", ()))
        questions = data["questions"]
        self._wh = frozenset(questions["words"])
        self._finite = frozenset(questions["finite"])
        self._predicates = frozenset(questions.get("predicates", ()))
        self._openers = sorted((opener.split() for opener in questions.get("openers", ())), key=len, reverse=True)
        self._contractions = {word: list(pieces_of(words)) for word, words in questions.get("contractions", {}).items()}

    def _verb(self, name: str) -> Verb:
        words = name.replace("|", " ").replace("+", " ").replace(" _ ", " ").split()
        stem, rest = (words[-1], words[:-1]) if self._particle_before else (words[0], words[1:])
        if stem not in self.stems:
            raise ThimbleError(f"the verb {name!r} has no stem {stem!r}", "add it to `verbs: stems`")
        forms: dict[str, Pieces] = {}
        is_joined = "|" in name
        for column, form in zip(self.columns, self.stems[stem], strict=True):
            forms[f"bare_{column}"] = pieces_of(form)
            if is_joined:
                forms[column] = pieces_of("".join(rest) + form)
            else:
                forms[column] = pieces_of(" ".join([*rest, form] if self._particle_before else [form, *rest]))
        if self._marked:
            form = self.stems[stem][self.columns.index(self._marked["form"])]
            word = self._marked["word"]
            marked = ("" if is_joined and not self._is_apart else " ").join([*rest, word, form])
            forms["to_infinitive"] = pieces_of(marked)
        is_free = not self._particle_before and " _ " not in name
        return Verb(name, pieces_of(" ".join(rest)), forms, is_free, "+" in name)

    def words(self) -> frozenset[str]:
        """All forms of all verbs, in lower case."""
        forms = {form.lower() for row in self.stems.values() for form in row}
        for group in self.groups:
            for verb in group.verbs:
                forms.update(piece.text.lower() for pieces in verb.forms.values() for piece in pieces)
        return frozenset(forms)

    def parse(self, pieces: Sequence[Piece]) -> Clause | None:
        """Takes a command apart.

        Args:
            pieces: of a sentence.

        Returns:
            None where its verb is not in the table, or the sentence is no command.
        """
        kept = self._kept(pieces)
        if not kept:
            return None
        lower = ["" if piece.spans else piece.text.lower() for piece in kept]
        lead = next((len(words) for words in self._leads if tuple(lower[: len(words)]) == words), 0)
        kept, lower = kept[lead:], lower[lead:]
        if len(kept) > 1 and lower[1] and lower[1] == self._polite_word and lower[0] in self._polite:
            return self._verb_first(self._polite[lower[0]], kept[2:], lower[2:])
        if kept and lower[0] in self._imperatives and not self._is_noun(lower):
            return self._verb_first(self._imperatives[lower[0]], kept[1:], lower[1:])
        return self._verb_last(kept, lower)

    def _is_noun(self, lower: Sequence[str]) -> bool:
        """Whether the first word, which is a verb's form too, is a noun here: no article or name follows."""
        return lower[0] in self._nouns and len(lower) > 1 and lower[1] != "" and lower[1] not in self._determiners

    def _verb_first(
        self, verbs: Sequence[tuple[Verb, VerbGroup]], pieces: Sequence[Piece], lower: Sequence[str]
    ) -> Clause | None:
        for verb, group in verbs:
            size = len(verb.particle)
            if not size:
                clause = self._clause(verb, group, pieces, ())
                if clause is None or group.needs <= clause.features:
                    return clause
                continue
            words = tuple(piece.text.lower() for piece in verb.particle)
            starts = [
                start
                for start in range(len(lower) - size, -1, -1)
                if tuple(lower[start : start + size]) == words
                # "turn the light to on" has a value, and no particle.
                and (start == 0 or lower[start - 1] not in self._links)
                and (
                    start + size == len(lower)
                    or (verb.is_free and start == 0)
                    or lower[start + size] in self._adverbials
                )
            ]
            if not starts:
                continue
            start = starts[0]
            if start == 0 and verb.is_free:
                middle, after = pieces[size:], pieces[:0]
            else:
                middle, after = pieces[:start], pieces[start + size :]
            # "put the fan on off" says a value too.
            rest = [piece.text.lower() for piece in (*middle[-1:], *after[:1]) if not piece.spans]
            if any(word in self._by_state for word in rest):
                continue
            clause = self._clause(verb, group, middle, after)
            if clause is None or group.needs <= clause.features:
                return clause
        return None

    def _verb_last(self, pieces: Sequence[Piece], lower: Sequence[str]) -> Clause | None:
        if len(pieces) < 2:
            return None
        for verb, group in self._by_final.get(lower[-1], ()):
            joined = verb.forms[self.columns[0]][0].text.lower() == lower[-1]
            size = 1 if joined else 1 + len(verb.particle)
            words = tuple(piece.text.lower() for piece in verb.particle)
            if joined or tuple(lower[-size:-1]) == words:
                return self._clause(verb, group, pieces[:-size], ())
        group_of_state = self._by_state.get(lower[-1])
        if group_of_state is None:
            return None
        rest = pieces[:-1] if lower[-2] not in self._links else pieces[:-2]
        clause = self._clause(group_of_state.verbs[0], group_of_state, rest, ()) if rest else None
        return dataclasses.replace(clause, has_verb=False) if clause is not None else None

    def _clause(self, verb: Verb, group: VerbGroup, middle: Sequence[Piece], after: Sequence[Piece]) -> Clause | None:
        index = 0
        while index < len(middle) and not middle[index].spans and middle[index].text.lower() in self._datives:
            index += 1
        end = index
        while end < len(middle) and not self._begins_adverbial(middle, end, index):
            end += 1
        obj = tuple(middle[index:end])
        adverbials = (*middle[end:], *after)
        if len(obj) == 1 and not obj[0].spans and obj[0].text.lower() in self._pronouns:
            return None
        benefactor = tuple(middle[:index])
        values: dict[str, Pieces] = {
            "object": obj,
            "adverbials": adverbials,
            "benefactor": benefactor,
            "rest": (*benefactor, *obj, *adverbials),
        }
        features: set[str] = set()
        if obj:
            self.describe(obj, values, features)
        if adverbials and adverbials[0].text in self._links and any(piece.spans for piece in adverbials[1:]):
            values["value"] = adverbials[1:]
        # "make espresso", never "make the kitchen lamp red".
        is_bare_thing = {"subject", "bare"} <= {*values, *features} and len(obj) == 1 and "value" not in values
        if group.asks and obj and ("indefinite" in features or is_bare_thing):
            values["thing"] = (*obj, *adverbials)
        features.update(name for name, value in values.items() if value)
        return Clause(verb, group, values, frozenset(features))

    def _begins_adverbial(self, pieces: Sequence[Piece], index: int, start: int) -> bool:
        piece = pieces[index]
        if piece.text.split()[0].lower() not in self._adverbials:
            return False
        if index == start and piece.text.lower() in self._determiners:
            return False  # "all lights"; not "all over"
        # A name behind an article, or where the object begins ("open Back Door").
        is_name = index == start or pieces[index - 1].text.lower() in self._determiners or piece.text[0].isupper()
        return not (piece.spans and is_name)

    def describe(self, obj: Pieces, values: dict[str, Pieces], features: set[str]) -> None:
        """Adds the object's other cases and pronouns to `values`, and what kind of object it is to `features`."""
        first = obj[0]
        word = "" if first.spans else first.text.lower()
        determiner = self._determiners.get(word)
        last = obj[-1].text.lower()
        is_plural = last.endswith(self._plural_endings) and not last.endswith(self._plural_exceptions)
        noun = obj[1:] if determiner is not None else obj
        declined = self._declined.get(noun[0].text.lower()) if noun and not noun[0].spans else None
        is_number = any(letter.isdigit() for letter in first.text.split()[0])
        is_name = bool(self._declined) and bool(first.spans) and not is_number
        if determiner is None and (declined is not None or is_name):
            values["subject"] = values["noun"] = self._in_case(obj, 0)
            values["negative"] = self._in_case(obj, 1)
            features.update(("bare", "definite", declined[1]["number"] if declined is not None else "singular"))
            self._add_pronouns(declined, values)
            return
        if determiner is None:
            features.add("indefinite" if is_number and len(obj) > 1 else "bare")
            if first.spans or first.text[0].isupper():
                is_plural = is_number or last.endswith(self._bare_plural_endings)
                features.add("plural" if is_plural else "singular")
                values["subject"] = obj
                values["noun"] = obj
            elif len(obj) == 1 and word not in self._small:
                values["noun"] = obj
            return
        features.add(determiner["kind"])
        number = determiner.get("number", "singular")
        if number == "by_ending":
            number = "plural" if is_plural else "singular"
        if declined is not None:
            number = declined[1]["number"]
        features.add(number)
        has_adjective = (
            len(obj) > 2 and obj[1].text.lower().endswith(self._weak_endings) if self._weak_endings else False
        )
        if len(obj) < 2:
            return
        if not has_adjective:
            values["noun"] = self._in_case(noun, 0)
        for key in ("nominative", "negative"):
            form = word if determiner.get(key) == "same" else determiner.get(key)
            if form is not None and (form == word or not has_adjective):
                is_subject = key == "nominative"
                cased = self._in_case(noun, 0 if is_subject else 1)
                values["subject" if is_subject else key] = (*pieces_of(form), *cased)
        self._add_pronouns(declined, values)
        for key in ("it", "that", "he"):
            form = determiner.get(f"{key}_plural", determiner.get(key)) if number == "plural" else determiner.get(key)
            if form is not None:
                values[key] = pieces_of(form)

    def _in_case(self, noun: Pieces, case: int) -> Pieces:
        """A noun, if it is declined, in the nominative (0) or the genitive (1), with what follows it."""
        declined = None if noun[0].spans else self._declined.get(noun[0].text.lower())
        return noun if declined is None else (Piece(declined[0][case]), *noun[1:])

    @staticmethod
    def _add_pronouns(declined: tuple[Sequence[str], Mapping[str, str]] | None, values: dict[str, Pieces]) -> None:
        """Those of a declined noun."""
        if declined is not None:
            values.update({key: pieces_of(declined[1][key]) for key in ("it", "that", "he")})

    def parse_question(self, pieces: Sequence[Piece]) -> Parts | None:
        """Takes a direct question apart; None where it is none."""
        kept = self._kept(pieces)
        if kept and not kept[0].spans:
            kept[:1] = self._contractions.get(kept[0].text.lower(), kept[:1])
        lower = ["" if piece.spans else piece.text.lower() for piece in kept]
        opener = next((opener for opener in self._openers if lower[: len(opener)] == opener), None)
        if opener is not None and len(kept) > len(opener) + 1:
            size = len(opener)
            return Parts(
                {"verb": tuple(kept[:size]), "rest": tuple(kept[size:])}, frozenset({"verb", "rest", "closed"})
            )
        finite = next((i for i, word in enumerate(lower[:5]) if word in self._finite), None)
        if finite is None or len(kept) < finite + 2 or (finite > 0 and lower[0] not in self._wh):
            return None
        values: dict[str, Pieces] = {
            "wh": tuple(kept[:finite]),
            "verb": (kept[finite],),
            "rest": tuple(kept[finite + 1 :]),
        }
        end = finite + 1
        while end < len(kept) and not self._begins_adverbial(kept, end, finite + 1):
            end += 1
        if finite + 1 < end < len(kept) and lower[end] in self._predicates:
            end += 1
        values["adverbials"] = tuple(kept[end:])
        last = end - 1 if finite + 1 < end - 1 and lower[end - 1] in self._predicates else end
        values["subject"], values["predicate"] = tuple(kept[finite + 1 : last]), tuple(kept[last:end])
        features = {name for name, value in values.items() if value}
        features.add("open" if values["wh"] else "closed")
        if lower[finite + 1] in self._predicates:
            features.add("asks_subject")
        return Parts(values, frozenset(features))

    def is_determiner(self, pieces: Sequence[Piece], index: int) -> bool:
        """Whether a word is one that stands before a noun, and something stands behind it that may be one."""
        if pieces[index].spans or pieces[index].text.lower() not in self._determiners or index + 1 == len(pieces):
            return False
        following = pieces[index + 1]
        return bool(following.spans) or following.text.lower() not in self._adverbials

    def _kept(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Without punctuation and words that are only polite."""
        plain = map(_without_punctuation, self.elision.split(list(pieces)))
        return [p for p in plain if p != SEAM and (p.spans or p.text.lower() not in self._dropped)]

    def parse_thing(self, pieces: Sequence[Piece]) -> Parts | None:
        """A sentence that is nothing but the name of a thing, or begins with an indefinite article; None otherwise."""
        kept = self._kept(pieces)
        if not kept:
            return None
        first = kept[0]
        if first.spans:
            is_thing = len(kept) == 1
        else:
            determiner = self._determiners.get(first.text.lower())
            is_thing = len(kept) > 1 and determiner is not None and determiner["kind"] == "indefinite"
        return Parts({"thing": tuple(kept)}, frozenset({"thing"})) if is_thing else None

    def fill_parts(self, frame: Iterable[Piece | Hole], parts: Parts) -> list[Piece]:
        """The frame with the parts."""
        filled: list[Piece] = []
        for item in frame:
            if isinstance(item, Hole):
                filled += parts.values.get(item.name, ())
            else:
                filled.append(item)
        return self.elision.join(filled)

    def _choose_verb(self, clause: Clause, rng: random.Random, avoided: Container[str]) -> Verb:
        """The clause's verb or a synonym."""
        verbs = clause.group.verbs
        if len(verbs) == 1 or rng.random() < _SAME_VERB:
            return clause.verb
        verb = verbs[int(rng.random() * len(verbs))]
        return clause.verb if verb.name in avoided else verb

    def features(self, clause: Clause) -> frozenset[str]:
        """What frames may ask of the clause, its verb's forms among it."""
        names = {*clause.features, *clause.verb.forms}
        if clause.group.states:
            names.add("state")
        if clause.verb.particle:
            names.add("particle")
        return frozenset(names)

    def fill(
        self, frame: Iterable[Piece | Hole], clause: Clause, rng: random.Random, avoided: Container[str] = ()
    ) -> list[Piece]:
        """The frame with the clause's parts.

        Args:
            frame: drawn from frames that the clause's features fill.
            clause: what is said.
            rng: chooses among synonyms.
            avoided: verbs that are no synonyms here.
        """
        verb = self._choose_verb(clause, rng, avoided)
        # "wake me up", never "wake up me".
        is_early = verb.is_bound or (verb.is_free and rng.random() < 0.5 and "benefactor" not in clause.features)
        filled: list[Piece] = []
        for item in frame:
            if not isinstance(item, Hole):
                filled.append(item)
            elif item.name == "rest" and "benefactor" in clause.features:
                # "mach mir mal", never "mach mal mir".
                end = len(filled)
                while end and (filled[end - 1] == SEAM or filled[end - 1].text.lower() in self._dropped):
                    end -= 1
                end = end or len(filled)
                filled[end:end] = clause.values["benefactor"]
                filled += clause.values["object"] + clause.values["adverbials"]
            elif item.name in clause.values:
                filled += clause.values[item.name]
            elif item.name in verb.forms:
                filled += verb.forms[item.name]
            elif item.name in ("particle", "early" if is_early else "late"):
                filled += verb.particle
            elif item.name == "state":
                filled += clause.group.states[int(rng.random() * len(clause.group.states))]
        return self.elision.join(filled)


def _without_punctuation(piece: Piece) -> Piece:
    if piece.spans:
        return piece
    text = piece.text.strip(',.;:?!…"')
    return Piece(text) if text else SEAM
