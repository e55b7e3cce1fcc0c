"""One measurement is one row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Row", "as_dict"]


@dataclass(frozen=True)
class Row:
    """Instructions of one thing on one core.

    A row of a model has `model` and `fill`, the tokens in the context, or `prompt`, the tokens of a prompt of which it
    is the mean; with `layer` it is the part of one kind of layer. A row of a kernel has `kernel`, `depth` and `rows`. A
    row with `weights` is all products of one of the model's layers, with weights of that structure, held in `forms`.
    With `answers` it is the mean of so many whole answers in answer tokens, prompts included: `tokens_in`, `tokens_out`
    and, of these, `certain` ones, for which nothing was computed; `own_instructions` are those after the prompt.
    `instructions` is None where the peer was left out, and `note` says why. `code_bytes` is the code of the engine and
    of the measuring program (1 KB), `firmware_code_bytes` that of a whole firmware image. `weight_bytes` are those in
    flash, packed and padded, `raw_weight_bytes` the same in the .tflite. `ram_bytes` are `cache_bytes` of KV cache and
    `activation_bytes`, of which `live_bytes` are alive at once, copies widened to int16 included.
    """

    core: str
    engine: str
    model: str = ""
    kernel: str = ""
    layer: str = ""
    weights: str = ""
    forms: str = ""
    depth: int | None = None
    rows: int | None = None
    fill: int | None = None
    prompt: int | None = None
    macs: int | None = None
    instructions: int | None = None
    answers: int | None = None
    tokens_in: float | None = None
    tokens_out: float | None = None
    certain: float | None = None
    own_instructions: int | None = None
    code_bytes: int | None = None
    firmware_code_bytes: int | None = None
    ram_bytes: int | None = None
    cache_bytes: int | None = None
    activation_bytes: int | None = None
    live_bytes: int | None = None
    weight_bytes: int | None = None
    raw_weight_bytes: int | None = None
    note: str = ""

    @property
    def per_mac(self) -> float | None:
        """Instructions for each multiply-accumulate."""
        return self.instructions / self.macs if self.instructions is not None and self.macs else None


def as_dict(row: Row) -> dict[str, Any]:
    """Plain data, what does not apply left out."""
    values = {key: value for key, value in asdict(row).items() if value not in ("", None)}
    return {**values, **({} if row.per_mac is None else {"per_mac": round(row.per_mac, 4)})}
