"""import-llama2c: what it writes, and what it refuses without writing anything."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.main import main
from pipeline.importers.llama2c import Header
from pipeline.recipes.load import load_recipe
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.workflow.shipped import read_weights_metadata
from tests.support.made_llama2c import checkpoint_file, header_of, pieces_of, tokenizer_file

PIECES = pieces_of({" ": -1.0, **{letter: -2.0 - index for index, letter in enumerate("abcdefghij")}})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint and its tokenizer."""
    return checkpoint_file(tmp_path / "made.bin", header_of()), tokenizer_file(tmp_path / "words.bin", PIECES)


def run(files: tuple[Path, Path], out: Path, *options: str) -> int:
    return main(["import-llama2c", *map(str, files), "--out", str(out), *options])


@pytest.mark.tensorflow
def test_a_recipe_its_weights_and_its_tokenizer(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made.yaml"
    assert run(files, out, "--board", "mps2_an386", "--board", "stm32f4_discovery") == 0
    printed = capsys.readouterr().out
    assert "a context of 24 tokens" in printed and f"thimble run {out}" in printed
    recipe = load_recipe(out)
    assert recipe.name == "made" and recipe.boards == ("mps2_an386", "stm32f4_discovery")
    assert recipe.model == header_of().config(24) and recipe.prompts == ("",)
    assert recipe.qat is not None and (recipe.qat.steps, recipe.qat.learning_rate) == (1_200, 0.01)
    facts = read_weights_metadata(tmp_path / "made.npz")
    assert facts["source"] == "made.bin" and facts["parameters"] == header_of().parameter_count
    tokenizer = load_tokenizer(tmp_path / "made.tokenizer.json")
    assert isinstance(tokenizer, Llama2cTokenizer) and tokenizer.encode("abba") == [259, 260, 261, 261, 260]

    before = out.read_bytes()
    assert run(files, out) == 1
    assert "is there already" in capsys.readouterr().err and out.read_bytes() == before
    assert run(files, out, "--force", "--context", "9", "--activations", "int16") == 0
    recipe = load_recipe(out)
    assert recipe.model.context == 9 and recipe.quantize.activations == "int16"
    assert recipe.qat is not None and (recipe.qat.steps, recipe.qat.learning_rate) == (300, 0.003)
    assert run(files, out, "--force", "--fit", "0") == 0 and load_recipe(out).qat is None


@pytest.mark.tensorflow
def test_a_window(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "made.yaml"
    assert run(files, out, "--window", "8", "--sinks", "2") == 0
    model = load_recipe(out).model
    assert (model.window, model.sinks, model.context) == (8, 2, 24), "three windows are sampled and calibrated"


def _cut(checkpoint: Path, tokenizer: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-5])


def _longer(checkpoint: Path, tokenizer: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes() + b"more")


def _header(field: int, value: int) -> Callable[[Path, Path], None]:
    def change(checkpoint: Path, tokenizer: Path) -> None:
        data = bytearray(checkpoint.read_bytes())
        struct.pack_into("<i", data, 4 * field, value)
        checkpoint.write_bytes(data)

    return change


def _nan(checkpoint: Path, tokenizer: Path) -> None:
    array = np.ones(header_of().shapes["w2"])
    array.flat[7] = np.nan
    checkpoint_file(checkpoint, header_of(), w2=array)


def _fewer_words(checkpoint: Path, tokenizer: Path) -> None:
    tokenizer_file(tokenizer, PIECES[:-1])


def _cut_words(checkpoint: Path, tokenizer: Path) -> None:
    tokenizer.write_bytes(tokenizer.read_bytes()[:-1])


def _swapped(checkpoint: Path, tokenizer: Path) -> None:
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(tokenizer.read_bytes())
    tokenizer.write_bytes(data)


def _none(checkpoint: Path, tokenizer: Path) -> None:
    checkpoint.unlink()


HOSTILE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "cut off": (_cut, "is cut off"),
    "bytes behind the end": (_longer, "behind its end"),
    "more layers than 2^31 bytes": (_header(2, 2**31 - 1), "is cut off"),
    "a negative width": (_header(0, -16), "dim -16"),
    "heads that do not divide": (_header(3, 3), "no even head width"),
    "numbers that are none": (_nan, "1 numbers in w2 that are not finite"),
    "the tokenizer of another model": (_fewer_words, "do not match"),
    "half a tokenizer": (_cut_words, "cut off in token 269"),
    "the files swapped": (_swapped, "the header of"),
    "no checkpoint": (_none, "cannot read the checkpoint"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_files_are_named(
    case: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, message = HOSTILE[case]
    damage(*files)
    out = tmp_path / "out" / "made.yaml"
    out.parent.mkdir()
    assert run(files, out) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert message in printed and "fix:" in printed and "Traceback" not in printed
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        (header_of(), ["--context", "25"], "trained with 24"),
        (header_of(), ["--context", "0"], "context of 0"),
        (header_of(), ["--window", "30"], "`model.window` is 30"),
        (header_of(), ["--window", "8", "--sinks", "7"], "`model.sinks` is 7"),
        (header_of(), ["--board", "toaster"], "toaster"),
        (header_of(), ["--fit", "-1"], "--fit -1"),
        (header_of(dim=64, n_layers=6, seq_len=300), ["--board", "microbit", "--context", "300"], "microbit"),
        (header_of(dim=64, hidden_dim=2000), ["--board", "microbit", "--context", "8"], "bytes of flash"),
    ],
    ids=["too long", "none", "window", "sinks", "board", "steps", "RAM", "flash"],
)
def test_a_model_that_fits_no_board_is_reported(
    header: Header, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = checkpoint_file(tmp_path / "made.bin", header), tokenizer_file(tmp_path / "words.bin", PIECES)
    assert run(files, tmp_path / "made.yaml", *options) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "made.yaml").exists() and not (tmp_path / "made.npz").exists()


@pytest.mark.parametrize("name", ["made.txt", "a b.yaml", "none/made.yaml"])
def test_a_recipes_name(
    name: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, tmp_path / name) == 1
    assert "--out" in capsys.readouterr().err


@pytest.mark.tensorflow
def test_the_context_is_what_the_smallest_board_holds(tmp_path: Path) -> None:
    header = header_of(dim=64, n_layers=5, n_heads=8, n_kv_heads=4, seq_len=512)
    files = checkpoint_file(tmp_path / "made.bin", header), tokenizer_file(tmp_path / "words.bin", PIECES)
    assert run(files, tmp_path / "made.yaml", "--board", "mps2_an386") == 0
    assert load_recipe(tmp_path / "made.yaml").model.context == 256
    assert run(files, tmp_path / "small.yaml", "--board", "nrf52840dk", "--activations", "int16") == 0
    recipe = load_recipe(tmp_path / "small.yaml")
    assert recipe.model.context % 8 == 0 and 2 * recipe.model.kv_cache_bytes <= 256 * 1024
