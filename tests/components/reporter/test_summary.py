"""The summary table against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from common.pages import text
from components.reporter.summary import Bounded, summary_rows


def record(model: str, slice_name: str, metric: str, value: float | None) -> dict[str, Any]:
    counts = {"examples": 1000, "positives": 7}
    return {"model": model, "slice": slice_name, "metric": metric, "value": value} | counts


DASH = "\N{EN DASH}"

RECORDS = [
    record("historical_cvr", "task=hard", "rig", 0.05),
    record("logistic", "task=hard", "rig", 0.11),
    record("last_blessed", "task=hard", "rig", 0.15),
    record("one_task", "task=hard", "auc", 0.8),
    record("one_task", "task=hard", "rig", 0.1) | {"low": 0.08, "high": 0.13},
    record("candidate", "task=hard", "rig", 0.125),
    record("candidate", "task=hard", "auc", 0.84),
    record("candidate", "task=hard", "calibration", 0.97),
    record("candidate", "task=hard&cvr_bucket=a", "rig", 0.9),
    record("candidate", "task=soft", "auc", 0.2),
    record("candidate", "all", "rig", -0.7),
    record("one_task", "all", "rig", 0.4),
    record("one_task", "task=soft", "auc", 0.7),
    record("as_served", "task=hard", "rig", 0.12),
    record("as_served", "all", "rig", 0.41),
    record("historical_cvr", "all", "rig", 0.3),
]


def compared(model: str, other: str, where: str, estimate: float, **more: Any) -> dict[str, Any]:
    found = {"model": model, "other": other, "slice": where, "metric": "rig"}
    return found | {"estimate": estimate, "low": estimate - 1, "high": estimate + 1} | more


COMPARISONS = [
    compared("candidate", "one_task", "task=hard", 0.025),
    compared("candidate", "one_task", "task=hard", 9.0, metric="log_loss"),
    compared("candidate", "one_task", "all", 9.0),
    compared("candidate", "logistic", "task=hard", 0.015, high=None),
    compared("as_served", "one_task", "all", 0.01),
]


def test_a_model_stands_where_it_is_judged_and_nowhere_else() -> None:
    rows = summary_rows(RECORDS, COMPARISONS)
    assert [(row.on, row.model) for row in rows] == [
        ("hard", "candidate"),
        ("hard", "one_task"),
        ("hard", "last_blessed"),
        ("hard", "logistic"),
        ("hard", "historical_cvr"),
        ("all", "as_served"),
        ("all", "one_task"),
    ]
    assert all((row.examples, row.positives) == (1000, 7) for row in rows)


def test_values_and_their_intervals() -> None:
    candidate, one_task, *_ = summary_rows(RECORDS, COMPARISONS)
    assert candidate.rig == Bounded(0.125)
    assert (candidate.auc.value, candidate.calibration.value) == (0.84, 0.97)
    assert candidate.log_loss == Bounded()
    assert one_task.rig == Bounded(0.1, 0.08, 0.13)


def test_leads_are_of_the_first_model_on_the_same_examples() -> None:
    rows = {(row.on, row.model): row.lead for row in summary_rows(RECORDS, COMPARISONS)}
    assert rows["hard", "candidate"] is rows["hard", "last_blessed"] is None
    assert rows["hard", "one_task"] == Bounded(0.025, -0.975, 1.025)
    assert rows["hard", "logistic"] == Bounded(0.015, -0.985, None)
    assert rows["all", "one_task"] == Bounded(0.01, -0.99, 1.01)


def test_no_metrics_no_rows() -> None:
    assert summary_rows([], []) == []


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (text.count(1234567), "1,234,567"),
        (text.count(None), DASH),
        (text.decimal(0.12345), "0.1235"),
        (text.decimal(float("nan")), DASH),
        (text.decimal(1.0375, 3), "1.038"),
        (text.signed(0.0), "+0.0000"),
        (text.signed(-0.00214), "-0.0021"),
        (text.share(0.0012345), "0.123%"),
        (text.share(1.0), "100%"),
        (text.share(0.0), "0%"),
        (text.share(3e-7), "0.00003%"),
        (text.ratio(1, 0), DASH),
        (text.ratio(0, 9), "0%"),
        (text.between(-0.01, 0.02), "[-0.0100, +0.0200]"),
        (text.between(-0.01, None), ""),
        (text.between(0.9, 1.1, lambda v: text.decimal(v, 2)), "[0.90, 1.10]"),
        (text.size(999), "999 B"),
        (text.size(1_536_000), "1.54 MB"),
        (text.size(2_500_000_000), "2.5 GB"),
        (text.anything(True), "True"),
        (text.anything(12000), "12,000"),
        (text.anything(130.0), "130"),
        (text.anything("x"), "x"),
        (text.anything(None), DASH),
    ],
)
def test_numbers_as_people_read_them(shown: str, wanted: str) -> None:
    assert shown == wanted
