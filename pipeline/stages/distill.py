"""distill: a larger model teaches the trained one, where the recipe asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ThimbleError
from pipeline.labelling import relabelled
from pipeline.recipe import Recipe
from pipeline.refining import refine
from pipeline.shipped import metadata_of, shipped_weights, teacher_of, weights_fingerprint
from pipeline.stages import Stage, StageContext
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    import tf_keras as keras

    from models.training import Lessons, Progress

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the trained weights as they are, or distilled from the teacher's.

    Raises:
        ThimbleError: the teacher has no weights yet, or reads other tokens than the student.
    """
    recipe = context.recipe

    def work(student: keras.Model, lessons: Lessons, progress: Progress) -> list[dict[str, float]]:
        from models.checkpoint import build_from
        from models.distillation import distill

        assert recipe.distill is not None
        teacher = teacher_of(recipe)
        weights, tokenizer = _files(context, teacher)
        if tokenizer.read_bytes() != (context.input("data") / "tokenizer.json").read_bytes():
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
                lessons = relabelled(
                    lessons,
                    recipe.distill,
                    taught_by,
                    teacher.model,
                    lambda done: status.update(f"the teacher answers: {done:,} sentences"),
                )
        return distill(student, taught_by, recipe.distill, recipe.train, lessons, context.out, progress)

    return refine(context, "distill", "distilling", work)


def _files(context: StageContext, teacher: Recipe) -> tuple[Path, Path]:
    """The teacher's weights and tokenizer: the shipped ones, or those of its own run beside this one."""
    shipped = shipped_weights(teacher)
    if shipped is not None:
        return shipped, shipped.with_suffix(".tokenizer.json")
    workspace = Workspace(context.workspace.folder.parent, teacher.name)
    weights = workspace.stage("qat") / "weights.npz"
    if not weights.exists() or metadata_of(weights)["fingerprint"] != weights_fingerprint(teacher):
        raise ThimbleError(
            f"the teacher {teacher.path} has no trained weights", f"run `python -m pipeline qat {teacher.path}` first"
        )
    return weights, workspace.stage("data") / "tokenizer.json"


def _teacher(context: StageContext) -> dict[str, str]:
    if context.recipe.distill is None:
        return {}
    return {"teacher": weights_fingerprint(teacher_of(context.recipe))}


STAGE = Stage(
    name="distill",
    summary="lets a teacher train the model",
    needs=("data", "train"),
    sections=("distill", "train", "model"),
    sources=("models/distillation.py", "pipeline/labelling.py"),
    run=run,
    resumable=True,
    volatile=_teacher,
)
