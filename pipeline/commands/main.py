"""The command line: `thimble COMMAND …`, or `python -m pipeline COMMAND …` in a clone."""

from __future__ import annotations

import argparse
import errno
import os
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
    home,
    import_llama2c,
    new,
    playground,
    recommend,
    renode,
    run,
    schemas,
    serial,
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

__all__ = ["COMMANDS", "main"]

COMMANDS: tuple[Command, ...] = (
    *run.COMMANDS,
    *talk.COMMANDS,
    understand.COMMAND,
    playground.COMMAND,
    new.COMMAND,
    serial.COMMAND,
    ship.COMMAND,
    sweep.COMMAND,
    recommend.COMMAND,
    import_llama2c.COMMAND,
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

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit status: 0 when the command did what was asked, 1 after an error that was printed, 130 after Ctrl-C.
    """
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    options = parser.parse_args(arguments)
    configure_tensorflow()
    try:
        return int(options.work(options, Console(soft_wrap=True)))
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
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print_error(
            ThimbleError(
                f"cannot write {error.filename or 'a file'}: {error.strerror}",
                "free space or use --build DIR; what was finished before stays",
            )
        )
        return 1


def _parser() -> argparse.ArgumentParser:
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
