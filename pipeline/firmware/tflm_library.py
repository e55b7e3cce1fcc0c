"""A built TensorFlow Lite Micro, as its own Makefile's target `microlite` for `cortex_m_generic` leaves it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MissingTool

__all__ = ["ARCHES", "CPP_REMEDY", "KERNELS", "LIBRARY", "Library", "arch_of", "find_libraries", "require_library"]

KERNELS = {"cmsis_nn": "CMSIS-NN", "": "reference"}
"""The Makefile's OPTIMIZED_KERNEL_DIR, and what people call it."""
ARCHES = {
    "cortex-m0": "cortex-m0",
    "cortex-m0plus": "cortex-m0plus",
    "cortex-m3": "cortex-m3",
    "cortex-m4": "cortex-m4+fp",
    "cortex-m7": "cortex-m7+fp",
    "cortex-m33": "cortex-m33",
    "cortex-m55": "cortex-m55",
}
"""The Makefile's TARGET_ARCH of a core, with floats in registers as our boards have them."""
CPP_REMEDY = (
    "install C++ for Arm: libstdc++-arm-none-eabi-newlib on Debian and Ubuntu, arm-none-eabi-gcc-cs-c++ on Fedora"
)
LIBRARY = "libtensorflow-microlite.a"
_DOWNLOADS = Path("tensorflow") / "lite" / "micro" / "tools" / "make" / "downloads"
_FOLDER = re.compile(r"cortex_m_generic_([^_]+)_(release|release_with_logs|default)(?:_(cmsis_nn))?_gcc")
_BUILDS = {
    "release": ("NDEBUG", "TF_LITE_STRIP_ERROR_STRINGS"),
    "release_with_logs": ("NDEBUG",),
    "default": (),
}
"""The Makefile's build types, fastest first, and what a program that is linked with one must define too."""


@dataclass(frozen=True)
class Library:
    """A library that the Makefile made: its kernels, a key of KERNELS, and its build, of _BUILDS."""

    path: Path
    kernels: str
    build: str
    tflm: Path

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"TensorFlow Lite Micro, {KERNELS[self.kernels]}"

    @property
    def includes(self) -> tuple[Path, ...]:
        """Folders of headers."""
        parts = ("flatbuffers/include", "gemmlowp", "ruy", "kissfft")
        return (self.tflm, *(self.tflm / _DOWNLOADS / part for part in parts))

    @property
    def defines(self) -> tuple[str, ...]:
        """What a program must define as the library was built with it."""
        return ("TF_LITE_STATIC_MEMORY", *_BUILDS[self.build])


def arch_of(core: str) -> str:
    """The Makefile's TARGET_ARCH of a core such as `cortex-m4`."""
    return ARCHES[core]


def find_libraries(tflm: Path, core: str) -> list[Library]:
    """The libraries for a core, CMSIS-NN's first; of several build types of one, the fastest."""
    by_kernels: dict[str, tuple[int, Library]] = {}
    for path in sorted(tflm.glob(f"gen/*/lib/{LIBRARY}")):
        named = _FOLDER.fullmatch(path.parent.parent.name)
        if named is None or named[1] != arch_of(core):
            continue
        kernels, rank = named[3] or "", list(_BUILDS).index(named[2])
        if kernels not in by_kernels or rank < by_kernels[kernels][0]:
            by_kernels[kernels] = (rank, Library(path, kernels, named[2], tflm))
    return [by_kernels[kernels][1] for kernels in KERNELS if kernels in by_kernels]


def require_library(core: str, kernels: str) -> Library:
    """The library in TFLM_DIR for a core, with kernels of KERNELS.

    Raises:
        ThimbleError: TFLM_DIR is not set, or holds none.
    """
    tflm_dir = os.environ.get("TFLM_DIR")
    make = f"make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH={arch_of(core)} "
    make += (f"OPTIMIZED_KERNEL_DIR={kernels} " if kernels else "") + "BUILD_TYPE=release microlite"
    if not tflm_dir:
        raise MissingTool(
            "the engine needs a built TensorFlow Lite Micro, and TFLM_DIR is not set",
            f"in its sources run `{make}`, then set TFLM_DIR to that folder (docs/tflm.md)",
        )
    tflm = Path(tflm_dir).resolve()
    for library in find_libraries(tflm, core):
        if library.kernels == kernels:
            return library
    raise MissingTool(
        f"TFLM_DIR={tflm_dir} holds no library for {arch_of(core)} with {KERNELS[kernels]} kernels",
        f"in that folder run `{make}` (docs/tflm.md)",
    )
