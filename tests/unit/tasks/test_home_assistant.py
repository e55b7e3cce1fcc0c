"""The home task: real sentences, splits that cannot meet, any language, clear errors."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.tasks.home_assistant.noise import add_typos, polite
from pipeline.tasks.home_assistant.task import HomeAssistantTask
from pipeline.tasks.registry import load_task
from pipeline.tasks.task import Dataset, Pair

HELD_OUT = ("new_combinations", "new_names", "new_templates", "noisy")
NAMES = ("area", "name")


def _slots(action: str) -> dict[str, str]:
    slots: dict[str, str] = {}
    key = ""
    for word in action.split(" ")[1:]:
        if "=" in word:
            key, _, slots[key] = word.partition("=")
        else:
            slots[key] += f" {word}"
    return slots


def _all(dataset: Dataset) -> Iterator[tuple[str, Pair]]:
    for name, pairs in {"train": dataset.train, "dev": dataset.dev, **dataset.splits}.items():
        yield from ((name, pair) for pair in pairs)


def _digest(dataset: Dataset) -> str:
    text = "\n".join(f"{name}\t{pair.sentence}\t{pair.action}" for name, pair in _all(dataset))
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_splits_have_the_sizes_asked_for(english: Dataset) -> None:
    assert len(english.train) == 20_000
    assert len(english.dev) == 200
    assert {name: len(pairs) for name, pairs in english.splits.items()} == dict.fromkeys(HELD_OUT, 200)


def test_no_sentence_stands_in_two_splits(english: Dataset) -> None:
    splits = {"train": english.train, "dev": english.dev, **english.splits}
    sentences = {name: {pair.sentence for pair in pairs} for name, pairs in splits.items()}
    for left, right in combinations(sentences, 2):
        assert not sentences[left] & sentences[right], (left, right)


def test_a_sentence_has_one_action(english: Dataset) -> None:
    pairs = [pair for _, pair in _all(english)]
    assert len({pair.sentence for pair in pairs}) == len(pairs)


def test_new_combinations_are_new_actions_of_known_values(english: Dataset) -> None:
    known = {pair.action for pair in [*english.train, *english.dev]}
    values = {item for pair in [*english.train, *english.dev] for item in _slots(pair.action).items()}
    for pair in english.splits["new_combinations"]:
        assert pair.action not in known
        assert _slots(pair.action).items() <= values


def test_new_names_hold_no_name_that_training_has(english: Dataset) -> None:
    known = {value for pair in [*english.train, *english.dev] for value in _slots(pair.action).values()}
    for pair in english.splits["new_names"]:
        slots = _slots(pair.action)
        assert not {slots[key] for key in NAMES if key in slots} & known
        assert not set(slots.values()) <= known, "nothing in it is new"


def test_the_other_splits_hold_only_names_that_training_may_have(
    english_task: HomeAssistantTask, english: Dataset
) -> None:
    home = english_task.home
    for split in ("train", "dev", "new_combinations", "new_templates", "noisy"):
        pairs = english.train if split == "train" else english.dev if split == "dev" else english.splits[split]
        for pair in pairs:
            slots = _slots(pair.action)
            names = [slots[key] for key in NAMES if key in slots]
            assert not any(home.held_out(name) for name in names if name not in home.areas), pair


def test_withheld_templates_are_taught_by_others_and_never_drawn(english_task: HomeAssistantTask) -> None:
    withheld = [t for t in english_task.language.templates if t.index in english_task.withheld]
    trained = [t for t in english_task.language.templates if t.index not in english_task.withheld]
    assert 0.06 < len(withheld) / len(english_task.language.templates) < 0.1
    for template in withheld:
        assert sum(candidate.signature == template.signature for candidate in trained) >= 2
    assert {t.intent for t in trained} == {t.intent for t in english_task.language.templates}


def test_all_intents_of_the_language_are_taught(english_task: HomeAssistantTask, english: Dataset) -> None:
    taught = {pair.action.split(" ")[0] for pair in english.train}
    assert taught == set(english_task.language.intents.intents)


def test_pairs_are_canonical_and_short(english: Dataset) -> None:
    for _, pair in _all(english):
        assert pair.sentence == " ".join(pair.sentence.lower().split()) != ""
        slots = _slots(pair.action)
        assert list(slots) == sorted(slots)
        assert " ".join([pair.action.split(" ")[0], *(f"{k}={v}" for k, v in slots.items())]) == pair.action
        assert max(len(pair.sentence), len(pair.action)) <= 96


def test_names_stand_in_the_sentence_as_in_the_action(english: Dataset) -> None:
    for _, pair in _all(english):
        slots = _slots(pair.action)
        for key in NAMES:
            if key in slots:
                assert slots[key] in pair.sentence, pair


def test_building_again_gives_the_same(english: Dataset) -> None:
    rebuilt = load_task(
        {"name": "home_assistant", "language": "en", "train_sentences": 20_000, "split_sentences": 200}
    ).dataset()
    assert _digest(rebuilt) == _digest(english)


def test_the_data_does_not_hang_on_the_hash_seed_of_a_process() -> None:
    code = (
        "from pipeline.tasks.registry import load_task; from tests.unit.tasks.test_home_assistant import _digest;"
        "print(_digest(load_task({'name': 'home_assistant', 'language': 'fr', 'train_sentences': 800,"
        " 'split_sentences': 40}).dataset()))"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_another_seed_gives_other_data() -> None:
    config = {"name": "home_assistant", "train_sentences": 300, "split_sentences": 20}
    assert _digest(load_task({**config, "seed": 1}).dataset()) != _digest(load_task({**config, "seed": 2}).dataset())


@pytest.mark.parametrize("language", ["en", "de", "fr", "ru", "zh-CN"])
def test_hassil_reads_the_sentences_as_the_task_does(language: str) -> None:
    """The one known difference: hassil does not negate a spelled number ("volume down by seven")."""
    task = HomeAssistantTask.from_mapping(
        {"language": language, "train_sentences": 400, "split_sentences": 10, "polite": 0.0, "spoiled": 0.0}
    )
    pairs = [pair for pair in task.dataset().train if "volume_step=-" not in pair.action][:250]
    right = task.baseline(pairs)
    wrong = [pair for pair, agreed in zip(pairs, right, strict=True) if not agreed]
    assert len(wrong) <= 2, wrong


def test_hassil_refuses_a_wrong_action(english_task: HomeAssistantTask) -> None:
    sentence = "turn off the kitchen lights"
    actions = [
        "HassTurnOff area=kitchen domain=light",
        "HassTurnOn area=kitchen domain=light",
        "HassTurnOff area=kitchen",
        "HassTurnOff domain=light",
        "HassTurnOff area=garden domain=light",
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
    assert Pair("turn off the kitchen lights", "HassTurnOff area=kitchen domain=light") in examples
    wrong = [pair for pair, right in zip(examples, english_task.baseline(examples), strict=True) if not right]
    assert not wrong


@pytest.mark.parametrize("language", ["de", "fr", "ru", "el", "ja", "zh-CN", "ar", "hi", "de-CH"])
def test_any_language_builds(language: str) -> None:
    task = load_task({"name": "home_assistant", "language": language, "train_sentences": 600, "split_sentences": 30})
    dataset = task.dataset()
    assert len(dataset.train) >= 500
    assert all(dataset.splits[name] for name in HELD_OUT)
    sentences = [pair.sentence for _, pair in _all(dataset)]
    assert len(set(sentences)) == len(sentences)
    assert len(list(task.examples())) == 12
    assert list(task.examples()) == list(task.examples())


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(ThimbleError, match=r"'xx'.*is not in home-assistant-intents") as caught:
        load_task({"name": "home_assistant", "language": "xx"})
    assert "de, " in caught.value.remedy and "zh-CN" in caught.value.remedy


@pytest.mark.parametrize("language", ["../en", "en.json", ""])
def test_a_language_that_is_no_code_is_unknown(language: str) -> None:
    with pytest.raises(ThimbleError, match="is not in home-assistant-intents"):
        load_task({"name": "home_assistant", "language": language})


def test_a_language_of_a_dozen_templates_withholds_none() -> None:
    dataset = load_task({"name": "home_assistant", "language": "sw", "train_sentences": 300}).dataset()
    assert len(dataset.train) == 300
    assert dataset.splits["new_templates"] == []
    assert dataset.splits["new_names"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("langauge", "en", "unknown key `langauge`"),
        ("seed", "1", "`task.seed` is '1', not int"),
        ("seed", True, "`task.seed` is True, not int"),
        ("seed", 1.5, "`task.seed` is 1.5, not int"),
        ("language", 3, "`task.language` is 3, not str"),
        ("polite", "much", "`task.polite` is 'much', not float"),
        ("polite", 1.5, "are shares"),
        ("spoiled", -0.1, "are shares"),
        ("train_sentences", 0, "too few sentences"),
        ("split_sentences", 0, "too few sentences"),
    ],
)
def test_a_wrong_section_is_an_error(key: str, value: object, message: str) -> None:
    with pytest.raises(ThimbleError, match=message):
        load_task({"name": "home_assistant", key: value})


@pytest.mark.parametrize("config", [{}, {"name": "chess"}, {"name": 3}, {"name": None}])
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
