"""Artifacts whose types live above `pipeline.workflow`; the others are in `pipeline.workflow.artifacts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.tasks.corpus import DOCUMENTS_FILE, EncodedDocuments, load_documents, save_documents
from pipeline.tasks.imported import read_text, write_text
from pipeline.tasks.sentence_files import read_pairs, write_pairs
from pipeline.tasks.task import EvaluationText, Pair
from pipeline.tasks.text_path import ANSWERS_FILE, VOCABULARY_FILE, KnownNames
from pipeline.text.answers import AnswerSchema
from pipeline.timing.folded import read_folded, write_folded
from pipeline.workflow.artifacts import Artifact

__all__ = ["ANSWERS", "DOCUMENTS", "EVALUATION_TEXT", "FOLDED_STACKS", "KNOWN_NAMES", "PLAYGROUND", "SENTENCES"]


def _write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    write_pairs(path, pairs)


def _write_folded(path: Path, stacks: Mapping[tuple[str, ...], float]) -> None:
    write_folded(path, stacks)


def _read_pairs(path: Path) -> Iterable[Pair]:
    return read_pairs(path)


def _read_folded(path: Path) -> Mapping[tuple[str, ...], float]:
    return read_folded(path)


SENTENCES: Artifact[Iterable[Pair]] = Artifact("{split}.tsv", _read_pairs, _write_pairs)
"""Of `data`: the sentences of a split, each with its action."""
EVALUATION_TEXT: Artifact[EvaluationText] = Artifact("text.npz", read_text, write_text)
"""Of `data`, for an imported model: text that the float model wrote, and how likely it held it."""
DOCUMENTS: Artifact[EncodedDocuments] = Artifact(DOCUMENTS_FILE, load_documents, save_documents)
"""Of `data`, for a task of plain text: its documents as tokens."""
ANSWERS: Artifact[AnswerSchema] = Artifact(ANSWERS_FILE, AnswerSchema.load, lambda path, schema: schema.save(path))
"""Of `data`, for tasks with intents and slots: the answer tokens."""
KNOWN_NAMES: Artifact[KnownNames] = Artifact(VOCABULARY_FILE, KnownNames.load, lambda path, names: names.save(path))
"""Of `data`, beside `ANSWERS`: the names that are known before a sentence comes."""
FOLDED_STACKS: Artifact[Mapping[tuple[str, ...], float]] = Artifact("{count}.folded", _read_folded, _write_folded)
"""Of `emulate`: instructions or cycles by stack of functions, of the traced prompts."""
PLAYGROUND = Path("playground") / "index.html"
"""Where the command `playground` puts its page, in `build/<recipe>`. No stage makes it."""
