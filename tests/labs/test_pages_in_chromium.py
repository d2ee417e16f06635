"""Pages of the labs in a browser: the same look as the report's, nothing wider than the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from chromium import browser, looks

from common.pages.intervals import IntervalLine, intervals
from common.pages.page import Page, Section, Table, render
from common.pages.svg import drawing
from labs.ab_report.page import render_page
from labs.ab_report.report import ab_report
from labs.ab_report.settings import AbReportSettings

WIDTHS = [360, 900, 1300, 1600]


@pytest.fixture
def ab_page(tmp_path: Path) -> str:
    browser()
    rng = np.random.default_rng(0)
    lines = ["setup,advertiser,variant,spend,conversions,requests"]
    for setup in range(40):
        for variant in ("control", "mtl"):
            conversions, requests = rng.poisson(100), rng.poisson(5000)
            lines.append(
                f"a-setup-{setup},adv {setup // 2},{variant},{900 + setup},{conversions},{requests}"
            )
    file = tmp_path / "outcome.csv"
    file.write_text("\n".join(lines))
    return render_page(ab_report(file, AbReportSettings()), datetime(2026, 2, 1, tzinfo=UTC))


@pytest.fixture
def study_page() -> str:
    browser()
    with drawing("curve", "A curve", "clicks a day", "It rises.", 2.5) as canvas:
        canvas.figure.subplots().plot([1, 2, 3])
    lines = [IntervalLine("two towers", 0.01, -0.01, 0.02, note="against one task")]
    head = ["Arm", *(f"#Measure {i} of many" for i in range(14))]
    table = Table("Wide", head, [["two towers", *["0.123"] * 14]] * 3)
    figures = [canvas.svg, intervals("Gain", "RIG", lines)]
    section = Section("Findings", ["A note."], figures, [table])
    settings = "seed: " + "1" * 300
    return render(Page("experiment x", "meta", [("1 of 2", "supported")], [section], settings))


@pytest.mark.parametrize("name", ["ab_page", "study_page"])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_every_width(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, dark: bool
) -> None:
    for look in looks(request.getfixturevalue(name), WIDTHS, tmp_path, dark):
        assert look.needed <= look.width, look
        assert not look.flat
        if look.width < 700:
            assert not look.outside + look.scrolled
