"""`schemas`: the JSON schemas in docs/schemas, made from the types, or checked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import Command
from pipeline.errors import ThimbleError
from pipeline.program import command
from pipeline.resources import IN_CLONE, ROOT

__all__ = ["COMMAND", "FOLDER", "stale_schemas", "write_schemas"]

FOLDER = ROOT / "docs" / "schemas"


def _texts() -> dict[str, str]:
    """All schemas by the name of their file."""
    from pipeline.compiler.backends.records import call_schema
    from pipeline.recipes.json_schema import schema_of, schemas
    from pipeline.tasks.home_file import HomeFile
    from pipeline.verification.result import result_schema

    home = schema_of(HomeFile, "A home of Thimble: home.yaml")
    made = {"call.schema.json": call_schema(), "home.schema.json": home, "result.schema.json": result_schema()}
    content = {**schemas(), **made}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in content.items()}


def stale_schemas(folder: Path) -> list[str]:
    """Names of the schemas that are missing in a folder, or not what the types say."""

    def is_current(path: Path, text: str) -> bool:
        return path.is_file() and path.read_text(encoding="utf-8") == text

    return [name for name, text in _texts().items() if not is_current(folder / name, text)]


def write_schemas(folder: Path) -> list[str]:
    """Writes the schemas that are missing or not current, and returns their names."""
    from pipeline.files import write_text

    folder.mkdir(parents=True, exist_ok=True)
    stale = stale_schemas(folder)
    for name in stale:
        write_text(folder / name, _texts()[name])
    return stale


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="where they go (default: docs/schemas of a clone)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where one is not current")


def _work(options: argparse.Namespace, console: Console) -> int:
    folder: Path | None = options.out or (FOLDER if IN_CLONE else None)
    if folder is None:
        raise ThimbleError("only a clone has docs/schemas", "name a folder with --out DIR")
    if options.check:
        if stale := stale_schemas(folder):
            raise ThimbleError(
                f"not what the types say, in {folder}: {', '.join(stale)}", f"write them anew: {command('schemas')}"
            )
        console.print(f"the schemas in {folder} are current", highlight=False)
        return 0
    for name in write_schemas(folder):
        console.print(f"wrote {folder / name}", highlight=False)
    return 0


COMMAND = Command(
    "schemas",
    "write the JSON schemas of recipes, boards, sweeps, homes, result.json and compile --records",
    _arguments,
    _work,
    "Writes the JSON schemas of recipes, boards, sweeps, homes, result.json and the records of compile --records, with "
    "which editors complete and check the files, and prints which were not current.",
    ("compile",),
)
