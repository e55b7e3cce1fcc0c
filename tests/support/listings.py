"""Made disassembly: instructions from a mnemonic and operands each, in the form that objdump gives."""

from __future__ import annotations

from pipeline.timing.disassembly import Code, Instruction, parse_disassembly

WIDE = "f000 8000"
NARROW = "bf00"


def listing(*lines: str, start: int = 0x100) -> list[Instruction]:
    """Instructions from `mnemonic operands`; those with `.w` are four bytes long, and all of SMLAD and its like."""
    text = []
    address = start
    for line in lines:
        mnemonic, _, operands = line.partition(" ")
        wide = mnemonic.endswith(".w") or mnemonic in ("smlad", "bl", "sdiv", "mla", "smull", "ldrd", "vmla.f32", "le")
        text.append(f"     {address:x}:\t{WIDE if wide else NARROW} \t{mnemonic}\t{operands}")
        address += 4 if wide else 2
    return parse_disassembly("\n".join(text))


def code_of(
    functions: dict[str, list[Instruction]],
    handlers: tuple[int, ...] = (),
    inlined: dict[int, tuple[str, ...]] | None = None,
) -> Code:
    """An image of these functions."""
    return Code(
        [instruction for body in functions.values() for instruction in body],
        [(name, body[0].address, body[-1].end) for name, body in functions.items()],
        handlers,
        inlined,
    )
