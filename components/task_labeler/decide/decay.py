"""Time-decayed clicks and conversions, from what had been observed before each day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from components.task_labeler.decide.counts import NOT_CONVERTED


@dataclass(frozen=True)
class DailyCounts:
    """Counts of R rows (setups or groups) over D calendar days; the last day is the as-of day.

    Attributes:
      clicks: int64 [R, D], clicks by click day.
      row, day, delay, conversions: int64 [T] each, the non-zero numbers of conversions by row,
        click day and delay in calendar days, sorted by delay.
    """

    clicks: Ints
    row: Ints
    day: Ints
    delay: Ints
    conversions: Ints

    @classmethod
    def from_triples(
        cls, rows: int, days: int, row: Ints, day: Ints, delay: Ints, count: Ints
    ) -> DailyCounts:
        clicks = np.zeros((rows, days), np.int64)
        np.add.at(clicks, (row, day), count)
        converted = np.flatnonzero(delay != NOT_CONVERTED)
        order = converted[np.argsort(delay[converted], kind="stable")]
        return cls(clicks, row[order], day[order], delay[order], count[order])

    def visible_by_age(self, ages: int) -> _Visible:
        """Conversions seen by the start of the day that is k days after the click, k = 1, 2, .."""
        return _Visible(self, ages)


class _Visible:
    """Walks over ages; at age k holds the conversions with a delay below k, int64 [R, D]."""

    def __init__(self, counts: DailyCounts, ages: int) -> None:
        self._counts = counts
        self._edges = np.searchsorted(counts.delay, np.arange(ages + 1))
        self._seen = np.zeros_like(counts.clicks)

    def at_age(self, k: int) -> Ints:
        start, end = self._edges[k - 1], self._edges[k]
        c = self._counts
        rows, days = c.row[start:end], c.day[start:end]
        np.add.at(self._seen, (rows, days), c.conversions[start:end])
        return self._seen


def decay_weights(window: int, half_life: float) -> Floats:
    """w(k) = 2^(-k / half_life) for the ages k = 0 .. window in days, float64 [window + 1].

    >>> decay_weights(window=2, half_life=1.0).tolist()
    [1.0, 0.5, 0.25]
    """
    return np.exp2(-np.arange(window + 1) / half_life)


def decayed(
    counts: DailyCounts,
    window: int,
    half_life: float,
    exposure: Floats | None = None,
    youngest: int = 1,
    exposure_row: Ints | None = None,
) -> tuple[Floats, Floats, Ints]:
    """Decayed conversions C, decayed clicks N and plain observed clicks before each day.

        C(s, d) = sum over k of w(k - youngest + 1) * conversions(s, d - k) seen before d
        N(s, d) = sum over k of w(k - youngest + 1) * exposure(s, d, k) * clicks(s, d - k)

    for k from `youngest` to `window` (paper, section 3.1.2). Conversions belong to the day of
    their click, and count once they have happened. With an exposure, N is no less than C. The
    sums run in one fixed order, so that the same counts give the same bits.

    Decay begins with the youngest age that counts: what is known latest has weight w(1), whenever
    it becomes known, or else N would be small beside the prior's clicks for no other reason.

    Ten clicks of one setup on day 0, one of which converts on that day:

    >>> ten = DailyCounts.from_triples(
    ...     rows=1,
    ...     days=3,
    ...     row=np.array([0, 0]),
    ...     day=np.array([0, 0]),
    ...     delay=np.array([0, NOT_CONVERTED]),
    ...     count=np.array([1, 9]),
    ... )
    >>> conversions, clicks, observed = decayed(ten, window=2, half_life=1.0)
    >>> conversions.tolist(), clicks.tolist(), observed.tolist()
    ([[0.0, 0.5, 0.25]], [[0.0, 5.0, 2.5]], [[0, 10, 10]])

    Args:
      exposure: float64 [E, D, window + 1], share of its conversions that a click of age k is
        expected to have shown by day d; 1 when None.
      youngest: smallest age that counts, 1 or more.
      exposure_row: int64 [R], the row of `exposure` of each row; its own when None.

    Returns:
      C and N, float64 [R, D], and the undecayed number of clicks of these ages, int64 [R, D].
    """
    rows, days = counts.clicks.shape
    weights = decay_weights(window, half_life)
    conversions, clicks = np.zeros((rows, days)), np.zeros((rows, days))
    plain = np.zeros((rows, days), np.int64)
    visible = counts.visible_by_age(window)
    for k in range(1, min(window, days - 1) + 1):
        seen = visible.at_age(k)
        if k < youngest:
            continue
        then, weight = counts.clicks[:, : days - k], weights[k - youngest + 1]
        conversions[:, k:] += weight * seen[:, : days - k]
        if exposure is None:
            clicks[:, k:] += weight * then
        else:
            shown = exposure[:, k:, k]
            clicks[:, k:] += weight * (
                then * (shown if exposure_row is None else shown[exposure_row])
            )
        plain[:, k:] += then
    if exposure is not None:
        np.maximum(clicks, conversions, out=clicks)
    return conversions, clicks, plain


def hindsight(counts: DailyCounts, window: int, half_life: float) -> tuple[Floats, Floats]:
    """C and N as `decayed`, but with every conversion of the log, seen in time or not."""
    at_once = DailyCounts(
        counts.clicks, counts.row, counts.day, np.zeros_like(counts.delay), counts.conversions
    )
    conversions, clicks, _ = decayed(at_once, window, half_life)
    return conversions, clicks
