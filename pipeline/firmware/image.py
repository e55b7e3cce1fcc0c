"""What a built image holds: the sizes of its sections, and its record of checksums."""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pipeline.errors import ThimbleError

__all__ = ["ImageRecord", "Sizes", "read_record", "read_sizes", "section_sizes", "sizes_as_dict"]

_HEAD, _RANGE = struct.Struct("<8x20sI"), struct.Struct("<IIII")
"""The record of `firmware_templates/app/image.h`, which `cmake/post_link.py` completes."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of the image, from its sections: code, weights and tables lie in flash (as do `data`'s initial values);
    `model_memory` (KV cache and activations, and guards around them), `static` (the application's variables, and the
    stack's guard) and `stack` lie in RAM."""

    code: int
    weights: int
    tables: int
    data: int
    model_memory: int
    static: int
    stack: int

    @property
    def flash(self) -> int:
        """All that lies in flash."""
        return self.code + self.weights + self.tables + self.data

    @property
    def ram(self) -> int:
        """All that lies in RAM, the whole stack included."""
        return self.model_memory + self.static + self.stack


_STATIC = (".data", ".bss", ".stack_guard")


def read_sizes(elf: Path) -> Sizes:
    """The sizes of an image's sections.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    sizes = section_sizes(elf)
    named = {
        "code": (".vectors", ".text"),
        "weights": (".weights",),
        "tables": (".tables", ".ARM.exidx", ".image"),
        "data": (".data",),
        "model_memory": (".model_memory",),
        "stack": (".stack",),
    }
    section_bytes = {key: sum(sizes.get(name, 0) for name in names) for key, names in named.items()}
    return Sizes(**section_bytes, static=sum(sizes.get(name, 0) for name in _STATIC))


def section_sizes(elf: Path) -> dict[str, int]:
    """Bytes of each section that takes memory, by name.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    return {name: size for name, size, _ in _sections(elf)}


@dataclass(frozen=True)
class ImageRecord:
    """What an image knows of itself: `build_id`, 16 hexadecimal digits of the digest of all that it loads, and the
    CRC-32 of its weights."""

    build_id: str
    weights_crc: int


def read_record(elf: Path) -> ImageRecord:
    """The record of a built image.

    Raises:
        ThimbleError: no such file, no ELF file, or one without the record.
    """
    data = next((data for name, _, data in _sections(elf) if name == ".image"), b"")
    if len(data) < _HEAD.size + _RANGE.size:
        raise ThimbleError(f"the image {elf} has no record of checksums", "run the `firmware` stage with --force")
    build_id, _ = _HEAD.unpack_from(data)
    return ImageRecord(build_id.rstrip(b"\0").decode("ascii", "replace"), _RANGE.unpack_from(data, _HEAD.size)[3])


def _sections(elf: Path) -> list[tuple[str, int, bytes]]:
    """Name, size and content of the sections that take memory."""
    try:
        with elf.open("rb") as file:
            return [
                (section.name, int(section["sh_size"]), b"" if section["sh_type"] == "SHT_NOBITS" else section.data())
                for section in ELFFile(file).iter_sections()
                if section["sh_flags"] & 2
            ]
    except (OSError, ELFError) as error:
        raise ThimbleError(f"cannot read the image {elf}: {error}", "run the `firmware` stage with --force") from None


def sizes_as_dict(sizes: Sizes) -> dict[str, int]:
    """Plain data, sums included."""
    return {**dataclasses.asdict(sizes), "flash": sizes.flash, "ram": sizes.ram}
