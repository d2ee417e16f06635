"""Differences with their intervals, drawn."""

from __future__ import annotations

from common.pages.intervals import Line, intervals
from labs.experiment.judging.results import AUC, EXPECTED_AUC, EXPECTED_RIG, RIG, SetResults
from labs.experiment.show.tables import METRICS


def differences(found: SetResults) -> list[str]:
    """A figure a metric, a line a claim; the whole interval right of 0 is a supported claim."""
    return [
        intervals(
            f"Difference of {METRICS[metric][0]}",
            f"{found.name.replace('_', ' ')} examples, the one minus the other",
            [
                Line(
                    f.claim.arm,
                    *(f.difference.estimate, f.difference.low, f.difference.high),
                    note=f"against {f.claim.against}",
                )
                for f in found.findings
                if f.metric == metric
            ],
        )
        for metric in (EXPECTED_RIG, RIG, EXPECTED_AUC, AUC)
        if any(f.metric == metric for f in found.findings)
    ]
