"""`python -m tests.support.train_tiny FOLDER STOP KIND…`: trains a tiny model in each of several ways, and prints a
digest of its weights and the way. With a STOP above 0 each asks itself to stop after that many steps, and the process
ends as the last of them did."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tf_keras as keras

from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import DistillConfig, ModelConfig, PruneConfig, QatConfig, TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.training import fit_int
from pipeline.training.distill import distill
from pipeline.training.loop import TrainingData, TrainingStep, limit_threads, train
from pipeline.training.prune import prune
from pipeline.training.qat import train_quantized
from tests.support.tiny_models import PAIRS, config_of, lively, tokenizer_of

STEPS = 12
KIND = "rmsnorm, gated, rotary, grouped"


def main(folder: Path, stop: int, kinds: list[str]) -> None:
    """Trains, and prints the digests."""
    limit_threads()
    stopped: SystemExit | None = None
    for kind in kinds:
        out = folder / kind.replace(" ", "-")
        out.mkdir(parents=True, exist_ok=True)
        try:
            with stopping(stop):
                model = trained(kind, out)
        except SystemExit as error:
            stopped = error
            print(f"stopped {kind}")
            continue
        digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in model.trainable_variables))
        print(f"{digest.hexdigest()} {kind}")
    if stopped is not None:
        raise stopped


@contextlib.contextmanager
def stopping(stop: int) -> Iterator[None]:
    """The process gets SIGTERM after that many steps from now."""
    calls = itertools.count(1)

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            result = work(*arguments)
            if next(calls) == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return result

        return step

    with (
        mock.patch.object(TrainingStep, "end", counted(TrainingStep.end)),
        mock.patch.object(fit_int._Trainer, "step", counted(fit_int._Trainer.step)),
    ):
        yield


def trained(kind: str, out: Path) -> keras.Model:
    """A model that was trained in one of the ways, or goes on from the checkpoint in the folder."""
    keras.utils.set_random_seed(1)
    if kind == "fit to integers":
        return fitted(out)
    tokenizer = tokenizer_of(340)
    sizes = config_of(KIND, vocab_size=tokenizer.vocab_size, layers=1, context=48)
    training_data = TrainingData(PlainCodec(tokenizer), PAIRS, PAIRS[:3], sizes.context)
    dropout = 0.05 if "dropout" in kind else 0.0
    settings = TrainConfig(steps=STEPS, batch_size=4, warmup=2, dropout=dropout)
    common: Any = (training_data, out, lambda *_: None)
    model = build_decoder(sizes, dropout)
    if kind.startswith("train"):
        model, _ = train(sizes, settings, *common)
    elif kind == "distill":
        config = DistillConfig(teacher="teacher.yaml", steps=STEPS, spoiled=0.5)
        distill(model, lively(sizes), config, settings, *common)
    elif kind == "qat":
        train_quantized(model, sizes, QatConfig(steps=STEPS), "int8", settings, *common)
    else:
        pattern = "heads" if "heads" in kind else "unstructured"
        prune(model, sizes, PruneConfig.from_mapping({"steps": STEPS, "pattern": pattern}), settings, *common)
    return model


def fitted(out: Path) -> keras.Model:
    """As an imported model is."""
    config: ModelConfig = config_of(KIND, tied_embeddings=False, layers=1)
    model = lively(config)
    text = np.random.default_rng(5).integers(0, config.vocab_size, (8, config.context)).astype(np.int32)
    tuning = QatConfig(steps=STEPS, learning_rate=0.01)
    fit_int.fit_reparameterization(model, config, tuning, "int8", text, 1, out, lambda *_: None)
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
