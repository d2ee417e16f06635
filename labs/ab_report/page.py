"""The A/B report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.files.atomic import write_files
from common.pages.text import anything, count, share
from labs.ab_report import text
from labs.ab_report.plots import by_spend, forest
from labs.ab_report.report import AbReport

TEMPLATE = "ab_report.html.j2"
LARGEST = 50
"""Units listed on the page; the JSON has all."""


def render_page(report: AbReport, created: datetime) -> str:
    """The page, in UTF-8 once encoded; `created` is an aware time."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("labs.ab_report"), PackageLoader("common.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, share=share, anything=anything, change=text.change, interval=text.interval
    )
    units = report.units.sort_values("spend", ascending=False, kind="stable")
    return environment.get_template(TEMPLATE).render(
        report=report,
        created=created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=text.zero_policy(report.settings),
        units=units.head(LARGEST).to_dict(orient="records"),
        figures={
            "forest": Markup(forest(report.rows)),
            "units": Markup(by_spend(units)) if len(units) else "",
        },
        headline=_headline(report),
    )


def _headline(report: AbReport) -> tuple[str, str, str]:
    """Tone, title and text of the box at the top."""
    weighted = next(row for row in report.rows if row.name == "Spend-Weighted")
    words = (
        f"CPA {text.change(weighted.cpa.ratio)} {text.interval(weighted.cpa)}, conversions "
        f"{text.change(weighted.conversion.ratio)} {text.interval(weighted.conversion)} "
        "by spend-weighted geometric mean."
    )
    if not report.sound:
        failed = ", ".join(c.name for c in report.checks if c.outcome == "failed")
        return "bad", "The split was not as planned", f"Failed: {failed}. {words}"
    low, high = weighted.cpa.low, weighted.cpa.high
    if low is None or high is None or low <= 1 <= high:
        return "open", "No proven difference in CPA", words
    title = "CPA is lower in the variant" if high < 1 else "CPA is higher in the variant"
    return ("good" if high < 1 else "bad"), title, words


PAGE, DATA = "ab_report.html", "ab_report.json"


def write_ab_report(report: AbReport, out: Path, created: datetime) -> None:
    """Writes `ab_report.json` and `ab_report.html` into a folder, each whole or not at all."""
    data = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    write_files(out, {DATA: data, PAGE: render_page(report, created)})
