"""The command line as a page, made from its argument parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from docs_site.markdown import cell, table

__all__ = ["actions_of", "command_page", "subcommands"]


def subcommands(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """The commands of a parser: each one's own parser, and its line in `--help`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            return {name: (made, helps.get(name, "")) for name, made in action.choices.items()}
    return {}


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Arguments and options of a command itself, but for `--help` and those that `--help` leaves out."""
    left_out = (argparse._SubParsersAction, argparse._HelpAction)
    return [
        action
        for action in parser._actions
        if not isinstance(action, left_out) and action.help is not argparse.SUPPRESS
    ]


def command_page(title: str, introduction: str, parser: argparse.ArgumentParser) -> str:
    """A page with each command, and each of its arguments and options."""
    parts = [f"# {title}\n", introduction + "\n"]
    if own := _arguments(parser):
        parts.append(own)
    rows = [(f"[`{name}`](#{name})", _sentence(help)) for name, (_, help) in subcommands(parser).items()]
    parts.append(table(("command", "what it does"), rows))
    parts += _sections(parser, "", 2)
    return "\n".join(parts)


def _sections(parser: argparse.ArgumentParser, path: str, level: int) -> Iterator[str]:
    for name, (made, help) in subcommands(parser).items():
        command = f"{path} {name}".strip()
        yield f"{'#' * level} `{command}`\n"
        yield _sentence(made.description or help) + "\n"
        yield f"```text\n{_usage(made)}\n```\n"
        if arguments := _arguments(made):
            yield arguments
        yield from _sections(made, command, level + 1)


def _usage(parser: argparse.ArgumentParser) -> str:
    lines = parser.format_usage().removeprefix("usage: ").rstrip().splitlines()
    return "\n".join(line if index == 0 else f"  {line.strip()}" for index, line in enumerate(lines))


def _arguments(parser: argparse.ArgumentParser) -> str:
    rows = [(_names(action), _meaning(parser, action)) for action in actions_of(parser)]
    return table(("argument", "meaning"), rows) if rows else ""


def _names(action: argparse.Action) -> str:
    metavar = action.metavar
    if metavar is None:
        metavar = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return f"`{cell({'*': f'[{value} …]', '+': f'{value} …', '?': f'[{value}]'}.get(str(action.nargs), value))}`"
    value = (
        ""
        if action.nargs == 0
        else {"?": f" [{value}]", "*": f" [{value} …]", "+": f" {value} …"}.get(str(action.nargs), f" {value}")
    )
    return ", ".join(f"`{cell(name + value)}`" for name in action.option_strings)


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = action.help or ""
    if "%" in text:
        text = parser._get_formatter()._expand_help(action)
    words = [_sentence(text)] if text else []
    if action.choices and action.metavar is not None:
        words.append("One of " + ", ".join(f"`{choice}`" for choice in action.choices) + ".")
    if getattr(action, "required", False) and action.option_strings:
        words.append("Must be given.")
    return " ".join(words)


def _sentence(text: str) -> str:
    """A help text as a sentence in Markdown."""
    escaped = re.sub(r"(?<!`)([<>*_\[\]])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", cell(text))
    if not escaped:
        return ""
    escaped = escaped if escaped.startswith(("`", "--")) else escaped[0].upper() + escaped[1:]
    return escaped if escaped.endswith((".", "!", "?", "…")) else f"{escaped}."
