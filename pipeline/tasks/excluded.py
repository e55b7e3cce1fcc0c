"""Sentences of tests, which training must not see.

A file of tests may be private, or another project's; then a list of hashes stands for it: a `.hashes` file has a line
for each sentence, the first 16 hex digits of the SHA-256 of its normalized words with single spaces, and comments
behind `#`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.files import parse_json
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.tests_file import load_tests

__all__ = ["Excluded", "read_excluded", "sentence_hash", "write_hashes"]

_DIGITS = 16


class Excluded(Container[str]):
    """Normalized sentences, some of them known by their hashes alone."""

    def __init__(self, sentences: Iterable[str], hashes: Iterable[str]) -> None:
        self._hashes = frozenset(hashes) | frozenset(map(sentence_hash, sentences))

    def __contains__(self, sentence: object) -> bool:
        return isinstance(sentence, str) and sentence_hash(sentence) in self._hashes

    def __len__(self) -> int:
        return len(self._hashes)


def sentence_hash(sentence: str) -> str:
    """What stands in a `.hashes` file for a sentence.

    Args:
        sentence: normalized words with single spaces.
    """
    return hashlib.sha256(sentence.encode()).hexdigest()[:_DIGITS]


def read_excluded(paths: Sequence[Path], words: Callable[[str], Sequence[str]]) -> Excluded:
    """The sentences of files.

    Args:
        paths: `.hashes`, `.jsonl` with `sentence`, else `tests.yaml`.
        words: normalized words of a text.

    Raises:
        ThimbleError: a file cannot be read, or is none of these.
    """
    sentences: list[str] = []
    hashes: list[str] = []
    for path in paths:
        if path.suffix == ".hashes":
            lines = (line.partition("#")[0].strip() for line in _read(path).splitlines())
            hashes += [line for line in lines if line]
        elif path.suffix == ".jsonl":
            sentences += _sentences(path)
        else:
            sentences += [test.sentence for test in load_tests(path)]
    return Excluded((" ".join(words(sentence)) for sentence in sentences), hashes)


def write_hashes(path: Path, sources: Sequence[Path], comment: str, language: str = "en") -> int:
    """Writes a `.hashes` file of the sentences of `.jsonl` files.

    Args:
        path: of the file.
        sources: the sentences.
        comment: whose they are.
        language: of the sentences.

    Returns:
        How many there are.
    """
    normalizer = normalizer_of(language)
    hashes = sorted({sentence_hash(normalizer.text(text)) for source in sources for text in _sentences(source)})
    path.write_text("".join(f"{line}\n" for line in (f"# {comment}", *hashes)), encoding="utf-8", newline="\n")
    return len(hashes)


def _sentences(path: Path) -> list[str]:
    try:
        return [str(parse_json(line)["sentence"]) for line in _read(path).splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        remedy = "write a line of JSON with `sentence` for each"
        raise ThimbleError(f"{path} is no file of sentences: {error!r}", remedy) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "correct `task.exclude`") from None
    except UnicodeDecodeError:
        raise ThimbleError(f"{path} is not UTF-8", "save it as UTF-8") from None
