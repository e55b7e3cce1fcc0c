"""The one folder of C that all forms of export take: the runtime that the models need, and a folder for each model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.targets.cores import CORES, WeightLayout, packing_of_core
from pipeline.text.codec import Codec, StructuredCodec
from pipeline.verification.host_engine import RUNTIME, kernel_sources

__all__ = ["EXPORT_CORES", "Counts", "ExportedModel", "Library", "check_version", "layout_of", "write_library"]

_OTHER_CORES = {
    "riscv32": WeightLayout.INTERLEAVED_4,
    "xtensa": WeightLayout.INTERLEAVED_4,
    "generic": WeightLayout.ROW_MAJOR,
}
"""Cores without bodies of their own, by the layout that costs plain C the fewest instructions."""
EXPORT_CORES = (*CORES, *_OTHER_CORES)
"""The cores that an export may be for. It compiles for every core: what differs is how weights lie."""
_AROUND = ("thimble", "thimble_tokenizer", "thimble_sampler")
_TEXT_PATH = tuple(
    f"thimble_{part}" for part in ("normalize", "quantities", "matcher", "names", "answer", "understand")
)
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def layout_of(core: str) -> WeightLayout:
    """How weights lie for a core of `EXPORT_CORES`.

    Raises:
        ThimbleError: a core that is not known.
    """
    if core not in EXPORT_CORES:
        raise ThimbleError(f"the core {core!r} is not known", f"use one of: {', '.join(EXPORT_CORES)}")
    return _OTHER_CORES.get(core) or packing_of_core(core)


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
        sources: the folder that `compile_model` wrote.
        codec: of the model; its tables are written.
        context: tokens.
        cache_bytes: of the KV cache.
        arena_bytes: of activations.
        data_bytes: of weights and tables of the network, those of words and names left out.
        sentence: what the example asks.
        answer: what the device says to that.
        counts: what was measured; None where nothing was.
        attribution: a line for each source of data that asks to be named.
    """

    name: str
    description: str
    sources: Path
    codec: Codec
    context: int
    cache_bytes: int
    arena_bytes: int
    data_bytes: int
    sentence: str
    answer: str
    counts: Counts | None = None
    attribution: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """Its name as C and build systems may write it."""
        return re.sub(r"\W", "_", self.name.lower(), flags=re.ASCII)

    @property
    def has_answers(self) -> bool:
        """Whether it answers in intents and slots, not in text."""
        return isinstance(self.codec, StructuredCodec)


@dataclass(frozen=True)
class Library:
    """What is exported.

    Args:
        models: at least one.
        core: of `EXPORT_CORES`, for which the models' weights lie.
        version: SemVer, which all manifests name.

    Raises:
        ThimbleError: two models' names are the same to a compiler, or the version is none.
    """

    models: tuple[ExportedModel, ...]
    core: str
    version: str

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for model in self.models:
            other = names.setdefault(model.identifier, model.name)
            if other is not model.name:
                raise ThimbleError(
                    f"{other} and {model.name} are both called {model.identifier} in C",
                    "give one of the recipes another `name`",
                )
        check_version(self.version)

    @property
    def package(self) -> str:
        """The package's name, words joined by `-`."""
        return self.identifier.replace("_", "-")

    @property
    def identifier(self) -> str:
        """The package's name, words joined by `_`."""
        return "thimble_" + "_and_".join(model.identifier for model in self.models)

    @cached_property
    def kernels(self) -> list[Path]:
        """The kernels that the models call."""
        return sorted({path for model in self.models for path in kernel_sources(model.sources, RUNTIME / "thimble.c")})

    @property
    def runtime(self) -> list[Path]:
        """All files of the runtime that the models need, without those of their own."""
        names = {*_AROUND}
        if any(model.has_answers for model in self.models):
            names.update(_TEXT_PATH)
        sources = [*(RUNTIME / f"{name}.c" for name in names), *self.kernels]
        headers = _included(sources, sorted({*RUNTIME.glob("*.h"), *(RUNTIME / "kernels").glob("*.h")}))
        generated = [path for model in self.models for path in sorted(model.sources.glob("*.[ch]"))]
        headers |= _included(generated, sorted((RUNTIME / "kernels").glob("*.h")))
        return sorted({*sources, *headers})


_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def _included(sources: Sequence[Path], headers: Sequence[Path]) -> set[Path]:
    """Those of the headers that the sources include, directly or not."""
    left = {path.name: path for path in headers}
    found: set[Path] = set()
    pending = list(sources)
    while pending:
        for name in _INCLUDE.findall(pending.pop().read_text(encoding="utf-8")):
            if name in left:
                path = left.pop(name)
                found.add(path)
                pending.append(path)
    return found


def write_library(library: Library, out: Path) -> None:
    """Writes the C into a folder that exists: the runtime, and each model in a folder of its own name."""
    for path in library.runtime:
        (out / path.name).write_bytes(path.read_bytes())
    for model in library.models:
        folder = out / model.identifier
        folder.mkdir()
        for path in sorted(model.sources.glob("*.[ch]")):
            (folder / path.name).write_bytes(path.read_bytes())
        write_tokenizer(model.codec.tokenizer, folder)
        if isinstance(model.codec, StructuredCodec):
            write_text_path(model.codec, folder)
