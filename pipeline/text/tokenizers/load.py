"""Reads a tokenizer file of any form."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.text.prompt import PromptTokenizer
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.llama2c import KIND as LLAMA2C
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.text.tokenizers.tables import KIND as TABLES
from pipeline.text.tokenizers.tables import TableTokenizer
from pipeline.text.tokenizers.text_bpe import KIND as TEXT
from pipeline.text.tokenizers.text_bpe import TextTokenizer

__all__ = ["load_tokenizer"]


def load_tokenizer(path: Path) -> PromptTokenizer:
    """Reads a file of any tokenizer's `save`.

    Raises:
        ThimbleError: no such file, or no tokenizer.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return Tokenizer.load(path)  # which reports what is wrong
    kind = data.get("type") if isinstance(data, dict) else None
    loaders: dict[object, type[Llama2cTokenizer | TableTokenizer | Tokenizer]] = {
        LLAMA2C: Llama2cTokenizer,
        TABLES: TableTokenizer,
        TEXT: TextTokenizer,
    }
    return loaders[kind].load(path) if kind in loaders else Tokenizer.load(path)
