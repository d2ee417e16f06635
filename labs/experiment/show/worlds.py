"""An experiment over worlds as a page, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from common.pages.page import Page, Section, Table, render
from common.pages.text import counted
from common.statistics.bootstrap import Draws
from labs.experiment.judging.results import CALIBRATION
from labs.experiment.judging.worlds import InWorld, Response, arm_means
from labs.experiment.show.page import as_markdown
from labs.experiment.show.plot import by_world
from labs.experiment.show.tables import METRICS, interval, number, signed


def sections(
    in_worlds: Sequence[InWorld], responses: Sequence[Response], draws: Draws
) -> list[Section]:
    """All that the page shows below its cards."""
    plan, sets = in_worlds[0].plan, in_worlds[0].ended.sets
    correlations = list(dict.fromkeys(one.world.correlation for one in in_worlds))
    made = []
    for place, of_set in enumerate(sets):
        mine = [response for response in responses if response.set_name == of_set.name]
        figures = [
            _figures(in_worlds, correlation, place, of_set.what) for correlation in correlations
        ]
        made.append(
            Section(
                f"On {of_set.name.replace('_', ' ')} examples",
                [],
                by_world(plan.experiment, mine),
                [*_claims(mine, draws.confidence), *figures],
            )
        )
    worlds = len({one.world.seed for one in in_worlds})
    how = [
        *plan.experiment.notes,
        f"{counted(worlds, 'simulated world')} of {in_worlds[0].world.clicks:,} "
        "clicks for each correlation of what moves soft and hard conversions, all else as the "
        "simulator has it; in each the pipeline labels the log and makes its features, and every "
        f"arm is trained with {counted(len(plan.seeds), 'seed')}.",
        f"A difference is the mean over worlds. Intervals: {draws.confidence:.0%}, percentile "
        f"bootstrap of {draws.resamples:,} resamples that draws worlds with replacement, within "
        "each setups, jointly for all seeds and both arms, and seeds. A claim is supported when "
        "the whole interval lies above 0; the intervals are not adjusted to each other.",
    ]
    if worlds == 1:
        how.append("With one world the intervals say nothing of other worlds.")
    return [*made, Section("Method", how, [], [_logs(in_worlds)])]


def html(
    in_worlds: Sequence[InWorld],
    responses: Sequence[Response],
    draws: Draws,
    origin: dict[str, str],
    settings: str,
) -> str:
    """The page, self-contained.

    Args:
      origin: of the results, such as `code_version`, `created` and `command`.
    """
    experiment = in_worlds[0].plan.experiment
    supported = sum(response.together.supported for response in responses)
    cards = [
        (f"{supported} of {len(responses)}", "claims supported, over all metrics"),
        (str(len(in_worlds)), "worlds"),
        (f"{sum(one.ended.sets[0].positives for one in in_worlds):,}", "conversions judged"),
        (
            str(sum(len(runs) for one in in_worlds for runs in one.ended.trainings.values())),
            "trainings",
        ),
    ]
    meta = " · ".join([experiment.question, *origin.values()])
    title = f"experiment {experiment.name} over worlds"
    return render(Page(title, meta, cards, sections(in_worlds, responses, draws), settings))


def markdown(in_worlds: Sequence[InWorld], responses: Sequence[Response], draws: Draws) -> str:
    """The tables as Markdown."""
    return as_markdown(in_worlds[0].plan.experiment, sections(in_worlds, responses, draws))


def results(
    in_worlds: Sequence[InWorld],
    responses: Sequence[Response],
    draws: Draws,
    origin: dict[str, str],
) -> dict[str, Any]:
    """Everything, as JSON holds it but for numbers that are not finite."""
    plan = in_worlds[0].plan
    return {
        "experiment": plan.experiment.name,
        "question": plan.experiment.question,
        "notes": list(plan.experiment.notes),
        **origin,
        "sample": plan.sample.model_dump(),
        "seeds": list(plan.seeds),
        "bootstrap": vars(draws),
        "arms": {
            arm.name: {**arm.settings.dump(), "hard_kept": arm.hard_kept}
            for arm in plan.experiment.arms
        },
        "responses": [response.dump() for response in responses],
        "worlds": [
            {
                **asdict(one.world),
                "data": {"key": one.plan.data.key, **one.plan.data.record},
                "sets": [of_set.dump() for of_set in one.ended.sets],
                "trainings": one.ended.trainings,
            }
            for one in in_worlds
        ],
    }


def _claims(responses: Sequence[Response], confidence: float) -> list[Table]:
    """A table a metric: each claim's mean difference by correlation, and those of its worlds."""
    tables = []
    for metric, (name, meaning) in METRICS.items():
        mine = [response for response in responses if response.together.metric == metric]
        if not mine:
            continue
        head = ["correlation", "arm", "against", "#difference", f"#{confidence:.0%} interval"]
        head += ["#in each world", "#supported alone", "verdict: better"]
        rows = [
            [
                f"{r.correlation:g}",
                r.together.claim.arm,
                r.together.claim.against,
                signed(r.together.difference.estimate, metric),
                interval(r.together, metric),
                ", ".join(signed(one.difference.estimate, metric) for one in r.worlds),
                f"{r.supported} of {len(r.worlds)}",
                r.together.verdict,
            ]
            for r in mine
        ]
        key = frozenset(i for i, r in enumerate(mine) if r.together.supported)
        tables.append(Table(f"{name} on {mine[0].set_name}: {meaning}", head, rows, key))
    return tables


def _figures(in_worlds: Sequence[InWorld], correlation: float, place: int, what: str) -> Table:
    """Every metric of every arm: mean over the worlds of a correlation."""
    means = arm_means(in_worlds, correlation, place)
    columns = [m for m in (*METRICS, CALIBRATION) if any(m in of_arm for of_arm in means.values())]
    head = ["arm", *(f"#{METRICS[m][0] if m in METRICS else m}" for m in columns)]
    rows = [
        [arm, *(number(of_arm[m], m) if m in of_arm else "" for m in columns)]
        for arm, of_arm in means.items()
    ]
    return Table(f"correlation {correlation:g}, {what}; means over worlds and seeds", head, rows)


def _logs(in_worlds: Sequence[InWorld]) -> Table:
    """What was learned from and judged in each world."""
    head = ["correlation", "#seed", "#hard conversions learned from", "#hard examples judged"]
    head += ["#conversions", "#setups", "#seconds of trainings"]
    rows = []
    for one in in_worlds:
        judged = one.ended.sets[0]
        runs = [run for of_arm in one.ended.trainings.values() for run in of_arm]
        rows.append(
            [
                f"{one.world.correlation:g}",
                str(one.world.seed),
                f"{one.plan.data.record['splits']['train']['hard_positives']:,}",
                f"{judged.examples:,}",
                f"{judged.positives:,}",
                f"{judged.setups:,}",
                f"{sum(run['seconds'] for run in runs):,.0f}",
            ]
        )
    return Table("worlds", head, rows)
