"""report: pictures and one page that opens without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import charts
from pipeline.report.flame import flame_graph
from pipeline.stages import SUMMARIES
from pipeline.tasks.sentence_files import SPLIT_TEXTS
from pipeline.timing.folded import read_folded
from pipeline.verification.likelihood import TEXT_FIGURES, format_metric
from pipeline.workflow.shipped import TRAINING_STAGES, read_weights_metadata
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]

_TEMPLATES = Path(__file__).resolve().parent.parent / "report"
_TIME_ROWS = {
    "decode_mean": "a token, mean",
    "decode_max": "a token, worst",
    "prefill_per_token": "a token of a prompt",
    "prompt_max": "the longest prompt, to its first token",
}
_ENGINE_NAMES = {"float": "float", "quantized": "quantized, host", "device": "quantized, board"}


def run(context: StageContext) -> str:
    """Writes `index.html` and the pictures beside it as SVG."""
    recipe, workspace = context.recipe, context.workspace
    target_keys = [f"{board}-{recipe.engine}" for board in recipe.boards]
    results = [_read(workspace.stage("emulate", target_key) / "result.json") for target_key in target_keys]
    facts = read_weights_metadata(workspace.stage("qat") / "weights.npz")
    sentences = {} if recipe.text else _read(workspace.stage("data") / "summary.json")["sentences"]
    first = results[0]
    baseline = first["quality"].pop("hassil", {})
    quality = {_ENGINE_NAMES[engine]: splits for engine, splits in first["quality"].items()}
    drawn = {
        f"{kind}-{result['board']}": draw(result)
        for result in results
        for kind, draw in (("memory", _memory), ("layers", _layers))
    }
    for result, target_key in zip(results, target_keys, strict=True):
        drawn[f"flame-{result['board']}"] = _flame(result, workspace.stage("emulate", target_key) / "cycles.folded")
    if recipe.text is None:
        drawn["accuracy"] = charts.accuracy_by_split(quality, baseline)
        drawn["training"] = charts.training_curves(_joined(facts["history"]))
    for name, svg in drawn.items():
        if not svg:
            continue
        (context.out / f"{name}.svg").write_text(svg, encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("page.html.j2").render(
        recipe=recipe,
        results=results,
        pictures=[
            {kind: Markup(drawn[f"{kind}-{result['board']}"]) for kind in ("memory", "layers", "flame")}
            for result in results
        ],
        time_rows=_TIME_ROWS,
        accuracy_picture=Markup(drawn.get("accuracy", "")),
        training_picture=Markup(drawn.get("training", "")),
        quality=quality,
        splits=list(dict.fromkeys(key for splits in quality.values() for key in splits)),
        format_metric=format_metric,
        split_texts=TEXT_FIGURES if recipe.text else SPLIT_TEXTS,
        split_sizes={split: sentences.get(split, "") for split in quality["float"]},
        quality_notes=_text_notes(facts) if recipe.text else _notes(first, baseline, facts),
        reproduce=f"{facts['command']}\nnox -s demo -- {recipe.path.as_posix()}",
        versions=first["versions"],
        recipe_text=recipe.path.read_text(encoding="utf-8"),
    )
    (context.out / "index.html").write_text(page, encoding="utf-8")
    return f"{sum(map(bool, drawn.values()))} pictures and index.html"


def _memory(result: dict[str, Any]) -> str:
    flash = {key: result["flash_bytes"][key] for key in ("weights", "tables", "code")}
    ram = {
        key.replace("_", " "): result["ram_bytes"][key] for key in ("kv_cache", "activations", "application", "stack")
    }
    return charts.memory_map(flash, result["flash_bytes"]["size"], ram, result["ram_bytes"]["size"])


def _layers(result: dict[str, Any]) -> str:
    return charts.instructions_by_layer(result["layers"]) if result["layers"] else ""


def _flame(result: dict[str, Any], folded: Path) -> str:
    """The flame graph of the traced prompts; empty where nothing could be traced."""
    if not folded.exists():
        return ""
    return flame_graph(read_folded(folded), f"Likely cycles on {result['board']}, by function", "cycles")


def _joined(history: dict[str, list[dict[str, float]]]) -> list[dict[str, float]]:
    """The curves of the stages that train behind one another."""
    points: list[dict[str, float]] = []
    for stage in TRAINING_STAGES:
        start = points[-1]["step"] if points else 0
        points += [{**point, "step": point["step"] + start} for point in history.get(stage, [])]
    return points


def _notes(result: dict[str, Any], baseline: dict[str, float], facts: dict[str, Any]) -> list[str]:
    counts = result["quality_sentences"]
    notes = [
        f"Measured on the first {counts['host']} sentences of each split on the host, {counts['device']} on the board. "
        "A sentence counts when the whole action is right to the letter.",
        f"The model has {facts['parameters']:,} parameters.",
    ]
    if baseline:
        share = 100 * baseline["noisy"]
        notes.append(f"hassil itself, told all the names, recognizes {share:.1f} % of the noisy sentences.")
    return notes


def _text_notes(facts: dict[str, Any]) -> list[str]:
    return [
        "Measured on text that the float model wrote itself, drawn at temperature 1.",
        f"The model has {facts['parameters']:,} parameters; it was imported from {facts['source']}.",
    ]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


STAGE = Stage(
    name="report",
    summary=SUMMARIES["report"],
    needs=("data", "qat", "emulate"),
    sections=("name", "description"),
    sources=(
        "pipeline/report/*",
        "pipeline/stages/report.py",
        "pipeline/timing/folded.py",
    ),
    run=run,
)
