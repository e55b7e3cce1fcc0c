"""The Python packages that only some commands need, and the extra of `thimble-mcu` that brings each.

A module that needs one imports it plainly. Whoever starts the work, the command line or `pipeline.api`, turns the
`ModuleNotFoundError` of a missing one into a `ThimbleError` with the command that installs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from pipeline.errors import ThimbleError
from pipeline.resources import IN_CLONE, ROOT

__all__ = ["DISTRIBUTION", "EXTRAS", "MODULES", "install_command", "missing_package", "needs_extras"]

DISTRIBUTION: Final = "thimble-mcu"

EXTRAS: Final[dict[str, str]] = {
    "compile": "from a .tflite to C and firmware",
    "prove": "TensorFlow Lite Micro on the host, the oracle",
    "tasks": "Home Assistant's sentences, and number words",
    "train": "TensorFlow: training and quantization",
    "sweep": "the search of a sweep",
    "renode": "Robot suites on Renode",
    "bench": "a peer of the benchmarks",
    "serve": "a board as a service of the Wyoming protocol",
    "import": "models of other projects",
    "ray": "sweeps on a cluster",
}
"""What each extra is for, those of a whole run first."""

MODULES: Final[dict[str, str]] = {
    "ai_edge_litert": "compile",
    "flatbuffers": "compile",
    "tflite_micro": "prove",
    "hassil": "tasks",
    "home_assistant_intents": "tasks",
    "unicode_rbnf": "tasks",
    "tensorflow": "train",
    "tensorflow_model_optimization": "train",
    "tf_keras": "train",
    "optuna": "sweep",
    "robot": "renode",
    "wyoming": "serve",
    "safetensors": "import",
    "gguf": "import",
    "sentencepiece": "import",
    "ray": "ray",
}
"""Import names of third-party modules, and the extra that brings them; all others come with the core."""


def install_command(*extras: str) -> str:
    """The command that installs these extras; of a clone, from the clone."""
    names = f"[{','.join(extras)}]" if extras else ""
    if IN_CLONE:
        return f"pip install -e '{ROOT}{names}'"
    return f"pip install '{DISTRIBUTION}{names}'"


def missing_package(error: ModuleNotFoundError, wanted: Iterable[str] = ()) -> ThimbleError | None:
    """What to tell of a failed import.

    Args:
        error: of the import, or of the look for a distribution.
        wanted: the extras that the work needs in the end; those that are not installed are named at once.

    Returns:
        The error for users; None where no extra brings the module, which is then a fault of Thimble.
    """
    module = (error.name or "").replace("-", "_").partition(".")[0]
    extra = MODULES.get(module)
    if extra is None:
        return None
    missing = {extra, *(name for name in wanted if not _is_installed(name))}
    if "train" in missing or extra == "tasks":  # `train` brings the sentences too
        missing = missing - {"tasks"} | {"train"}
    extras = [name for name in EXTRAS if name in missing]
    clone = "; or `nox -s demo`, which makes .nox/thimble with everything" if IN_CLONE else ""
    return ThimbleError(
        f"this needs the Python package that brings `{module}`, which is not installed",
        f"{install_command(*extras)}{clone}",
    )


def _is_installed(extra: str) -> bool:
    return all(_can_be_found(module) for module, brought_by in MODULES.items() if brought_by == extra)


def _can_be_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # one that sys.modules holds without a specification
        return True


@contextmanager
def needs_extras(*wanted: str) -> Iterator[None]:
    """Turns the failed import of an extra's module into a ThimbleError.

    Args:
        wanted: the extras that the work needs in the end.

    Raises:
        ThimbleError: names the missing module and the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_package(error, wanted)
        if missing is None:
            raise
        raise missing from error
