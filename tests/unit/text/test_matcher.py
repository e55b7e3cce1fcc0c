"""What is known in a sentence: names as they are, in other forms, with typos; quantities; nothing by accident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.languages import load_language_file
from pipeline.text.annotation import Annotated, Entry, Quantity
from pipeline.text.matcher import Annotator, edit_distance
from pipeline.text.normalize import Normalizer, build_restore
from pipeline.text.vocabulary import Inflection, Vocabulary, with_short_forms


class SmallNumbers:
    """A stand-in for the quantities of a language: digits, with "prozent" or "percent"."""

    def at(self, words: Sequence[str], index: int) -> Quantity | None:
        if not words[index].isdigit():
            return None
        if index + 1 < len(words) and words[index + 1] in {"prozent", "percent"}:
            return Quantity("percent", 2, words[index])
        return Quantity("number", 1, words[index])


GERMAN = (
    "schalte schalt mach machst das die der den dem des im in ein einen an aus auf zu mit von und ist sind wie warm es "
    "licht lampe lichter schalter rollladen tür türen fenster heizung temperatur ventilator steckdose helligkeit "
    "stelle dreh prozent grad bitte alle rollo"
)
AREAS = (
    "Küche Flur Wohnzimmer Schlafzimmer Badezimmer Büro Garten Keller Terrasse Kinderzimmer Eingang Gästezimmer Süden"
)
LIGHTS = (
    "Wohnzimmerlampe",
    "Blaue Leuchte",
    "Große Lampe",
    "Schreibtisch Lampe",
    "Kugel",
    "Nachtlicht",
    "Linkes Licht",
    "Rollo links",
)


def annotator(
    language: str, known: str, names: Mapping[str, Sequence[str]], lists: Sequence[Entry] = (), **options: object
) -> Annotator:
    normalizer = Normalizer()
    entries = [Entry(text, kind, text) for kind, texts in names.items() for text in texts]
    words = set(known.split())
    inflection = {**load_language_file(language, "inflection"), **options}
    restore = build_restore(words, words, umlauts=language == "de")
    above_lists = Annotator(normalizer, Vocabulary(lists, normalizer, inflection), SmallNumbers(), words, restore)
    return above_lists.with_entries(entries)


def marked(annotated: Annotated) -> list[tuple[str, str]]:
    """The marked words and the values."""
    words = [word.text for word in annotated.words]
    return [(" ".join(words[mark.first : mark.end]), mark.value) for mark in annotated.marks]


def shown(annotated: Annotated) -> str:
    """The words, the marked ones in brackets."""
    words = [word.text for word in annotated.words]
    for mark in annotated.marks:
        words[mark.first] = "[" + words[mark.first]
        words[mark.end - 1] += "]"
    return " ".join(words)


@pytest.fixture(scope="module")
def german() -> Annotator:
    return annotator("de", GERMAN, {"area": AREAS.split(), "light": LIGHTS})


@pytest.mark.parametrize(
    ("sentence", "expected", "values"),
    [
        ("Küchenlicht an", "[küchen] licht an", "Küche"),
        ("schalte das Licht des Flurs aus", "schalte das licht des [flurs] aus", "Flur"),
        ("mach das Flurlicht an", "mach das [flur] licht an", "Flur"),
        ("Wohnzimmerlampe aus", "[wohnzimmerlampe] aus", "Wohnzimmerlampe"),
        ("die Wohnzimmerlampen an", "die [wohnzimmerlampen] an", "Wohnzimmerlampe"),
        ("licht in der Küche", "licht in der [küche]", "Küche"),
        ("licht in der kueche", "licht in der [kueche]", "Küche"),
        ("licht in der kuche", "licht in der [kuche]", "Küche"),
        ("KÜCHE", "[küche]", "Küche"),
        ("kuechenlicht", "[kuechen] licht", "Küche"),
        ("kuchenlicht", "[kuchen] licht", "Küche"),
        ("das Fenster des Badezimmers", "das fenster des [badezimmers]", "Badezimmer"),
        ("Schlafzimmerrollladen auf", "[schlafzimmer] rollladen auf", "Schlafzimmer"),
        ("Badezimmertuer zu", "[badezimmer] tür zu", "Badezimmer"),
        ("die Lichter der Büros", "die lichter der [büros]", "Büro"),
        ("im buero", "im [buero]", "Büro"),
        ("im Buro ist es warm", "im [buro] ist es warm", "Büro"),
        ("bürolicht", "[büro] licht", "Büro"),
        ("bueroheizung auf 21 grad", "[buero] heizung auf [21] grad", "Büro 21"),
        ("das Licht im Gärten", "das licht im [gärten]", "Garten"),
        ("Gartenlichter aus", "[garten] lichter aus", "Garten"),
        ("im Wohn Zimmer", "im [wohn zimmer]", "Wohnzimmer"),
        ("wohn zimmerfenster", "[wohn zimmer] fenster", "Wohnzimmer"),
        ("die große Lampe", "die [große lampe]", "Große Lampe"),
        ("mit der großen Lampe", "mit der [großen lampe]", "Große Lampe"),
        ("mit der grossen lampe", "mit der [grossen lampe]", "Große Lampe"),
        ("die großen Lampen", "die [großen lampen]", "Große Lampe"),
        ("blauen Leuchten aus", "[blauen leuchten] aus", "Blaue Leuchte"),
        ("das linke Licht", "das [linke licht]", "Linkes Licht"),
        ("mit dem linken Licht", "mit dem [linken licht]", "Linkes Licht"),
        ("Schreibtischlampe an", "[schreibtischlampe] an", "Schreibtisch Lampe"),
        ("die Terrassentür", "die [terrassen] tür", "Terrasse"),
        ("Eingangslicht", "[eingangs] licht", "Eingang"),
        ("Südfenster auf", "[süd] fenster auf", "Süden"),
        ("Kellerlicht", "[keller] licht", "Keller"),
        ("das Licht des Kellers", "das licht des [kellers]", "Keller"),
        ("in den Kellern", "in den [kellern]", "Keller"),
        ("das Kinderzimmers Licht", "das [kinderzimmers] licht", "Kinderzimmer"),
        ("Gaestezimmer-Licht", "[gaestezimmer] licht", "Gästezimmer"),
        ("Küchen-Licht aus", "[küchen] licht aus", "Küche"),
        ("Wohnzimmerkugel", "wohnzimmerkugel", ""),
        ("Wohnzimmerrollo links", "[wohnzimmer] [rollo links]", "Wohnzimmer Rollo links"),
        ("wohnzimer", "[wohnzimer]", "Wohnzimmer"),
        ("schlafzimmmer lcht", "[schlafzimmmer] lcht", "Schlafzimmer"),
        ("badezimemr", "[badezimemr]", "Badezimmer"),
        ("im Kiderzimmr", "im [kiderzimmr]", "Kinderzimmer"),
        ("das nachtlciht", "das [nachtlciht]", "Nachtlicht"),
        ("grosse lampne", "[grosse lampne]", "Große Lampe"),
        ("Flut", "[flut]", "Flur"),
        ("stelle die Kugel auf 40 Prozent", "stelle die [kugel] auf [40 prozent]", "Kugel 40"),
    ],
)
def test_german_forms(german: Annotator, sentence: str, expected: str, values: str) -> None:
    annotated = german.annotate(sentence)
    assert shown(annotated) == expected
    assert " ".join(mark.value for mark in annotated.marks) == values


@pytest.mark.parametrize(
    "sentence",
    [
        "hallo",
        "lichter aus",
        "mach das licht leicht an",
        "wann ist es warm",
        "alle fenster zu",
        "nachts",
        "wie viele sind es",
        "kurze pause",
        "die kunde",
        "der nachtschalter",
        "linke tür",
        "große türen",
        "groß",
    ],
)
def test_german_words_that_are_no_names(german: Annotator, sentence: str) -> None:
    assert not german.annotate(sentence).marks


ENGLISH = (
    "turn on off the in a is all lights light lamp fan set to and please open close window door switch up down my "
    "percent dim what room"
)
ENGLISH_NAMES = {
    "area": ["Kitchen", "Office", "Living Room", "Bedroom", "Hall", "Bath"],
    "light": ["Light", "Desk Lamp", "Ceiling Light", "Rollo A", "Rollo B", "Lamp 1", "Lamp 2", "Nightlight"],
}


@pytest.fixture(scope="module")
def english() -> Annotator:
    return annotator("en", ENGLISH, ENGLISH_NAMES)


@pytest.mark.parametrize(
    ("sentence", "expected", "values"),
    [
        ("turn on the kitchen light", "turn on the [kitchen] [light]", ["Kitchen", "Light"]),
        ("turn off the kitchen's lights", "turn off the [kitchen's] lights", ["Kitchen"]),
        ("the kitchens lamp", "the [kitchens] lamp", ["Kitchen"]),
        ("livingroom", "[livingroom]", ["Living Room"]),
        ("the living room's fan", "the [living room's] fan", ["Living Room"]),
        ("livingroom's fan", "[livingroom's] fan", ["Living Room"]),
        ("bed room lights", "[bed room] lights", ["Bedroom"]),
        ("off ice", "[off ice]", ["Office"]),
        ("bedroomlights off", "[bedroom] lights off", ["Bedroom"]),
        ("night light", "night [light]", ["Light"]),
        ("ceiling lights", "[ceiling lights]", ["Ceiling Light"]),
        ("kitchn", "[kitchn]", ["Kitchen"]),
        ("ktichen", "[ktichen]", ["Kitchen"]),
        ("livin room", "[livin room]", ["Living Room"]),
        ("livngrom", "[livngrom]", ["Living Room"]),
        ("desk lmap", "[desk lmap]", ["Desk Lamp"]),
        ("lamp 2", "[lamp 2]", ["Lamp 2"]),
        ("lamp2 on", "[lamp2] on", ["Lamp 2"]),
        ("rollo a", "[rollo a]", ["Rollo A"]),
        ("rolo b", "[rolo b]", ["Rollo B"]),
        ("set the desk lamp to 30 percent", "set the [desk lamp] to [30 percent]", ["Desk Lamp", "30"]),
    ],
)
def test_english_forms(english: Annotator, sentence: str, expected: str, values: list[str]) -> None:
    annotated = english.annotate(sentence)
    assert shown(annotated) == expected
    assert [mark.value for mark in annotated.marks] == values


@pytest.mark.parametrize(
    "sentence",
    [
        "lights",
        "all lights off",
        "turn it off",
        "kitten",
        "hello",
        "half",
        "lamp",
        "lamp 3",
        "rollo c",
        "bathroom",
        "flight",
        "the room",
        "switch off",
    ],
)
def test_english_words_that_are_no_names(english: Annotator, sentence: str) -> None:
    assert [mark for mark in english.annotate(sentence).marks if not mark.is_quantity] == []


def made(names: str, known: str = "", language: str = "en", lists: str = "", **options: object) -> Annotator:
    """Names and list values, separated by commas; kinds are "name" and "list"."""
    entries = [Entry(text.strip(), "list", text.strip()) for text in lists.split(",") if text]
    return annotator(language, known, {"name": [text.strip() for text in names.split(",")]}, entries, **options)


def test_the_longest_name_wins_and_then_the_one_that_begins_first() -> None:
    assert shown(made("desk, desk lamp, lamp left").annotate("desk lamp left")) == "[desk lamp] left"


def test_a_name_wins_over_a_quantity_as_long_and_loses_to_a_longer_one() -> None:
    found = made("40, room 2").annotate("40 and 40 percent and room 2")
    assert marked(found) == [("40", "40"), ("40 percent", "40"), ("room 2", "room 2")]
    assert [mark.is_quantity for mark in found.marks] == [False, True, False]


def test_entries_of_a_home_count_before_lists_and_the_first_of_equals_counts() -> None:
    found = made("red, blue", lists="red, Red, green").annotate("red green blue")
    assert [(mark.kind, mark.value) for mark in found.marks] == [("name", "red"), ("list", "green"), ("name", "blue")]
    assert made("x", lists="Red, red").annotate("red").marks[0].value == "Red"


def test_a_longer_name_below_wins_over_a_shorter_one_above() -> None:
    assert marked(made("red", lists="red wine").annotate("red wine")) == [("red wine", "red wine")]


def test_with_entries_leaves_what_is_below_as_it_was() -> None:
    below = made("red")
    above = below.with_entries([Entry("blue", "name", "1")])
    assert marked(above.annotate("red blue")) == [("red", "red"), ("blue", "1")]
    assert marked(below.annotate("red blue")) == [("red", "red")]


def test_exact_names_are_found_before_longer_names_in_other_forms() -> None:
    assert marked(made("wohnzimmerlampe, wohnzimmer").annotate("wohnzimmer lampe")) == [("wohnzimmer", "wohnzimmer")]


def test_a_clitic_does_not_make_a_longer_name_lose() -> None:
    assert marked(made("living room, living room lamp").annotate("living room lamp's")) == [
        ("living room lamp's", "living room lamp")
    ]
    assert marked(made("kitchen, kitchen lamp").annotate("kitchen lamps")) == [("kitchen", "kitchen")]
    assert marked(made("what", "what's").annotate("what's")) == []


def test_names_in_other_forms_are_found_before_typos() -> None:
    assert marked(made("rosy, rose").annotate("roses")) == [("roses", "rose")]


def test_known_words_joined_are_no_name_that_is_divided_otherwise() -> None:
    assert not made("ander", "an der licht", "de").annotate("an der").marks
    assert marked(made("anlicht", "an der licht", "de").annotate("an licht")) == [("an licht", "anlicht")]


def test_a_known_word_is_neither_inflected_nor_misspelt() -> None:
    assert not made("garage", "garagen").annotate("garagen").marks
    assert not made("light", "lights").annotate("lights").marks
    assert marked(made("light").annotate("lights")) == [("lights", "light")]


def test_a_known_word_with_a_misspelt_one_may_be_a_name() -> None:
    assert marked(made("desk lamp", "desk").annotate("desk lmp")) == [("desk lmp", "desk lamp")]
    assert not made("desk lamp", "desk camp").annotate("desk camp").marks


@pytest.mark.parametrize(
    ("name", "said", "is_found"),
    [
        ("bad", "bax", False),  # three letters
        ("desk", "dask", True),
        ("desk", "daks", False),  # two edits below nine letters
        ("computer", "compuer", True),
        ("computer", "komputer", False),  # the first letter
        ("computers", "comptre", False),  # three edits
        ("computers", "compuetr", True),
        ("computers", "cmoputesr", True),
        ("studio u12", "studio u13", False),  # digits
        ("studio u12", "stutio u12", True),
        ("red desk lamp", "rad desk lamp", False),  # a short word
        ("red desk lamp", "red deks lamp", True),
        ("deep red lamp", "deepredlmp", False),  # a short word in what is written together
        ("deep blue lamp", "deepbluelmp", True),
    ],
)
def test_typos(name: str, said: str, is_found: bool) -> None:
    assert bool([mark for mark in made(name).annotate(said).marks if not mark.is_quantity]) == is_found


def test_of_misspelt_names_the_nearest_counts_then_the_longest_span_then_the_first() -> None:
    assert marked(made("computer room, computor rooms").annotate("computr room"))[0][1] == "computer room"
    assert marked(made("stadio, studio").annotate("stdio"))[0][1] == "stadio"
    assert marked(made("studio, stadio").annotate("stdio"))[0][1] == "studio"
    assert marked(made("studio", lists="stadio").annotate("stdio"))[0][1] == "studio"


def test_names_shorter_than_three_letters_are_found_as_written_only() -> None:
    assert marked(made("tv", "lamp", "de").annotate("tv tvs tvlamp")) == [("tv", "tv")]


def test_the_longest_name_is_split_off_a_compound() -> None:
    found = made("wohnzimmer, wohnzimmertisch", "tischlampe lampe", "de").annotate("wohnzimmertischlampe")
    assert shown(found) == "[wohnzimmertisch] lampe"


def test_the_parts_of_a_compound_share_its_bytes() -> None:
    found = made("küche, bad", "licht an", "de").annotate("Das KÜCHENLICHT an!")
    assert [(word.text, word.start, word.end) for word in found.words] == [
        ("das", 0, 3),
        ("küchen", 4, 11),
        ("licht", 11, 16),
        ("an", 17, 19),
    ]
    decomposed = "ku\u0308chenlicht"
    found = made("küche", "licht", "de").annotate(decomposed)
    data = decomposed.encode()
    first, second = found.words
    assert data[first.start : first.end].decode() + data[second.start : second.end].decode() == decomposed
    assert (first.text, second.text) == ("küchen", "licht")


def test_marks_behind_a_split_word_move_with_their_words() -> None:
    found = made("küche, bad, garten", "licht und", "de").annotate("küchenlicht und badlicht und garten 5")
    assert shown(found) == "[küchen] licht und [bad] licht und [garten] [5]"


def test_words_are_restored() -> None:
    found = made("x", "schön licht büro tür", "de").annotate("schoen tuer TÜR Buro")
    assert [word.text for word in found.words] == ["schön", "tür", "tür", "büro"]
    assert [(word.start, word.end) for word in found.words] == [(0, 6), (7, 11), (12, 16), (17, 21)]


def test_nothing_is_found_in_nothing() -> None:
    assert made("x").annotate("") == Annotated("", (), ())
    assert not made("").annotate("all that").marks
    assert marked(made("!!, x").annotate("x")) == [("x", "x")]


def test_all_marks_are_returned() -> None:
    assert len(made("lamp").annotate("lamp " * 40).marks) == 40


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "abcd", 1), ("abc", "axc", 1), ("ca", "abc", 3)],
)
def test_edit_distance(left: str, right: str, edits: int) -> None:
    assert edit_distance(left, right) == edit_distance(right, left) == edits


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_edit_distance_is_that_of_the_table(left: str, right: str) -> None:
    table = {(i, j): i + j for i in range(len(left) + 1) for j in range(len(right) + 1)}
    for i, letter in enumerate(left, 1):
        for j, other in enumerate(right, 1):
            steps = [table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (letter != other)]
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                steps.append(table[i - 2, j - 2] + 1)
            table[i, j] = min(steps)
    assert edit_distance(left, right) == table[len(left), len(right)]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"ending": {}}, "unknown key 'ending'"),
        ({"endings": {"first": ["s"]}}, "unknown key 'first'"),
        ({"endings": {"last": [""]}}, "empty ending"),
        ({"endings": {"last": "s"}}, "no list of texts"),
        ({"compounds": {"min_letters": "many"}}, "many"),
        ({"compounds": 3}, "not as its comment says"),
    ],
)
def test_a_damaged_file_is_refused(data: dict[str, object], what: str) -> None:
    with pytest.raises(ThimbleError, match=what):
        Inflection.of(data)


def test_a_name_may_be_said_without_its_small_words() -> None:
    normalizer = Normalizer(elided=["l", "d"])
    inflection = Inflection(elided=("l", "d"), omitted=frozenset({"de", "du", "l'", "d'", "à"}))
    names = ["Lampe de l'entrée", "Porte d'eau", "Porte à eau", "Prise sapin", "Prise du sapin", "De", "Salon"]
    entries = with_short_forms([Entry(name, "light", name) for name in names], normalizer, inflection)
    assert [entry.text for entry in entries] == [*names, "lampe de l entrée", "lampe entrée", "porte d eau"]
    annotator = Annotator(normalizer, Vocabulary(entries, normalizer, inflection), SmallNumbers(), {"allume"}, {})
    marks = annotator.annotate("allume lampe entree et la lampe de l’entrée et lampe de l entrée").marks
    assert [mark.value for mark in marks] == ["Lampe de l'entrée"] * 3
    assert with_short_forms(entries, normalizer, Inflection()) == entries


DECLINED = {
    "Kuchnia": "kuchni kuchnię kuchnią",
    "Łazienka": "łazienki łazience łazienkę łazienek",
    "Ogród": "ogrodu ogrodzie ogrodem",
    "Gabinet": "gabinetu gabinecie",
    "Podjazd": "podjazdu podjeździe",
    "Korytarz": "korytarza korytarzu korytarzem",
    "Wejście": "wejścia wejściu wejściem",
    "Załoga": "załogi załodze załogę",
    "Schody": "schodów schodach",
    "Góra": "górze górę",
    "Stacja": "stacji stację stacje",
    "Kraków": "krakowa krakowie",
    "Krzysiek": "krzyśka krzyśkowi",
    "Paweł": "pawła pawłem",
    "Światło": "świetle światłem",
    "Lewa lampka nocna": "lewą lampkę nocną; lewej lampki nocnej; lewej lampce nocnej",
    "Lampa stojąca": "lampę stojącą; lampy stojącej",
    "Drzwi wejściowe": "drzwi wejściowych; drzwiach wejściowych",
    "Okno dachowe": "okna dachowego; oknie dachowym",
    "Pierwsze piętro": "pierwszym piętrze; pierwszego piętra",
    "Pokój Zosi": "pokoju zosi",
    "Lista zakupów": "listy zakupów; listę zakupów; liście zakupów",
}


@pytest.mark.parametrize(("name", "forms"), DECLINED.items())
def test_polish_names_are_found_in_every_case(name: str, forms: str) -> None:
    inflection = load_language_file("pl", "inflection")
    vocabulary = Vocabulary([Entry(name, "name", name), Entry("Taras", "name", "Taras")], Normalizer(), inflection)
    annotator = Annotator(Normalizer(), vocabulary, SmallNumbers(), {"zgaś", "w"}, {})
    for form in forms.split(";") if ";" in forms or " " in name else forms.split():
        for said in (form.strip(), unaccented(form.strip())):
            marks = annotator.annotate(f"zgaś w {said}").marks
            assert [mark.value for mark in marks] == [name], said


def unaccented(text: str) -> str:
    return text.translate(str.maketrans("ąćęłńóśźż", "acelnoszz"))


def test_a_word_of_the_templates_may_be_a_name_in_another_case() -> None:
    inflection = load_language_file("pl", "inflection")
    names = [Entry(name, "name", name) for name in ("Klimatyzacja", "Zasłony", "Światło")]
    vocabulary = Vocabulary(names, Normalizer(), inflection)
    known = {"klimatyzację", "zasłoń", "światła"}
    marks = Annotator(Normalizer(), vocabulary, SmallNumbers(), known, {}).annotate("klimatyzację zasłoń światła").marks
    assert [mark.value for mark in marks] == ["Klimatyzacja"]


def test_stems_that_cannot_be_are_refused() -> None:
    for stems in (["a"], {"": ["a", "a"]}, {"abc": ["a"]}, {"": [""]}, {"": [str(i) for i in range(256)]}):
        with pytest.raises(ThimbleError, match="inflection"):
            Inflection.of({"endings": {"stems": stems}})
