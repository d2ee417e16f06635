"""The gate: whether a candidate is blessed, and why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.pages.text import counted
from components.evaluator.metrics.deciles import Decile
from components.evaluator.metrics.slices import HARD, within_hard
from components.evaluator.scores.table import (
    CANDIDATE,
    HISTORICAL_CVR,
    LAST_BLESSED,
    LOGISTIC,
    ONE_TASK,
    REFERENCES,
)
from components.evaluator.settings import GateSettings, Rule
from components.evaluator.verdict.comparisons import Comparison

NO_BASELINE = "no baseline to compare with"
IN_WORDS = {LOGISTIC: "the logistic regression", HISTORICAL_CVR: "the historical CVR"}


@dataclass(frozen=True)
class Baseline:
    """What the candidate is judged against.

    Attributes:
      name: the last blessed model, such as `version 3`; none without a usable one.
      note: why a last blessed model that exists is not used; empty otherwise.
    """

    name: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Condition:
    """One thing that must hold, with its figures.

    Attributes:
      value: what was measured; none where it is not defined, which never passes.
      wanted: what it must be.
      detail: the figures in words.
    """

    name: str
    slice: str
    metric: str
    model: str
    value: float | None
    wanted: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer; `blessed` is true when every condition passed.

    Attributes:
      headline: the answer in one sentence without figures, and of which references the candidate
        is not proven better.
      details: sentences with the figures of what failed and of what was compared.
      baseline: the last blessed model that the candidate was compared with, if any.
    """

    blessed: bool
    headline: str
    details: tuple[str, ...]
    baseline: str | None
    conditions: tuple[Condition, ...]

    @property
    def summary(self) -> str:
        """All of it on one line."""
        return ". ".join([self.headline, *self.details])


def judge(
    records: Iterable[Mapping[str, Any]],
    comparisons: Sequence[Comparison],
    settings: GateSettings,
    baseline: Baseline,
    deciles: Sequence[Decile] = (),
) -> Verdict:
    """Judges the candidate on hard examples, the only ones that are served by it.

    Args:
      records: metrics of every model and slice (`metrics.Record`).
      comparisons: the candidate against the others.
      settings: floors and permitted losses.
      baseline: the last blessed model, if it was evaluated.
      deciles: of the candidate's predictions on hard examples; none when they are not judged.

    Returns:
      Blessed only when every condition passed; a figure that is missing or NaN passes none.
    """
    conditions = _floors(records, settings) + [_decile(decile, settings) for decile in deciles]
    rig = {(c.other, c.slice): c for c in comparisons if (c.model, c.metric) == (CANDIDATE, "rig")}
    references = {name: rig[name, HARD] for name in REFERENCES if (name, HARD) in rig}
    if settings.references != "reported":
        conditions += [
            _change(f"not_below_{name}", comparison, HARD, name, 0.0, settings.references)
            for name, comparison in references.items()
        ]
    if baseline.name is not None:
        conditions += _changes(rig, settings)
    if settings.require_lift_over_one_task:
        conditions.append(_lift(rig.get((ONE_TASK, HARD)), settings))
    return Verdict(
        all(condition.passed for condition in conditions),
        _headline(conditions, references),
        tuple(_details(conditions, baseline, references, rig.get((ONE_TASK, HARD)), settings)),
        baseline.name,
        tuple(conditions),
    )


def _floors(records: Iterable[Mapping[str, Any]], settings: GateSettings) -> list[Condition]:
    values = {
        r["metric"]: r["value"]
        for r in records
        if r["model"] == CANDIDATE and r["slice"] == HARD and r["value"] is not None
    }
    low, high = settings.min_hard_calibration, settings.max_hard_calibration

    def floor(name: str, metric: str, least: float, most: float, wanted: str) -> Condition:
        value = values.get(metric, math.nan)
        passed = least <= value <= most
        shown = f"{metric} of the {CANDIDATE} on {HARD} is {_figure(value)}, wanted {wanted}"
        return Condition(name, HARD, metric, CANDIDATE, _known(value), wanted, passed, shown)

    positives = values.get("positive_count", 0.0)
    wanted = f">= {settings.min_hard_positives}"
    enough = Condition(
        "enough_hard_conversions",
        HARD,
        "positive_count",
        CANDIDATE,
        positives,
        wanted,
        positives >= settings.min_hard_positives,
        f"{counted(positives, 'conversion')} among "
        f"{counted(values.get('example_count', 0.0), 'example')} of "
        f"{HARD}, wanted {wanted}",
    )
    auc, rig = settings.min_hard_auc, settings.min_hard_rig
    return [
        enough,
        floor("hard_auc_floor", "auc", auc, 1.0, f">= {auc:g}"),
        floor("hard_rig_floor", "rig", rig, 1.0, f">= {rig:g}"),
        floor("hard_calibration", "calibration", low, high, f"within [{low:g}, {high:g}]"),
    ]


def _decile(decile: Decile, settings: GateSettings) -> Condition:
    least, most = settings.min_decile_calibration, settings.max_decile_calibration
    where = f"{HARD}, prediction decile {decile.number} of {decile.of}"
    wanted = f"an interval that reaches into [{least:g}, {most:g}]"
    detail = (
        f"calibration of the {CANDIDATE} on {where} is {_figure(decile.ratio)} "
        f"[{_figure(decile.low)}, {_figure(decile.high)}] ({decile.predicted:,.1f} conversions "
        f"predicted, {decile.conversions:,} observed among {counted(decile.examples, 'example')}), "
        f"wanted {wanted}"
    )
    return Condition(
        "decile_calibration",
        where,
        "calibration",
        CANDIDATE,
        _known(decile.ratio),
        wanted,
        decile.low <= most and decile.high >= least,
        detail,
    )


def _changes(rig: Mapping[tuple[str, str], Comparison], settings: GateSettings) -> list[Condition]:
    hard = _change(
        "hard_rig_change",
        rig.get((LAST_BLESSED, HARD)),
        HARD,
        LAST_BLESSED,
        -settings.max_rig_loss,
        settings.hard_rule,
    )
    if settings.max_slice_rig_loss is None:
        return [hard]
    return [
        hard,
        *(
            _change(
                "slice_rig_change",
                comparison,
                name,
                LAST_BLESSED,
                -settings.max_slice_rig_loss,
                "not_proven_worse",
            )
            for (other, name), comparison in rig.items()
            if other == LAST_BLESSED and within_hard(name)
        ),
    ]


def _lift(comparison: Comparison | None, settings: GateSettings) -> Condition:
    least = settings.min_rig_lift_over_one_task
    return _change(
        "lift_over_one_task", comparison, HARD, ONE_TASK, least, "proven_not_worse", strict=True
    )


def _change(
    name: str,
    comparison: Comparison | None,
    where: str,
    other: str,
    least: float,
    rule: Rule,
    strict: bool = False,
) -> Condition:
    sign = ">" if strict else ">="
    end = "lower" if rule == "proven_not_worse" else "upper"
    wanted = f"{end} end of the interval {sign} {least:g}"
    if comparison is None:
        detail = f"rig of the {CANDIDATE} on {where} was not compared with {other}, wanted {wanted}"
        return Condition(name, where, "rig", CANDIDATE, None, wanted, False, detail)
    difference = comparison.difference
    decisive = difference.low if rule == "proven_not_worse" else difference.high
    passed = decisive > least if strict else decisive >= least
    detail = f"{_compared(comparison)}, wanted {wanted}"
    value = _known(difference.estimate)
    # A NaN estimate may come with an interval from resamples that left the fault out.
    passed = passed and value is not None
    return Condition(name, where, "rig", CANDIDATE, value, wanted, passed, detail)


def _headline(conditions: Sequence[Condition], references: Mapping[str, Comparison]) -> str:
    failed = [condition for condition in conditions if not condition.passed]
    names = dict.fromkeys(condition.name.replace("_", " ") for condition in failed)
    opening = (
        f"not blessed: {len(failed)} of {len(conditions)} conditions failed ({', '.join(names)})"
        if failed
        else f"blessed: all {len(conditions)} conditions hold"
    )
    below = [n for n, c in references.items() if c.difference.high < 0.0]
    open_ = [n for n, c in references.items() if n not in below and not c.difference.low > 0.0]
    remarks = [
        f"{relation} {' and '.join(IN_WORDS[name] for name in names)}"
        for relation, names in (("below", below), ("not proven better than", open_))
        if names
    ]
    if remarks:
        return f"{opening}; on hard examples the candidate is {' and '.join(remarks)}"
    if references:
        better = " and ".join(IN_WORDS[name] for name in references)
        return f"{opening}; on hard examples the candidate is better than {better}"
    return opening


def _details(
    conditions: Sequence[Condition],
    baseline: Baseline,
    references: Mapping[str, Comparison],
    one_task: Comparison | None,
    settings: GateSettings,
) -> Iterator[str]:
    yield from (condition.detail for condition in conditions if not condition.passed)
    if baseline.name is None:
        yield f"{baseline.note}; {NO_BASELINE}" if baseline.note else NO_BASELINE
    else:
        slices = sum(condition.name == "slice_rig_change" for condition in conditions)
        yield f"judged against {baseline.name} on {HARD} and {slices} slices of it"
    yield from (_compared(comparison) for comparison in references.values())
    if missing := [IN_WORDS[name] for name in REFERENCES if name not in references]:
        yield f"not compared with {' and '.join(missing)}"
    if one_task is not None and not settings.require_lift_over_one_task:
        yield f"{_compared(one_task)} (reported, not required)"


def _compared(comparison: Comparison) -> str:
    d = comparison.difference
    return (
        f"rig of the {comparison.model} on {comparison.slice} minus that of {comparison.other} is "
        f"{_figure(d.estimate, '+')} [{_figure(d.low, '+')}, {_figure(d.high, '+')}] "
        f"({counted(comparison.positives, 'conversion')}, {counted(d.setups, 'setup')})"
    )


def _figure(value: float, sign: str = "") -> str:
    return f"{value:{sign}.4g}" if not math.isnan(value) else "not defined"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
