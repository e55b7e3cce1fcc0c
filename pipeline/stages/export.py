"""Recipes as libraries for other build systems, from what the stages made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.compiler import Objective
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.errors import MissingTool, PartialFailure
from pipeline.exports.export import check_target, write_export
from pipeline.exports.form import Form
from pipeline.exports.library import Counts, ExportedModel, Library, check_version
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.load import Recipe
from pipeline.recipes.schema import HomeAssistantConfig, SentencesConfig
from pipeline.stages.registry import run_recipe
from pipeline.targets.boards import Board, all_boards, load_board
from pipeline.targets.cores import packing_of_core
from pipeline.tasks.registry import load_task
from pipeline.tasks.text_path import recipe_codec
from pipeline.text.codec import StructuredCodec
from pipeline.verification.host_engine import host_engine
from pipeline.verification.reply import ask
from pipeline.verification.result import RESULT
from pipeline.version import VERSION
from pipeline.workflow.artifacts import TFLITE
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["collect", "export"]

_HOME_ASSISTANT = (
    "Trained on sentences of home-assistant-intents (https://github.com/OHF-Voice/intents), "
    "by its authors, under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); changed: sampled, reworded."
)
_UNICODE = (
    "Tables of characters and number words are made from the Unicode Character Database and CLDR, "
    "under the Unicode License V3 (https://www.unicode.org/license.txt)."
)


def export(
    recipes: Sequence[Recipe],
    form: Form,
    out: Path,
    options: RunOptions,
    console: Console,
    core: str | None = None,
    version: str = VERSION,
) -> Library:
    """Brings recipes' stages up to date and writes their models into a folder, in a form.

    Args:
        recipes: of the models, at least one.
        form: as which build system takes them.
        out: a new or empty folder.
        options: of the runs; `until` is not looked at.
        console: where progress is printed.
        core: see `collect`; None: the form's, where it has one.
        version: SemVer of the package.

    Returns:
        What was written.

    Raises:
        ThimbleError: the folder is not empty, or the form cannot hold the models; from the stages.
    """
    check_target(out)
    library = collect(recipes, options, console, core or form.core, version)
    write_export(library, form, out)
    return library


def collect(
    recipes: Sequence[Recipe],
    options: RunOptions,
    console: Console,
    core: str | None = None,
    version: str = VERSION,
) -> Library:
    """Brings recipes' stages up to date, and takes from them what an export is made of.

    Args:
        recipes: of the models, at least one.
        options: of the runs; `until` is not looked at.
        console: where progress is printed.
        core: of `pipeline.targets.cores.ALL_CORES`, for which weights lie; None: that of the first recipe's first
            board.
        version: SemVer of the package.

    Raises:
        ThimbleError: no such core, or the version is none; from the stages.
    """
    check_version(version)
    core = core or load_board(recipes[0].boards[0]).core
    packing_of_core(core)
    models = tuple(_model(recipe, core, options, console) for recipe in recipes)
    return Library(models, core, version)


def _model(recipe: Recipe, core: str, options: RunOptions, console: Console) -> ExportedModel:
    """A recipe's model for a core, with what was measured on the first emulated board that has it."""
    board = _board(recipe, core)
    workspace, counts = _measured(recipe, board, options, console)
    codec = recipe_codec(recipe, workspace.stage("data"))
    tflite = TFLITE.load(workspace.stage("quantize"))
    sentence = next((text for text in recipe.prompts or load_task(recipe).prompts() if text.strip()), "")
    graph = read_tflite(tflite)
    with console.status("asking the model what the example prints"), host_engine(tflite) as engine:
        step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
        answer = ask(engine, codec, sentence, step, recipe.model.context).text
    return ExportedModel(
        name=recipe.name,
        description=recipe.description,
        tflite=tflite,
        codec=codec,
        sentence=sentence,
        answer=answer,
        aim=Objective(recipe.aim),
        counts=counts,
        attribution=_attribution(recipe, isinstance(codec, StructuredCodec)),
    )


def _board(recipe: Recipe, core: str) -> Board | None:
    """The board on which a model for a core is measured: one of the recipe's, or any that is emulated."""
    boards = [*(load_board(name) for name in recipe.boards), *all_boards()]
    return next((board for board in boards if board.core == core and board.emulators), None)


def _measured(
    recipe: Recipe, board: Board | None, options: RunOptions, console: Console
) -> tuple[Workspace, Counts | None]:
    """The workspace of a recipe, up to date, and what its model costs on a board; None where that cannot be told."""
    recipe = recipe.with_engine("aot")
    if board is not None:
        recipe = recipe.with_boards([board.name])
        try:
            workspace = run_recipe(recipe, dataclasses.replace(options, until="emulate"), console)
        except (MissingTool, PartialFailure) as error:
            if not isinstance(error, PartialFailure) or board.name not in error.finished:
                console.print(f"instructions are not in the README: {error.what}", markup=False, highlight=False)
                board = None
    if board is None:
        return run_recipe(recipe, dataclasses.replace(options, until="convert", restart=None), console), None
    workspace = Workspace(options.build, recipe.name)
    result = RESULT.load(workspace.stage("emulate", target_key(board.name, recipe.engine)))
    instructions = result.instructions
    if instructions is None or not instructions.steps:
        return workspace, None
    return workspace, Counts(
        board=board.title,
        code_bytes=result.flash_bytes.code,
        data_bytes=result.flash_bytes.weights + result.flash_bytes.tables,
        stack_bytes=result.ram_bytes.stack_peak,
        token=round(instructions.decode_mean),
        prompt_token=round(instructions.prefill_per_token),
    )


def _attribution(recipe: Recipe, has_answers: bool) -> tuple[str, ...]:
    """Lines for the sources that ask to be named."""
    task = recipe.task
    is_of_home_assistant = isinstance(task, HomeAssistantConfig) or (
        isinstance(task, SentencesConfig) and task.base == "home_assistant"
    )
    return (*([_HOME_ASSISTANT] if is_of_home_assistant else []), *([_UNICODE] if has_answers else []))
