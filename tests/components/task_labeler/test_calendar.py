"""Periods, and the shortest log that has them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from common.days import to_day
from components.task_labeler.calendar import shortest_log, split_periods
from components.task_labeler.settings import SplitSettings
from schemas.errors import InputError

AS_OF = date(2025, 6, 1)


def test_a_window_of_the_clicks_day_leaves_nothing_immature() -> None:
    settings = SplitSettings(eval_days=2, calibration_days=1, warmup_days=0)
    first = to_day(AS_OF) - 10
    periods = split_periods(first, AS_OF, 0, settings, ripening=False)
    spans = {name: (p.first - first, p.end - first) for name, p in periods.items()}
    assert spans == {"train": (0, 7), "calibration": (7, 8), "eval": (8, 10)}


@pytest.mark.parametrize(
    ("window", "ripening", "wanted"),
    # Train, calibration and eval take a day each; the window lies behind, and without conversion
    # times also before the eval period.
    [(0, False, 3), (1, True, 4), (30, True, 33), (30, False, 63)],
)
def test_the_shortest_log_by_hand(window: int, ripening: bool, wanted: int) -> None:
    settings = SplitSettings(eval_days=1, calibration_days=1, warmup_days=0)
    assert shortest_log(window, settings, ripening) == wanted


def test_a_day_less_is_too_short() -> None:
    settings = SplitSettings()
    days = shortest_log(7, settings, True)
    split_periods(to_day(AS_OF - timedelta(days=days)), AS_OF, 7, settings, True)
    with pytest.raises(InputError, match="no day is left to train on"):
        split_periods(to_day(AS_OF - timedelta(days=days - 1)), AS_OF, 7, settings, True)
