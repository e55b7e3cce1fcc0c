"""`import` and `import-llama2c`: a recipe from another project's model."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, board_names, complete_with
from pipeline.errors import ThimbleError

__all__ = ["COMMAND", "LLAMA2C"]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="RECIPE", help="the recipe to write, a .yaml file")
    board = parser.add_argument("--board", action="append", metavar="BOARD", help="default: mps2_an386; may repeat")
    complete_with(board, board_names)
    parser.add_argument("--context", type=int, metavar="N", help="positions (default: as many as fit, at most 256)")
    parser.add_argument(
        "--window", type=int, default=0, metavar="N", help="tokens that attention sees; text never ends"
    )
    parser.add_argument("--sinks", type=int, default=0, metavar="N", help="first tokens that a window always sees")
    parser.add_argument("--activations", choices=["int8", "int16"], default="int8", help="of the .tflite")
    parser.add_argument("--fit", type=int, metavar="N", help="steps that fit the weights to integers, 0 for none")
    parser.add_argument("--force", action="store_true", help="write over a recipe of that name")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="a folder of Hugging Face, a .gguf file, or a llama2.c .bin"
    )
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="the tokenizer .bin of a llama2.c .bin")
    _options(parser)


def _llama2c_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="CHECKPOINT", help="a .bin of export version 0, 1 or 2")
    parser.add_argument("tokenizer", type=Path, metavar="TOKENIZER", help="the tokenizer .bin that belongs to it")
    _options(parser)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.importers.recipe import ImportOptions, import_model

    boards = tuple(options.board or ["mps2_an386"])
    attention = (options.context, options.window, options.sinks)
    import_options = ImportOptions(boards, *attention, options.activations, options.fit)
    if options.out.exists() and not options.force:
        raise ThimbleError(f"{options.out} is there already", "name another recipe, or use --force to write over it")
    import_model(options.source, options.tokenizer, options.out, import_options, console)
    return 0


_EXTRAS = (*WHOLE_RUN, "import")
COMMAND = Command("import", "make a recipe of a model of another project", _arguments, _work, extras=_EXTRAS)
LLAMA2C = Command(
    "import-llama2c", "the same as import, of a llama2.c checkpoint", _llama2c_arguments, _work, extras=WHOLE_RUN
)
