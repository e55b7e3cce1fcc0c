"""A model with answer tokens, untrained, on the emulated board: sentences are answered at every step as on the host."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.session import SessionOptions, chat_with_board
from pipeline.compiler import CompiledModel, compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.device.chat import described
from pipeline.device.protocol import Answer, Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.project import write_project
from pipeline.numerics.confidence import CERTAIN
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.schema import AnswersConfig, ModelConfig
from pipeline.stages import understanding
from pipeline.stages.understanding import Place, understand
from pipeline.targets.boards import Board, load_board
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.answers import StructuredAnswer
from pipeline.text.codec import StructuredCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import Expectation, min_per_mac, reference_run, verify
from pipeline.verification.host_engine import host_engine
from pipeline.verification.oracle import Oracle
from pipeline.verification.reply import Reply, ask
from pipeline.workflow.artifacts import FIRMWARE, PACKED_SOURCES, TFLITE
from pipeline.workflow.workspace import Workspace
from tests.support.learning import learn

CONTEXT = 40
INTENTS = {
    "TurnOn": IntentSchema(
        {
            "name": SlotSchema(kinds=frozenset({"light", "cover"})),
            "area": SlotSchema(kinds=frozenset({"area"})),
            "brightness": SlotSchema(kinds=frozenset({"percent", "number"})),
            "domain": SlotSchema(values=("light", "cover")),
        }
    ),
    "StartTimer": IntentSchema(
        {
            **{unit: SlotSchema(kinds=frozenset({"number"})) for unit in ("hours", "minutes", "seconds")},
            "name": SlotSchema(is_free=True),
        }
    ),
    "Play": IntentSchema({"title": SlotSchema(is_free=True)}),
}
NAMES = KnownNames(
    "en",
    (
        Entry("desk lamp", "light", "Desk Lamp"),
        Entry("café blinds", "cover", "Café Blinds"),
        Entry("kitchen", "area", "Kitchen"),
        Entry("living room", "area", "Living Room"),
    ),
    ("a", "for", "in", "on", "play", "set", "the", "timer", "to", "turn"),
)
ANSWERS = {
    "Turn on the DESK LAMP in the kitchen, please!": ("TurnOn", {"area": "Kitchen", "name": "Desk Lamp"}),
    "set the desklamp to 50%": ("TurnOn", {"brightness": "50", "name": "Desk Lamp"}),
    "turn on the cafe blinds": ("TurnOn", {"domain": "cover", "name": "Café Blinds"}),
    "start a pizza timer for one hour and ten minutes": (
        "StartTimer",
        {"hours": "1", "minutes": "10", "name": "pizza"},
    ),
    "play Ångström’s “Déjà vu” in the living rom": ("Play", {"title": "Ångström’s “Déjà vu"}),
    "lights in the kitchen and play a song": ("NoMatch", {"reason": "two-commands"}),
    "?!": ("NoMatch", {}),
    "☃": ("NoMatch", {}),
}
SENTENCES = tuple(ANSWERS)
HOME = """\
areas:
  - name: The Cook's Room
    aliases: [kitchen]
entities:
  - {name: Reading Light, domain: light, aliases: [desk lamp]}
"""
REFUSED = {
    "too-many-names": "kitchen " * 4,
    "too-long": "a very very long sentence about nothing in particular that goes on and on",
    "too-many-words": "a " * 65,
}


@dataclass
class Built:
    """The model, its image, and what TensorFlow Lite Micro says that it must give."""

    tflite: bytes
    sources: Path
    codec: StructuredCodec
    firmware: Firmware
    compiled: CompiledModel
    expectations: list[Expectation]


def make_codec(threshold: float = 0.0) -> StructuredCodec:
    tokenizer = Tokenizer.train([sentence.lower() for sentence in SENTENCES] * 3, 400, 30)
    kinds = {entry.kind for entry in NAMES.entries}
    return StructuredCodec(tokenizer, make_schema(INTENTS, kinds, 3, threshold), NAMES.annotator())


@pytest.fixture(scope="module", params=["int8", "int16"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, board: Board) -> Built:
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    keras.utils.set_random_seed(7)
    codec = make_codec()
    config = ModelConfig.from_mapping(
        {
            "vocab_size": codec.vocab_size,
            "d_model": 32,
            "layers": 2,
            "heads": 2,
            "kv_heads": 1,
            "ffn_dim": 48,
            "context": CONTEXT,
        }
    )
    model = build_decoder(config)
    sequences = [codec.encode_sample(sentence, intent, slots) for sentence, (intent, slots) in ANSWERS.items()]
    learn(model, sequences, CONTEXT, 200)
    calibration = [(sequence * CONTEXT)[:CONTEXT] for sequence in sequences]
    tflite = quantize(model, config, calibration, request.param)
    folder = tmp_path_factory.mktemp("answers")
    (folder / "model").mkdir()
    compiled = compile_model(tflite, folder / "model")
    write_project(folder / "model", codec, board, "answers", folder / "project")
    oracle = Oracle(tflite)
    step = logit_step(oracle.logit_scale)
    return Built(
        tflite,
        folder / "model",
        codec,
        build_project(folder / "project", folder / "build"),
        compiled,
        [
            reference_run(oracle, codec, CONTEXT, sentence, CONTEXT, step=step)
            for sentence in (*SENTENCES, *REFUSED.values())
        ],
    )


@pytest.fixture
def device(built: Built, board: Board) -> Iterator[Device]:
    with Device(Qemu().start(built.firmware.elf, board), timeout=20) as device:
        yield device


@pytest.mark.variants(keep=1)
@pytest.mark.slow
def test_a_sentence_is_answered_as_on_the_host(built: Built, device: Device) -> None:
    result = verify(device, built.expectations, macs_per_step=built.compiled.macs, instructions_per_tick=40)
    assert result.ok, result.failures
    assert result.checks["allowed_match"]
    counts = result.instructions
    assert 0 < counts.answer_own_mean < counts.answer_mean < counts.decode_mean * 40
    for expectation, (intent, slots) in zip(built.expectations, ANSWERS.values(), strict=False):
        assert expectation.text_out == StructuredAnswer(intent, slots).text
        assert (expectation.confidence or 0) > CERTAIN / 2
    for reason, sentence in REFUSED.items():
        expectation = next(entry for entry in built.expectations if entry.text == sentence)
        assert (expectation.reason, expectation.text_out, expectation.steps) == (reason, "NoMatch", ())


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mps2_an385", "mps2_an505", "mps3_an547"])
def test_only_what_is_allowed_is_computed_on_other_cores(built: Built, name: str, tmp_path: Path) -> None:
    other = load_board(name)
    (tmp_path / "model").mkdir()
    compiled = compile_model(built.tflite, tmp_path / "model", other.packing)
    write_project(tmp_path / "model", built.codec, other, "answers", tmp_path / "project")
    elf = build_project(tmp_path / "project", tmp_path / "build").elf
    with Device(Qemu().start(elf, other), timeout=20) as device:
        result = verify(
            device,
            built.expectations,
            macs_per_step=compiled.macs,
            instructions_per_tick=other.instructions_per_tick("qemu"),
            min_per_mac=min_per_mac(other.core),
        )
    assert result.ok, result.failures
    assert result.checks["allowed_match"]


@pytest.mark.slow
def test_only_what_is_allowed_is_computed(built: Built, device: Device) -> None:
    certain = 0
    for sentence in SENTENCES:
        whole = device.ask(sentence, CONTEXT)
        for most in range(1, len(whole.tokens_out) + 1):
            step_by_step, answer = device.ask(sentence, most), device.answer(sentence, most)
            for name in ("tokens_out", "text", "end", "confidence", "reason"):
                assert getattr(answer, name) == getattr(step_by_step, name), (sentence, most, name)
            fed = step_by_step.steps[len(step_by_step.tokens_in) :]
            assert [(step.position, step.token, step.next) for step in answer.steps] == [
                (step.position, step.token, step.next) for step in fed
            ]
        certain += answer.count_certain
        assert answer.model_ticks < device.prompt(sentence, CONTEXT).model_ticks
    assert certain > len(SENTENCES)


@pytest.mark.slow
def test_what_a_sentence_asks_for_needs_no_parsing(built: Built, device: Device) -> None:
    for sentence, (intent, slots) in ANSWERS.items():
        understood, answer = device.understand(sentence, CONTEXT), device.answer(sentence, CONTEXT)
        assert (understood.intent, understood.values) == (intent, slots)
        assert understood.confidence == (answer.confidence or 0) / CERTAIN and understood.reason == answer.reason
        assert (understood.tokens_in, understood.tokens_out) == (answer.count_in, len(answer.tokens_out))
        assert 0 < understood.ticks < answer.ticks
        for slot in understood.slots:
            if slot.span is not None and slot.type == "text":
                assert sentence.encode()[slice(*slot.span)].decode() == slot.value
    for reason, sentence in REFUSED.items():
        understood = device.understand(sentence, CONTEXT)
        assert (understood.intent, understood.reason, understood.slots) == ("NoMatch", reason, ())
    cut = device.understand(SENTENCES[0], 1)
    assert (cut.intent, cut.reason, cut.tokens_out) == ("NoMatch", "unfinished", 1)
    percent = device.understand("set the desklamp to 50%", CONTEXT).slots
    assert [(slot.name, slot.type, slot.number, slot.seconds) for slot in percent] == [
        ("brightness", "percent", 50.0, None),
        ("name", "name", None, None),
    ]
    timer = device.understand("start a pizza timer for one hour and ten minutes", CONTEXT).slots
    assert [(slot.name, slot.type, slot.number) for slot in timer] == [
        ("hours", "number", 1.0),
        ("minutes", "number", 10.0),
        ("name", "text", None),
    ]
    blinds = {slot.name: slot for slot in device.understand("turn on the cafe blinds", CONTEXT).slots}
    assert built.codec.schema.values[blinds["domain"].entry or 0] == "cover"
    assert blinds["name"].span == (12, 23)
    with pytest.raises(DeviceError, match="well-formed"):
        device.understand("\udcff", CONTEXT)


@pytest.mark.variants(keep=1)
@pytest.mark.slow
def test_which_of_two_answers_is_meant_is_asked(built: Built, board: Board, tmp_path: Path) -> None:
    """Of a model that is never certain: what comes second is what TensorFlow Lite Micro's logits give."""
    tokenizer, schema, annotator = built.codec.tokenizer, built.codec.schema, built.codec.annotator
    codec = StructuredCodec(tokenizer, replace(schema, threshold=CERTAIN, asks=True), annotator)
    write_project(built.sources, codec, board, "answers", tmp_path / "project")
    elf = build_project(tmp_path / "project", tmp_path / "build").elf
    oracle = Oracle(built.tflite)
    step = logit_step(oracle.logit_scale)
    expectations = [reference_run(oracle, codec, CONTEXT, sentence, CONTEXT, step=step) for sentence in SENTENCES[:5]]
    assert all(len(expectation.choices) == 2 for expectation in expectations)
    graph_step = logit_step(read_tflite(built.tflite).tensors[read_tflite(built.tflite).outputs["logits"]].scale)
    with Device(Qemu().start(elf, board), timeout=20) as device, host_engine(built.tflite) as engine:
        result = verify(device, expectations, macs_per_step=built.compiled.macs, instructions_per_tick=40)
        assert result.ok, result.failures
        for expectation, (intent, slots) in zip(expectations, ANSWERS.values(), strict=False):
            best, second = expectation.choices
            assert best.text == StructuredAnswer(intent, slots).text != second.text
            assert ask(engine, codec, expectation.text, graph_step).choices == expectation.choices
            understood = device.understand(expectation.text, CONTEXT)
            assert (understood.intent, understood.slots, understood.reason) == ("NoMatch", (), "low-confidence")
            assert [choice.text for choice in understood.choices] == [best.text, second.text]
            assert [choice.confidence * CERTAIN for choice in understood.choices] == [
                best.confidence,
                second.confidence,
            ]
            answer = device.answer(expectation.text, CONTEXT)
            assert described(answer).startswith(f"{best.text} ") and described(answer).endswith("?")
            assert not device.prompt(expectation.text, CONTEXT).choices
        cut = device.understand(SENTENCES[0], 2)
        assert (cut.reason, cut.choices) == ("unfinished", ())


@pytest.mark.slow
@pytest.mark.parametrize("part", ["crc", "token", "confidence", "choices"])
def test_a_lie_about_allowed_logits_fails_the_check(
    built: Built, device: Device, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = device.answer

    def lie(text: str, max_new: int) -> Answer:
        answer = answered(text, max_new)
        if not answer.steps:
            return answer
        *others, last = answer.steps
        changed = {
            "crc": {"steps": (*others, replace(last, crc=last.crc ^ 1))},
            "token": {"tokens_out": (*answer.tokens_out[:-1], 0)},
            "confidence": {"confidence": (answer.confidence or 0) - 1},
            "choices": {"choices": (("NoMatch", 1), ("NoMatch", 1))},
        }
        return replace(answer, **changed[part])  # type: ignore[arg-type]

    monkeypatch.setattr(device, "answer", lie)
    result = verify(device, built.expectations[:1], macs_per_step=built.compiled.macs, instructions_per_tick=40)
    assert [name for name, holds in result.checks.items() if not holds] == ["allowed_match"]


@pytest.mark.slow
def test_the_engine_on_the_host_replies_the_same(built: Built) -> None:
    graph = read_tflite(built.tflite)
    step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
    with host_engine(built.tflite) as engine:
        for expectation in built.expectations:
            expected = Reply(expectation.text_out, expectation.confidence, expectation.reason)
            assert ask(engine, built.codec, expectation.text, step) == expected
            cut = ask(engine, built.codec, expectation.text, step, 1)
            assert cut.text == "NoMatch" and cut.reason in ("unfinished", *REFUSED)


@pytest.fixture
def recipe(built: Built, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recipe whose stages have run."""
    workspace = Workspace(tmp_path / "build", "answers")
    data = workspace.stage("data")
    data.mkdir(parents=True)
    built.codec.tokenizer.save(data / "tokenizer.json")
    built.codec.schema.save(data / "answers.json")
    NAMES.save(data / "vocabulary.json")
    tflite = workspace.path(TFLITE.of("quantize"))
    sources = workspace.path(PACKED_SOURCES.of("convert"), packing=board.packing)
    elf = workspace.path(FIRMWARE.of("firmware"), "mps2_an386-aot")
    for path in (tflite, sources, elf):
        path.parent.mkdir(parents=True)
    tflite.write_bytes(built.tflite)
    sources.symlink_to(built.sources)
    elf.symlink_to(built.firmware.elf)
    monkeypatch.setattr(understanding, "run_recipe", lambda *_: workspace)
    recipe = SimpleNamespace(
        task=None,
        name="answers",
        engine="aot",
        boards=("mps2_an386",),
        answers=AnswersConfig(),
        grammar_path=None,
        model=SimpleNamespace(context=CONTEXT),
    )
    recipe.with_boards = lambda _: recipe
    return recipe


def asked(recipe: Any, tmp_path: Path, place: str, home: Path | None = None) -> list[dict[str, Any]]:
    sentences = tmp_path / "sentences.jsonl"
    lines = [json.dumps({"sentence": sentence, "accepted": []}) for sentence in SENTENCES[:5]]
    sentences.write_text("\n".join([*lines, "", *SENTENCES[5:], *REFUSED.values()]))
    understand(recipe, tmp_path / "build", Place(place), home, str(sentences), str(tmp_path / "answers.jsonl"))
    return [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_many_sentences_on_the_host_and_on_the_board(built: Built, recipe: Any, tmp_path: Path) -> None:
    on_host, on_board = (asked(recipe, tmp_path, place) for place in ("host", "mps2_an386"))
    assert on_host == on_board
    for record, (sentence, (intent, slots)) in zip(on_host, ANSWERS.items(), strict=False):
        assert (record["sentence"], record["intent"], record["slots"]) == (sentence, intent, slots)
        assert record["text"] == StructuredAnswer(intent, slots).text and record["confidence"] > 0.5
    assert [record["reason"] for record in on_host[len(ANSWERS) :]] == list(REFUSED)


@pytest.mark.slow
def test_names_of_another_home(recipe: Any, tmp_path: Path) -> None:
    home = tmp_path / "home.yaml"
    home.write_text(HOME)
    on_host, on_board = (asked(recipe, tmp_path, place, home) for place in ("host", "mps2_an386"))
    assert on_host == on_board
    assert on_host[0]["slots"] == {"area": "The Cook's Room", "name": "Reading Light"}


@pytest.mark.slow
def test_names_that_are_added_while_it_runs(built: Built, device: Device) -> None:
    entries = [Entry("kitchen", "area", "The Cook's Room"), Entry("DESK-lamp", "light", "Reading Light")]
    codec = StructuredCodec(built.codec.tokenizer, built.codec.schema, built.codec.annotator.with_entries(entries))
    graph = read_tflite(built.tflite)
    step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
    for entry in entries:
        device.add_name(entry.kind, entry.value, entry.text)
    with host_engine(built.tflite) as engine:
        for sentence in SENTENCES:
            answer = device.prompt(sentence, CONTEXT)
            reply = ask(engine, codec, sentence, step)
            assert Reply(answer.text, answer.confidence, answer.reason) == reply
            if sentence == SENTENCES[0]:
                assert reply.text == "TurnOn area=The Cook's Room name=Reading Light"
    device.clear_names()
    assert device.prompt(SENTENCES[0], CONTEXT).text == "TurnOn area=Kitchen name=Desk Lamp"


@pytest.mark.slow
def test_names_that_are_refused(device: Device) -> None:
    for line, code in (
        ("NAME number x y", "out-of-range"),
        ("NAME nothing x y", "out-of-range"),
        ("NAME light x", "malformed"),
        ("NAME light x %3f", "malformed"),
        ("NAME light x y z", "malformed"),
        ("NAMES all", "malformed"),
        (f"NAME light x {'a' * 300}", "too-long"),
    ):
        with pytest.raises(DeviceError) as refused:
            device.request(line)
        assert refused.value.code == code
    assert device.request("NAMES") == ["OK names=0 names_used=6 names_bytes=4096 stored=no"]
    device.add_name("light", "x", "lamp a")
    number = 1
    while (left := 4096 - device.names().used) >= 9 + 2 + 6:
        device.add_name("light", "x", f"lamp {number}")
        number += 1
    assert number > 200
    with pytest.raises(DeviceError, match="full"):
        device.add_name("light", "x", "z" * left)
    names = device.names()
    assert (names.count, names.used, names.is_stored) == (number, 4096 - left, False)
    with pytest.raises(DeviceError, match="unsupported"):
        device.request("NAMES store")


@pytest.mark.slow
def test_a_chat_in_another_home(
    recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home.yaml"
    home.write_text(HOME)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SENTENCES[5]}\n{'a ' * 70}\n{SENTENCES[0]}\n"))
    workspace = Workspace(tmp_path / "build", "answers")
    assert chat_with_board(recipe, workspace, SessionOptions(home=home), Console(file=io.StringIO())) == 0
    said = capsys.readouterr().out
    assert "\nNoMatch reason=two-commands " in said
    assert "\nNoMatch, too-many-words 100 %  (the model was not asked)\n" in said
    assert "\nTurnOn area=The Cook's Room name=Reading Light " in said


@pytest.mark.slow
def test_a_chat_in_json(
    recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SENTENCES[4]}\n{'a ' * 70}\n{'a' * 1200}\n"))
    workspace = Workspace(tmp_path / "build", "answers")
    assert chat_with_board(recipe, workspace, SessionOptions(is_json=True), Console(file=io.StringIO())) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["intent"] == "Play" and first["slots"][0]["value"] == "Ångström’s “Déjà vu"
    assert (second["intent"], second["reason"]) == ("NoMatch", "too-many-words")
    assert third["error"] == "line-too-long"
