"""Files as people write them: each is loaded, or refused by name; what is drawn is what hassil reads."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.main import main
from pipeline.errors import ConfigError
from pipeline.recipes.schema import SentencesConfig
from pipeline.tasks.check import answer_slots, check_sentences
from pipeline.tasks.own_sentences import SentencesTask
from pipeline.tasks.samples import NO_MATCH, Sample
from pipeline.tasks.sentences.source import SentencesSource, load_sentences
from pipeline.tasks.tests_file import ExpectedAnswer, SentenceTest

HOME = """
areas: [{name: Kitchen}, {name: Bath, aliases: [Bathroom]}]
floors: [{name: Upstairs}]
entities:
  - {name: Desk Lamp, domain: light, area: Kitchen, aliases: [Work Light]}
  - {name: Front Door, domain: lock}
  - {name: Blinds, domain: cover, device_class: blind}
"""


def write(folder: Path, *files: str) -> list[str]:
    names = []
    for number, text in enumerate(files):
        name = f"{number}.yaml"
        (folder / name).write_text(text, encoding="utf-8")
        names.append(name)
    return names


def load(folder: Path, *files: str, is_strict: bool = True, **keys: Any) -> SentencesSource:
    names = write(folder, *files)
    if keys.pop("with_home", False):
        (folder / "home.yaml").write_text(HOME, encoding="utf-8")
        keys["home"] = "home.yaml"
    return load_sentences(SentencesConfig.from_mapping({"files": names, **keys}), folder, is_strict=is_strict)


def draw(source: SentencesSource, count: int = 200, seed: int = 1) -> list[Sample]:
    rng = random.Random(seed)
    return [source.draw(rng) for _ in range(count)]


def is_read(source: SentencesSource, sample: Sample) -> bool:
    """Whether one of hassil's readings is the sample's answer."""
    said = sample.sentence.casefold()
    names = [entry for entry in sample.entries if entry.text.casefold() in said]
    for index, result in enumerate(source.recognize(sample.sentence, names)):
        slots = {name: value.casefold() for name, value in answer_slots(result).items()}
        if result.intent.name == sample.intent and slots == {n: v.casefold() for n, v in sample.slots.items()}:
            return True
        if index > 200:
            return False
    return False


def sentences(*templates: str, more: str = "", intent: str = "Do", block: str = "") -> str:
    """A file with one block."""
    lines = "".join(
        f"          - {yaml.safe_dump(text, allow_unicode=True, width=10000).splitlines()[0]}\n" for text in templates
    )
    body = f"language: en\nintents:\n  {intent}:\n    data:\n      - sentences:\n{lines}"
    return body + "".join(f"        {line}\n" for line in block.splitlines()) + more + "\n"


DRINKS = "lists:\n  drink:\n    values: [tea, hot milk, {in: 'cocoa', out: drink.cocoa}]\n"
HEAT = "lists: {heat: {values: [{in: '[very] hot', out: 95}, {in: '(cold|cool)', out: 5}]}}\n"
WILD = "lists:\n  what: {wildcard: true}\n  who: {wildcard: true}\n"
MINUTES = "lists:\n  minutes: {range: {from: 1, to: 59}}\n  hours: {range: {from: 0, to: 23}}\n"

LOADED: Mapping[str, tuple[str, ...]] = {
    "plain text": (sentences("brew some coffee", "Good  Morning"),),
    "optional": (sentences("feed [the] fish"),),
    "optional choice": (sentences("dim it [a bit|slightly]"),),
    "choice": (sentences("(warm|heat) the bath"),),
    "nested": (sentences("[(very|quite) [very]] dark", "(a|(b|c) d) e [[f] g]"),),
    "part of a word": (sentences("candle[s] on", "brew(ed|ing) it"),),
    "space inside the bracket": (sentences("play[ some] jazz", "( stop | halt )now"),),
    "permutation": (sentences("(please;lock up)", "(now;in the hall;lights up)"),),
    "permutation with optionals": (sentences("([please] lock;the door) now"),),
    "choice at top level": (sentences("lights up|lamps up"),),
    "permutation at top level": (sentences("lights up;in the hall"),),
    "list": (sentences("order [a] {drink}", more=DRINKS),),
    "renamed slot": (sentences("swap {drink:old} with {drink:new}", more=DRINKS),),
    "list twice": (sentences("from {drink} to {drink}", more=DRINKS),),
    "capture": (sentences("tell {drink:@person} hello", "bring {@drink}", more=DRINKS),),
    "inline range": (sentences("nap for {5..60,5:minutes} minutes", "channel {1..9:n}"),),
    "glued list": (sentences("x{letter}y", more="lists:\n  letter: {values: [a, b]}\n"),),
    "rule": (sentences("<please> stop", more="expansion_rules:\n  please: '(please|kindly)'\n"),),
    "rule in a rule": (
        sentences("<polite> stop", more="expansion_rules:\n  please: '[pretty] please'\n  polite: '<please> kindly'\n"),
    ),
    "escape": (sentences(r"press \[enter\]"),),
    "empty choice": (sentences("(soon|) open it", "open it (now|)"),),
    "typographic apostrophe": (sentences("it’s late"),),
    "punctuation": (sentences("where is sam?", "so, what now", "call at 5 a.m."),),
    "hyphen": (sentences("sea-green light"),),
    "unicode": (sentences("größer bitte", "ВКЛЮЧИ СВЕТ").replace("language: en", "language: de"),),
    "chinese": (sentences("打开[客厅]灯", "关灯").replace("language: en", "language: zh-CN"),),
    "hebrew": (sentences("הדלק את האור").replace("language: en", "language: he"),),
    "fixed slots": (sentences("large tea", block="slots: {size: large, count: 2, hot: true, tags: [a, b]}"),),
    "matched slot wins": (sentences("bring {drink}", block="slots: {drink: water}", more=DRINKS),),
    "mapping as a slot": (sentences("open {name}", block="slots: {name: {type: entity, domain: light}}"),),
    "response": (
        sentences("tea", block="response: tea_ready", more="responses:\n  intents: {Do: {default: 'Tea.'}}\n"),
    ),
    "response text": (sentences("tea", block="response: 'It is {{ state }}'"),),
    "metadata and settings": (sentences("tea", block="metadata: {tier: 2}\nsettings: {filter_with_regex: false}"),),
    "local rules": (sentences("<brew> it", block="expansion_rules: {brew: '(brew|make)'}"),),
    "local list": (sentences("use the {cup}", block="lists: {cup: {values: [mug, glass]}}"),),
    "keywords": (sentences("[nice] (tea|chai|water)", block="required_keywords: [tea, chai]"),),
    "skip words": (sentences("tea now", more="skip_words: [hey you, please]\n"),),
    "in without out": (sentences("{x} it", more="lists:\n  x: {values: [{in: start}, {in: 'stop[s]'}]}\n"),),
    "template values": (
        sentences(
            "make it {heat}",
            more="lists:\n  heat: {values: [{in: '[very] hot', out: 95}, {in: '(cold|cool)', out: 5}]}\n",
        ),
    ),
    "list in a value": (
        sentences("get {order}", more=f"{DRINKS}  order: {{values: [{{in: 'a [cup of] {{drink}}', out: order}}]}}\n"),
    ),
    "value with a rule": (
        sentences(
            "get {x}",
            more="lists:\n  x: {values: [{in: '<nice> one', out: 1}]}\nexpansion_rules: {nice: '(nice|good)'}\n",
        ),
    ),
    "values with context": (
        sentences(
            "start {x}",
            block="requires_context: {domain: fan}",
            more="lists:\n  x:\n    values:\n      - {in: breeze, out: f1, context: {domain: fan}}\n"
            "      - {in: oven, out: o1, context: {domain: oven}, metadata: {room: 3}}\n",
        ),
    ),
    "excluded context": (sentences("move {name}", block="excludes_context: {domain: [cover, lock]}"),),
    "range": (sentences("wait {minutes} minute[s]", "at {hours} hours", more=MINUTES),),
    "negative range": (
        sentences("cool to {t} degrees", more="lists:\n  t: {range: {from: -20, to: 5, type: temperature}}\n"),
    ),
    "range with everything": (
        sentences(
            "go {a} and {b} and {c}",
            more="lists:\n  a: {range: {from: 0, to: 100, step: 5, type: percentage}}\n"
            "  b: {range: {from: 1, to: 9, fractions: halves, words: false}}\n"
            "  c: {range: {from: 1, to: 8, multiplier: -2.5}}\n",
        ),
    ),
    "words alone": (sentences("go {a}", more="lists:\n  a: {range: {from: 1, to: 20, digits: false}}\n"),),
    "wildcard": (sentences("remind me to {what}", "tell {who} that {what}", more=WILD),),
    "wildcard in the middle": (sentences("add {what} to my list", more=WILD),),
    "wildcard before a range": (sentences("call {who} in {minutes} minutes", more=WILD + MINUTES[7:]),),
    "optional wildcard": (sentences("play [{what}] [by {who}] now", more=WILD),),
    "names of the home": (sentences("open {name} [in {area}]", "go {floor}"),),
    "light by context": (sentences("dim {name}", block="requires_context: {domain: light}"),),
    "room of the device": (
        sentences("lights off [here]", block="slots: {domain: light}\nrequires_context:\n  area: {slot: true}"),
    ),
    "context by value": (sentences("dim {name}", block="requires_context: {domain: {value: light, slot: true}}"),),
    "rules of Home Assistant": (
        sentences("set <name> in <area> to {brightness}", "start <timer_duration>", "<what_is> up"),
    ),
    "rules of German": (
        sentences("stelle <area> auf {volume_level}", "noch <timer_duration>").replace("language: en", "language: de"),
    ),
    "only responses": (sentences("tea"), "language: en\nresponses:\n  intents: {Do: {default: 'Yes.'}}\n"),
    "rules in a file of their own": (sentences("<please> stop"), "language: en\nexpansion_rules: {please: please}\n"),
    "a list in another file": (sentences("order {drink}"), "---\nlanguage: en\n" + DRINKS),
    "lists that merge": (
        sentences("call {person}", more="lists:\n  person: {values: [{in: sam, out: sam_desktop}]}\n"),
        sentences("ask {person}", intent="Ask", more="lists:\n  person: {values: [{in: sam, out: person.sam}, tom]}\n"),
    ),
    "intents that merge": (sentences("make tea"), sentences("brew tea")),
    "entity ids": (
        sentences("tv on in {room}", more="lists: {room: {values: [{in: bedroom tv, out: media_player.tv}]}}\n"),
    ),
    "a wildcard called name": (sentences("where is [my|the] {name}", more="lists:\n  name: {wildcard: true}\n"),),
    "a plural that must be said": (sentences("wait {minutes} minute(s)", more=MINUTES),),
    "a question mark as in regular expressions": (
        sentences("il (me )?faut du pain").replace("language: en", "language: fr"),
    ),
    "typographic quotes": (sentences("”(I have eaten)”"),),
    "skip words under lists": (sentences("tea", more="lists:\n  skip_words: {values: [please]}\n"),),
    "four ranges": (
        sentences(
            "[in {d} day[s]] [{h} hour[s]] [[and ]{m} minute[s]] [[and ]{s} second[s]] wake me [up] [please]",
            more="lists:\n  d: {range: {from: 0, to: 360}}\n  h: {range: {from: 0, to: 23}}\n"
            "  m: {range: {from: 0, to: 59}}\n  s: {range: {from: 0, to: 59}}\n",
        ),
    ),
    "range to a milliard": (
        sentences("count to {n}", more="lists:\n  n: {range: {from: 0, to: 999999999, words: false}}\n"),
    ),
    "block at the margin": (
        "language: en\nintents:\n  Do:\n    data:\n    - sentences:\n      - tea\n      - coffee\n",
    ),
    "hidden slots": (sentences("hand me {drink:x_drink} now", more=DRINKS),),
}

REFUSED: Mapping[str, tuple[str, str]] = {
    "list and slot swapped": (
        sentences("a {from:drink}", more=DRINKS),
        r"0\.yaml:6.*\{from\}[\s\S]*\{drink:from\}",
    ),
    "unknown list": (sentences("a", "set {mode} now"), r"0\.yaml:7.*\{mode\}"),
    "unknown rule": (sentences("<nowhere> a"), r"0\.yaml:6.*<nowhere>"),
    "a rule that is a list": (sentences("<drink> a", more=DRINKS), r"write \{drink\}"),
    "a list that is a rule": (sentences("{r} a", more="expansion_rules: {r: b}\n"), "write <r>"),
    "a rule that calls itself": (
        sentences("<a>", more="expansion_rules: {a: 'x <b>', b: 'y <a>'}\n"),
        "<a> → <b> → <a>",
    ),
    "a list in its own values": (sentences("{x}", more="lists: {x: {values: ['a {x}']}}\n"), "own values"),
    "wildcards side by side": (sentences("buy {what} {who}", more=WILD), r"0\.yaml:6.*side by side"),
    "open bracket": (sentences("a (b"), r"0\.yaml:6.*cannot read"),
    "closing bracket": (sentences("a b)"), r"0\.yaml:6.*cannot read"),
    "empty brackets": (sentences("a () b"), r"0\.yaml:6.*cannot read"),
    "choice and permutation": (sentences("(a|b;c)"), r"0\.yaml:6"),
    "inline range without a slot": (sentences("{0..9} a"), r"\{0\.\.9:SLOT\}"),
    "negative inline range": (sentences("{-5..9:n} a"), "negative"),
    "a number as a sentence": ("language: en\nintents: {Do: {data: [{sentences: [5]}]}}\n", "in quotes"),
    "truth as a value": (
        sentences("go {x}", more="lists: {x: {values: [on, off]}}\n"),
        "in quotes",
    ),
    "a list without mapping": (sentences("a {x}", more="lists: {x: [a, b]}\n"), r"0\.yaml:7.*\{x\}"),
    "a list of nothing": (sentences("a {x}", more="lists: {x: {}}\n"), r"\{x\}"),
    "value without in": (sentences("a {x}", more="lists: {x: {values: [{out: 1}]}}\n"), "`in`"),
    "sentences as text": ("language: en\nintents: {Do: {data: [{sentences: a b}]}}\n", "write a list"),
    "an intent called NoMatch": (sentences("a", intent=NO_MATCH), "cannot name an intent"),
    "an empty range": (sentences("a {x}", more="lists: {x: {range: {from: 5, to: 1}}}\n"), "no number"),
    "a range of too many values": (
        sentences("a {x}", more="lists: {x: {range: {from: 0, to: 4294967296, multiplier: 2}}}\n"),
        "4,294,967,297 numbers",
    ),
    "a language that is a path": (sentences("a").replace("language: en", "language: ../en"), "`language` is '../en'"),
    "a language without end": (sentences("a").replace("language: en", f"language: {'x' * 10_000}"), "language's code"),
    "an empty language": (sentences("a").replace("language: en", "language: ''"), "language's code"),
    "a range type": (sentences("a {x}", more="lists: {x: {range: {from: 1, to: 5, type: percent}}}\n"), "percentage"),
    "keywords that no sentence has": (sentences("tea", block="required_keywords: [Tea]"), "required_keywords"),
    "no mapping": ("- a\n- b\n", "mapping of keys"),
    "broken yaml": ("language: en\nintents: [\n", r"0\.yaml.*not valid YAML"),
    "no language": ("intents: {Do: {data: [{sentences: [a]}]}}\n", "language"),
}


@pytest.mark.parametrize("name", LOADED)
def test_files_of_people_are_loaded_and_every_template_is_drawn(name: str, tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED[name])
    samples = draw(source)
    assert {sample.template for sample in samples} == {template.index for template in source.templates}
    assert all(sample.sentence and "  " not in sample.sentence for sample in samples)
    schemas = source.intents()
    assert all(set(sample.slots) <= set(schemas[sample.intent].slots) for sample in samples)


@pytest.mark.parametrize("name", LOADED)
def test_hassil_reads_what_is_drawn_with_the_same_answer(name: str, tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED[name])
    samples = draw(source, 120, seed=2)
    unread = [(sample.sentence, sample.slots) for sample in samples if not is_read(source, sample)]
    assert len(unread) <= len(samples) // 100, unread[:5]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_by_name(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="3 errors") as caught:
        load(tmp_path, sentences("a {x}", "<y>", "ok", "(z"))
    assert [problem.key for problem in caught.value.problems] == ["0.yaml:9", "0.yaml:6", "0.yaml:7"]


def test_the_same_random_numbers_draw_the_same(tmp_path: Path) -> None:
    texts = LOADED["names of the home"]
    assert draw(load(tmp_path, *texts)) == draw(load(tmp_path, *texts))


def test_the_slot_is_what_the_list_gives_out(tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED["template values"])
    values = {sample.sentence: sample.slots["heat"] for sample in draw(source)}
    assert values == {"make it hot": "95", "make it very hot": "95", "make it cold": "5", "make it cool": "5"}


def test_of_equal_values_the_first_counts(tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED["lists that merge"])
    assert {s.slots["person"] for s in draw(source)} == {"sam_desktop", "tom"}


def test_a_huge_list_drowns_no_other_sentence(tmp_path: Path) -> None:
    values = ", ".join(f"'title {number}'" for number in range(13_000))
    source = load(
        tmp_path,
        sentences(
            "play {movie}", "play {movie} (loud|quiet) [now]", more=f"lists: {{movie: {{values: [{values}]}}}}\n"
        ),
        sentences("stop", intent="Stop"),
    )
    samples = draw(source, 1000)
    assert sum(sample.intent == "Stop" for sample in samples) > 200
    schema = source.intents()["Do"].slots["movie"]
    assert schema.kinds == {"movie"}
    assert schema.values == ()
    assert len(source.entries()) == 13_000


def test_many_names_of_one_value_hide_no_other_value(tmp_path: Path) -> None:
    names = ", ".join(f"{{in: 'lamp {number}', out: lamp}}" for number in range(99))
    source = load(tmp_path, sentences("use {x}", more=f"lists: {{x: {{values: [{names}, fan]}}}}\n"))
    assert sum(sample.slots["x"] == "fan" for sample in draw(source, 400)) > 150


def test_names_are_those_of_the_home_with_their_kinds(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("open {name} [in {area}]"), with_home=True)
    assert {(entry.text, entry.kind, entry.value) for entry in source.entries()} >= {
        ("Desk Lamp", "light", "Desk Lamp"),
        ("Work Light", "light", "Desk Lamp"),
        ("Bathroom", "area", "Bath"),
        ("Upstairs", "floor", "Upstairs"),
    }
    assert source.reads("open front door in kitchen")
    assert not source.reads("open the pod bay doors")
    assert source.intents()["Do"].slots["area"].kinds == {"area"}


def test_contexts_limit_the_names(tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED["light by context"], with_home=True)
    assert source.intents()["Do"].slots["name"].kinds == {"light"}
    assert source.reads("dim work light")
    assert not source.reads("dim front door")
    for sample in draw(source):
        kinds = {entry.kind for entry in sample.entries if entry.value == sample.slots["name"]}
        assert "light" in kinds


def test_a_home_wins_over_a_list_called_as_its_own(tmp_path: Path) -> None:
    text = LOADED["a wildcard called name"]
    assert load(tmp_path, *text).intents()["Do"].slots["name"].is_free
    assert not load(tmp_path, *text, with_home=True).intents()["Do"].slots["name"].is_free


def test_the_kinds_of_a_number_are_those_that_the_words_around_it_make(tmp_path: Path) -> None:
    more = "lists:\n  n: {range: {from: 0, to: 90}}\n"
    source = load(
        tmp_path,
        sentences("dim to {n:a} [percent]", "heat to {n:b}°", "wait {n:c} minutes", "dial {n:d}", more=more),
        sentences("at {n:h}:{n:m}", intent="At"),
    )
    slots = source.intents()["Do"].slots
    assert [sorted(slots[slot].kinds) for slot in "abcd"] == [
        ["number", "percent"],
        ["degrees", "number"],
        ["duration", "number"],
        ["number"],
    ]
    assert slots["c"].part == "minutes"
    assert [source.intents()["At"].slots[slot].part for slot in "hm"] == ["hours", "minutes"]


def test_lists_of_everyday_words_are_answer_tokens_alone(tmp_path: Path) -> None:
    more = "lists:\n  state: {values: [{in: 'on', out: 'on'}, 'off']}\n  mood: {values: [party, dinner]}\n"
    source = load(tmp_path, sentences("turn it {state}", "turn on {mood}", more=more))
    slots = source.intents()["Do"].slots
    assert not slots["state"].kinds
    assert slots["state"].values == ("off", "on")
    assert slots["mood"].kinds == {"mood"}


def test_lists_that_are_called_as_quantities_or_things_have_kinds_of_their_own(tmp_path: Path) -> None:
    more = "lists: {time: {values: [half past one, noon]}, light: {values: [lantern]}}\n"
    task = SentencesTask(
        SentencesConfig.from_mapping(
            {"files": write(tmp_path, sentences("at {time} {light}", "open {name}", more=more)), "nomatch": 0}
        ),
        tmp_path,
    )
    assert task.source.intents()["Do"].slots["time"].kinds == {"time_list"}
    assert {"time_list", "light_list"} <= set(task.schema.kinds)


def test_files_without_sentences_are_read(tmp_path: Path) -> None:
    assert not load(tmp_path, "language: en\nresponses:\n  intents: {Do: {default: 'Yes.'}}\n").templates
    assert not load(tmp_path, "language: en\nexpansion_rules: {please: please}\nintents:\n").templates


def test_an_open_list_has_no_answer_tokens(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("order {drink}", more=DRINKS), open=["drink"])
    slot = source.intents()["Do"].slots["drink"]
    assert (slot.kinds, slot.values) == (frozenset({"drink"}), ())
    with pytest.raises(ConfigError, match="cannot be listed"):
        load(tmp_path, *LOADED["list in a value"], open=["order"])


def test_free_text_never_holds_the_word_that_ends_it(tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED["wildcard in the middle"])
    assert all("to" not in sample.slots["what"].split() for sample in draw(source))
    assert source.intents()["Do"].slots["what"].is_free


def test_required_slots_and_defaults(tmp_path: Path) -> None:
    source = load(
        tmp_path,
        sentences(
            "brew [{count}] {drink}", "brew", intent="Brew", more=DRINKS + "  count: {range: {from: 1, to: 4}}\n"
        ),
        required={"Brew": ["drink"]},
        default={"Brew": {"count": 1}},
    )
    for sample in draw(source):
        if sample.sentence == "brew":
            assert (sample.intent, sample.slots) == (NO_MATCH, {})
        else:
            assert sample.slots["count"] >= "1"
    assert source.intents()["Brew"].needed == (frozenset({"count", "drink"}),)


def test_of_exclusive_slots_an_answer_has_one(tmp_path: Path) -> None:
    minutes = "{range: {from: 1, to: 9}}"
    lists = f"{DRINKS}  delay: {minutes}\n  hour: {minutes}\n"
    text = sentences("brew {drink} [in {delay}] [at {hour}]", intent="Brew", more=lists)
    source = load(tmp_path, text, exclusive={"Brew": [["delay", "hour"]]})
    for sample in draw(source):
        both = " in " in sample.sentence and " at " in sample.sentence
        assert (sample.intent == NO_MATCH) == both
    assert source.intents()["Brew"].exclusive == (frozenset({"delay", "hour"}),)
    with pytest.raises(ConfigError, match="exclusive"):
        load(tmp_path, text, exclusive={"Brew": [["delay", "our"]]})


def test_hints_may_stand_beside_the_sentences_and_the_recipe_wins(tmp_path: Path) -> None:
    text = (
        sentences("brew {drink}", more=DRINKS) + "thimble:\n  default: {Do: {count: 1, size: s}}\n  nomatch: [thanks]\n"
    )
    source = load(tmp_path, text, default={"Do": {"count": 2}}, nomatch=["bye"])
    assert source.hints.default == {"Do": {"count": 2}}
    assert source.hints.nomatch == ("thanks", "bye")
    with pytest.raises(ConfigError, match="thimble"):
        load(tmp_path, sentences("a") + "thimble: {colour: red}\n")


def test_weights_and_examples(tmp_path: Path) -> None:
    example = {"sentence": "i am thirsty", "intent": "Do", "slots": {"drink": "tea"}}
    source = load(
        tmp_path,
        sentences("brew {drink}", more=DRINKS),
        sentences("stop", intent="Stop"),
        weight={"Stop": 20},
        examples=[example],
    )
    samples = draw(source, 600)
    assert sum(sample.intent == "Stop" for sample in samples) > 450
    assert ("i am thirsty", {"drink": "tea"}) in [(sample.sentence, dict(sample.slots)) for sample in samples]


def test_a_hint_about_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Brw"):
        load(tmp_path, sentences("a", intent="Brew"), weight={"Brw": 2})


def test_a_wildcard_with_a_type_holds_quantities(tmp_path: Path) -> None:
    source = load(
        tmp_path, sentences("wake me at {what}", "wait {who}", more=WILD), types={"what": "time", "who": "minutes"}
    )
    slots = source.intents()["Do"].slots
    assert slots["what"].kinds == {"time"}
    assert slots["who"].kinds == {"duration"}
    assert slots["who"].part == "minutes"
    samples = draw(source)
    assert all(sample.slots.get("what", "00:00")[2] == ":" for sample in samples)
    assert all(sample.slots.get("who", "1").isdigit() for sample in samples)
    assert {sample.slots["what"] for sample in samples if "half past five" in sample.sentence} <= {"05:30"}
    with pytest.raises(ConfigError, match="no phrases"):
        load(tmp_path, sentences("à {what}", more=WILD).replace(": en", ": sv"), types={"what": "time"})


def test_a_split_is_kept_from_training(tmp_path: Path) -> None:
    names = write(
        tmp_path, sentences("go {n}", "run {n} times", more="lists: {n: {range: {from: 1, to: 99, words: false}}}\n")
    )
    config = SentencesConfig.from_mapping(
        {"files": names, "splits": {"new": {"share": 0.3, "by": "answer"}, "some": 0.1}, "nomatch": 0}
    )
    task = SentencesTask(config, tmp_path)
    held = task.held_out_samples()
    assert set(task.splits) == set(held) == {"new", "some"}
    trained = {str(sample.slots) for sample in draw(task.source, 1000)}
    assert held["new"]
    assert not trained & {str(sample.slots) for sample in held["new"]}
    assert not load(tmp_path, sentences("go")).config.splits


def test_home_assistants_own_sentences_lie_below(tmp_path: Path) -> None:
    text = sentences("paint it {color}", more="lists: {color: {values: [{in: plum, out: plum}]}}\n")
    source = load(tmp_path, text, base="home_assistant")
    assert {"Do", "HassTurnOn", "HassLightSet"} <= set(source.intents())
    assert {"plum", "red"} <= {sample.slots["color"] for sample in draw(source, 4000) if sample.intent == "Do"}


def test_text_that_templates_say_and_words_of_parts(tmp_path: Path) -> None:
    words = load(tmp_path, sentences("light[s] on [in {area}]", more="skip_words: [please]\n")).literal_words()
    assert {"light", "lights", "on", "in", "please"} <= words


def test_the_same_sentence_is_read_from_memory(tmp_path: Path) -> None:
    source = load(tmp_path, *LOADED["choice"])
    assert source.reads("warm the bath")
    assert not source.reads("warm the bed")
    assert source.reads("Warm the bath!")


def found(source: SentencesSource, *tests: SentenceTest) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in check_sentences(source, tests).findings:
        kinds.setdefault(finding.kind, []).append(finding.what)
    return kinds


def test_the_check_names_pairs_of_templates_that_read_one_sentence(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("(lights|lamps) on"), sentences("lamps (on|off)", intent="Other"))
    (what,) = found(source)["ambiguous"]
    assert "lamps on" in what
    assert "1.yaml" in what or "0.yaml" in what


def test_the_check_names_catch_alls_and_no_match_is_not_trained(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("[put back|return] [my|the|our] {what}", more=WILD))
    assert "catch-all" in found(source)
    assert source.nomatch_share == 0
    assert load(tmp_path, sentences("tea")).nomatch_share == 0.2


def test_the_check_does_not_stop_at_faults(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("a {x}", "b"), is_strict=False)
    assert "cannot work" in found(source)
    assert [template.text for template in source.templates] == ["b"]


def test_the_check_tells_of_lists(tmp_path: Path) -> None:
    more = (
        "lists:\n  a: {values: [{in: grün, out: 1}, {in: gruen, out: 2}, blau]}\n  b: {values: [blau, rot, rot]}\n"
        "  c: {values: []}\n  d: {values: [x]}\nexpansion_rules: {r: x}\n"
    )
    text = sentences("nimm {a}", "hol {b}", "sag [{c}] was", more=more).replace("language: en", "language: de")
    kinds = found(load(tmp_path, text))
    assert "sound alike" in kinds["value"][0]
    assert "blau" in kinds["two lists"][0]
    assert "{c}" in kinds["empty list"][0]
    assert len(kinds["unused"]) == 2


def test_the_check_tells_of_spellings_explosions_and_lone_words(tmp_path: Path) -> None:
    parts = " ".join(f"[a{number}|b{number}|c{number}]" for number in range(8))
    source = load(
        tmp_path,
        sentences("wait {minutes} minute(s)", f"go {parts}", "what?", more=MINUTES),
        sentences("[kindly] stop", intent="Stop"),
    )
    kinds = found(source)
    assert len(kinds["spelling"]) == 2
    assert len(kinds["explosion"]) == 1
    assert any("kindly" in what for what in kinds["lone word"])


def test_the_check_tells_of_tests(tmp_path: Path) -> None:
    source = load(tmp_path, sentences("brew {drink}", more=DRINKS))
    tests = [
        SentenceTest(sentence="brew tea", answers=(ExpectedAnswer(intent="Do", slots={"drink": "tea"}),)),
        SentenceTest(sentence="brew hot milk", answers=()),
        SentenceTest(sentence="tea for me", answers=(ExpectedAnswer(intent="Do", slots={"size": "large"}),)),
    ]
    whats = found(source, *tests)["test"]
    assert any("said by a template" in what for what in whats)
    assert any("no command" in what for what in whats)
    assert any("size" in what for what in whats)


def test_the_command_says_what_is_wrong_and_how_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, sentences("tea"))
    assert main(["check", str(tmp_path)]) == 0
    assert "1 templates" in capsys.readouterr().out
    write(tmp_path, sentences("wait {minutes} minute(s)", more=MINUTES))
    assert main(["check", str(tmp_path / "0.yaml")]) == 0
    assert main(["check", str(tmp_path / "0.yaml"), "--strict"]) == 1
    assert "write [s]" in capsys.readouterr().out
    write(tmp_path, sentences("wait {nothing}"))
    assert main(["check", str(tmp_path / "0.yaml"), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["severity"], finding["place"]) == ("error", "0.yaml:6")
    assert main(["check", str(tmp_path / "none.yaml")]) == 1


def test_the_command_reads_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, sentences("tea"))
    recipe = {
        "name": "tea",
        "task": {"name": "sentences", "files": ["0.yaml"]},
        "tokenizer": {"vocab_size": 512},
        "model": {"variant": "nano"},
        "train": {"steps": 1},
        "boards": ["mps2_an386"],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert main(["check", str(path)]) == 0
    path.write_text(yaml.safe_dump({**recipe, "task": {"name": "home_assistant"}}), encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert "no sentences of its own" in capsys.readouterr().err
