"""A tokenizer of another project's model, as the tables that the device has too.

`pipeline.importers` makes them from a `tokenizer.json`, a SentencePiece model or a GGUF file; ids are those of that
file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.text.pretokenizer import WordForm, WordRules
from pipeline.text.prompt import PromptTemplate, PromptTokenizer
from pipeline.text.tokenizers.merging import ids_of_characters, merged

__all__ = ["KIND", "TableTokenizer"]

KIND = "tables"
_REMEDY = "import the model again"


class TableTokenizer(PromptTokenizer):
    """Characters or bytes that merge to pieces.

    Args:
        pieces: the bytes of each id; specials have none.
        characters: ids of characters; others become their bytes.
        merges: (left id, right id) → (rank, merged id).
        template: of a prompt.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        characters: Mapping[str, int],
        merges: Mapping[tuple[int, int], tuple[int, int]],
        template: PromptTemplate,
    ) -> None:
        self._pieces, self._characters, self._merges = list(pieces), dict(characters), dict(merges)
        self._template = template

    @classmethod
    def load(cls, path: Path) -> TableTokenizer:
        """Reads a file of `save`.

        Raises:
            ThimbleError: the file is damaged.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            pieces = [text.encode("utf-8", "surrogateescape") for text in data["pieces"]]
            merges = {(left, right): (rank, whole) for left, right, rank, whole in data["merges"]}
            template = _template(data["template"])
            ids = [*data["characters"].values(), *(index for pair in merges for index in pair), *template.byte_ids]
            ids += [whole for _, whole in merges.values()]
            if not all(isinstance(index, int) and 0 <= index < len(pieces) for index in ids):
                raise ValueError(f"there are ids beyond its {len(pieces)} pieces")
            if len(template.byte_ids) not in (0, 256):
                raise ValueError(f"{len(template.byte_ids)} bytes have ids, not 256")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ThimbleError(f"{path} is not a tokenizer: {error}", _REMEDY) from None
        return cls(pieces, data["characters"], merges, template)

    def save(self, path: Path) -> None:
        """Writes the tables as JSON; bytes that are no UTF-8 are lone surrogates in it."""
        data = {
            "type": KIND,
            "pieces": [piece.decode("utf-8", "surrogateescape") for piece in self._pieces],
            "characters": self._characters,
            "merges": [[*pair, *merge] for pair, merge in self._merges.items()],
            "template": asdict(self._template),
        }
        path.write_text(json.dumps(data) + "\n", encoding="utf-8")

    @property
    def template(self) -> PromptTemplate:
        """As given."""
        return self._template

    @property
    def pieces(self) -> list[bytes]:
        """As given."""
        return self._pieces

    @property
    def characters(self) -> Mapping[str, int]:
        """As given."""
        return self._characters

    @property
    def ranked_merges(self) -> Mapping[tuple[int, int], tuple[int, int]]:
        """As given."""
        return self._merges

    @cached_property
    def _byte_ids(self) -> Sequence[int]:
        return self._template.byte_ids or range(self._template.byte_base, self._template.byte_base + 256)

    def encode(self, text: str) -> list[int]:
        """Ids of the text, the template's prefix before it unless it is empty."""
        rules = self._template.word_rules
        prefix = self._template.prefix if text else ()
        if rules is None:
            return merged([*prefix, *self._singles(text)], self._merges)
        words = (merged(self._singles(word), self._merges) for word in rules.words(text))
        return [*prefix, *(index for word in words for index in word)]

    def encode_bytes(self, word: bytes) -> list[int]:
        """Ids of one word whose bytes merge, which need not be UTF-8."""
        return merged([self._byte_ids[byte] for byte in word], self._merges)

    def _singles(self, text: str) -> list[int]:
        return ids_of_characters(text, self._characters, self._byte_ids)


def _template(data: dict[str, Any]) -> PromptTemplate:
    rules = data.pop("word_rules")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    if rules is not None:
        runs = tuple((int(start), int(kind)) for start, kind in rules["runs"])
        rules = WordRules(WordForm(rules["form"]), int(rules["max_digits"]), runs)
    return PromptTemplate(**values, word_rules=rules)
