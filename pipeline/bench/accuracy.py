"""`thimble bench accuracy`: how often models do what people say, nothing, or something else.

People's sentences come first: those of Home Assistant's own authors, commands in homes that others have described,
sentences on which nothing may be done, and the tests that lie beside each model. hassil stands beside the models.
On this machine each sentence is asked once, and a second table says what other thresholds would make of the answers.
"""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.bench.assist import AssistSentence, by_home, read_assist
from pipeline.bench.hassil_peer import HassilPeer
from pipeline.bench.people import HomeNames, PeopleSentence, is_right, read_checkout, read_folder
from pipeline.errors import ThimbleError
from pipeline.files import write_json
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.recipes.paths import MODELS
from pipeline.recipes.schema import CommandsConfig, HomeAssistantConfig
from pipeline.stages.understanding import HOST, Place, listening
from pipeline.tasks.home_file import load_home
from pipeline.tasks.tests_file import ExpectedAnswer, SentenceTest, Verdict, load_tests, score, wilson
from pipeline.text.answers import NO_MATCH, StructuredAnswer
from pipeline.workflow.shipped import recipes_with_weights

__all__ = [
    "THRESHOLDS",
    "AccuracyOptions",
    "Asked",
    "Row",
    "foreign_rows",
    "inflected_tests",
    "run_accuracy",
    "shipped_recipes",
    "without_accents",
]

HASSIL = "hassil"
THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9)
"""Of confidence, at which answers are counted besides the recipe's own."""
_VERDICTS = ("right", "nothing", "wrong")
Asked = Callable[[str], Sequence[StructuredAnswer]]
"""The answers to a sentence: at the recipe's threshold, then at each other one that is counted, if any."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "œ": "oe", "ß": "ss"})


@dataclass(frozen=True)
class AccuracyOptions:
    """What is measured.

    Attributes:
        recipes: of the models.
        build: where their artifacts are.
        place: where they run.
        sentences: folder with `LANG.jsonl` and `LANG.home.json`; None: not measured.
        intents: checkout of home-assistant/intents, instead.
        assist: folder with `assist.jsonl`; None: not measured.
        foreign: files of sentences on which nothing may be done, by language.
        limit: of sentences of each table; None: all.
    """

    recipes: tuple[Path, ...]
    build: Path
    place: Place
    sentences: Path | None = None
    intents: Path | None = None
    assist: Path | None = None
    foreign: Mapping[str, Path] = field(default_factory=dict)
    inflected: Path | None = None
    limit: int | None = None


@dataclass
class Row:
    """A line of a table: what was measured by whom, and what came out.

    Attributes:
        verdicts: at the recipe's threshold, then at each of `THRESHOLDS` where they were counted.
    """

    what: str
    who: str
    verdicts: Sequence[Verdict]

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[0]

    @property
    def by_threshold(self) -> Mapping[float, Verdict]:
        return dict(zip(THRESHOLDS, self.verdicts[1:], strict=False))

    def as_dict(self) -> dict[str, object]:
        at = {str(threshold): _counts(verdict) for threshold, verdict in self.by_threshold.items()}
        return {"what": self.what, "who": self.who, **_counts(self.verdict), **({"thresholds": at} if at else {})}


def shipped_recipes() -> list[Path]:
    """The recipes of all shipped models that have weights."""
    return [recipe.path for recipe in recipes_with_weights()]


def run_accuracy(options: AccuracyOptions, console: Console) -> None:
    """Measures, prints the table, and writes `bench/accuracy.json`.

    Raises:
        ThimbleError: from the stages; files that cannot be read.
    """
    rows: list[Row] = []
    for path in options.recipes:
        recipe = load_recipe(path)
        for row in _model_rows(recipe, options, console):
            rows.append(row)
            console.print(f"{row.what}: {row.who}: {_shares(row.verdict)}")
    folder = options.build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "accuracy.json", {"rows": [row.as_dict() for row in rows], "place": options.place.name})
    wide = console if console.is_terminal else Console(width=160)
    wide.print(_table(rows))
    if any(row.by_threshold for row in rows):
        wide.print(_threshold_table(rows))


@dataclass(frozen=True)
class _Model:
    """A recipe's model, asked with no threshold of its own where other thresholds are counted."""

    recipe: Recipe
    options: AccuracyOptions
    console: Console

    @contextmanager
    def asked(self, home: Path | None) -> Iterator[Asked]:
        own = self.recipe.answers.threshold
        if self.options.place.name != HOST:
            with listening(self.recipe, self.options.build, self.options.place, home, self.console) as listener:
                yield lambda sentence: [listener.understand(sentence)]
            return
        bare = self.recipe.replace(answers=self.recipe.answers.replace(threshold=0.0))
        with listening(bare, self.options.build, self.options.place, home, self.console) as listener:
            yield lambda sentence: listener.understand_at(sentence, (own, *THRESHOLDS))


def _model_rows(recipe: Recipe, options: AccuracyOptions, console: Console) -> Iterable[Row]:
    task = recipe.task
    if isinstance(task, HomeAssistantConfig):
        yield from _home_rows(recipe, task.language.split("-", maxsplit=1)[0], options, console)
    tests = recipe.path.parent / (task.tests or "" if isinstance(task, CommandsConfig) else "tests.yaml")
    shared_tests = MODELS / "home-en-small" / "tests.yaml"
    if not tests.is_file() and isinstance(task, HomeAssistantConfig) and task.language == "en":
        tests = shared_tests
    if tests.is_file():
        with _Model(recipe, options, console).asked(None) as ask:
            yield from _tests_rows(recipe.name, load_tests(tests)[: options.limit], ask)
            if isinstance(task, HomeAssistantConfig):
                names = inflected_tests(options.inflected, task.language.split("-", maxsplit=1)[0])[: options.limit]
                if names:
                    what = f"names in another form, {task.language}"
                    yield Row(what, recipe.name, _counted(_test_verdicts(names, ask)))


def _home_rows(recipe: Recipe, language: str, options: AccuracyOptions, console: Console) -> Iterable[Row]:
    with tempfile.TemporaryDirectory() as folder:
        people = _people(language, options, Path(folder))
        if people is not None:
            sentences, home = people
            sentences = sentences[: options.limit]
            names = HomeNames.of(json.loads(home.read_text(encoding="utf-8")))
            peer = HassilPeer(language, load_home(home))
            with _Model(recipe, options, console).asked(home) as ask:
                askers = {recipe.name: ask, HASSIL: _only(peer)}
                yield from _people_rows(language, sentences, names, askers)
                foreign = options.foreign.get(language)
                if foreign is not None:
                    yield from foreign_rows(language, foreign, options.limit, askers)
    if language == "en" and options.assist is not None:
        yield from _assist_rows(recipe, options, console)


def _people(language: str, options: AccuracyOptions, folder: Path) -> tuple[list[PeopleSentence], Path] | None:
    if options.intents is not None:
        sentences, data = read_checkout(options.intents, language)
        home = folder / f"{language}.home.json"
        write_json(home, data)
        return sentences, home
    if options.sentences is None or not (options.sentences / f"{language}.jsonl").exists():
        return None
    return read_folder(options.sentences, language)


def _people_rows(
    language: str, sentences: Sequence[PeopleSentence], names: HomeNames, askers: Mapping[str, Asked]
) -> Iterable[Row]:
    known = [sentence for sentence in sentences if sentence.in_package]
    parts = {f"people, {language}": list(sentences)}
    if known and len(known) < len(sentences):
        parts[f"people, {language}, of them read by the published templates"] = known

    def verdicts(answers: Sequence[StructuredAnswer], sentence: PeopleSentence) -> list[str]:
        return [
            "nothing"
            if answer.intent == NO_MATCH or not answer.intent
            else ("right" if is_right(answer, sentence.accepted, names) else "wrong")
            for answer in answers
        ]

    for who, ask in askers.items():
        outcomes = {sentence.sentence: verdicts(ask(sentence.sentence), sentence) for sentence in sentences}
        for what, part in parts.items():
            yield Row(what, who, _counted(outcomes[sentence.sentence] for sentence in part))
        if language != "en":
            how, rewrite = (
                ("with ae, oe, ue", with_digraphs) if language == "de" else ("without accents", without_accents)
            )
            plain = (verdicts(ask(rewrite(each.sentence)), _also_rewritten(each, rewrite)) for each in sentences)
            yield Row(f"people, {language}, written {how}", who, _counted(plain))


def _also_rewritten(sentence: PeopleSentence, rewrite: Callable[[str], str]) -> PeopleSentence:
    """With answers whose text is as it was written: a title that was said without accents has none."""
    plain = (
        StructuredAnswer(answer.intent, {slot: rewrite(value) for slot, value in answer.slots.items()})
        for answer in sentence.accepted
    )
    return replace(sentence, accepted=(*sentence.accepted, *plain))


def with_digraphs(sentence: str) -> str:
    """A German sentence as it is written on a keyboard without umlauts."""
    return sentence.translate(_UMLAUTS)


def without_accents(sentence: str) -> str:
    """The sentence in letters that have no accents."""
    letters = unicodedata.normalize("NFD", sentence.translate(_LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def inflected_tests(folder: Path | None, language: str) -> list[SentenceTest]:
    """Sentences whose names stand in another form than in the home.

    Raises:
        ThimbleError: the file cannot be read.
    """
    path = None if folder is None else folder / f"inflected.{language}.jsonl"
    if path is None or not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [
            SentenceTest(
                sentence=line["sentence"], answers=(ExpectedAnswer(intent=line["intent"], slots=line["slots"]),)
            )
            for line in lines
        ]
    except (OSError, ValueError, KeyError) as error:
        raise ThimbleError(
            f"cannot read {path}: {error}", "write lines of JSON with `sentence`, `intent` and `slots`"
        ) from None


def foreign_rows(language: str, path: Path, limit: int | None, askers: Mapping[str, Asked]) -> Iterable[Row]:
    """Sentences on which nothing may be done.

    Args:
        language: of the sentences.
        path: a file with a line of JSON each, with `sentence`.
        limit: of sentences; None: all.
        askers: who is asked, by name.

    Raises:
        ThimbleError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[:limit]
        sentences = [json.loads(line)["sentence"] for line in lines]
    except (OSError, ValueError, KeyError) as error:
        raise ThimbleError(f"cannot read {path}: {error}", "write lines of JSON with `sentence`") from None
    for who, ask in askers.items():
        outcomes = (
            ["right" if answer.intent == NO_MATCH else "wrong" for answer in ask(sentence)] for sentence in sentences
        )
        yield Row(f"nothing may be done, {language}", who, _counted(outcomes))


def _assist_rows(recipe: Recipe, options: AccuracyOptions, console: Console) -> Iterable[Row]:
    assert options.assist is not None
    sentences = read_assist(options.assist)[: options.limit]
    outcomes: dict[str, list[tuple[AssistSentence, list[str]]]] = {recipe.name: [], HASSIL: []}
    for path, home, said in by_home(sentences):
        with _Model(recipe, options, console).asked(path) as asked:
            for who, ask in ((recipe.name, asked), (HASSIL, _only(HassilPeer("en", home)))):
                outcomes[who] += [
                    (each, [each.verdict(answer, home) for answer in ask(each.sentence)]) for each in said
                ]
    for who, pairs in outcomes.items():
        changing = [verdicts for sentence, verdicts in pairs if sentence.changes]
        yield Row("assist: a change is expected", who, _counted(changing))
        still = [verdicts for sentence, verdicts in pairs if not sentence.changes]
        yield Row("assist: nothing may change", who, _counted(still))


def _tests_rows(model: str, tests: Sequence[SentenceTest], ask: Asked) -> Iterable[Row]:
    verdicts = _test_verdicts(tests, ask)
    for half, is_blind in (("look", False), ("blind", True)):
        for what, is_foreign in (("commands", False), ("nothing may be done", True)):
            chosen = [
                each
                for test, each in zip(tests, verdicts, strict=True)
                if (test.is_blind, test.is_foreign) == (is_blind, is_foreign)
            ]
            yield Row(f"own tests of {model}, {half} half: {what}", model, _counted(chosen))


def _test_verdicts(tests: Sequence[SentenceTest], ask: Asked) -> list[list[str]]:
    """Of each sentence the verdicts on its answers, threshold by threshold."""
    answers = [ask(test.sentence) for test in tests]
    return [
        [outcome.verdict for outcome in score([test] * len(given), given)]
        for test, given in zip(tests, answers, strict=True)
    ]


def _only(peer: HassilPeer) -> Asked:
    return lambda sentence: [peer.understand(sentence)]


def _counted(outcomes: Iterable[Sequence[str]]) -> list[Verdict]:
    """Counts of the verdicts on each sentence, threshold by threshold."""
    counted: list[Verdict] = []
    for verdicts in outcomes:
        counted = counted or [Verdict() for _ in verdicts]
        for sum_, verdict in zip(counted, verdicts, strict=True):
            sum_.add(verdict)
    return counted or [Verdict()]


def _counts(verdict: Verdict) -> dict[str, int]:
    return {name: getattr(verdict, name) for name in _VERDICTS}


def _shares(verdict: Verdict) -> str:
    low, high = wilson(verdict.right, verdict.total)
    return (
        f"{verdict.total} sentences, right {100 * verdict.share('right'):.1f} % "
        f"({100 * low:.1f} to {100 * high:.1f}), nothing {100 * verdict.share('nothing'):.1f} %, "
        f"wrong {100 * verdict.share('wrong'):.1f} %"
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        "sentences", "asked", "how many", "right", "95 % interval", "nothing", "wrong", title="what people say"
    )
    for row in rows:
        low, high = wilson(row.verdict.right, row.verdict.total)
        table.add_row(
            row.what,
            row.who,
            str(row.verdict.total),
            f"{100 * row.verdict.share('right'):.1f} %",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{100 * row.verdict.share('nothing'):.1f} %",
            f"{100 * row.verdict.share('wrong'):.1f} %",
        )
    return table


def _threshold_table(rows: Sequence[Row]) -> Table:
    table = Table(
        "sentences",
        "asked",
        *(f"{threshold:g}" for threshold in THRESHOLDS),
        title="right, and wrong in brackets, at other thresholds (`answers: {threshold: …}`, no training)",
    )
    for row in rows:
        if row.by_threshold:
            shares = (f"{100 * v.share('right'):.1f} ({100 * v.share('wrong'):.1f})" for v in row.by_threshold.values())
            table.add_row(row.what, row.who, *shares)
    return table
