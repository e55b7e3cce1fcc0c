"""distill: a larger model teaches the trained one, where the recipe asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ThimbleError
from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.recipes.schema import DistillConfig
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import DOCUMENTS, SENTENCES
from pipeline.stages.fine_tune import fine_tune_stage, training_modules
from pipeline.tasks.registry import TASK_FILES, task_tools
from pipeline.training.labels import pseudo_label
from pipeline.verification.host_engine import host_engine
from pipeline.workflow.artifacts import TOKENIZER, TRAINING_LOG, WEIGHTS
from pipeline.workflow.shipped import (
    are_final,
    is_trained_here,
    read_weights_metadata,
    recognizes_weights,
    shipped_weights,
    teacher_of,
    weights_fingerprint,
)
from pipeline.workflow.stage import Stage, StageContext
from pipeline.workflow.workspace import Workspace

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import Progress, TrainingData

__all__ = ["STAGE", "label_with"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the trained weights as they are, or distilled from the teacher's.

    Raises:
        ThimbleError: the teacher has no weights yet, or reads other tokens than the student.
    """
    recipe = context.recipe

    def work(student: keras.Model, training_data: TrainingData, progress: Progress) -> list[dict[str, float]]:
        from pipeline.network.checkpoint import build_from
        from pipeline.training.distill import distill

        assert recipe.distill is not None
        teacher = teacher_of(recipe)
        weights, tokenizer = _files(context, teacher)
        if tokenizer.read_bytes() != context.path(TOKENIZER.of("data")).read_bytes():
            raise ThimbleError(
                f"the teacher {recipe.distill.teacher} reads other tokens",
                f"use its task and `tokenizer: {{vocab_size: {teacher.vocab_size}}}`",
            )
        if teacher.model.context < recipe.model.context:
            raise ThimbleError(
                f"the teacher {recipe.distill.teacher} sees {teacher.model.context} tokens",
                f"use a `model.context` of at most {teacher.model.context}",
            )
        taught_by = build_from(weights, teacher.model)
        if recipe.distill.labelled:
            with context.console.status("the teacher answers") as status:
                training_data = label_with(
                    taught_by,
                    teacher,
                    training_data,
                    recipe.distill,
                    lambda done: status.update(f"the teacher answers: {done:,} sentences"),
                )
        return distill(student, taught_by, recipe.distill, recipe.train, training_data, context.out, progress)

    return fine_tune_stage(context, "distill", "distilling", work)


def label_with(
    model: keras.Model,
    teacher: Recipe,
    training_data: TrainingData,
    config: DistillConfig,
    progress: Callable[[int], None] | None = None,
) -> TrainingData:
    """The lessons as `pseudo_label` makes them, the teacher in int8 and compiled for this machine.

    Args:
        model: the teacher, float.
        teacher: its recipe.
        training_data: the student's.
        config: the student's `distill` section.
        progress: called with the number of sentences answered.

    Raises:
        ThimbleError: from the compilers.
    """
    from pipeline.quantize.ptq import quantize

    calibration = training_data.first(min(teacher.quantize.calibration_sentences, config.labelled)).sequences
    with host_engine(quantize(model, teacher.model, calibration)) as engine:
        return pseudo_label(training_data, config, engine, progress)


def _files(context: StageContext, teacher: Recipe) -> tuple[Path, Path]:
    """The teacher's weights and tokenizer: the shipped ones, or those of its own run beside this one."""
    shipped = shipped_weights(teacher)
    if shipped is not None:
        return shipped, TOKENIZER.path(shipped.parent)
    workspace = Workspace(context.workspace.folder.parent, teacher.name)
    weights = workspace.path(WEIGHTS.of("qat"))
    if not weights.exists() or not are_final(teacher, read_weights_metadata(weights)):
        raise ThimbleError(
            f"the teacher {teacher.path} has no trained weights", f"run `{command(f'qat {teacher.path}')}` first"
        )
    return weights, workspace.path(TOKENIZER.of("data"))


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The teacher's recipe; which versions of packages its weights were made with does not count."""
    if context.recipe.distill is None:
        return {}
    return {"teacher": weights_fingerprint(teacher_of(context.recipe), versions={})}


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (
        __name__,
        *training_modules(recipe),
        "pipeline.quantize.ptq",
        "pipeline.training.distill",
        "pipeline.training.labels",
        "pipeline.verification.host_engine",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return ("tensorflow", "tf-keras", "ai-edge-litert", "gcc", "numpy", "tokenizers", *task_tools(recipe.task))


STAGE = Stage(
    name="distill",
    summary=SUMMARIES["distill"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data", split="train"),
        DOCUMENTS.of("data"),
        SENTENCES.of("data", split="dev"),
        WEIGHTS.of("train"),
    ),
    writes=(WEIGHTS, TRAINING_LOG),
    sections=("distill", "train", "model"),
    work=_work,
    data=("firmware_templates/runtime/**/*.[ch]", "firmware_templates/host/*.c", *TASK_FILES),
    tools=_tools,
    resumable=True,
    environment_facts=_environment_facts,
    is_training=partial(is_trained_here, stage="distill"),
    recognizes=partial(recognizes_weights, stage="distill"),
)
