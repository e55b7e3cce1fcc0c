"""Plain text: documents from files, what is held out, and the windows that a model sees."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError, ThimbleError
from pipeline.recipes.paths import matching_files, task_files
from pipeline.recipes.schema import CorpusConfig, Recipe
from pipeline.tasks.corpus import DOCUMENTS_FILE, CorpusTask, encode_documents, load_documents, save_documents
from pipeline.tasks.corpus_files import num_copies, read_documents, share_out
from pipeline.tasks.corpus_summary import summarize_corpus
from pipeline.tasks.registry import load_task
from pipeline.tasks.task import Documents
from pipeline.text.tokenizers.byte_bpe import BOS, EOS
from pipeline.text.tokenizers.text_bpe import TextTokenizer, train_on_texts

LINES = [f"The {a} {b} sees\n    {c} things." for a in ("red", "Old") for b in ("cat", "Dog") for c in range(30)]


def corpus(folder: Path, texts: Mapping[str, str | bytes], **config: Any) -> CorpusTask:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    task = load_task({"name": "corpus", "files": ["*.txt"], **config}, folder)
    assert isinstance(task, CorpusTask)
    return task


def texts_of(task: CorpusTask) -> list[str]:
    return [document.text for document in task.documents]


def parts_of(task: CorpusTask) -> Documents:
    documents = task.dataset().documents
    assert documents is not None
    return documents


def part_by_text(documents: Documents) -> dict[str, str]:
    return {document.text: name for name, part in vars(documents).items() for document in part}


def test_blank_lines_stand_between_documents_whose_form_is_kept(tmp_path: Path) -> None:
    text = "\n \n  def F():\n\treturn 1\n\n\n  Second,\n   indented \n \t \nthird\n"
    assert texts_of(corpus(tmp_path, {"a.txt": text})) == [
        "  def F():\n\treturn 1",
        "  Second,\n   indented",
        "third",
    ]


def test_a_file_may_be_a_document(tmp_path: Path) -> None:
    task = corpus(tmp_path, {"b.txt": "one\n\ntwo\n", "a.txt": "\n\n  three\n"}, documents="file")
    assert texts_of(task) == ["  three", "one\n\ntwo"]


def test_windows_and_marks_of_byte_order_leave_no_trace(tmp_path: Path) -> None:
    assert texts_of(corpus(tmp_path, {"a.txt": b"\xef\xbb\xbfa\r\nb\r\n\r\nc\rd"})) == ["a\nb", "c\rd"]


def test_files_by_name_folder_and_pattern(tmp_path: Path) -> None:
    files = {"x/a.txt": "a", "x/y/b.txt": "b", "c.md": "c", "d.txt": "d"}
    task = corpus(tmp_path, files, files=["x", "c.md", "*.txt", "d.txt"])
    assert texts_of(task) == ["a", "b", "c", "d"]
    absolute = corpus(tmp_path, {}, files=[f"{tmp_path}/x/**/*.txt"])
    assert texts_of(absolute) == ["a", "b"]


def test_every_file_of_a_pattern_decides_what_is_trained(tmp_path: Path) -> None:
    folder, recipe_folder = tmp_path / "texts", tmp_path / "recipe"
    recipe_folder.mkdir()
    corpus(folder, {"a.txt": "a", "b.txt": "b"})
    for pattern in (f"{folder}/*.txt", "../texts/*.txt", "../texts", str(folder)):
        assert len(matching_files(pattern, recipe_folder)) == 2
    recipe = Recipe.from_mapping(
        {
            "name": "c",
            "task": {"name": "corpus", "files": [f"{folder}/*.txt"]},
            "tokenizer": {"vocab_size": 300},
            "model": {"variant": "nano"},
            "train": {},
            "boards": ["mps2_an386"],
        }
    )
    assert len(task_files(recipe, for_training=True)) == 2


@pytest.mark.parametrize(
    ("files", "patterns", "what"),
    [
        ({"a.txt": "a"}, ["*.md"], r"there is no file .*\*\.md"),
        ({"a.txt": "a"}, ["*.txt", "none.txt"], r"there is no file .*none\.txt"),
        ({"a.txt": "a", "bad.txt": b"fine\n\xff"}, ["*.txt"], r"bad\.txt is not UTF-8: byte 5 in line 2"),
        ({"a.txt": "a", "empty.txt": " \n\n"}, ["*.txt"], r"empty\.txt is empty"),
        ({"a.txt": "a", "zero.txt": ""}, ["*.txt"], r"zero\.txt is empty"),
    ],
)
def test_what_is_wrong_with_files_is_named(
    tmp_path: Path, files: Mapping[str, str | bytes], patterns: list[str], what: str
) -> None:
    with pytest.raises(ThimbleError, match=what) as caught:
        corpus(tmp_path, files, files=patterns).dataset()
    assert caught.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    task = corpus(tmp_path, {"a.txt": "a"})
    (tmp_path / "a.txt").chmod(0)
    with pytest.raises(ThimbleError, match=r"cannot read .*a\.txt"):
        task.dataset()


@pytest.mark.parametrize("texts", [["one"], ["one", "two"], ["same"] * 50])
def test_too_few_documents_to_hold_out(tmp_path: Path, texts: Sequence[str]) -> None:
    with pytest.raises(ThimbleError, match=r"`task\.held_out` 0\.1 of \d different documents") as caught:
        corpus(tmp_path, {"a.txt": "\n\n".join(texts)}).dataset()
    assert "add documents" in caught.value.remedy and "held_out: 0" in caught.value.remedy


def test_the_share_that_is_recommended_will_do(tmp_path: Path) -> None:
    files = {"a.txt": "\n\n".join(LINES[:9])}
    with pytest.raises(ThimbleError, match="leaves none to") as caught:
        corpus(tmp_path, files, held_out=0.02).dataset()
    share = float(caught.value.remedy.split("held_out: ")[1].split("`")[0])
    assert all(vars(parts_of(corpus(tmp_path, files, held_out=share))).values())


def test_nothing_need_be_held_out(tmp_path: Path) -> None:
    documents = parts_of(corpus(tmp_path, {"a.txt": "one\n\ntwo\n\none"}, held_out=0))
    assert len(documents.train) == 3 and len(documents.dev) == 2 and not documents.held_out


def test_further_documents_move_none(tmp_path: Path) -> None:
    few = part_by_text(parts_of(corpus(tmp_path, {"b.txt": "\n\n".join(LINES)}, held_out=0.3)))
    more = [f"A further one, number {number}" for number in range(200)]
    many = part_by_text(parts_of(corpus(tmp_path, {"a.txt": "\n\n".join(more)}, held_out=0.3)))
    assert {text: many[text] for text in few} == few
    shares = [sum(part == name for part in many.values()) / len(many) for name in ("dev", "held_out")]
    assert shares == pytest.approx([0.15, 0.15], abs=0.06)


def test_the_seed_decides_what_is_held_out(tmp_path: Path) -> None:
    files = {"a.txt": "\n\n".join(LINES)}
    one, other = (part_by_text(parts_of(corpus(tmp_path, files, seed=seed, held_out=0.3))) for seed in (1, 2))
    assert one != other and one == part_by_text(parts_of(corpus(tmp_path, files, held_out=0.3)))


@given(
    st.lists(st.sampled_from(LINES), min_size=60, max_size=90, unique=True),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_copies_lie_on_one_side(lines: list[str], seed: int, rng: Any) -> None:
    def copied(text: str) -> str:
        return rng.choice([text, text.upper(), text.replace(" ", "  "), text.replace("\n", " ")])  # type: ignore[no-any-return]

    texts = [*lines, *map(copied, lines)]
    documents = read_from(texts)
    parts = share_out(documents, seed, 0.4)
    sides = [{document.key for document in part} for part in vars(parts).values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert sum(map(len, sides)) == len(set(lines)) == len(documents) - num_copies(documents)
    assert len(parts.dev) == len(sides[1]) and len(parts.held_out) == len(sides[2])


def read_from(texts: Sequence[str]) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_text("\n\n".join(texts), encoding="utf-8")
        return read_documents(["a.txt"], Path(folder), "blank_line")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[CorpusTask, Path, TextTokenizer]:
    """A corpus, and a folder as the `data` stage leaves it."""
    folder = tmp_path_factory.mktemp("corpus")
    long = "\n".join(LINES)
    task = corpus(folder, {"a.txt": "\n\n".join([*LINES, long])}, held_out=0.3)
    documents = parts_of(task)
    tokenizer = train_on_texts((document.text for document in documents.train), 300)
    data = folder / "data"
    data.mkdir()
    tokenizer.save(data / "tokenizer.json")
    save_documents(data / DOCUMENTS_FILE, encode_documents(tokenizer, documents))
    return task, data, tokenizer


@pytest.mark.parametrize("context", [2, 7, 64, 4096])
def test_windows_hold_all_of_the_text_once(filled: tuple[CorpusTask, Path, TextTokenizer], context: int) -> None:
    task, data, tokenizer = filled
    text = task.training_text(data, context)
    assert max(map(len, text.train)) <= context and min(map(len, text.train)) >= 2
    documents: list[list[int]] = []
    for window in text.train:
        if window[0] == BOS:
            documents.append([BOS])
        assert documents[-1][-1] == window[0], "a window goes on where the one before it ends"
        documents[-1] += [int(token) for token in window[1:]]
    assert all(tokens[-1] == EOS for tokens in documents)
    assert [tokenizer.decode(tokens) for tokens in documents] == [doc.text for doc in parts_of(task).train]


def test_what_is_measured_is_held_out_and_counts_its_bytes(filled: tuple[CorpusTask, Path, TextTokenizer]) -> None:
    task, data, _ = filled
    measured = task.text(data, 4096)
    assert measured is not None and measured.predictions is None
    held_out = parts_of(task).held_out
    assert len(measured.sequences) == len(held_out)
    assert measured.num_bytes == sum(len(document.text.encode()) for document in held_out)
    few = task.text(data, 4096, 3)
    assert few is not None and len(few.sequences) == 3
    assert [row.tolist() for row in few.sequences] == [row.tolist() for row in measured.sequences[:3]]


def test_calibration_and_proof_are_no_text_that_is_measured(filled: tuple[CorpusTask, Path, TextTokenizer]) -> None:
    task, data, _ = filled
    text = task.training_text(data, 16)
    calibration = task.calibration(data, 12, 16)
    assert len(calibration) == 12
    assert {*map(tuple, calibration)} <= {tuple(map(int, window)) for window in text.train}
    assert all(window in [list(map(int, row)) for row in text.dev] for window in task.proof(data, 16).values())
    assert sum(map(len, task.calibration(data, 10**6, 16))) <= 16_000 + 16


def test_the_file_of_documents(filled: tuple[CorpusTask, Path, TextTokenizer], tmp_path: Path) -> None:
    _, data, _ = filled
    documents = load_documents(data / DOCUMENTS_FILE)
    save_documents(tmp_path / "again.npz", documents)
    again = load_documents(tmp_path / "again.npz")
    assert all(np.array_equal(again[name].tokens, part.tokens) for name, part in documents.items())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "again.npz").read_bytes()[:100])
    for name in ("cut.npz", "none.npz"):
        with pytest.raises(ThimbleError, match=name):
            load_documents(tmp_path / name)


def test_it_has_no_pairs(filled: tuple[CorpusTask, Path, TextTokenizer]) -> None:
    task, data, _ = filled
    assert task.prompts() == ("",) and task.examples() == ()
    assert not task.splits and task.held_out(data) == {} and task.score([], []) == [] and task.baseline([]) == []


def test_a_summary(filled: tuple[CorpusTask, Path, TextTokenizer]) -> None:
    task, data, _ = filled
    summary = summarize_corpus(task, 300, 32)
    assert summary.read == sum(summary.documents.values()) == len(LINES) + 1 and not summary.copies
    assert summary.windows == len(task.training_text(data, 32).train)
    assert any("by heart" in warning for warning in summary.warnings)


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({"task": {"name": "corpus"}}, r"task.*files"),
        ({"task": {"name": "corpus", "files": []}}, r"task\.files"),
        ({"task": {"name": "corpus", "files": ["a"], "documents": "line"}}, r"task\.documents"),
        ({"task": {"name": "corpus", "files": ["a"], "held_out": 1}}, r"task\.held_out"),
        ({"budgets": {"max_loss": 5}}, r"budgets\.max_loss.*no right answers"),
        ({"budgets": {"min_exact_match": 5}}, r"budgets\.min_exact_match.*no right answers"),
        ({"distill": {"teacher": "t.yaml", "spoiled": 0.5}}, r"distill\.spoiled"),
        ({"model": {"variant": "nano", "context": 1}}, r"model\.context"),
        ({"weights": "w.npz"}, r"weights"),
    ],
)
def test_recipes_that_cannot_be(sections: dict[str, object], what: str) -> None:
    recipe = {
        "name": "c",
        "task": {"name": "corpus", "files": ["a.txt"]},
        "tokenizer": {"vocab_size": 300},
        "model": {"variant": "nano"},
        "train": {},
        "boards": ["mps2_an386"],
        "prompts": [""],
    }
    assert isinstance(Recipe.from_mapping(recipe).task, CorpusConfig)
    with pytest.raises(ConfigError, match=what):
        Recipe.from_mapping({**recipe, **sections})
    pairs = {**recipe, "task": {"name": "pairs", "files": ["a.csv"]}, "prompts": ["a"]}
    with pytest.raises(ConfigError, match=r"budgets\.max_perplexity.*right or wrong"):
        Recipe.from_mapping({**pairs, "budgets": {"max_perplexity": 5}})
