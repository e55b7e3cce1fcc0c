"""import: what it takes and what it refuses, all reasons at once, without writing anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.main import main
from pipeline.recipes.load import load_recipe
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.workflow.shipped import read_weights_metadata
from tests.support.made_llama2c import checkpoint_file, header_of, pieces_of, tokenizer_file
from tests.support.made_models import byte_level_tokenizer, gguf_file, gpt2_folder, llama_folder

pytest.importorskip("safetensors")
pytest.importorskip("gguf")


def refused(source: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `import` says of a source that it refuses."""
    out = source.parent / "out" / "made.yaml"
    out.parent.mkdir(exist_ok=True)
    assert main(["import", str(source), "--out", str(out), *options]) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert list(out.parent.iterdir()) == [] and "Traceback" not in printed
    return printed


@pytest.mark.tensorflow
def test_a_folder_becomes_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama_folder(tmp_path / "fox", rope_theta=500_000.0, tie_word_embeddings=True)
    out = tmp_path / "fox.yaml"
    assert main(["import", str(tmp_path / "fox"), "--out", str(out)]) == 0
    assert "a context of 64 tokens" in capsys.readouterr().out
    recipe = load_recipe(out)
    assert recipe.model.rope_base == 500_000 and recipe.qat is not None and not recipe.model.tied_embeddings
    assert recipe.description.startswith("A model of Llama's kind (llama), fox, ")
    assert read_weights_metadata(out.with_suffix(".npz"))["command"] == "python -m pipeline import fox --out fox.yaml"
    library = byte_level_tokenizer()
    tokenizer = load_tokenizer(tmp_path / "fox.tokenizer.json")
    assert tokenizer.encode("Once upon, 2024!") == library.encode("Once upon, 2024!").ids
    assert tokenizer.template.bos == 0 and tokenizer.template.stops == (0,)
    assert main(["import", str(tmp_path / "fox"), "--out", str(out), "--force", "--fit", "0"]) == 0
    assert load_recipe(out).model.tied_embeddings


@pytest.mark.tensorflow
def test_later_versions_of_llama2c_and_its_own_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = tokenizer_file(tmp_path / "words.bin", pieces_of({" ": -1.0, **dict.fromkeys("abcdefghij", -2.0)}))
    made = checkpoint_file(tmp_path / "made.bin", header_of(version=2, group_size=4))
    assert main(["import", str(made), "--tokenizer", str(words), "--out", str(tmp_path / "made.yaml")]) == 0
    assert main(["import-llama2c", str(made), str(words), "--out", str(tmp_path / "other.yaml")]) == 0
    first, second = (read_weights_metadata(tmp_path / f"{name}.npz")["sha256"] for name in ("made", "other"))
    assert first == second
    capsys.readouterr()
    assert "comes without a tokenizer" in refused(made, capsys)


def _config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        path = folder / "tokenizer.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")

    return rewrite


def _without_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "ALiBi": (_config(model_type="bloom"), "model_type is 'bloom', attention with linear biases (ALiBi)"),
    "ALiBi by a key": (_config(alibi=True), "attention with linear biases (`alibi`)"),
    "MoE": (_config(model_type="mixtral", num_local_experts=8), "a mixture of 8 experts (`num_local_experts`)"),
    "Mamba": (_config(model_type="mamba"), "'mamba', a state-space or recurrent model"),
    "another kind": (_config(model_type="gemma"), "model_type is 'gemma'"),
    "RoPE scaling": (_config(rope_scaling={"rope_type": "yarn", "factor": 4}), "scaled by 'yarn' (`rope_scaling`)"),
    "half of RoPE": (_config(partial_rotary_factor=0.5), "only 0.5 of a head"),
    "wide heads": (_config(head_dim=16), "heads are 16 wide"),
    "another gate": (_config(hidden_act="gelu"), "its gate is 'gelu'"),
    "quantized": (_config(quantization_config={"quant_method": "gptq"}), "quantized by 'gptq'"),
    "no width": (_config(hidden_size=None), "config.json has no `hidden_size`; give a whole number"),
    "a width that is none": (_config(hidden_size="x"), "config.json has `hidden_size` 'x'"),
    "more layers": (_config(num_hidden_layers=3), "it lacks the tensors model.layers.2."),
    "fewer layers": (_config(num_hidden_layers=1), "it has the tensors model.layers.1."),
    "another vocabulary": (_config(vocab_size=300), "ids beyond the model's 300"),
    "no beginning": (_config(bos_token_id=None, eos_token_id=None), "no token begins a text"),
    "a beginning beyond": (_config(bos_token_id=400), "some are beyond its vocabulary"),
    "a pickle": (_without_index, "only pytorch_model.bin, which is a pickle"),
    "a file that is cut off": (_cut, "is no whole .safetensors file"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "neither tokenizer.json nor tokenizer.model"),
    "WordPiece": (_tokenizer(lambda data: data["model"].update(type="WordPiece")), "of the kind 'WordPiece'"),
    "NFC": (_tokenizer(lambda data: data.update(normalizer={"type": "NFC"})), "normalizes by NFC"),
    "a space before texts": (
        _tokenizer(lambda data: data["pre_tokenizer"].update(add_prefix_space=True)),
        "a space before texts (`add_prefix_space`)",
    ),
    "words of its own": (
        _tokenizer(
            lambda data: data.update(
                pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, data["pre_tokenizer"]]}
            )
        ),
        "cuts texts in a way of its own: Whitespace",
    ),
    "bytes that are missing": (
        _tokenizer(lambda data: (data["model"]["vocab"].pop("Ā"), data["model"].update(merges=[]))),
        "no tokens for 1 of the 256 bytes",
    ),
    "added tokens": (
        _tokenizer(lambda data: data["added_tokens"].append({"id": 1, "content": "  ", "special": False})),
        "1 added tokens that are no specials, such as ' '",
    ),
    "merges of nothing": (_tokenizer(lambda data: data["model"]["merges"].append(["q", "zz"])), "merges of no pieces"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = REFUSED[case]
    llama_folder(tmp_path / "fox")
    change(tmp_path / "fox")
    assert message in refused(tmp_path / "fox", capsys)


def test_all_reasons_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama_folder(tmp_path / "fox", rope_scaling={"type": "dynamic", "factor": 2}, hidden_act="relu", head_dim=9)
    _tokenizer(lambda data: data.update(normalizer={"type": "NFKC"}))(tmp_path / "fox")
    printed = refused(tmp_path / "fox", capsys)
    assert "for 4 reasons" in printed and "mend each of these" in printed
    for part in ("'dynamic'", "'relu'", "9 wide", "NFKC"):
        assert part in printed


def test_gpt2s_exact_gelu_and_uses_that_do_not_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpt2_folder(tmp_path / "exact", activation_function="gelu")
    assert "'gelu', GELU by the error function" in refused(tmp_path / "exact", capsys)
    gpt2_folder(tmp_path / "fox")
    assert "only models with RMSNorm" in refused(tmp_path / "fox", capsys, "--fit", "10")
    assert "int16 activations" in refused(tmp_path / "fox", capsys, "--activations", "int16")
    assert "was trained with 48" in refused(tmp_path / "fox", capsys, "--context", "49")
    assert "learned positions" in refused(tmp_path / "fox", capsys, "--window", "8")
    assert "has its own tokenizer" in refused(tmp_path / "fox", capsys, "--tokenizer", "x")


def test_a_window_is_as_long_as_a_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama_folder(tmp_path / "fox", model_type="mistral", sliding_window=16)
    assert "has a sliding window of 16" in refused(tmp_path / "fox", capsys, "--context", "17")


GGUF: dict[str, tuple[dict[str, Any], str]] = {
    "types": ({"quantization": "Q5_0"}, "of the types Q5_0 fix: take the file in one of F32, F16, BF16, Q8_0, Q4_0"),
    "RoPE scaling": ({"rope.scaling.type": "yarn"}, "scaled by 'yarn' (`rope.scaling.type`)"),
}


@pytest.mark.parametrize("case", GGUF)
def test_gguf_files_that_are_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, message = GGUF[case]
    llama_folder(tmp_path / "folder", intermediate_size=64)
    gguf_file(tmp_path / "made.gguf", tmp_path / "folder", "llama", **changes)
    assert message in refused(tmp_path / "made.gguf", capsys)


@pytest.mark.parametrize("length", [4, 40, 4000, -100])
def test_a_gguf_file_that_is_cut_off(length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama_folder(tmp_path / "folder")
    gguf_file(tmp_path / "made.gguf", tmp_path / "folder", "llama")
    (tmp_path / "made.gguf").write_bytes((tmp_path / "made.gguf").read_bytes()[:length])
    assert "is no whole .gguf file" in refused(tmp_path / "made.gguf", capsys)


def test_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in refused(tmp_path / "empty", capsys)
    assert "cannot read" in refused(tmp_path / "none", capsys)
    (tmp_path / "page").write_bytes(b"<!DOCTYPE html><html>")
    assert "a page of the web" in refused(tmp_path / "page", capsys)
