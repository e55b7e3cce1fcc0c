"""The tables of `bench accuracy`: what is counted at the recipe's threshold and at others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.bench.accuracy import THRESHOLDS, Row, foreign_rows, inflected_tests, without_accents
from pipeline.errors import ThimbleError
from pipeline.stages.understanding import Listener
from pipeline.text.answers import NO_MATCH, StructuredAnswer
from pipeline.verification.reply import Reply

_REPLIES = {
    "turn it on": Reply("HassTurnOn name=Lamp", round(0.95 * 65536)),
    "nice weather": Reply("HassGetWeather", round(0.6 * 65536)),
    "hello": Reply(NO_MATCH, round(0.9 * 65536)),
}


def _rows(tmp_path: Path) -> list[Row]:
    listener = Listener(_REPLIES.__getitem__, ("name",))
    path = tmp_path / "foreign.jsonl"
    path.write_text("".join(json.dumps({"sentence": sentence}) + "\n" for sentence in _REPLIES))
    own = 0.5
    asked = {
        "model": lambda sentence: listener.understand_at(sentence, (own, *THRESHOLDS)),
        "peer": lambda sentence: [StructuredAnswer(NO_MATCH)],
    }
    return list(foreign_rows("en", path, None, asked))


def test_each_sentence_is_counted_at_each_threshold(tmp_path: Path) -> None:
    model, peer = _rows(tmp_path)
    assert (model.verdict.right, model.verdict.wrong) == (1, 2)
    wrong = {threshold: verdict.wrong for threshold, verdict in model.by_threshold.items()}
    assert wrong == {0.0: 2, 0.3: 2, 0.5: 2, 0.7: 1, 0.8: 1, 0.9: 1}
    assert all(verdict.total == 3 for verdict in model.by_threshold.values())
    assert (peer.verdict.right, peer.by_threshold) == (3, {})


def test_the_file_holds_the_counts_of_the_table(tmp_path: Path) -> None:
    model, peer = (row.as_dict() for row in _rows(tmp_path))
    assert isinstance(model["thresholds"], dict)
    assert model["thresholds"]["0.7"] == {"right": 2, "nothing": 0, "wrong": 1}
    assert "thresholds" not in peer


def test_letters_lose_their_accents_and_nothing_else() -> None:
    assert without_accents("Włącz światło, cœur brûlé, ¿más?") == "Wlacz swiatlo, coeur brule, ¿mas?"


def test_names_in_another_form_are_read_from_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "inflected.it.jsonl"
    path.write_text('{"sentence": "apri", "intent": "Open", "slots": {"name": "Tenda"}}\n', encoding="utf-8")
    (test,) = inflected_tests(tmp_path, "it")
    assert test.sentence == "apri" and test.answers[0].slots == {"name": "Tenda"}
    assert inflected_tests(tmp_path, "fr") == inflected_tests(None, "it") == []
    path.write_text('{"sentence": "apri"}\n', encoding="utf-8")
    with pytest.raises(ThimbleError, match=r"inflected\.it\.jsonl"):
        inflected_tests(tmp_path, "it")
