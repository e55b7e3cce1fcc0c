"""report: pictures and one page that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.program import command
from pipeline.report import charts
from pipeline.report.flame import flame_graph
from pipeline.report.page import Playground, ReportFacts, render_report
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import FOLDED_STACKS, PLAYGROUND
from pipeline.timing.folded import read_folded
from pipeline.verification.likelihood import TEXT_FIGURES
from pipeline.verification.result import RESULT, RunResult
from pipeline.workflow.artifacts import PAGE, PICTURE, SPLITS, TESTS, WEIGHTS
from pipeline.workflow.shipped import TRAINING_STAGES, read_weights_metadata
from pipeline.workflow.stage import Stage, StageContext
from pipeline.workflow.workspace import target_key

__all__ = ["STAGE"]

_ENGINE_NAMES = {"float": "float", "quantized": "quantized, host", "device": "quantized, board"}


def run(context: StageContext) -> str:
    """Writes `index.html` and the pictures beside it as SVG."""
    recipe, workspace = context.recipe, context.workspace
    folders = [workspace.stage("emulate", target_key(board, recipe.engine)) for board in recipe.boards]
    results = [RESULT.load(folder) for folder in folders]
    facts = read_weights_metadata(context.path(WEIGHTS.of("qat")))
    splits = context.load(SPLITS.of("evaluate"))
    first = results[0]
    baseline = first.quality.get("hassil", {})
    quality = {name: first.quality[engine] for engine, name in _ENGINE_NAMES.items() if engine in first.quality}
    flames = {
        result.board: _flame(result, FOLDED_STACKS.path(folder, count="cycles"))
        for result, folder in zip(results, folders, strict=True)
    }
    drawn = {f"flame-{board}": svg for board, svg in flames.items()}
    tests = context.load(TESTS.of("evaluate")) if context.path(TESTS.of("evaluate")).exists() else None
    if tests is not None:
        drawn["tests"] = charts.tests_over_threshold(tests["curve"], tests["threshold"])
    if recipe.weights is None:
        drawn["training"] = charts.training_curves(_joined(facts["history"]))
    drawn = {name: svg for name, svg in drawn.items() if svg}
    for name, svg in drawn.items():
        context.save(PICTURE, svg, picture=name)
    page = render_report(
        ReportFacts(
            name=recipe.name,
            description=recipe.description,
            results=results,
            playground=Playground(
                f"../{PLAYGROUND.as_posix()}" if _facts(context) else "",
                f"{command('playground')} {recipe.path.as_posix()}",
            ),
            tests=tests,
            can_have_tests=hasattr(recipe.task, "tests"),
            quality=quality,
            baseline=baseline,
            splits={split: measured["holds"] for split, measured in splits.items()} or TEXT_FIGURES,
            split_sizes={split: measured["sentences"] for split, measured in splits.items()},
            notes=_notes(first, baseline, facts) if recipe.weights is None else _imported_notes(facts),
            training=drawn.get("training", ""),
            tests_over_threshold=drawn.get("tests", ""),
            flames=list(flames.values()),
            commands=f"{facts['command']}\nnox -s demo -- {recipe.path.as_posix()}",
            recipe_text=recipe.path.read_text(encoding="utf-8"),
        )
    )
    context.save(PAGE, page)
    return f"{len(drawn)} pictures and index.html"


def _facts(context: StageContext) -> dict[str, str]:
    """Whether there is a playground to link to."""
    return {"playground": "there"} if (context.workspace.folder / PLAYGROUND).exists() else {}


def _flame(result: RunResult, folded: Path) -> str:
    """The flame graph of the traced prompts; empty where nothing could be traced."""
    if not folded.exists():
        return ""
    return flame_graph(read_folded(folded), f"Likely cycles on {result.board}, by function", "cycles")


def _joined(history: dict[str, list[dict[str, float]]]) -> list[dict[str, float]]:
    """The curves of the stages that train behind one another."""
    points: list[dict[str, float]] = []
    for stage in TRAINING_STAGES:
        start = points[-1]["step"] if points else 0
        points += [{**point, "step": point["step"] + start} for point in history.get(stage, [])]
    return points


def _notes(result: RunResult, baseline: dict[str, float], facts: dict[str, Any]) -> list[str]:
    counts = result.quality_sentences
    notes = [f"The model has {facts['parameters']:,} parameters."]
    if counts:
        notes.insert(
            0,
            f"Measured on the first {counts['host']} sentences of each split on the host, {counts['device']} on the "
            "board. A sentence counts when the whole action is right to the letter.",
        )
    if "perplexity" in result.quality.get("quantized", {}):
        notes.insert(0, "Measured on documents that training did not see, cut to what the model sees at once.")
    if baseline:
        share = 100 * baseline["noisy"]
        notes.append(f"hassil itself, given all the names, recognizes {share:.1f} % of the noisy sentences.")
    return notes


def _imported_notes(facts: dict[str, Any]) -> list[str]:
    return [
        "Measured on text that the float model wrote itself, drawn at temperature 1.",
        f"The model has {facts['parameters']:,} parameters; it was imported from {facts['source']}.",
    ]


STAGE = Stage(
    name="report",
    summary=SUMMARIES["report"],
    run=run,
    reads=(
        SPLITS.of("evaluate"),
        TESTS.of("evaluate"),
        WEIGHTS.of("qat"),
        RESULT.of("emulate"),
        FOLDED_STACKS.of("emulate", count="cycles"),
    ),
    writes=(PAGE, PICTURE),
    sections=("name", "description"),
    work=(
        __name__,
        "pipeline.pages.templates",
        "pipeline.report.charts",
        "pipeline.report.flame",
        "pipeline.report.page",
        "pipeline.timing.folded",
        "pipeline.verification.budgets",
        "pipeline.verification.likelihood",
        "pipeline.verification.result",
    ),
    data=("pipeline/pages/*.css", "pipeline/report/*.css", "pipeline/report/*.j2", "pipeline/report/*.js"),
    tools=("jinja2",),
    environment_facts=_facts,
)
