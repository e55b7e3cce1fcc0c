"""The firmware project: a folder that builds by itself with CMake and the Arm compiler.

    CMakeLists.txt  README.md  cmake/  src/ (application)  model/ (generated)  runtime/ (kernels, tokenizer)  board/

Nothing in it points back into this repository.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from pipeline.firmware.grammar_tables import write_grammar
from pipeline.firmware.kernels import called_kernels
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.firmware.tflm_library import KERNELS, arch_of
from pipeline.firmware.token_ids import TokenIds
from pipeline.firmware.versions import answers_version, tokenizer_version
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, serial_options
from pipeline.targets.cores import WeightLayout
from pipeline.text.codec import Codec, PlainCodec, StructuredCodec

__all__ = ["TEMPLATES", "write_board", "write_project"]

_SOURCES = (".c", ".cc", ".h", ".ld", ".cmake", ".txt")
_OF_KERNELS = ("thimble_turn.c", "thimble_kernels.h", "thimble_kernels_compressed_s8.h", "thimble_kernels_s16.h")
"""What is needed of the kernels where TensorFlow Lite Micro brings its own: angles of positions without end."""
KERNEL_OPTIMIZATION = {
    WeightLayout.INTERLEAVED_2: "-Os",
    WeightLayout.INTERLEAVED_4: "-O2;-fmove-loop-invariants",
    WeightLayout.ROW_MAJOR: "-O2;-fmove-loop-invariants",
}
"""What wins, as CMake's list. With the DSP extension loops are in assembler; -O2 around them saves 1 % of a step, for
10 % of code."""
_AROUND_MODEL = ("thimble_tokenizer", "thimble_sampler")
_TOKENIZER = ("thimble_tokenizer", "thimble_utf8")
"""Of the runtime, what a model whose texts are token ids does not need."""
_PRETOKENIZER = ("thimble_pretokenizer",)
"""Of the runtime, what only tokenizers with rules for words need."""
_EXAMPLE = "ASK 24 turn%20on%20the%20kitchen%20lights"
_EXAMPLE_OF_IDS = "GEN 8 1 2"
_TEXT_PATH = tuple(
    f"thimble_{part}"
    for part in (
        *("words", "normalize", "quantities", "matcher", "names", "answer", "understand", "ask"),
        *("store", "stored_names"),
    )
)
"""Of the runtime, what only models with answer tokens need."""
_GRAMMAR = ("thimble_grammar",)
"""Of the runtime, what only models with a grammar need."""
_FOR_OTHER_APPLICATIONS = ("thimble_session", "thimble_intents", "thimble_intact")
"""Of the runtime, what our application does itself."""
_ANSWER_DEFINITIONS = " THIMBLE_ANSWERS THIMBLE_NAMES_BYTES=${THIMBLE_NAMES_BYTES}"
_STORE_DEFINITION = " $<$<NOT:$<STREQUAL:${THIMBLE_NAMES_BYTES},0>>:THIMBLE_STORE>"
_ANSWER_OPTIONS = """\
set(THIMBLE_NAMES_BYTES 4096 CACHE STRING "RAM for names that are added (NAME), 13 each in large homes; 0: none")
"""
_AFTER = "add_custom_command(TARGET firmware.elf POST_BUILD COMMAND "
_IMAGES = {
    "elf": "",
    "hex": _AFTER + "${CMAKE_OBJCOPY} -O ihex firmware.elf firmware.hex VERBATIM)\n",
    "bin": _AFTER + "${CMAKE_OBJCOPY} -O binary firmware.elf firmware.bin VERBATIM)\n",
    "uf2": _AFTER + "${CMAKE_OBJCOPY} -O ihex firmware.elf firmware.hex\n  COMMAND ${Python3_EXECUTABLE} "
    "${CMAKE_CURRENT_SOURCE_DIR}/cmake/uf2.py firmware.hex firmware.uf2 {family} VERBATIM)\n",
}
"""What makes the file that a board is flashed with."""
_TEXT_PATH_STACK = 4096
"""Bytes of stack in which names and quantities are found."""
_OWN = """| `model/` | the model as C, the tokenizer's tables, what the device says of itself |
| `runtime/` | the kernels, the context and the cache, the tokenizer |"""
_INTERPRETED = """| `model/` | the .tflite as an array, its operators, the tokenizer's tables, the image's facts |
| `runtime/` | the context and the cache, the tokenizer |
| `interpreter/` | TensorFlow Lite Micro's interpreter as the model; the library itself is `TFLM_DIR`'s |"""
TEMPLATES = ROOT / "firmware_templates"
_BUILD_HEADER = "model/build.h"


def write_project(
    model_dir: Path, codec: Codec, board: Board, name: str, out: Path, kernels: str | None = None
) -> None:
    """Writes the project's sources.

    Args:
        model_dir: what `compile_model` or `write_interpreted` wrote.
        codec: of the model; its tables are written.
        board: where it runs.
        name: the model's name, which the device reports.
        out: a folder that does not exist or is empty.
        kernels: those of TensorFlow Lite Micro, a key of `pipeline.firmware.tflm_library.KERNELS`; None: our engine.
    """
    for part in ("src", "model", "runtime", "board", "cmake"):
        (out / part).mkdir(parents=True, exist_ok=True)
    _copy(TEMPLATES / "app", out / "src")
    _copy(TEMPLATES / "runtime", out / "runtime")
    _remove(out / "runtime", _FOR_OTHER_APPLICATIONS)
    if kernels is not None:
        _interpret(out, board, kernels)
    _copy(model_dir, out / "model")
    has_answers = isinstance(codec, StructuredCodec)
    stack_bytes = max(board.stack_bytes, _TEXT_PATH_STACK) if has_answers else board.stack_bytes
    write_board(board, out / "board", stack_bytes, has_store=has_answers)
    _copy(TEMPLATES / "cmake", out / "cmake")
    shutil.copyfile(TEMPLATES / "cmake" / "post_link.py", out / "cmake" / "post_link.py")
    if board.image == "uf2":
        shutil.copyfile(TEMPLATES / "cmake" / "uf2.py", out / "cmake" / "uf2.py")
    has_tokenizer = not isinstance(codec.tokenizer, TokenIds)
    if has_tokenizer:
        write_tokenizer(codec.tokenizer, out / "model")
    if kernels is None:
        _leave_out_kernels(out)
    if isinstance(codec, StructuredCodec):
        write_text_path(codec, out / "model")
        _remove(out / "runtime", _GRAMMAR)
    elif isinstance(codec, PlainCodec) and codec.grammar is not None:
        write_grammar(codec.grammar, out / "model")
        _remove(out / "runtime", _TEXT_PATH)
    else:
        _remove(out / "runtime", _GRAMMAR)
        _remove(out / "runtime", _TEXT_PATH if has_tokenizer else (*_TEXT_PATH, *_TOKENIZER))
    has_rules = has_tokenizer and codec.tokenizer.template.word_rules is not None
    if not has_rules:
        _remove(out / "runtime", _PRETOKENIZER)
    has_store = has_answers and board.store is not None
    has_grammar = isinstance(codec, PlainCodec) and codec.grammar is not None
    around = (*_AROUND_MODEL, *(_TEXT_PATH[1:] if has_answers else _GRAMMAR if has_grammar else ()))
    around += _PRETOKENIZER if has_rules else ()
    qemu = board.emulators.get("qemu")
    values = {
        "title": name,
        "board_title": board.title,
        "flags": " ".join(board.flags),
        "kernels": KERNEL_OPTIMIZATION[board.packing],
        "image": _IMAGES[board.image].replace("{family}", f"0x{board.uf2_family or 0:08X}"),
        "engine": "" if kernels is None else "include(cmake/tflm.cmake)\n",
        "definitions": _definitions(has_answers, has_tokenizer)
        + _STORE_DEFINITION * has_store
        + " THIMBLE_GRAMMAR" * has_grammar,
        "example": _EXAMPLE if has_tokenizer else _EXAMPLE_OF_IDS,
        "options": _ANSWER_OPTIONS if has_answers else "",
        "around": " ".join(f"runtime/{file}.c" for file in around),
        "layout": _layout(kernels is None, has_answers, has_tokenizer),
        "run": f"qemu-system-arm -M {qemu.machine} -display none -monitor none {serial_options(qemu)} "
        "-icount shift=0,sleep=off -kernel build/firmware.elf"
        if qemu
        else board.program or "load build/firmware.elf with your probe's program",
        "real": _real(board),
    }
    for template, target in (("CMakeLists.txt.in", "CMakeLists.txt"), ("README.md.in", "README.md")):
        _render(TEMPLATES / "cmake" / template, out / target, values)
    versions = f'#define BUILD_TOKENIZER_VERSION "{tokenizer_version(codec.tokenizer)}"\n' if has_tokenizer else ""
    if isinstance(codec, StructuredCodec):
        versions += f'#define BUILD_ANSWERS_VERSION "{answers_version(codec.schema)}"\n'
    header = (
        "/* What the device says of itself; generated. */\n#ifndef BUILD_H\n#define BUILD_H\n\n"
        f'#define BUILD_MODEL_NAME "{quote(name)}"\n'  # as INFO prints it
        f"{versions}\n#endif\n"
    )
    (out / _BUILD_HEADER).write_text(header, encoding="ascii")


def write_board(board: Board, out: Path, stack_bytes: int, has_store: bool = False) -> None:
    """Writes a board's sources, its facts as a header and its memory for the linker into a folder that exists.

    Args:
        board: which.
        out: the folder.
        stack_bytes: of the stack.
        has_store: whether the image leaves the end of flash to names that are kept, where the board can keep them.
    """
    for folder in reversed(board.folders):  # a board's own file goes before a shared one
        _copy(folder, out)
    (out / "board_facts.h").write_text(_facts(board, has_store), encoding="ascii")
    (out / "memory.ld").write_text(_memory(board, stack_bytes, has_store), encoding="ascii")


def _remove(folder: Path, stems: Collection[str]) -> None:
    for file in folder.iterdir():
        if file.stem in stems:
            file.unlink()


def _leave_out_kernels(out: Path) -> None:
    """Removes the kernels that neither the model nor a kernel of the model's calls."""
    folder = out / "runtime" / "kernels"
    called = {path.name for path in called_kernels(path for path in out.rglob("*.c") if path.parent != folder)}
    for path in folder.glob("*.c"):
        if path.name not in called:
            path.unlink()


def _interpret(out: Path, board: Board, kernels: str) -> None:
    """Replaces the kernels by TensorFlow Lite Micro."""
    for path in (out / "runtime" / "kernels").iterdir():
        if path.name not in _OF_KERNELS:
            path.unlink()
    (out / "interpreter").mkdir()
    _copy(TEMPLATES / "tflm", out / "interpreter")
    (out / "interpreter" / "tflm.cmake").unlink()
    values = {
        "arch": arch_of(board.core),
        "suffix": f"_{kernels}" if kernels else "",
        "kernels": KERNELS[kernels],
        "optimized": f"OPTIMIZED_KERNEL_DIR={kernels} " if kernels else "",
    }
    _render(TEMPLATES / "tflm" / "tflm.cmake", out / "cmake" / "tflm.cmake", values)


def _facts(board: Board, has_store: bool) -> str:
    return (
        "/* The board's facts; generated from its board.yaml. */\n#ifndef BOARD_FACTS_H\n#define BOARD_FACTS_H\n\n"
        f'#define BOARD_NAME "{board.name}"\n'
        f"#define BOARD_CLOCK_HZ {board.clock_hz}u\n"
        f"#define BOARD_UART_ADDRESS 0x{board.uart.address:08X}u\n"
        f"#define BOARD_UART_RX_IRQ {board.uart.rx_irq}u\n"
        + ("" if board.uart.error_irq is None else f"#define BOARD_UART_ERROR_IRQ {board.uart.error_irq}u\n")
        + f"#define BOARD_BAUD {board.uart.baud}u\n{_store_facts(board) if has_store else ''}\n#endif\n"
    )


def _store_facts(board: Board) -> str:
    if board.store is None:
        return ""
    flash = board.image_flash
    return (
        f"#define BOARD_STORE_ADDRESS 0x{flash.origin + flash.size:08X}u\n"
        f"#define BOARD_STORE_SLOT_BYTES {board.store.slot_bytes}u\n"
        f"#define BOARD_STORE_PAGE_BYTES {board.store.page_bytes}u\n"
    )


def _memory(board: Board, stack_bytes: int, has_store: bool) -> str:
    regions = {"FLASH (rx)": board.image_flash if has_store else board.flash, "RAM (rwx)": board.ram}
    if board.vectors:
        regions["VECTORS (rx)"] = board.vectors
    lines = [f"    {name} : ORIGIN = 0x{r.origin:08X}, LENGTH = 0x{r.size:X}" for name, r in regions.items()]
    alias = "" if board.vectors else 'REGION_ALIAS("VECTORS", FLASH);\n'
    head = "/* The board's memory; generated from its board.yaml. */\nMEMORY\n{\n"
    return head + "\n".join(lines) + f"\n}}\n{alias}STACK_SIZE = {stack_bytes};\n"


def _definitions(has_answers: bool, has_tokenizer: bool) -> str:
    """What the application is compiled with."""
    if has_answers:
        return _ANSWER_DEFINITIONS
    return "" if has_tokenizer else " THIMBLE_TOKEN_IDS"


def _layout(is_compiled: bool, has_answers: bool, has_tokenizer: bool) -> str:
    """The rows of the table of folders in the project's README."""
    rows = _OWN if is_compiled else _INTERPRETED
    if has_answers:
        return rows.replace("the tokenizer |", "the tokenizer, what finds names and quantities, answers |")
    if not has_tokenizer:
        return rows.replace(", the tokenizer |", " |").replace(" the tokenizer's tables,", "")
    return rows


def _real(board: Board) -> str:
    """Instructions for the project's README on flashing a real board."""
    if not board.program:
        return "This board is an FPGA image for prototyping; load `build/firmware.elf` as its documentation describes."
    loader = (
        f"\nThe image starts {board.boot_offset:#x} bytes into flash, behind the boot loader."
        if board.boot_offset
        else ""
    )
    where = f"\nThe protocol is on {board.uart.where}, {board.uart.baud} baud, 8N1." if board.uart.where else ""
    return f"On a real board:\n\n    {board.program}\n{loader}{where}"


def _copy(source: Path, target: Path) -> None:
    """Copies C sources, headers, linker scripts and CMake files, with their folders."""
    for path in sorted(source.rglob("*")):
        if path.suffix in _SOURCES:
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)


def _render(template: Path, target: Path, values: Mapping[str, str]) -> None:
    """Writes a file from a Jinja template; a name that is not among the values is an error."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    target.write_text(environment.from_string(template.read_text(encoding="utf-8")).render(values), encoding="utf-8")
