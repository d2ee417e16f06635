"""How often each treatment of young clicks errs, against what was known in hindsight."""

from __future__ import annotations

from typing import get_args

import numpy as np

from common.arrays import Floats, Ints
from components.task_labeler.decide.decay import DailyCounts, hindsight
from components.task_labeler.decide.estimates import Delay, SharedEstimates, observed_sums
from components.task_labeler.decide.prior import smooth
from components.task_labeler.settings import LabellingSettings

DELAYS: tuple[Delay, ...] = get_args(Delay)


def miscalls(
    daily: DailyCounts,
    category_of_row: Ints,
    prior: Floats,
    strength: Floats,
    cvr: Floats,
    estimates: SharedEstimates,
    attribution_days: int,
    settings: LabellingSettings,
) -> dict[str, int]:
    """Setup-days that each rule puts on the wrong side.

    Compared on every setup and day with clicks whose whole window is mature by the as-of day. The
    side is CVR <= alpha alone, without stabiliser and pins, and the prior is the chosen rule's for
    all, so that the treatment of young clicks is the only difference. The truth is the naive rule
    on the same clicks with every conversion that they were to have.

    Args:
      prior, strength, cvr: float64 [R, D], of the chosen rule.

    Returns:
      `judged_setup_days`; `<rule>_miscalls` for the rules naive, mature, corrected and chosen; and
      `<rule>_false_hard`, those of them that the rule calls hard.
    """
    days = daily.clicks.shape[1]
    observed_clicks = np.zeros((len(prior), days), np.int64)
    truth_sums = hindsight(daily, settings.window_days, settings.half_life_days)
    truth = smooth(*truth_sums, prior, strength) <= settings.alpha
    judged = (daily.clicks > 0) & (np.arange(days) <= days - 1 - attribution_days)
    calls = {"chosen": cvr <= settings.alpha}
    for delay in DELAYS:
        conversions, clicks, observed = observed_sums(
            daily, category_of_row, estimates.curves, delay, attribution_days, settings
        )
        calls[delay] = smooth(conversions, clicks, prior, strength) <= settings.alpha
        observed_clicks = np.maximum(observed_clicks, observed)
    judged &= observed_clicks > 0
    counts = {"judged_setup_days": int(judged.sum())}
    for rule in (*DELAYS, "chosen"):
        wrong = judged & (calls[rule] != truth)
        counts[f"{rule}_miscalls"] = int(wrong.sum())
        counts[f"{rule}_false_hard"] = int((wrong & calls[rule]).sum())
    return counts
