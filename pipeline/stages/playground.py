"""The playground of a recipe: a page that runs the firmware's own C, from what the stages made."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.errors import MissingTool, PartialFailure
from pipeline.files import write_text
from pipeline.playground.costs import board_facts
from pipeline.playground.page import PageFacts, render_page
from pipeline.playground.wasm import build_wasm, require_compiler
from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.stages.artifacts import KNOWN_NAMES, PLAYGROUND
from pipeline.stages.registry import run_recipe
from pipeline.targets.boards import load_board
from pipeline.targets.cores import WeightLayout
from pipeline.tasks.registry import load_task, task_tests
from pipeline.tasks.text_path import recipe_codec
from pipeline.text.annotation import Entry
from pipeline.text.codec import StructuredCodec
from pipeline.verification.result import RESULT
from pipeline.verification.sentence_tests import understood
from pipeline.workflow.artifacts import EXPECTATIONS, PACKED_SOURCES, TESTS
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["MAX_EXAMPLES", "make_playground"]

MAX_EXAMPLES = 8


def make_playground(recipe: Recipe, options: RunOptions, console: Console) -> Path:
    """Brings a recipe's stages up to date and writes its page, to which the report links. Where there is no emulator,
    the page does not say what a board costs.

    Args:
        recipe: of the model; its boards' figures are on the page.
        options: of the run; `until` is not looked at.
        console: where progress is printed.

    Returns:
        The page.

    Raises:
        ThimbleError: from the stages; clang or lld is missing.
    """
    require_compiler()
    workspace, boards, expected = _measured(recipe, options, console)
    data = workspace.stage("data")
    codec = recipe_codec(recipe, data)
    entries: tuple[Entry, ...] = ()
    language = ""
    if isinstance(codec, StructuredCodec):
        names = KNOWN_NAMES.load(data)
        entries, language = names.entries, names.language
    sources = workspace.path(PACKED_SOURCES.of("convert"), packing=WeightLayout.ROW_MAJOR)
    with console.status("compiling the model to WebAssembly"):
        module = build_wasm(sources, codec)
    page = render_page(
        PageFacts(
            name=recipe.name,
            description=recipe.description,
            language=language,
            module=module,
            codec=codec,
            entries=entries,
            examples=_examples(recipe, workspace),
            boards=boards,
            expected=expected,
            command=f"{command('playground')} {recipe.path.as_posix()}",
        )
    )
    path = workspace.folder / PLAYGROUND
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    if boards:
        with contextlib.suppress(PartialFailure):  # it was told above
            run_recipe(recipe, dataclasses.replace(options, until="report", restart=None), console)
    return path


def _examples(recipe: Recipe, workspace: Workspace) -> list[str]:
    """The recipe's prompts, or sentences of its tests that were understood, as people say them, or the task's."""
    texts = list(recipe.prompts)
    if not texts and workspace.path(TESTS.of("evaluate")).exists():
        texts = understood(task_tests(recipe), TESTS.load(workspace.stage("evaluate")))
    texts = texts or list(load_task(recipe).prompts())
    return [text for text in texts if text.strip()][:MAX_EXAMPLES]


def _measured(
    recipe: Recipe, options: RunOptions, console: Console
) -> tuple[Workspace, list[dict[str, Any]], dict[str, Any] | None]:
    """The workspace, the facts of each board that was measured, and the expectations of the first of them."""
    finished: Sequence[str] = recipe.boards
    try:
        workspace = run_recipe(recipe, dataclasses.replace(options, until="emulate"), console)
    except (MissingTool, PartialFailure) as error:
        console.print(f"not every board is on the page: {error.what}", markup=False, highlight=False)
        finished = error.finished if isinstance(error, PartialFailure) else ()
        workspace = run_recipe(recipe, dataclasses.replace(options, until="convert", restart=None), console)
    boards: list[dict[str, Any]] = []
    expected = None
    for name in finished:
        folder = workspace.stage("emulate", target_key(name, recipe.engine))
        facts = board_facts(RESULT.load(folder), load_board(name))
        if facts is not None:
            boards.append(facts)
        if expected is None:
            expected = EXPECTATIONS.load(folder)
    return workspace, boards, expected
