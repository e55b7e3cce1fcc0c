"""Number words of a language from the rules of CLDR, and the quantities made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from pipeline.errors import ThimbleError
from pipeline.languages import load_language_file
from pipeline.text.quantities import Quantities, QuantityTables
from pipeline.text.quantity_language import compile_quantities

__all__ = ["number_words", "quantities", "quantity_tables"]

_POWERS = (100, 1000, 1_000_000)


@cache
def number_words(language: str) -> Mapping[str, Mapping[int, Sequence[str]]]:
    """Words of numbers, by their kind.

    Kinds are "cardinals" (0 to 99), "hundreds" (100, 200 ... 900, as well as they are said before a unit), "powers"
    (100, 1000, 1,000,000) and "ordinals" (first to thirty-first).

    Raises:
        ThimbleError: there are no rules for the language.
    """
    from unicode_rbnf import RbnfEngine

    code = language.split("-", maxsplit=1)[0]
    try:
        engine = RbnfEngine.for_language(code)
    except (ValueError, KeyError, OSError) as error:
        raise ThimbleError(f"there are no number words for {language!r}", "use a language that CLDR has") from error
    names = [str(name) for name in engine.rulesets]
    cardinal_names = [
        name
        for name in names
        if (name == "spellout-numbering" or name.startswith("spellout-cardinal"))
        and not (name.endswith(("-ones", "-tens")) or "-with-" in name)  # parts of other rule sets
    ]
    ordinal_names = [name for name in names if name.startswith("spellout-ordinal")]

    def forms(number: int, rule_sets: Sequence[str]) -> list[str]:
        texts = (engine.format_number(number, ruleset_names=[name]).text for name in rule_sets)
        words = (text.lower().replace("\u00ad", "").replace("-", " ").strip() for text in texts)
        return list(dict.fromkeys(words))

    cardinals = {number: forms(number, cardinal_names) for number in range(100)}
    powers: dict[int, list[str]] = {}
    for power in _POWERS:
        found: list[str] = []
        for count in (1, 2, 3, 5):
            for form in forms(count * power, cardinal_names):
                prefixes = sorted(cardinals[count], key=len, reverse=True)
                prefix = next((prefix for prefix in prefixes if form.startswith(prefix)), "")
                rest = form[len(prefix) :].strip()
                if rest and " " not in rest:
                    found.append(rest)
        powers[power] = list(dict.fromkeys(found))
    ordinals = {number: forms(number, ordinal_names) for number in range(1, 32)}
    hundreds = {}
    for number in range(100, 1000, 100):
        before_two = (form.split(" ") for form in forms(number + 2, cardinal_names))
        found = [
            words[0]
            for words in before_two
            if len(words) in {2, 3} and words[-1] in cardinals[2] and words[0] not in cardinals[number // 100]
        ]
        hundreds[number] = list(dict.fromkeys([*forms(number, cardinal_names), *found]))
    return {"cardinals": cardinals, "hundreds": hundreds, "powers": powers, "ordinals": ordinals}


@cache
def quantity_tables(language: str) -> QuantityTables:
    """The compiled `quantities.yaml` of a language.

    Raises:
        ThimbleError: the language has none, or it holds what its format does not have.
    """
    return compile_quantities(load_language_file(language, "quantities"), number_words(language))


@cache
def quantities(language: str) -> Quantities:
    """The quantities of a language.

    Raises:
        ThimbleError: as `quantity_tables`.
    """
    return Quantities(quantity_tables(language))
