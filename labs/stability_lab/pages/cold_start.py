"""The cold start study as tables and a page."""

from __future__ import annotations

from common.pages.page import Section, Table
from labs.stability_lab.cold_start import ColdStart
from labs.stability_lab.pages import words


def graduation(study: ColdStart, min_clicks: int) -> Section:
    """How long setups stay without a history."""
    head = [
        "Setups",
        "#New",
        "#Graduated",
        "#Clicks on one day only",
        "#Median days",
        "#75% within days",
        "#Median clicks",
        "#75% within clicks",
        "#Clicks before",
        "#of their clicks",
    ]
    body = [
        [
            g.group,
            words.count(g.setups),
            words.count(g.graduated),
            words.count(g.one_day),
            words.count(g.median_days),
            words.count(g.slow_days),
            words.count(g.median_clicks),
            words.count(g.slow_clicks),
            words.count(g.clicks_before),
            words.of(g.clicks_before, g.clicks),
        ]
        for g in study.graduation
    ]
    notes = [
        f"A setup graduates when {min_clicks} clicks have been observed in its window, so that its "
        "reason becomes history (or held). Medians are product-limit estimates: setups whose "
        "clicks or whose log ended first count as long as they were seen. n/a: so few graduate "
        "that the log does not tell."
    ]
    return Section("Graduation", notes, [], [Table("From first click to history", head, body)])


def policies(study: ColdStart) -> Section:
    """What each policy costs."""
    head = [
        "Setups",
        "Policy",
        "#Clicks",
        "#Judged",
        "#Wrong",
        "#soft as hard",
        "#hard as soft",
        "#Wrong spend",
        "#To one-task",
    ]
    tables = []
    for until, caption in (
        ("first click", "Until the first click has been observed, as the labeller applies it"),
        ("graduation", "If the policy decided alone until graduation"),
    ):
        body = [
            [
                c.group,
                c.policy,
                words.count(c.clicks),
                words.count(c.judged_clicks),
                words.share(c.wrong_clicks),
                words.share(c.soft_as_hard),
                words.share(c.hard_as_soft),
                words.share(c.wrong_spend),
                words.share(c.one_task_clicks),
            ]
            for c in study.costs
            if c.until == until
        ]
        tables.append(Table(caption, head, body))
    notes = [
        "Wrong is the share of judged clicks. Before graduation, prior means the labeller's own "
        "decision, which mixes the prior with the few clicks seen. Clicks sent to the one-task "
        "model are on neither side: they cost what the hard tower would have gained over it, "
        "which a run's evaluation tells and this study does not.",
        f"Of the clicks before graduation, {words.share(study.truly_hard)} belong to truly hard "
        "setups.",
    ]
    return Section("Policies", notes, [], tables)
