"""No word of RAM is used that was never written: RAM with ECC may answer such a read with a fault."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pipeline import tools
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.targets.boards import Board, load_board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import FOLDER

PATTERN = 0xDEADBEEF


def saved_ram(elf: Path, board: Board, folder: Path, origin: int, size: int) -> np.ndarray:
    """The words of RAM once the board has said READY; before it starts each is PATTERN.

    The board is one whose processor sees memory as the machine does.
    The image is loaded as what is flashed: of an ELF file the emulator would clear RAM too.
    """
    objcopy = str(tools.require("arm-none-eabi-gcc")).replace("gcc", "objcopy")
    subprocess.run([objcopy, "-O", "ihex", elf, folder / "flash.hex"], check=True)
    command = Qemu().command(elf, board)
    command[command.index("-kernel") :] = ["-device", f"loader,file={folder / 'flash.hex'}"]
    (folder / "pattern.bin").write_bytes(np.full(size // 4, PATTERN, "<u4").tobytes())
    monitor = folder / "m"
    command[command.index("-monitor") + 1] = f"unix:{monitor},server=on,wait=off"
    loader = f"loader,file={folder / 'pattern.bin'},addr={origin:#x},force-raw=on"
    process = subprocess.Popen([*command, "-device", loader], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"READY thimble ")
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(monitor))
            link.sendall(f'pmemsave {origin:#x} {size} "{folder / "saved.bin"}"\nquit\n'.encode())
            process.wait(30)
    finally:
        process.kill()
        process.wait()
    return np.fromfile(folder / "saved.bin", "<u4")


@pytest.mark.parametrize("name", ["mps2_an386", "mps2_an500"])
def test_start_writes_all_of_the_ram_that_is_used(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    board = load_board(name)
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", tmp_path / "project")
    elf = build_project(tmp_path / "project", tmp_path / "build").elf
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        places = {symbol.name: int(symbol["st_value"]) for symbol in symbols.iter_symbols()}
    size = places["ram_end"] - board.ram.origin
    assert size > 4096 and places["model_memory"] < places["ram_end"]
    words = saved_ram(elf, board, tmp_path, board.ram.origin, size + 64)
    never_written = board.ram.origin + 4 * np.flatnonzero(words == PATTERN)
    assert (never_written >= places["ram_end"]).all(), [hex(address) for address in never_written[:8]]
    assert never_written.size == 16, "what lies behind it is left alone, as the pattern shows"
