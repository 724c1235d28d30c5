"""The documentation hangs together: every page is in its order, every link leads somewhere.

``make docs`` builds the site; this needs none of its tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from markdown_it import MarkdownIt

import mien

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = sorted(DOCS.rglob("*.md"))
READ = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *PAGES]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def nav_pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
        return
    for part in entry.values() if isinstance(entry, dict) else entry:
        yield from nav_pages(part)


def tokens(page: Path) -> Iterator[Any]:
    for token in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        for name in ("href", "src"):
            if target := token.attrGet(name):
                yield unquote(str(target))


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as the site and GitHub have it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_every_page_is_in_the_order_once() -> None:
    listed = list(nav_pages(SETTINGS["nav"]))
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", READ, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
        # the site holds nothing from outside docs/
        assert page not in PAGES or target.resolve().is_relative_to(DOCS), link


@pytest.mark.parametrize("page", READ, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_page_loads_anything_from_elsewhere(page: Path) -> None:
    assert not [t for t in tokens(page) if "//" in str(t.attrGet("src") or "")]
    assert not [t for t in tokens(page) if t.type.startswith("html") and "<!--" not in t.content]
    assert "```mermaid" not in page.read_text(encoding="utf-8")  # the theme would fetch its code


def test_nothing_of_the_site_is_fetched_from_elsewhere() -> None:
    assert SETTINGS["theme"]["font"] is False
    loaded = [*SETTINGS["extra"]["polyfills"], *SETTINGS["extra_css"], SETTINGS["theme"]["favicon"]]
    for file in loaded:
        assert (DOCS / file).is_file()


def test_every_public_name_is_described() -> None:
    shown = re.findall(r"^::: mien\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert {*shown, "MienError"} - {"errors"} == set(mien.__all__)


def test_the_front_page_is_one_that_people_finish() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert "**An expression is not a determination of what a person feels.**" in " ".join(lines)
