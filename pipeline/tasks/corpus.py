"""The task `corpus`: plain text of one's own, which the model learns to go on with."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import CorpusConfig
from pipeline.tasks.corpus_files import read_documents, share_out
from pipeline.tasks.plain_text import PlainTextTask
from pipeline.tasks.task import Dataset, Document, Documents, MeasuredText, TextWriter, TrainingText
from pipeline.text.tokenizers.text_bpe import TextTokenizer

__all__ = ["DOCUMENTS_FILE", "CorpusTask", "EncodedDocuments", "encode_documents", "load_documents", "save_documents"]

DOCUMENTS_FILE = "documents.npz"
_MAX_CALIBRATION_TOKENS = 16_000
_MAX_DEV_WINDOWS = 400
_PROOF_WINDOWS = 4


@dataclass(frozen=True)
class EncodedPart:
    """Documents as tokens, each with what begins and what ends a text.

    Attributes:
        tokens: of all of them, one behind the other, int16 [tokens].
        starts: where each begins, and the end of the last, int64 [documents + 1].
        keys: of the documents, uint64 [documents].
    """

    tokens: NDArray[np.int16]
    starts: NDArray[np.int64]
    keys: NDArray[np.uint64]

    def windows(self, context: int) -> list[NDArray[np.int16]]:
        """The documents cut to at most `context` tokens, in order.

        A window begins with the last token of the one before it, so that each token but a document's first is the next
        one of another exactly once.
        """
        return [self.tokens[begin:end] for begin, end, _ in self._cuts(context)]

    def scattered_windows(self, context: int) -> list[NDArray[np.int16]]:
        """The same in an order that hashes decide, so that any first few are of many documents, and stay so when
        documents are added."""
        cuts = list(self._cuts(context))
        order = np.argsort(_mixed(np.array([key for _, _, key in cuts], np.uint64)), kind="stable")
        return [self.tokens[cuts[index][0] : cuts[index][1]] for index in order.tolist()]

    def _cuts(self, context: int) -> Iterator[tuple[int, int, int]]:
        """Begin, end and a key of each window."""
        for index, key in enumerate(self.keys.tolist()):
            start, stop = int(self.starts[index]), int(self.starts[index + 1])
            for number, begin in enumerate(range(start, stop - 1, context - 1)):
                yield begin, min(begin + context, stop), (key + number * 0x9E3779B97F4A7C15) % 2**64


EncodedDocuments = Mapping[str, EncodedPart]
"""By part: `train`, `dev`, `held_out`."""


def encode_documents(tokenizer: TextTokenizer, documents: Documents) -> dict[str, EncodedPart]:
    """All documents as tokens."""
    return {name: _encode(tokenizer, part) for name, part in vars(documents).items()}


def _encode(tokenizer: TextTokenizer, documents: Sequence[Document]) -> EncodedPart:
    bos, eos = tokenizer.template.bos, tokenizer.template.stops[0]
    pieces = [
        np.array([bos, *ids, eos], np.int16) for ids in tokenizer.encode_many(document.text for document in documents)
    ]
    return EncodedPart(
        np.concatenate([np.zeros(0, np.int16), *pieces]),
        np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        np.array([document.key for document in documents], np.uint64),
    )


def save_documents(path: Path, documents: EncodedDocuments) -> None:
    """Writes the file that `load_documents` reads."""
    arrays = {f"{name}.{key}": array for name, part in documents.items() for key, array in vars(part).items()}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_documents(path: Path) -> dict[str, EncodedPart]:
    """Reads a file of `save_documents`.

    Raises:
        ThimbleError: no such file, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return {
                name: EncodedPart(**{key: data[f"{name}.{key}"] for key in EncodedPart.__dataclass_fields__})
                for name in Documents.__dataclass_fields__
            }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ThimbleError(f"cannot read {path}: {error}", "run the `data` stage again with --force") from None


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A permutation of 64 bits in which like numbers are far apart (the end of SplitMix64; Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


class CorpusTask(PlainTextTask):
    """See `pipeline.tasks.task.Task`."""

    def __init__(self, config: CorpusConfig, folder: Path = Path()) -> None:
        self.config, self._folder = config, folder

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.seed

    @cached_property
    def documents(self) -> list[Document]:
        """All documents of the files.

        Raises:
            ThimbleError: see `read_documents`.
        """
        return read_documents(self.config.files, self._folder, self.config.documents)

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """The documents by part.

        Raises:
            ThimbleError: see `read_documents` and `share_out`.
        """
        return Dataset([], [], {}, documents=share_out(self.documents, self.seed, self.config.held_out))

    def calibration(self, data: Path, count: int, context: int) -> list[list[int]]:
        """Windows of text that is trained on: `count`, and no more tokens than calibrate well."""
        chosen: list[list[int]] = []
        tokens = 0
        for window in load_documents(data / DOCUMENTS_FILE)["train"].scattered_windows(context)[:count]:
            if tokens >= _MAX_CALIBRATION_TOKENS:
                break
            chosen.append(window.tolist())
            tokens += len(window)
        return chosen

    def proof(self, data: Path, context: int) -> dict[str, list[int]]:
        """A few windows of text that training was watched with."""
        windows = load_documents(data / DOCUMENTS_FILE)["dev"].scattered_windows(context)[:_PROOF_WINDOWS]
        return {f"text {number}": window.tolist() for number, window in enumerate(windows, 1)}

    def training_text(self, data: Path, context: int) -> TrainingText:
        """All windows of the documents to train on, and some of those that watch it."""
        documents = load_documents(data / DOCUMENTS_FILE)
        train, dev = documents["train"].windows(context), documents["dev"].scattered_windows(context)
        # Arrays are as good as lists here, and take a fraction of the memory.
        return TrainingText(*cast("list[list[Sequence[int]]]", [train, dev[:_MAX_DEV_WINDOWS]]))

    def text(self, data: Path, context: int, limit: int | None = None) -> MeasuredText | None:
        """Windows of the documents that are held out; None where none is."""
        windows = load_documents(data / DOCUMENTS_FILE)["held_out"].scattered_windows(context)[:limit]
        if not windows:
            return None
        sizes = np.array([len(piece) for piece in TextTokenizer.load(data / "tokenizer.json").pieces])
        return MeasuredText(windows, int(sum(sizes[window[1:]].sum() for window in windows)))
