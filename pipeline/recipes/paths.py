"""The files of an imported model, which its recipe names."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.recipes.load import Recipe

__all__ = ["imported_tokenizer", "imported_weights"]

_REMEDY = "import the checkpoint again, with `import-llama2c`"


def imported_weights(recipe: Recipe) -> Path:
    """The weights, as `pipeline.network.checkpoint` reads them.

    Raises:
        ThimbleError: there is no such file.
    """
    assert recipe.weights is not None, "an imported model"
    return _there(recipe, recipe.weights)


def imported_tokenizer(recipe: Recipe) -> Path:
    """The tokenizer beside the weights, as `pipeline.text.tokenizers.load.load_tokenizer` reads it.

    Raises:
        ThimbleError: there is no such file.
    """
    return _there(recipe, imported_weights(recipe).with_suffix(".tokenizer.json"))


def _there(recipe: Recipe, path: Path) -> Path:
    if not path.is_file():
        raise ThimbleError(f"{recipe.path} names {path.name}, and there is no {path}", _REMEDY)
    return path
