"""The A/B report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from common.files.atomic import write_files
from common.pages.page import Cell, Table, environment
from common.pages.text import anything, count, share
from labs.ab_report import text
from labs.ab_report.checks import Check
from labs.ab_report.plots import by_spend, forest
from labs.ab_report.report import AbReport

TEMPLATE = "ab_report.html.j2"
WEIGHTED = "Spend-Weighted"
TONES = {"passed": "good", "failed": "bad", "not judged": "open"}
LARGEST = 50
"""Units listed on the page; the JSON has all."""


def render_page(report: AbReport, created: datetime) -> str:
    """The page, in UTF-8 once encoded; `created` is an aware time."""
    units = report.units.sort_values("spend", ascending=False, kind="stable")
    return (
        environment("labs.ab_report")
        .get_template(TEMPLATE)
        .render(
            report=report,
            created=created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            policy=text.zero_policy(report.settings),
            tables=_tables(report, units.head(LARGEST).to_dict(orient="records")),
            figures={
                "forest": [Markup(figure) for figure in forest(report.rows)],
                "units": Markup(by_spend(units)) if len(units) else "",
            },
            headline=_headline(report),
        )
    )


def _tables(report: AbReport, units: Sequence[Mapping[Hashable, Any]]) -> dict[str, Table]:
    unit = report.settings.unit.capitalize()
    return {
        "results": Table(
            "Change in the variant against the control, as in the paper's Table 4",
            [
                *("Metric type", "#CPA ratio", "#Interval", "#Conversion ratio", "#Interval"),
                *(f"#{unit}s", "#Advertisers", "#Spend"),
            ],
            [
                [
                    row.name,
                    *(text.change(row.cpa.ratio), text.interval(row.cpa)),
                    *(text.change(row.conversion.ratio), text.interval(row.conversion)),
                    *(count(row.units), count(row.advertisers), share(row.spend_share)),
                ]
                for row in report.rows
            ],
            frozenset(i for i, row in enumerate(report.rows) if row.name == WEIGHTED),
        ),
        "totals": Table(
            "Totals",
            ["Amount", "#Control", "#Variant"],
            [[name, *map(anything, both)] for name, both in report.totals.items()],
        ),
        "checks": Table(
            "Was it a fair test?",
            ["Check", "", "Wanted", "Seen"],
            [
                [c.name, Cell(c.outcome, tone=TONES[c.outcome]), c.wanted, _seen(c)]
                for c in report.checks
            ],
        ),
        "left_out": Table(
            "Without ratios",
            ["Reason", f"#{unit}s", "#Spend", "#Share of spend", "#Conversions"],
            [
                [
                    *(part.reason, count(part.units), count(part.spend)),
                    *(share(part.spend_share), anything(part.conversions)),
                ]
                for part in report.left_out
            ],
        ),
        "units": Table(
            "Largest by spend",
            [
                *(unit, "Advertiser", "#Spend", "#Conversions, control", "#Conversions, variant"),
                *("#CPA ratio", "#Conversion ratio"),
            ],
            [
                [
                    *(str(u["unit"]), str(u["advertiser"]), count(u["spend"])),
                    *(anything(u[f"conversions_{arm}"]) for arm in ("control", "variant")),
                    *(text.change(u["cpa_ratio"]), text.change(u["conversion_ratio"])),
                ]
                for u in units
            ],
        ),
    }


def _seen(check: Check) -> str:
    if check.name == "traffic split" and check.value is not None:
        return f"{check.detail} (p = {check.value:.3g})"
    return check.detail


def _headline(report: AbReport) -> tuple[str, str, str]:
    """Tone, title and text of the box at the top."""
    weighted = next(row for row in report.rows if row.name == WEIGHTED)
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
