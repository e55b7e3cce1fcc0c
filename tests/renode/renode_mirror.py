"""A program with the part of Renode's command line that the pipeline uses, over QEMU. This is not Renode.

With it in RENODE the pipeline's way through Renode runs where there is none: the script is read, the image that it
loads runs on QEMU's machine of the board that it names, and the UART is the pseudo-terminal that was asked for. Options
that would open Renode to the network are refused.
"""

from __future__ import annotations

import itertools
import os
import pty
import re
import sys
import tty
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.emulators.qemu import Qemu
from pipeline.targets.boards import load_board
from tests.renode.renode_syntax import commands_of


def main(arguments: list[str]) -> int:
    """Becomes QEMU."""
    if "--version" in arguments:
        print("Renode v0.0.0 (the mirror over QEMU)")
        return 0
    flags = {word for word in arguments if word.startswith("--")}
    assert flags == {"--plain", "--disable-gui", "--hide-log", "--console"}, flags
    orders = [order for flag, order in itertools.pairwise(arguments) if flag == "-e"]
    variables: dict[str, str] = {}
    image = name = terminal = ""
    for order in orders:
        if regex_match := re.fullmatch(r"\$(\w+)=@(\S+)", order):
            variables[regex_match[1]] = regex_match[2]
        elif regex_match := re.fullmatch(r"include @(\S+)", order):
            script = Path(regex_match[1])
            for words in commands_of(script.read_text(encoding="utf-8"), {**variables, "ORIGIN": str(script.parent)}):
                match words:
                    case ["mach", "create", quoted]:
                        name = quoted.strip('"')
                    case ["sysbus", "LoadELF", path]:
                        image = path
                    case ["machine", "LoadPlatformDescription", path] if not path.startswith("@"):
                        assert Path(path).is_file(), path
        elif regex_match := re.fullmatch(r'emulation CreateUartPtyTerminal "serial" "(\S+)" true', order):
            terminal = regex_match[1]
        else:
            assert order == "start" or re.fullmatch(r"connector Connect sysbus\.\w+ serial", order), order
    command = Qemu().command(Path(image), load_board(name))
    # QEMU's stdin and stdout become one end of a terminal, the link names the other, of which a copy stays open.
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_inheritable(theirs, True)
    os.dup2(ours, 0)
    os.dup2(ours, 1)
    os.symlink(os.ttyname(theirs), terminal)
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
