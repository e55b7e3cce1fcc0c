"""An image's instructions, as the Arm toolchain disassembles them: what each is, and which functions hold it."""

from __future__ import annotations

import bisect
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pipeline import tools
from pipeline.errors import ThimbleError

__all__ = ["Code", "Flow", "Instruction", "Kind", "parse_disassembly", "read_code"]


class Kind(StrEnum):
    """Cost class of an instruction; the keys of `cores.yaml`."""

    ALU = "alu"
    MULTIPLY = "multiply"
    MULTIPLY_ADD = "multiply_add"
    MULTIPLY_LONG = "multiply_long"
    MULTIPLY_DSP = "multiply_dsp"
    DIVIDE = "divide"
    LOAD = "load"
    LOAD_DOUBLE = "load_double"
    LOAD_MULTIPLE = "load_multiple"
    STORE = "store"
    STORE_DOUBLE = "store_double"
    STORE_MULTIPLE = "store_multiple"
    BRANCH = "branch"
    TABLE_BRANCH = "table_branch"
    LOOP = "loop"
    IT = "it"
    SYSTEM = "system"
    FLOAT = "float"
    FLOAT_MULTIPLY_ADD = "float_multiply_add"
    FLOAT_DIVIDE = "float_divide"
    VECTOR_ALU = "vector_alu"
    VECTOR_MULTIPLY = "vector_multiply"
    VECTOR_LOAD = "vector_load"
    VECTOR_STORE = "vector_store"


class Flow(StrEnum):
    """Control flow after an instruction."""

    NEXT = "next"
    JUMP = "jump"  # to `target`
    CONDITIONAL = "conditional"  # to `target` or the next
    CALL = "call"  # `target`, or None for a register
    INDIRECT = "indirect"  # from a register or memory: a return, a table, a tail call


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    `registers` counts those that a load or store moves. `writes` are the general registers that it sets, `addresses`
    those that its memory address is made of, `reads` all others. `conditional` is true inside an IT block.
    """

    address: int
    size: int
    mnemonic: str
    operands: str
    kind: Kind
    flow: Flow = Flow.NEXT
    target: int | None = None
    registers: int = 0
    writes: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    conditional: bool = False

    @property
    def end(self) -> int:
        """Address of the following instruction."""
        return self.address + self.size


_LINE = re.compile(r"\s*([0-9a-f]+):\t([0-9a-f]{4}(?: [0-9a-f]{4})?)\s*\t(\S+)\s*([^@;]*)")
_CONDITIONS = frozenset(re.findall("..", "eqnecsccmiplvsvchilsgeltgtlehsloal"))
_REGISTER = re.compile(r"\b(r\d+|sl|fp|ip|sp|lr|pc|sb)\b")
_TARGET = re.compile(r"(?:^|,\s*)([0-9a-f]+) <")
_DSP = re.compile(r"sm(lad|lsd|uad|usd|mla|mls|mul|lal[bdt]|lsld|la[bwt]|ul[bwt])|usad")
_LONG = re.compile(r"[us]mull|[us]mlal$|umaal|[us]mlals?$")
_VECTOR_MULTIPLY = re.compile(r"v(r?ml[as]|mul|mull|qr?dml|qdmul|qrdmul|fm[as]|rml|cm[lu]|hca)")


def _bare(mnemonic: str, conditional: bool) -> str:
    """The mnemonic without width and condition."""
    name = re.sub(r"\.[nw]$", "", mnemonic)
    head, dot, rest = name.partition(".")
    if conditional and head[-2:] in _CONDITIONS and len(head) > 3:
        head = head[:-2]
    return head + dot + rest


def _is_branch(name: str) -> bool:
    return name == "b" or (len(name) == 3 and name[0] == "b" and name[1:] in _CONDITIONS)


def _listed(operands: str) -> int:
    """How many registers a list such as {r4-r6, lr} or {s0-s3} names."""
    count = 0
    inside = re.search(r"\{([^}]*)\}", operands)
    for part in inside[1].split(",") if inside else ():
        ends = [int(number) for number in re.findall(r"[rsd](\d+)", part)]
        wide = 2 if part.strip().startswith("d") else 1
        count += wide * (ends[1] - ends[0] + 1 if len(ends) == 2 else 1)
    return count


def _kind(name: str, operands: str) -> tuple[Kind, int]:
    """The class, and the words that a load or store moves."""
    head = name.partition(".")[0]
    if head.startswith("v"):
        return _vector_kind(head, operands)
    if head.startswith("it") and set(head[2:]) <= {"t", "e"}:
        return Kind.IT, 0
    if _is_branch(head) or head in ("bl", "blx", "bx", "cbz", "cbnz", "bxns", "blxns"):
        return Kind.BRANCH, 0
    if head in ("le", "letp", "wls", "wlstp", "dls", "dlstp", "lctp"):
        return Kind.LOOP, 0
    if head in ("tbb", "tbh"):
        return Kind.TABLE_BRANCH, 0
    if head.startswith("ldm") or head == "pop":
        return Kind.LOAD_MULTIPLE, _listed(operands)
    if head.startswith("stm") or head == "push":
        return Kind.STORE_MULTIPLE, _listed(operands)
    if head in ("ldrd", "strd"):
        return (Kind.LOAD_DOUBLE if head[0] == "l" else Kind.STORE_DOUBLE), 2
    if head.startswith(("ldr", "lda")):
        return Kind.LOAD, 1
    if head.startswith(("str", "stl")):
        return Kind.STORE, 1
    if head in ("sdiv", "udiv"):
        return Kind.DIVIDE, 0
    if head in ("mul", "muls"):
        return Kind.MULTIPLY, 0
    if head in ("mla", "mls"):
        return Kind.MULTIPLY_ADD, 0
    if _DSP.match(head):
        return Kind.MULTIPLY_DSP, 0
    if _LONG.match(head):
        return Kind.MULTIPLY_LONG, 0
    if head in (
        "mrs",
        "msr",
        "dsb",
        "dmb",
        "isb",
        "cpsid",
        "cpsie",
        "cpsie",
        "cps",
        "wfi",
        "wfe",
        "sev",
        "svc",
        "bkpt",
    ):
        return Kind.SYSTEM, 0
    return Kind.ALU, 0


def _vector_kind(head: str, operands: str) -> tuple[Kind, int]:
    """Floating point and Helium, which share mnemonics; a q register means Helium."""
    vector = bool(re.search(r"\bq\d", operands)) or head.startswith(("vpt", "vpst", "vctp"))
    if head in ("vldr", "vldm", "vldmia", "vpop", "vstr", "vstm", "vstmia", "vpush", "vldmdb", "vstmdb"):
        words = _listed(operands) or (2 if operands.startswith("d") else 1)
        return (Kind.LOAD_MULTIPLE if head[1] == "l" or head == "vpop" else Kind.STORE_MULTIPLE), words
    if vector:
        if head.startswith("vld"):
            return Kind.VECTOR_LOAD, 4
        if head.startswith("vst"):
            return Kind.VECTOR_STORE, 4
        return (Kind.VECTOR_MULTIPLY if _VECTOR_MULTIPLY.match(head) else Kind.VECTOR_ALU), 0
    if head.startswith(("vdiv", "vsqrt")):
        return Kind.FLOAT_DIVIDE, 0
    if head.startswith(("vmla", "vmls", "vfma", "vfms", "vnml", "vfnm")):
        return Kind.FLOAT_MULTIPLY_ADD, 0
    return Kind.FLOAT, 0


def _flow(name: str, operands: str, conditional: bool) -> tuple[Flow, int | None]:
    head = name.partition(".")[0]
    match = _TARGET.search(operands)
    target = int(match[1], 16) if match else None
    if head in ("bl", "blx", "blxns"):
        return Flow.CALL, target
    if head in ("cbz", "cbnz", "le", "letp", "wls", "wlstp"):
        return Flow.CONDITIONAL, target
    if _is_branch(head):
        return (Flow.JUMP if head == "b" and not conditional else Flow.CONDITIONAL), target
    first = operands.split(",", maxsplit=1)[0].strip()
    in_list = re.search(r"\{[^}]*\bpc\b[^}]*\}", operands) and head.startswith(("pop", "ldm"))
    to_pc = first == "pc" and head.startswith(("ldr", "mov", "add", "sub", "orr"))
    if head in ("bx", "bxns", "tbb", "tbh") or in_list or to_pc:
        return Flow.INDIRECT, None
    return Flow.NEXT, None


def _registers(kind: Kind, operands: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The general registers written, those of the address, and the others read."""
    brackets = re.search(r"\[([^\]]*)\](!?)(,?)", operands)
    addresses = frozenset(_REGISTER.findall(brackets[1])) if brackets else frozenset()
    outside = operands[: brackets.start()] if brackets else operands
    names = _REGISTER.findall(outside)
    base = frozenset(_REGISTER.findall(brackets[1])[:1]) if brackets and (brackets[2] or brackets[3]) else frozenset()
    match kind:
        case Kind.LOAD | Kind.LOAD_DOUBLE:
            return frozenset(names) | base, addresses, frozenset()
        case Kind.STORE | Kind.STORE_DOUBLE:
            return base, addresses, frozenset(names)
        case Kind.LOAD_MULTIPLE | Kind.STORE_MULTIPLE:
            listed = _expanded(operands)
            pointer = frozenset(_REGISTER.findall(operands.partition("{")[0])) or frozenset({"sp"})
            changed = pointer if "!" in operands or operands.startswith("{") else frozenset()
            if kind is Kind.LOAD_MULTIPLE:
                return listed | changed, pointer, frozenset()
            return changed, pointer, listed
        case Kind.VECTOR_LOAD | Kind.VECTOR_STORE:
            return base, addresses, frozenset()
        case Kind.BRANCH | Kind.TABLE_BRANCH | Kind.IT | Kind.LOOP:
            return frozenset(), addresses, frozenset(names)
        case Kind.MULTIPLY_LONG:
            return frozenset(names[:2]), frozenset(), frozenset(names)
    return frozenset(names[:1]), frozenset(), frozenset(names[1:] if len(names) > 2 else names)


_NAMES = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "sl", "fp", "ip", "sp", "lr", "pc")


def _expanded(operands: str) -> frozenset[str]:
    inside = re.search(r"\{([^}]*)\}", operands)
    registers: set[str] = set()
    for part in inside[1].split(",") if inside else ():
        ends = [name for name in part.replace(" ", "").split("-") if name in _NAMES]
        if len(ends) == 2:
            registers.update(_NAMES[_NAMES.index(ends[0]) : _NAMES.index(ends[1]) + 1])
        else:
            registers.update(ends)
    return frozenset(registers)


def parse_disassembly(text: str) -> list[Instruction]:
    """The instructions in `objdump -d` output, in order; data among them is left out."""
    instructions: list[Instruction] = []
    inside_it = 0
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match[3].startswith("."):
            continue
        conditional = inside_it > 0
        inside_it -= conditional
        name, operands = _bare(match[3], conditional), match[4].strip()
        kind, moved = _kind(name, operands)
        if kind is Kind.IT:
            inside_it = len(name) - 1
        flow, target = _flow(name, operands, conditional)
        writes, addresses, reads = _registers(kind, operands)
        instructions.append(
            Instruction(
                address=int(match[1], 16),
                size=2 if len(match[2]) == 4 else 4,
                mnemonic=name,
                operands=operands,
                kind=kind,
                flow=flow,
                target=target,
                registers=moved,
                writes=writes,
                addresses=addresses,
                reads=reads,
                conditional=conditional,
            )
        )
    return instructions


class Code:
    """The instructions of an image by address, and its functions.

    Args:
        instructions: in order of address.
        functions: name and address range [start, end) of each.
        handlers: addresses in the vector table.
        inlined: address → the functions at it, outermost first, where the compiler put some into others.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        functions: Sequence[tuple[str, int, int]],
        handlers: Iterable[int] = (),
        inlined: dict[int, tuple[str, ...]] | None = None,
    ) -> None:
        self.at = {instruction.address: instruction for instruction in instructions}
        self.handlers = frozenset(handlers)
        self._functions = sorted(functions, key=lambda function: function[1])
        self._starts = [start for _, start, _ in self._functions]
        self._inlined = inlined or {}

    def function(self, address: int) -> str:
        """The name of the function that holds the address; its hexadecimal form where none does."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0:
            name, _, end = self._functions[index]
            if address < end:
                return name
        return f"0x{address:x}"

    def range(self, name: str) -> tuple[int, int] | None:
        """Where the function lies, [start, end); None where the image has none of that name."""
        return next(((start, end) for function, start, end in self._functions if function == name), None)

    def frames(self, address: int) -> tuple[str, ...]:
        """The functions at an address, outermost first: inlined ones come after the one that holds them."""
        return self._inlined.get(address) or (self.function(address),)

    def block(self, start: int, end: int) -> list[Instruction]:
        """The instructions in [start, end).

        Raises:
            ThimbleError: the disassembly has none at an address where the processor ran one.
        """
        instructions = []
        while start < end:
            instruction = self.at.get(start)
            if instruction is None:
                raise ThimbleError(
                    f"the trace holds 0x{start:x}, where the image's disassembly has no instruction",
                    "build the `firmware` stage again with --force",
                )
            instructions.append(instruction)
            start = instruction.end
        return instructions


def read_code(elf: Path) -> Code:
    """Disassembles an image.

    Raises:
        ThimbleError: the toolchain is missing, or does not read the file.
    """
    listing = _tool("objdump", "-d", str(elf))
    instructions = parse_disassembly(listing)
    with elf.open("rb") as file:
        image = ELFFile(file)
        symbols = image.get_section_by_name(".symtab")
        if not isinstance(symbols, SymbolTableSection):
            raise ThimbleError(f"{elf} has no symbols", "build the `firmware` stage again with --force")
        functions = sorted(
            {
                (symbol["st_value"] & ~1, symbol.name, symbol["st_size"])
                for symbol in symbols.iter_symbols()
                if symbol["st_info"]["type"] == "STT_FUNC"
            }
        )
        handlers: set[int] = set()
        for symbol in symbols.get_symbol_by_name("vectors") or ():
            section = image.get_section(symbol["st_shndx"])
            offset = symbol["st_value"] - section["sh_addr"]
            table = section.data()[offset : offset + symbol["st_size"]]
            handlers = {int.from_bytes(table[i : i + 4], "little") & ~1 for i in range(8, len(table), 4)} - {0}
    names = _demangled([name for _, name, _ in functions])
    spans = [
        (names[name], start, start + size if size else following[0])
        for (start, name, size), following in zip(functions, [*functions[1:], (1 << 32, "", 0)], strict=True)
    ]
    return Code(instructions, spans, handlers, _inlined(elf, [instruction.address for instruction in instructions]))


def _inlined(elf: Path, addresses: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The functions at each address, from the image's debug information."""
    request = "\n".join(f"{address:x}" for address in addresses)
    lines = _tool("addr2line", "-a", "-i", "-f", "-e", str(elf), stdin=request).splitlines()
    frames: dict[int, tuple[str, ...]] = {}
    names: list[str] = []
    address = -1
    for line in [*lines, "0x0"]:
        if line.startswith("0x"):
            if names and names[-1] != "??":
                frames[address] = tuple(reversed(names))
            address, names, is_name = int(line, 16), [], True
        else:
            if is_name:
                names.append(line)
            is_name = not is_name
    plain = _demangled([name for call_chain in frames.values() for name in call_chain])
    return {address: tuple(plain[name] for name in call_chain) for address, call_chain in frames.items()}


def _demangled(names: Sequence[str]) -> dict[str, str]:
    """C++'s names as they are written, without parameters; C's as they are."""
    plain = {name: name for name in names}
    mangled = [name for name in plain if name.startswith("_Z")]
    if mangled:
        plain.update(zip(mangled, _tool("c++filt", "-p", stdin="\n".join(mangled)).splitlines(), strict=True))
    return plain


def _tool(name: str, *arguments: str, stdin: str | None = None) -> str:
    """Output of a program of the Arm toolchain, found beside the compiler."""
    compiler = tools.require("arm-none-eabi-gcc")
    beside = compiler.with_name(compiler.name.replace("gcc", name))
    program = str(beside) if beside.exists() else shutil.which(f"arm-none-eabi-{name}")
    if program is None:
        raise ThimbleError(f"arm-none-eabi-{name} is not beside {compiler}", "install the Arm toolchain's binutils")
    result = subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ThimbleError(f"arm-none-eabi-{name} does not read the image: {result.stderr.strip()}", "build it again")
    return result.stdout
