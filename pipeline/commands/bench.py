"""`bench`: comparisons on emulated cores, and of methods."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, build_argument

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cores", metavar="A,B", help="such as m4f,m55 (default: all)")
    parser.add_argument("--models", metavar="A,B", help="such as home-en-nano (default: those with weights)")
    parser.add_argument("--quick", action="store_true", help="two depths, one model, no peers of whole models")
    build_argument(parser, "where models and results lie (default: build)")
    parser.set_defaults(study_work=_measure)
    studies = parser.add_subparsers(dest="study", metavar="STUDY", title="studies of methods, instead")
    rounding = studies.add_parser("rounding", help="what integers cost, and what training in them brings back")
    rounding.add_argument("--variant", default="nano", help="a shipped home-en model (default: nano)")
    rounding.add_argument("--weights", nargs="+", default=["int8", "int4"], choices=["int8", "int4"])
    rounding.add_argument("--steps", type=int, metavar="N", help="of training (default: as `qat` in a recipe)")
    rounding.add_argument("--rate", type=float, metavar="R", help="learning rate (default: as `qat` in a recipe)")
    rounding.set_defaults(study_work=_rounding)
    distillation = studies.add_parser("distillation", help="a small model trained alone, and by a teacher")
    distillation.add_argument("--variant", default="nano", help="the small model (default: nano)")
    distillation.add_argument("--steps", type=int, default=3_000, metavar="N")
    distillation.add_argument("--batch", type=int, default=48, metavar="N", help="sentences a step")
    distillation.add_argument("--labelled", type=int, default=3_000, metavar="N", help="sentences with actions; 0: all")
    distillation.add_argument("--relabelled", type=int, default=30_000, metavar="N", help="that the teacher answers")
    distillation.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N")
    for name in ("temperature", "alpha", "spoiled"):
        distillation.add_argument(f"--{name}", type=float, metavar="X", help="(default: as `distill` in a recipe)")
    distillation.add_argument("--kinds", nargs="+", default=["alone", "distilled"], choices=["alone", "distilled"])
    distillation.set_defaults(study_work=_distillation)
    accuracy = studies.add_parser("accuracy", help="how often models do what people say, nothing, or something else")
    accuracy.add_argument("--recipes", nargs="+", type=Path, metavar="RECIPE", help="(default: the shipped models)")
    accuracy.add_argument("--on", default="mps2_an386", metavar="host|BOARD", help="(default: mps2_an386, emulated)")
    accuracy.add_argument("--sentences", type=Path, metavar="DIR", help="with LANG.jsonl and LANG.home.json")
    accuracy.add_argument("--intents", type=Path, metavar="DIR", help="a checkout of home-assistant/intents, instead")
    accuracy.add_argument("--assist", type=Path, metavar="DIR", help="with assist.jsonl and homes/")
    accuracy.add_argument(
        "--inflected", type=Path, metavar="DIR", help="inflected.LANG.jsonl: names in another form than in the home"
    )
    accuracy.add_argument("--foreign", type=Path, metavar="FILE", help="English sentences on which nothing may be done")
    accuracy.add_argument("--limit", type=int, metavar="N", help="sentences of each table (default: all)")
    accuracy.set_defaults(study_work=_accuracy)
    asking = studies.add_parser("asking", help="how often one of the two best answers is right, below the threshold")
    asking.add_argument("--recipes", nargs="+", type=Path, required=True, metavar="RECIPE", help="of models in English")
    asking.add_argument("--on", default="host", metavar="host|BOARD", help="(default: host)")
    asking.add_argument("--sentences", type=Path, metavar="DIR", help="with en.jsonl and en.home.json")
    asking.add_argument("--assist", type=Path, metavar="DIR", help="with assist.jsonl and homes/")
    asking.add_argument("--thresholds", nargs="+", type=float, default=[0.5], metavar="SHARE", help="(default: 0.5)")
    asking.set_defaults(study_work=_asking)
    for study in (rounding, distillation, accuracy, asking):
        # Said before or after the study's name; without a default, which would write over what stood before.
        study.add_argument("--build", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="(default: build)")


def _work(options: argparse.Namespace, console: Console) -> int:
    options.study_work(options, console)
    return 0


def _measure(options: argparse.Namespace, console: Console) -> None:
    from pipeline.bench.run import BenchOptions, run_bench

    run_bench(BenchOptions.of(options.cores, options.models, options.quick, options.build), console)


def _accuracy(options: argparse.Namespace, console: Console) -> None:
    from pipeline.bench.accuracy import AccuracyOptions, run_accuracy, shipped_recipes
    from pipeline.stages.understanding import Place

    chosen = AccuracyOptions(
        recipes=tuple(options.recipes or shipped_recipes()),
        build=options.build,
        place=Place(options.on),
        sentences=options.sentences,
        intents=options.intents,
        assist=options.assist,
        foreign={"en": options.foreign} if options.foreign else {},
        inflected=options.inflected,
        limit=options.limit,
    )
    run_accuracy(chosen, console)


def _asking(options: argparse.Namespace, console: Console) -> None:
    from pipeline.bench.asking import AskingOptions, run_asking
    from pipeline.stages.understanding import Place

    chosen = AskingOptions(
        recipes=tuple(options.recipes),
        build=options.build,
        place=Place(options.on),
        sentences=options.sentences,
        assist=options.assist,
        thresholds=tuple(options.thresholds),
    )
    run_asking(chosen, console)


def _rounding(options: argparse.Namespace, console: Console) -> None:
    from pipeline.bench.rounding import measure_rounding
    from pipeline.recipes.schema import QatConfig

    config = QatConfig()
    steps = config.steps if options.steps is None else options.steps
    rate = config.learning_rate if options.rate is None else options.rate
    measure_rounding(options.variant, options.weights, steps, rate, options.build, console)


def _distillation(options: argparse.Namespace, console: Console) -> None:
    from pipeline.bench.distillation import DistillationStudy, compare_distillation

    study = DistillationStudy(
        variant=options.variant,
        steps=options.steps,
        batch=options.batch,
        labelled=options.labelled,
        relabelled=options.relabelled,
        seeds=tuple(options.seeds),
        kinds=tuple(options.kinds),
        build=options.build,
        temperature=options.temperature,
        alpha=options.alpha,
        spoiled=options.spoiled,
    )
    compare_distillation(study, console)


COMMAND = Command(
    "bench",
    "count instructions on emulated cores, beside CMSIS-NN's and others",
    _arguments,
    _work,
    extras=(*WHOLE_RUN, "bench"),
)
