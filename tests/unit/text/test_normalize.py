"""Words of texts as people type them and as speech recognizers write them; skeletons, and words that are restored."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.text.annotation import Word
from pipeline.text.normalize import (
    MAX_RESTORED_BYTES,
    SCRIPTS,
    CodePointClass,
    FoldTable,
    Normalizer,
    build_restore,
    skeleton,
)

NORMALIZER = Normalizer()

COVERED = [chr(code) for blocks in SCRIPTS.values() for first, last in blocks for code in range(first, last + 1)]
MARKS = [chr(code) for code in range(0x300, 0x370) if code != 0x344]

LIKE_PEOPLE = st.text(alphabet="abcABC äÖßẞ.,:'’-−%°1205½\u00a0\u0301\u0308\u00ad\ufe0f", max_size=40)
LETTERS = st.text(alphabet=st.sampled_from([*COVERED, *MARKS, " "]), max_size=30)
TEXTS = st.one_of(LIKE_PEOPLE, LETTERS, st.text(max_size=40))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Case, in all scripts of the tables.
        ("Turn on the light", "turn on the light"),
        ("ŚWIATŁO", "światło"),
        ("ВКЛЮЧИ Ёлку", "включи ёлку"),
        ("ΦΩΣ φως ΣΠΊΤΙ", "φωσ φωσ σπίτι"),
        ("STRAẞE straße", "straße straße"),
        ("İstanbul ISPARTA", "istanbul isparta"),
        ("K Å Ω ſ", "k å ω s"),
        # Composition.
        (unicodedata.normalize("NFD", "fünf Größen"), "fünf größen"),
        (unicodedata.normalize("NFD", "Bật đèn phòng khách, Tiếng Việt"), "bật đèn phòng khách tiếng việt"),
        ("ê\u0323", "ệ"),
        ("e\u0302\u0323", "ệ"),
        ("x\u0301y", "xy"),
        ("\u0301a", "a"),
        # Spaces.
        ("a\u00a0b\tc\u2003d\u3000e\nf", "a b c d e f"),
        ("  lights   on  ", "lights on"),
        ("", ""),
        (" ?! ", ""),
        # Final and inner punctuation.
        ("Turn on the light.", "turn on the light"),
        ("Lights, please!", "lights please"),
        ("What's up?", "what's up"),
        ("wait... what…", "wait what"),
        ("turn on the light.Then the fan", "turn on the light then the fan"),
        ("¿Está encendida?", "está encendida"),
        ("电灯。开", "电灯 开"),
        # Apostrophes and quotes.
        ("don’t don‘t donʼt don′t don`t don´t don＇t", "don't " * 6 + "don't"),
        ("rock 'n' roll, the lights' off", "rock n roll the lights off"),
        ("“quotes” „so“ «y» ‘desk lamp’ 'lamp'", "quotes so y desk lamp lamp"),
        ("l’été o'clock a''b 8'x", "l'été o'clock a b 8 x"),
        # Hyphens, and the sign of a number.
        ("wi-fi living_room on/off a–b", "wi fi living room on off a b"),
        ("-5 degrees, −5, (-5), －５", "-5 degrees -5 -5 -5"),
        ("18-20 5 - 3 20°-25° page-5", "18 20 5 3 20 ° 25 ° page 5"),
        ("to -20.5", "to -20.5"),
        # Full stops, commas and colons in numbers.
        ("20.50.50.5?", "20.50.50.5"),
        ("7:30. 1,000.50, 3.", "7:30 1,000.50 3"),
        (".5 5. a:b a,b", "5 5 a b a b"),
        # Abbreviations.
        ("5 a.m. and 6 P.M", "5 am and 6 pm"),
        ("z.B. die T.V., a.m.on, Dr.Oetker", "zb die tv am on dr oetker"),
        ("10:30p.m. 5a.m", "10:30 pm 5 am"),
        # Numbers with what is written behind them.
        ("5min 20°C 3rd 50%", "5 min 20 ° c 3 rd 50 %"),
        ("1h30m 2x4 5'er", "1 h 30 m 2 x 4 5 er"),
        ("ps5 e27 v2.0 h2o", "ps5 e27 v2.0 h2o"),
        ("1½ cups, ½, ⅔", "1 ½ cups ½ ⅔"),
        ("$5 5€ £3 +5 a&b", "$ 5 5 € £ 3 + 5 a & b"),
        # Digits of other scripts and widths.
        ("２１ ٣٤ ४५ 𝟕 ５０％", "21 34 45 7 50 %"),
        ("ＬＩＧＨＴ　ｏｎ", "light on"),
        # What is not seen, or is a picture.
        ("on💡off 👨‍👩‍👧 5️⃣ ☀️", "on off 5"),
        ("Küchen\u00adlicht \ufefflamp a\u200db", "küchenlicht lamp ab"),
        ("a\u200bb\x00c\x1bd", "a b c d"),
        # Scripts without a table stay as they are.
        ("開ける ไฟ हिन्दी ערב", "開ける ไฟ हिन्दी ערב"),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert NORMALIZER.text(text) == words


def test_words_are_where_they_were_said() -> None:
    text = "Küche: 5min, “O’Clock” a.m. fu\u0308nf\u0301 −5"
    words = NORMALIZER.words(text)
    data = text.encode()
    assert [(word.text, data[word.start : word.end].decode()) for word in words] == [
        ("küche", "Küche"),
        ("5", "5"),
        ("min", "min"),
        ("o'clock", "O’Clock"),
        ("am", "a.m"),
        ("fünf", "fu\u0308nf\u0301"),
        ("-5", "−5"),
    ]
    assert NORMALIZER.words("ab 5min") == [Word("ab", 0, 2), Word("5", 3, 4), Word("min", 4, 7)]


@given(TEXTS)
@example("x5 5x ½5 a.b.c5 -5-5")
def test_normalized_text_stays_as_it_is(text: str) -> None:
    normalized = NORMALIZER.text(text)
    assert NORMALIZER.text(normalized) == normalized
    assert [word.text for word in NORMALIZER.words(text)] == normalized.split(" ") if normalized else not normalized


@given(TEXTS)
def test_slices_of_the_original_are_the_words(text: str) -> None:
    data = text.encode()
    end = 0
    for word in NORMALIZER.words(text):
        assert end <= word.start < word.end <= len(data)
        end = word.end
        assert NORMALIZER.words(data[word.start : end].decode()) == [Word(word.text, 0, end - word.start)]


@given(st.one_of(LIKE_PEOPLE, LETTERS))
def test_composed_and_decomposed_text_are_the_same(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert NORMALIZER.text(composed) == NORMALIZER.text(decomposed)


def test_every_letter_of_the_tables_is_the_same_composed_decomposed_and_in_capitals() -> None:
    for letter in COVERED:
        text = NORMALIZER.text(f"a{letter}b")
        assert text == NORMALIZER.text(unicodedata.normalize("NFD", f"a{letter}b")), ascii(letter)
        if letter.swapcase() in COVERED and letter not in "ıİ":
            assert text == NORMALIZER.text(f"a{letter.swapcase()}b"), ascii(letter)


def test_folding_twice_changes_nothing() -> None:
    table = FoldTable()
    for code in range(0x110000):
        folded = table.fold(code)
        assert folded == code or table.fold(folded) == folded


@pytest.mark.parametrize("text", ["\ud800 a", "a\udfffb", "lamp\ud83d"])
def test_half_a_surrogate_pair_is_a_separator(text: str) -> None:
    assert NORMALIZER.text(text) == " ".join(text.encode("ascii", "replace").decode().replace("?", " ").split())


def test_other_scripts_stay_where_a_table_leaves_them_out() -> None:
    latin = Normalizer(FoldTable(["latin"]))
    assert latin.text("ŚWIATŁO ВКЛЮЧИ ΦΩΣ ２１, “so”") == "światło ВКЛЮЧИ ΦΩΣ 21 so"
    assert skeleton("ёлка", table=latin.table) == "ёлка"
    assert FoldTable(["latin", "cyrillic", "latin"]).scripts == ("cyrillic", "latin")


def test_a_script_without_a_table_is_refused() -> None:
    with pytest.raises(ThimbleError, match="no table folds the script 'runic'"):
        FoldTable(["runic"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("aß開ไ²", CodePointClass.LETTER),
        ("09", CodePointClass.DIGIT),
        ("%°€½⅔&", CodePointClass.SYMBOL),
        (" .'-☂💡。\x00\u00a0\ue000", CodePointClass.SEPARATOR),
        ("\u0301\u00ad\u200d\ufe0f\U000e0101", CodePointClass.IGNORED),
    ],
)
def test_classes(text: str, kind: int) -> None:
    assert {FoldTable().class_of(ord(character)) for character in text} == {kind}


@pytest.mark.parametrize(
    ("word", "umlauts", "plain"),
    [
        ("fünf", True, "funf"),
        ("fuenf", True, "funf"),
        ("fuenf", False, "fuenf"),
        ("größe", True, "grosse"),
        ("światło", False, "swiatlo"),
        ("tiếng", False, "tieng"),
        ("đèn", False, "den"),
        ("ǖ", False, "u"),
        ("æøœþ", False, "aeooeth"),
        ("ǽ", False, "ae"),
        ("æ", True, "a"),
        ("o'clock", False, "oclock"),
        ("ψυχή", False, "ψυχη"),
        ("ёлка", False, "елка"),
        ("йод", False, "йод"),
        ("neue", True, "neu"),
        ("aeee", True, "aee"),
        ("", True, ""),
    ],
)
def test_skeletons(word: str, umlauts: bool, plain: str) -> None:
    assert skeleton(unicodedata.normalize("NFC", word), umlauts) == plain


@given(TEXTS, st.booleans())
def test_skeletons_are_never_longer(text: str, umlauts: bool) -> None:
    for word in NORMALIZER.words(text):
        plain = skeleton(word.text, umlauts)
        assert len(plain.encode()) <= len(word.text.encode())
        assert umlauts or skeleton(plain) == plain


def test_words_whose_accents_are_lost_are_restored() -> None:
    words = ["Große Küche", "Büro", "büro", "lamp", "café"]
    assert build_restore(words, {"lamp"}, umlauts=True) == {
        "grosse": "große",
        "kuche": "küche",
        "buro": "büro",
        "cafe": "café",
    }


def test_words_that_could_be_others_are_not_restored() -> None:
    assert build_restore(["schön", "bär", "bar", "für", "fu\u0308r"], {"schon", "schön"}) == {"fur": "für"}
    assert build_restore(["höhe"], {"hoehe"}, umlauts=True) == {}
    assert build_restore(["йод"], ()) == {}


def test_words_longer_than_the_device_restores_are_left_out() -> None:
    words = ["é" + "x" * (MAX_RESTORED_BYTES - 2), "á" + "x" * (MAX_RESTORED_BYTES - 1)]
    assert list(build_restore(words, ()).values()) == words[:1]


def test_words_that_lost_their_vowel_are_words_of_their_own() -> None:
    normalizer = Normalizer(elided=["l", "d", "qu", "jusqu"])
    assert normalizer.text("éteins L’ampoule d'entrée jusqu'à l'été") == "éteins l' ampoule d' entrée jusqu' à l' été"
    assert normalizer.text("aujourd'hui quelqu'un l' d'1 qu'l'air") == "aujourd'hui quelqu'un l d 1 qu' l' air"
    assert [(word.start, word.end) for word in normalizer.words("é l’air")] == [(0, 2), (3, 7), (7, 10)]
    assert Normalizer().text("l'ampoule") == "l'ampoule"
    with pytest.raises(ThimbleError, match="elided"):
        Normalizer(elided=["l'"])


def test_where_words_are_declined_any_form_of_a_word_is_restored() -> None:
    words = ["następna", "następną", "zasłon", "zasłoń", "światło", "mała"]
    assert build_restore(words, {"mala"}) == {"swiatlo": "światło"}
    restored = {"nastepna": "następną", "zaslon": "zasłoń", "swiatlo": "światło"}
    assert build_restore(words, {"mala"}, any_form=True) == restored
