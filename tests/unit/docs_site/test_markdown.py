"""Code, links, anchors and cells as GitHub and MkDocs both read them."""

from __future__ import annotations

from docs_site.markdown import anchors, cell, code_blocks, inline_code, links, replace_links, table

TEXT = """# A `b`: c, d

See [one](a.md#x) and `[no](code.md)`, ![a picture](p.png).

```console
$ first [no](b.md)
```

    indented

- an item

      of a list

[![badge](b.svg)](c.md) [a
longer one](d.md) `two
lines`
"""


def test_code_is_found_in_fences_and_behind_indentation() -> None:
    blocks = code_blocks(TEXT)
    assert [(block.language, block.lines, block.first_line) for block in blocks[:2]] == [
        ("console", ("$ first [no](b.md)",), 6),
        ("", ("indented",), 9),
    ]
    assert [code for _, code in inline_code(TEXT)] == ["b", "[no](code.md)", "two\nlines"]


def test_links_in_code_are_none() -> None:
    assert links(TEXT) == ["a.md#x", "p.png", "b.svg", "c.md", "d.md"]
    assert replace_links("[a](b) `[a](b)`\n", lambda target: target + target) == "[a](bb) `[a](b)`\n"


def test_anchors_are_those_of_github() -> None:
    text = "# The `INFO`: what runs\n## Cost – all\n## Cost – all\n```\n# no heading\n```\n### [A link](b.md)_c\n"
    assert anchors(text) == {"the-info-what-runs", "cost--all", "cost--all-1", "a-link_c"}


def test_a_bar_ends_no_cell() -> None:
    assert cell("a | `b | c`\n d") == "a \\| `b | c` d"
    assert table(("x",), [("1",)]) == "| x |\n| --- |\n| 1 |\n"
