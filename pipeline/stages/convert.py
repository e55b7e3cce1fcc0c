"""convert: the .tflite compiled to C, proven on the host against TensorFlow Lite Micro."""

from __future__ import annotations

import dataclasses

from pipeline import tools
from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, DOCUMENTS, EVALUATION_TEXT, KNOWN_NAMES, SENTENCES
from pipeline.tasks.registry import TASK_FILES, load_task
from pipeline.tasks.sentence_files import WATCHED
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle
from pipeline.verification.prove import prove
from pipeline.workflow.artifacts import PACKED_COMPILED, PACKED_SOURCES, PROOF, TFLITE, TOKENIZER
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["PACKINGS", "STAGE"]

PACKINGS = tuple(WeightLayout)


def run(context: StageContext) -> str:
    """Writes `PACKING/model/` (the C) and `PACKING/compiled.json` (sizes, layers) for each; `proof.json`, the number of
    steps compared."""
    recipe, console = context.recipe, context.console
    tflite = context.load(TFLITE.of("quantize"))
    oracle = Oracle(tflite)
    proof = load_task(recipe).proof(context.input("data"), oracle.context)
    steps = 0
    for packing in PACKINGS:
        folder = context.target(PACKED_SOURCES, packing=packing)
        folder.mkdir()
        compiled = compile_model(tflite, folder, packing, aim=Objective(recipe.aim))
        if compiled.forms:
            console.print(f"{packing}: {compiled.forms}", highlight=False)
        context.save(PACKED_COMPILED, dataclasses.asdict(compiled), packing=packing)
        engine = HostEngine(folder, context.out / f"_host_{packing}", compiled.vocab, compiled.context)
        with console.status(f"comparing every step's logits with TensorFlow Lite Micro: weights in {packing}"):
            steps += prove(engine, oracle, proof)
    context.save(PROOF, {"steps": steps})
    return f"{steps} steps equal TensorFlow Lite Micro's to the byte"


def _check_compiler(context: StageContext) -> None:
    tools.require("gcc")


STAGE = Stage(
    name="convert",
    summary=SUMMARIES["convert"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data", split="dev"),
        DOCUMENTS.of("data"),
        SENTENCES.of("data", split=WATCHED),
        ANSWERS.of("data"),
        KNOWN_NAMES.of("data"),
        EVALUATION_TEXT.of("data"),
        TFLITE.of("quantize"),
    ),
    writes=(PACKED_SOURCES, PACKED_COMPILED, PROOF),
    sections=("task", "aim"),
    work=(
        __name__,
        "pipeline.compiler",
        "pipeline.tasks.corpus",
        "pipeline.tasks.imported",
        "pipeline.tasks.pairs",
        "pipeline.tasks.structured",
        "pipeline.verification.host_engine",
        "pipeline.verification.oracle",
        "pipeline.verification.prove",
    ),
    data=("firmware_templates/runtime/**/*.[ch]", "firmware_templates/host/*.c", *TASK_FILES),
    tools=("gcc", "tflite-micro", "ai-edge-litert", "numpy", "tokenizers"),
    check_prerequisites=_check_compiler,
)
