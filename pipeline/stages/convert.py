"""convert: the .tflite compiled to C, proven on the host against TensorFlow Lite Micro, and measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline import tools
from pipeline.compiler import Objective, WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import EVALUATION_TEXT, SENTENCES
from pipeline.tasks.accuracy import exact_match
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.likelihood import format_metrics, measure
from pipeline.verification.oracle import Oracle
from pipeline.workflow.artifacts import PACKED_COMPILED, PACKED_SOURCES, QUALITY, TFLITE, TOKENIZER
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["PACKINGS", "STAGE", "prove"]

PACKINGS = tuple(WeightLayout)
PROOF_SENTENCES, PROOF_TEXTS = 8, 1


def run(context: StageContext) -> str:
    """Writes `PACKING/model/` (the C) and `PACKING/compiled.json` (sizes, layers) for each; `quality.json`."""
    recipe, console = context.recipe, context.console
    tflite = context.load(TFLITE.of("quantize"))
    oracle = Oracle(tflite)
    proof = _proof(context, oracle.context)
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
    if recipe.text is None:
        quality = _exact_match(context, engine)
    else:
        text = context.load(EVALUATION_TEXT.of("data"))
        with console.status("quantized on the host: text of the float model"):
            quality = measure(engine, text, oracle.graph.tensors[oracle.graph.outputs["logits"]].scale)
    context.save(QUALITY, {"quantized": quality, "proof_steps": steps})
    return f"{steps} steps equal TensorFlow Lite Micro's to the byte; quantized: {format_metrics(quality)}"


def _proof(context: StageContext, rows: int) -> dict[str, list[int]]:
    """Token sequences by what they are, to compare on: sentences with their actions, or text, which may be longer than
    the KV cache has rows."""
    if context.recipe.text is not None:
        tokens = context.load(EVALUATION_TEXT.of("data")).tokens
        return {f"text {number}": row.tolist() for number, row in enumerate(tokens[:PROOF_TEXTS], 1)}
    tokenizer = Tokenizer.load(context.path(TOKENIZER.of("data")))
    pairs = read_pairs(context.path(SENTENCES.of("data", split="dev")), PROOF_SENTENCES)
    return {repr(pair.sentence): tokenizer.encode_pair(pair.sentence, pair.action)[:rows] for pair in pairs}


def _exact_match(context: StageContext, engine: HostEngine) -> dict[str, float]:
    recipe = context.recipe
    tokenizer = Tokenizer.load(context.path(TOKENIZER.of("data")))
    quality: dict[str, float] = {}
    for split in HELD_OUT:
        pairs = read_pairs(context.path(SENTENCES.of("data"), split=split), recipe.evaluate.host_sentences)
        if pairs:
            with context.console.status(f"quantized on the host: {split.replace('_', ' ')}"):
                quality[split] = exact_match(engine, tokenizer, pairs)
    return quality


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
    summary=SUMMARIES["convert"],
    run=run,
    reads=(TOKENIZER.of("data"), SENTENCES.of("data"), EVALUATION_TEXT.of("data"), TFLITE.of("quantize")),
    writes=(PACKED_SOURCES, PACKED_COMPILED, QUALITY),
    sections=("task", "evaluate", "aim"),
    work=(
        __name__,
        "pipeline.compiler",
        "pipeline.tasks.accuracy",
        "pipeline.tasks.sentence_files",
        "pipeline.verification.host_engine",
        "pipeline.verification.likelihood",
        "pipeline.verification.oracle",
    ),
    data=("firmware_templates/runtime/**/*.[ch]", "firmware_templates/host/*.c"),
    tools=("gcc", "tflite-micro", "ai-edge-litert", "numpy", "tokenizers"),
    check_prerequisites=_check_compiler,
)
