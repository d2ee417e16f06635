"""The report and the index in a browser: nothing wider than the page, in both colour schemes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chromium import browser, looks, pdf

from common.runs.info import RunInfo
from components.reporter.index import render_index
from components.reporter.inputs import read_run_files
from components.reporter.report import render_report, run_manifest

from .test_index import out as out

WIDTHS = [360, 600, 900, 1300, 1600]
LIGHT, DARK = "rgb(254, 254, 254)", "rgb(15, 20, 25)"
SCREEN = 1000
"""Pixels of a first screen at 1300 pixels' width."""


@pytest.fixture(scope="module")
def report(whole_run: Path) -> str:
    browser()
    root = whole_run
    files = read_run_files(
        *(root / name for name in ("evaluation", "task_assignments")),
        {model: root / model for model in ("candidate", "one_task")},
        *(root / name for name in ("pushed", "gate", "ingest", "last_blessed")),
    )
    run, now = RunInfo(run_id="a", command="hardtower run"), datetime(2026, 2, 1, tzinfo=UTC)
    return render_report(files, run, run_manifest(files, run, now), now)


@pytest.mark.parametrize("dark", [False, True])
def test_the_report_fits_every_width(report: str, tmp_path: Path, dark: bool) -> None:
    for look in looks(report, WIDTHS, tmp_path, dark):
        assert look.needed <= look.width, look
        assert not look.flat
        assert look.paper == (DARK if dark else LIGHT)
        if look.width >= 1300 or look.width < 700:
            assert not look.scrolled
            assert not look.outside


def test_the_first_screen_ends_before_the_fold(report: str, tmp_path: Path) -> None:
    [look] = looks(report, [1300], tmp_path)
    assert 0 < look.first <= SCREEN


def test_the_report_prints(report: str, tmp_path: Path) -> None:
    printed = pdf(report, tmp_path)
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 3


def test_the_index_fits_every_width(out: Path, tmp_path: Path) -> None:
    page = render_index(out)
    for look in looks(page, WIDTHS, tmp_path):
        assert look.needed <= look.width, look
        assert not look.outside + look.scrolled + look.flat
