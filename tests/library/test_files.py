"""The library's files, built as other firmware builds them: what they export, what they need, where it lies."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pipeline import tools
from pipeline.bench.cores import CORES
from pipeline.bench.machine import build, run
from pipeline.compiler import WeightLayout
from pipeline.errors import ThimbleError
from pipeline.firmware.kernels import RUNTIME
from pipeline.firmware.library import LibraryModel, c_name, write_library
from tests.library.test_sessions import DRIVER, WARNINGS, compile_with
from tests.support.tiny_library import TinyLibrary

_CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
_FREESTANDING = {"memcpy", "memmove", "memset", "memcmp"}
"""What GCC and clang want of every environment."""
_LINK = """\
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 1M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1M }
SECTIONS
{
    .text : { *(.text*) *(.rodata*) } > FLASH
    .ARM.exidx : { *(.ARM.exidx*) } > FLASH
    .data : { *(.data*) } > RAM AT > FLASH
    .bss : { *(.bss*) *(COMMON) } > RAM
}
"""
_MAIN = """\
#include "tiny_intents.h"
#include "tiny_text.h"

static _Alignas(8) unsigned char one[THIMBLE_TINY_INTENTS_SESSION_BYTES(100)];
static _Alignas(8) unsigned char two[THIMBLE_TINY_TEXT_SESSION_BYTES(100)];
static thimble_session sessions[2];
char answers[2][100];

int main(void)
{
    thimble_result result;
    if (thimble_session_init(&sessions[0], &thimble_the_tiny_intents, one, sizeof one) != THIMBLE_OK ||
        thimble_session_init(&sessions[1], &thimble_the_tiny_text, two, sizeof two) != THIMBLE_OK) {
        return 1;
    }
    (void)thimble_session_ask(&sessions[0], "turn on", 7, answers[0], sizeof answers[0]);
    (void)thimble_session_understand(&sessions[0], "turn on", 7, &result);
    return (int)thimble_session_ask(&sessions[1], "the end", 7, answers[1], sizeof answers[1]);
}
"""


def objects(library: Path, folder: Path, *options: str) -> list[Path]:
    """The library's objects for a Cortex-M4."""
    made = []
    for source in sorted(library.glob("*.c")):
        made.append(folder / f"{source.stem}.o")
        flags = (*_CORE, "-std=c99", *WARNINGS, *options, f"-I{library}")
        compile_with(tools.require("arm-none-eabi-gcc"), *flags, "-c", source, "-o", made[-1])
    return made


def _beside_compiler(tool: str) -> str:
    return f"{str(tools.require('arm-none-eabi-gcc')).removesuffix('gcc')}{tool}"


def symbols(paths: Iterable[Path], *options: str) -> dict[str, str]:
    """Types of symbols, as nm prints them, by name."""
    command = [_beside_compiler("nm"), *options, *paths]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return {words[-1]: words[-2] for line in done.stdout.splitlines() if len(words := line.split()) >= 2}


def section_sizes(path: Path) -> dict[str, int]:
    command = [_beside_compiler("size"), "-A", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        words[0]: int(words[1])
        for line in done.stdout.splitlines()
        if len(words := line.split()) == 3 and words[1].isdigit()
    }


@pytest.fixture(scope="module")
def built(library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return objects(library, tmp_path_factory.mktemp("objects"), "-O2", "-ffreestanding")


def test_a_model_exports_one_symbol_and_all_names_have_a_prefix(built: list[Path]) -> None:
    for path in built:
        exported = symbols([path], "-g", "--defined-only")
        assert exported and all(name.startswith("thimble_") for name in exported), path.stem
        if path.stem.startswith("tiny_"):
            assert set(exported) == {f"thimble_the_{path.stem}"}


def test_there_are_no_variables_and_no_library_is_needed(built: list[Path]) -> None:
    defined = set(symbols(built, "-g", "--defined-only"))
    needed = {name for name in set(symbols(built, "-u")) - defined if not name.startswith("__aeabi_")}
    assert needed <= _FREESTANDING
    for path in built:
        variables = {name for name, kind in symbols([path]).items() if kind in "bBdDcC" and not name.startswith("$")}
        assert not variables, f"{path.stem}: no global state"


@pytest.mark.parametrize("optimization", ["-O0", "-Os"])
def test_two_models_link_into_one_image_and_their_data_stays_in_flash(
    library: Path, tmp_path: Path, optimization: str
) -> None:
    """With a linker script that knows nothing of Thimble."""
    (tmp_path / "main.c").write_text(_MAIN, encoding="utf-8")
    (tmp_path / "link.ld").write_text(_LINK, encoding="ascii")
    compiler, image = tools.require("arm-none-eabi-gcc"), tmp_path / "image.elf"
    linked = objects(library, tmp_path, optimization)
    flags = (*_CORE, "-std=c11", optimization, *WARNINGS, f"-I{library}")
    link = ("-nostartfiles", "-nostdlib", "-Wl,-e,main", f"-T{tmp_path / 'link.ld'}")
    inputs = [tmp_path / "main.c", *linked]
    compile_with(compiler, *flags, *link, *inputs, "-lc", "-lgcc", "-Wl,--no-warn-rwx-segments", "-o", image)
    sizes = section_sizes(image)
    weights = sum(
        size
        for path in linked
        for name, size in section_sizes(path).items()
        if re.fullmatch(r"\.rodata\.thimble\.tiny_\w+\.weights", name)
    )
    assert weights > 10_000
    assert sizes[".text"] > weights and sizes.get(".data", 0) <= 8
    assert not [name for name in sizes if "thimble" in name], "sections that no line of the script names go to RAM"
    assert {"thimble_the_tiny_intents", "thimble_the_tiny_text"} <= set(symbols([image]))


def test_a_configuration_places_weights_elsewhere(library: Path, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "library")
    config = '#define THIMBLE_TINY_TEXT_WEIGHTS THIMBLE_SECTION(".qspi.weights")\n#define THIMBLE_YIELD\n'
    (tmp_path / "library" / "thimble_config.h").write_text(config)
    made = {path.stem: path for path in objects(tmp_path / "library", tmp_path, "-O1")}
    sizes = section_sizes(made["tiny_text"])
    assert sizes[".qspi.weights"] > 5_000 and ".rodata.thimble.tiny_text.weights" not in sizes
    assert ".rodata.thimble.tiny_intents.weights" in section_sizes(made["tiny_intents"])
    assert "thimble_yield" in symbols([made["tiny_text"]], "-u")


def test_the_hook_between_layers_is_nothing_where_it_is_off(built: list[Path]) -> None:
    assert not {name for name in symbols(built) if "yield" in name or "profile" in name}


def test_all_of_a_kernel_lies_where_a_linker_script_finds_it(tmp_path: Path) -> None:
    """So that it can be put into faster memory, with all that it calls: for size, least is inlined."""
    seen = 0
    for source in sorted((RUNTIME / "kernels").glob("*.c")):
        made = tmp_path / f"{source.stem}.o"
        flags = (*_CORE, "-std=c99", "-Os", *WARNINGS, f"-I{RUNTIME}", f"-I{RUNTIME / 'kernels'}")
        compile_with(tools.require("arm-none-eabi-gcc"), *flags, "-c", source, "-o", made)
        with made.open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            for symbol in table.iter_symbols():
                if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF":
                    assert elf.get_section(symbol["st_shndx"]).name.startswith(".text.thimble."), symbol.name
                    seen += 1
    assert seen > 60


def test_a_changed_weight_is_noticed(library: Path, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "library")
    data = tmp_path / "library" / "tiny_text_data.h"
    text = data.read_text()
    at = text.index("WEIGHTS THIMBLE_ALIGNED = {\n    ") + len("WEIGHTS THIMBLE_ALIGNED = {\n    ")
    number, rest = text[at:].split(",", 1)
    data.write_text(f"{text[:at]}{int(number) ^ 1},{rest}")
    sources = sorted((tmp_path / "library").glob("*.c"))
    compile_with(tools.require("gcc"), "-std=c11", f"-I{data.parent}", "-o", tmp_path / "driver", DRIVER, *sources)
    assert subprocess.run([tmp_path / "driver"], input="", text=True, check=False).returncode == 1


def test_only_what_is_called_is_there_and_everything_that_is_included(library: Path, tiny: TinyLibrary) -> None:
    files = {path.name: path.read_text() for path in library.iterdir()}
    for name in files:
        assert name.startswith(("thimble", "tiny_"))
    included = {header for text in files.values() for header in re.findall(r'#include "([\w.]+)"', text)}
    assert included - {"thimble_config.h"} <= set(files)
    kernels = {path.name for path in (RUNTIME / "kernels").glob("*.c")} & set(files)
    for kernel in kernels:
        # Declarations call nothing; bodies for a core, which are headers, do.
        others = "".join(
            text for name, text in files.items() if name != kernel and not name.startswith("thimble_kernels")
        )
        assert set(re.findall(r"^void (thimble_\w+)\(", files[kernel], re.MULTILINE)) & set(
            re.findall(r"(thimble_\w+)\(", others)
        ), kernel
    assert 5 <= len(kernels) <= 10


@pytest.mark.parametrize("packing", list(WeightLayout))
def test_a_model_without_texts_needs_less(tiny: TinyLibrary, packing: WeightLayout, tmp_path: Path) -> None:
    compiled = write_library([LibraryModel("ids", tiny.text)], packing, tmp_path / "library")
    assert [model.vocab for model in compiled] == [tiny.text_codec.vocab_size]
    names = {path.name for path in (tmp_path / "library").iterdir()}
    assert {"ids.c", "ids.h", "ids_data.h", "thimble.c", "thimble.h"} <= names
    assert not names & {"thimble_session.c", "thimble_matcher.c", "thimble.hpp", "ids_text.h"}
    objects(tmp_path / "library", tmp_path, "-O2")


def test_names_of_models(tiny: TinyLibrary, tmp_path: Path) -> None:
    assert [c_name(name) for name in ("home-en-small", "Kaffee 2.0", "3d", "int", "thimble-x")] == [
        *("home_en_small", "kaffee_2_0", "model_3d", "int_model", "thimble_x_model"),
    ]
    with pytest.raises(ThimbleError, match="no letters"):
        c_name("☃")
    for names in (["Home"], ["a-b"], ["a", "a"], ["int"], [""]):
        with pytest.raises(ThimbleError):
            write_library([LibraryModel(name, tiny.text) for name in names], WeightLayout.ROW_MAJOR, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_old_c_and_small_integers_do_not_compile(tmp_path: Path) -> None:
    source = tmp_path / "source.c"
    source.write_text('#include "thimble.h"\n')
    for options, words in (
        (("-std=c90",), "C99"),
        (("-std=c99", "-U__INT_MAX__", "-D__INT_MAX__=32767"), "32 bits"),
    ):
        command = [str(tools.require("gcc")), *options, "-fsyntax-only", f"-I{RUNTIME}", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode and words in done.stderr


def test_a_prompt_in_pieces_costs_what_it_costs_at_once(library: Path, tmp_path: Path) -> None:
    core = CORES["m4f"]
    sources = [Path(__file__).with_name("pieces.c"), *sorted(library.glob("*.c"))]
    image = build(core, sources, [library], tmp_path, ("-O2", "-fno-tree-loop-distribute-patterns"))
    steps, whole = run(core, image)
    print(steps, whole)
    assert whole.second == 1, "the same token"
    assert steps.second == -(-steps.first // 2) and steps.first > 6
    assert steps.instructions < 1.01 * whole.instructions + 200
