"""Recipes: one YAML file says what to train, compress, compile and verify.

A recipe is read once, checked whole, and passed on as frozen data. Every complaint names the file and the key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError
from pipeline.program import command
from pipeline.recipes.schema import DistillConfig, ModelConfig, PruneConfig, QatConfig, TrainConfig
from pipeline.recipes.text_task import TextTask, text_task
from pipeline.targets.boards import load_board

__all__ = [
    "ACTIVATIONS",
    "AIMS",
    "ENGINES",
    "WEIGHTS",
    "Budgets",
    "EvaluateConfig",
    "QuantizeConfig",
    "Recipe",
    "load_recipe",
    "size_bytes",
]

ENGINES: Mapping[str, str | None] = {"aot": None, "tflm": "cmsis_nn", "tflm-reference": ""}
"""What runs the model on the device: our own compiler's C, or TensorFlow Lite Micro with kernels as its Makefile calls
them (`pipeline.firmware.tflm_library.KERNELS`)."""
ACTIVATIONS = ("int8", "int16")
AIMS = ("balanced", "speed", "size")
"""What counts where weights can be held in several forms (`pipeline.compiler.Objective`)."""
RANGES = ("minmax", "fitted")
WEIGHTS = ("int8", "int4")

_KEYS = {
    "name": str,
    "description": str,
    "task": dict,
    "tokenizer": dict,
    "model": dict,
    "train": dict,
    "distill": dict,
    "prune": dict,
    "qat": dict,
    "quantize": dict,
    "boards": list,
    "engine": str,
    "aim": str,
    "prompts": list,
    "evaluate": dict,
    "budgets": dict,
    "shipped": str,
    "weights": str,
}
_REQUIRED = ("name", "task", "tokenizer", "model", "boards")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|K|KB|KiB|M|MB|MiB)")
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


@dataclass(frozen=True)
class QuantizeConfig:
    """How many training sentences calibrate the integers' ranges, and which integers: `int8` or `int16` activations,
    `int8` weights or `int4`: from −7 to 7. `ranges`: all that was met (`minmax`), or `fitted`
    (`pipeline.quantize.ranges`)."""

    calibration_sentences: int = 200
    activations: str = "int8"
    weights: str = "int8"
    ranges: str = "minmax"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for fingerprints, keys that came later left out at their defaults."""
        later = (("weights", "int8"), ("ranges", "minmax"))
        return {key: value for key, value in dataclasses.asdict(self).items() if (key, value) not in later}


@dataclass(frozen=True)
class EvaluateConfig:
    """How many sentences of each held-out split are measured on the host (int8) and on the emulated board."""

    host_sentences: int = 600
    device_sentences: int = 100


QUICK = EvaluateConfig(host_sentences=50, device_sentences=10)
"""What a quick run measures at most."""


@dataclass(frozen=True)
class Budgets:
    """Limits that fail the run; None where there is no limit.

    Attributes:
        flash: bytes.
        ram: bytes.
        ms_per_token: milliseconds of the slowest step, by the high estimate at the board's clock.
        ms_to_first_token: milliseconds of the longest prompt up to its first token, by the high estimate.
        max_loss: points of exact match, mean of all splits, that the quantized model may be below the float one.
        min_exact_match: exact match in percent that the quantized model must have: on each split, or by split.
        boards: by board, what differs from the rest, which holds for every board.
    """

    flash: int | None = None
    ram: int | None = None
    ms_per_token: float | None = None
    ms_to_first_token: float | None = None
    max_loss: float | None = None
    min_exact_match: float | Mapping[str, float] | None = None
    boards: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def limits(self) -> dict[str, Any]:
        """All limits but those of boards, as plain data."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "boards"}

    def for_board(self, board: str) -> Budgets:
        """The limits that hold on a board."""
        changes: dict[str, Any] = dict(self.boards.get(board, {}))
        return dataclasses.replace(self, boards={}, **changes)


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; `sections` holds the plain data that fingerprints are made of.

    Either the model is trained, or it was imported: then `weights` is its file, its tokenizer lies beside it, and
    `text` says what text it writes to be calibrated and measured. `quick`: measured on few sentences (`as_quick`).
    """

    path: Path
    name: str
    description: str
    task: Mapping[str, object]
    vocab_size: int
    model: ModelConfig
    train: TrainConfig
    distill: DistillConfig | None
    prune: PruneConfig | None
    qat: QatConfig | None
    quantize: QuantizeConfig
    evaluate: EvaluateConfig
    boards: tuple[str, ...]
    engine: str
    aim: str
    prompts: tuple[str, ...]
    budgets: Budgets
    shipped: Path | None
    weights: Path | None
    text: TextTask | None
    sections: Mapping[str, Any]
    quick: bool = False

    def with_boards(self, boards: Sequence[str]) -> Recipe:
        """The same recipe for other boards than the file names."""
        return dataclasses.replace(self, boards=tuple(boards))

    def with_engine(self, engine: str) -> Recipe:
        """The same recipe for another engine than the file names."""
        return dataclasses.replace(self, engine=engine, sections={**self.sections, "engine": engine})

    def as_quick(self) -> Recipe:
        """The same recipe, measured on few sentences; a part of the fingerprints, so no full run takes its results."""
        few = EvaluateConfig(
            min(self.evaluate.host_sentences, QUICK.host_sentences),
            min(self.evaluate.device_sentences, QUICK.device_sentences),
        )
        section = {**dataclasses.asdict(few), "quick": True}
        return dataclasses.replace(self, evaluate=few, quick=True, sections={**self.sections, "evaluate": section})

    def part(self, *keys: str) -> dict[str, Any]:
        """The canonical plain data of the named sections, for fingerprints."""
        return {key: self.sections.get(key) for key in keys}


def load_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        ThimbleError: no such file, not YAML, an unknown key, a wrong type, or a model that cannot be built.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        shipped = ", ".join(sorted(p.as_posix() for p in Path("models").glob("*/recipe.yaml"))) or "none found here"
        raise ThimbleError(f"no recipe at {path}", f"name a recipe file; shipped ones: {shipped}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ThimbleError(f"cannot read the recipe {path}: {error}", "give a readable UTF-8 YAML file") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ThimbleError(f"{path} is not valid YAML: {reason}", "mend the line that the message names") from None
    try:
        return _recipe(path, data)
    except ThimbleError as error:
        prefix = "" if str(path) in error.what else f"{path}: "
        raise ThimbleError(prefix + error.what, error.remedy) from None


def _recipe(path: Path, data: object) -> Recipe:
    if not isinstance(data, dict):
        raise ThimbleError(
            "a recipe is a mapping of sections", f"start from one of models/*/recipe.yaml, not {data!r:.40}"
        )
    _check_keys("the recipe", data, _KEYS)
    missing = [key for key in _REQUIRED if key not in data]
    if missing:
        raise ThimbleError(f"section{'s' * (len(missing) > 1)} missing: {', '.join(missing)}", "add it to the recipe")
    for key, value in data.items():
        if value is None and key not in _REQUIRED:
            continue
        if not isinstance(value, _KEYS[key]):
            raise ThimbleError(
                f"`{key}` is {_type_name(value)}, not {_KINDS[_KEYS[key]]}", f"write `{key}` as {_KINDS[_KEYS[key]]}"
            )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", data["name"]):
        raise ThimbleError(
            f"`name` {data['name']!r} cannot name a folder", "use letters, digits, '-', '_' and '.', at most 64"
        )
    tokenizer = data["tokenizer"]
    _check_keys("tokenizer", tokenizer, {"vocab_size": int})
    vocab_size = _integer("tokenizer.vocab_size", tokenizer.get("vocab_size", 512), 261, 32767)
    model = ModelConfig.from_mapping({**data["model"], "vocab_size": vocab_size})
    boards = _strings("boards", data["boards"])
    if not boards:
        raise ThimbleError("`boards` is empty", f"name at least one; `{command('boards')}` lists them")
    engine = data.get("engine") or "aot"
    if engine not in ENGINES:
        raise ThimbleError(f"`engine` {engine!r} is not known", f"use one of: {', '.join(ENGINES)}")
    aim = data.get("aim") or "balanced"
    if aim not in AIMS:
        raise ThimbleError(f"`aim` {aim!r} is not known", f"use one of: {', '.join(AIMS)}")
    distill, prune, qat = (data.get(key) for key in ("distill", "prune", "qat"))
    shipped = data.get("shipped")
    text = _imported(data)
    recipe = Recipe(
        path=path,
        name=data["name"],
        description=data.get("description") or "",
        task=data["task"],
        vocab_size=vocab_size,
        model=model,
        train=TrainConfig.from_mapping(data.get("train") or {}),
        distill=None if distill is None else DistillConfig.from_mapping(distill),
        prune=None if prune is None else PruneConfig.from_mapping(prune),
        qat=None if qat is None else QatConfig.from_mapping(qat),
        quantize=_quantize(data.get("quantize") or {}, model),
        evaluate=_plain(EvaluateConfig, "evaluate", data.get("evaluate") or {}),
        boards=boards,
        engine=engine,
        aim=aim,
        prompts=_strings("prompts", data.get("prompts") or [], empty=text is not None),
        budgets=_budgets(data.get("budgets") or {}),
        shipped=None if shipped is None else Path(shipped),
        weights=None if text is None else path.parent / data["weights"],
        text=text,
        sections={},
    )
    if text is not None and (recipe.budgets.max_loss is not None or recipe.budgets.min_exact_match is not None):
        raise ThimbleError(
            "`budgets.max_loss` or `.min_exact_match` with `task: {name: text}`: text has no right answers",
            "take it out",
        )
    if recipe.train.steps == 0 and recipe.distill is None and not recipe.train.start:
        raise ThimbleError(
            "`train.steps` is 0, and there is neither `train.start` nor `distill`", "use a whole number above 0"
        )
    sections = {
        "task": dict(recipe.task),
        "tokenizer": {"vocab_size": vocab_size},
        "model": model.as_dict(),
        "train": recipe.train.as_dict(),
        "distill": None if recipe.distill is None else dataclasses.asdict(recipe.distill),
        "prune": None if recipe.prune is None else recipe.prune.as_dict(),
        "qat": None if recipe.qat is None else dataclasses.asdict(recipe.qat),
        "quantize": recipe.quantize.as_dict(),
        "evaluate": dataclasses.asdict(recipe.evaluate),
        "budgets": dataclasses.asdict(recipe.budgets),
        "prompts": list(recipe.prompts),
        "engine": engine,
        "aim": aim,
        "name": recipe.name,
        "description": recipe.description,
    }
    try:
        json.dumps(sections)
    except TypeError as error:
        raise ThimbleError(
            f"a value cannot be kept as JSON: {error}", "use numbers, strings, lists, mappings"
        ) from None
    return dataclasses.replace(recipe, sections=sections)


_KINDS = {str: "text", dict: "a mapping", list: "a list", int: "a whole number", float: "a number"}


def _type_name(value: object) -> str:
    return "empty" if value is None else f"{value!r:.40} ({type(value).__name__})"


def _check_keys(where: str, data: Mapping[str, object], known: Mapping[str, object]) -> None:
    for key in data:
        if key not in known:
            raise ThimbleError(f"unknown key `{key}` in {where}", f"known keys: {', '.join(known)}")


def _integer(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ThimbleError(f"`{key}` is {_type_name(value)}, not a whole number", f"use {low} to {high}")
    if not low <= value <= high:
        raise ThimbleError(f"`{key}` {value} is out of range", f"use {low} to {high}")
    return value


def _imported(data: Mapping[str, Any]) -> TextTask | None:
    """The task of an imported model; None for one that is trained.

    Raises:
        ThimbleError: keys of both kinds, or a key that its kind needs is missing.
    """
    text = text_task(data["task"])
    if text is None:
        if data.get("weights") is not None:
            raise ThimbleError(
                f"`weights` with the task {data['task'].get('name')!r}: only imported models have their own",
                "use `task: {name: text}`, or take `weights` out",
            )
        if data.get("train") is None:
            raise ThimbleError("section missing: train", "add it to the recipe")
        return None
    if data.get("weights") is None:
        raise ThimbleError("`task: {name: text}` without `weights`", "write the recipe with `import-llama2c`")
    for key in ("train", "distill", "prune", "shipped"):
        if data.get(key) is not None:
            raise ThimbleError(f"`{key}` with `task: {{name: text}}`: imported models are not trained", "take it out")
    return text


def _strings(key: str, values: Sequence[object], empty: bool = False) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str) or not (value or empty):
            raise ThimbleError(f"`{key}` holds {_type_name(value)}, not text", "quote each entry")
    return tuple(str(value) for value in values)


def _plain(kind: type[Any], where: str, data: Mapping[str, object]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _check_keys(where, data, fields)
    return kind(**{key: _integer(f"{where}.{key}", value, 1, 1_000_000) for key, value in data.items()})


def _quantize(data: Mapping[str, object], model: ModelConfig) -> QuantizeConfig:
    kinds = {"activations": ACTIVATIONS, "weights": WEIGHTS, "ranges": RANGES}
    numbers = {key: value for key, value in data.items() if key not in kinds}
    _check_keys("quantize", data, {field.name: field for field in dataclasses.fields(QuantizeConfig)})
    config: QuantizeConfig = _plain(QuantizeConfig, "quantize", numbers)
    chosen = {key: data.get(key, getattr(config, key)) for key in kinds}
    for key, known in kinds.items():
        if chosen[key] not in known:
            raise ThimbleError(f"`quantize.{key}` {chosen[key]!r} is not known", f"use one of: {', '.join(known)}")
    if chosen["activations"] == "int16" and model.norm == "layernorm":
        raise ThimbleError(
            "`quantize.activations: int16` with `model.norm: layernorm` does not run on TensorFlow Lite Micro",
            "use `norm: rmsnorm`, or int8 activations",
        )
    texts: dict[str, Any] = {key: str(value) for key, value in chosen.items()}
    return dataclasses.replace(config, **texts)


def _budgets(data: Mapping[str, object]) -> Budgets:
    _check_keys("budgets", data, {field.name: field for field in dataclasses.fields(Budgets)})
    by_split = data.get("min_exact_match")
    by_board = data.get("boards") or {}
    if not isinstance(by_board, dict):
        raise ThimbleError(f"`budgets.boards` is {_type_name(by_board)}", "write `boards: {BOARD: {ms_per_token: 25}}`")
    boards: dict[str, dict[str, float]] = {}
    for board, limits in by_board.items():
        if not isinstance(limits, dict):
            raise ThimbleError(f"`budgets.boards.{board}` is {_type_name(limits)}", "write a mapping of limits")
        _check_keys(f"budgets.boards.{board}", limits, _BOARD_LIMITS)
        load_board(str(board))
        load_board(str(board))
        found = {key: read(f"budgets.boards.{board}.{key}", limits.get(key)) for key, read in _BOARD_LIMITS.items()}
        boards[str(board)] = {key: value for key, value in found.items() if value is not None}
    limits_of_all: dict[str, Any] = {key: read(f"budgets.{key}", data.get(key)) for key, read in _BOARD_LIMITS.items()}
    return Budgets(
        **limits_of_all,
        max_loss=_percent("budgets.max_loss", data.get("max_loss")),
        min_exact_match={
            str(split): _percent(f"budgets.min_exact_match.{split}", least) or 0.0 for split, least in by_split.items()
        }
        if isinstance(by_split, dict)
        else _percent("budgets.min_exact_match", by_split),
        boards=boards,
    )


def _percent(key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ThimbleError(f"`{key}` is {_type_name(value)}", "give a number from 0 to 100")
    return float(value)


def _milliseconds(key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ThimbleError(f"`{key}` is {_type_name(value)}", "give milliseconds above 0")
    return float(value)


def size_bytes(key: str, value: object) -> int | None:
    """Bytes, from a number or text such as `256K` (1024 bytes a K, as flash sizes are)."""
    if value is None:
        return None
    match = None if isinstance(value, bool) else _SIZE.fullmatch(str(value))
    if match is None or float(match[1]) <= 0:
        raise ThimbleError(f"`{key}` is {_type_name(value)}, not a size", "write bytes, or such as 256K or 1M")
    return int(float(match[1]) * _UNITS[match[2][:1]])


_BOARD_LIMITS: Mapping[str, Callable[[str, object], float | None]] = {
    "flash": size_bytes,
    "ram": size_bytes,
    "ms_per_token": _milliseconds,
    "ms_to_first_token": _milliseconds,
}
"""The budgets that may differ from board to board."""
