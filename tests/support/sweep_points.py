"""Results made up for the tests: three models, eight methods, costs and accuracies with a trade-off."""

from __future__ import annotations

import random

from pipeline.sweep.pareto import Cost, Results, TrialFailure, TrialResult, front_of

__all__ = ["made_point", "made_results"]


def made_point(
    name: str, accuracy: float, flash: int, ram: int, ms: float, board: str = "mps2_an386", error: float = 0.005
) -> TrialResult:
    """A point with these figures; the slowest token takes 1.2 times the likely mean."""
    cost = Cost(
        flash=flash,
        ram=ram,
        ms=ms,
        ms_worst=1.2 * ms,
        instructions=ms * 17_000,
        instructions_worst=ms * 18_000,
        weight_bytes=flash * 3 // 4,
        cycles_worst=1.2 * ms * 25_000,
    )
    model, _, method = name.partition("-")
    splits = {"new_names": accuracy, "noisy": accuracy}
    return TrialResult(
        name=name,
        choices={"model": model, "method": method},
        recipe={"name": f"made-{name}", "boards": [board]},
        parameters=flash,
        accuracy=accuracy,
        error=error,
        splits=splits,
        float_splits=splits,
        device=splits,
        sentences={"host": 150, "device": 20},
        boards={board: cost},
        seconds=60.0,
    )


def made_results(board: str = "mps2_an386") -> Results:
    """24 points and one that failed."""
    rng = random.Random(1)
    points = []
    for model, (size, ram, ms, accuracy) in {
        "nano": (117_000, 27_000, 5.1, 0.895),
        "small": (250_000, 28_000, 12.3, 0.951),
        "base": (440_000, 37_000, 21.5, 0.962),
    }.items():
        for method in ("dense", "blocks-50", "blocks-75", "nm-2-4", "int4", "heads", "window-32", "shared"):
            share = rng.uniform(0.4, 1.0)
            points.append(
                made_point(
                    f"{model}-{method}",
                    accuracy - 0.08 * (1 - share) * rng.random(),
                    int(size * share),
                    int(ram * (0.7 if method.startswith("window") else 1.0)),
                    round(ms * (share + 1) / 2, 2),
                    board,
                )
            )
    results = Results("made", "made up", "name: made\n", points, [TrialFailure("base-odd", "it broke", "mend it")], {})
    return Results(**{**vars(results), "front": {board: front_of(points, board)}})
