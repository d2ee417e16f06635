"""The gate's verdict, condition by condition."""

from __future__ import annotations

import math
from typing import Any

import pytest

from common.statistics.bootstrap import Estimate
from components.evaluator.settings import GateSettings
from components.evaluator.verdict.comparisons import Comparison
from components.evaluator.verdict.gate import NO_BASELINE, Baseline, Verdict, judge

GOOD: dict[str, float | None] = {
    "positive_count": 200.0,
    "example_count": 20_000.0,
    "auc": 0.71,
    "rig": 0.05,
    "calibration": 1.02,
}
BASELINE = Baseline("version 7")


def records(model: str = "candidate", where: str = "task=hard", **changes: Any) -> list[dict]:
    return [
        {"model": model, "slice": where, "metric": metric, "value": value}
        for metric, value in {**GOOD, **changes}.items()
    ]


def comparison(
    low: float,
    high: float,
    other: str = "last_blessed",
    where: str = "task=hard",
    metric: str = "rig",
    model: str = "candidate",
) -> Comparison:
    difference = Estimate((low + high) / 2, low, high, 1000, 40)
    return Comparison(model, other, where, metric, 20_000, 200, difference)


def verdict(
    found: list[dict] | None = None,
    comparisons: tuple[Comparison, ...] = (comparison(-0.002, 0.01),),
    baseline: Baseline = BASELINE,
    **settings: Any,
) -> Verdict:
    given = records() if found is None else found
    return judge(given, comparisons, GateSettings(**settings), baseline)


def failed(given: Verdict) -> list[tuple[str, str]]:
    return [(c.name, c.slice) for c in given.conditions if not c.passed]


def test_blessed_against_a_baseline() -> None:
    given = verdict()
    assert given.blessed
    assert given.baseline == "version 7"
    assert given.summary.startswith("blessed: all 5 conditions hold. judged against version 7")
    assert given.headline == "blessed: all 5 conditions hold"
    assert [c.name for c in given.conditions] == [
        "enough_hard_conversions",
        "hard_auc_floor",
        "hard_rig_floor",
        "hard_calibration",
        "hard_rig_change",
    ]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"positive_count": 49.0}, "enough_hard_conversions"),
        ({"auc": 0.549}, "hard_auc_floor"),
        ({"auc": None}, "hard_auc_floor"),
        ({"rig": -0.001}, "hard_rig_floor"),
        ({"rig": None}, "hard_rig_floor"),
        ({"rig": math.nan}, "hard_rig_floor"),
        ({"calibration": 0.66}, "hard_calibration"),
        ({"calibration": 1.51}, "hard_calibration"),
        ({"calibration": None}, "hard_calibration"),
    ],
)
def test_each_floor(changes: dict[str, Any], name: str) -> None:
    given = verdict(records(**changes))
    assert not given.blessed
    assert failed(given) == [(name, "task=hard")]
    assert given.summary.startswith("not blessed: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"positive_count": 50.0},
        {"auc": 0.55},
        {"rig": 0.0},
        {"calibration": 0.67},
        {"calibration": 1.5},
    ],
)
def test_floors_are_met_at_their_value(changes: dict[str, Any]) -> None:
    assert verdict(records(**changes)).blessed


def test_no_hard_examples_at_all() -> None:
    given = verdict(records(where="task=soft") + records(where="all"), ())
    assert not given.blessed
    assert "0 conversions among 0 examples of task=hard, wanted >= 50" in given.summary
    assert len(failed(given)) == 5


def test_other_models_figures_do_not_count() -> None:
    assert not verdict(records("one_task") + records("last_blessed")).blessed
    assert verdict(records() + records("one_task", auc=0.1, rig=-1.0)).blessed


def test_no_baseline_is_said() -> None:
    given = verdict(comparisons=(), baseline=Baseline())
    assert given.blessed
    assert given.baseline is None
    assert NO_BASELINE in given.summary
    given = verdict(records(auc=0.5), (), Baseline())
    assert not given.blessed
    assert NO_BASELINE in given.summary


def test_unusable_baseline_is_said_with_its_reason() -> None:
    note = "version 7 does not take the current examples and is left out: it reads 'colour'"
    given = verdict(comparisons=(), baseline=Baseline(note=note))
    assert given.blessed
    assert given.baseline is None
    assert f"{note}; {NO_BASELINE}" in given.summary


@pytest.mark.parametrize(
    ("low", "high", "rule", "passes"),
    [
        (-0.01, 0.0, "proven_not_worse", True),
        (-0.0101, 0.03, "proven_not_worse", False),
        (-0.05, 0.03, "not_proven_worse", True),
        (-0.05, -0.01, "not_proven_worse", True),
        (-0.05, -0.0101, "not_proven_worse", False),
        (math.nan, math.nan, "proven_not_worse", False),
        (math.nan, math.nan, "not_proven_worse", False),
    ],
)
def test_change_on_hard(low: float, high: float, rule: str, passes: bool) -> None:
    given = verdict(comparisons=(comparison(low, high),), max_rig_loss=0.01, hard_rule=rule)
    assert given.blessed is passes
    assert failed(given) == ([] if passes else [("hard_rig_change", "task=hard")])


def test_baseline_that_was_not_compared_never_passes() -> None:
    for comparisons in ((), (comparison(0, 1, metric="auc"),), (comparison(0, 1, "one_task"),)):
        given = verdict(comparisons=comparisons)
        assert not given.blessed
        assert "was not compared with last_blessed" in given.summary


def test_the_slice_that_lost_is_named() -> None:
    given = verdict(
        comparisons=(
            comparison(0.0, 0.01),
            comparison(-0.09, -0.03, where="task=hard&setup_category=buy"),
            comparison(-0.09, 0.03, where="task=hard&setup_category=lead"),
        )
    )
    assert failed(given) == [("slice_rig_change", "task=hard&setup_category=buy")]
    assert "task=hard&setup_category=buy" in given.summary
    assert "-0.06 [-0.09, -0.03] (200 conversions, 40 setups)" in given.summary
    assert "lead" not in given.summary


def test_slices_of_soft_examples_and_of_all_are_not_judged() -> None:
    lost = tuple(comparison(-1, -1, where=w) for w in ("all", "task=soft&setup_category=buy"))
    assert verdict(comparisons=(comparison(0.0, 0.01), *lost)).blessed


def test_slices_left_unjudged() -> None:
    lost = comparison(-0.9, -0.8, where="task=hard&setup_category=buy")
    assert verdict(comparisons=(comparison(0, 1), lost), max_slice_rig_loss=None).blessed


def test_lift_over_one_task_is_reported() -> None:
    worse = comparison(-0.05, -0.01, "one_task")
    given = verdict(comparisons=(comparison(0, 1), worse))
    assert given.blessed
    assert "minus that of one_task is -0.03 [-0.05, -0.01]" in given.summary
    assert "(reported, not required)" in given.summary


@pytest.mark.parametrize(("low", "passes"), [(0.0, False), (0.001, True), (math.nan, False)])
def test_lift_over_one_task_is_required(low: float, passes: bool) -> None:
    lift = comparison(low, 0.1, "one_task")
    given = verdict(comparisons=(comparison(0, 1), lift), require_lift_over_one_task=True)
    assert given.blessed is passes
    assert failed(given) == ([] if passes else [("lift_over_one_task", "task=hard")])
    assert not verdict(comparisons=(comparison(0, 1),), require_lift_over_one_task=True).blessed


def test_lift_is_required_without_a_baseline_too() -> None:
    given = verdict(comparisons=(), baseline=Baseline(), require_lift_over_one_task=True)
    assert failed(given) == [("lift_over_one_task", "task=hard")]


LOGISTIC, CVR = "the logistic regression", "the historical CVR"


@pytest.mark.parametrize(
    ("logistic", "cvr", "passes", "says"),
    [
        ((0.001, 0.02), (0.01, 0.03), True, f"is better than {LOGISTIC} and {CVR}"),
        ((-0.001, 0.02), (0.01, 0.03), True, f"is not proven better than {LOGISTIC}"),
        ((0.0, 0.02), (-0.01, 0.0), True, f"is not proven better than {LOGISTIC} and {CVR}"),
        ((-0.02, -0.001), (0.01, 0.03), False, f"is below {LOGISTIC}"),
        (
            *((-0.02, -0.001), (-0.01, 0.03), False),
            f"is below {LOGISTIC} and not proven better than {CVR}",
        ),
        ((math.nan, math.nan), (0.01, 0.03), False, f"is not proven better than {LOGISTIC}"),
    ],
)
def test_references(
    logistic: tuple[float, float], cvr: tuple[float, float], passes: bool, says: str
) -> None:
    found = (
        comparison(0, 1),
        comparison(*logistic, "logistic"),
        comparison(*cvr, "historical_cvr"),
    )
    given = verdict(comparisons=found)
    assert given.blessed is passes
    assert failed(given) == ([] if passes else [("not_below_logistic", "task=hard")])
    assert given.headline.endswith(f"; on hard examples the candidate {says}")
    assert given.summary.startswith(given.headline)
    assert "not compared with" not in given.summary


@pytest.mark.parametrize(
    ("rule", "interval", "passes"),
    [
        ("proven_not_worse", (0.0, 0.02), True),
        ("proven_not_worse", (-0.001, 0.02), False),
        ("reported", (-0.02, -0.001), True),
        ("not_proven_worse", (-0.02, 0.0), True),
    ],
)
def test_what_references_may_ask_for(
    rule: str, interval: tuple[float, float], passes: bool
) -> None:
    found = (comparison(0, 1), comparison(*interval, "historical_cvr"))
    given = verdict(comparisons=found, references=rule)
    assert given.blessed is passes
    # Told whatever was asked for, and with the figures.
    assert f"minus that of historical_cvr is {sum(interval) / 2:+.4g} [" in given.summary


def test_a_reference_that_was_not_there_is_said() -> None:
    given = verdict(comparisons=(comparison(0, 1), comparison(0.1, 0.2, "historical_cvr")))
    assert given.blessed
    assert f"not compared with {LOGISTIC}" in given.details
    assert given.headline.endswith(f"is better than {CVR}")


def test_the_system_is_not_the_candidate() -> None:
    """Differences of the system as served bear on no condition of the candidate."""
    system = comparison(-0.5, -0.4, "one_task", "all", model="as_served")
    on_hard = comparison(-0.5, -0.4, "historical_cvr", model="as_served")
    given = verdict(comparisons=(comparison(0, 1), system, on_hard))
    assert given.blessed
    assert "historical_cvr" not in given.summary


def test_the_headline_names_what_failed() -> None:
    given = verdict(records(auc=0.5, rig=-0.2))
    assert given.headline == (
        "not blessed: 2 of 5 conditions failed (hard auc floor, hard rig floor)"
    )
