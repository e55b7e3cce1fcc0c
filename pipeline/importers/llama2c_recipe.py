"""`import-llama2c`: a checkpoint of llama2.c and its tokenizer become weights, a tokenizer and a recipe."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from pipeline.errors import ThimbleError
from pipeline.files import write_text
from pipeline.importers.llama2c import Header, decoder_of, read_checkpoint, read_header
from pipeline.network.tf_setup import load_tensorflow
from pipeline.program import command
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board, load_board
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer

__all__ = ["ImportOptions", "import_llama2c"]

DEFAULT_CONTEXT = 256
DEFAULT_FIT = {"int8": (1_200, 0.01), "int16": (300, 0.003)}
"""Steps and learning rate. With int16 activations only the weights' rounding is to be made good."""
# RAM besides the KV cache, and flash besides the weights: the stack, the application, activations; code and tables.
# What the model really takes is known when it is built; this refuses what can never fit, and chooses a context.
RESERVED_RAM, RESERVED_FLASH = 10 * 1024, 24 * 1024


@dataclass(frozen=True)
class ImportOptions:
    """Options of the recipe besides the checkpoint's own sizes; `context` None: as much as fits, up to 256; `fit`:
    steps that fit the weights to integers, 0 for none, None: as many as the activations want."""

    boards: tuple[str, ...] = ("mps2_an386",)
    context: int | None = None
    window: int = 0
    sinks: int = 0
    activations: str = "int8"
    fit: int | None = None


def import_llama2c(checkpoint: Path, tokenizer: Path, out: Path, options: ImportOptions, console: Console) -> None:
    """Writes the recipe `out`, and beside it the weights (`.npz`) and the tokenizer (`.tokenizer.json`).

    Raises:
        ThimbleError: a damaged file, files that do not match, or a model that fits none of these boards; nothing is
            written then.
    """
    name = out.stem
    if out.suffix not in (".yaml", ".yml") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ThimbleError(f"--out {out} does not name a recipe", "name it like stories.yaml")
    if not out.parent.is_dir():
        raise ThimbleError(f"--out {out}: there is no folder {out.parent}", "make it, or name another place")
    if options.fit is not None and options.fit < 0:
        raise ThimbleError(f"--fit {options.fit} is below 0", "use a number of steps, 0 for none")
    boards = [load_board(board) for board in options.boards]
    header = read_header(checkpoint)
    words = Llama2cTokenizer.read(tokenizer, header.vocab_size)
    config = _config(header, options, boards)
    for board in boards:
        _check_fit(config, board, options.activations)
    loaded = read_checkpoint(checkpoint)
    with console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import save_model

    facts = {
        "stage": "train",
        "source": checkpoint.name,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "parameters": header.parameter_count,
        "command": f"python -m pipeline import-llama2c {checkpoint.name} {tokenizer.name} --out {out.name}",
        "history": {},
    }
    weights = out.with_suffix(".npz")
    save_model(weights, decoder_of(loaded, config), facts, exact=True)
    words.save(weights.with_suffix(".tokenizer.json"))
    write_text(out, _recipe(name, checkpoint, header.parameter_count, config, options))
    load_recipe(out)
    sinks = f", the first {config.sinks} for good" if config.sinks else ""
    sees = f"a window of {config.window}{sinks}" if config.window else f"a context of {config.context}"
    console.print(f"{header.parameter_count:,} parameters, {sees} tokens → {out}, {weights.name}", highlight=False)
    console.print(f"next: {command(f'run {out}')}", highlight=False)


def _config(header: Header, options: ImportOptions, boards: list[Board]) -> ModelConfig:
    """Model configuration; the context is the requested one, or the longest for which all boards have RAM."""
    width = 2 if options.activations == "int16" else 1
    row = width * header.config(1).kv_cache_bytes
    kv_window = {"window": options.window, "sinks": options.sinks}
    if options.context is not None:
        context = options.context
    elif options.window:
        context = min(3 * options.window, header.seq_len)
    else:
        room = min(board.ram.size for board in boards) - RESERVED_RAM
        max_context = min(DEFAULT_CONTEXT, header.seq_len)
        context = max(min(max_context, room // row // 8 * 8), 1)
    plain = header.config(context)
    return ModelConfig.from_mapping({**plain.fingerprint_data(), **kv_window})


def _check_fit(config: ModelConfig, board: Board, activations: str) -> None:
    """Checks that the model fits each board."""
    width = 2 if activations == "int16" else 1
    cache = width * config.kv_cache_bytes
    if cache + RESERVED_RAM > board.ram.size:
        raise ThimbleError(
            f"the KV cache of {config.cache_rows} tokens takes {cache:,} bytes, and {board.name} has "
            f"{board.ram.size:,} bytes of RAM, of which other things take about {RESERVED_RAM:,}",
            "use a shorter --context, a smaller --window, or a board with more RAM",
        )
    embedding = config.vocab_size * config.d_model
    norms = config.d_model * (2 * config.layers + 1)
    weights = config.parameter_count - norms + (width - 1) * embedding
    if weights + RESERVED_FLASH > board.flash.size:
        raise ThimbleError(
            f"the weights take about {weights:,} bytes of flash, and {board.name} has {board.flash.size:,}",
            "use a smaller checkpoint, or a board with more flash",
        )


def _recipe(name: str, checkpoint: Path, parameters: int, config: ModelConfig, options: ImportOptions) -> str:
    usual, learning_rate = DEFAULT_FIT[options.activations]
    steps = usual if options.fit is None else options.fit
    model: dict[str, Any] = {key: value for key, value in config.fingerprint_data().items() if key != "vocab_size"}
    sections: dict[str, Any] = {
        "name": name,
        "description": f"The llama2.c checkpoint {checkpoint.name}, {parameters:,} parameters.",
        "task": {"name": "text", "seed": 1},
        "weights": f"{name}.npz",
        "tokenizer": {"vocab_size": config.vocab_size},
        "model": model,
        **({"qat": {"steps": steps, "learning_rate": learning_rate}} if steps else {}),
        "quantize": {"activations": options.activations, "ranges": "fitted"},
        "boards": list(options.boards),
        "prompts": [""],
    }
    text = yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=120)
    return (
        "# Written by `python -m pipeline import-llama2c`.\n"
        "# prompts: what the board is verified with; '' is a text that begins with nothing.\n" + text
    )
