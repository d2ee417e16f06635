"""Ratios in words."""

from __future__ import annotations

from labs.ab_report.settings import AbReportSettings
from labs.ab_report.table import Estimate

DASH = "\N{EN DASH}"


def change(ratio: float | None) -> str:
    """A ratio as the change that it is, as in the paper's Table 4: 0.966 -> `-3.4%`."""
    return DASH if ratio is None else f"{ratio - 1:+.1%}"


def interval(estimate: Estimate) -> str:
    """`[-5.0%, -1.8%]`, empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{change(estimate.low)}, {change(estimate.high)}]"


def zero_policy(settings: AbReportSettings) -> str:
    """The policy for units without conversions, in a sentence."""
    if settings.zeros == "drop":
        return (
            f"A {settings.unit} without a conversion in one of the variants has no ratio and is "
            "left out of every row but Pooled."
        )
    return (
        f"Half a conversion is added to both variants of every {settings.unit}, in every row but "
        "Pooled."
    )
