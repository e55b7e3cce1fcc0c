"""Parts of Markdown: code, links, headings and their anchors, cells of tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["CodeBlock", "anchors", "cell", "code_blocks", "inline_code", "links", "replace_links", "table"]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)$")
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(?P<before>!?\[(?:[^\[\]]|!?\[[^\[\]]*\]\([^()\s]*\))*\]\()(?P<target>[^()\s]+)(?P<after>\))")
_HEADING = re.compile(r"^ {0,3}(#{1,6}) +(.+?)(?: +#+)? *$")
_MARKUP = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)|[`*]")


@dataclass(frozen=True)
class CodeBlock:
    """A block of code.

    Attributes:
        language: the word behind the fence; empty where there is none, or where the block is indented.
        lines: without fence and indentation.
        first_line: number of the first of them in the file, from 1.
    """

    language: str
    lines: tuple[str, ...]
    first_line: int


def _parts(text: str) -> Iterator[tuple[int, str, str | None]]:
    """Each line as its number from 1, the line, and its block's language, or None outside of fences."""
    fence = ""
    language: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.match(line)
        if not fence and found:
            fence, language = found[1], found[2].strip()
            yield number, "", language
        elif fence and found and found[1].startswith(fence) and not found[2].strip():
            yield number, "", language
            fence, language = "", None
        else:
            yield number, line, language


def code_blocks(text: str) -> list[CodeBlock]:
    """Blocks between fences, and indented ones that stand behind an empty line and are no part of a list."""
    blocks: list[CodeBlock] = []
    lines: list[str] = []
    start = 0
    fence = ""
    language = ""
    before = ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                blocks.append(CodeBlock(language, tuple(lines), start))
                fence, lines = "", []
            else:
                lines.append(line)
        elif found:
            fence, language, start = found[1], found[2].strip(), number + 1
        elif line.startswith("    ") and (lines or not before):
            start = start if lines else number
            lines.append(line[4:])
        elif lines:
            blocks.append(CodeBlock("", tuple(lines), start))
            lines = []
        before = line.strip()
    return blocks


def inline_code(text: str) -> list[tuple[int, str]]:
    """Each piece of code within a sentence, and the number of its line."""
    prose = "\n".join(
        "" if language is not None or line.startswith("    ") else line for _, line, language in _parts(text)
    )
    return [(prose.count("\n", 0, found.start()) + 1, found[2]) for found in _INLINE_CODE.finditer(prose)]


def replace_links(text: str, new: Callable[[str], str]) -> str:
    """A text whose links and pictures go where `new` says, those in code left alone.

    Args:
        text: Markdown.
        new: is given a target with its anchor, and returns the one to write.
    """
    made: list[str] = []
    prose: list[str] = []
    for original, (_, _line, language) in zip(text.splitlines(keepends=True), _parts(text), strict=True):
        if language is None:
            prose.append(original)
            continue
        made += [_replace_in_prose("".join(prose), new), original]
        prose = []
    return "".join([*made, _replace_in_prose("".join(prose), new)])


def _replace_in_prose(text: str, new: Callable[[str], str]) -> str:
    code = [found.span() for found in _INLINE_CODE.finditer(text)]

    def replaced(found: re.Match[str]) -> str:
        start = found.start("target")
        if any(low <= start < high for low, high in code):
            return found[0]
        before = _replace_in_prose(found["before"], new) if "](" in found["before"][:-2] else found["before"]
        return before + new(found["target"]) + found["after"]

    return _LINK.sub(replaced, text)


def links(text: str) -> list[str]:
    """Targets of all links and pictures, in their order."""
    targets: list[str] = []

    def seen(target: str) -> str:
        targets.append(target)
        return target

    replace_links(text, seen)
    return targets


def anchors(text: str) -> set[str]:
    """Anchors of all headings, as GitHub makes them."""
    counts: Counter[str] = Counter()
    made = set()
    for _, line, language in _parts(text):
        heading = _HEADING.match(line)
        if language is not None or not heading:
            continue
        words = _MARKUP.sub(lambda found: found[1] or "", heading[2]).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        made.add(f"{anchor}-{counts[anchor]}" if counts[anchor] else anchor)
        counts[anchor] += 1
    return made


def cell(text: str) -> str:
    """A text as a cell of a table holds it; in code a bar ends no cell."""
    line = " ".join(text.split())
    code = [found.span() for found in _INLINE_CODE.finditer(line)]
    is_bar = [letter == "|" and not any(low <= at < high for low, high in code) for at, letter in enumerate(line)]
    return "".join("\\|" if bar else letter for letter, bar in zip(line, is_bar, strict=True))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
