"""`python -m tests.support.train_tiny KIND DROPOUT FOLDER [STOP]`: trains a tiny model in one of four ways, and prints
a digest of its weights. With STOP it asks itself to stop after that many steps."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import tf_keras as keras

from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import DistillConfig, PruneConfig, QatConfig, TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.training.distill import distill
from pipeline.training.loop import TrainingData, TrainingStep, limit_threads, train
from pipeline.training.prune import prune
from pipeline.training.qat import train_quantized
from tests.support.tiny_models import PAIRS, config_of, lively, tokenizer_of

STEPS = 12


def main(kind: str, dropout: float, folder: Path, stop: int = 0) -> None:
    """Trains, and prints the digest."""
    limit_threads()
    tokenizer = tokenizer_of(340)
    sizes = config_of("rmsnorm, gated, rotary, grouped", vocab_size=tokenizer.vocab_size, layers=1, context=48)
    training_data = TrainingData(PlainCodec(tokenizer), PAIRS, PAIRS[:3], sizes.context)
    settings = TrainConfig(steps=STEPS, batch_size=4, warmup=2, dropout=dropout)
    end = TrainingStep.end
    calls = itertools.count(1)

    def counted(self: TrainingStep, *arguments: Any) -> float:
        loss = end(self, *arguments)
        if next(calls) == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss

    TrainingStep.end = counted  # type: ignore[method-assign, assignment]
    common: Any = (training_data, folder, lambda *_: None)
    keras.utils.set_random_seed(1)
    model = build_decoder(sizes, dropout)
    if kind == "train":
        model, _ = train(sizes, settings, *common)
    elif kind == "distill":
        distill(
            model, lively(sizes), DistillConfig(teacher="teacher.yaml", steps=STEPS, spoiled=0.5), settings, *common
        )
    elif kind == "qat":
        train_quantized(model, sizes, QatConfig(steps=STEPS), "int8", settings, *common)
    else:
        pattern = {"prune": "unstructured", "prune heads": "heads"}[kind]
        prune(model, sizes, PruneConfig.from_mapping({"steps": STEPS, "pattern": pattern}), settings, *common)
    print(hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in model.trainable_variables)).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
