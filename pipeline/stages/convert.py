"""convert: the .tflite compiled to C, proven on the host against TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline import tools
from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.files import write_json
from pipeline.tasks.registry import load_task
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["PACKINGS", "STAGE", "prove"]

PACKINGS = tuple(WeightLayout)


def run(context: StageContext) -> str:
    """Writes `PACKING/model/` (the C) and `PACKING/compiled.json` (sizes, layers) for each; `proof.json`, the number of
    steps compared."""
    recipe, console = context.recipe, context.console
    tflite = (context.input("quantize") / "model.tflite").read_bytes()
    oracle = Oracle(tflite)
    proof = load_task(recipe.task).proof(context.input("data"), oracle.context)
    steps = 0
    for packing in PACKINGS:
        folder = context.out / packing / "model"
        folder.mkdir(parents=True)
        compiled = compile_model(tflite, folder, packing, aim=Objective(recipe.aim))
        if compiled.forms:
            console.print(f"{packing}: {compiled.forms}", highlight=False)
        write_json(context.out / packing / "compiled.json", dataclasses.asdict(compiled))
        engine = HostEngine(folder, context.out / f"_host_{packing}", compiled.vocab, compiled.context)
        with console.status(f"comparing every step's logits with TensorFlow Lite Micro: weights in {packing}"):
            steps += prove(engine, oracle, proof)
    write_json(context.out / "proof.json", {"steps": steps})
    return f"{steps} steps equal TensorFlow Lite Micro's to the byte"


def prove(engine: HostEngine, oracle: Oracle, sequences: Mapping[str, Sequence[int]]) -> int:
    """Feeds token sequences, by name, to both; the number of steps compared.

    Raises:
        ThimbleError: a step's logits differ.
    """
    steps = 0
    for name, sequence in sequences.items():
        engine.reset()
        oracle.reset()
        for token in sequence:
            ours, theirs = engine.step(token), oracle.step(token)
            steps += 1
            if not np.array_equal(ours, theirs):
                raise ThimbleError(
                    f"step {oracle.position - 1} of {name}: {int((ours != theirs).sum())} logits differ "
                    "from TensorFlow Lite Micro's",
                    "this is a fault of the compiler: report it with the .tflite",
                )
    return steps


def _check_compiler(context: StageContext) -> None:
    tools.require("gcc")


STAGE = Stage(
    name="convert",
    summary="compiles the .tflite to C",
    needs=("data", "quantize"),
    sections=("task", "aim"),
    sources=(
        "pipeline/compiler/**/*.py",
        "pipeline/numerics/*.py",
        "firmware_templates/runtime/**/*.[ch]",
        "pipeline/verification/host_engine.py",
    ),
    run=run,
    check_prerequisites=_check_compiler,
)
