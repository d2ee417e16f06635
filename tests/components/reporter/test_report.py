"""The page: parsed back, compared with what went in, and searched for ways out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from components.common.run_info import RunInfo
from components.pusher.manifest import Manifest
from components.reporter import sections
from components.reporter.inputs import RunFiles, read_run_files
from components.reporter.report import render_report, run_manifest
from components.reporter.write import run_folder, write_files
from schemas.errors import InputError

NOW = datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC)
CONFIG = {"name": "shop", "labelling": {"alpha": 0.01, "pins": {"a|<b>": "hard"}}}
RUN = RunInfo(
    run_id="2026-02-01-a",
    seed=11,
    as_of="2026-02-01",
    contract="shop",
    code_version="0.1.0+abc",
    command="hardtower run --config shop.yaml --set 'name=\"<i>\"'",
    config=CONFIG,
)
SECTIONS = {
    "verdict",
    "summary",
    "data",
    "validation",
    "assignment",
    "slices",
    "calibration",
    "training",
    "push",
    "provenance",
}
VOID = {"meta", "path", "use", "rect", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Elements, attributes, and the text of table cells by section and caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sections: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.styles = ""
        self._open: list[str] = []
        self._caption: str | None = None
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self.sections.append(dict(attrs)["id"] or "")
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables[self._caption or ""].append([])
        elif tag in ("td", "th"):
            self.tables[self._caption or ""][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "caption":
            self.tables[self._caption or ""] = []

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles += data
            return
        self.text += data
        if "caption" in self._open:
            self._caption = (self._caption or "") + data
        elif {"td", "th"} & set(self._open):
            self.tables[self._caption or ""][-1][-1] += data

    def rows(self, caption: str) -> list[dict[str, str]]:
        head, *body = self.tables[caption]
        return [dict(zip(head, map(str.strip, row), strict=True)) for row in body]

    def plain(self) -> str:
        return " ".join(self.text.split())


def read(folders: Mapping[str, Path] | Path) -> RunFiles:
    root = folders.root  # type: ignore[union-attr]
    return read_run_files(
        root / "evaluation",
        root / "task_assignments",
        {"candidate": root / "candidate", "one_task": root / "one_task"},
        root / "pushed",
        root / "gate",
        root / "ingest",
    )
