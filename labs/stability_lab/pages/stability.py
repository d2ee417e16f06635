"""The stability study as tables and a page."""

from __future__ import annotations

from common.pages.page import Section, Table
from labs.stability_lab.pages import words
from labs.stability_lab.pages.figures import frontier_plots
from labs.stability_lab.replay.frontier import Point
from labs.stability_lab.replay.measures import Measures

HEAD = [
    "#Flips",
    "#per 1,000",
    "#Churned clicks",
    "#Wrong clicks",
    "#soft as hard",
    "#hard as soft",
    "#Restless setups",
    "#Restless clicks",
    "#Churned spend",
    "#Wrong spend",
    "#Routing flips",
    "#Apart",
]

WORDS = [
    "A flip is a day on which a setup's side differs from its previous day with clicks; the rate "
    "is per 1,000 days on which a setup had clicks. Churned "
    "is what fell on a setup on the day of a flip, restless what fell on setups with any flip.",
    "Apart are clicks trained on one side and routed to the other by the online threshold.",
]


def judged_by(name: str, measures: Measures) -> str:
    """A sentence on where the true sides come from: the simulator, or later clicks."""
    known = words.share(measures.judged_clicks)
    if name == "truth":
        return f"Sides are compared with the simulator's true CVR of the day ({known} of clicks)."
    return (
        "The log has no truth: a side is compared with what the setup's later clicks say of its "
        f"CVR, as an expected share; {known} of clicks have such later, mature clicks."
    )


def cells(m: Measures) -> list[str]:
    """One row of the table, a text for each column of `HEAD`."""
    return [
        words.count(m.flips),
        words.per_thousand(m.flip_rate),
        words.share(m.churned_clicks),
        words.share(m.wrong_clicks),
        words.share(m.soft_as_hard),
        words.share(m.hard_as_soft),
        words.count(m.restless_setups),
        words.share(m.restless_clicks),
        words.share(m.churned_spend),
        words.share(m.wrong_spend),
        words.count(m.online_flips),
        words.share(m.apart_clicks),
    ]


def mechanisms(measured: dict[str, Measures], judge: str) -> Section:
    """With and without each mechanism; the first row is as configured."""
    first = next(iter(measured.values()))
    notes = [*WORDS, judged_by(judge, first)]
    if first.true_flips is not None:
        notes.append(
            f"The true side itself flips {first.true_flips:,} times in the period: fewer flips "
            "than that means missed changes."
        )
    rows = [[name, *cells(m)] for name, m in measured.items()]
    table = Table("With and without each mechanism", ["Labeller", *HEAD], rows, frozenset({0}))
    return Section("Mechanisms", notes, [], [table])


def frontier_section(points: list[Point]) -> Section:
    """The plot, the efficient combinations, and all of them folded."""
    head = ["#Alpha", "#Band", "#Half-life", *HEAD, "Efficient"]
    efficient = [p for p in points if p.efficient or p.chosen]
    tables = [
        _table("Efficient combinations, and the configured one", head, efficient, False),
        _table(f"All {len(points)} combinations", head, points, True),
    ]
    notes = [
        "Every combination replays the whole log. Efficient means that no other combination of "
        "the same alpha has both fewer flips and fewer wrong clicks; the configured combination "
        "is outlined. Another alpha is another question, so panels are not to be compared by "
        "their wrong clicks alone."
    ]
    return Section("Frontier", notes, frontier_plots(points), tables)


def _table(caption: str, head: list[str], points: list[Point], folded: bool) -> Table:
    rows = [
        [
            words.share(p.alpha),
            words.share(p.band) if p.band else "0%",
            f"{p.half_life_days:g} d",
            *cells(p.measures),
            "yes" if p.efficient else "",
        ]
        for p in points
    ]
    chosen = frozenset(i for i, p in enumerate(points) if p.chosen)
    return Table(caption, head, rows, chosen, folded)
