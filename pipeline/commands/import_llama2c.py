"""`import-llama2c`: a recipe from a llama2.c checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, board_names, complete_with
from pipeline.errors import ThimbleError

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .bin of export version 0 (float32)")
    parser.add_argument("tokenizer", type=Path, metavar="TOKENIZER", help="the tokenizer .bin that belongs to it")
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


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.importers.llama2c_recipe import ImportOptions, import_llama2c

    boards = tuple(options.board or ["mps2_an386"])
    attention = (options.context, options.window, options.sinks)
    import_options = ImportOptions(boards, *attention, options.activations, options.fit)
    if options.out.exists() and not options.force:
        raise ThimbleError(f"{options.out} is there already", "name another recipe, or use --force to write over it")
    import_llama2c(options.checkpoint, options.tokenizer, options.out, import_options, console)
    return 0


COMMAND = Command(
    "import-llama2c", "make a recipe of a llama2.c checkpoint and its tokenizer", _arguments, _work, extras=WHOLE_RUN
)
