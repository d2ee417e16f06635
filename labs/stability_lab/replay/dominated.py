"""Settings that a log would be better off without, by the replay's own measures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from common.arrays import Bools
from common.pages.text import share
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import LabLog
from labs.stability_lab.log.judge import Judge
from labs.stability_lab.replay.measures import Measures, measure
from labs.stability_lab.replay.replay import changed, replay

CHANCE = 2.0
"""Standard deviations by which flips must be fewer, as if they were independent counts."""

WITHOUT: dict[str, dict[str, object]] = {
    "band": {"band": 0.0},
    "min_dwell_days": {"min_dwell_days": 0},
    "delay": {"delay": "naive"},
}
"""Setting -> what does without it."""


def dominated_settings(
    log: LabLog,
    settings: LabellingSettings,
    judge: Judge,
    scope: Bools,
    fixed: Collection[str] = (),
) -> Iterator[str]:
    """Settings without which there are fewer flips, beyond chance, and no more wrong clicks.

    A setting that buys steadiness with wrong sides, or right sides with flips, is a choice, and not
    among them.

    Args:
      scope: bool [n], cells that count.
      fixed: settings that the log leaves no choice of.
    """
    truth = judge.hard(settings.alpha)

    def measured(tried: LabellingSettings) -> Measures:
        return measure(log.cells, replay(log, tried), truth, scope)

    own = measured(settings)
    for name, change in WITHOUT.items():
        tried = changed(settings, **change)
        if name not in fixed and tried != settings and dominates(other := measured(tried), own):
            yield (
                f"labelling.{name} does harm on this log: without it {other.flips:,} flips instead "
                f"of {own.flips:,}, {share(other.wrong_clicks)} of the clicks on the wrong side "
                f"instead of {share(own.wrong_clicks)} (judged by {judge.name}; see `hardtower "
                "stability`)"
            )


def dominates(one: Measures, other: Measures) -> bool:
    """Whether one has fewer flips than the other, beyond chance, and no more wrong clicks."""
    fewer = other.flips - one.flips > CHANCE * math.sqrt(one.flips + other.flips)
    return fewer and (one.wrong_clicks or 0.0) <= (other.wrong_clicks or 0.0)
