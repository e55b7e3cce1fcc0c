"""What a built image holds: the sizes of its sections, and the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pipeline.errors import ThimbleError

__all__ = ["Sizes", "read_sizes", "section_sizes", "sizes_as_dict", "weights_of"]


@dataclass(frozen=True)
class Sizes:
    """Bytes of the image, from its sections: code, weights and tables lie in flash (as do `data`'s initial values);
    `model_memory` (KV cache and activations), `static` (the application's variables) and `stack` lie in RAM."""

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


def read_sizes(elf: Path) -> Sizes:
    """The sizes of an image's sections.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    sizes = section_sizes(elf)
    named = {
        "code": (".vectors", ".text"),
        "weights": (".weights",),
        "tables": (".tables", ".ARM.exidx"),
        "data": (".data",),
        "model_memory": (".model_memory",),
        "stack": (".stack",),
    }
    section_bytes = {key: sum(sizes.get(name, 0) for name in names) for key, names in named.items()}
    return Sizes(**section_bytes, static=sizes.get(".data", 0) + sizes.get(".bss", 0))


def section_sizes(elf: Path) -> dict[str, int]:
    """Bytes of each section that takes memory, by name.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    return {name: size for name, size, _ in _sections(elf)}


def weights_of(elf: Path) -> bytes:
    """The bytes of the weights section."""
    return next((data for name, _, data in _sections(elf) if name == ".weights"), b"")


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
