"""The prose against the tree: links, files that it names, and lines that fit a screen."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "deploy" / "README.md",
    ]
)
FOLDERS = (
    "benchmarks",
    "common",
    "components",
    "deploy",
    "docs",
    "examples",
    "labs",
    "pipeline",
    "schemas",
    "service",
    "tests",
)
TREE = f"(?:{'|'.join(FOLDERS)})"
NAMES_OTHERS = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that name files which are to be added, or are gone."""

WIDEST = 110


def of_root(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=of_root)


def prose(page: Path) -> list[str]:
    """The lines outside of code blocks, fenced or indented."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return [line for line in outside.splitlines() if not line.startswith("    ")]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings as GitHub links to them."""
    heads = [line.lstrip("#").strip().lower() for line in prose(page) if line.startswith("#")]
    return frozenset(re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose(page)))
    for link in (link for link in links if "://" not in link):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in NAMES_OTHERS], ids=of_root
)
def test_files_that_it_names_are_there(page: Path) -> None:
    """Sources may be named by the end of their path alone, within a stage for instance."""
    text = "\n".join(prose(page))
    named = set(re.findall(rf"`({TREE}/[\w./-]+\.\w+)`", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    ends = set(re.findall(r"`([\w/]+\.py)`", text))
    missing = ends - {end for end in ends for source in sources() if source.endswith(f"/{end}")}
    assert sorted(missing) == []


@cache
def sources() -> tuple[str, ...]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return tuple(str(path) for path in (*ROOT.glob("*.py"), *inside))


def test_what_the_recipes_change_is_there() -> None:
    """Of the files that CONTRIBUTING names, those that it does not say to add."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(rf"`({TREE}/[\w./-]+\.\w+)`", text))
    added = {name for name in named if re.search(r"drift_watch|my_log|my_trunk", name)}
    assert len(added) > 5
    assert [name for name in sorted(named - added) if not (ROOT / name).exists()] == []


@every_page
def test_lines_fit_a_screen(page: Path) -> None:
    long = [line for line in prose(page) if len(line) > WIDEST and not line.startswith("|")]
    assert long == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        linked.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        found = {(page.parent / link).resolve() for link in links if "://" not in link}
        ahead += [target for target in found if target.is_file() and target not in linked]
    assert set(PAGES) <= linked
