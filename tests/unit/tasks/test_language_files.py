from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.languages import languages, load_language_file
from pipeline.tasks.clauses import Clause, Grammar, pieces_of
from pipeline.tasks.negatives import load_no_match
from pipeline.tasks.phrases import Pattern, Piece, count_expansions, items, join, lines, parse_pattern, split
from pipeline.tasks.surface import Surface
from pipeline.tasks.weave import common_phrases, load_weave

LANGUAGES = languages("weave")
PAGE = (Path(__file__).parents[3] / "docs" / "language-files.md").read_text(encoding="utf-8")
OWN_NAMES = {
    # Keys below which names are the file's own.
    "weave": {
        "groups",
        "rules",
        "frames",
        "things",
        "dialect",
        "homophones",
        "lost_letters",
        "short",
        "repaired",
        "contracted",
        "contractions",
        "glued",
        "forms",
        "articles",
        "endings",
        "nouns",
        "degree",
        "amount",
        "size",
        "period",
    },
    "no_match": {"words", "rules", "near_by", "negations", "reports"},
}
CLAUSE_HOLES = {
    *(
        "object",
        "adverbials",
        "benefactor",
        "rest",
        "subject",
        "negative",
        "noun",
        "it",
        "that",
        "he",
        "value",
        "state",
    ),
    *("thing", "particle", "early", "late", "to_infinitive"),
}


def _keys(value: Any, own_names: set[str], is_own: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            assert isinstance(key, str), f"{key!r} must stand in quotes"
            if not is_own:
                yield key
            yield from _keys(inner, own_names, key in own_names and not is_own)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, own_names)


def _strings(value: Any, at: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _strings(inner, f"{at}: {key}")
    elif isinstance(value, list):
        for inner in value:
            _strings(inner, at)
    else:
        is_flag = at.endswith((": weight", ": asks", ": apart"))
        assert isinstance(value, str) or is_flag, f"{at}: {value!r} must stand in quotes"


def _holes(grammar: Grammar) -> set[str]:
    return {*CLAUSE_HOLES, *grammar.columns, *(f"bare_{column}" for column in grammar.columns)}


def test_languages_have_both_files() -> None:
    assert {"de", "en", "es", "fr", "it", "nl", "pl"} <= set(LANGUAGES) == set(languages("no_match"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("purpose", ["weave", "no_match"])
def test_all_keys_are_explained_and_all_texts_are_texts(language: str, purpose: str) -> None:
    data = load_language_file(language, purpose)
    _strings(data, purpose)
    explained = set(re.findall(r"`([a-z_]+):?`", PAGE)) | set(re.findall(r"`\{([a-z_]+)\}`", PAGE))
    assert set(_keys(data, OWN_NAMES[purpose])) <= explained


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verb_is_complete(language: str) -> None:
    grammar = load_weave(language).grammar
    for stem, forms in grammar.stems.items():
        assert len(forms) == len(grammar.columns), stem
    names = [group.name for group in grammar.groups]
    assert len(names) == len(set(names))
    used = set()
    for group in grammar.groups:
        assert len({verb.name for verb in group.verbs}) == len(group.verbs), group.name
        for verb in group.verbs:
            used.add(verb.forms[f"bare_{grammar.columns[0]}"][0].text)
            for name, form in verb.forms.items():
                assert form and all(piece.text.isalpha() for piece in form), (verb.name, name)
    assert set(grammar.stems) <= used, "a stem that no group uses"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_verb_is_read_by_one_group(language: str) -> None:
    owners: dict[str, str] = {}
    for name, value in load_language_file(language, "weave")["verbs"]["groups"].items():
        if value.get("needs"):
            continue  # Reads some commands with its verbs, and leaves the others to the group that owns them.
        for verb in value["verbs"]:
            assert owners.setdefault(verb, name) == name, verb


@pytest.mark.parametrize("language", LANGUAGES)
def test_sizes(language: str) -> None:
    weave, no_match = load_language_file(language, "weave"), load_language_file(language, "no_match")
    rules = weave["rules"]

    def forms(texts: Any) -> int:
        return sum(count_expansions(parse_pattern(text, rules)) for text in lines(texts))

    surface = weave["surface"]
    assert sum(len(value["verbs"]) for value in weave["verbs"]["groups"].values()) >= 150
    assert sum(forms(value["patterns"]) for value in weave["things"].values()) >= 150
    assert sum(forms(value["patterns"]) for name, value in weave["frames"].items() if name.startswith("setting")) >= 80
    assert len({*lines(surface["before"]), *lines(surface["behind"]), *lines(surface["particles"])}) >= 150
    assert len(surface["dialect"]) >= 80
    assert len(surface["homophones"]) + len(surface["letters"]) >= 100
    assert len(surface["homophones"]) >= 100
    assert len(lines(weave["repair"]["patterns"])) >= 40
    assert len(set(items(weave["people"]))) >= 270
    assert len(set(items(weave["free_texts"]))) >= 50
    assert set(weave["sets"]) == {"degree", "amount", "size", "period"}
    assert set(weave["common"]) == {"stop", "again", "help", "yes", "no"}
    assert all(len(common_phrases(language, name)) >= 20 for name in weave["common"])
    assert sum(len(set(lines(texts))) for texts in no_match["foreign"].values()) >= 250
    assert sum(len(lines(value["patterns"])) for value in no_match["near_by"].values()) >= 60
    negations = [text for value in no_match["negations"].values() for text in lines(value["patterns"])]
    assert len(negations) + len(lines(no_match["whole"])) >= 100
    assert len(negations) >= 90


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_hole_is_one_that_something_fills(language: str) -> None:
    weave, no_match = load_weave(language), load_no_match(language)
    holes = _holes(weave.grammar)
    words = set(no_match.words)

    def check(patterns: Mapping[str, list[Pattern]], known: set[str]) -> None:
        for name, frames in patterns.items():
            for pattern in frames:
                assert pattern.holes <= known, (name, pattern.source)

    check(weave.frames.patterns, holes)
    check(weave.things.patterns, {"thing"})
    check(weave.questions.patterns, {"wh", "verb", "subject", "predicate", "adverbials", "rest"})
    check(no_match.near_by.patterns, holes | words)
    check(no_match.negations.patterns, holes | words)
    check(no_match.reports.patterns, holes | words)
    check({**no_match.foreign, "commands": no_match.commands}, words)
    check({"whole": no_match.whole}, words | {"sentence"})
    check({"joiners": no_match.joiners}, set())
    assert not words & holes, "a word class must not be called as a part of a command is"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_group_and_feature_that_frames_name_exists(language: str) -> None:
    weave, no_match = load_language_file(language, "weave"), load_language_file(language, "no_match")
    grammar = load_weave(language).grammar
    groups = {group.name for group in grammar.groups}
    features = _holes(grammar) | {
        *("definite", "indefinite", "bare", "singular", "plural", "open", "closed", "predicate"),
        "asks_subject",
    }
    for classes in (
        *(weave["frames"], weave["things"], weave["questions"]["frames"]),
        *(no_match["near_by"], no_match["negations"], no_match["reports"]),
    ):
        for name, value in classes.items():
            assert set(value.get("groups", ())) | set(value.get("not_groups", ())) <= groups, name
            assert set(value.get("needs", ())) | set(value.get("without", ())) <= features, name
            texts = lines(value["patterns"])
            assert len(set(texts)) == len(texts), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verb_fits_every_frame_without_a_gap(language: str) -> None:
    """Each verb with an object and its value, in many frames: nothing is left open, and the value is said."""
    weave = load_weave(language)
    said = {
        "de": ("den Kasten", "auf"),
        "en": ("the box", "to"),
        "fr": ("la boîte", "à"),
        "it": ("la scatola", "a"),
        "nl": ("de kast", "op"),
        "es": ("la caja", "a"),
        "pl": ("te drzwi", "na"),
    }
    determiners = [word for entry in weave.data["determiners"] for word in entry["words"].split()]
    obj, value = said.get(language) or (f"{determiners[0]} xyz", weave.data["links"][0])
    number = Piece("17", ((0, 2),))
    rng = random.Random(language)
    for group in weave.grammar.groups:
        for verb in group.verbs:
            values: dict[str, tuple[Piece, ...]] = {"object": pieces_of(obj), "adverbials": (Piece(value), number)}
            features = {"object", "adverbials", "rest", "value"}
            weave.grammar.describe(values["object"], values, features)
            values["rest"] = values["object"] + values["adverbials"]
            values["value"] = (number,)
            clause = Clause(verb, group, values, frozenset({*features, *values}))
            for _ in range(20):
                frame = weave.frames.draw(rng, group.name, weave.grammar.features(clause))
                assert frame is not None
                text, spans = join(weave.grammar.fill(frame, clause, rng))
                assert [text[first:last] for first, last in spans] == ["17"], text
                assert obj.split()[1] in text, text
                assert "{" not in text and "  " not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_noise_leaves_values_alone_and_no_word_empty(language: str) -> None:
    surface = Surface(load_weave(language).data)
    sentence = [
        *pieces_of("Please bitte schalte könntest turn the Küchenlampe bedroomlight ein auf"),
        Piece("für Özlem", ((0, 9),)),
    ]
    for i in range(3000):
        rng = random.Random(i)
        pieces = surface.add_fillers(surface.apply(sentence, rng), rng)
        text, spans = join(pieces)
        assert [text[first:last] for first, last in spans] == ["für Özlem"]
        assert all(piece.text.strip() for piece in pieces)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_that_mean_something_in_the_task_are_never_put_in(language: str) -> None:
    weave = load_weave(language)
    meaningful = {
        "de": {"schnell", "jetzt"},
        "en": {"quickly", "now"},
        "fr": {"vite", "maintenant"},
        "it": {"subito", "adesso"},
        "nl": {"snel", "nu"},
        "es": {"rápido", "ahora"},
        "pl": {"szybko", "teraz"},
        "pt": {"rápido", "agora"},
    }
    excluded = meaningful.get(language, set())
    surface = Surface(weave.data, excluded)
    for i in range(3000):
        rng = random.Random(i)
        pieces = surface.fill_seams([Piece("a"), Piece("~"), Piece("b")], rng, 1.0)
        text, _ = join(surface.add_fillers(surface.apply(pieces, rng), rng))
        assert not excluded & set(re.findall(r"\w+", text.lower())), text


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("allume la ampoule de le salon", ""),
        ("éteins le halogène de la entrée", ""),
        ("ouvre les volets de les chambres", ""),
        ("règle la température de le étage à 20 degrés", "20"),
        ("donne-moi l'humidité de la serre", ""),
        ("est-ce que la enceinte est allumée", ""),
    ],
)
def test_french_frames_elide_and_contract(command: str, value: str) -> None:
    weave = load_weave("fr")
    start = command.find(value) if value else -1
    fixed = ((start, start + len(value)),) if value else ()
    for seed in range(300):
        text, spans = join(weave.rephrase(split(command, fixed), random.Random(seed)))
        assert not re.search(r"(?<![\w-])(le|la|de|que|ne|se|je|me|te) [aeiouàâéèêîô]", text), text
        assert not re.search(r"(?<![\w-])(de|à) les? ", text), text
        assert "' " not in text and "- " not in text, text
        assert [text[first:last] for first, last in spans] == ([value] if value else []), text


@pytest.mark.parametrize(
    ("command", "subject", "genitive"),
    [
        ("włącz lampę w kuchni", "lampa", "lampy"),
        ("zgaś światła na górze", "światła", "świateł"),
        ("otwórz te okna", "te okna", "tych okien"),
        ("zamknij moją bramę", "moja brama", "mojej bramy"),
        ("wyłącz wentylator", "wentylator", "wentylatora"),
    ],
)
def test_polish_objects_are_declined(command: str, subject: str, genitive: str) -> None:
    clause = load_weave("pl").grammar.parse(split(command, ()))
    assert clause is not None and {"definite", "subject", "negative"} <= clause.features
    assert join(clause.values["subject"])[0] == subject
    assert join(clause.values["negative"])[0] == genitive


def test_polish_negations_have_the_genitive_and_the_imperfective_imperative() -> None:
    weave, no_match, rng = load_weave("pl"), load_no_match("pl"), random.Random(5)
    clause = weave.grammar.parse(split("włącz lampę w kuchni", ()))
    assert clause is not None
    said = set()
    for _ in range(400):
        frame = no_match.negations.draw(rng, clause.group.name, weave.grammar.features(clause))
        assert frame is not None
        said.add(join(weave.grammar.fill([hole for hole in frame if hole != Piece("~")], clause, rng))[0])
    assert any(text.startswith("nie włączaj lampy") for text in said)
    assert not any("nie włącz lampy" in text for text in said)


def test_a_name_in_polish_stays_as_it_is() -> None:
    weave = load_weave("pl")
    clause = weave.grammar.parse(split("włącz Lampa nocna w Kuchnia", ((6, 17), (20, 27))))
    assert clause is not None and {"definite", "bare", "subject", "negative"} <= clause.features
    assert join(clause.values["negative"])[0] == "Lampa nocna"
    number = weave.grammar.parse(split("ustaw 50 % głośności", ((6, 8),)))
    assert number is not None and "negative" not in number.features


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("accendi la abat-jour di il soggiorno", ""),
        ("spegni il interruttore di lo ingresso", ""),
        ("apri le tapparelle in la camera", ""),
        ("imposta la temperatura di il ufficio a 20 gradi", "20"),
        ("dimmi l'umidità di la serra", ""),
        ("è accesa la luce in il studio", ""),
    ],
)
def test_italian_frames_elide_contract_and_glue(command: str, value: str) -> None:
    weave = load_weave("it")
    start = command.find(value) if value else -1
    fixed = ((start, start + len(value)),) if value else ()
    for seed in range(300):
        text, spans = join(weave.rephrase(split(command, fixed), random.Random(seed)))
        assert not re.search(r"\b(il|la|lo|una|del|della|nel|nella|al|alla) [aeiouàèéìòù]", text), text
        assert not re.search(r"\b(di|a|da|in|su) (il|lo|la|i|gli|le) ", text), text
        assert not re.search(r"\b(il|un|del|nel) (st|sp|sc|z)", text), text
        assert not re.search(r"[ln]' | - ", text), text
        assert [text[first:last] for first, last in spans] == ([value] if value else []), text


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("enciende la lámpara del salón", ""),
        ("apaga el ventilador de la cocina", ""),
        ("sube la temperatura del dormitorio a 20 grados", "20"),
        ("abre la persiana", ""),
        ("detén la lavadora", ""),
    ],
)
def test_spanish_frames_hang_pronouns_on_verbs_with_their_accents(command: str, value: str) -> None:
    weave = load_weave("es")
    start = command.find(value) if value else -1
    fixed = ((start, start + len(value)),) if value else ()
    hung = set()
    for seed in range(300):
        text, spans = join(weave.rephrase(split(command, fixed), random.Random(seed)))
        hung.update(re.findall(r"\w+(?:l[ao]|me)\b", text))
        assert not re.search(r"\b(de|a) el\b", text), text
        assert not re.search(r"(?<!\w)-|-(?!\w)", text), text
        assert [text[first:last] for first, last in spans] == ([value] if value else []), text
    accented = {word for word in hung if re.search(r"[áéíóú]", word)}
    assert len(accented) > 2, hung
    assert not any(len(re.findall(r"[áéíóú]", word)) > 1 for word in hung), hung
