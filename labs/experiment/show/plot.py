"""Differences with their intervals, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from matplotlib.ticker import FuncFormatter, NullFormatter

from common.pages.intervals import IntervalLine, intervals
from common.pages.svg import BLUE, GREY, INK, ORANGE, VERMILION, drawing, percent
from labs.experiment.judging.results import AUC, EXPECTED_AUC, EXPECTED_RIG, RIG, SetResults
from labs.experiment.judging.worlds import Response
from labs.experiment.show.tables import METRICS, signed
from labs.experiment.studies.arms import Arm, Experiment

PLOTTED = (EXPECTED_RIG, RIG, EXPECTED_AUC, AUC)
COLOURS = (BLUE, ORANGE, VERMILION, GREY, INK)
APART = 1.04
"""Factor between the places of lines at one dose, so that their intervals can be told apart."""


def differences(of_set: SetResults) -> list[str]:
    """A figure a metric, a line a claim; the whole interval right of 0 is a supported claim."""
    return [
        intervals(
            f"Difference of {METRICS[metric][0]}",
            f"{of_set.name.replace('_', ' ')} examples, the one minus the other",
            [
                IntervalLine(
                    f.claim.arm,
                    *(f.difference.estimate, f.difference.low, f.difference.high),
                    note=f"against {f.claim.against}",
                )
                for f in of_set.findings
                if f.metric == metric
            ],
        )
        for metric in PLOTTED
        if any(f.metric == metric for f in of_set.findings)
    ]


def by_world(experiment: Experiment, responses: Sequence[Response]) -> list[str]:
    """Differences over worlds by correlation: along the share of hard examples kept where the
    experiment varies it, and a line a claim otherwise.

    Args:
      responses: responses on one set of examples.
    """
    arms = {arm.name: arm for arm in experiment.arms}
    doses = {arms[claim.arm].hard_kept for claim in experiment.claims}
    drawn = []
    for metric in PLOTTED:
        mine = [response for response in responses if response.together.metric == metric]
        if not mine:
            continue
        if len(doses) == 1:
            drawn.append(_over_worlds(metric, mine))
            continue
        pairs = dict.fromkeys(_modes(arms, response) for response in mine)
        drawn += [
            _dose_plot(f"{metric}-{number}", metric, pair, arms, mine)
            for number, pair in enumerate(pairs)
        ]
    return drawn


def _over_worlds(metric: str, responses: Sequence[Response]) -> str:
    lines = []
    for response in responses:
        claim, difference = response.together.claim, response.together.difference
        ends = difference.estimate, difference.low, difference.high
        note = f"against {claim.against}, correlation {response.correlation:g}"
        lines.append(IntervalLine(claim.arm, *ends, note=note))
    return intervals(f"Difference of {METRICS[metric][0]}", "mean over worlds", lines)


def _modes(arms: dict[str, Arm], response: Response) -> tuple[str, str]:
    claim = response.together.claim
    return arms[claim.arm].settings.model.mode, arms[claim.against].settings.model.mode


def _dose_plot(
    name: str,
    metric: str,
    pair: tuple[str, str],
    arms: dict[str, Arm],
    responses: Sequence[Response],
) -> str:
    """One difference along the share of hard examples, a line a correlation."""
    mine = [response for response in responses if _modes(arms, response) == pair]
    correlations = list(dict.fromkeys(response.correlation for response in mine))
    title = f"{pair[0]} - {pair[1]}, {METRICS[metric][0]}"
    lines = {
        correlation: sorted(
            (
                (arms[r.together.claim.arm].hard_kept, r.together.difference)
                for r in mine
                if r.correlation == correlation
            ),
            key=itemgetter(0),
        )
        for correlation in correlations
    }
    description = "; ".join(
        f"correlation {correlation:g}: "
        + ", ".join(f"{signed(d.estimate, metric)} at {percent(dose)}" for dose, d in line)
        for correlation, line in lines.items()
    )
    unit = "difference by share of hard examples learned from"
    with drawing(f"dose-{name}", title, unit, description, 3.2) as canvas:
        axes = canvas.figure.subplots()
        for number, (correlation, line) in enumerate(lines.items()):
            apart = APART ** (number - (len(lines) - 1) / 2)
            reach = [[d.estimate - d.low for _, d in line], [d.high - d.estimate for _, d in line]]
            axes.errorbar(
                [dose * apart for dose, _ in line],
                [d.estimate for _, d in line],
                yerr=reach,
                marker="o",
                markersize=3,
                elinewidth=1,
                color=COLOURS[number % len(COLOURS)],
                label=f"correlation {correlation:g}",
            )
        axes.axhline(0.0, color=INK, linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(sorted({dose for line in lines.values() for dose, _ in line}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.4g}"))
        axes.set_xlabel("share of hard examples kept")
        axes.legend()
    return canvas.svg
