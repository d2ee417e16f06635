"""Writes the A/B report's files."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from common.files.atomic import write_files
from labs.ab_report.page import render_page
from labs.ab_report.report import AbReport

PAGE, DATA = "ab_report.html", "ab_report.json"


def write_ab_report(report: AbReport, out: Path, created: datetime) -> None:
    """Writes `ab_report.json` and `ab_report.html` into a folder, each whole or not at all."""
    data = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    write_files(out, {DATA: data, PAGE: render_page(report, created)})
