"""Text that goes on: the task of imported language models. There are no pairs; the model itself writes the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import ThimbleError

__all__ = ["TextTask", "text_task"]


@dataclass(frozen=True)
class TextTask:
    """How much text the float model writes: tokens whose run sets the integers' ranges, tokens of other texts, on which
    the quantized model is measured, and, where the recipe asks for `qat`, tokens to fit the weights on."""

    seed: int = 1
    calibration_tokens: int = 6_000
    measured_tokens: int = 8_000
    fitting_tokens: int = 500_000

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> TextTask:
        """Reads a `task` section without its `name`.

        Raises:
            ThimbleError: an unknown key, a wrong type, or a number out of range.
        """
        known = tuple(vars(cls()))
        for key, value in data.items():
            if key not in known:
                raise ThimbleError(f"unknown key `{key}` in task", f"known keys: name, {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, int) or value < (0 if key == "seed" else 1):
                raise ThimbleError(f"`task.{key}` is {value!r}", "use a whole number above 0")
        return cls(**data)  # type: ignore[arg-type]

    def calibration_texts(self, context: int) -> int:
        """How many texts of the context's length calibrate."""
        return math.ceil(self.calibration_tokens / context)

    def fitting_texts(self, context: int) -> int:
        """How many texts of the context's length weights are fitted on."""
        return math.ceil(self.fitting_tokens / context)

    def measured_texts(self, context: int) -> int:
        """How many texts of the context's length are measured; of the tokens of each the first is given."""
        return math.ceil(self.measured_tokens / max(context - 1, 1))


def text_task(config: Mapping[str, object]) -> TextTask | None:
    """The task of an imported language model, or None where the section describes another task.

    Raises:
        ThimbleError: an unknown key or a wrong value.
    """
    if config.get("name") != "text":
        return None
    return TextTask.from_mapping({key: value for key, value in config.items() if key != "name"})
