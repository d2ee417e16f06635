"""The A/B report: from a file of outcomes to its table, checks and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from labs.ab_report.checks import Check, run_checks
from labs.ab_report.ratios import LeftOut, unit_ratios
from labs.ab_report.read import AMOUNTS, read_outcome
from labs.ab_report.settings import AbReportSettings
from labs.ab_report.table import Row, result_rows


@dataclass(frozen=True)
class AbReport:
    """An A/B test read.

    Attributes:
      source: the file.
      control, variant: names of the two.
      settings: how it was read.
      totals: amount -> control, variant.
      setups, advertisers: how many the file holds.
      rows: the table.
      left_out: units without ratios, by reason.
      checks: of the split.
      units: units with ratios, see `Ratios.table`.
    """

    source: str
    control: str
    variant: str
    settings: AbReportSettings
    totals: Mapping[str, tuple[float, float]]
    setups: int
    advertisers: int
    rows: list[Row]
    left_out: tuple[LeftOut, ...]
    checks: list[Check]
    units: pd.DataFrame

    @property
    def sound(self) -> bool:
        """Whether no check failed."""
        return all(check.outcome != "failed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """All of it, in types that JSON knows."""
        return {
            "source": self.source,
            "control": self.control,
            "variant": self.variant,
            "settings": self.settings.model_dump(mode="json"),
            "totals": {
                name: {"control": control, "variant": variant}
                for name, (control, variant) in self.totals.items()
            },
            "setups": self.setups,
            "advertisers": self.advertisers,
            "rows": [asdict(row) for row in self.rows],
            "left_out": [asdict(part) for part in self.left_out],
            "checks": [asdict(check) for check in self.checks],
            "units": self.units.to_dict(orient="records"),
        }


def ab_report(path: Path, settings: AbReportSettings) -> AbReport:
    """Reads a test's outcome.

    Args:
      path: CSV or Parquet, see `read_outcome`.
      settings: the choices the report states.

    Raises:
      InputError: the file is not as `read_outcome` wants it.
    """
    outcome = read_outcome(path, settings.control)
    ratios = unit_ratios(outcome, settings)
    totals = {
        name: (float(outcome[f"{name}_control"].sum()), float(outcome[f"{name}_variant"].sum()))
        for name in AMOUNTS
        if f"{name}_control" in outcome
    }
    return AbReport(
        source=str(path),
        control=settings.control,
        variant=str(outcome.attrs["variant"]),
        settings=settings,
        totals=totals,
        setups=len(outcome),
        advertisers=int(outcome.advertiser.nunique()),
        rows=result_rows(outcome, ratios, settings),
        left_out=ratios.left_out,
        checks=run_checks(outcome, settings),
        units=ratios.table,
    )
