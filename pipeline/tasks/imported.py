"""Text that goes on: the task of imported language models. There are no pairs; the float model writes the data."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import TextTask
from pipeline.tasks.plain_text import PlainTextTask
from pipeline.tasks.task import Dataset, EvaluationText, MeasuredText, TextWriter

__all__ = ["ImportedTextTask", "read_text", "write_text"]

TEXT = "text.npz"
_PROOF_TEXTS = 1


def write_text(path: Path, text: EvaluationText) -> None:
    """Writes the texts."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **vars(text))


def read_text(path: Path) -> EvaluationText:
    """Reads a file of `write_text`.

    Raises:
        ThimbleError: no such file, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return EvaluationText(**{name: data[name] for name in EvaluationText.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ThimbleError(f"cannot read {path}: {error}", "run the `data` stage again with --force") from None


class ImportedTextTask(PlainTextTask):
    """See `pipeline.tasks.task.Task`."""

    def __init__(self, config: TextTask, folder: Path = Path()) -> None:
        self.config = config

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.seed

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """Text of the model's own, at temperature 1: some to measure with, other to calibrate with, and more to fit
        weights on."""
        assert writer is not None, "the model writes the data"
        length = writer.length
        measured, calibrating = self.config.measured_texts(length), self.config.calibration_texts(length)
        fitting = self.config.fitting_texts(length) if writer.is_fitted else 0
        written = writer.write(measured + calibrating + fitting, self.config.seed)
        parts = np.split(written.tokens, [measured, measured + calibrating])
        text = EvaluationText(parts[1], parts[2], parts[0], written.nll[:measured], written.top1[:measured])
        return Dataset([], [], {}, text)

    def calibration(self, data: Path, count: int, context: int) -> list[list[int]]:
        """The texts that were written to calibrate with, whatever the count of sentences."""
        calibration: list[list[int]] = read_text(data / TEXT).calibration.tolist()
        return calibration

    def proof(self, data: Path, context: int) -> dict[str, list[int]]:
        """The first text, which may be longer than the KV cache has rows."""
        tokens = read_text(data / TEXT).tokens[:_PROOF_TEXTS]
        return {f"text {number}": row for number, row in enumerate(tokens.tolist(), 1)}

    def training_text(self, data: Path, context: int) -> None:
        """Imported models are not trained."""

    def text(self, data: Path, context: int, limit: int | None = None) -> MeasuredText:
        """What the model wrote to be measured on."""
        return read_text(data / TEXT).measured
