"""Kernel calls as records: what `compile --records` writes is what the C does, and what its schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.compiler import WeightLayout, call_records, compile_model
from pipeline.compiler.backends.records import CallRecord
from tests.oracle.test_attention_s16 import Spec
from tests.oracle.test_attention_s16 import attention_step as wide_attention_step
from tests.support.attention_step import AttentionSpec, attention_step
from tests.support.changed_tflite import every_operator

MODELS = {
    "attention": lambda: attention_step(AttentionSpec(), (0, 1)),
    "scaled": lambda: attention_step(AttentionSpec(update="one-hot", context=5)),
    "int16": lambda: wide_attention_step(Spec(scaled=(-11.0,))),
    "every operator": lambda: every_operator()[0],
}


@pytest.mark.parametrize("packing", list(WeightLayout))
@pytest.mark.parametrize("name", MODELS)
def test_they_tell_the_calls_of_the_c(name: str, packing: WeightLayout, tmp_path: Path) -> None:
    tflite = MODELS[name]()
    records = call_records(tflite, packing)
    compiled = compile_model(tflite, tmp_path, packing)
    text = (tmp_path / "model.c").read_text(encoding="utf-8")
    assert {record.kernel for record in records} == set(re.findall(r"\b(thimble_\w+)\(&?\w", text)) - {
        "thimble_profile_mark"
    }
    assert sum(record.macs for record in records) == compiled.macs
    assert [record.number for record in records] == list(range(len(records)))
    declared, stored = set[str](), dict(re.findall(r"(\w+)\[(\d+)\]", (tmp_path / "model_data.h").read_text()))
    for record in records:
        declared |= {parameters.name for parameters in record.parameters}
        for argument in record.model_dump()["arguments"]:
            assert "parameters" not in argument or argument["parameters"] in declared
        assert all(int(stored[constant.name]) == constant.elements for constant in record.constants)
    named = [constant.name for record in records for constant in record.constants]
    assert len(named) == len({*named}) and {*named} == {*stored}


def test_the_command_writes_a_line_a_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step, records = tmp_path / "step.tflite", tmp_path / "calls" / "step.jsonl"
    step.write_bytes(attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8)))
    common = ["compile", str(step), "--records", str(records)]
    assert main([*common, "--out", str(tmp_path / "c"), "--core", "cortex-m3"]) == 0
    lines = records.read_text(encoding="utf-8").splitlines()
    told = [CallRecord.model_validate_json(line) for line in lines]
    assert told == call_records(step.read_bytes(), WeightLayout.INTERLEAVED_4)
    attention = next(record for record in told if record.kind == "attention")
    assert attention.layer == 0 and attention.kernel == "thimble_attention_pairs_s8"
    cache = json.loads(lines[attention.number])["arguments"][2]
    assert cache["pointer"]["space"] == "cache" and cache["pointer"]["name"] == "layer0_k_cache"
    assert f"{len(told)} kernel calls" in capsys.readouterr().out
    assert main([*common, "--out", str(tmp_path / "d")]) == 1
    assert "is there already" in capsys.readouterr().err and not (tmp_path / "d").exists()
