"""`compile`: a .tflite to C, without a recipe."""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.command import Command, board_names, complete_with, emulator_argument
from pipeline.errors import ThimbleError
from pipeline.extras import needs_extras
from pipeline.program import command

if TYPE_CHECKING:
    from pipeline.compiler import CompiledModel, Explanation, Objective, WeightLayout

__all__ = ["COMMAND"]

_DEFAULT_CORE = "cortex-m4"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tflite", type=Path, metavar="TFLITE", help="the .tflite of a decode step")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder for the C files")
    parser.add_argument(
        "--core", metavar="CORE", help="the core to compile for (default: cortex-m4, or that of --project's board)"
    )
    parser.add_argument(
        "--name",
        default="model",
        help="the model's name in C, of its files and of what a linker sees (default: model): models with different "
        "names go into one image",
    )
    aim = parser.add_argument(
        "--aim", default="balanced", help="balanced, speed or size, where weights can be held smaller"
    )
    complete_with(aim, lambda: ("balanced", "speed", "size"))
    parser.add_argument(
        "--prove",
        action="store_true",
        help="build the C for this machine, and compare each step of random tokens with TensorFlow Lite Micro",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="list operators, what was fused, and what nearly was with the condition that failed",
    )
    parser.add_argument(
        "--with-runtime",
        action="store_true",
        help="add the runtime and the kernels that the model calls, in DIR/runtime",
    )
    parser.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="write each kernel call as a line of JSON, docs/schemas/call.schema.json, into a new file",
    )
    board = parser.add_argument(
        "--project",
        metavar="BOARD",
        help="make a whole firmware project for the board, verify it on the emulated board, and report",
    )
    complete_with(board, board_names)
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="with --project: a tokenizer.json of Thimble's; without one texts are token ids",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="TEXT",
        help="with --project: a text, or token ids, to verify besides random tokens; may repeat",
    )
    emulator_argument(parser)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.compiler import Objective, Packaging, compile_decode_step, explain, packing_of_core
    from pipeline.firmware.library import c_name
    from pipeline.recipes.schema import AIMS

    if options.aim not in AIMS:
        raise ThimbleError(f"--aim {options.aim} is not known", f"use one of: {', '.join(AIMS)}")
    if options.name != c_name(options.name):
        raise ThimbleError(
            f"--name {options.name} is no name of a model in C", f"use lower-case letters: {c_name(options.name)}"
        )
    packing = packing_of_core(options.core or _DEFAULT_CORE)
    _check_of_project(options)
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
    if options.records is not None and options.records.exists():
        raise ThimbleError(f"--records {options.records} is there already", "name a new file; it was not touched")
    if options.project is not None:
        return _project(options, model, Objective(options.aim), console)
    options.out.mkdir(parents=True, exist_ok=True)
    compiled = compile_decode_step(model, options.out, packing, Objective(options.aim), Packaging(options.name))
    console.print(
        f"{compiled.macs:,} multiply-accumulates a step, {compiled.weight_bytes:,} bytes of weights → {options.out}"
    )
    if compiled.forms:
        console.print(compiled.forms, highlight=False)
    _runtime(options, console)
    _records(options, model, packing, console)
    if options.report:
        _report(explain(model), console)
    if options.prove:
        _prove(model, compiled, options, console)
    return 0


def _check_of_project(options: argparse.Namespace) -> None:
    """Refuses options that do not go together."""
    if options.project is not None:
        if options.with_runtime:
            raise ThimbleError("--project brings the runtime", "leave --with-runtime out")
        if options.name != "model":
            raise ThimbleError("in a project the model's name in C is `model`", "leave --name out")
        return
    for name, value in (("tokenizer", options.tokenizer), ("prompt", options.prompt), ("emulator", options.emulator)):
        if value:
            raise ThimbleError(f"--{name} is for a project alone", "leave it out, or add --project BOARD")


def _project(options: argparse.Namespace, model: bytes, aim: Objective, console: Console) -> int:
    from pipeline.compiler import explain
    from pipeline.targets.boards import load_board

    board = load_board(options.project)
    if options.core not in (None, board.core):
        raise ThimbleError(f"{board.name} has a {board.core}, no {options.core}", "leave --core out")
    with needs_extras("prove"):
        from pipeline.commands.step_project import StepProject, make_project
        from pipeline.report.summary import print_step_summary

        if options.report:
            _report(explain(model), console)
        given = " ".join(shlex.quote(str(part)) for part in (options.tflite, "--out", options.out))
        step = StepProject(
            options.tflite,
            board,
            options.out,
            options.tflite.stem,
            aim,
            options.tokenizer,
            tuple(options.prompt),
            options.emulator,
            command(f"compile {given} --project {board.name}"),
        )
        result = make_project(step, model, console)
    _records(options, model, board.packing, console)
    print_step_summary(result, options.out, console)
    return 0


def _records(options: argparse.Namespace, model: bytes, packing: WeightLayout, console: Console) -> None:
    """Writes the calls, where that is asked for."""
    from pipeline.compiler import Objective, call_records
    from pipeline.files import write_text

    if options.records is None:
        return
    records = call_records(model, packing, aim=Objective(options.aim))
    options.records.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.records, "".join(f"{record.model_dump_json(exclude_none=False)}\n" for record in records))
    console.print(f"{len(records)} kernel calls → {options.records}", highlight=False)


def _runtime(options: argparse.Namespace, console: Console) -> None:
    """Copies what the model calls, or says where it is."""
    from pipeline.verification.host_engine import RUNTIME, kernel_sources

    caller, kernels = RUNTIME / "thimble.c", kernel_sources(options.out, RUNTIME / "thimble.c")
    if not options.with_runtime:
        console.print(
            f"it needs thimble.c and {len(kernels)} kernels of {RUNTIME}; --with-runtime copies them", soft_wrap=True
        )
        return
    folder = options.out / "runtime"
    (folder / "kernels").mkdir(parents=True)
    for path in (caller, caller.with_suffix(".h"), RUNTIME / "thimble_place.h"):
        shutil.copy(path, folder / path.name)
    for path in (*kernels, *(RUNTIME / "kernels").glob("*.h")):
        shutil.copy(path, folder / "kernels" / path.name)
    console.print(f"the runtime and {len(kernels)} kernels → {folder}: compile all .c files, with both folders in -I")


def _report(explanation: Explanation, console: Console) -> None:
    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"

    console.print(f"operators: {listed(explanation.operators)}", highlight=False)
    console.print(f"fused: {listed(explanation.fusions)}", highlight=False)
    console.print(f"by themselves: {listed(explanation.alone)}", highlight=False)
    for line in explanation.missed:
        console.print(f"not fused: {line}", highlight=False, markup=False)


def _prove(model: bytes, compiled: CompiledModel, options: argparse.Namespace, console: Console) -> None:
    from pipeline.compiler import Objective, compile_decode_step, packing_of_core
    from pipeline.verification.host_engine import HostEngine
    from pipeline.verification.oracle import Oracle
    from pipeline.verification.prove import prove, random_sequences

    with needs_extras("prove"), tempfile.TemporaryDirectory(prefix="thimble-prove-") as folder:
        oracle = Oracle(model)
        source = options.out
        if options.name != "model":  # which the engine on the host goes by
            source = Path(folder) / "model"
            source.mkdir()
            compile_decode_step(model, source, packing_of_core(options.core or _DEFAULT_CORE), Objective(options.aim))
        engine = HostEngine(source, Path(folder), compiled.vocab, compiled.context)
        steps = prove(engine, oracle, random_sequences(oracle))
    console.print(f"{steps} steps of random tokens equal TensorFlow Lite Micro's to the byte")


COMMAND = Command(
    "compile", "compile any int8 or int16x8 decode-step .tflite to C", _arguments, _work, extras=("compile",)
)
