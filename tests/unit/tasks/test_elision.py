from __future__ import annotations

import pytest

from pipeline.tasks.elision import Elision, elision_of
from pipeline.tasks.phrases import Piece, join, split


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("allume le ampoule", "allume l'ampoule"),
        ("allume l'salon", "allume le salon"),
        ("la lampe du la entrée", "la lampe de l'entrée"),
        ("la lampe de le salon", "la lampe du salon"),
        ("les volets de les chambres", "les volets des chambres"),
        ("va à le étage", "va à l'étage"),
        ("va à le salon", "va au salon"),
        ("dans le hall de le hôtel", "dans le hall de l'hôtel"),
        ("je voudrais que on ne ouvre pas", "je voudrais qu'on n'ouvre pas"),
        ("La ampoule", "L'ampoule"),
    ],
)
def test_french_words_are_as_they_are_said(drawn: str, said: str) -> None:
    assert elision_of("fr").text(drawn, ()) == (said, ())


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("accendi la abat-jour", "accendi l'abat-jour"),
        ("la luce di il soggiorno", "la luce del soggiorno"),
        ("la luce di lo ingresso", "la luce dell'ingresso"),
        ("nel l'ingresso", "nell'ingresso"),
        ("i volumi su il scaffale", "i volumi sullo scaffale"),
        ("apri i scuri", "apri gli scuri"),
        ("spegni i interruttori", "spegni gli interruttori"),
        ("tra una ora", "tra un'ora"),
        ("un studio", "uno studio"),
        ("la accendi tu", "l'accendi tu"),
        ("lo spegni tu", "lo spegni tu"),
        ("dimmi che ore sono", "dimmi che ore sono"),
        ("alle otto", "alle otto"),
        ("gli luci dello cucina", "le luci della cucina"),
        ("nello la cucina", "nella cucina"),
    ],
)
def test_italian_words_are_as_they_are_said(drawn: str, said: str) -> None:
    assert elision_of("it").text(drawn, ()) == (said, ())


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("il|Lampada nel|Cucina", "la Lampada nella Cucina"),
        ("gli|Faretto dei|Studio", "il Faretto dello Studio"),
        ("del|Aspirapolvere", "dell'Aspirapolvere"),
        ("la|Faretti", "i Faretti"),
        ("il|Cassaforte", "la Cassaforte"),
        ("il|Colazione", "la Colazione"),
        ("al|cinquanta per cento", "al cinquanta per cento"),
        ("al|20", "al 20"),
    ],
)
def test_italian_articles_agree_with_names(drawn: str, said: str) -> None:
    pieces = []
    for word in drawn.replace("|", " |").split():
        pieces.append(Piece(word[1:], ((0, len(word) - 1),)) if word[0] == "|" else Piece(word))
    assert join(elision_of("it").join(pieces))[0] == said


def test_italian_enclitics_are_glued() -> None:
    elision = elision_of("it")
    assert [piece.text for piece in elision.split(split("Dimmi l'ora", ()))] == ["dici", "mi", "l'", "ora"]
    for words, said in (
        ("accendi - la", "accendila"),
        ("fa - la partire", "falla partire"),
        ("da - mi la ora", "dammi l'ora"),
        ("dici mi la ora", "dimmi l'ora"),
    ):
        assert join(elision.join([Piece(word) for word in words.split()]))[0] == said


def test_values_stay_where_they_are() -> None:
    text, spans = elision_of("fr").text("règle le du la Entrée de le Hall", ((15, 21), (28, 32)))
    assert [text[first:end] for first, end in spans] == ["Entrée", "Hall"]
    assert text.endswith("de l'Entrée du Hall")


def test_what_hangs_on_a_verb_is_a_piece_and_a_hyphen_joins() -> None:
    elision = elision_of("fr")
    assert [piece.text for piece in elision.split(split("donne-moi l'heure", ()))] == ["donne", "moi", "l'", "heure"]
    said = elision.join([Piece("allume"), Piece("-"), Piece("la"), Piece("à"), Piece("huit")])
    assert join(said)[0] == "allume-la à huit"


@pytest.mark.parametrize("language", ["de", "en", "sv"])
def test_other_languages_change_nothing(language: str) -> None:
    pieces = split("turn l' a de le", ())
    assert elision_of(language).split(pieces) == elision_of(language).join(pieces) == pieces
    assert Elision({}).text("de le", ((0, 2),)) == ("de le", ((0, 2),))


@pytest.mark.parametrize(
    ("drawn", "name", "said"),
    [
        ("apaga el Lámpara", "Lámpara", "apaga la Lámpara"),
        ("la luz del Cocina", "Cocina", "la luz de la Cocina"),
        ("sube las Estores", "Estores", "sube los Estores"),
        ("quita siete minutos al mi cronómetro", "", "quita siete minutos a mi cronómetro"),
        ("pon mi la cuenta atrás", "", "pon mi cuenta atrás"),
        ("ve a el salón", "", "ve al salón"),
        ("De la Salón", "Salón", "Del Salón"),
        ("la planta del Recámara Grande", "Recámara Grande", "la planta de la Recámara Grande"),
        ("enciende el 2", "2", "enciende el 2"),
    ],
)
def test_spanish_articles_agree_and_are_contracted_then(drawn: str, name: str, said: str) -> None:
    start = drawn.find(name)
    text, spans = elision_of("es").text(drawn, ((start, start + len(name)),) if name else ())
    assert text == said
    assert [text[first:end] for first, end in spans] == ([name] if name else [])


def test_spanish_verbs_have_their_pronouns_in_one_word() -> None:
    elision = elision_of("es")
    parts = [piece.text for piece in elision.split(split("enciéndeme la luz del salón", ()))]
    assert parts == ["enciende", "me", "la", "luz", "de", "el", "salón"]
    assert join(elision.join([Piece("súbe"), Piece("-"), Piece("la"), Piece("al"), Piece("10")]))[0] == "súbela al 10"
    assert join(elision.join(split("apaga me la luz", ())))[0] == "apágame la luz"


def test_nothing_said_is_nothing() -> None:
    assert elision_of("fr").text("", ()) == ("", ())
