"""What Python programs and notebooks may use; `import thimble` gives the same names.

Everything else in `pipeline` may change with any version. Nothing inside imports this module.

    load_recipe(path)        reads and checks a recipe
    run(recipe)              brings its stages up to date; a RunResult for each board
    compile_model(tflite)    C of an int8 or int16x8 decode step
    boot(elf, board)         a Device on an emulated board
    connect(port)            a Device on a real board's serial port

What can go wrong for a reason that the caller can mend is a `ThimbleError`, whose `remedy` says how.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ThimbleError
from pipeline.extras import needs_extras

if TYPE_CHECKING:
    from pipeline.compiler import CompiledModel
    from pipeline.device.protocol import Answer, Device
    from pipeline.recipes.load import Recipe
    from pipeline.verification.result import RunResult

__all__ = [
    "Answer",
    "CompiledModel",
    "Device",
    "Recipe",
    "RunResult",
    "ThimbleError",
    "boot",
    "compile_model",
    "connect",
    "load_recipe",
    "run",
]

_CLASSES = {
    "Answer": "pipeline.device.protocol",
    "CompiledModel": "pipeline.compiler",
    "Device": "pipeline.device.protocol",
    "Recipe": "pipeline.recipes.load",
    "RunResult": "pipeline.verification.result",
}


def load_recipe(path: str | PathLike[str]) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: its YAML file.

    Raises:
        ThimbleError: there is no such file, or it is no recipe; names the file and the key.
    """
    from pipeline.recipes.load import load_recipe as load

    return load(Path(path))


def run(
    recipe: Recipe | str | PathLike[str],
    *,
    boards: Sequence[str] = (),
    build: str | PathLike[str] = "build",
    emulator: str | None = None,
    restart_from: str | None = None,
    retrain: bool = False,
    quick: bool = False,
    quiet: bool = False,
) -> dict[str, RunResult]:
    """Brings all stages of a recipe up to date, from its data to the report: what `thimble run` does.

    Args:
        recipe: a recipe, or the path of its file.
        boards: instead of the recipe's.
        build: where artifacts go, a folder a recipe; seen from the working directory.
        emulator: `qemu` or `renode`; None takes the first that is present.
        restart_from: run again from this stage on though nothing changed.
        retrain: train even where shipped weights match the recipe.
        quick: measures accuracy on fewer sentences, as `--quick` does.
        quiet: prints nothing.

    Returns:
        What each board's run found, by the board's name.

    Raises:
        ThimbleError: a stage failed, a check or a budget of a board failed, or a tool or package is missing.
    """
    from rich.console import Console

    with needs_extras("compile", "prove", "train"):
        from pipeline.stages.registry import run_recipe
        from pipeline.tools import configure_tensorflow
        from pipeline.verification.result import RunResult
        from pipeline.workflow.runner import RunOptions

        configure_tensorflow()
        loaded = load_recipe(recipe) if isinstance(recipe, str | PathLike) else recipe
        if boards:
            loaded = loaded.with_boards(boards)
        if quick:
            loaded = loaded.as_quick()
        options = RunOptions(Path(build), "report", restart_from, emulator, retrain)
        workspace = run_recipe(loaded, options, Console(quiet=quiet, soft_wrap=True))
        return {
            board: RunResult.load(workspace.folder / f"{board}-{loaded.engine}" / "result.json")
            for board in loaded.boards
        }


def compile_model(
    tflite: bytes | str | PathLike[str],
    out: str | PathLike[str],
    *,
    core: str = "cortex-m4",
    aim: str = "balanced",
) -> CompiledModel:
    """Compiles the .tflite of a decode step to C.

    Args:
        tflite: its bytes, or the path of the file.
        out: gets `model.c`, `model.h` and `model_data.h`; a new or empty folder.
        core: what the weights are packed for, such as `cortex-m0` or `cortex-m55`.
        aim: `balanced`, `speed` or `size`: how weights are held where several forms are possible.

    Returns:
        Sizes and counts of what was compiled.

    Raises:
        ThimbleError: an unknown core or aim, a folder that holds something, or a damaged .tflite.
        UnsupportedModel: no decode step, or operators, types or shapes that are not supported.
    """
    with needs_extras("compile"):
        from pipeline.compiler import Objective, compile_decode_step, packing_of_core

        if aim not in (known := [objective.value for objective in Objective]):
            raise ThimbleError(f"the aim {aim!r} is not known", f"use one of: {', '.join(known)}")
        folder, packing = Path(out), packing_of_core(core)
        if not isinstance(tflite, bytes):
            try:
                tflite = Path(tflite).read_bytes()
            except OSError as error:
                what = f"cannot read {str(tflite)!r}: {error.strerror}"
                raise ThimbleError(what, "give the path of a .tflite") from None
        if folder.exists() and any(folder.iterdir()):
            raise ThimbleError(f"{folder} is not empty", "name a new folder; nothing there was touched")
        folder.mkdir(parents=True, exist_ok=True)
        return compile_decode_step(tflite, folder, packing, Objective(aim))


def boot(elf: str | PathLike[str], board: str, *, emulator: str | None = None) -> Device:
    """Boots a firmware on an emulated board.

    Args:
        elf: the image, such as `build/RECIPE/firmware/BOARD-aot/firmware.elf`.
        board: its name; `thimble boards` lists them.
        emulator: `qemu` or `renode`; None takes the first that is present.

    Returns:
        The board, ready for requests; a context manager that ends the emulation.

    Raises:
        ThimbleError: no such board, no emulator, or the image does not start.
    """
    from pipeline.device.protocol import Device
    from pipeline.emulators.select import pick
    from pipeline.targets.boards import load_board

    described = load_board(board)
    return Device(pick(described, emulator).start(Path(elf), described))


def connect(port: str, *, baud: int = 115200) -> Device:
    """Opens the serial port of a real board with Thimble's firmware.

    Args:
        port: such as `/dev/ttyACM0` or `COM3`.
        baud: the board's speed, as in its board.yaml.

    Returns:
        The board, ready for requests; a context manager that closes the port.

    Raises:
        ThimbleError: the port cannot be opened, or nothing that answers as such a board does is on it.
    """
    from pipeline.device.client import connect as open_board

    return open_board(port, baud=baud)


def __getattr__(name: str) -> Any:
    """The classes, imported when they are first used."""
    module = _CLASSES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    with needs_extras():
        return getattr(import_module(module), name)
