"""Reads a tokenizer file of any form."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.text.prompt import PromptTokenizer
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.llama2c import KIND, Llama2cTokenizer

__all__ = ["load_tokenizer"]


def load_tokenizer(path: Path) -> PromptTokenizer:
    """Reads a file of any tokenizer's `save`.

    Raises:
        ThimbleError: no such file, or no tokenizer.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Tokenizer.load(path)  # which reports what is wrong
    return Llama2cTokenizer.load(path) if isinstance(data, dict) and data.get("type") == KIND else Tokenizer.load(path)
