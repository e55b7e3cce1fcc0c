"""The report's charts: from any data, as wide as their place, letters that keep their size."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from pipeline.report import charts
from pipeline.report.flame import flame_graph

SVG = "{http://www.w3.org/2000/svg}"
OF_TEXT = [{"step": 5, "loss": 9.0, "dev_loss": 4}, {"step": 9, "loss": 8}]
HISTORY = [{"step": 500, "loss": 2.9, "dev_exact_match": 0.2}, {"step": 1000, "loss": 0.1, "dev_exact_match": 0.9}]

CURVE = [{"threshold": at / 100, "right": 90 - at // 4, "nothing": 5 + at // 4, "wrong": 5} for at in range(100)]
STACKS: dict[tuple[str, ...], float] = {
    ("decode", f"run_layer{at}_ffn_up", "thimble_<fully>"): 10.0 + at for at in range(40)
}

DRAWN = {
    "tests": lambda: charts.tests_over_threshold(CURVE, 0.5),
    "tests, none": lambda: charts.tests_over_threshold([], 0.0),
    "training": lambda: charts.training_curves(HISTORY),
    "training of text": lambda: charts.training_curves(
        [{"step": 5, "loss": 9.0, "dev_loss": 4}, {"step": 9, "loss": 8}]
    ),
    "training, none": lambda: charts.training_curves([]),
    "training, one point": lambda: charts.training_curves([{"step": 10, "loss": 1.0}]),
    "training, no loss left": lambda: charts.training_curves([{"step": 10, "loss": 0.0}, {"step": 20, "loss": 0.0}]),
    "flame": lambda: flame_graph(STACKS, "T & C", "cycles"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_one_svg_and_the_same_each_time(name: str) -> None:
    svg = DRAWN[name]()
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert svg == DRAWN[name]()
    assert not re.search(r"(?:href|src)=\"https?:", svg)


@pytest.mark.parametrize("name", DRAWN)
def test_no_letter_is_below_twelve_pixels_and_none_is_scaled(name: str) -> None:
    document = ET.fromstring(DRAWN[name]())
    assert document.get("width") == "100%" and float(document.get("font-size", "0")) >= 12
    assert all(float(text.get("font-size", "12")) >= 12 for text in document.iter(f"{SVG}text"))
    stretched = [drawing for drawing in document.iter(f"{SVG}svg") if "viewBox" in drawing.attrib]
    assert document not in stretched and not [text for part in stretched for text in part.iter(f"{SVG}text")]
    assert all(part.get("vector-effect") for drawing in stretched for part in drawing)


def test_curves_lie_where_their_values_are() -> None:
    document = ET.fromstring(charts.tests_over_threshold(CURVE, 0.25))
    lines = [
        [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
        for line in document.iter(f"{SVG}polyline")
    ]
    right, _, wrong, recipe = lines
    assert right[0] == pytest.approx((0, 1000 * (1 - 90 / 102)), abs=0.1)
    assert [y for _, y in wrong] == pytest.approx([1000 * (1 - 5 / 102)] * len(CURVE), abs=0.1)
    assert [x for x, _ in recipe] == [250, 250]
    steps = [text.text for text in ET.fromstring(charts.training_curves(HISTORY)).iter(f"{SVG}text")]
    assert {"0", "500", "1,000", "steps", "1", "0.1"} <= set(steps)


def test_values_at_an_axis_are_round() -> None:
    for low, high in ((0.0, 16000.0), (0.61, 0.97), (-3.0, -2.9), (7.0, 7.0)):
        axis = charts._linear(low, high)
        assert 2 <= len(axis.ticks) <= 6 and all(0 <= axis.share(tick) <= 1 for tick in axis.ticks)
        assert len(set(axis.labels)) == len(axis.labels)
        apart = axis.ticks[1] - axis.ticks[0]
        assert [float(label.replace(",", "")) for label in axis.labels] == pytest.approx(axis.ticks, abs=apart / 1000)
    for smallest, largest in ((0.05, 3.0), (0.2, 0.9), (1.9, 2.0), (1e-4, 30.0), (2.0, 2.0)):
        axis = charts._logarithmic(math.log10(smallest), math.log10(largest))
        assert len(axis.ticks) >= 1 and all(0 <= axis.share(tick) <= 1 for tick in axis.ticks)
