"""`thimble bench asking`: of the sentences that a model is not sure of, how often one of its two best answers is right.

That is what `answers: {below: ask}` of a recipe is worth: an assistant asks which of the two is meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.bench.assist import by_home, read_assist
from pipeline.bench.people import HomeNames, is_right, read_folder
from pipeline.files import write_json
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.stages.understanding import Listener, Place, listening
from pipeline.text.answers import StructuredAnswer

__all__ = ["AskingOptions", "AskingRow", "asking_row", "run_asking"]


@dataclass(frozen=True)
class AskingOptions:
    """What is measured.

    Attributes:
        recipes: of the models, each of which asks here, whatever its recipe says.
        build: where their artifacts are.
        place: where they run.
        sentences: folder with `LANG.jsonl` and `LANG.home.json`; None: not measured.
        assist: folder with `assist.jsonl`; None: not measured.
        thresholds: of confidence, below which they ask.
        language: of the sentences.
    """

    recipes: tuple[Path, ...]
    build: Path
    place: Place
    sentences: Path | None = None
    assist: Path | None = None
    thresholds: tuple[float, ...] = (0.5,)
    language: str = "en"


@dataclass(frozen=True)
class AskingRow:
    """What came of the sentences of a table.

    Attributes:
        what: the sentences.
        who: the model.
        threshold: below which it asks.
        total: sentences.
        below: of them below the threshold.
        best: of these with the right answer first.
        second: with the right one second.
    """

    what: str
    who: str
    threshold: float
    total: int
    below: int
    best: int
    second: int


def asking_row(
    what: str,
    who: str,
    threshold: float,
    answers: Iterable[tuple[StructuredAnswer, Callable[[StructuredAnswer], bool]]],
) -> AskingRow:
    """Counts answers.

    Args:
        what: the sentences.
        who: the model.
        threshold: below which it asks.
        answers: to each sentence, of a model that asks below this or a higher threshold, and whether an answer to it is
            right.
    """
    total = below = best = second = 0
    for answer, is_meant in answers:
        total += 1
        if answer.reason == "low-confidence" and answer.confidence < threshold:
            below += 1
            meant = [is_meant(choice) for choice in answer.choices] or [False, False]
            best += meant[0]
            second += meant[1] and not meant[0]
    return AskingRow(what, who, threshold, total, below, best, second)


def run_asking(options: AskingOptions, console: Console) -> None:
    """Measures, prints the table, and writes `bench/asking.json`.

    Raises:
        ThimbleError: from the stages; files that cannot be read.
    """
    rows: list[AskingRow] = []
    for path in options.recipes:
        rows += _rows(load_recipe(path), options, console)
    folder = options.build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "asking.json", {"rows": [vars(row) for row in rows], "place": options.place.name})
    (console if console.is_terminal else Console(width=160)).print(_table(rows))


def _rows(recipe: Recipe, options: AskingOptions, console: Console) -> Iterator[AskingRow]:
    asking = recipe.replace(answers=recipe.answers.replace(below="ask", threshold=max(options.thresholds)))

    def model(home: Path) -> AbstractContextManager[Listener]:
        return listening(asking, options.build, options.place, home, console)

    if options.sentences is not None:
        people, home = read_folder(options.sentences, options.language)
        names = HomeNames.of(json.loads(home.read_text(encoding="utf-8")))
        with model(home) as listener:
            pairs = [
                (listener.understand(each.sentence), lambda answer, each=each: is_right(answer, each.accepted, names))
                for each in people
            ]
        for threshold in options.thresholds:
            yield asking_row(f"people, {options.language}", recipe.name, threshold, pairs)
    if options.assist is not None:
        judged = []
        for path, home_said, said in by_home(read_assist(options.assist)):
            with model(path) as listener:
                judged += [
                    (
                        listener.understand(each.sentence),
                        lambda answer, each=each, at=home_said: each.verdict(answer, at) == "right",
                    )
                    for each in said
                ]
        for threshold in options.thresholds:
            yield asking_row("assist", recipe.name, threshold, judged)


def _table(rows: Sequence[AskingRow]) -> Table:
    table = Table(
        *("sentences", "asked", "how many", "threshold", "below it", "right first", "right second", "neither"),
        title="of the two best answers where the model is not sure",
    )
    for row in rows:
        neither = row.below - row.best - row.second
        counts = (row.total, f"{row.threshold:g}", row.below, row.best, row.second, neither)
        table.add_row(row.what, row.who, *map(str, counts))
    return table
