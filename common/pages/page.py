"""A study as a page of its own, in the style of the run report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

TEMPLATE = "study.html.j2"


@dataclass(frozen=True)
class Table:
    """Cells as text, for the page and for the terminal.

    Attributes:
      head: column names; a leading `#` marks a column of numbers.
      key_rows: rows to stand out.
      folded: shown on the page only, and closed at first.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]
    key_rows: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """One heading with notes, then figures (SVG), then tables."""

    title: str
    notes: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Page:
    """A study. `cards` are (figure, what it is) pairs."""

    title: str
    meta: str
    cards: list[tuple[str, str]]
    sections: list[Section]
    settings: str


def render(page: Page) -> str:
    """HTML that needs nothing but itself."""
    sections = [(s, [Markup(figure) for figure in s.figures]) for s in page.sections]
    return _environment().get_template(TEMPLATE).render(page=page, sections=sections)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("common.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
