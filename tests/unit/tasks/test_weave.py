from __future__ import annotations

import random
from collections import Counter

import pytest

from pipeline.errors import ThimbleError
from pipeline.tasks.clauses import Frames, Grammar
from pipeline.tasks.phrases import Hole, Piece, count_expansions, expansions, join, parse_pattern, split
from pipeline.tasks.samples import Sample
from pipeline.tasks.surface import Repair, Surface, expand_set
from pipeline.tasks.weave import WeaveSource, common_phrases, free_texts, load_weave, people, set_values
from pipeline.text.annotation import Entry
from tests.support.toy_tasks import fish_tank

LANGUAGES = ("de", "en")


def _draws(source: WeaveSource, count: int, seed: int = 1) -> list[Sample]:
    return [source.draw(random.Random(f"{seed}:{i}")) for i in range(count)]


def test_a_pattern_has_alternatives_options_holes_rules_and_seams() -> None:
    pattern = parse_pattern("a (b|c d) [e] ~ {hole} <rule> .", {"rule": ["x", "y {other}"]})
    assert pattern.holes == {"hole", "other"}
    assert count_expansions(pattern) == 8
    drawn = {join(p for p in e if isinstance(p, Piece))[0] for e in expansions(pattern)}
    assert drawn == {"a b e x.", "a b e y.", "a c d e x.", "a c d e y.", "a b x.", "a b y.", "a c d x.", "a c d y."}


@pytest.mark.parametrize("source", ["a (b", "a b)", "a ] b", "(a]", "{", "a > b"])
def test_a_pattern_with_open_brackets_is_refused(source: str) -> None:
    with pytest.raises(ThimbleError, match="brackets"):
        parse_pattern(source)


def test_a_pattern_that_names_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ThimbleError, match="no rule <who>"):
        parse_pattern("<who> are you")


@pytest.mark.parametrize(
    ("sentence", "fixed", "pieces"),
    [
        ("mach das Licht an", (), ["mach", "das", "Licht", "an"]),
        ("mach das Licht an", ((5, 14),), ["mach", "das Licht", "an"]),
        ("auf 20% bitte", ((4, 6),), ["auf", "20%", "bitte"]),
        ("das Küchenlicht an", ((4, 9),), ["das", "Küchenlicht", "an"]),
        ("", (), []),
    ],
)
def test_a_sentence_is_split_into_words_and_values(
    sentence: str, fixed: tuple[tuple[int, int], ...], pieces: list[str]
) -> None:
    assert [piece.text for piece in split(sentence, fixed)] == pieces
    assert join(split(sentence, fixed)) == (sentence, fixed)


def test_frames_take_what_the_clause_has() -> None:
    frames = Frames(
        {
            "both": {"patterns": ["{object} {adverbials}"]},
            "object": {"patterns": ["say {object}"]},
            "other": {"patterns": ["{object} {missing}"], "weight": 1000},
            "group": {"patterns": ["x {rest}"], "groups": ["other"], "weight": 1000},
            "not": {"patterns": ["y {rest}"], "not_groups": ["own"], "weight": 1000},
        },
        {},
    )
    drawn = {str(frames.draw(random.Random(i), "own", frozenset({"object", "adverbials"}))) for i in range(50)}
    assert drawn == {str([Hole("object"), Hole("adverbials")])}, "a frame may not leave out what was said"
    assert Frames({}, {}).draw(random.Random(0), "own", frozenset()) is None


@pytest.mark.parametrize(
    ("language", "sentence", "verb", "rest"),
    [
        ("de", "schalte das Licht ein", "ein|schalten", "das Licht"),
        ("de", "Schalten Sie bitte das Licht ein!", "ein|schalten", "das Licht"),
        ("de", "das Licht im Bad einschalten", "ein|schalten", "das Licht im Bad"),
        ("de", "kannst du das Licht anmachen?", "an|machen", "das Licht"),
        ("de", "mach das Licht an in fünf Minuten", "an|machen", "das Licht in fünf Minuten"),
        ("de", "mach die Suppe warm", "warm machen", "die Suppe"),
        ("de", "stell die Heizung auf zwanzig Grad", "stellen", "die Heizung auf zwanzig Grad"),
        ("de", "Licht aus", "aus|schalten", "Licht"),
        ("nl", "doe de lamp in de keuken uit", "uit|doen", "de lamp in de keuken"),
        ("nl", "kun je de lamp uitdoen?", "uit|doen", "de lamp"),
        ("nl", "de lamp uit doen", "uit|doen", "de lamp"),
        ("nl", "wilt u het gordijn open doen", "open|doen", "het gordijn"),
        ("nl", "zet de verwarming op twintig graden", "zetten", "de verwarming op twintig graden"),
        ("en", "turn on the light", "turn on", "the light"),
        ("en", "turn the light on in the kitchen", "turn on", "the light in the kitchen"),
        ("en", "please turn off the light", "turn off", "the light"),
        ("en", "make the light brighter", "make _ brighter", "the light"),
        ("en", "can you set the oven to two hundred", "set", "the oven to two hundred"),
        ("en", "lights off", "turn off", "lights"),
        ("en", "lights to off", "turn off", "lights"),
        ("en", "water main off", "turn off", "water main"),
        ("en", "turn the fan mode to off", "turn", "the fan mode to off"),
        ("en", "put the fan mode on off", "put", "the fan mode on off"),
        ("en", "lower down the gate", "lower down", "the gate"),
        ("en", "get all lamps off", "get _ off", "all lamps"),
        ("en", "bring me a coffee", "bring", "me a coffee"),
    ],
)
def test_a_command_is_taken_apart(language: str, sentence: str, verb: str, rest: str) -> None:
    clause = load_weave(language).grammar.parse(split(sentence, ()))
    assert clause is not None
    assert (clause.verb.name, " ".join(piece.text for piece in clause.values["rest"])) == (verb, rest)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("de", "der Hund bellt"), ("de", "Espresso"), ("de", "bitte"), ("en", "the dog barks"), ("en", "turn it on")],
)
def test_what_is_no_known_command_is_left_alone(language: str, sentence: str) -> None:
    assert load_weave(language).grammar.parse(split(sentence, ())) is None


@pytest.mark.parametrize(
    ("language", "sentence", "expected"),
    [
        ("de", "schalte den Filter ein", "ich möchte, dass du den Filter einschaltest"),
        ("de", "schalte den Filter ein", "wäre es möglich, den Filter einzuschalten"),
        ("de", "schalte den Filter ein", "der Filter muss eingeschaltet werden"),
        ("de", "schalte den Filter ein", "den Filter, schalt den ein"),
        ("de", "mach die Suppe warm", "ich bitte dich, die Suppe warm zu machen"),
        ("de", "ist die Pumpe an", "weißt du, ob die Pumpe an ist"),
        ("de", "wie warm ist es im Becken", "sag mir, wie warm es im Becken ist"),
        ("de", "gib mir einen Wurm", "kannst du mir bitte einen Wurm bringen"),
        ("de", "zeig mir den Weg nach Ulm", "zeig mir mal den Weg nach Ulm"),
        ("nl", "zet de lamp aan", "ik wil dat je de lamp aandoet"),
        ("nl", "zet de lamp aan", "vergeet niet de lamp aan te zetten"),
        ("nl", "is de pomp aan", "zeg me of de pomp aan is"),
        ("en", "show me the way to Ulm", "can you please show me the way to Ulm"),
        ("en", "turn on the filter", "would you mind turning the filter on"),
        ("en", "turn on the filter", "the filter must be turned on"),
        ("en", "turn on the filter", "the filter, turn it on"),
        ("en", "turn on the filter in the tank", "I want the filter turned on in the tank"),
        ("en", "is the pump on", "tell me if the pump is on"),
        ("en", "how warm is it in the tank", "do you know how warm it is in the tank"),
        ("en", "what's the weather", "can you tell me what the weather is"),
        ("en", "how many lamps are on", "I wonder how many lamps are on"),
        ("en", "why is the pump on in the tank", "please tell me why the pump is on in the tank"),
        ("en", "turn off all lamps", "get all lamps off"),
        ("en", "play some jazz", "I'd like to hear some jazz"),
    ],
)
def test_a_command_is_said_in_sound_order(language: str, sentence: str, expected: str) -> None:
    weave = load_weave(language)
    surface = Surface(weave.data)
    said = set()
    for i in range(20_000):
        rng = random.Random(i)
        text, _ = join(surface.fill_seams(weave.rephrase(split(sentence, ()), rng), rng))
        said.add(text)
        if expected in said:
            return
    pytest.fail(f"{expected!r} never came; near: {sorted(said)[:5]}")


@pytest.mark.parametrize(("language", "sentence"), [("de", "alle Lampen aus"), ("en", "all lamps off")])
def test_a_state_alone_stands_for_a_verb_only_where_it_may(language: str, sentence: str) -> None:
    """It may be a question in a task, which "turn off all lamps" is not."""
    weave, pieces = load_weave(language), split(sentence, ())
    clause = weave.grammar.parse(pieces)
    assert clause is not None and not clause.has_verb
    for i in range(100):
        assert weave.rephrase(pieces, random.Random(i), groups=frozenset()) == pieces
    assert any(weave.rephrase(pieces, random.Random(i), groups={clause.group.name}) != pieces for i in range(20))


@pytest.mark.parametrize(("language", "unit"), [("de", "Minuten"), ("en", "minutes")])
def test_no_noise_takes_the_unit_from_a_number(language: str, unit: str) -> None:
    source = WeaveSource(fish_tank(language), 1.0)
    timed = [
        sample
        for sample in _draws(source, 4000)
        if sample.intent == "TurnOn" and any(sample.sentence[a:b][:1].isdigit() for a, b in sample.fixed)
    ]
    assert len(timed) > 50
    assert all(f" {unit}" in sample.sentence for sample in timed)


def test_a_name_is_no_adverbial() -> None:
    grammar = load_weave("en").grammar
    for sentence, name in [("unlock Back Door", "Back Door"), ("unlock the back door to 5", "back door")]:
        start = sentence.index(name)
        clause = grammar.parse(split(sentence, ((start, start + len(name)),)))
        assert clause is not None
        assert clause.values["object"][-1].text == name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("has_notes", [False, True])
def test_woven_sentences_keep_their_answers_and_values_and_are_no_other_template(
    language: str, has_notes: bool
) -> None:
    source = fish_tank(language, has_notes)
    weave = WeaveSource(source, 1.0)
    changed = 0
    for sample in _draws(weave, 1500):
        values = [sample.sentence[first:last] for first, last in sample.fixed]
        for value in sample.slots.values():
            assert value in values, sample
        assert "{" not in sample.sentence and "~" not in sample.sentence and "  " not in sample.sentence
        assert sample.sentence == sample.sentence.strip()
        read = source.intent_of(sample.sentence)
        assert read is None or read == sample.intent, sample
        changed += read is None
    assert changed > 1000


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_verb_of_another_intent_is_no_synonym(language: str) -> None:
    source = WeaveSource(fish_tank(language), 1.0)
    wrong = {"de": ("beende", "beendest"), "en": (" end ", "ending")}[language]
    halting = [sample.sentence for sample in _draws(source, 4000) if sample.intent == "Halt"]
    assert len(halting) > 50
    assert not [sentence for sentence in halting if any(word in f" {sentence} " for word in wrong)]


def test_the_share_decides_how_many_are_woven_and_the_same_numbers_give_the_same_sentence() -> None:
    source = fish_tank("de")
    assert all(source.reads(sample.sentence) for sample in _draws(WeaveSource(source, 0.0), 200))
    half = WeaveSource(source, 0.5)
    woven = sum(not source.reads(sample.sentence) for sample in _draws(half, 1000))
    assert 300 < woven < 600
    assert _draws(half, 50) == _draws(WeaveSource(source, 0.5), 50)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_corrected_value_is_said_last_or_denied(language: str) -> None:
    data = load_weave(language).data
    repair = Repair(data, [Entry("red", "color", "r"), Entry("rot", "color", "r"), Entry("blue", "color", "b")])
    red = Piece("red", ((0, 3),))
    corrected = 0
    for i in range(100):
        pieces = repair.apply([Piece("now"), red], random.Random(i))
        texts = [piece.text for piece in pieces]
        assert red in pieces and "rot" not in texts
        corrected += "blue" in texts
    assert corrected > 90
    number = Piece("5 apples", ((0, 8),))
    assert len(repair.apply([number], random.Random(1))) > 1
    assert repair.apply([Piece("unknown", ((0, 7),))], random.Random(1)) == [Piece("unknown", ((0, 7),))]
    assert repair.apply([Piece("word")], random.Random(1)) == [Piece("word")]


def test_names_of_the_home_stand_in_for_each_other() -> None:
    repair = Repair(load_weave("en").data, [])
    home = (Entry("desk lamp", "light", "1"), Entry("sofa lamp", "light", "2"))
    texts = [piece.text for piece in repair.apply([Piece("desk lamp", ((0, 9),))], random.Random(3), home)]
    assert {"desk lamp", "sofa lamp"} <= set(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_common_phrases_mean_the_intent_that_the_task_names(language: str) -> None:
    source = WeaveSource(fish_tank(language), 0.5, {"stop": "Halt"})
    phrases = set(common_phrases(language, "stop"))
    drawn = Counter(sample.intent for sample in _draws(source, 2000) if sample.sentence in phrases)
    assert set(drawn) == {"Halt"}
    with pytest.raises(ThimbleError, match="'Nowhere'"):
        WeaveSource(fish_tank(language), 0.5, {"stop": "Nowhere"})
    with pytest.raises(ThimbleError, match="no common intent"):
        common_phrases(language, "bow")


def test_sets_give_all_forms_of_a_value() -> None:
    assert {"klein", "kleine", "kleinen", "winziges"} <= set(set_values("de", "size")["small"])
    assert {"large", "larger", "huge"} <= set(set_values("en", "size")["large"])
    assert expand_set({"words": ["a+", "b+", "c"], "endings": ["", "s"]}) == [["a", "b"], ["as", "bs"], ["c"]]
    with pytest.raises(ThimbleError, match="no set 'smell'"):
        set_values("de", "smell")


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_and_free_texts_fill_open_lists(language: str) -> None:
    assert len(set(people(language))) >= 270
    assert len(set(free_texts(language))) >= 50


def test_a_language_without_a_file_is_refused_by_name() -> None:
    with pytest.raises(ThimbleError, match="'xx' has no weave"):
        load_weave("xx")


def test_a_verb_with_too_few_forms_or_no_stem_is_refused() -> None:
    data = dict(load_weave("en").data)
    data["verbs"] = {**data["verbs"], "stems": ["turn turning"]}
    with pytest.raises(ThimbleError, match="2 forms"):
        Grammar(data)
    data["verbs"] = {**data["verbs"], "stems": ["turn turning turned turned"], "groups": {"x": {"verbs": ["go up"]}}}
    with pytest.raises(ThimbleError, match="no stem 'go'"):
        Grammar(data)
