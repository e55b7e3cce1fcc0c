"""The report: pictures from any data, and a page that needs no network."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from pipeline.report import charts

LAYERS = [
    {"name": "layer0_qkv", "kind": "fully_connected", "macs": 8192, "instructions": 11000.0},
    {"name": "layer0_norm", "kind": "norm", "macs": 0, "instructions": 1900.0},
    {"name": "odd<&>", "kind": "something new", "macs": 0, "instructions": 0},
]
QUALITY = {"float": {"new_names": 0.93, "noisy": 0.9}, "quantized, host": {"new_names": 0.93}, "quantized, board": {}}
HISTORY = [{"step": 500, "loss": 2.9, "dev_exact_match": 0.2}, {"step": 1000, "loss": 0.1, "dev_exact_match": 0.9}]

DRAWN = {
    "memory": lambda: charts.memory_map({"weights": 200_000, "code": 12_000}, 4 << 20, {"kv cache": 18_432}, 4 << 20),
    "memory, empty": lambda: charts.memory_map({}, 1024, {}, 1024),
    "layers": lambda: charts.instructions_by_layer(LAYERS),
    "layers, none": lambda: charts.instructions_by_layer([]),
    "accuracy": lambda: charts.accuracy_by_split(QUALITY, {"noisy": 0.1}),
    "accuracy, none": lambda: charts.accuracy_by_split({}, {}),
    "training": lambda: charts.training_curves(HISTORY),
    "training, none": lambda: charts.training_curves([]),
    "training, one point": lambda: charts.training_curves([{"step": 10, "loss": 1.0}]),
}


@pytest.mark.filterwarnings("ignore:No artists:UserWarning", "ignore:Attempt to set:UserWarning")
@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_one_svg_and_the_same_each_time(name: str) -> None:
    svg = DRAWN[name]()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg == DRAWN[name]()
    assert not re.search(r"(?:href|src)=\"https?:", svg)
