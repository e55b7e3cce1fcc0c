"""Checkpoints of llama2.c: the Keras model gives what run.c's formulas do; damaged files are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.importers import imported_model
from pipeline.importers.llama2c import Checkpoint, Header, arrays_of, read_checkpoint, read_header
from pipeline.recipes.schema import ModelConfig
from pipeline.resources import ROOT
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from tests.support.made_llama2c import Reference, checkpoint_file, header_of, rotary_tables

STORIES = ROOT.parent / "shared" / "stories260K"


def decoder_of(checkpoint: Checkpoint, config: ModelConfig) -> keras.Model:
    return imported_model.decoder_of(arrays_of(checkpoint), config, Path("made.bin"))


needs_stories = pytest.mark.skipif(not STORIES.exists(), reason="no stories260K in ../shared")


@pytest.mark.parametrize(
    "header",
    [
        header_of(),
        header_of(tied=False),
        header_of(n_kv_heads=4),
        header_of(n_kv_heads=1, n_layers=1),
        header_of(n_heads=1, n_kv_heads=1),
        header_of(dim=24, n_heads=2, n_kv_heads=2, hidden_dim=7),
        header_of(version=1),
        header_of(version=1, tied=False),
        header_of(version=2, group_size=4),
        header_of(version=2, group_size=8, tied=False),
    ],
    ids=[
        *("grouped", "untied", "all heads", "one K/V head", "one head", "wide heads"),
        *("version 1", "version 1, untied", "version 2", "version 2, untied"),
    ],
)
def test_logits_are_those_of_the_formulas(header: Header, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(checkpoint_file(tmp_path / "made.bin", header))
    assert checkpoint.header == header
    assert header.version < 2 or np.unique(checkpoint.weights["wq"][0, 0, :4]).size > 2, "groups of 4 have a scale each"
    tokens = np.random.default_rng(2).integers(0, header.vocab_size, header.seq_len)
    reference = Reference(checkpoint)
    expected = np.stack([reference.step(int(token)) for token in tokens])
    logits = decoder_of(checkpoint, header.config(header.seq_len))(tokens[None])[0].numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=2e-4)


def test_the_configuration_is_the_headers(tmp_path: Path) -> None:
    header = read_header(checkpoint_file(tmp_path / "made.bin", header_of(tied=False)))
    assert header.config(20) == ModelConfig(
        vocab_size=270,
        d_model=16,
        layers=2,
        heads=4,
        kv_heads=2,
        ffn="gated",
        ffn_dim=20,
        positions="rotary",
        context=20,
        tied_embeddings=False,
    )
    tied = read_header(checkpoint_file(tmp_path / "tied.bin", header_of()))
    assert tied.config(20) == header.config(20), "quantized, the two tables differ anyway"
    assert header.parameter_count == tied.parameter_count + 270 * 16
    with pytest.raises(ThimbleError, match="trained with 24"):
        header.config(25)


@needs_stories
def test_greedy_decoding_gives_the_known_tokens() -> None:
    known = [int(word) for word in (STORIES / "greedy200.txt").read_text().split()]
    checkpoint = read_checkpoint(STORIES / "stories260K.bin")
    logits = decoder_of(checkpoint, checkpoint.header.config(256))(np.array([[1, *known[:-1]]]))[0].numpy()
    assert len(known) == 200
    assert logits.argmax(-1).tolist() == known


@pytest.mark.variants(keep=1)
@needs_stories
@pytest.mark.parametrize("prompt", ["", "Lily and Tom went to the", "One day, a cat named Tim — über 3 £\n"])
def test_a_prompt_gives_llama2cs_text(prompt: str) -> None:
    checkpoint = read_checkpoint(STORIES / "stories260K.bin")
    tokenizer = Llama2cTokenizer.read(STORIES / "tok512.bin", checkpoint.header.vocab_size)
    tokens = tokenizer.encode_prompt(prompt)
    expected = Reference(checkpoint).greedy(tokens, 40)
    model = decoder_of(checkpoint, checkpoint.header.config(128))
    logits = model(np.array([[*tokens, *expected[:-1]]]))[0].numpy()
    assert logits.argmax(-1).tolist()[len(tokens) - 1 :] == expected
    if not prompt:
        assert tokenizer.decode(expected, after=tokens[-1]).startswith("Once upon a time, there was a little girl")


def _changed(path: Path, field: int, value: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 4 * field, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, 0, "dim 0"),
        (0, -16, "dim -16"),
        (0, 18, "no even head width"),
        (0, 12, "no even head width"),
        (1, -(2**31), "hidden_dim -2147483648"),
        (2, 2**31 - 1, "is cut off"),
        (3, 3, "no even head width"),
        (3, 2**31 - 1, "no even head width"),
        (4, 3, "cannot share"),
        (4, 0, "n_kv_heads 0"),
        (5, 0, "vocab_size 0"),
        (5, -(2**31), "is cut off"),
        (5, -270, "is cut off"),
        (5, 2, "behind its end"),
        (6, 2**31 - 1, "is cut off"),
        (6, -1, "seq_len -1"),
    ],
)
def test_headers_that_cannot_be_are_named(field: int, value: int, message: str, tmp_path: Path) -> None:
    path = _changed(checkpoint_file(tmp_path / "made.bin", header_of()), field, value)
    with pytest.raises(ThimbleError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [0, 3, 27, 28, 1000, -1])
def test_a_file_that_is_cut_off(length: int, tmp_path: Path) -> None:
    path = checkpoint_file(tmp_path / "made.bin", header_of())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ThimbleError, match=r"is cut off|a llama2.c header alone has 28"):
        read_checkpoint(path)


def test_bytes_behind_the_end(tmp_path: Path) -> None:
    path = checkpoint_file(tmp_path / "made.bin", header_of())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ThimbleError, match="behind its end"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["token_embedding", "wk", "rms_final", "wcls"])
def test_numbers_that_are_none(name: str, value: float, tmp_path: Path) -> None:
    header = header_of(tied=False)
    array = np.ones(header.shapes[name])
    array.flat[3] = value
    path = checkpoint_file(tmp_path / "made.bin", header, **{name: array})
    with pytest.raises(ThimbleError, match=f"1 numbers in {name} that are not finite"):
        read_checkpoint(path)


@pytest.mark.parametrize("version", [0, 3, -1])
def test_versions_that_are_not_known_are_named(version: int, tmp_path: Path) -> None:
    path = tmp_path / "later.bin"
    path.write_bytes(struct.pack("<Ii", 0x616B3432, version) + bytes(300))
    with pytest.raises(ThimbleError, match=f"of version {version}, which is not supported"):
        read_header(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="cannot read the checkpoint"):
        read_header(tmp_path / "none.bin")
    with pytest.raises(ThimbleError, match="cannot read the checkpoint"):
        read_header(tmp_path)


@pytest.mark.parametrize("base", [500_000.0, 1_000_000.0, 5_000.0])
def test_rotary_tables_of_another_base_are_refused_by_name(base: float, tmp_path: Path) -> None:
    header = header_of()
    path = checkpoint_file(tmp_path / "made.bin", header, freq_cis=rotary_tables(header, base))
    with pytest.raises(ThimbleError, match=rf"rotary positions of .* have the base {base:,.0f}; .* with 10,000"):
        read_checkpoint(path)


def test_rotary_tables_of_no_base_are_refused_and_empty_ones_are_not(tmp_path: Path) -> None:
    header = header_of()
    scaled = rotary_tables(header)
    scaled[:, 1:] = scaled[:, :-1].copy()
    path = checkpoint_file(tmp_path / "scaled.bin", header, freq_cis=scaled)
    with pytest.raises(ThimbleError, match="no base that can be told"):
        read_checkpoint(path)
    empty = checkpoint_file(tmp_path / "empty.bin", header, freq_cis=np.zeros_like(scaled))
    assert read_checkpoint(empty).header == header


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"GGUF\x03\0\0\0" + bytes(60), r"a \.gguf file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a pointer of Git LFS"),
        (b"PK\x03\x04" + bytes(60), "a zip archive"),
        (b"\x1f\x8b\x08" + bytes(60), "compressed by gzip"),
        (b"\x80\x02}q\x00" + bytes(60), "a pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        (b"\x10\0\0\0\0\0\0\0" + b'{"a": "b"}      ' + bytes(8), r"a \.safetensors file"),
        (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "a page of the web"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a page of the web"),
        ("Es war einmal ein kleiner Fuchs, der hieß Mäxchen.".encode(), "is text: 'Es war einmal"),
        (b'{"message": "Not Found"}', "is text"),
    ],
)
def test_other_files_are_named_for_what_they_are(content: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ThimbleError, match=named):
        read_header(path)
