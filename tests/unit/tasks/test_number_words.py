import random
from collections.abc import Iterator

import pytest
from unicode_rbnf import RbnfEngine

from pipeline.errors import ThimbleError
from pipeline.tasks.number_words import number_words, quantities
from pipeline.text.quantities import Quantities
from pipeline.text.quantity_language import compile_quantities

OTHER_LANGUAGES = {
    "fr": {"and": ["et"], "and_in_tens": True, "teens": True, "scores": True, "more": {20: ["vingts"]}},
    "es": {"and": ["y"], "and_in_tens": True},
    "it": {"glued": True, "more": {100: ["cent"]}},
    "nl": {"glued": True, "and": ["en", "ën"], "units_first": True},
    "pt": {"and": ["e"], "and_in_tens": True},
    "sv": {"glued": True},
    "pl": {},
    "uk": {},
    "cs": {},
}


def spelled(language: str, numbers: list[int]) -> Iterator[tuple[int, list[str]]]:
    """Each number as every rule set of CLDR spells it."""
    engine = RbnfEngine.for_language(language)
    names = [
        name
        for name in map(str, engine.rulesets)
        if (name == "spellout-numbering" or name.startswith("spellout-cardinal"))
        and not name.endswith(("-ones", "-tens"))
        and "-with-" not in name
    ]
    for number in numbers:
        for text in {engine.format_number(number, ruleset_names=[name]).text for name in names}:
            yield number, text.lower().replace("\u00ad", "").replace("-", " ").replace(",", "").split()


def check(reader: Quantities, language: str, numbers: list[int]) -> None:
    articles = {reader.tables.morphemes[i] for i, senses in enumerate(reader.tables.senses) if (4, 1) in senses}
    for number, words in spelled(language, numbers):
        found = reader.at(words, 0)
        if number == 1 and words[0] in articles:
            assert found is None
        else:
            assert found is not None, words
            assert (found.kind, found.value, found.count) == ("number", str(number), len(words)), words


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_way_to_spell_a_number_is_read(language: str) -> None:
    rng = random.Random(3)
    large = [rng.randrange(10 ** rng.randint(4, 9)) for _ in range(800)]
    check(quantities(language), language, [*range(1200), *range(1200, 10_001, 13), *large, 999_999_999])


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_another_language_needs_a_few_lines(language: str) -> None:
    rng = random.Random(5)
    numbers = [*range(0, 200), *range(200, 10_000, 67), *(rng.randrange(10**9) for _ in range(100))]
    mapping = {"numbers": OTHER_LANGUAGES[language], "patterns": {"number": ["{number}"]}}
    check(Quantities(compile_quantities(mapping, number_words(language))), language, numbers)


def test_a_language_without_rules_is_an_error() -> None:
    with pytest.raises(ThimbleError, match="xx"):
        number_words("xx")
    with pytest.raises(ThimbleError, match=r"quantities\.yaml"):
        quantities("sv")


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ({"numbers": {}, "patterns": {"time": ["{hours} uhr"]}}, "hours"),
        ({"numbers": {}, "patterns": {"time": ["[uhr]"]}}, "must be there"),
        ({"numbers": {}, "patterns": {"number": ["{number:1-5}"]}}, "limits"),
        ({"numbers": {}, "patterns": {"times": ["{hour}"]}}, "times"),
        ({"numbers": {}, "units": {"fortnights": ["fortnight"]}}, "fortnights"),
        ({"numbers": {"and": ["as well"]}}, "one word"),
        ({"numbers": {}, "day_parts": [{"from": 1, "twelve": 12, "phrases": ["{hour} pm"]}]}, "begin with a word"),
        ({"numbers": {}, "unit": {}}, "unit"),
        ({"numbers": {"glue": True}}, "glue"),
        ({}, "numbers"),
        ({"numbers": {"more": {500: ["monkey"]}}}, "500"),
        ({"numbers": {}, "fractions": {"half": ["half"]}}, "half"),
        ({"numbers": {}, "fractions": {"1/7": ["seventh"]}}, "1/7"),
        ({"numbers": {}, "times": {"12:15": ["lunch"]}}, "12:15"),
        ({"numbers": {}, "patterns": {"time": ["{hour} sharp = soon"]}}, "soon"),
    ],
)
def test_a_language_file_with_something_else_is_refused(mapping: dict[str, object], what: str) -> None:
    with pytest.raises(ThimbleError, match=what):
        compile_quantities(mapping, number_words("en"))


def test_tens_that_nobody_describes_are_refused() -> None:
    with pytest.raises(ThimbleError, match="teens"):
        compile_quantities({"numbers": {}}, number_words("fr"))
