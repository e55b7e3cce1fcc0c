"""The command line: `python -m pipeline COMMAND …`."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from pipeline import tools
from pipeline.errors import PartialFailure, ThimbleError
from pipeline.resources import ROOT

if TYPE_CHECKING:
    from pipeline.commands.session import SessionOptions
    from pipeline.recipes.load import Recipe
    from pipeline.workflow.workspace import Workspace

__all__ = ["main"]

_STAGES = {
    "data": "sample the task's sentences and train the tokenizer",
    "train": "train the Keras model, or take the shipped weights that the recipe describes",
    "distill": "let a larger model teach the trained one, if the recipe asks for it",
    "prune": "prune and fine-tune, if the recipe asks for it",
    "qat": "fine-tune with the integers' rounding, if the recipe asks for it",
    "quantize": "write the full-integer .tflite of the decode step",
    "convert": "compile the .tflite to C, proven against TensorFlow Lite Micro on the host",
    "evaluate": "measure how often the float and the quantized model are right",
    "firmware": "generate and build the firmware project",
    "emulate": "run the firmware on the emulated board and verify tokens, logits and counts",
    "report": "write the pictures and the report",
}
_SHIPPED_SWEEP = ROOT / "models" / "sweeps" / "home-en"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0 when it did what was asked."""
    tools.configure_tensorflow()
    options = _parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    errors = Console(stderr=True, soft_wrap=True)
    try:
        return int(options.work(options, console))
    except ThimbleError as error:
        errors.print(f"[bold red]error:[/] {_plain(error.what)}", highlight=False)
        errors.print(f"  [bold]fix:[/] {_plain(error.remedy)}", highlight=False)
        return 1
    except KeyboardInterrupt:
        errors.print("\nstopped; what was finished stays, and the same command goes on from there", highlight=False)
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        errors.print(
            f"[bold red]error:[/] cannot write {error.filename or 'a file'}: {error.strerror}", highlight=False
        )
        errors.print("  [bold]fix:[/] free space or use --build DIR; what was finished before stays", highlight=False)
        return 1


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="From a Keras transformer to verified tokens on an emulated Cortex-M board.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="all stages of a recipe, up to the report")
    _recipe_arguments(run)
    run.add_argument(
        "--from", dest="restart", choices=list(_STAGES), metavar="STAGE", help="run again from this stage on"
    )
    _quick_argument(run)
    run.set_defaults(work=_run, until="report")

    for stage, summary in _STAGES.items():
        command = commands.add_parser(stage, help=summary, description=summary + "; stages before it run if they must.")
        _recipe_arguments(command)
        _quick_argument(command)
        command.set_defaults(work=_run, until=stage, restart=None)

    chat = commands.add_parser("chat", help="type sentences to the board, emulated or on a serial port")
    _recipe_arguments(chat)
    _session_arguments(chat)
    chat.set_defaults(work=_chat)

    generate = commands.add_parser("generate", help="one prompt to the board; its text goes to stdout as it comes")
    _recipe_arguments(generate)
    _session_arguments(generate)
    generate.add_argument("--prompt", default="", help="what the text begins with")
    generate.set_defaults(work=_generate)

    serial = commands.add_parser("serial", help="verify a real board over its serial port")
    serial.add_argument("port", metavar="PORT", help="such as /dev/ttyACM0 or COM3")
    _recipe_arguments(serial)
    serial.add_argument("--baud", type=int, help="instead of the board's speed")
    serial.add_argument(
        "--instructions-per-tick",
        type=float,
        metavar="N",
        help="for an emulated board behind a pseudo-terminal: what its ticks stand for (board.yaml)",
    )
    serial.set_defaults(work=_serial)

    ship = commands.add_parser("ship", help="make the trained weights the recipe's shipped ones")
    _recipe_arguments(ship)
    ship.set_defaults(work=_ship)

    sweep = commands.add_parser("sweep", help="train and measure many recipes, and show what accuracy costs")
    sweep.add_argument("sweep", type=Path, metavar="SWEEP", help="a sweep's YAML file")
    sweep.add_argument("--jobs", type=int, metavar="N", help="points at a time (default: one a processor)")
    sweep.add_argument("--ray", metavar="ADDRESS", help="run the points on this Ray cluster")
    sweep.add_argument("--board", action="append", metavar="BOARD", help="instead of the recipes' boards; may repeat")
    sweep.add_argument("--emulator", choices=["qemu", "renode"], help="instead of the first that is present")
    sweep.add_argument(
        "--build", type=Path, default=Path("build"), metavar="DIR", help="where sweep/NAME goes (default: build)"
    )
    sweep.add_argument(
        "--ship", action="store_true", help="put the results beside the sweep's file too, in a folder of its name"
    )
    sweep.set_defaults(work=_sweep)

    best = commands.add_parser("recommend", help="the best measured recipe for a board and budgets")
    best.add_argument("--board", required=True, metavar="BOARD")
    best.add_argument("--flash", metavar="SIZE", help="such as 256K (default: what the board has)")
    best.add_argument("--ram", metavar="SIZE", help="such as 64K (default: what the board has)")
    best.add_argument("--ms", type=float, metavar="T", help="milliseconds of the slowest token, by the high estimate")
    best.add_argument(
        "--sweep",
        type=Path,
        default=_SHIPPED_SWEEP,
        metavar="DIR",
        help="a finished sweep's folder (default: the shipped results for English commands)",
    )
    best.add_argument("--json", action="store_true", help="for programs")
    best.set_defaults(work=_recommend)

    imported = commands.add_parser("import-llama2c", help="make a recipe of a llama2.c checkpoint and its tokenizer")
    imported.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .bin of export version 0 (float32)")
    imported.add_argument("tokenizer", type=Path, metavar="TOKENIZER", help="the tokenizer .bin that belongs to it")
    imported.add_argument("--out", type=Path, required=True, metavar="RECIPE", help="the recipe to write, a .yaml file")
    imported.add_argument("--board", action="append", metavar="BOARD", help="default: mps2_an386; may repeat")
    imported.add_argument("--context", type=int, metavar="N", help="positions (default: as many as fit, at most 256)")
    imported.add_argument(
        "--window", type=int, default=0, metavar="N", help="tokens that attention sees; text never ends"
    )
    imported.add_argument("--sinks", type=int, default=0, metavar="N", help="first tokens that a window always sees")
    imported.add_argument("--activations", choices=["int8", "int16"], default="int8", help="of the .tflite")
    imported.add_argument("--fit", type=int, metavar="N", help="steps that fit the weights to integers, 0 for none")
    imported.add_argument("--force", action="store_true", help="write over a recipe of that name")
    imported.set_defaults(work=_import)

    boards = commands.add_parser("boards", help="list the boards")
    boards.add_argument("--json", action="store_true", help="for programs")
    boards.set_defaults(work=_boards)

    build = commands.add_parser("compile", help="compile any int8 or int16x8 decode-step .tflite to C")
    build.add_argument("tflite", type=Path)
    build.add_argument("--out", type=Path, required=True, help="a new or empty folder for the C files")
    build.add_argument(
        "--core", default="cortex-m4", metavar="CORE", help="the core to compile for (default: cortex-m4)"
    )
    build.add_argument("--aim", default="balanced", help="balanced, speed or size, where weights can be held smaller")
    build.set_defaults(work=_compile)
    return parser


def _session_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", help="the serial port of a real board, such as /dev/ttyACM0")
    command.add_argument("--baud", type=int, help="of that port, instead of the board's speed")
    command.add_argument("--tokens", type=int, metavar="N", help="most new tokens (default: the model's context)")
    command.add_argument("--temperature", type=float, default=0.0, help="0 (default): always the most likely token")
    command.add_argument("--top-k", type=int, default=0, metavar="K", help="draw from the K most likely (0: all)")
    command.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw from those that make up P")
    command.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R", help="above 1: repeat less")
    command.add_argument("--seed", type=int, default=0, help="the same seed draws the same tokens")


def _recipe_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", type=Path, metavar="RECIPE", help="a recipe's YAML file")
    command.add_argument("--board", action="append", metavar="BOARD", help="instead of the recipe's boards; may repeat")
    command.add_argument("--engine", metavar="ENGINE", help="instead of the recipe's: aot, tflm or tflm-reference")
    command.add_argument("--emulator", choices=["qemu", "renode"], help="instead of the first that is present")
    command.add_argument(
        "--force", action="store_true", help="run the stage (for `run`: every stage) though nothing changed"
    )
    command.add_argument(
        "--retrain", action="store_true", help="train anew what is shipped or older than its modules and tools"
    )
    command.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard into STAGE/log while training"
    )
    command.add_argument(
        "--build", type=Path, default=Path("build"), metavar="DIR", help="where artifacts go (default: build)"
    )


def _quick_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--quick",
        action="store_true",
        help="measure accuracy on at most 50 sentences of each split on the host and 10 on the board",
    )


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, with what the command line changes of it."""
    from pipeline.recipes.load import load_recipe
    from pipeline.recipes.schema import ENGINES

    recipe = load_recipe(options.recipe)
    if options.board:
        recipe = recipe.with_boards(options.board)
    if options.engine is not None:
        if options.engine not in ENGINES:
            raise ThimbleError(f"--engine {options.engine} is not known", f"use one of: {', '.join(ENGINES)}")
        recipe = recipe.with_engine(options.engine)
    return recipe.as_quick() if getattr(options, "quick", False) else recipe


def _run(options: argparse.Namespace, console: Console) -> int:
    from pipeline.report.summary import print_summary
    from pipeline.stages.registry import run_recipe
    from pipeline.workflow.runner import RunOptions
    from pipeline.workflow.workspace import Workspace

    recipe = _recipe(options)
    restart = options.restart
    if options.force and restart is None:
        restart = "data" if options.command == "run" else options.until
    run = RunOptions(
        options.build, options.until, restart, options.emulator, options.retrain, tensorboard=options.tensorboard
    )
    try:
        run_recipe(recipe, run, console)
    except PartialFailure as failure:
        if options.until == "report" and failure.finished:
            print_summary(recipe.with_boards(failure.finished), Workspace(options.build, recipe.name), console)
        raise
    if options.until == "report":
        print_summary(recipe, Workspace(options.build, recipe.name), console)
    return 0


def _chat(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.session import chat_with_board

    recipe, workspace, session = _session(options, console)
    return chat_with_board(recipe, workspace, session, console)


def _generate(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.session import generate_text

    recipe, workspace, session = _session(options, Console(stderr=True, quiet=True))
    return generate_text(recipe, workspace, session, options.prompt)


def _session(options: argparse.Namespace, console: Console) -> tuple[Recipe, Workspace, SessionOptions]:
    """The recipe, with its firmware built, and how to reach and use the board."""
    from pipeline.commands.session import SessionOptions
    from pipeline.numerics.sampler import SamplerSettings
    from pipeline.stages.registry import run_recipe
    from pipeline.workflow.runner import RunOptions

    sampler = SamplerSettings.of(
        options.temperature, options.top_k, options.top_p, options.repetition_penalty, options.seed
    )
    if options.tokens is not None and options.tokens < 1:
        raise ThimbleError(f"--tokens {options.tokens} is not above 0", "ask for at least one token")
    recipe = _recipe(options)
    run = RunOptions(
        options.build, "firmware", "firmware" if options.force else None, options.emulator, options.retrain
    )
    workspace = run_recipe(recipe.with_boards(recipe.boards[:1]), run, console)
    return recipe, workspace, SessionOptions(options.emulator, options.port, options.baud, sampler, options.tokens)


def _serial(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.serial import verify_on_port
    from pipeline.report.summary import print_serial_summary
    from pipeline.workflow.workspace import Workspace

    recipe = _recipe(options)
    workspace = Workspace(options.build, recipe.name)
    result = verify_on_port(recipe, workspace, options.port, console, options.baud, options.instructions_per_tick)
    print_serial_summary(result, console)
    return 0


def _ship(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.load import load_recipe
    from pipeline.workflow.artifacts import TOKENIZER, WEIGHTS
    from pipeline.workflow.shipped import ship
    from pipeline.workflow.workspace import Workspace

    recipe = load_recipe(options.recipe)
    workspace = Workspace(options.build, recipe.name)
    target = ship(recipe, workspace.path(WEIGHTS.of("qat")), workspace.path(TOKENIZER.of("data")))
    console.print(f"shipped: {target}", highlight=False)
    return 0


def _sweep(options: argparse.Namespace, console: Console) -> int:
    from pipeline.sweep.plan import load_sweep
    from pipeline.sweep.run import SweepOptions, run_sweep, ship_results

    if options.jobs is not None and options.jobs < 1:
        raise ThimbleError(f"--jobs {options.jobs} is not above 0", "run at least one point at a time")
    sweep = load_sweep(options.sweep)
    settings = SweepOptions(options.jobs, options.ray, tuple(options.board or ()), options.emulator, options.build)
    results = run_sweep(sweep, settings, console)
    folder = options.build / "sweep" / sweep.name
    for board in results.boards:
        console.print(f"\n[bold]{board}[/]")
        console.print(results.table(board))
    console.print("● no other point is better in accuracy, flash, RAM and time at once", style="dim")
    for point in results.failed:
        console.print(f"[red]✗[/] {point.name}: {_plain(point.error)} [dim](fix: {_plain(point.remedy)})[/]")
    console.print(f"\nresults  {folder / 'pareto.json'}, .md and .png", highlight=False)
    console.print(f"recipes  {folder / 'recipes'}", highlight=False)
    if options.ship:
        console.print(f"shipped  {ship_results(folder, options.sweep)}", highlight=False)
    console.print(
        f"pick     python -m pipeline recommend --sweep {folder} --board {results.boards[0]} --flash 256K --ram 64K",
        highlight=False,
    )
    return 0


def _recommend(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.schema import size_bytes
    from pipeline.sweep.pareto import read_results
    from pipeline.sweep.recommend import recommend
    from pipeline.targets.boards import load_board

    if options.ms is not None and not options.ms > 0:
        raise ThimbleError(f"--ms {options.ms:g} is not above 0", "give milliseconds a token")
    limits = {name: size_bytes(f"--{name}", getattr(options, name)) for name in ("flash", "ram")}
    for name, limit in limits.items():
        if limit is not None and limit < 1024:
            raise ThimbleError(f"--{name} {limit} is {limit} bytes", f"add the unit: --{name} {limit}K")
    recommendation = recommend(read_results(options.sweep), load_board(options.board), **limits, ms=options.ms)
    if options.json:
        print(json.dumps(recommendation.as_dict(), indent=1))
    else:
        console.print(
            "\n".join(recommendation.lines(recommendation.recipe_file(options.sweep / "recipes"))), highlight=False
        )
    return 0 if recommendation.fits else 1


def _import(options: argparse.Namespace, console: Console) -> int:
    from pipeline.importers.llama2c_recipe import ImportOptions, import_llama2c

    boards = tuple(options.board or ["mps2_an386"])
    attention = (options.context, options.window, options.sinks)
    import_options = ImportOptions(boards, *attention, options.activations, options.fit)
    if options.out.exists() and not options.force:
        raise ThimbleError(f"{options.out} is there already", "name another recipe, or use --force to write over it")
    import_llama2c(options.checkpoint, options.tokenizer, options.out, import_options, console)
    return 0


def _boards(options: argparse.Namespace, console: Console) -> int:
    from pipeline.targets.boards import all_boards

    boards = all_boards()
    if options.json:
        print(json.dumps([board.summary() for board in boards], indent=1))
        return 0
    table = Table("board", "core", "clock", "flash", "RAM", "emulators", box=None, header_style="bold")
    for board in boards:
        facts = board.summary()
        table.add_row(
            facts["name"],
            facts["core"],
            f"{facts['clock_hz'] / 1e6:g} MHz",
            f"{facts['flash_bytes'] // 1024} KB",
            f"{facts['ram_bytes'] // 1024} KB",
            ", ".join(facts["emulators"]),
        )
    console.print(table)
    return 0


def _compile(options: argparse.Namespace, console: Console) -> int:
    from pipeline.compiler import Objective, compile_model, packing_of_core
    from pipeline.recipes.schema import AIMS

    if options.aim not in AIMS:
        raise ThimbleError(f"--aim {options.aim} is not known", f"use one of: {', '.join(AIMS)}")

    try:
        model = options.tflite.read_bytes()
    except OSError as error:
        raise ThimbleError(
            f"cannot read {options.tflite}: {error.strerror}", "give a .tflite file; `quantize` writes one"
        ) from None
    if options.out.exists() and any(options.out.iterdir()):
        raise ThimbleError(f"{options.out} is not empty", "name a new folder; nothing there was touched")
    options.out.mkdir(parents=True, exist_ok=True)
    compiled = compile_model(model, options.out, packing_of_core(options.core), aim=Objective(options.aim))
    console.print(
        f"{compiled.macs:,} multiply-accumulates a step, {compiled.weight_bytes:,} bytes of weights → {options.out}"
    )
    if compiled.forms:
        console.print(compiled.forms, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
