"""What each section of the report shows, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from common.versions.manifest import Fit, Manifest
from components.reporter.inputs import Json
from components.reporter.plots import SlicePoints
from components.reporter.summary import MODELS, SummaryRow, metric_values

HARD_SLICE = "task=hard"
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
class Period:
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
    fit: Fit
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
    """The outcome in one sentence; the reasons under it."""
    if verdict is None:
        return Headline("open", "This run has no verdict", "The evaluator wrote no verdict.")
    text = str(verdict.get("summary", ""))
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


def candidate_on_hard(rows: Sequence[SummaryRow]) -> SummaryRow | None:
    """The row that decides: what is served, where it is served."""
    wanted = ("hard", MODELS["candidate"])
    return next((row for row in rows if (row.task, row.model) == wanted), None)


def periods(splits: Mapping[str, Json]) -> list[Period]:
    """Splits with days, in the order of time."""
    found = [
        Period(
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
    return sorted(found, key=lambda period: period.first_day)


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
    found = stability or {}
    return [
        DelayRule(
            name=key.removesuffix(MISCALLS),
            miscalls=int(value),
            false_hard=found.get(f"{key.removesuffix(MISCALLS)}_false_hard"),
        )
        for key, value in found.items()
        if key.endswith(MISCALLS)
    ]


def routes(routing: pa.Table | None) -> dict[str, int]:
    """Task of the routing table -> setups, most first."""
    if routing is None or routing.num_rows == 0:
        return {}
    counted = Counter(routing["task"].to_pylist())
    return dict(counted.most_common())


def slice_table(metrics: Sequence[Json]) -> list[dict[str, Any]]:
    """A row a slice and model with every metric, in the evaluator's order of slices."""
    values = metric_values(metrics)
    slices = dict.fromkeys(name for name, _ in values)
    return [
        {"slice": name, "model": label, **values[name, model]}
        for name in slices
        for model, label in MODELS.items()
        if (name, model) in values
    ]


def plotted_slices(metrics: Sequence[Json]) -> list[SlicePoints]:
    """The hard examples and their largest parts with conversions, in the evaluator's order."""
    values = metric_values(metrics)
    size = {
        name: int(found["examples"] or 0)
        for (name, _), found in values.items()
        if HARD_SLICE in name.split("&") and found["positives"]
    }
    largest = sorted(size, key=lambda name: (name != HARD_SLICE, -size[name], name))
    shown = set(largest[:PLOTTED_SLICES])
    return [
        SlicePoints(
            short_name(name),
            {
                metric: {m: values[name, m].get(metric) for m in MODELS if (name, m) in values}
                for metric in ("rig", "auc")
            },
        )
        for name in size
        if name in shown
    ]


def short_name(name: str) -> str:
    """`task=hard&setup_category=buy` -> `hard, category buy`; long values are cut."""
    parts = []
    for pair in name.split("&"):
        column, equals, value = pair.partition("=")
        plain = column.removeprefix("setup_").replace("_", " ")
        named = f"{plain} {value or '(none)'}" if equals else pair
        parts.append(value if column == "task" else named)
    text = " ".join(", ".join(parts).split())
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
