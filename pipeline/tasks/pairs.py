"""What tasks of sentences and actions have in common once the `data` stage has written their sentence files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.tasks.sentence_files import read_pairs
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import Tokenizer

__all__ = ["PairTask"]

_PROOF_SENTENCES = 8


class PairTask:
    """The members of `pipeline.tasks.task.Task` that read pairs; a task says in `splits` which are held out."""

    splits: Mapping[str, str]

    def calibration(self, data: Path, count: int, context: int) -> list[list[int]]:
        """The first training pairs."""
        tokenizer = Tokenizer.load(data / "tokenizer.json")
        pairs = read_pairs(data / "train.tsv", count)
        return [tokenizer.encode_pair(pair.sentence, pair.action) for pair in pairs]

    def proof(self, data: Path, context: int) -> dict[str, list[int]]:
        """The first dev pairs."""
        tokenizer = Tokenizer.load(data / "tokenizer.json")
        pairs = read_pairs(data / "dev.tsv", _PROOF_SENTENCES)
        return {repr(pair.sentence): tokenizer.encode_pair(pair.sentence, pair.action)[:context] for pair in pairs}

    def held_out(self, data: Path, limit: int | None = None) -> dict[str, list[Pair]]:
        """The first pairs of each split that has any; a small language can spare no template."""
        return {split: pairs for split in self.splits if (pairs := read_pairs(data / f"{split}.tsv", limit))}

    def training_text(self, data: Path, context: int) -> None:
        """Pairs are trained on, and no text."""

    def text(self, data: Path, context: int, limit: int | None = None) -> None:
        """Pairs are measured, and no text."""

    def vocabulary(self) -> None:
        """Any word may be in an answer."""

    def grammar(self) -> None:
        """Any text may be an answer."""

    def score(self, pairs: Sequence[Pair], answers: Sequence[str | None]) -> list[bool]:
        """Whether the whole action is right to the letter."""
        return [answer == pair.action for answer, pair in zip(answers, pairs, strict=True)]
