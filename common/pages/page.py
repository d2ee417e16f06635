"""Pages that need nothing but themselves: their parts as data, and one look for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.pages import text

TEMPLATE = "study.html.j2"


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than text.

    Attributes:
      note: shown small below the text.
      tone: `good`, `bad`, `warn` or `open` makes the text a badge.
      href: address that the text leads to.
    """

    text: str
    note: str = ""
    tone: str = ""
    href: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as text, for the page and for the terminal.

    Attributes:
      head: column names; a leading `#` marks a column of numbers.
      key_rows: rows to stand out.
      folded: shown on the page only, and closed at first.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    key_rows: frozenset[int] = frozenset()
    folded: bool = False

    def texts(self) -> list[list[str]]:
        """The rows without notes and badges."""
        return [[c if isinstance(c, str) else c.text for c in row] for row in self.rows]


@dataclass(frozen=True)
class Section:
    """One heading with notes, then figures, then tables."""

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
    return environment().get_template(TEMPLATE).render(page=page, sections=sections)


@cache
def environment(package: str | None = None) -> Environment:
    """Where a page's template finds the parts that all pages share, `parts.html.j2`.

    Args:
      package: one with a folder `templates` of its own.
    """
    loaders = [PackageLoader(name) for name in (package, "common.pages") if name]
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        anything=text.anything,
        count=text.count,
        counted=text.counted,
        decimal=text.decimal,
        share=text.share,
        signed=text.signed,
        size=text.size,
    )
    made.globals["ratio"] = text.ratio
    return made
