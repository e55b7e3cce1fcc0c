"""What a corpus holds, in figures, before a model is trained on it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.tasks.corpus import CorpusTask, encode_documents
from pipeline.tasks.corpus_files import num_copies
from pipeline.text.tokenizers.text_bpe import train_on_texts

__all__ = ["CorpusSummary", "summarize_corpus"]

_FEW_MEASURED = 2_000  # tokens: the mean of as many has an error of some percent
_FEW_TRAINED = 20_000


@dataclass(frozen=True)
class CorpusSummary:
    """Figures of a corpus.

    Attributes:
        read: documents in the files.
        copies: how many of these are copies of others; to watch and to measure, each counts once.
        documents: how many there are, by part.
        characters: of the documents to train on.
        tokens: that they make.
        windows: token sequences that they are cut to.
        cut: documents to train on that are longer than one window.
        warnings: what is likely to disappoint, in words.
    """

    read: int
    copies: int
    documents: dict[str, int]
    characters: int
    tokens: int
    windows: int
    cut: int
    warnings: tuple[str, ...]


def summarize_corpus(task: CorpusTask, vocab_size: int, context: int) -> CorpusSummary:
    """Reads the documents and trains the tokenizer, as the run will.

    Args:
        task: the corpus.
        vocab_size: ids of the tokenizer.
        context: tokens that the model sees.

    Raises:
        ThimbleError: see `CorpusTask.dataset` and `train_on_texts`.
    """
    documents = task.dataset().documents
    assert documents is not None, "a corpus has documents"
    tokenizer = train_on_texts((document.text for document in documents.train), vocab_size)
    encoded = encode_documents(tokenizer, documents)
    train, measured = encoded["train"], len(encoded["held_out"].tokens)
    lengths = train.starts[1:] - train.starts[:-1]
    warnings = []
    if len(train.tokens) < _FEW_TRAINED:
        warnings.append(f"{len(train.tokens):,} tokens are few to learn from: the model will know them by heart")
    if 0 < measured < _FEW_MEASURED:
        warnings.append(f"{measured:,} tokens are few to measure on: add documents, or raise `task.held_out`")
    if int(lengths.max()) * 2 > int(lengths.sum()) and len(lengths) > 1:
        warnings.append("one document is more than half of the text: what is held out says little of it")
    return CorpusSummary(
        len(task.documents),
        num_copies(task.documents),
        {name: len(part.keys) for name, part in encoded.items()},
        sum(len(document.text) for document in documents.train),
        len(train.tokens),
        len(train.windows(context)),
        int((lengths > context).sum()),
        tuple(warnings),
    )
