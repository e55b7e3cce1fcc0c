import pytest

from pipeline.tasks.number_words import quantities

ENGLISH = {
    # numbers
    "17": "17 number 17",
    "-5": "-5 number -5",
    "007": "007 number 7",
    "2.5": "2.5 number 2.5",
    "2,5": "2,5 number 2.5",
    "21.50": "21.50 number 21.5",
    "1,500": "1,500 number 1500",
    "1,234,567": "1,234,567 number 1234567",
    "1,234.5": "1,234.5 number 1234.5",
    "1.500": "1.500 number 1.5",
    "zero": "zero number 0",
    "one": "one number 1",
    "twenty five": "twenty five number 25",
    "twentyfive": "twentyfive number 25",
    "two hundred and five": "two hundred and five number 205",
    "a hundred": "a hundred number 100",
    "hundred": "hundred number 100",
    "fifteen hundred": "fifteen hundred number 1500",
    "a thousand and one": "a thousand and one number 1001",
    "two million three hundred thousand and one": "two million three hundred thousand and one number 2300001",
    "3 thousand": "3 thousand number 3000",
    "1.5 million": "1.5 million number 1500000",
    "minus five": "minus five number -5",
    "negative twenty one": "negative twenty one number -21",
    "two point five": "two point five number 2.5",
    "zero point two five": "zero point two five number 0.25",
    "twenty one point seventy five": "twenty one point seventy five number 21.75",
    "½": "½ number 0.5",
    "2 ½": "2 ½ number 2.5",
    "two and a half": "two and a half number 2.5",
    "three and a quarter": "three and a quarter number 3.25",
    "three quarters": "three quarters number 0.75",
    "one third": "one third number 0.333333",
    "half a cup": "half number 0.5",
    "set lamp one and two": "one number 1; two number 2",
    "from 10 to 12": "10 number 10; 12 number 12",
    # percent, degrees
    "50 %": "50 % percent 50",
    "fifty percent": "fifty percent percent 50",
    "a hundred per cent": "a hundred per cent percent 100",
    "half a percent": "half a percent percent 0.5",
    "two and a half percent": "two and a half percent percent 2.5",
    "20 ° c": "20 ° c degrees 20",
    "21.5 degrees": "21.5 degrees degrees 21.5",
    "seventy two degrees fahrenheit": "seventy two degrees fahrenheit degrees 72",
    "minus five degrees celsius": "minus five degrees celsius degrees -5",
    "a degree warmer": "a degree degrees 1",
    "half a degree": "half a degree degrees 0.5",
    "20 celsius": "20 celsius degrees 20",
    # clock times
    "7:20": "7:20 time 07:20",
    "19:05": "19:05 time 19:05",
    "24:00": "24:00 time 00:00",
    "7:20 pm": "7:20 pm time 19:20",
    "7 20 am": "7 20 am time 07:20",
    "7.30 pm": "7.30 pm time 19:30",
    "7 pm": "7 pm time 19:00",
    "12 am": "12 am time 00:00",
    "12 pm": "12 pm time 12:00",
    "seven thirty pm": "seven thirty pm time 19:30",
    "at seven thirty": "seven thirty time 07:30",
    "seven oh five": "seven oh five time 07:05",
    "quarter past eight": "quarter past eight time 08:15",
    "a quarter to nine": "a quarter to nine time 08:45",
    "half past seven": "half past seven time 07:30",
    "half past seven in the evening": "half past seven in the evening time 19:30",
    "half seven": "half seven time 07:30",
    "ten to six": "ten to six time 05:50",
    "twenty five past ten": "twenty five past ten time 10:25",
    "seven minutes past three": "seven minutes past three time 03:07",
    "five to twelve at night": "five to twelve at night time 23:55",
    "eight o'clock": "eight o'clock time 08:00",
    "eight o clock": "eight o clock time 08:00",
    "eight o'clock in the evening": "eight o'clock in the evening time 20:00",
    "three in the afternoon": "three in the afternoon time 15:00",
    "six this morning": "six this morning time 06:00",
    "tomorrow morning at seven": "tomorrow date tomorrow; morning at seven time 07:00",
    "monday evening at six": "monday date monday; evening at six time 18:00",
    "tonight at eight": "tonight at eight time 20:00",
    "eight tonight": "eight tonight time 20:00",
    "noon": "noon time 12:00",
    "midnight": "midnight time 00:00",
    # durations
    "1 hour and 30 minutes": "1 hour and 30 minutes duration PT1H30M",
    "90 sec": "90 sec duration PT90S",
    "90 minutes": "90 minutes duration PT90M",
    "1.5 hours": "1.5 hours duration PT1H30M",
    "half an hour": "half an hour duration PT30M",
    "half hour": "half hour duration PT30M",
    "an hour": "an hour duration PT1H",
    "an hour and a half": "an hour and a half duration PT1H30M",
    "two and a half hours": "two and a half hours duration PT2H30M",
    "a quarter of an hour": "a quarter of an hour duration PT15M",
    "three quarters of an hour": "three quarters of an hour duration PT45M",
    "5 min": "5 min duration PT5M",
    "1 h30": "1 h30 duration PT1H30M",
    "1 h 30": "1 h 30 duration PT1H30M",
    "1 hour 2 minutes 3 seconds": "1 hour 2 minutes 3 seconds duration PT1H2M3S",
    "a hundred and fifty minutes": "a hundred and fifty minutes duration PT150M",
    "two weeks and three days": "two weeks and three days duration P2W3D",
    "a day and a half": "a day and a half duration P1DT12H",
    "0 seconds": "0 seconds duration PT0S",
    "2 hours 20 percent": "2 hours duration PT2H; 20 percent percent 20",
    "ten minutes at noon": "ten minutes duration PT10M; noon time 12:00",
    "lamp two after ten minutes": "two number 2; ten minutes duration PT10M",
    # dates
    "on friday": "friday date friday",
    "today": "today date today",
    "tomorrow": "tomorrow date tomorrow",
    "the day after tomorrow": "the day after tomorrow date day-after-tomorrow",
    "on the 3 rd": "the 3 rd date ---03",
    "on the twenty third at noon": "the twenty third date ---23; noon time 12:00",
    "december 24 th": "december 24 th date --12-24",
    "the 24 th of december": "the 24 th of december date --12-24",
    "may 5": "may 5 date --05-05",
    # nothing
    "one more thing": "",
    "no one is here": "",
    "this one": "",
    "a light": "",
    "an apple": "",
    "second floor": "",
    "on the second floor": "",
    "the third lamp": "",
    "may i": "",
    "march on": "",
    "half open": "",
    "often": "",
    "in the evening": "",
    "february 30": "30 number 30",
    "25:00": "",
    "7:5": "",
    "19:05:30": "",
    "1,234.567,8": "",
    "1.2.3": "",
    "1,23,456": "",
    "1234567890": "",
}

GERMAN = {
    "dreihundertvierzig": "dreihundertvierzig number 340",
    "drei hundert vierzig": "drei hundert vierzig number 340",
    "zwölf": "zwölf number 12",
    "zwoelf": "zwoelf number 12",
    "zwolf": "zwolf number 12",
    "dreissig": "dreissig number 30",
    "fuenf und zwanzig": "fuenf und zwanzig number 25",
    "zwo": "zwo number 2",
    "hundertundeins": "hundertundeins number 101",
    "tausend": "tausend number 1000",
    "zwei millionen dreihunderttausend": "zwei millionen dreihunderttausend number 2300000",
    "2,5": "2,5 number 2.5",
    "2.5": "2.5 number 2.5",
    "1.500": "1.500 number 1500",
    "1.234,5": "1.234,5 number 1234.5",
    "zwei komma fünf": "zwei komma fünf number 2.5",
    "null komma zwei fünf": "null komma zwei fünf number 0.25",
    "minus fünf": "minus fünf number -5",
    "anderthalb": "anderthalb number 1.5",
    "eineinhalb": "eineinhalb number 1.5",
    "zweieinhalb": "zweieinhalb number 2.5",
    "zwei einhalb": "zwei einhalb number 2.5",
    "ein viertel": "ein viertel number 0.25",
    "drei viertel": "drei viertel number 0.75",
    "eine halbe tasse": "eine halbe number 0.5",
    "halbe tasse": "halbe number 0.5",
    "50 %": "50 % percent 50",
    "ein prozent": "ein prozent percent 1",
    "minus fünf grad": "minus fünf grad degrees -5",
    "ein halbes grad": "ein halbes grad degrees 0.5",
    "21,5 grad celsius": "21,5 grad celsius degrees 21.5",
    # clock times
    "7:20 uhr": "7:20 uhr time 07:20",
    "7.20 uhr": "7.20 uhr time 07:20",
    "um ein uhr": "ein uhr time 01:00",
    "um 5 uhr früh": "5 uhr früh time 05:00",
    "20 uhr 15": "20 uhr 15 time 20:15",
    "sechs uhr dreißig abends": "sechs uhr dreißig abends time 18:30",
    "um sieben dreißig": "sieben dreißig time 07:30",
    "halb neun": "halb neun time 08:30",
    "halb eins": "halb eins time 00:30",
    "halb eins mittags": "halb eins mittags time 12:30",
    "viertel nach acht": "viertel nach acht time 08:15",
    "viertel vor acht abends": "viertel vor acht abends time 19:45",
    "viertel neun": "viertel neun time 08:15",
    "dreiviertel neun": "dreiviertel neun time 08:45",
    "drei viertel neun": "drei viertel neun time 08:45",
    "fünf vor halb acht": "fünf vor halb acht time 07:25",
    "fünf nach halb acht": "fünf nach halb acht time 07:35",
    "zehn minuten vor sechs": "zehn minuten vor sechs time 05:50",
    "zehn nach sechs": "zehn nach sechs time 06:10",
    "acht uhr in der früh": "acht uhr in der früh time 08:00",
    "morgen früh um sieben": "morgen date tomorrow; früh um sieben time 07:00",
    "heute abend um acht": "heute date today; abend um acht time 20:00",
    "freitag abend um acht": "freitag date friday; abend um acht time 20:00",
    "um acht uhr meine lampe": "acht uhr time 08:00",
    "mittags": "mittags time 12:00",
    "mitternacht": "mitternacht time 00:00",
    "lampe zwei nach 10 minuten": "zwei number 2; 10 minuten duration PT10M",
    # durations
    "anderthalb stunden": "anderthalb stunden duration PT1H30M",
    "eineinhalb stunden": "eineinhalb stunden duration PT1H30M",
    "zweieinhalb stunden": "zweieinhalb stunden duration PT2H30M",
    "fünf minuten und zehn sekunden": "fünf minuten und zehn sekunden duration PT5M10S",
    "5 min": "5 min duration PT5M",
    "eine stunde": "eine stunde duration PT1H",
    "in einer minute": "einer minute duration PT1M",
    "1 h30": "1 h30 duration PT1H30M",
    "eine halbe stunde": "eine halbe stunde duration PT30M",
    "halbe stunde": "halbe stunde duration PT30M",
    "viertelstunde": "viertelstunde duration PT15M",
    "dreiviertelstunde": "dreiviertelstunde duration PT45M",
    "zwei und eine halbe stunde": "zwei und eine halbe stunde duration PT2H30M",
    "fünfminuten": "fünfminuten duration PT5M",
    "90 minuten": "90 minuten duration PT90M",
    "eine woche": "eine woche duration P1W",
    # dates
    "am freitag": "freitag date friday",
    "übermorgen": "übermorgen date day-after-tomorrow",
    "morgen": "morgen date tomorrow",
    "am dritten": "dritten date ---03",
    "am einundzwanzigsten um acht uhr": "einundzwanzigsten date ---21; acht uhr time 08:00",
    "am 3": "3 date ---03",
    "am 24 dezember": "24 dezember date --12-24",
    "am ersten mai": "ersten mai date --05-01",
    "am 24.12": "24.12 date --12-24",
    # nothing
    "halb offen": "",
    "ein licht": "",
    "eine lampe": "",
    "guten morgen": "",
    "am dritten fenster": "",
    "einsam": "",
    "eins der geräte": "",
    "achtung": "",
    "heutig": "",
    "abends": "",
    "stunden": "",
    "viertel": "",
}

FRENCH = {
    "vingt et un": "vingt et un number 21",
    "soixante dix": "soixante dix number 70",
    "soixante et onze": "soixante et onze number 71",
    "quatre vingts": "quatre vingts number 80",
    "quatre vingt dix neuf": "quatre vingt dix neuf number 99",
    "septante": "septante number 70",
    "nonante cinq": "nonante cinq number 95",
    "huitante et un": "huitante et un number 81",
    "deux cent cinquante": "deux cent cinquante number 250",
    "un minuteur": "",
    "deux et demi": "deux et demi number 2.5",
    "cinquante pour cent": "cinquante pour cent percent 50",
    "50 pourcent": "50 pourcent percent 50",
    "vingt et un degrés": "vingt et un degrés degrees 21",
    "dix neuf virgule cinq degrés": "dix neuf virgule cinq degrés degrees 19.5",
    "moins trois degrés": "moins trois degrés degrees -3",
    "dans une demi heure": "une demi heure duration PT30M",
    "une heure et demie": "une heure et demie duration PT1H30M",
    "deux heures et quart": "deux heures et quart duration PT2H15M",
    "trois quarts d' heure": "trois quarts d' heure duration PT45M",
    "un quart d' heure": "un quart d' heure duration PT15M",
    "1 h 30": "1 h 30 duration PT1H30M",
    "2 h et 16 min": "2 h et 16 min duration PT2H16M",
    "une minute et demie": "une minute et demie duration PT1M30S",
    "huit heures": "huit heures duration PT8H",
    "à huit heures": "à huit heures time 08:00",
    "il y a 2 heures": "2 heures duration PT2H",
    "à huit heures et demie": "à huit heures et demie time 08:30",
    "à huit heures moins le quart": "à huit heures moins le quart time 07:45",
    "à huit heures moins dix": "à huit heures moins dix time 07:50",
    "à vingt heures trente": "à vingt heures trente time 20:30",
    "à 20 h 30": "à 20 h 30 time 20:30",
    "midi": "midi time 12:00",
    "à midi et demi": "à midi et demi time 12:30",
    "minuit": "minuit time 00:00",
    "cet après midi": "",
    "huit heures du matin": "huit heures du matin time 08:00",
    "à sept heures du soir": "à sept heures du soir time 19:00",
    "ce soir à huit heures": "ce soir à huit heures time 20:00",
    "demain": "demain date tomorrow",
    "après demain": "après demain date day-after-tomorrow",
    "le 12 mai": "le 12 mai date --05-12",
    "le 2 e étage": "2 number 2",
}


POLISH = {
    "dwadzieścia jeden": "dwadzieścia jeden number 21",
    "dwudziestu dwóch": "dwudziestu dwóch number 22",
    "dwieście trzydzieści": "dwieście trzydzieści number 230",
    "dwa tysiące": "dwa tysiące number 2000",
    "jedna lampa": "",
    "pięćdziesiąt procent": "pięćdziesiąt procent percent 50",
    "50 %": "50 % percent 50",
    "dwadzieścia jeden i pół stopnia": "dwadzieścia jeden i pół stopnia degrees 21.5",
    "dziewiętnaście przecinek pięć stopnia": "dziewiętnaście przecinek pięć stopnia degrees 19.5",
    "minus trzy stopnie": "minus trzy stopnie degrees -3",
    "o pięć stopni": "pięć stopni degrees 5",
    "za pół godziny": "pół godziny duration PT30M",
    "półtorej godziny": "półtorej godziny duration PT1H30M",
    "dwie i pół godziny": "dwie i pół godziny duration PT2H30M",
    "za godzinę": "godzinę duration PT1H",
    "godzinę i pół": "godzinę i pół duration PT1H30M",
    "godzinę i piętnaście minut": "godzinę i piętnaście minut duration PT1H15M",
    "jedną godzinę i 15 minut": "jedną godzinę i 15 minut duration PT1H15M",
    "w ciągu godziny": "",
    "o ósmej": "ósmej time 08:00",
    "o osiem": "osiem number 8",
    "kwadrans po ósmej": "kwadrans po ósmej time 08:15",
    "za piętnaście ósma": "za piętnaście ósma time 07:45",
    "za kwadrans ósma": "za kwadrans ósma time 07:45",
    "wpół do dziewiątej": "wpół do dziewiątej time 08:30",
    "za pięć wpół do ósmej": "za pięć wpół do ósmej time 07:25",
    "dziesięć po ósmej": "dziesięć po ósmej time 08:10",
    "o siódmej wieczorem": "siódmej wieczorem time 19:00",
    "o trzeciej po południu": "trzeciej po południu time 15:00",
    "o dwudziestej pierwszej": "dwudziestej pierwszej time 21:00",
    "o dwudziestej trzydzieści": "dwudziestej trzydzieści time 20:30",
    "o ósmej zero pięć": "ósmej zero pięć time 08:05",
    "o godzinie 20": "20 time 20:00",
    "w południe": "południe time 12:00",
    "po południu": "",
    "o północy": "północy time 00:00",
    "jutro o szóstej rano": "jutro date tomorrow; szóstej rano time 06:00",
    "dwudziestego pierwszego grudnia": "dwudziestego pierwszego grudnia date --12-21",
    "w środę": "środę date wednesday",
    "na pierwszym piętrze": "",
    "drugą lampę": "",
    "o trzydziestej": "",
}


def read(language: str, sentence: str) -> str:
    words, index, found = sentence.split(), 0, []
    reader = quantities(language)
    while index < len(words):
        quantity = reader.at(words, index)
        if quantity is None:
            index += 1
        else:
            text = " ".join(words[index : index + quantity.count])
            found.append(f"{text} {quantity.kind} {quantity.value}")
            index += quantity.count
    return "; ".join(found)


@pytest.mark.parametrize(("sentence", "expected"), ENGLISH.items())
def test_english(sentence: str, expected: str) -> None:
    assert read("en", sentence) == expected


@pytest.mark.parametrize(("sentence", "expected"), GERMAN.items())
def test_german(sentence: str, expected: str) -> None:
    assert read("de", sentence) == expected


@pytest.mark.parametrize(("sentence", "expected"), FRENCH.items())
def test_french(sentence: str, expected: str) -> None:
    assert read("fr", sentence) == expected


@pytest.mark.parametrize(("sentence", "expected"), POLISH.items())
def test_polish(sentence: str, expected: str) -> None:
    assert read("pl", sentence) == expected


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("1.5 hours", (("hours", "1"), ("minutes", "30"))),
        ("90 minutes", (("minutes", "90"),)),
        ("half a minute", (("seconds", "30"),)),
        ("1.5 hours and 40 minutes", (("hours", "1"), ("minutes", "70"))),
        ("two and a half days", (("days", "2"), ("hours", "12"))),
        ("a week and a half", (("weeks", "1"), ("days", "3"), ("hours", "12"))),
        ("0 minutes", ()),
    ],
)
def test_parts_of_a_duration(words: str, parts: tuple[tuple[str, str], ...]) -> None:
    found = quantities("en").at(words.split(), 0)
    assert found is not None
    assert (found.kind, found.parts) == ("duration", parts)


def test_a_duration_below_a_second_is_a_number() -> None:
    assert read("en", "1.5 seconds") == "1.5 number 1.5"


@pytest.mark.parametrize("language", ["en", "de"])
def test_any_number_of_minutes_is_read_back(language: str) -> None:
    unit = {"en": "minutes", "de": "minuten"}[language]
    for number in range(2, 600):
        found = quantities(language).at([str(number), unit], 0)
        assert found is not None
        assert found.value == f"PT{number}M"
