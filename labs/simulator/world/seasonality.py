"""When people click: hours of the day and days of the week."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

HOURLY = (
    26, 16, 11, 8, 7, 9, 24, 38, 47, 52, 55, 56,
    56, 56, 55, 54, 54, 55, 57, 59, 60, 58, 52, 35,
)  # fmt: skip
"""Clicks by hour of the day, per mille: from 6.0% at eight in the evening to .7% at four."""

WEEKLY = (100, 100, 100, 100, 100, 118, 116)
"""Clicks by day, Monday first: weekends have 15 to 20% more."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hour_shares() -> npt.NDArray[np.float64]:
    """Share of a day's clicks by hour, [24], summing to 1."""
    return np.array(HOURLY) / sum(HOURLY)


def daily_clicks(clicks: int, days: int, start: date) -> list[int]:
    """Splits `clicks` over days by weekday, exactly: they sum to `clicks`.

    In whole numbers throughout, so that a log longer by whole weeks at the same rate repeats the
    shorter one's counts.
    """
    weights = [WEEKLY[(start.weekday() + day) % 7] for day in range(days)]
    total = sum(weights)
    ends = [clicks * int(done) // total for done in np.cumsum(weights)]
    return [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def seconds_of_day(rng: np.random.Generator, clicks: int) -> npt.NDArray[np.int32]:
    """Seconds since midnight of a day's clicks, ascending, int32 [clicks]."""
    per_hour = rng.multinomial(clicks, hour_shares())
    hour = np.repeat(np.arange(24, dtype=np.int32), per_hour)
    seconds = hour * 3600 + rng.integers(0, 3600, clicks, dtype=np.int32)
    return np.sort(seconds)


def hour_effects(
    amplitude: float, soft_peak: float, hard_peak: float, hardness: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Effect of the hour on the log-odds of a conversion, [24, types].

    amplitude * cos(2 pi (hour - peak) / 24), less its mean over clicks; a type's peak lies
    between those of hardness 0 and 1, so that soft and hard types favour different hours.
    """
    peak = soft_peak + hardness * (hard_peak - soft_peak)
    wave = amplitude * np.cos(2 * np.pi * (np.arange(24)[:, None] - peak[None, :]) / 24)
    return wave - np.average(wave, axis=0, weights=hour_shares())
