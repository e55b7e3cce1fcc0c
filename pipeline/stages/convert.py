"""convert: the .tflite compiled to C, proven on the host against TensorFlow Lite Micro, and measured."""

from __future__ import annotations

import dataclasses

import numpy as np

from models.tasks import Pair
from models.tokenizer import Tokenizer
from pipeline.accuracy import exact_match
from pipeline.compiler import Aim, Packing, compile_model
from pipeline.errors import ThimbleError
from pipeline.host_engine import HostEngine
from pipeline.oracle import Oracle
from pipeline.sentences import HELD_OUT, read_pairs
from pipeline.stages import Stage, StageContext
from pipeline.workspace import write_json

__all__ = ["PACKINGS", "STAGE", "prove"]

PACKINGS = tuple(Packing)
PROOF_SENTENCES = 8


def run(context: StageContext) -> str:
    """Writes `PACKING/model/` (the C) and `PACKING/compiled.json` (sizes, layers) for each; `quality.json`."""
    recipe, console, data = context.recipe, context.console, context.input("data")
    tflite = (context.input("quantize") / "model.tflite").read_bytes()
    tokenizer = Tokenizer.load(data / "tokenizer.json")
    proof = read_pairs(data / "dev.tsv", PROOF_SENTENCES)
    oracle = Oracle(tflite)
    steps = 0
    for packing in PACKINGS:
        folder = context.out / packing / "model"
        folder.mkdir(parents=True)
        compiled = compile_model(tflite, folder, packing, aim=Aim(recipe.aim))
        if compiled.forms:
            console.print(f"{packing}: {compiled.forms}", highlight=False)
        write_json(context.out / packing / "compiled.json", dataclasses.asdict(compiled))
        engine = HostEngine(folder, context.out / f"_host_{packing}", compiled.vocab, compiled.context)
        with console.status(f"comparing every step's logits with TensorFlow Lite Micro: weights in {packing}"):
            steps += prove(engine, oracle, tokenizer, proof)
    quality: dict[str, float] = {}
    for split in HELD_OUT:
        pairs = read_pairs(data / f"{split}.tsv", recipe.evaluate.host_sentences)
        if pairs:
            with console.status(f"quantized on the host: {split.replace('_', ' ')}"):
                quality[split] = exact_match(engine, tokenizer, pairs)
    write_json(context.out / "quality.json", {"quantized": quality, "proof_steps": steps})
    accuracy = ", ".join(f"{split.replace('_', ' ')} {100 * share:.1f} %" for split, share in quality.items())
    return f"{steps} steps equal TensorFlow Lite Micro's to the byte; quantized: {accuracy}"


def prove(engine: HostEngine, oracle: Oracle, tokenizer: Tokenizer, pairs: list[Pair]) -> int:
    """Feeds whole sentences with their actions to both; the number of steps compared.

    Raises:
        ThimbleError: a step's logits differ.
    """
    steps = 0
    for pair in pairs:
        engine.reset()
        oracle.reset()
        for token in tokenizer.encode_pair(pair.sentence, pair.action)[: oracle.context]:
            ours, theirs = engine.step(token), oracle.step(token)
            steps += 1
            if not np.array_equal(ours, theirs):
                raise ThimbleError(
                    f"step {oracle.position - 1} of {pair.sentence!r}: {int((ours != theirs).sum())} logits differ "
                    "from TensorFlow Lite Micro's",
                    "this is a fault of the compiler: report it with the .tflite",
                )
    return steps


STAGE = Stage(
    name="convert",
    summary="compiles the .tflite to C",
    needs=("data", "quantize"),
    sections=("evaluate", "aim"),
    sources=("pipeline/compiler/**/*.py", "firmware_templates/runtime/**/*.[ch]", "pipeline/host_engine.py"),
    run=run,
)
