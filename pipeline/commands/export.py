"""`export`: a recipe as a library for the build system that somebody has."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import (
    WHOLE_RUN,
    Command,
    build_argument,
    complete_with,
    emulator_argument,
    recipe_path,
)
from pipeline.version import VERSION

__all__ = ["COMMAND"]


def _form_names() -> list[str]:
    from pipeline.exports.registry import FORMS

    return list(FORMS)


def _core_names() -> list[str]:
    from pipeline.targets.cores import ALL_CORES

    return list(ALL_CORES)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipes", type=recipe_path, nargs="+", metavar="RECIPE", help="a recipe's YAML file, or its folder; several"
    )
    form = parser.add_argument("--form", required=True, metavar="FORM", help="the build system: docs/exports.md")
    complete_with(form, _form_names)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    core = parser.add_argument(
        "--core",
        metavar="CORE",
        help="for which weights lie: cortex-m33, riscv32, generic, ... (default: of the recipe's first board)",
    )
    complete_with(core, _core_names)
    parser.add_argument(
        "--package-version", default=VERSION, metavar="X.Y.Z", help=f"of the package (default: {VERSION})"
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure accuracy, which is in no export, on few sentences on the way"
    )
    parser.add_argument("--retrain", action="store_true", help="train anew what is shipped")
    emulator_argument(parser)
    build_argument(parser)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.exports.registry import load_form
    from pipeline.recipes.load import load_recipe
    from pipeline.stages.export import export
    from pipeline.workflow.runner import RunOptions

    form = load_form(options.form)
    recipes = [load_recipe(path) for path in options.recipes]
    if options.quick:
        recipes = [recipe.as_quick() for recipe in recipes]
    run = RunOptions(options.build, emulator=options.emulator, retrain=options.retrain)
    library = export(recipes, form, options.out, run, console, options.core, options.package_version)
    console.print(
        f"{library.package} {library.version}, {form.title} → {options.out}; its README.md has three lines to start",
        highlight=False,
    )
    return 0


COMMAND = Command(
    "export",
    "models as a library for CMake, Zephyr, Arduino and other build systems",
    _arguments,
    _work,
    extras=WHOLE_RUN,
)
