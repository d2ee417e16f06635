"""What the sections of the report show, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa

from common.pages.intervals import IntervalLine
from common.pages.text import between, count, counted, decimal, signed
from common.versions.manifest import FitRecord, Manifest
from components.reporter.inputs import Json, RunFiles
from components.reporter.summary import (
    CANDIDATE,
    HISTORICAL_CVR,
    LAST_BLESSED,
    LOGISTIC,
    MODELS,
    ONE_TASK,
    PLACES,
    Bounded,
    SummaryRow,
    difference,
    metric_values,
)
from schemas.labelled import TRAIN

HARD_SLICE, _ = PLACES["hard"]
OPPONENTS: Mapping[str, str] = {
    ONE_TASK: "one task for all",
    LOGISTIC: "logistic regression",
    HISTORICAL_CVR: "historical CVR",
    LAST_BLESSED: "last blessed model",
}
"""What the candidate is compared with on hard examples, in the order of the plot."""

PLOTTED_SLICES = 16
LONGEST_LABEL = 34
RESTLESS_SETUPS = 10
MISCALLS = "_miscalls"


@dataclass(frozen=True)
class Headline:
    """The run's outcome: `tone` is good, bad or open."""

    tone: str
    title: str
    text: str


@dataclass(frozen=True)
class KeyFigures:
    """What a run comes down to; null where it is not known.

    Attributes:
      hard_rig, hard_auc, hard_calibration: of the candidate on hard examples; calibration is the
        mean prediction over the mean label.
      lead_over_one_task: RIG on hard examples minus that of one task for all.
      hard_examples, hard_conversions: what that rests on.
      flips: changes of side over the days of the log.
      newest_trained_day: ISO date of the newest click that what is served was trained on.
      age_days: days from there to the as-of day.
    """

    hard_rig: Bounded
    hard_auc: Bounded
    hard_calibration: Bounded
    lead_over_one_task: Bounded
    hard_examples: int | None
    hard_conversions: int | None
    flips: int | None
    newest_trained_day: str | None
    age_days: int | None

    def dump(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class RestlessSetup:
    """A setup that changed side, how often, and its latest run of days."""

    setup_id: str
    flips: int
    task: str
    historical_cvr: float


@dataclass(frozen=True)
class DelayRule:
    """A treatment of young clicks, judged with hindsight.

    Attributes:
      name: `naive`, `mature`, `corrected`, or `chosen` for the run's own with all else that it
        decides by.
      miscalls: days of setups that it puts on the wrong side.
      false_hard: those of them that it calls hard; none where the run did not tell.
    """

    name: str
    miscalls: int
    false_hard: int | None


@dataclass(frozen=True)
class PeriodCounts:
    """A split and what is in it."""

    name: str
    first_day: str
    last_day: str
    examples: int
    positives: int
    hard_examples: int
    hard_positives: int


@dataclass(frozen=True)
class NamedFit:
    """A fit, and days from its newest trained click to the as-of day."""

    name: str
    fit: FitRecord
    age: int | None


def fits(manifest: Manifest) -> list[NamedFit]:
    """The judged fit and the one that serves; one of both names where they are the same."""
    judged, served, as_of = manifest.judged_fit, manifest.served_fit, manifest.data.as_of
    if judged is None:
        return []
    if served is None:
        return [NamedFit("judged", judged, judged.age(as_of))]
    if served == judged:
        return [NamedFit("judged and served", judged, judged.age(as_of))]
    return [
        NamedFit("judged", judged, judged.age(as_of)),
        NamedFit("served", served, served.age(as_of)),
    ]


def headline(verdict: Json | None, push: Json | None) -> Headline:
    """What became of the model, and the verdict in one sentence."""
    if verdict is None:
        return Headline("open", "This run has no verdict", "The evaluator wrote no verdict.")
    text = str(verdict.get("headline") or verdict.get("summary", ""))
    if not verdict.get("blessed"):
        return Headline("bad", "Not blessed: nothing was pushed", text)
    if push is None:
        return Headline("good", "Blessed", text)
    if any(not check["passed"] for check in push.get("checks", [])):
        reason = str(push.get("reason"))
        return Headline("bad", "Blessed, but the refit failed: nothing was pushed", reason)
    if push.get("pushed"):
        return Headline("good", f"Blessed and pushed as version {push.get('version')}", text)
    return Headline("good", f"Blessed; {push.get('reason')}", text)


def key_figures(files: RunFiles, manifest: Manifest, rows: Sequence[SummaryRow]) -> KeyFigures:
    """Of a run.

    Args:
      rows: `summary.summary_rows` of it.
    """
    row = next((r for r in rows if (r.on, r.model) == ("hard", CANDIDATE)), None)
    lead = difference(files.comparisons, CANDIDATE, ONE_TASK, HARD_SLICE, "rig")
    newest = newest_trained_day(files, manifest)
    as_of = manifest.data.as_of
    age = None
    if as_of and newest:
        age = (date.fromisoformat(as_of) - date.fromisoformat(newest)).days
    return KeyFigures(
        hard_rig=row.rig if row else Bounded(),
        hard_auc=row.auc if row else Bounded(),
        hard_calibration=row.calibration if row else Bounded(),
        lead_over_one_task=lead or Bounded(),
        hard_examples=row.examples if row else None,
        hard_conversions=row.positives if row else None,
        flips=(files.stability or {}).get("flips"),
        newest_trained_day=newest,
        age_days=age,
    )


@dataclass(frozen=True)
class Card:
    """A figure, what it is, and its interval."""

    text: str
    what: str
    note: str = ""


def cards(key: KeyFigures) -> list[Card]:
    """The five figures that a run comes down to; none when no hard example was judged."""
    if key.hard_examples is None:
        return []
    measured = (
        (key.hard_rig, "RIG on hard examples", partial(decimal, places=4)),
        (key.hard_auc, "AUC on hard examples", partial(decimal, places=4)),
        (key.hard_calibration, "predicted over observed conversions", partial(decimal, places=3)),
        (key.lead_over_one_task, "RIG minus that of one task for all", partial(signed, places=4)),
    )
    rest = f"conversions in {counted(key.hard_examples, 'hard example')}"
    return [
        *(Card(show(f.value), what, between(f.low, f.high, show)) for f, what, show in measured),
        Card(count(key.hard_conversions), rest),
    ]


def newest_trained_day(files: RunFiles, manifest: Manifest) -> str | None:
    """Of the fit that is served; without one the judged fit is, and ends with the train period."""
    served = (files.manifest or {}).get("served_fit") or {}
    if newest := served.get("newest_trained_day"):
        return str(newest)
    train = manifest.data.splits.get(TRAIN)
    return train.last_day if train else None


def opponents(comparisons: Sequence[Json]) -> list[IntervalLine]:
    """RIG of the candidate on hard examples minus that of each other model."""
    leads = {
        other: difference(comparisons, CANDIDATE, other, HARD_SLICE, "rig") for other in OPPONENTS
    }
    return [
        IntervalLine(OPPONENTS[other], d.value, d.low, d.high)
        for other, d in leads.items()
        if d is not None
    ]


def level_lines(rows: Sequence[SummaryRow]) -> list[IntervalLine]:
    """Predicted over observed conversions of each model on hard examples, less 1."""

    return [
        IntervalLine(MODELS[row.model], c.value, c.low, c.high).less(1.0)
        for row in rows
        if row.on == "hard" and (c := row.calibration).value is not None
    ]


def slice_lines(comparisons: Sequence[Json], other: str) -> list[IntervalLine]:
    """RIG of the candidate minus that of another model on the largest parts of hard examples, in
    the evaluator's order."""
    parts = [
        c
        for c in comparisons
        if (c["model"], c["other"], c["metric"]) == (CANDIDATE, other, "rig")
        and HARD_SLICE in c["slice"].split("&")
    ]
    largest = sorted(parts, key=lambda c: (c["slice"] != HARD_SLICE, -c["examples"], c["slice"]))
    shown = {c["slice"] for c in largest[:PLOTTED_SLICES]}
    return [
        IntervalLine(
            short_name(c["slice"]) if c["slice"] != HARD_SLICE else "all hard examples",
            *(c["estimate"], c["low"], c["high"]),
            note=counted(c["positives"], "conversion"),
        )
        for c in parts
        if c["slice"] in shown
    ]


def periods(splits: Mapping[str, Json]) -> list[PeriodCounts]:
    """Splits with days, in the order of time."""
    of_splits = [
        PeriodCounts(
            name=name,
            first_day=split["first_day"],
            last_day=split["last_day"],
            **{
                key: int(split.get(key, 0))
                for key in ("examples", "positives", "hard_examples", "hard_positives")
            },
        )
        for name, split in splits.items()
        if "first_day" in split
    ]
    return sorted(of_splits, key=lambda period: period.first_day)


def left_out(splits: Mapping[str, Json]) -> int:
    """Clicks in no split: in a gap, in the warm-up or not yet mature."""
    return sum(int(s.get("examples", 0)) for s in splits.values() if "first_day" not in s)


def restless_setups(assignments: pa.Table | None) -> list[RestlessSetup]:
    """The setups that changed side most often, most first."""
    if assignments is None or assignments.num_rows == 0:
        return []
    runs = assignments.sort_by([("setup_id", "ascending"), ("first_day", "ascending")])
    flips: Counter[str] = Counter()
    latest: dict[str, tuple[str, float]] = {}
    rows = runs.select(["setup_id", "task", "historical_cvr"]).to_pylist()
    for before, after in pairwise([{"setup_id": None}, *rows]):
        setup = after["setup_id"]
        latest[setup] = (after["task"], after["historical_cvr"])
        if before["setup_id"] == setup and before["task"] != after["task"]:
            flips[setup] += 1
    order = sorted(flips.items(), key=lambda item: (-item[1], item[0]))
    return [RestlessSetup(s, n, *latest[s]) for s, n in order[:RESTLESS_SETUPS]]


def delay_rules(stability: Json | None) -> list[DelayRule]:
    """Miscalls of every treatment of young clicks, in the order of the file."""
    counts = stability or {}
    return [
        DelayRule(
            name=key.removesuffix(MISCALLS),
            miscalls=int(value),
            false_hard=counts.get(f"{key.removesuffix(MISCALLS)}_false_hard"),
        )
        for key, value in counts.items()
        if key.endswith(MISCALLS)
    ]


def routes(routing: pa.Table | None) -> dict[str, int]:
    """Task of the routing table -> setups, most first."""
    if routing is None or routing.num_rows == 0:
        return {}
    counted = Counter(routing["task"].to_pylist())
    return dict(counted.most_common())


def slice_table(metrics: Sequence[Json]) -> list[dict[str, Any]]:
    """A row a slice and model with every metric, in the evaluator's order of slices.

    The candidate stands on hard examples and their parts alone, and the system as served on all
    others: of neither do the rest say how well it does its work.
    """
    values = metric_values(metrics)
    slices = dict.fromkeys(name for name, _ in values)
    return [
        {"slice": name, "model": label, **values[name, model]}
        for name in slices
        for model, label in MODELS.items()
        if (name, model) in values and _serves(model, HARD_SLICE in name.split("&"))
    ]


def _serves(model: str, on_hard: bool) -> bool:
    if model in (CANDIDATE, LAST_BLESSED):
        return on_hard
    return not on_hard if model == "as_served" else True


def short_name(name: str) -> str:
    """`task=hard&setup_category=buy` -> `category buy`; long values are cut."""
    parts = []
    for pair in name.split("&"):
        column, equals, value = pair.partition("=")
        plain = column.removeprefix("setup_").replace("_", " ")
        named = f"{plain} {value or '(none)'}" if equals else pair
        if pair != HARD_SLICE or name == HARD_SLICE:
            parts.append(value if column == "task" else named)
    text = " ".join(", ".join(parts).split())
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
