"""firmware: the project for the board, and its images."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from pipeline import tools
from pipeline.compiler.backends.tflm import write_interpreted
from pipeline.compiler.backends.tflm_support import require_support
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.errors import DeviceError, MissingTool, UnsupportedModel
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.image import sizes_as_dict
from pipeline.firmware.project import write_project
from pipeline.firmware.tflm_library import require_library
from pipeline.recipes.load import Recipe
from pipeline.recipes.schema import ENGINES
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, KNOWN_NAMES
from pipeline.targets.boards import Board
from pipeline.tasks.text_path import recipe_codec
from pipeline.verification.tflm_arena import arena_on_host
from pipeline.workflow.artifacts import (
    COMPILED,
    FIRMWARE,
    FLASH_IMAGE,
    MODEL_SOURCES,
    PACKED_COMPILED,
    PACKED_SOURCES,
    PROJECT,
    SIZES,
    TFLITE,
    TOKENIZER,
)
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "write_sources"]


def run(context: StageContext) -> str:
    """Writes `project/`, `firmware.elf` and what else the board is flashed with, `sizes.json`, and `compiled.json`,
    which describes the model in the image."""
    board = context.require_board()
    project = context.target(PROJECT)
    kernels = ENGINES[context.recipe.engine]
    if kernels is None:
        write_sources(context, board, project)
        with context.console.status("building the firmware"):
            firmware = build_project(project, context.out / "_build")
        COMPILED.copy(context.out, context.path(PACKED_COMPILED.of("convert"), packing=board.packing))
        note = ""
    else:
        firmware, note = _interpreted(context, board, kernels, project)
    FIRMWARE.copy(context.out, firmware.elf)
    if board.image != "elf":
        FLASH_IMAGE.copy(context.out, firmware.elf.with_suffix(f".{board.image}"), form=board.image)
    sizes = firmware.sizes
    facts = {"weights_crc": firmware.weights_crc, "build_id": firmware.build_id}
    context.save(SIZES, {**sizes_as_dict(sizes), **facts})
    return (
        f"flash {sizes.flash / 1024:.1f} of {board.flash.size / 1024:,.0f} KB (code {sizes.code / 1024:.1f}), "
        f"RAM {sizes.ram / 1024:.1f} of {board.ram.size / 1024:,.0f} KB{note}"
    )


def write_sources(context: StageContext, board: Board, project: Path, model: Path | None = None) -> None:
    """Writes the project for a board into a new folder.

    Args:
        model: the folder with the model's sources, where they are not those that `convert` wrote.
    """
    project.mkdir(parents=True)
    codec = recipe_codec(context.recipe, context.input("data"))
    model = model or context.path(PACKED_SOURCES.of("convert"), packing=board.packing)
    write_project(model, codec, board, context.recipe.name, project, ENGINES[context.recipe.engine])


def _interpreted(context: StageContext, board: Board, kernels: str, project: Path) -> tuple[Firmware, str]:
    """The firmware over TensorFlow Lite Micro. The arena is what the host's interpreter needs, whose records are
    larger; where the board can be emulated the device is asked for the smallest, and that is what the image gets."""
    tflite = context.load(TFLITE.of("quantize"))
    require_support(read_tflite(tflite), kernels)
    require_library(board.core, kernels)
    macs = int(context.load(PACKED_COMPILED.of("convert"), packing=board.packing)["macs"])
    model = context.target(MODEL_SOURCES)
    model.mkdir()
    with context.console.status("asking TensorFlow Lite Micro on the host for the arena"):
        on_host = arena_on_host(tflite)
    compiled = write_interpreted(tflite, macs, on_host, model)
    emulator = _emulator(context, board)
    note = f"; arena {on_host:,} bytes, as on the host"
    if emulator is not None:
        with context.console.status("asking the emulated board for the smallest arena"):
            smallest = _smallest_arena(context, board, emulator, on_host)
        compiled = write_interpreted(tflite, macs, smallest, model)
        note = f"; arena {smallest:,} bytes on the device, {on_host:,} on the host"
    write_sources(context, board, project, model)
    with context.console.status("building the firmware"):
        firmware = build_project(project, context.out / "_build")
    context.save(COMPILED, {**asdict(compiled), "arena_on_host": on_host})
    return firmware, note


def _smallest_arena(context: StageContext, board: Board, emulator: Emulator, on_host: int) -> int:
    """Asks a firmware whose arena is ample, in bytes: CMSIS-NN's scratch buffers are not in the host's figure."""
    tflite = context.load(TFLITE.of("quantize"))
    for times in (1, 2):
        trial_folder = context.out / f"_asked{times}"
        (trial_folder / "model").mkdir(parents=True)
        write_interpreted(tflite, 1, times * on_host, trial_folder / "model")
        write_sources(context, board, trial_folder / "project", trial_folder / "model")
        firmware = build_project(trial_folder / "project", trial_folder / "build", test_commands=True)
        try:
            with Device(emulator.start(firmware.elf, board)) as device:
                return int(device.request("ARENA")[-1].split("smallest=")[1])
        except DeviceError as error:
            if error.code != "start":
                raise
            reason = error.text.removeprefix("ERR init ")
    raise UnsupportedModel(
        f"TensorFlow Lite Micro refuses the model on {board.name}, with an arena of {2 * on_host:,} bytes: {reason}",
        "a library of the build type release_with_logs prints more; or choose the engine tflm-reference or aot",
    )


def _emulator(context: StageContext, board: Board) -> Emulator | None:
    """What runs the board's images; None where nothing is installed, since the image is built all the same."""
    try:
        return pick(board, context.emulator)
    except MissingTool:
        return None


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The library, for an engine that needs one, and the emulator that is asked for the arena."""
    kernels = ENGINES[context.recipe.engine]
    if kernels is None:
        return {}
    library = require_library(context.require_board().core, kernels)
    status = os.stat(library.path)
    emulator = _emulator(context, context.require_board())
    return {
        "library": str(library.path),
        "bytes": str(status.st_size),
        "time": str(status.st_mtime_ns),
        "emulator": f"{emulator.name} {emulator.version}" if emulator else "",
    }


def _work(recipe: Recipe) -> tuple[str, ...]:
    """The modules that make the image; those of the interpreter where the engine is one."""
    always = (
        __name__,
        "pipeline.firmware.build",
        "pipeline.firmware.project",
        "pipeline.targets.boards",
        "pipeline.targets.memories",
        "pipeline.tasks.text_path",
    )
    if ENGINES[recipe.engine] is None:
        return always
    return (
        *always,
        "pipeline.compiler.backends.tflm",
        "pipeline.compiler.backends.tflm_support",
        "pipeline.compiler.frontend.tflite",
        "pipeline.device.protocol",
        "pipeline.emulators.select",
        "pipeline.firmware.tflm_library",
        "pipeline.recipes.load",
        "pipeline.verification.tflm_arena",
    )


def _check_build_tools(context: StageContext) -> None:
    for tool in ("arm-none-eabi-gcc", "cmake", "ninja"):
        tools.require(tool)
    kernels = ENGINES[context.recipe.engine]
    if kernels is not None:
        require_library(context.require_board().core, kernels)


def _tools(recipe: Recipe) -> tuple[str, ...]:
    always = ("arm-none-eabi-gcc", "cmake", "ninja", "jinja2", "pyelftools", "numpy", "tokenizers")
    return always if ENGINES[recipe.engine] is None else (*always, "tflite-micro", "ai-edge-litert")


STAGE = Stage(
    name="firmware",
    summary=SUMMARIES["firmware"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        ANSWERS.of("data"),
        KNOWN_NAMES.of("data"),
        TFLITE.of("quantize"),
        PACKED_SOURCES.of("convert"),
        PACKED_COMPILED.of("convert"),
    ),
    writes=(PROJECT, MODEL_SOURCES, FIRMWARE, FLASH_IMAGE, SIZES, COMPILED),
    sections=("name", "engine", "answers"),
    work=_work,
    data=(
        *(f"firmware_templates/{folder}/**/*" for folder in ("app", "cmake", "runtime", "tflm")),
        "pipeline/languages/**/*.yaml",
    ),
    tools=_tools,
    per_board=True,
    environment_facts=_environment_facts,
    check_prerequisites=_check_build_tools,
)
