"""`esphome`: an external component that takes one token a loop, and whose answers are automations."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UnsupportedModel
from pipeline.exports.form import Form
from pipeline.exports.library import Library

__all__ = ["FORM"]


def _check(library: Library) -> None:
    if len(library.models) > 1:
        raise UnsupportedModel(
            f"an ESPHome component holds one model, not {len(library.models)}", "export each recipe by itself"
        )
    if not library.models[0].has_answers:
        raise UnsupportedModel(
            f"{library.models[0].name} answers in text, and an automation acts on intents and slots",
            "export a recipe whose task has intents, or take the form esp-idf",
        )


def _inline_tables(library: Library, out: Path) -> None:
    """Puts a model's tables into its C file: ESPHome includes every header of a component in its own C++, and these are
    C, and large."""
    folder = out / "components" / library.identifier
    for model in library.models:
        source = folder / f"{model.identifier}.c"
        text = source.read_text(encoding="utf-8")
        for part in ("data", "text"):
            header = folder / f"{model.identifier}_{part}.h"
            tables = header.read_text(encoding="utf-8")
            text = text.replace(f'#include "{header.name}"\n', tables[tables.index("#ifndef") :])
            header.unlink()
        source.write_text(text, encoding="utf-8")


FORM = Form(
    "esphome",
    "ESPHome component",
    source="components/{identifier}",
    core="riscv32",
    compiles_with_flags=False,
    check=_check,
    finish=_inline_tables,
)
