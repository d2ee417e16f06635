"""The summary table against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from common.pages import text
from components.reporter.summary import Change, change, change_in_words, summary_rows


def record(model: str, slice_name: str, metric: str, value: float | None) -> dict[str, Any]:
    counts = {"examples": 1000, "positives": 7}
    return {"model": model, "slice": slice_name, "metric": metric, "value": value} | counts


DASH = "\N{EN DASH}"

RECORDS = [
    record("last_blessed", "task=hard", "rig", 0.15),
    record("one_task", "task=hard", "auc", 0.8),
    record("one_task", "task=hard", "rig", 0.1),
    record("candidate", "task=hard", "rig", 0.125),
    record("candidate", "task=hard", "auc", 0.84),
    record("candidate", "task=hard", "calibration", 0.97),
    record("candidate", "task=hard&cvr_bucket=a", "rig", 0.9),
    record("candidate", "task=soft", "auc", None),
    record("one_task", "task=soft", "auc", 0.7),
]


def test_rows_by_task_then_model() -> None:
    rows = summary_rows(RECORDS)
    assert [(row.task, row.model) for row in rows] == [
        ("hard", "candidate"),
        ("hard", "one-task"),
        ("hard", "last blessed"),
        ("soft", "candidate"),
        ("soft", "one-task"),
    ]
    assert all((row.examples, row.positives) == (1000, 7) for row in rows)


def test_changes_are_against_the_one_task_model() -> None:
    candidate, one_task, last_blessed, soft, _ = summary_rows(RECORDS)
    assert (candidate.rig, candidate.auc, candidate.calibration) == (0.125, 0.84, 0.97)
    assert candidate.rig_change == Change(pytest.approx(0.025), pytest.approx(0.25))
    assert candidate.auc_change == Change(pytest.approx(0.04), pytest.approx(0.05))
    assert (one_task.rig_change, one_task.auc_change) == (None, None)
    assert last_blessed.rig_change == Change(pytest.approx(0.05), pytest.approx(0.5))
    assert last_blessed.auc_change is None
    assert soft.auc_change is None


def test_relative_to_the_size_of_a_negative_reference() -> None:
    assert change(-0.1, -0.2) == Change(pytest.approx(0.1), pytest.approx(0.5))
    assert change(0.1, 0.0) == Change(0.1, None)


def test_no_metrics_no_rows() -> None:
    assert summary_rows([]) == []


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
        (change_in_words(Change(0.0075, 0.0896)), "+0.0075 (+8.96%)"),
        (change_in_words(Change(-0.5, None)), "-0.5000"),
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
