"""`import`: another project's model and its tokenizer become weights, a tokenizer and a recipe."""

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
from pipeline.importers.gguf_file import MAGIC, read_gguf
from pipeline.importers.hugging_face import CONFIG, read_hugging_face
from pipeline.importers.imported_model import ImportedModel, decoder_of
from pipeline.importers.llama2c import read_llama2c, refuse_other_files
from pipeline.importers.refusals import Refusals
from pipeline.network.tf_setup import load_tensorflow
from pipeline.program import command
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board, load_board

__all__ = ["ImportOptions", "import_model"]

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


def import_model(source: Path, tokenizer: Path | None, out: Path, options: ImportOptions, console: Console) -> None:
    """Writes the recipe `out`, and beside it the weights (`.npz`) and the tokenizer (`.tokenizer.json`).

    Args:
        source: a folder of Hugging Face, a .gguf file, or a checkpoint of llama2.c.
        tokenizer: of a checkpoint of llama2.c; others bring theirs.
        out: the recipe.
        options: what the source does not say.
        console: gets what was done.

    Raises:
        UnsupportedModel: the model has what Thimble does not have; all of it is named.
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
    model = _read(source, tokenizer)
    steps = _fit_steps(model, options)
    config = _config(model, options, boards, is_tied=model.is_tied and not steps)
    if options.activations == "int16" and config.norm == "layernorm":
        raise ThimbleError(
            f"{source} has layer normalization, which int16 activations do not run on", "use --activations int8"
        )
    for board in boards:
        _check_fit(config, board, options.activations)
    with console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import save_model

    files = " ".join(path.name for path in (source, tokenizer) if path is not None)
    facts = {
        "stage": "train",
        "source": source.resolve().name,
        "sha256": _digest(model.files),
        "parameters": model.parameter_count,
        "command": f"python -m pipeline import {files} --out {out.name}",
        "history": {},
    }
    weights = out.with_suffix(".npz")
    save_model(weights, decoder_of(model.read(), config, source), facts, exact=True)
    model.tokenizer.save(weights.with_suffix(".tokenizer.json"))
    write_text(out, _recipe(name, source, model, config, options, steps))
    load_recipe(out)
    sinks = f", the first {config.sinks} for good" if config.sinks else ""
    sees = f"a window of {config.window}{sinks}" if config.window else f"a context of {config.context}"
    console.print(f"{model.parameter_count:,} parameters, {sees} tokens → {out}, {weights.name}", highlight=False)
    console.print(f"next: {command(f'run {out}')}", highlight=False)


def _read(source: Path, tokenizer: Path | None) -> ImportedModel:
    """Reads a model by what its files are."""
    refusals = Refusals(source)
    if source.is_dir():
        if tokenizer is not None:
            raise ThimbleError(f"{source} is a folder, which has its own tokenizer", "leave --tokenizer out")
        if not (source / CONFIG).exists():
            raise ThimbleError(
                f"{source} has no {CONFIG}",
                "give a folder as `save_pretrained` writes, a .gguf file, or a llama2.c .bin",
            )
        return read_hugging_face(source, refusals)
    if tokenizer is None and _begins_with(source, MAGIC):
        return read_gguf(source, refusals)
    if tokenizer is None:
        refuse_other_files(source)
        raise ThimbleError(
            f"{source} comes without a tokenizer", "name the tokenizer .bin that belongs to it: --tokenizer FILE"
        )
    return read_llama2c(source, tokenizer)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "name a folder or a file of a model") from None


def _digest(files: tuple[Path, ...]) -> str:
    """SHA-256 of one file, or of all one after the other."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fit_steps(model: ImportedModel, options: ImportOptions) -> int:
    """Steps that fit the weights to integers."""
    if model.can_be_fitted:
        return DEFAULT_FIT[options.activations][0] if options.fit is None else options.fit
    if options.fit:
        raise ThimbleError(
            f"--fit {options.fit}: only models with RMSNorm, rotary positions, SwiGLU and no biases are fitted",
            "leave --fit out",
        )
    return 0


def _config(model: ImportedModel, options: ImportOptions, boards: list[Board], is_tied: bool) -> ModelConfig:
    """Model configuration; the context is the requested one, or the longest for which all boards have RAM."""
    width = 2 if options.activations == "int16" else 1
    row = width * model.config(1).kv_cache_bytes
    if options.context is not None:
        context = options.context
    elif options.window:
        context = min(3 * options.window, model.max_context)
    else:
        room = min(board.ram.size for board in boards) - RESERVED_RAM
        max_context = min(DEFAULT_CONTEXT, model.max_context)
        context = max(min(max_context, room // row // 8 * 8), 1)
    return model.config(context, is_tied, window=options.window, sinks=options.sinks)


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


def _recipe(
    name: str, source: Path, model_read: ImportedModel, config: ModelConfig, options: ImportOptions, steps: int
) -> str:
    _, learning_rate = DEFAULT_FIT[options.activations]
    model: dict[str, Any] = {key: value for key, value in config.fingerprint_data().items() if key != "vocab_size"}
    sections: dict[str, Any] = {
        "name": name,
        "description": f"{model_read.title}, {source.resolve().name}, {model_read.parameter_count:,} parameters.",
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
        "# Written by `python -m pipeline import`.\n"
        "# prompts: what the board is verified with; '' is a text that begins with nothing.\n" + text
    )
