"""How the words of a language are cut."""

from __future__ import annotations

from pipeline.languages import languages, load_language_file
from pipeline.text.normalize import Normalizer
from pipeline.text.vocabulary import Inflection

__all__ = ["normalizer_of"]


def normalizer_of(language: str) -> Normalizer:
    """The normalizer of a language, with what its `inflection.yaml` says of words.

    Args:
        language: its code; one without such a file has no words that are cut at an apostrophe.

    Raises:
        ThimbleError: the file has an error.
    """
    if not {language, language.split("-", maxsplit=1)[0]} & set(languages("inflection")):
        return Normalizer()
    return Normalizer(elided=Inflection.of(load_language_file(language, "inflection")).elided)
