"""`thimble bench accuracy`: how often models do what people say, nothing, or something else.

People's sentences come first: those of Home Assistant's own authors, commands in homes that others have described,
sentences on which nothing may be done, and the tests that lie beside each model. hassil stands beside the models.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.bench.assist import AssistSentence, load_homes, read_assist
from pipeline.bench.hassil_peer import HassilPeer
from pipeline.bench.people import HomeNames, PeopleSentence, is_right, read_checkout, read_folder
from pipeline.errors import ThimbleError
from pipeline.files import write_json
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.recipes.paths import MODELS
from pipeline.recipes.schema import CommandsConfig, HomeAssistantConfig
from pipeline.stages.understanding import Listener, Place, listening
from pipeline.tasks.home_file import load_home
from pipeline.tasks.tests_file import SentenceTest, Verdict, load_tests, score, wilson
from pipeline.text.answers import NO_MATCH, StructuredAnswer
from pipeline.workflow.shipped import recipes_with_weights

__all__ = ["AccuracyOptions", "run_accuracy", "shipped_recipes"]

HASSIL = "hassil"
_VERDICTS = ("right", "nothing", "wrong")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


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
    limit: int | None = None


@dataclass
class _Row:
    """A line of a table: what was measured by whom, and what came out."""

    what: str
    who: str
    verdict: Verdict
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        counts = {name: getattr(self.verdict, name) for name in _VERDICTS}
        return {"what": self.what, "who": self.who, **counts, "note": self.note}


def shipped_recipes() -> list[Path]:
    """The recipes of all shipped models that have weights."""
    return [recipe.path for recipe in recipes_with_weights()]


def run_accuracy(options: AccuracyOptions, console: Console) -> None:
    """Measures, prints the table, and writes `bench/accuracy.json`.

    Raises:
        ThimbleError: from the stages; files that cannot be read.
    """
    rows: list[_Row] = []
    for path in options.recipes:
        recipe = load_recipe(path)
        for row in _model_rows(recipe, options, console):
            rows.append(row)
            console.print(f"{row.what}: {row.who}: {_shares(row.verdict)}{row.note and f' ({row.note})'}")
    folder = options.build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "accuracy.json", {"rows": [row.as_dict() for row in rows], "place": options.place.name})
    console.print(_table(rows) if console.is_terminal else "")
    if not console.is_terminal:
        Console(width=160).print(_table(rows))


def _model_rows(recipe: Recipe, options: AccuracyOptions, console: Console) -> Iterable[_Row]:
    task = recipe.task
    if isinstance(task, HomeAssistantConfig):
        yield from _home_rows(recipe, task.language.split("-", maxsplit=1)[0], options, console)
    tests = recipe.path.parent / (task.tests or "" if isinstance(task, CommandsConfig) else "tests.yaml")
    shared_tests = MODELS / "home-en-small" / "tests.yaml"
    if not tests.is_file() and isinstance(task, HomeAssistantConfig) and task.language == "en":
        tests = shared_tests
    if tests.is_file():
        with listening(recipe, options.build, options.place, None, console) as listener:
            yield from _tests_rows(recipe.name, load_tests(tests)[: options.limit], listener)


def _home_rows(recipe: Recipe, language: str, options: AccuracyOptions, console: Console) -> Iterable[_Row]:
    with tempfile.TemporaryDirectory() as folder:
        people = _people(language, options, Path(folder))
        if people is not None:
            sentences, home = people
            sentences = sentences[: options.limit]
            names = HomeNames.of(json.loads(home.read_text(encoding="utf-8")))
            peer = HassilPeer(language, load_home(home))
            with listening(recipe, options.build, options.place, home, console) as listener:
                yield from _people_rows(recipe.name, language, sentences, names, listener, peer)
                foreign = options.foreign.get(language)
                if foreign is not None:
                    yield from _foreign_rows(recipe.name, language, foreign, options.limit, listener, peer)
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
    model: str,
    language: str,
    sentences: Sequence[PeopleSentence],
    names: HomeNames,
    listener: Listener,
    peer: HassilPeer,
) -> Iterable[_Row]:
    known = [sentence for sentence in sentences if sentence.in_package]
    parts = {f"people, {language}": list(sentences)}
    if known and len(known) < len(sentences):
        parts[f"people, {language}, of them read by the published templates"] = known

    def verdict(answer: StructuredAnswer, sentence: PeopleSentence) -> str:
        if answer.intent == NO_MATCH or not answer.intent:
            return "nothing"
        return "right" if is_right(answer, sentence.accepted, names) else "wrong"

    for who, ask in ((model, listener.understand), (HASSIL, peer.understand)):
        verdicts = {sentence.sentence: verdict(ask(sentence.sentence), sentence) for sentence in sentences}
        for what, part in parts.items():
            yield _Row(what, who, _counted(verdicts[sentence.sentence] for sentence in part))
        if language == "de":
            without = (verdict(ask(each.sentence.translate(_UMLAUTS)), each) for each in sentences)
            yield _Row("people, de, written with ae, oe, ue", who, _counted(without))


def _foreign_rows(
    model: str, language: str, path: Path, limit: int | None, listener: Listener, peer: HassilPeer
) -> Iterable[_Row]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[:limit]
        sentences = [json.loads(line)["sentence"] for line in lines]
    except (OSError, ValueError, KeyError) as error:
        raise ThimbleError(f"cannot read {path}: {error}", "write lines of JSON with `sentence`") from None
    for who, ask in ((model, listener.understand), (HASSIL, peer.understand)):
        verdicts = ("right" if ask(sentence).intent == NO_MATCH else "wrong" for sentence in sentences)
        yield _Row(f"nothing may be done, {language}", who, _counted(verdicts))


def _assist_rows(recipe: Recipe, options: AccuracyOptions, console: Console) -> Iterable[_Row]:
    assert options.assist is not None
    sentences = read_assist(options.assist)[: options.limit]
    homes = load_homes(sentences)
    by_home: dict[Path, list[AssistSentence]] = {}
    for sentence in sentences:
        by_home.setdefault(sentence.home, []).append(sentence)
    outcomes: dict[str, list[tuple[AssistSentence, str]]] = {recipe.name: [], HASSIL: []}
    for path, said in by_home.items():
        peer = HassilPeer("en", homes[path])
        with listening(recipe, options.build, options.place, path, console) as listener:
            for who, ask in ((recipe.name, listener.understand), (HASSIL, peer.understand)):
                outcomes[who] += [(each, each.verdict(ask(each.sentence), homes[path])) for each in said]
    for who, pairs in outcomes.items():
        changing = [(sentence, verdict) for sentence, verdict in pairs if sentence.changes]
        yield _Row("assist: a change is expected", who, _counted(verdict for _, verdict in changing))
        still = [verdict for sentence, verdict in pairs if not sentence.changes]
        yield _Row("assist: nothing may change", who, _counted(still))


def _tests_rows(model: str, tests: Sequence[SentenceTest], listener: Listener) -> Iterable[_Row]:
    outcomes = score(tests, (listener.understand(test.sentence) for test in tests))
    for half, is_blind in (("look", False), ("blind", True)):
        part = [outcome for outcome in outcomes if outcome.test.is_blind == is_blind]
        for what, is_foreign in (("commands", False), ("nothing may be done", True)):
            chosen = [outcome.verdict for outcome in part if outcome.test.is_foreign == is_foreign]
            yield _Row(f"own tests of {model}, {half} half: {what}", model, _counted(chosen))


def _counted(verdicts: Iterable[str]) -> Verdict:
    counted = Verdict()
    for verdict in verdicts:
        counted.add(verdict)
    return counted


def _shares(verdict: Verdict) -> str:
    low, high = wilson(verdict.right, verdict.total)
    return (
        f"{verdict.total} sentences, right {100 * verdict.share('right'):.1f} % "
        f"({100 * low:.1f} to {100 * high:.1f}), nothing {100 * verdict.share('nothing'):.1f} %, "
        f"wrong {100 * verdict.share('wrong'):.1f} %"
    )


def _table(rows: Sequence[_Row]) -> Table:
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
