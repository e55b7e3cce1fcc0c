"""Every link and anchor of a page leads somewhere, and the site's navigation has every page."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs_site.markdown import anchors, links
from docs_site.repository import is_outside, place_in_site
from pipeline.resources import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("", "docs", "client", "models/**", "firmware_templates/**", "tests/**")
    for path in ROOT.glob(f"{folder}/*.md" if folder else "*.md")
)


def is_template(page: str) -> bool:
    """Whether a page's links are seen from a place where it is copied to."""
    return page.startswith(("firmware_templates/", "models/templates/"))


@pytest.mark.parametrize("page", [page for page in PAGES if not is_template(page)])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    broken = []
    for target in links(text):
        if is_outside(target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = ROOT / posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) if file else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_the_navigation_has_every_page_of_docs() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r": ([\w./-]+\.md)$", text.partition("\nnav:\n")[2], re.MULTILINE)
    wanted = {place_in_site(page) for page in PAGES if posixpath.dirname(page) == "docs"} | {"index.md"}
    made = {name for name in named if name.startswith(("reference/", "repository/"))}
    assert len(named) == len(set(named))
    assert set(named) - made == wanted
    for name in made:
        if name.startswith("reference/schemas/"):
            assert (ROOT / "docs" / "schemas" / f"{Path(name).stem}.schema.json").is_file()


def test_every_page_is_named_in_the_list_of_pages() -> None:
    named = set(links((ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    missing = {Path(page).name for page in PAGES if posixpath.dirname(page) == "docs"} - named - {"README.md"}
    assert missing == set()


def test_every_table_of_the_benchmarks_has_its_command() -> None:
    lines = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    heads = [at for at, line in enumerate(lines[1:], 1) if line.startswith("| ---")]
    since = 0
    for at in heads:
        assert re.search(r"nox -s bench -- --cores [\w,]+", "\n".join(lines[since:at])), lines[at - 1]
        since = at + next(i for i, line in enumerate([*lines[at:], ""]) if not line.startswith("|"))
    assert len(heads) >= 4
