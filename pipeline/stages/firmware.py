"""firmware: the project for the board, and its images."""

from __future__ import annotations

import shutil

from models.tokenizer import load_tokenizer
from pipeline.project import build_project, sizes_as_dict, write_project
from pipeline.stages import Stage, StageContext
from pipeline.workspace import write_json

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `project/`, `firmware.elf` and `sizes.json`."""
    board = context.the_board()
    tokenizer = load_tokenizer(context.input("data") / "tokenizer.json")
    project = context.out / "project"
    project.mkdir()
    write_project(context.input("convert") / board.packing / "model", tokenizer, board, context.recipe.name, project)
    with context.console.status("building the firmware"):
        firmware = build_project(project, context.out / "_build")
    shutil.copyfile(firmware.elf, context.out / "firmware.elf")
    sizes = firmware.sizes
    write_json(
        context.out / "sizes.json",
        {**sizes_as_dict(sizes), "weights_crc": firmware.weights_crc, "build_id": firmware.build_id},
    )
    return (
        f"flash {sizes.flash / 1024:.1f} of {board.flash.size / 1024:,.0f} KB (code {sizes.code / 1024:.1f}), "
        f"RAM {sizes.ram / 1024:.1f} of {board.ram.size / 1024:,.0f} KB"
    )


STAGE = Stage(
    name="firmware",
    summary="generates and builds the firmware project",
    needs=("data", "convert"),
    sections=("name", "engine"),
    sources=("firmware_templates/**/*", "pipeline/project.py", "pipeline/tokenizer_c.py", "pipeline/boards.py"),
    run=run,
    per_board=True,
)
