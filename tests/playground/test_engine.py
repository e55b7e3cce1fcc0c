"""The page's engine in Node: the same logits, answers and names as the host's, for models that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compiler import WeightLayout, compile_model
from pipeline.numerics.confidence import CERTAIN, joint, probability
from pipeline.numerics.sampler import Sampler, SamplerSettings
from pipeline.playground.wasm import build_wasm
from pipeline.text.codec import Codec, StructuredCodec
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.reply import ask, refusal
from tests.oracle import test_attention_s16
from tests.support.attention_step import AttentionSpec, attention_step
from tests.support.playground_engine import drive, skip_without_clang, skip_without_node
from tests.support.playground_models import LOGIT_STEP, NAMES, bound_codec, plain_codec, structured_codec
from tests.support.standin import CONTEXT, FOLDER, Standin
from tests.support.strategies import Quantization

SENTENCES = (
    "turn on the lamp",
    "Turn on THE LAMPP to 40 %, please!",
    "wait for two and a half hours",
    "turn on the big one and the lamp",
    "🦆 ünïcode, then the lamp",
    "",
    "lamp lamp lamp lamp",
    "a " * 70,
    "a very long sentence that no context holds, however one would say it, over and over",
)


class StandinEngine(Standin):
    """A `BlockEngine`."""

    context = CONTEXT

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.int8]:
        return [self.step(token) for token in tokens][-1]


@pytest.fixture(scope="module")
def codec() -> StructuredCodec:
    return structured_codec()


@pytest.fixture(scope="module")
def structured(codec: StructuredCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(FOLDER, codec, tmp_path_factory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(FOLDER, plain_codec(), tmp_path_factory)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(FOLDER, bound_codec(), tmp_path_factory)


def built(model: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without_clang()
    skip_without_node()
    module = tmp_path_factory.mktemp("page") / "page.wasm"
    module.write_bytes(build_wasm(model, codec))
    return module


def test_answers_are_the_hosts_in_tokens_confidence_and_reason(structured: Path, codec: StructuredCodec) -> None:
    replies = drive(structured, codec, [{"do": "ask", "sentence": sentence} for sentence in SENTENCES])
    for sentence, events in zip(SENTENCES, replies, strict=True):
        prompt = codec.prompt(sentence)
        expected = ask(StandinEngine(), codec, sentence, LOGIT_STEP)
        end = events[-1]["reply"]
        assert (end["text"], round(65536 * end["confidence"]), end["reason"]) == (
            expected.text,
            expected.confidence,
            expected.reason,
        )
        assert " ".join([end["intent"], *(f"{name}={value}" for name, value in end["slots"].items())]) == end["text"]
        if refusal(prompt, CONTEXT) is None:
            assert events[0]["tokens"] == list(prompt.tokens)
            marks = [(mark["kind"], mark["value"]) for mark in events[0]["marks"]]
            assert marks == [(codec.schema.kinds.index(mark.kind), mark.value) for mark in prompt.annotated.marks]
    assert {events[-1]["end"] for events in replies} >= {"eos", "refused"}


def test_marks_say_where_they_are_in_the_sentence(structured: Path, codec: StructuredCodec) -> None:
    sentence = "🦆 ünïcode, then THE LAMP for two and a half hours"
    (events,) = drive(structured, codec, [{"do": "ask", "sentence": sentence}])
    found = [mark["text"] for mark in events[0]["marks"]]
    assert found == ["LAMP", "two and a half hours"]
    units = sentence.encode("utf-16-le")  # as JavaScript counts
    for mark in events[0]["marks"]:
        start = 2 * mark["before"]
        assert units[start : start + len(mark["text"].encode("utf-16-le"))].decode("utf-16-le") == mark["text"]


def test_a_token_without_a_choice_is_told_from_one_with(structured: Path, codec: StructuredCodec) -> None:
    (events,) = drive(structured, codec, [{"do": "ask", "sentence": "turn on the lamp"}])
    answer: list[int] = []
    confidence = CERTAIN
    prompt = codec.prompt("turn on the lamp")
    for event in (event for event in events if event["phase"] == "answer"):
        allowed = prompt.allowed(answer)
        assert (event["choices"], event["isForced"]) == (len(allowed), len(allowed) == 1)
        assert event["token"] == event["best"][0]["id"] and event["probability"] == event["best"][0]["probability"]
        assert {best["id"] for best in event["best"]} <= set(allowed)
        answer.append(event["token"])
        confidence = joint(confidence, round(CERTAIN * event["probability"]))
    assert confidence == round(CERTAIN * events[-1]["reply"]["confidence"])


def test_edited_names_count_instead_of_those_of_the_model_until_these_come_back(
    structured: Path, codec: StructuredCodec
) -> None:
    kind = codec.schema.kinds.index("light")
    entries = [{"text": "Kugel", "kind": kind, "value": "Ball"}, {"text": "?!", "kind": kind, "value": "Nothing"}]
    asked: dict[str, Any] = {"do": "ask", "sentence": "turn on the lamp and the kugel"}
    shipped = [{"text": entry.text, "kind": kind, "value": entry.value} for entry in NAMES]
    requests: list[dict[str, Any]] = [
        asked,
        {"do": "names", "entries": entries},
        asked,
        {"do": "names", "entries": None},
        asked,
        {"do": "names", "entries": shipped},
        asked,
    ]
    first, problems, edited, _, back, none, same = drive(structured, codec, requests)

    def values(events: list[dict[str, Any]]) -> list[str]:
        return [mark["value"] for mark in events[0]["marks"]]

    assert problems == ["“?!” has no letters or digits"] and none == []
    assert values(first) == ["Lamp"] and values(edited) == ["Ball"]
    assert back == first and same == first


def test_a_text_that_is_cut_or_too_long_for_the_line_does_nothing(structured: Path, codec: StructuredCodec) -> None:
    cut, long = drive(
        structured,
        codec,
        [
            {"do": "ask", "sentence": "turn on the lamp", "options": {"maxNew": 1}},
            {"do": "ask", "sentence": "lamp " * 300},
        ],
    )
    assert (cut[-1]["end"], cut[-1]["reply"]["text"], cut[-1]["reply"]["reason"]) == ("length", "NoMatch", "unfinished")
    assert (long[-1]["end"], long[-1]["refusal"]) == ("refused", "too-long")


@pytest.mark.parametrize(
    "settings",
    [(0, 0, 1, 1, 0), (0.8, 0, 1, 1, 7), (1.3, 20, 0.9, 1, 3), (0.7, 5, 1, 1.4, 4294967295)],
    ids=str,
)
def test_texts_are_drawn_as_the_hosts_sampler_draws_them(
    plain: Path, settings: tuple[float, int, float, float, int]
) -> None:
    codec = plain_codec()
    sampling = dict(zip(("temperature", "topK", "topP", "penalty", "seed"), settings, strict=True))
    request = {"do": "ask", "sentence": "turn", "sampling": sampling, "options": {"maxNew": 20}}
    (events,) = drive(plain, codec, [request])
    engine, sampler = StandinEngine(), Sampler(SamplerSettings.of(*settings), LOGIT_STEP, 0)
    tokens = list(codec.prompt("turn").tokens)
    logits = engine.prefill(tokens)
    for token in tokens:
        sampler.take(token)
    for event in (event for event in events if event["phase"] == "answer"):
        token = sampler.draw(logits)
        assert event["token"] == token
        sampler.take(token)
        logits = engine.step(token)


@pytest.mark.parametrize("settings", [(0, 0, 1, 1, 0), (0.8, 0, 1, 1, 7), (1.3, 20, 0.9, 1.4, 3)], ids=str)
def test_texts_follow_the_grammar_as_the_hosts_do(bound: Path, settings: tuple[float, int, float, float, int]) -> None:
    codec = bound_codec()
    sampling = dict(zip(("temperature", "topK", "topP", "penalty", "seed"), settings, strict=True))
    request = {"do": "ask", "sentence": "turn", "sampling": sampling}
    events, again = drive(bound, codec, [request, request])
    assert events == again, "each answer begins the grammar anew"
    engine, sampler, prompt = (
        StandinEngine(),
        Sampler(SamplerSettings.of(*settings), LOGIT_STEP, 0),
        codec.prompt("turn"),
    )
    logits = engine.prefill(prompt.tokens)
    for token in prompt.tokens:
        sampler.take(token)
    answer: list[int] = []
    for event in (event for event in events if event["phase"] == "answer"):
        allowed = prompt.allowed(answer)
        assert allowed is not None and (event["choices"], event["isForced"]) == (len(allowed), len(allowed) == 1)
        answer.append(sampler.draw(logits, allowed))
        assert event["token"] == answer[-1]
        assert CERTAIN * event["probability"] == probability(logits, answer[-1], LOGIT_STEP, allowed)
        sampler.take(answer[-1])
        logits = engine.step(answer[-1])
    assert events[-1]["end"] == "eos" and codec.grammar is not None
    assert codec.grammar.reads(events[-1]["text"].encode())


def int8_step(*caches: int) -> bytes:
    """A layer for each of the caches. Scores are so far from the ends of int8, and the softmax is so flat, that every
    head has shares of its own."""
    scores, masked = Quantization(0.6, 5), Quantization(0.7, 20)
    return attention_step(AttentionSpec(context=6, beta=0.05, scores=scores, masked_scores=masked), caches)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize(
    ("tflite", "layers"),
    [(int8_step(0), 1), (int8_step(0, 1), 2), (test_attention_s16.attention_step(test_attention_s16.Spec()), 1)],
    ids=["one layer", "two layers", "int16"],
)
def test_logits_are_the_hosts_and_every_head_says_where_it_looks(
    tflite: bytes, layers: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    heads = 4
    compiled = compile_model(tflite, tmp_path, WeightLayout.ROW_MAJOR)
    module = built(tmp_path, plain_codec(), tmp_path_factory)
    tokens = [1, 7, 7, 23, 0, 12]
    request = {"do": "steps", "tokens": tokens}
    unseen, seen = drive(module, plain_codec(), [request, {**request, "observes": True}])
    engine = HostEngine(tmp_path, tmp_path / "host", compiled.vocab, compiled.context)
    for position, token in enumerate(tokens):
        logits = engine.step(token)
        for steps in (unseen, seen):
            assert steps[position]["logits"] == logits.tolist()
        assert unseen[position]["attention"] == []
        attention = seen[position]["attention"]
        assert [len(layer) for layer in attention] == [heads] * layers
        for row in (row for layer in attention for row in layer):
            assert [place for place, _ in row] == list(range(position + 1))
            assert all(0 <= share <= 1 for _, share in row)
            # Rows that are not filled take the rest; each share is rounded to 1/256.
            assert 0 < sum(share for _, share in row) <= 1 + len(row) / 512
        if position >= 2:  # the same token twice, in a model that knows no positions
            assert all(row[1][1] == row[2][1] for row in attention[0])
    rows = [tuple(share for _, share in row) for row in seen[-1]["attention"][0]]
    assert len(set(rows)) == heads, "each head looks somewhere else"
