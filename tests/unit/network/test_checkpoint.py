"""Weights files: what was saved comes back, and every damage is an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ThimbleError
from pipeline.network.checkpoint import build_from, save_model
from pipeline.workflow.shipped import read_weights_metadata
from tests.support.tiny_models import IMPORTED_KINDS, KINDS, config_of, lively

KIND = "layernorm, relu, rotary, untied"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    save_model(path, lively(config_of(KIND)), {"stage": "train", "history": {}})
    return path.read_bytes()


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize("kind", [*KINDS, *IMPORTED_KINDS])
def test_weights_come_back_in_half_precision(kind: str, tmp_path: Path) -> None:
    config, path = config_of(kind), tmp_path / "weights.npz"
    model = lively(config)
    save_model(path, model, {"stage": "train", "parameters": config.parameter_count})
    back = build_from(path, config)
    for saved, read in zip(model.trainable_variables, back.trainable_variables, strict=True):
        np.testing.assert_array_equal(read.numpy(), saved.numpy().astype(np.float16).astype(np.float32))
    assert read_weights_metadata(path) == {"stage": "train", "parameters": config.parameter_count}
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.npz"]
    resaved = tmp_path / "again.npz"
    save_model(resaved, back, {})
    with np.load(path) as first, np.load(resaved) as second:
        for name in set(first.files) - {"metadata"}:
            np.testing.assert_array_equal(first[name], second[name])


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match=r"no weights at .*none\.npz[\s\S]*train"):
        build_from(tmp_path / "none.npz", config_of(KIND))


@pytest.mark.parametrize("keep", [0, 1, 4, 100, 0.3, 0.7, 0.999])
def test_a_cut_file(content: bytes, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ThimbleError, match="damaged"):
        build_from(path, config_of(KIND))
    with pytest.raises(ThimbleError, match="damaged"):
        read_weights_metadata(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_byte_is_found_or_does_no_harm(content: bytes, tmp_path: Path, seed: int) -> None:
    """The archive's checksums cover every number; a byte of its bookkeeping may not matter."""
    config, path = config_of(KIND), tmp_path / "weights.npz"
    index = int(np.random.default_rng(seed).integers(len(content)))
    path.write_bytes(content[:index] + bytes([content[index] ^ 0x55]) + content[index + 1 :])
    try:
        model = build_from(path, config)
    except ThimbleError as error:
        assert str(path) in error.what
        assert error.remedy
    else:
        for read, saved in zip(model.trainable_variables, lively(config).trainable_variables, strict=True):
            np.testing.assert_array_equal(read.numpy(), saved.numpy().astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("changes", [{"ffn_dim": 32}, {"layers": 3}, {"vocab_size": 301}])
def test_weights_of_another_model(content: bytes, tmp_path: Path, changes: dict[str, int]) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(ThimbleError, match="another model"):
        build_from(path, config_of(KIND, **changes))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none(tmp_path: Path, number: float) -> None:
    model = lively(config_of(KIND))
    kernel = model.get_layer("layer1_down").kernel
    values = kernel.numpy()
    values[2, 3] = number
    kernel.assign(values)
    save_model(tmp_path / "weights.npz", model, {})
    with pytest.raises(ThimbleError, match="layer1_down"):
        build_from(tmp_path / "weights.npz", config_of(KIND))


@pytest.mark.parametrize("arrays", [{}, {"metadata": "{"}, {"metadata": "[1]"}, {"metadata": np.array(None)}])
def test_an_archive_that_is_no_weights_file(tmp_path: Path, arrays: dict[str, object]) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ThimbleError, match="damaged"):
        read_weights_metadata(path)


def test_a_plain_array_is_no_weights_file(tmp_path: Path) -> None:
    with (tmp_path / "weights.npz").open("wb") as file:
        np.save(file, np.zeros(4))
    with pytest.raises(ThimbleError, match="damaged"):
        read_weights_metadata(tmp_path / "weights.npz")
