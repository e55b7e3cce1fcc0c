"""The list of Renode's names against Renode's sources, where RENODE_SOURCES names a checkout with its submodules."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

NAMES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "renode_names.yaml").read_text())
SOURCES = os.environ.get("RENODE_SOURCES")
pytestmark = pytest.mark.skipif(
    not SOURCES, reason="RENODE_SOURCES does not name a checkout of Renode with its submodules"
)


@cache
def code() -> str:
    sources = [path.read_text("utf-8-sig", "replace") for path in Path(SOURCES or "").glob("src/**/*.cs")]
    assert len(sources) > 1000, "src/Infrastructure is not there: git submodule update --init"
    return "\n".join(sources)


@pytest.mark.parametrize("name", NAMES["classes"])
def test_a_class_has_these_parameters_and_outputs(name: str) -> None:
    known = NAMES["classes"][name]
    short = name.rpartition(".")[2]
    constructors = re.findall(rf"public {short}\(([^{{]*)\)", code())
    assert any(all(re.search(rf"\b{p}\b", text) for p in known["parameters"]) for text in constructors), constructors
    for output in known["outputs"]:
        assert re.search(rf"public GPIO {output} ", code()), output


@pytest.mark.parametrize("target", ["cpu", "nvic", "emulation", "machine", "sysbus", "connector"])
def test_the_monitor_has_these_orders(target: str) -> None:
    for order in NAMES["monitor"][target]:
        assert re.search(rf"public [^\n]*\b{order}\b", code()), order


def test_the_program_has_these_options() -> None:
    for option in NAMES["options"]:
        assert re.search(rf"\bName\((?:'\w', )?\"{option}\"\)", code()), option


@pytest.mark.parametrize("keyword", NAMES["keywords"])
def test_a_keyword_has_these_arguments(keyword: str) -> None:
    if keyword in ("Setup", "Teardown", "Test Teardown"):
        text = (Path(SOURCES or "") / "tests" / "renode-keywords.robot").read_text(encoding="utf-8")
        assert re.search(rf"^{keyword}$", text, re.MULTILINE)
        return
    name = keyword.replace(" ", "")
    signatures = re.findall(rf"RobotFrameworkKeyword[^\n]*\n(?:\s*//[^\n]*\n)*\s*public \w+ {name}\(([^)]*)\)", code())
    expected = [re.sub(r"[${}]|=.*", "", argument) for argument in NAMES["keywords"][keyword]]
    signatures_split = [
        [part.partition("=")[0].split()[-1] for part in text.split(",") if part.strip()] for text in signatures
    ]
    assert expected in signatures_split


def closure(platform: str) -> Iterator[tuple[str, str]]:
    """The platform's text and that of every one it uses, with their paths."""
    root = Path(SOURCES or "")
    todo = [platform]
    while todo:
        path = todo.pop()
        text = (root / path).read_text("utf-8-sig")
        yield path, text
        for used in re.findall(r'^using "(.+)"', text, re.MULTILINE):
            todo.append(str(Path(os.path.normpath(Path(path).parent / used))) if used.startswith(".") else used)


def through(exti: str) -> dict[int, int]:
    """Input → the NVIC's input, from wires such as `[26-29] -> nvic@[37-39, 71]`."""

    def numbers(text: str) -> list[int]:
        bounds = [part.strip().split("-") for part in text.strip("[]").split(",")]
        return [number for bound in bounds for number in range(int(bound[0]), int(bound[-1]) + 1)]

    wires: dict[int, int] = {}
    for inputs, outputs in re.findall(r"^    (\[?[\d, -]+\]?) -> nvic@(\[?[\d, -]+\]?)", exti, re.MULTILINE):
        wires |= dict(zip(numbers(inputs), numbers(outputs), strict=True))
    return wires


@pytest.mark.parametrize("platform", NAMES["platforms"])
def test_a_platform_has_these_parts(platform: str) -> None:
    known = NAMES["platforms"][platform]
    texts = dict(closure(platform))
    assert known["files"] == sorted(texts)
    text = "\n".join(texts.values())

    def entry(name: str) -> str:
        match = re.search(rf"^{name}: .*?(?=^\w)", text + "\nx", re.MULTILINE | re.DOTALL)
        assert match, name
        return match[0]

    assert f'cpuType: "{known["cpu"]}"' in entry("cpu")
    assert "nvic: nvic" in entry("cpu")
    assert "IRQControllers.NVIC @ sysbus 0xE000E000" in entry("nvic")
    for name, (kind, address, irq) in known["uarts"].items():
        part = entry(name)
        assert kind in part
        assert int(re.search(r"sysbus <?(0x[0-9A-Fa-f]+)", part)[1], 16) == address  # type: ignore[index]
        if name in known.get("events", {}):
            assert f"ReceiveIRQ -> icu@0x{known['events'][name]:X}" in part
            continue
        wire = re.search(r"-> (nvic|exti)@(\d+)", part)
        assert wire
        target, number = wire[1], int(wire[2])
        if target == "exti":
            assert number == known["exti"][name]
            number = through(entry("exti"))[number]
        assert number == irq
    dwt = re.search(r"Miscellaneous\.DWT @ sysbus 0xE0001000\n    frequency: (\d+)", text)
    assert (int(dwt[1]) if dwt else None) == known.get("counter_hz")
    memories = []
    for match in re.finditer(r"^\w+ ?: Memory\.MappedMemory @ (.+?)\n((?:    .*\n)*)", text, re.MULTILINE):
        size = re.search(r"size: (0x[0-9A-Fa-f]+)", match[2])
        assert size
        memories += [[int(start, 16), int(size[1], 16)] for start in re.findall(r"sysbus (0x[0-9A-Fa-f]+)", match[1])]
    for memory in known["memories"]:
        assert memory in memories, (memory, memories)
