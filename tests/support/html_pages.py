"""Checks of the self-contained HTML pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


def balanced(page: str) -> None:
    """Every tag that is opened is closed, in order."""

    class Tags(HTMLParser):
        stack: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "br"):
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.stack.pop() == tag

    parser = Tags()
    parser.feed(page)
    assert parser.stack == []
