"""CPA ratio and conversion ratio of each unit (paper, section 4.2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from labs.ab_report.read import ADVERTISER, SETUP
from labs.ab_report.settings import AbReportSettings

HALF = 0.5
"""Added to the conversions of both variants under the policy `add_half`."""


@dataclass(frozen=True)
class LeftOut:
    """Units that have no ratio, for one reason."""

    reason: str
    units: int
    spend: float
    spend_share: float
    conversions: float


@dataclass(frozen=True)
class Ratios:
    """Units with both ratios, and what was left out.

    Attributes:
      table: `unit`, `advertiser`, `spend` (both variants), the amounts by variant, `cpa_ratio`,
        `conversion_ratio`.
      left_out: one entry a reason, none of them empty.
    """

    table: pd.DataFrame
    left_out: tuple[LeftOut, ...]


def unit_ratios(outcome: pd.DataFrame, settings: AbReportSettings) -> Ratios:
    """Ratios by unit; with spend S and conversions C in variant v and control c,

        CPA ratio = (S_v / C_v) / (S_c / C_c)        conversion ratio = C_v / C_c

    Args:
      outcome: as `read_outcome` gives it.
      settings: the unit, and what happens to units without conversions.
    """
    key = SETUP if settings.unit == "setup" else ADVERTISER
    amounts = [name for name in outcome.columns if name not in (SETUP, ADVERTISER)]
    units = outcome.groupby([key, ADVERTISER] if key == SETUP else [key])[amounts].sum()
    table = units.reset_index().rename(columns={SETUP: "unit"})
    if "unit" not in table:
        table.insert(0, "unit", table[ADVERTISER])
    table["spend"] = table.spend_control + table.spend_variant
    conversions = table.conversions_control + table.conversions_variant
    no_spend = (table.spend_control <= 0) | (table.spend_variant <= 0)
    few = conversions < settings.min_conversions
    none = (table.conversions_control <= 0) | (table.conversions_variant <= 0)
    reasons = {
        "no spend in one of the variants": no_spend,
        f"fewer than {settings.min_conversions:g} conversions": few,
    }
    if settings.zeros == "drop":
        reasons["no conversions in one of the variants"] = none
    kept = np.ones(len(table), bool)
    total, left_out = float(table.spend.sum()), []
    for reason, rows in reasons.items():
        out = kept & rows.to_numpy()
        kept &= ~out
        if out.any():
            spend = float(table.spend[out].sum())
            left_out.append(
                LeftOut(
                    reason=reason,
                    units=int(out.sum()),
                    spend=spend,
                    spend_share=spend / total if total else 0.0,
                    conversions=float(conversions[out].sum()),
                )
            )
    table = table[kept].reset_index(drop=True)
    added = HALF if settings.zeros == "add_half" else 0.0
    control, variant = table.conversions_control + added, table.conversions_variant + added
    table["conversion_ratio"] = variant / control
    table["cpa_ratio"] = (table.spend_variant / table.spend_control) / table.conversion_ratio
    return Ratios(table, tuple(left_out))
