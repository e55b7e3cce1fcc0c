"""The command line: `thimble COMMAND …`, or `python -m pipeline COMMAND …` in a clone."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from pipeline.commands import (
    bench,
    boards,
    check,
    compile,
    completion,
    doctor,
    export,
    home,
    import_model,
    new,
    playground,
    recommend,
    renode,
    run,
    schemas,
    serial,
    serve,
    ship,
    sweep,
    talk,
    tools,
    understand,
)
from pipeline.commands.command import Command, print_error
from pipeline.errors import ThimbleError
from pipeline.extras import missing_package
from pipeline.program import program
from pipeline.tools import configure_tensorflow
from pipeline.version import VERSION

__all__ = ["COMMANDS", "command_parser", "main"]

COMMANDS: tuple[Command, ...] = (
    *run.COMMANDS,
    *talk.COMMANDS,
    understand.COMMAND,
    playground.COMMAND,
    export.COMMAND,
    new.COMMAND,
    serial.COMMAND,
    serve.COMMAND,
    ship.COMMAND,
    sweep.COMMAND,
    recommend.COMMAND,
    import_model.COMMAND,
    import_model.LLAMA2C,
    home.COMMAND,
    boards.COMMAND,
    check.COMMAND,
    compile.COMMAND,
    renode.COMMAND,
    bench.COMMAND,
    schemas.COMMAND,
    tools.COMMAND,
    doctor.COMMAND,
    completion.COMMAND,
)
"""All commands, in the order of `--help`."""


class _Console(Console):
    """A console whose reader may leave: `main` says with which status the program ends then."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit status: 0 when the command did what was asked, 1 after an error that was printed, 130 after Ctrl-C, 141
        where what reads the output went away.
    """
    _never_fail_to_print()
    parser = command_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        options = parser.parse_args(arguments)
        status = _run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # What is left in the buffers has no reader; Python would complain about it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1


def _run(options: argparse.Namespace) -> int:
    """Does a command's work, and prints the errors that a user can mend."""
    configure_tensorflow()
    try:
        return int(options.work(options, _Console(soft_wrap=True)))
    except ThimbleError as error:
        print_error(error)
        return 1
    except ModuleNotFoundError as error:
        missing = missing_package(error, options.extras)
        if missing is None:
            raise
        print_error(missing)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was finished stays, and the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        print_error(_of_system(error))
        return 1


def _of_system(error: OSError) -> ThimbleError:
    """What the system refused, by the file's name."""
    name = os.fsdecode(error.filename2 or error.filename or "")
    what = f"cannot use {name}: {error.strerror}" if name else f"the system refused: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free space, or use --build DIR on another disk; what was finished before stays"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        remedy = "mend its permissions, or use --build DIR; what was finished before stays"
    else:
        remedy = "name another place, or mend what stands there; what was finished before stays"
    return ThimbleError(what, remedy)


def _never_fail_to_print() -> None:
    """Letters that the terminal's encoding has not are shown as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=program(),
        description="From a Keras transformer to verified tokens on an emulated Cortex-M board.",
    )
    parser.add_argument("--version", action="version", version=f"thimble {VERSION}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.help, description=command.description or command.help
        )
        command.add_arguments(subparser)
        subparser.set_defaults(work=command.work, extras=command.extras)
    return parser


if __name__ == "__main__":
    sys.exit(main())
