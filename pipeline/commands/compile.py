"""`compile`: a .tflite to C, without a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import Command, complete_with
from pipeline.errors import ThimbleError

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tflite", type=Path, metavar="TFLITE", help="the .tflite of a decode step")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder for the C files")
    parser.add_argument(
        "--core", default="cortex-m4", metavar="CORE", help="the core to compile for (default: cortex-m4)"
    )
    aim = parser.add_argument(
        "--aim", default="balanced", help="balanced, speed or size, where weights can be held smaller"
    )
    complete_with(aim, lambda: ("balanced", "speed", "size"))


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.compiler import Objective, compile_decode_step, packing_of_core
    from pipeline.recipes.schema import AIMS

    if options.aim not in AIMS:
        raise ThimbleError(f"--aim {options.aim} is not known", f"use one of: {', '.join(AIMS)}")
    packing = packing_of_core(options.core)
    try:
        model = options.tflite.read_bytes()
    except OSError as error:
        raise ThimbleError(
            f"cannot read {options.tflite}: {error.strerror}", "give a .tflite file; `quantize` writes one"
        ) from None
    if options.out.exists() and not options.out.is_dir():
        raise ThimbleError(f"--out {options.out} is a file", "name a new or empty folder; the file was not touched")
    if options.out.exists() and any(options.out.iterdir()):
        raise ThimbleError(f"{options.out} is not empty", "name a new folder; nothing there was touched")
    options.out.mkdir(parents=True, exist_ok=True)
    compiled = compile_decode_step(model, options.out, packing, Objective(options.aim))
    console.print(
        f"{compiled.macs:,} multiply-accumulates a step, {compiled.weight_bytes:,} bytes of weights → {options.out}"
    )
    if compiled.forms:
        console.print(compiled.forms, highlight=False)
    return 0


COMMAND = Command(
    "compile", "compile any int8 or int16x8 decode-step .tflite to C", _arguments, _work, extras=("compile",)
)
