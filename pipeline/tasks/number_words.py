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
    """Words of 0 to 99 ("cardinals"), 100, 1000 and 1,000,000 ("powers"), and first to thirty-first ("ordinals").

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
    cardinal_names = [n for n in names if n == "spellout-numbering" or n.startswith("spellout-cardinal")]
    ordinal_names = [n for n in names if n.startswith("spellout-ordinal")]

    def forms(number: int, rule_sets: Sequence[str]) -> list[str]:
        texts = (engine.format_number(number, ruleset_names=[name]).text for name in rule_sets)
        words = (text.lower().replace("\u00ad", "").replace("-", " ").strip() for text in texts)
        return list(dict.fromkeys(words))

    cardinals = {number: forms(number, cardinal_names) for number in range(100)}
    powers: dict[int, list[str]] = {}
    for power in _POWERS:
        found: list[str] = []
        for count in (1, 2, 5):
            for form in forms(count * power, cardinal_names):
                prefixes = sorted(cardinals[count], key=len, reverse=True)
                prefix = next((prefix for prefix in prefixes if form.startswith(prefix)), "")
                rest = form[len(prefix) :].strip()
                if rest and " " not in rest:
                    found.append(rest)
        powers[power] = list(dict.fromkeys(found))
    ordinals = {number: forms(number, ordinal_names) for number in range(1, 32)}
    return {"cardinals": cardinals, "powers": powers, "ordinals": ordinals}


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
