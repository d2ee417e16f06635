"""Checks that the test was what it says: traffic and budgets split as planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from scipy.stats import chisquare

from common.pages.text import counted
from labs.ab_report.read import BUDGET, CLICKS, IMPRESSIONS, REQUESTS, SETUP, SPEND
from labs.ab_report.settings import AbReportSettings

Outcome = Literal["passed", "failed", "not judged"]
ROUNDING = 1e-6
"""Relative overspend that is a rounding error."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
      value: what was measured, null where it could not be.
      wanted: the rule, in words.
      detail: what was seen, in words.
    """

    name: str
    outcome: Outcome
    value: float | None
    wanted: str
    detail: str


def run_checks(outcome: pd.DataFrame, settings: AbReportSettings) -> list[Check]:
    """Traffic, budgets and spend of the variants side by side.

    Args:
      outcome: as `read_outcome` gives it, before any unit is left out.
    """
    return [
        _traffic(outcome, settings),
        *_exposure(outcome),
        _budgets(outcome, settings),
        _overspend(outcome),
        _spend(outcome, settings),
    ]


def _traffic(outcome: pd.DataFrame, settings: AbReportSettings) -> Check:
    """Sample ratio mismatch: Pearson's chi-square of the requests, one degree of freedom."""
    wanted = f"chi-square p of at least {settings.mismatch_p:g}"
    if f"{REQUESTS}_control" not in outcome:
        return Check("traffic split", "not judged", None, wanted, f"no column {REQUESTS!r}")
    control, variant = _sums(outcome, REQUESTS)
    total = control + variant
    if not total:
        return Check("traffic split", "not judged", None, wanted, "no requests")
    planned = (settings.traffic_share * total, (1.0 - settings.traffic_share) * total)
    p = float(chisquare([control, variant], planned).pvalue)
    return Check(
        "traffic split",
        "passed" if p >= settings.mismatch_p else "failed",
        p,
        wanted,
        f"{control:,.0f} and {variant:,.0f} requests: {control / total:.3%} in the control, "
        f"planned {settings.traffic_share:.3%}",
    )


def _exposure(outcome: pd.DataFrame) -> list[Check]:
    """Impressions and clicks depend on what a variant bids, so they are shown, not judged."""
    checks = []
    for name in (IMPRESSIONS, CLICKS):
        if f"{name}_control" in outcome:
            control, variant = _sums(outcome, name)
            share = control / (control + variant) if control + variant else None
            seen = f"{control:,.0f} and {variant:,.0f} {name}"
            detail = seen if share is None else f"{seen}: {share:.3%} in the control"
            checks.append(
                Check(f"{name} split", "not judged", share, "none: an effect of the bids", detail)
            )
    return checks


def _budgets(outcome: pd.DataFrame, settings: AbReportSettings) -> Check:
    wanted = (
        f"every setup's control budget within {settings.budget_tolerance:.2%} of "
        f"{settings.traffic_share:.0%} of its budget"
    )
    if f"{BUDGET}_control" not in outcome:
        return Check("budget split", "not judged", None, wanted, f"no column {BUDGET!r}")
    total = outcome.budget_control + outcome.budget_variant
    known = outcome[total > 0]
    if known.empty:
        return Check("budget split", "not judged", None, wanted, "no budgets")
    gap = (known.budget_control / total[total > 0] - settings.traffic_share).abs()
    worst, uneven = gap.idxmax(), int((gap > settings.budget_tolerance).sum())
    return Check(
        "budget split",
        "failed" if uneven else "passed",
        float(gap.max()),
        wanted,
        f"{uneven:,} of {counted(len(known), 'setup')} split unevenly; largest departure "
        f"{gap.max():.2%}, setup {known[SETUP][worst]}",
    )


def _overspend(outcome: pd.DataFrame) -> Check:
    wanted = "no variant of a setup spends more than its budget"
    if f"{BUDGET}_control" not in outcome:
        return Check("budgets kept", "not judged", None, wanted, f"no column {BUDGET!r}")
    over = [
        outcome[f"{SPEND}_{side}"] > outcome[f"{BUDGET}_{side}"] * (1 + ROUNDING)
        for side in ("control", "variant")
    ]
    count = int((over[0] | over[1]).sum())
    return Check(
        "budgets kept",
        "failed" if count else "passed",
        float(count),
        wanted,
        f"{count:,} of {counted(len(outcome), 'setup')} spent more than their budget",
    )


def _spend(outcome: pd.DataFrame, settings: AbReportSettings) -> Check:
    control, variant = _sums(outcome, SPEND)
    share, plan = control / (control + variant), settings.traffic_share
    return Check(
        "spend split",
        "passed" if abs(share - plan) <= settings.spend_tolerance else "failed",
        share,
        f"control's share of the spend within {settings.spend_tolerance:.0%} of {plan:.0%}",
        f"spend {control:,.2f} and {variant:,.2f}: {share:.2%} in the control",
    )


def _sums(outcome: pd.DataFrame, name: str) -> tuple[float, float]:
    return float(outcome[f"{name}_control"].sum()), float(outcome[f"{name}_variant"].sum())
