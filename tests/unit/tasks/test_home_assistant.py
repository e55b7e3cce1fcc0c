"""The home task: real sentences, splits that cannot meet, any language, clear errors."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.tasks.excluded import write_hashes
from pipeline.tasks.home_assistant.noise import add_typos, polite
from pipeline.tasks.home_assistant.reader import Reader
from pipeline.tasks.home_assistant.task import HomeAssistantTask
from pipeline.tasks.home_file import KINDS
from pipeline.tasks.homes import HomeSource
from pipeline.tasks.registry import load_task
from pipeline.tasks.samples import NO_MATCH, Sample
from pipeline.tasks.task import Dataset, Pair
from pipeline.text.answers import StructuredAnswer

HELD_OUT = ("new_combinations", "new_names", "new_templates", "noisy")
NAMES = ("area", "floor", "name")


def _all(dataset: Dataset) -> Iterator[tuple[str, Pair]]:
    for name, pairs in {"dev": dataset.dev, **dataset.splits}.items():
        yield from ((name, pair) for pair in pairs)


def _digest(task: HomeAssistantTask, count: int = 200) -> str:
    source = task.training_source
    drawn = [source.draw(random.Random(f"digest {number}")) for number in range(count)]
    lines = [f"{s.sentence}\t{s.intent}\t{sorted(s.slots.items())}\t{s.entries}\t{s.fixed}" for s in drawn]
    lines += [f"{name}\t{pair.sentence}\t{pair.action}" for name, pair in _all(task.dataset())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.fixture(scope="module")
def drawn(english_task: HomeAssistantTask) -> list[Sample]:
    source = english_task.training_source
    return [source.draw(random.Random(f"sample {number}")) for number in range(3_000)]


def test_the_splits_have_the_sizes_asked_for(english: Dataset) -> None:
    assert english.train == []
    assert len(english.dev) == 400
    assert {name: len(pairs) for name, pairs in english.splits.items()} == dict.fromkeys(HELD_OUT, 200)


def test_no_sentence_stands_in_two_splits(english: Dataset) -> None:
    sentences = {name: {pair.sentence for pair in pairs} for name, pairs in english.splits.items()}
    sentences["dev"] = {pair.sentence for pair in english.dev}
    for left, right in combinations(sentences, 2):
        assert not sentences[left] & sentences[right], (left, right)


def test_held_out_combinations_are_never_drawn(english_task: HomeAssistantTask, drawn: list[Sample]) -> None:
    templates = english_task.templates.templates
    assert not any(english_task.is_held_out(templates[sample.template], sample.slots) for sample in drawn)


def test_withheld_templates_are_taught_by_others_and_never_drawn(
    english_task: HomeAssistantTask, drawn: list[Sample]
) -> None:
    templates = english_task.templates.templates
    withheld = [template for template in templates if template.index in english_task.withheld]
    trained = [template for template in templates if template.index not in english_task.withheld]
    assert 0.06 < len(withheld) / len(templates) < 0.1
    for template in withheld:
        assert sum(candidate.signature == template.signature for candidate in trained) >= 2
    assert {t.intent for t in trained} == {t.intent for t in templates}
    assert not {sample.template for sample in drawn} & english_task.withheld


def test_a_product_trains_on_everything() -> None:
    task = HomeAssistantTask.from_mapping({"held_out": False, "split_sentences": 20})
    assert not task.withheld
    assert set(task.dataset().splits) == set(task.splits) == {"new_names", "noisy"}


def test_all_intents_of_the_language_are_taught(english_task: HomeAssistantTask, drawn: list[Sample]) -> None:
    assert {sample.intent for sample in drawn} == {*english_task.templates.intents.intents, NO_MATCH}
    assert set(english_task.source.intents()) == set(english_task.templates.intents.intents)


def test_what_samples_hold_is_what_the_schema_allows(english_task: HomeAssistantTask, drawn: list[Sample]) -> None:
    intents = english_task.source.intents()
    for sample in drawn:
        if sample.intent == NO_MATCH:
            continue
        slots, needed = intents[sample.intent].slots, intents[sample.intent].needed
        assert sample.slots.keys() <= slots.keys(), sample
        assert any(one <= sample.slots.keys() for one in needed), sample
        known = {entry.value: entry.kind for entry in sample.entries}
        for name, value in sample.slots.items():
            slot = slots[name]
            assert slot.is_free or slot.kinds or value in slot.values, (name, sample)
            if name in NAMES and not (name == "name" and "Timer" in sample.intent):
                assert known[value] in slot.kinds, (name, sample)


def test_a_thing_that_the_home_does_not_have_is_no_match(drawn: list[Sample]) -> None:
    refused = [sample for sample in drawn if sample.intent == NO_MATCH]
    assert 0.01 < len(refused) / len(drawn) < 0.1
    assert not any(sample.slots for sample in refused)


def test_other_names_never_stand_where_they_would_mean_something(
    english_task: HomeAssistantTask, drawn: list[Sample]
) -> None:
    intents = english_task.source.intents()
    templates = english_task.templates
    for sample in drawn:
        if sample.intent == NO_MATCH:
            continue
        names = [reference.list_name for reference in templates.references(templates.templates[sample.template])]
        if names.count("name") > 1:  # "how much does my {name} cost my {name}": the last one counts
            continue
        commanded = set().union(*(slot.kinds for slot in intents[sample.intent].slots.values()))
        said = {value.lower() for value in sample.slots.values()}
        for entry in sample.entries:
            # Where no thing is named, one may be called as a noun of the sentence is: "Light" in "turn on the light",
            # "Motion Sensors" in "are all motion sensors off".
            is_noun = " " not in entry.text or entry.text.endswith("s")
            if "name" not in sample.slots and entry.kind not in ("area", "floor") and is_noun:
                continue
            if entry.kind in commanded and entry.text.lower() not in said and not sample.intent.endswith("Timer"):
                inside = f" {entry.text.lower()} " in f" {sample.sentence.lower()} "
                values = [sample.sentence[first:end].lower() for first, end in sample.fixed]
                assert not inside or any(entry.text.lower() in value for value in (*said, *values)), (entry, sample)


def test_names_stand_before_areas_and_areas_before_floors(drawn: list[Sample]) -> None:
    order = {"area": 1, "floor": 2}
    for sample in drawn:
        ranks = [order.get(entry.kind, 0) for entry in sample.entries]
        assert ranks == sorted(ranks)
        assert len({entry.text.lower() for entry in sample.entries}) == len(ranks)


def test_values_stand_where_the_sample_says(drawn: list[Sample]) -> None:
    for sample in drawn:
        texts = [sample.sentence[first:end] for first, end in sample.fixed]
        for slot in ("area", "floor"):
            if slot in sample.slots:
                assert sample.slots[slot].lower() in map(str.lower, texts), sample


def test_names_of_the_home_that_ships_are_never_made_up(english_task: HomeAssistantTask) -> None:
    homes, rng = english_task.homes, random.Random(1)
    own = {thing.name.lower() for thing in english_task.home.entities if not homes.is_noun(thing.name)}
    assert own and not {homes.name(rng, rng.choice(KINDS)).lower() for _ in range(5_000)} & own


def test_a_thing_may_have_the_name_of_its_class_though_the_home_that_ships_has_one() -> None:
    homes = HomeSource.of_language("en", avoided=frozenset({"radio", "henrietta"}))
    rng = random.Random(1)
    names = {homes.name(rng, "media_player").lower() for _ in range(5_000)}
    assert homes.is_noun("Radio") and not homes.is_noun("Henrietta")
    assert "radio" in names and "henrietta" not in names


def test_a_class_word_that_is_no_name_of_the_home_is_no_unknown_thing(english_task: HomeAssistantTask) -> None:
    rng = random.Random(1)
    samples = [english_task.source.draw(rng) for _ in range(4_000)]
    templates = english_task.templates.templates
    nothing = [
        s for s in samples if s.intent == NO_MATCH and templates[s.template].domains and templates[s.template].has_name
    ]
    values = [[sample.sentence[first:end] for first, end in sample.fixed] for sample in nothing]
    assert len(values) > 20  # sentences with a name that the home does not have
    assert not [texts for texts in values if texts and all(map(english_task.homes.is_noun, texts))]


def test_building_again_gives_the_same(english_task: HomeAssistantTask) -> None:
    again = HomeAssistantTask.from_mapping({"language": "en", "split_sentences": 200})
    assert _digest(again) == _digest(english_task)


def test_the_data_does_not_hang_on_the_hash_seed_of_a_process() -> None:
    code = (
        "from pipeline.tasks.registry import load_task; from tests.unit.tasks.test_home_assistant import _digest;"
        "print(_digest(load_task({'name': 'home_assistant', 'language': 'fr', 'split_sentences': 20})))"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_another_seed_gives_other_data() -> None:
    tasks = [HomeAssistantTask.from_mapping({"split_sentences": 20, "seed": seed}) for seed in (1, 2)]
    assert _digest(tasks[0], 20) != _digest(tasks[1], 20)


_FRENCH = pytest.mark.xfail(reason="11 of 200: hyphens of clitics, elided forms that the templates do not write")

_POLISH = pytest.mark.xfail(reason="25 of 200: names and areas in other cases ('w salonie'), which hassil is not told")


@pytest.mark.variants(keep=3)
@pytest.mark.parametrize(
    "language",
    ["en", "de", pytest.param("fr", marks=_FRENCH), pytest.param("pl", marks=_POLISH), "ru", "zh-CN"],
)
def test_hassil_reads_the_sentences_as_the_task_does(language: str) -> None:
    task = HomeAssistantTask.from_mapping({"language": language, "split_sentences": 10})
    pairs = [pair for pair in task.dataset().dev if "volume_step=down" not in pair.action][:200]
    right = task.baseline(pairs)
    wrong = [pair for pair, agreed in zip(pairs, right, strict=True) if not agreed]
    assert len(wrong) <= 3, wrong


def test_hassil_refuses_a_wrong_action(english_task: HomeAssistantTask) -> None:
    sentence = "turn off the kitchen lights"
    actions = [
        "HassTurnOff area=Kitchen domain=light",
        "HassTurnOn area=Kitchen domain=light",
        "HassTurnOff area=Kitchen",
        "HassTurnOff domain=light",
        "HassTurnOff area=Garden domain=light",
        "HassTurnOff",
    ]
    right = english_task.baseline([Pair(sentence, action) for action in actions])
    assert right == [True, False, False, False, False, False]


def test_noise_is_hard_for_hassil(english_task: HomeAssistantTask, english: Dataset) -> None:
    pairs = english.splits["noisy"]
    assert sum(english_task.baseline(pairs)) < len(pairs) / 2


def test_the_examples_mean_what_hassil_reads(english_task: HomeAssistantTask) -> None:
    examples = list(english_task.examples())
    assert len(examples) == 12
    assert Pair("set a timer for 5 minutes", "HassStartTimer minutes=5") in examples
    right = english_task.baseline(examples)
    assert sum(right) >= len(right) - 1, examples


@pytest.mark.variants(keep=3)
@pytest.mark.parametrize("language", ["de", "fr", "ru", "el", "ja", "zh-CN", "ar", "hi", "de-CH"])
def test_any_language_builds(language: str) -> None:
    task = HomeAssistantTask.from_mapping({"language": language, "split_sentences": 20})
    dataset = task.dataset()
    assert len(dataset.dev) > 100
    assert all(dataset.splits[name] for name in HELD_OUT)
    assert list(task.examples()) == list(task.examples())
    sample = task.training_source.draw(random.Random(1))
    assert sample.entries and sample.intent in task.source.intents()


@pytest.mark.parametrize("language", ["en", "de"])
def test_templates_read_their_sentences(language: str) -> None:
    task = HomeAssistantTask.from_mapping({"language": language, "held_out": False})
    drawn = [task.source.draw_in_home(random.Random(number)) for number in range(400)]
    sentences = [sample.sentence for sample in drawn if sample is not None]
    assert sum(map(task.source.reads, sentences)) > 0.88 * len(sentences)


@pytest.mark.parametrize("language", ["en", "de"])
def test_templates_that_are_not_looked_at_read_nothing(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = HomeAssistantTask.from_mapping({"language": language, "held_out": False, "weave": 0.5, "nomatch": 0.3})
    rng = random.Random(7)
    sentences = [task.training_source.draw(rng).sentence for _ in range(60)]
    sentences += [" ".join(rng.sample(words, len(words))) for words in map(str.split, sentences[:20])]
    reader = Reader(task.templates, task.homes.words)
    fast = [reader.reads(sentence) for sentence in sentences]
    some = sum(1 << index for index in rng.sample(range(len(task.templates.templates)), 150))
    monkeypatch.setattr(reader, "_candidates", lambda words: some)
    reader.reads.cache_clear()
    assert not [sentence for sentence, is_read in zip(sentences, fast, strict=True) if reader.reads(sentence) > is_read]
    assert {*fast} == {False, True}


@pytest.mark.parametrize(
    "sentence",
    [
        "what is the capital of france",
        "i turned off the light already",
        "don't turn off the kitchen lights",
        "thank you",
        "tell me a joke",
        "that was a long day off",
    ],
)
def test_no_template_reads_what_is_no_command(english_task: HomeAssistantTask, sentence: str) -> None:
    assert not english_task.source.reads(sentence)


@pytest.mark.parametrize(
    ("language", "sentence", "intent", "slots"),
    [
        ("en", "is the tumble dryer running", "HassGetState", {"name": "Tumble Dryer", "state": "on"}),
        ("en", "how many batteries are low", "HassGetState", {"device_class": "battery", "state": "on"}),
        ("en", "stop vacuuming", "HassVacuumReturnToBase", {}),
        ("en", "water the garden", "HassTurnOn", {"area": "Garden", "domain": "valve"}),
        ("de", "öffne alle jalousien im bad", "HassTurnOn", {"area": "Bad", "domain": "cover"}),
        ("de", "ist jemand zu hause", "HassGetState", {"domain": "person", "state": "home"}),
    ],
)
def test_sentences_of_the_project_s_own_are_read(
    language: str, sentence: str, intent: str, slots: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "home.yaml").write_text(
        "areas: [{name: Garden}, {name: Bad}]\nentities: [{name: Tumble Dryer, domain: binary_sensor}]\n"
    )
    task = HomeAssistantTask.from_mapping({"language": language, "home": "home.yaml"}, tmp_path)
    answer = StructuredAnswer(intent, slots)
    if "device_class" in slots:
        answer = StructuredAnswer(intent, {**slots, "domain": "binary_sensor"})
    assert task.source.reads(sentence)
    assert task.baseline([Pair(sentence, answer.text)]) == [True]


def test_training_never_sees_excluded_sentences(tmp_path: Path) -> None:
    (tmp_path / "said.jsonl").write_text('{"sentence": "Pause the Timer!"}\n')
    assert write_hashes(tmp_path / "more.hashes", [tmp_path / "said.jsonl"], "whose they are") == 1
    for file in ("said.jsonl", "more.hashes"):
        task = HomeAssistantTask.from_mapping({"exclude": [file]}, tmp_path)
        assert "pause the timer" in task.excluded
        assert "pause the music" not in task.excluded


def test_a_missing_file_of_sentences_is_an_error(tmp_path: Path) -> None:
    task = HomeAssistantTask.from_mapping({"exclude": ["none.jsonl"]}, tmp_path)
    with pytest.raises(ThimbleError, match=r"cannot read .*none\.jsonl"):
        assert "anything" in task.excluded


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(ThimbleError, match=r"'xx'.*is not in home-assistant-intents") as caught:
        load_task({"name": "home_assistant", "language": "xx"})
    assert "de, " in caught.value.remedy and "zh-CN" in caught.value.remedy


@pytest.mark.parametrize("language", ["../en", "en.json", ""])
def test_a_language_that_is_no_code_is_unknown(language: str) -> None:
    with pytest.raises(ThimbleError, match=r"`task.language`.*has another form"):
        load_task({"name": "home_assistant", "language": language})


def test_a_language_of_a_dozen_templates_withholds_none() -> None:
    dataset = HomeAssistantTask.from_mapping({"language": "sw", "split_sentences": 20}).dataset()
    assert dataset.dev
    assert dataset.splits["new_templates"] == []
    assert dataset.splits["new_names"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("langauge", "en", r"unknown key `task\.langauge`"),
        ("seed", "1", r"`task\.seed` is '1' \(str\), not a whole number"),
        ("seed", True, r"`task\.seed` is True \(bool\), not a whole number"),
        ("seed", 1.5, r"`task\.seed` is 1\.5 \(float\), not a whole number"),
        ("language", 3, r"`task\.language` is 3 \(int\), not text"),
        ("polite", "much", r"`task\.polite` is 'much' \(str\), not a number"),
        ("polite", 1.5, r"`task\.polite` is 1\.5.*\n.*from 0 to 1"),
        ("spoiled", -0.1, r"`task\.spoiled` is -0\.1.*\n.*from 0 to 1"),
        ("train_sentences", 100, r"unknown key `task\.train_sentences`"),
        ("split_sentences", 0, r"`task\.split_sentences` is 0\n.*from 1 on"),
    ],
)
def test_a_wrong_section_is_an_error(key: str, value: object, message: str) -> None:
    with pytest.raises(ThimbleError, match=message):
        load_task({"name": "home_assistant", key: value})


def test_a_task_without_a_name_is_an_error() -> None:
    with pytest.raises(ThimbleError, match=r"`task\.name` is missing"):
        load_task({})


@pytest.mark.parametrize("config", [{"name": "chess"}, {"name": 3}, {"name": None}])
def test_an_unknown_task_is_an_error(config: dict[str, object]) -> None:
    with pytest.raises(ThimbleError, match=r"`task\.name` .* is not known") as caught:
        load_task(config)
    assert "home_assistant" in caught.value.remedy


letters = st.text(alphabet="abcdefgh", min_size=1, max_size=8)


@given(
    pieces=st.lists(st.tuples(letters, st.booleans()), min_size=1, max_size=8),
    droppable=st.frozensets(letters, max_size=4),
    seed=st.integers(0, 10_000),
)
def test_noise_leaves_slots_values_alone(pieces: list[tuple[str, bool]], droppable: frozenset[str], seed: int) -> None:
    spaced = [piece for text, fixed in pieces for piece in ((text, fixed), (" ", False))]
    spoiled = add_typos(spaced, droppable, random.Random(seed)).split()
    fixed = [text for text, is_fixed in pieces if is_fixed]
    assert abs(len(spoiled) - len(pieces)) <= 1
    left = iter(spoiled)
    assert all(word in left for word in fixed), (spoiled, fixed)


def test_noise_changes_most_sentences() -> None:
    pieces = [("turn off the ", False), ("kitchen", True), (" lights", False)]
    rng = random.Random(1)
    spoiled = [add_typos(pieces, frozenset({"the"}), rng) for _ in range(200)]
    assert sum(sentence != "turn off the kitchen lights" for sentence in spoiled) > 150
    assert all("kitchen" in sentence for sentence in spoiled)
    assert "turn off kitchen lights" in spoiled


def test_a_filler_goes_before_or_after() -> None:
    rng = random.Random(1)
    variants = {polite("fans on", ["please"], rng) for _ in range(50)}
    assert variants == {"please fans on", "fans on please"}


@pytest.mark.parametrize("language", ["en", "de"])
def test_noise_never_drops_what_a_command_means(language: str) -> None:
    """Without "off" or "zu" it is its opposite, without "set" no command."""
    source = HomeAssistantTask.from_mapping({"language": language}).source
    assert {"en": {"the", "my"}, "de": {"die", "mal"}}[language] <= source._droppable
    assert not source._droppable & {
        "on",
        "off",
        "up",
        "set",
        "put",
        "run",
        "an",
        "aus",
        "auf",
        "zu",
        "hoch",
        "mach",
    } - {"an"}
    assert language == "en" or "an" not in source._droppable
