"""What of a task goes with its model onto the device: tokenizer, answer tokens, and the names that it knows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.files import read_json
from pipeline.languages import load_language_file
from pipeline.recipes.load import Recipe
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.number_words import quantities
from pipeline.text.annotation import Entry
from pipeline.text.answers import AnswerSchema
from pipeline.text.codec import Codec, PlainCodec, StructuredCodec
from pipeline.text.grammar import Grammar
from pipeline.text.grammar_sources import compile_source
from pipeline.text.matcher import Annotator
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.text.vocabulary import Inflection, Vocabulary, with_short_forms

__all__ = [
    "ANSWERS_FILE",
    "TOKENIZER_FILE",
    "VOCABULARY_FILE",
    "KnownNames",
    "known_texts",
    "load_codec",
    "read_grammar",
    "recipe_codec",
]

TOKENIZER_FILE, ANSWERS_FILE, VOCABULARY_FILE = "tokenizer.json", "answers.json", "vocabulary.json"
_FORMAT = 1


@dataclass(frozen=True)
class KnownNames:
    """What the text path knows before a sentence comes.

    Attributes:
        language: its code.
        entries: lists of the task and names of the home.
        known_words: words that the task says literally, which are never typing errors of names; sorted.
        restore: by skeleton, the word whose accents were lost.
    """

    language: str
    entries: tuple[Entry, ...] = ()
    known_words: tuple[str, ...] = ()
    restore: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the file that `load` reads."""
        data = {
            "format": _FORMAT,
            "language": self.language,
            "entries": [[entry.text, entry.kind, entry.value] for entry in self.entries],
            "known_words": list(self.known_words),
            "restore": dict(sorted(self.restore.items())),
        }
        path.write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> KnownNames:
        """Reads a file of `save`.

        Raises:
            ThimbleError: no such file, or a damaged one.
        """
        remedy = "run the `data` stage with --force"
        try:
            data = read_json(path, remedy)
            if data["format"] != _FORMAT:
                raise ThimbleError(f"{path} has format {data['format']}, not {_FORMAT}", remedy)
            return cls(
                str(data["language"]),
                tuple(Entry(*map(str, entry)) for entry in data["entries"]),
                tuple(map(str, data["known_words"])),
                {str(key): str(value) for key, value in data["restore"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ThimbleError(f"{path} is no vocabulary: {error!r}", remedy) from None

    def with_home(self, entries: Sequence[Entry], task_kinds: frozenset[str]) -> KnownNames:
        """The names of another home instead of those that came with the task.

        Args:
            entries: of the home.
            task_kinds: kinds of the task's own lists, which stay.
        """
        kept = tuple(entry for entry in self.entries if entry.kind in task_kinds)
        return dataclasses.replace(self, entries=(*entries, *kept))

    def annotator(self) -> Annotator:
        """What finds these names, and the language's quantities."""
        normalizer = normalizer_of(self.language)
        inflection = Inflection.of(load_language_file(self.language, "inflection"))
        vocabulary = Vocabulary(with_short_forms(self.entries, normalizer, inflection), normalizer, inflection)
        return Annotator(normalizer, vocabulary, quantities(self.language), self.known_words, self.restore)


def recipe_codec(recipe: Recipe, data: Path, names: KnownNames | None = None) -> Codec:
    """The codec of a recipe's model, with the recipe's threshold, or its grammar.

    Args:
        recipe: of the model.
        data: the folder of its `data` stage.
        names: known names instead of those in the folder.

    Raises:
        ThimbleError: a file is missing or damaged; the grammar cannot be read, or the answers have intents and slots.
    """
    grammar, path = None, recipe.grammar_path
    if path is not None:
        if (data / ANSWERS_FILE).exists():
            raise ThimbleError(
                f"{recipe.path} has `answers: {{grammar: …}}`, and its answers have intents and slots",
                "leave the grammar out: which answers there are follows from the task",
            )
        grammar = read_grammar(path, recipe.answers.grammar_depth)
    return load_codec(data, recipe.answers.threshold, names, grammar, recipe.answers.below == "ask")


def read_grammar(path: Path, depth: int) -> Grammar:
    """A grammar from a file in GBNF or a JSON Schema.

    Args:
        path: of the file.
        depth: how often a rule may stand within itself.

    Raises:
        ThimbleError: there is no such file, or it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ThimbleError(f"cannot read the grammar {path}: {error}", "give a file in UTF-8") from None
    return compile_source(path.name, text, depth)


def load_codec(
    data: Path,
    threshold: float = 0.0,
    names: KnownNames | None = None,
    grammar: Grammar | None = None,
    asks: bool = False,
) -> Codec:
    """The codec of a model.

    Args:
        data: the folder of the `data` stage.
        threshold: confidence from 0 to 1 below which nothing is done.
        names: known names instead of those in the folder.
        grammar: of answers in text.
        asks: whether the two best answers are given below the threshold.

    Raises:
        ThimbleError: a file is missing or damaged.
    """
    tokenizer = load_tokenizer(data / TOKENIZER_FILE)
    if not (data / ANSWERS_FILE).exists():
        return PlainCodec(tokenizer, grammar)
    schema = dataclasses.replace(AnswerSchema.load(data / ANSWERS_FILE), threshold=round(65536 * threshold), asks=asks)
    names = names or KnownNames.load(data / VOCABULARY_FILE)
    kinds = set(schema.kinds)
    usable = dataclasses.replace(names, entries=tuple(entry for entry in names.entries if entry.kind in kinds))
    return StructuredCodec(tokenizer, schema, usable.annotator())


def known_texts(data: Path) -> list[str] | None:
    """The names that a model's device looks for in a sentence; None where it looks for none.

    Args:
        data: the folder of the `data` stage.

    Raises:
        ThimbleError: a file is missing or damaged.
    """
    if not (data / ANSWERS_FILE).exists():
        return None
    return [entry.text for entry in KnownNames.load(data / VOCABULARY_FILE).entries]
