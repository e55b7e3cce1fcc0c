"""Tools as servers list them: sentences call them, and each call is valid by their schemas."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.recipes.schema import ToolsConfig
from pipeline.stages import understanding
from pipeline.tasks.own_tools import ToolsTask, load_calls, load_tool_sentences
from pipeline.tasks.samples import NO_MATCH, Sample
from pipeline.tasks.sentences.source import SentencesSource
from pipeline.text.answers import StructuredAnswer
from pipeline.verification.reply import Reply

LIGHT = {
    "name": "light.set",
    "description": "Switches a lamp",
    "inputSchema": {
        "type": "object",
        "properties": {
            "lamp": {"type": "string", "enum": ["desk_lamp", "ceilingLight"]},
            "on": {"type": "boolean"},
            "brightness": {"type": "integer", "minimum": 5, "maximum": 100},
            "mode": {"type": "string", "enum": ["warm", "cold"]},
        },
        "required": ["lamp", "on"],
    },
}
HEATER = {
    "type": "function",
    "function": {
        "name": "set_heater",
        "description": "Heats",
        "parameters": {
            "$defs": {"Mode": {"type": "string", "enum": ["eco", "boost"], "x-synonyms": {"boost": ["full power"]}}},
            "type": "object",
            "properties": {
                "temperature": {"type": "number", "exclusiveMinimum": 4.5, "maximum": 30, "multipleOf": 0.5},
                "mode": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}], "default": None},
                "minutes": {"type": "integer", "minimum": 1, "maximum": 90},
            },
        },
    },
}
MEMO = {
    "name": "memo",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
EXAMPLES = {
    "light.set": [
        {"sentences": ["(turn|switch) on [the] {lamp}", "{lamp} on [in] {mode} [light]"], "arguments": {"on": True}},
        {"sentences": ["(turn|switch) off [the] {lamp}"], "arguments": {"on": False}},
        {"sentences": ["dim [the] {lamp} to {brightness} percent"], "arguments": {"on": True}},
    ],
    "set_heater": [
        "set the heater to {temperature} [degrees]",
        "heat for {minutes} minutes [in {mode} mode]",
        "heater {mode}",
    ],
    "memo": ["take a note {text}", "note {text}"],
}


def config(folder: Path, tools: object, examples: Mapping[str, Any], **keys: Any) -> ToolsConfig:
    (folder / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
    data = {"files": ["tools.json"], "examples": examples, "language": "en", **keys}
    return ToolsConfig.from_mapping(data)


def load(folder: Path, tools: object, examples: Mapping[str, Any], **keys: Any) -> SentencesSource:
    return load_tool_sentences(config(folder, tools, examples, **keys), folder)


def draw(source: SentencesSource, count: int = 400) -> list[Sample]:
    rng = random.Random(1)
    return [source.draw(rng) for _ in range(count)]


def valid(call: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    jsonschema = pytest.importorskip("jsonschema")
    return bool(jsonschema.Draft202012Validator(schema).is_valid(call["arguments"]))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda tools: tools,
        lambda tools: {"tools": tools},
        lambda tools: {"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}},
    ],
)
def test_calls_of_all_that_is_drawn_are_valid(wrapped: Any, tmp_path: Path) -> None:
    section = config(tmp_path, wrapped([LIGHT, HEATER, MEMO]), EXAMPLES)
    source, call = load_tool_sentences(section, tmp_path), load_calls(section, tmp_path)
    schemas = {
        "light.set": LIGHT["inputSchema"],
        "set_heater": HEATER["function"]["parameters"],  # type: ignore[index]
        "memo": MEMO["inputSchema"],
    }
    drawn = draw(source)
    assert {sample.intent for sample in drawn} == set(schemas)
    for sample in drawn:
        made = call(StructuredAnswer(sample.intent, sample.slots))
        assert made is not None and made["name"] == sample.intent, sample
        assert valid(made, schemas[sample.intent]), made


def test_arguments_have_the_schemas_types(tmp_path: Path) -> None:
    call = load_calls(config(tmp_path, [LIGHT, HEATER, MEMO], EXAMPLES), tmp_path)

    def made(intent: str, **slots: str) -> object:
        answer = call(StructuredAnswer(intent, slots))
        return None if answer is None else answer["arguments"]

    assert made("light.set", on="true", lamp="desk_lamp", brightness="40") == {
        "lamp": "desk_lamp",
        "on": True,
        "brightness": 40,
    }
    assert made("set_heater", temperature="21.5") == {"temperature": 21.5}
    assert made("set_heater", mode="boost", minutes="5") == {"mode": "boost", "minutes": 5}
    assert made("memo", text="5") == {"text": "5"}
    for slots in (
        {"on": "true"},  # without `lamp`
        {"on": "true", "lamp": "desk_lamp", "brightness": "101"},
        {"on": "true", "lamp": "desk_lamp", "brightness": "40.5"},
        {"on": "true", "lamp": "sofa"},
        {"on": "yes", "lamp": "desk_lamp"},
        {"on": "true", "lamp": "desk_lamp", "colour": "red"},
    ):
        assert made("light.set", **slots) is None, slots
    assert made("set_heater", temperature="4.5") is None
    assert made("set_heater", temperature="21.25") is None
    assert made(NO_MATCH) is None
    assert made("unknown") is None


def test_values_are_said_in_words(tmp_path: Path) -> None:
    source = load(tmp_path, [LIGHT, HEATER, MEMO], EXAMPLES)
    entries = {(entry.text, entry.value) for entry in source.entries()}
    assert ("desk lamp", "desk_lamp") in entries
    assert ("ceiling Light", "ceilingLight") in entries
    assert ("full power", "boost") in entries


def test_parameters_of_one_name_may_differ(tmp_path: Path) -> None:
    source = load(tmp_path, [LIGHT, HEATER, MEMO], EXAMPLES)
    values = {
        (sample.intent, sample.slots["mode"])
        for sample in draw(source)
        if sample.intent != NO_MATCH and "mode" in sample.slots
    }
    expected = {("light.set", "warm"), ("light.set", "cold"), ("set_heater", "eco"), ("set_heater", "boost")}
    assert values == expected


def test_files_of_sentences_add_words_for_values(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text(
        "language: en\n"
        "intents: {set_heater: {data: [{sentences: ['<heat> {mode}']}]}}\n"
        "expansion_rules: {heat: '(heat|warm)'}\n"
        "lists: {mode: {values: [{in: 'as [much as] you can', out: boost}]}}\n",
        encoding="utf-8",
    )
    source = load(tmp_path, [HEATER], {}, sentences=["words.yaml"], language=None)
    said = {sample.sentence: dict(sample.slots) for sample in draw(source)}
    assert said["heat as much as you can"] == {"mode": "boost"}
    assert said["warm eco"] == {"mode": "eco"}


def test_a_sentence_that_leaves_out_what_is_required_is_no_match(tmp_path: Path) -> None:
    source = load(tmp_path, [MEMO], {"memo": ["note [{text}]"]})
    for sample in draw(source, 60):
        assert (sample.intent == NO_MATCH) == (sample.sentence == "note"), sample


def test_a_required_default_is_filled_in(tmp_path: Path) -> None:
    tool = {
        "name": "brew",
        "inputSchema": {
            "properties": {"cups": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1}},
            "required": ["cups"],
        },
    }
    source = load(tmp_path, [tool], {"brew": ["coffee [for {cups}] please"]})
    assert {sample.slots["cups"] for sample in draw(source)} == {"1", "2", "3", "4"}


def _tool(**properties: Any) -> dict[str, Any]:
    return {"name": "go", "inputSchema": {"type": "object", "properties": properties}}


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (_tool(way={"type": "array", "items": {"type": "string"}}), "`way` of the tool go is an array"),
        (_tool(to={"type": "object", "properties": {}}), "`to` of the tool go is a nested object"),
        (
            _tool(to={"oneOf": [{"type": "string"}, {"type": "integer"}]}),
            "`to` of the tool go is composed with `oneOf`",
        ),
        (_tool(to={"type": ["string", "integer"]}), "`to` of the tool go has several types"),
        (_tool(to={}), "`to` of the tool go has no type"),
        (_tool(to={"$ref": "#/$defs/Missing"}), "refers to #/$defs/Missing"),
        ({"name": "go", "inputSchema": {"anyOf": [{}], "properties": {}}}, "the tool go has `anyOf` in its schema"),
        ({"name": "go", "inputSchema": {"required": ["x"], "properties": {}}}, "the tool go requires `x`"),
        ({"name": "go away"}, "'go away' cannot name a tool"),
        ({"description": "?"}, "has no `name`"),
    ],
)
def test_what_no_sentence_can_say_is_refused_by_name(tool: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, [tool], {"go": ["go"]})
    assert message in str(error.value)


def test_a_tool_may_be_left_out_by_name(tmp_path: Path) -> None:
    tools = [_tool(way={"type": "array"}), MEMO]
    with pytest.raises(ConfigError, match="no sentence calls the tool go"):
        load(tmp_path, tools, {"memo": EXAMPLES["memo"]})
    source = load(tmp_path, tools, {"memo": EXAMPLES["memo"], "go": []})
    assert set(source.intents()) == {"memo"}


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({"gone": ["go"]}, "'gone' is no tool"),
        ({"go": ["go {where}"]}, "{where}, which is nowhere"),
        ({"go": ["go {speed}"]}, "gives `fast`"),
        ({"go": [{"sentences": ["go {speed}"], "arguments": {"fast": "yes"}}]}, "no `fast` of 'yes'"),
        ({"go": [{"sentences": ["go"], "arguments": {"fast": True, "speed": 9}}]}, "no `speed` of '9'"),
        ({"go": [{"sentences": ["go"], "arguments": {"fast": True, "far": True}}]}, "`far` is no parameter"),
    ],
)
def test_sentences_that_do_not_fit_the_schema_are_refused(
    examples: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    tool = _tool(fast={"type": "boolean"}, speed={"type": "integer", "maximum": 5})
    tool["inputSchema"]["required"] = ["fast"]
    with pytest.raises(ConfigError) as error:
        load(tmp_path, [tool], examples)
    assert message in str(error.value)


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text('[{"name": "go",\n}]', encoding="utf-8")
    section = ToolsConfig.from_mapping({"files": ["tools.json"], "examples": {"go": ["go"]}, "language": "en"})
    with pytest.raises(ConfigError, match=r"tools\.json:2: not valid JSON"):
        load_tool_sentences(section, tmp_path)


def test_answers_of_the_task_are_in_answer_tokens(tmp_path: Path) -> None:
    section = config(tmp_path, [LIGHT, HEATER, MEMO], EXAMPLES, weave=0.3)
    task = ToolsTask(section, tmp_path)
    schema = task.schema
    assert set(schema.intents) == {NO_MATCH, "light.set", "set_heater", "memo"}
    assert {"lamp=", "on="} <= {f"{slot}=" for slot in schema.slots}
    assert schema.positions > 0  # `text` is free
    drawn = [task.training_source.draw(random.Random(number)) for number in range(60)]
    assert NO_MATCH in {sample.intent for sample in drawn}


def test_understand_gives_the_call(tmp_path: Path) -> None:
    call = load_calls(config(tmp_path, [LIGHT, HEATER, MEMO], EXAMPLES), tmp_path)
    reply = Reply("set_heater minutes=5 mode=boost", 65536)
    slots = ("minutes", "mode", "temperature")
    record = json.loads(json.dumps(understanding._record("heat for five minutes", reply, slots, call)))
    assert record["call"] == {"name": "set_heater", "arguments": {"mode": "boost", "minutes": 5}}
    assert understanding._record("hello", Reply(NO_MATCH, 65536), slots, call)["call"] is None
    assert "call" not in understanding._record("hello", Reply(NO_MATCH, 65536), slots)


def test_names_that_yaml_reads_as_truth_values_are_asked_for_in_quotes() -> None:
    data = yaml.safe_load("{files: [t.json], examples: {go: [{sentences: [go], arguments: {on: true}}]}}")
    with pytest.raises(ConfigError, match="in quotes"):
        ToolsConfig.from_mapping(data)
