"""Does a teacher help? The smallest variant trained alone and distilled, with the same steps, data and seeds.

`thimble bench distillation` trains `nano` with the teacher's tokens from three seeds, where 3,000 sentences
have their actions: on these alone, and taught by `home-en-base`, which is trained first where it is not (a line says
so), answers 30,000 sentences more and gives its distributions of each token. It prints exact match of the int8 model
on the held-out splits. `--labelled 0`: all sentences of the task have their actions. Every run is kept in
`build/distillation`; an interrupted one goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.bench.held_out import HomeModel, load_home_model, matching
from pipeline.files import fingerprint, read_json, write_json
from pipeline.recipes.schema import DistillConfig, ModelConfig, QuantizeConfig, TrainConfig
from pipeline.resources import ROOT
from pipeline.stages.distill import label_with
from pipeline.verification.host_engine import host_engine

if TYPE_CHECKING:
    from pipeline.training.loop import TrainingData

__all__ = ["DistillationStudy", "compare_distillation"]

TEACHER = ROOT / "models" / "home-en-base" / "recipe.yaml"
KINDS = ("alone", "distilled")
SPLIT = "new_templates"


@dataclass(frozen=True)
class DistillationStudy:
    """What to train: `steps` of `batch` sentences of the small `variant` from each seed, in each of `kinds`.

    Of all sentences `labelled` have their actions (0: all), and the teacher answers `relabelled` more. `temperature`,
    `alpha` and `spoiled` are those of `distill` in a recipe; None takes its default.
    """

    variant: str
    steps: int
    batch: int
    labelled: int
    relabelled: int
    seeds: tuple[int, ...]
    kinds: tuple[str, ...]
    build: Path
    temperature: float | None = None
    alpha: float | None = None
    spoiled: float | None = None


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value


def compare_distillation(options: DistillationStudy, console: Console) -> None:
    """Trains missing models and prints the table."""
    home = load_home_model(TEACHER, options.build, console)
    config = ModelConfig.from_mapping({"variant": options.variant, "vocab_size": home.recipe.vocab_size})
    lesson = DistillConfig(
        teacher=str(TEACHER.resolve()),
        steps=options.steps,
        temperature=_or_default(options.temperature, DistillConfig.temperature),
        alpha=_or_default(options.alpha, DistillConfig.alpha),
        spoiled=_or_default(options.spoiled, DistillConfig.spoiled),
        labelled=options.labelled,
        relabelled=options.relabelled if options.labelled else 0,
    )
    training_data = {"alone": home.training_data, "distilled": home.training_data}
    if lesson.labelled:
        few = home.training_data.first(lesson.labelled)
        with console.status("the teacher answers"):
            taught = label_with(home.model, home.recipe, home.training_data, lesson)
        answers = taught.sequences[len(few.sequences) :]
        true = {tuple(tokens) for tokens in home.training_data.first(lesson.labelled + lesson.relabelled).sequences}
        right = sum(tuple(tokens) in true for tokens in answers) / max(len(answers), 1)
        console.print(f"of {len(answers):,} answers of the teacher {100 * right:.1f} % are right", highlight=False)
        training_data = {"alone": few, "distilled": taught}
    results: list[dict[str, Any]] = []
    for seed in options.seeds:
        for kind in options.kinds:
            settings = TrainConfig(
                steps=options.steps, batch_size=options.batch, learning_rate=3e-3, dropout=0.0, seed=seed
            )
            chosen = lesson if kind == "distilled" else None
            results.append(_run(config, settings, chosen, home, training_data[kind], options.build))
            console.print(f"seed {seed} {kind}: {100 * results[-1][SPLIT]:.1f} % of new templates", highlight=False)
    summary = {
        kind: _mean([result for result in results if result["kind"] == kind], list(home.splits))
        for kind in options.kinds
    }
    write_json(options.build / "distillation" / "results.json", {"runs": results, "mean": summary})
    _print(console, list(home.splits), results, summary)


def _run(
    config: ModelConfig,
    settings: TrainConfig,
    lesson: DistillConfig | None,
    home: HomeModel,
    training_data: TrainingData,
    build: Path,
) -> dict[str, Any]:
    """Runs one training, or loads its earlier result."""
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize
    from pipeline.training.distill import distill
    from pipeline.training.loop import train

    kind = "alone" if lesson is None else "distilled"
    facts: dict[str, Any] = {"model": vars(config), "train": vars(settings), "sentences": training_data.size}
    facts["distill"] = None if lesson is None else vars(lesson)
    out = build / "distillation" / f"{kind}-{settings.seed}-{fingerprint(facts)[:8]}"
    done = out / "result.json"
    if done.exists():
        return read_json(done, f"delete {out}, and run the benchmark again")
    out.mkdir(parents=True, exist_ok=True)
    watch = _Log(out / "log.txt")
    if lesson is None:
        model, history = train(config, settings, training_data, out, watch)
    else:
        keras.utils.set_random_seed(settings.seed)
        model = build_decoder(config, settings.dropout)
        history = distill(model, home.model, lesson, settings, training_data, out, watch)
    tflite = quantize(model, config, training_data.sequences[: QuantizeConfig.calibration_sentences])
    with host_engine(tflite) as engine:
        right = matching(engine, training_data.codec, home.splits)
    quantized = {name: float(np.mean(matches)) for name, matches in right.items()}
    result = {"kind": kind, "seed": settings.seed, **facts, **quantized, "history": history}
    write_json(done, result)
    return result


class _Log:
    """Progress as lines of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, done: int, steps: int, figures: dict[str, float]) -> None:
        if done % 100 == 0:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{done} of {steps}: {json.dumps(figures)}\n")


def _mean(results: Sequence[dict[str, Any]], splits: Sequence[str]) -> dict[str, float]:
    return {key: float(np.mean([result[key] for result in results])) for key in splits}


def _print(
    console: Console, splits: Sequence[str], results: Sequence[dict[str, Any]], summary: dict[str, dict[str, float]]
) -> None:
    table = Table(title="exact match in %, int8")
    for title in (
        "training",
        "seed",
        *(f"{split.replace('_', ' ')}, int8" for split in splits),
    ):
        table.add_column(title)
    rows = [(result["kind"], str(result["seed"]), result) for result in results]
    for kind, seed, result in (*rows, *((kind, "mean", mean) for kind, mean in summary.items())):
        table.add_row(kind, seed, *(f"{100 * result[key]:.1f}" for key in splits))
    console.print(table)
