"""`new`: a folder with a task of one's own, made of a template, that runs as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import Command, complete_with
from pipeline.errors import ThimbleError
from pipeline.program import command

__all__ = ["COMMAND", "create_folder", "template_names"]

KINDS = {
    "home": "Home Assistant's commands and your own, in a home of your own",
    "appliance": "a device with commands of its own",
    "tools": "functions as MCP's `tools/list` writes them",
    "text": "questions that are answered in text",
    "corpus": "text that the model goes on with, such as stories, logs or code",
    "coffee": "a coffee machine, as shipped",
    "washer": "a washing machine, as shipped",
    "car": "a car's navigation, climate and media, as shipped",
    "farm": "a farm's valves, greenhouses and schedules, as shipped",
    "voice-tools": "a voice device's twelve functions, as shipped",
    "clinic": "a patient's sentences at a clinic's terminal, as shipped",
}
"""What `--like` may say, and what such a folder holds."""
_FIELDS = ("coffee", "washer", "car", "farm", "voice-tools", "clinic")  # their templates are shipped models
_OF_THE_WEIGHTS = ("weights.npz", "tokenizer.json", "answers.json")
_FILLED = (".yaml", ".md")  # of these the top-level files hold $name and $folder


def template_names() -> dict[str, tuple[str, ...]]:
    """The languages of each template that there is."""
    from pipeline.recipes.paths import MODELS

    names: dict[str, list[str]] = {}
    fields = [path for kind in _FIELDS for path in MODELS.glob(f"{kind}-??/recipe.yaml")]
    for path in sorted([*(MODELS / "templates").glob("*-*/recipe.yaml"), *fields]):
        kind, _, language = path.parent.name.rpartition("-")
        names.setdefault(kind, []).append(language)
    return {kind: tuple(names[kind]) for kind in KINDS if kind in names}


def create_folder(folder: Path, kind: str, language: str) -> list[Path]:
    """Makes a folder from a template, whole or not at all.

    Args:
        folder: that is not there yet; its name becomes the recipe's.
        kind: of `KINDS`.
        language: code of the language of its sentences.

    Returns:
        Its files, seen from the folder.

    Raises:
        ThimbleError: the folder is there already, its name cannot be a recipe's, or there is no such template.
    """
    import re
    import shutil
    import tempfile
    from string import Template

    from pipeline.recipes.paths import MODELS
    from pipeline.validation import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, folder.name):
        remedy = "begin with a letter or digit, go on with letters, digits, `-`, `_` and `.`, at most 64"
        raise ThimbleError(f"{folder.name or str(folder)!r} cannot name a recipe", remedy)
    if folder.exists() or folder.is_symlink():
        raise ThimbleError(f"{folder} is there already", "choose another name; nothing was changed")
    if not folder.parent.is_dir():
        raise ThimbleError(f"there is no folder {folder.parent}", "make it first")
    known = template_names()
    if language not in known.get(kind, ()):
        what = f"no template {kind!r} in the language {language!r}" if kind in known else f"no template {kind!r}"
        templates = "; ".join(f"--like {name} --language {'|'.join(codes)}" for name, codes in known.items())
        raise ThimbleError(f"there is {what}", f"use one of: {templates}")
    template = (MODELS if kind in _FIELDS else MODELS / "templates") / f"{kind}-{language}"
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as partial:
        made = Path(partial) / folder.name
        shutil.copytree(template, made, ignore=shutil.ignore_patterns(*_OF_THE_WEIGHTS))
        if kind in _FIELDS:
            shutil.copyfile(MODELS / "templates" / "field" / "README.md", made / "README.md")
            recipe = made / "recipe.yaml"
            recipe.write_text(_unshipped(recipe.read_text(encoding="utf-8")), encoding="utf-8")
        for path in made.iterdir():
            if path.suffix in _FILLED:
                text = Template(path.read_text(encoding="utf-8"))
                path.write_text(text.safe_substitute(name=folder.name, folder=folder.as_posix()), encoding="utf-8")
        made.rename(folder)
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _unshipped(recipe: str) -> str:
    """A shipped model's recipe, in lines, as that of a folder that has no weights yet and is called `$name`."""
    lines = [line for line in recipe.splitlines() if not line.startswith(("#", "shipped:"))]
    return "".join("name: $name\n" if line.startswith("name:") else f"{line}\n" for line in lines)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="NAME", help="the folder to make, which also names the recipe")
    parser.add_argument(
        "--like",
        choices=list(KINDS),
        default="appliance",
        help="; ".join(f"{name}: {what}" for name, what in KINDS.items()) + " (default: appliance)",
    )
    language = parser.add_argument(
        "--language", default="en", metavar="CODE", help="of its sentences: en (default) or de"
    )
    complete_with(language, lambda: ("en", "de"))


def _work(options: argparse.Namespace, console: Console) -> int:
    folder: Path = options.folder
    files = create_folder(folder, options.like, options.language)
    console.print(f"{folder}: {', '.join(map(str, files))}", markup=False, highlight=False)
    recipe = (folder / "recipe.yaml").as_posix()
    console.print(f"now: {command(f'run {recipe}')}", markup=False, highlight=False)
    return 0


COMMAND = Command("new", "make a folder with a task of your own, which runs as it is", _arguments, _work)
