"""The files between stages: each is declared once, with its name, its type, and how it is read and written.

Artifacts whose types live in packages above this one are declared in `pipeline.stages.artifacts`.
"""

from __future__ import annotations

import shutil
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from pipeline.text.prompt import PromptTokenizer

__all__ = [
    "CALIBRATED_INTEGERS",
    "COMPILED",
    "EXPECTATIONS",
    "FIRMWARE",
    "FLASH_IMAGE",
    "MODEL_SOURCES",
    "PACKED_COMPILED",
    "PACKED_SOURCES",
    "PAGE",
    "PICTURE",
    "PROJECT",
    "PROOF",
    "QUALITY",
    "SIZES",
    "SPLITS",
    "SUMMARY",
    "TESTS",
    "TEST_REPLIES",
    "TFLITE",
    "TFLITE_FACTS",
    "TOKENIZER",
    "TRAINING_LOG",
    "WEIGHTS",
    "Artifact",
    "StageOutput",
    "json_artifact",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Artifact(Generic[T]):
    """A file, or a folder, that a stage writes and others read.

    Attributes:
        name: its path in the folder of its stage; `{field}` stands for what tells several of a kind apart, such as the
            split of `{split}.tsv`.
        load_file: reads the file.
        save_file: writes it; None where only the stage's work itself can.
        schema_version: what the file's readers may rely on; a new version makes the stage that writes it run again.
    """

    name: str
    load_file: Callable[[Path], T]
    save_file: Callable[[Path, T], object] | None = None
    schema_version: int = 1

    def path(self, folder: Path, **fields: str) -> Path:
        """Where it lies in a stage's folder."""
        return folder / self.name.format(**fields)

    def load(self, folder: Path, **fields: str) -> T:
        """What a stage's folder holds.

        Raises:
            ThimbleError: from the reader, as each says; those of plain bytes and text raise OSError.
        """
        return self.load_file(self.path(folder, **fields))

    def save(self, folder: Path, value: T, **fields: str) -> Path:
        """Writes it into a stage's folder, and gives its path."""
        assert self.save_file is not None, f"{self.name} is written by the stage that makes it"
        path = self.path(folder, **fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.save_file(path, value)
        return path

    def copy(self, folder: Path, source: Path, **fields: str) -> Path:
        """Copies a file of this type into a stage's folder, and gives its path."""
        path = self.path(folder, **fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        return path

    def of(self, stage: str, **fields: str) -> StageOutput[T]:
        """The artifact as that stage writes it; fields that are not given stand for all of them."""
        return StageOutput(stage, self, fields)


@dataclass(frozen=True)
class StageOutput(Generic[T]):
    """An artifact of a stage, by which other stages say what they read."""

    stage: str
    artifact: Artifact[T]
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """Its path in the stage's folder, `*` for each field that is not given."""
        names = [name for _, name, _, _ in string.Formatter().parse(self.artifact.name) if name is not None]
        return self.artifact.name.format(**{name: self.fields.get(name, "*") for name in names})

    def matches(self, name: str) -> bool:
        """Whether a file, by its path in the stage's folder, belongs to it."""
        parts, patterns = name.split("/"), self.pattern.split("/")
        return len(parts) >= len(patterns) and all(map(fnmatchcase, parts, patterns))

    def covers(self, other: StageOutput[Any]) -> bool:
        """Whether what is declared by this output includes another."""
        return self.stage == other.stage and self.artifact == other.artifact and self.matches(other.pattern)

    def path(self, folder: Path, **fields: str) -> Path:
        """Where it lies in its stage's folder."""
        return self.artifact.path(folder, **{**self.fields, **fields})


def json_artifact(name: str, schema_version: int = 1) -> Artifact[dict[str, Any]]:
    """A JSON file that holds one object."""
    return Artifact(name, _load_json, write_json, schema_version)


def _load_json(path: Path) -> dict[str, Any]:
    return read_json(path, "run the stage that writes it with --force")


def _binary(name: str) -> Artifact[bytes]:
    return Artifact(name, Path.read_bytes, Path.write_bytes)


def _text(name: str) -> Artifact[str]:
    return Artifact(name, _read_text, _write_text)


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _write_text(path: Path, text: str) -> None:
    write_text(path, text)


def _folder(name: str) -> Artifact[Path]:
    return Artifact(name, Path)


def _load_tokenizer(path: Path) -> PromptTokenizer:
    from pipeline.text.tokenizers.load import load_tokenizer

    return load_tokenizer(path)


def _save_tokenizer(path: Path, tokenizer: PromptTokenizer) -> None:
    tokenizer.save(path)


def _read_weights_metadata(path: Path) -> dict[str, Any]:
    from pipeline.workflow.shipped import read_weights_metadata

    return read_weights_metadata(path)


TOKENIZER: Artifact[PromptTokenizer] = Artifact("tokenizer.json", _load_tokenizer, _save_tokenizer)
SUMMARY = json_artifact("summary.json")
"""Of `data`: the number of sentences by split, and examples; of documents how many, and how many tokens."""
WEIGHTS: Artifact[dict[str, Any]] = Artifact("weights.npz", _read_weights_metadata)
"""The float weights; read here, without TensorFlow, is what the file says of itself."""
TRAINING_LOG = _folder("log")
"""Of a stage that trains: `history.csv`, loss and exact match by step, its picture `history.svg`, and event files for
TensorBoard where they were asked for."""
CALIBRATED_INTEGERS = json_artifact("integers.json")
"""Of `qat`: the activations' ranges and the keys' means that an imported model was fitted with."""
TFLITE = _binary("model.tflite")
TFLITE_FACTS = json_artifact("tflite.json")
"""Of `quantize`: the size of the .tflite, and the share of zeros among its weights."""
PROOF = json_artifact("proof.json")
"""Of `convert`: the number of steps that were compared with TensorFlow Lite Micro."""
QUALITY = json_artifact("quality.json")
"""Of `evaluate`: figures by model (`float`, `quantized`, the field's own tool) and split."""
SPLITS = json_artifact("splits.json")
"""Of `evaluate`: what each split holds (`holds`), and how many of its sentences were measured (`sentences`)."""
TESTS = json_artifact("tests.json")
"""Of `evaluate`, for a task with tests: counts by half, kind and intent, the mistakes of the half that is shown, and
the counts over the threshold (`pipeline.verification.sentence_tests`)."""
TEST_REPLIES = json_artifact("test_replies.json")
"""Beside `TESTS`: what the quantized model on the host replied to each sentence, for the board to be compared with."""
PACKED_SOURCES = _folder("{packing}/model")
"""Of `convert`: the C sources of the model, its weights packed for a kind of core."""
PACKED_COMPILED = json_artifact("{packing}/compiled.json")
"""Of `convert`: sizes, layers and counts of such sources."""
PROJECT = _folder("project")
"""Of `firmware`: the CMake project that the image is built of."""
MODEL_SOURCES = _folder("model")
"""Of `firmware`: the model's sources for the interpreter, where the engine is one."""
FIRMWARE = _binary("firmware.elf")
FLASH_IMAGE = _binary("firmware.{form}")
"""The same as .hex, .bin or .uf2, where the board is flashed with that."""
SIZES = json_artifact("sizes.json")
COMPILED = json_artifact("compiled.json")
EXPECTATIONS = json_artifact("expected.json")
"""Of `emulate`: the tokens and logits that the oracle expects of each prompt."""
PAGE = _text("index.html")
PICTURE = _text("{picture}.svg")
