"""`completion`: what a shell needs to complete commands, boards and files."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import Command

__all__ = ["COMMAND"]

SHELLS = ("bash", "zsh", "fish")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def _work(options: argparse.Namespace, console: Console) -> int:
    from argcomplete.shell_integration import shellcode

    del console  # a script is not wrapped
    print(shellcode(["thimble"], shell=options.shell))
    return 0


COMMAND = Command(
    "completion",
    "print the shell's script that completes `thimble`",
    _arguments,
    _work,
    'Prints a script. bash: eval "$(thimble completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc; '
    "fish: thimble completion fish > ~/.config/fish/completions/thimble.fish",
)
