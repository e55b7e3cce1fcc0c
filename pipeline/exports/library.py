"""What is exported: models for a core, and the one folder of C that all forms take."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.compiler import CompiledModel, Objective
from pipeline.errors import ThimbleError
from pipeline.firmware.kernels import called_kernels
from pipeline.firmware.library import LibraryModel, c_name, write_library
from pipeline.targets.cores import packing_of_core
from pipeline.text.codec import Codec, StructuredCodec

__all__ = [
    "Counts",
    "ExportedModel",
    "Library",
    "Sources",
    "check_version",
    "write_sources",
]

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check_version(version: str) -> None:
    """Refuses what is no version for every manifest.

    Raises:
        ThimbleError: it is not MAJOR.MINOR.PATCH.
    """
    if not _SEMVER.fullmatch(version):
        raise ThimbleError(f"{version!r} is no version of a package", "use MAJOR.MINOR.PATCH, such as 1.0.0")


@dataclass(frozen=True)
class Counts:
    """What was measured of a model on an emulated board.

    Attributes:
        board: its title.
        code_bytes: of the firmware, the application around the library included.
        data_bytes: of the firmware's weights and tables.
        stack_bytes: the most that was in use.
        token: instructions of a token of an answer, in the mean.
        prompt_token: instructions of a token of a prompt.
    """

    board: str
    code_bytes: int
    data_bytes: int
    stack_bytes: int
    token: int
    prompt_token: int


@dataclass(frozen=True)
class ExportedModel:
    """A model as an export takes it.

    Attributes:
        name: of its recipe.
        description: a line, empty where there is none.
        tflite: the decode step.
        codec: of the model.
        sentence: what the example asks.
        answer: what the device says to that.
        aim: what to optimize where weights can be held in several forms.
        counts: what was measured; None where nothing was.
        attribution: a line for each source of data that asks to be named.
    """

    name: str
    description: str
    tflite: bytes
    codec: Codec
    sentence: str
    answer: str
    aim: Objective = Objective.BALANCED
    counts: Counts | None = None
    attribution: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """Its name in C."""
        return c_name(self.name)

    @property
    def has_answers(self) -> bool:
        """Whether it answers in intents and slots, not in text."""
        return isinstance(self.codec, StructuredCodec)


@dataclass(frozen=True)
class Library:
    """What is exported.

    Args:
        models: at least one.
        core: of `pipeline.targets.cores.ALL_CORES`, for which the models' weights lie: it compiles for every core.
        version: SemVer, which all manifests name.

    Raises:
        ThimbleError: two models have one name in C, there is no such core, or the version is none.
    """

    models: tuple[ExportedModel, ...]
    core: str
    version: str

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for model in self.models:
            if model.identifier in names:
                other = names[model.identifier]
                raise ThimbleError(
                    f"{other} and {model.name} are both called {model.identifier} in C",
                    "give one of the recipes another `name`",
                )
            names[model.identifier] = model.name
        packing_of_core(self.core)
        check_version(self.version)

    @property
    def package(self) -> str:
        """The package's name, words joined by `-`."""
        return self.identifier.replace("_", "-")

    @property
    def identifier(self) -> str:
        """The package's name, words joined by `_`."""
        return "thimble_" + "_and_".join(model.identifier for model in self.models)


@dataclass(frozen=True)
class Sources:
    """What lies in the folder of C.

    Attributes:
        files: names, in order.
        kernels: those of them in which the instructions of a token are spent.
        compiled: what is known of each model, by its name.
    """

    files: tuple[str, ...]
    kernels: tuple[str, ...]
    compiled: Mapping[str, CompiledModel]


def write_sources(library: Library, out: Path) -> Sources:
    """Writes the C into a folder that exists.

    Raises:
        ThimbleError: from the compiler.
    """
    compiled: dict[str, CompiledModel] = {}
    kernels: set[str] = set()
    for model in library.models:
        with tempfile.TemporaryDirectory() as folder:
            one = LibraryModel(model.identifier, model.tflite, model.codec)
            (compiled[model.name],) = write_library([one], packing_of_core(library.core), Path(folder), model.aim)
            kernels.update(path.name for path in called_kernels([Path(folder) / f"{model.identifier}.c"]))
            for path in Path(folder).iterdir():  # what several models need is the same
                shutil.copyfile(path, out / path.name)
    return Sources(tuple(sorted(path.name for path in out.iterdir())), tuple(sorted(kernels)), compiled)
