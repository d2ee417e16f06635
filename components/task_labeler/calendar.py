"""The days of a run: its calendar and the periods that its clicks are sorted into."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from common.days import to_date, to_day
from components.task_labeler.settings import SplitSettings
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.labelled import CALIBRATION, EVAL, JUDGED_SPLITS, RECENT, SPLITS, TRAIN


@dataclass(frozen=True)
class Period:
    """Click days from `first` up to, not including, `end`, as days since 1970-01-01."""

    first: int
    end: int

    def __str__(self) -> str:
        return f"{to_date(self.first)} .. {to_date(self.end - 1)}"


@dataclass(frozen=True)
class Calendar:
    """Days that assignments are made for: `first`, the first click's, up to the as-of day."""

    first: int
    as_of: int

    @property
    def days(self) -> int:
        return self.as_of - self.first + 1


def split_names(contract: Contract) -> tuple[str, ...]:
    """The splits that a contract's clicks are sorted into.

    There is no `recent` split where labels do not ripen: without conversion times those that are
    not mature mean nothing, and with a window of 0 days none is immature.
    """
    return SPLITS if contract.labels_ripen else JUDGED_SPLITS


def evidence_from(first_day: int, contract: Contract) -> int:
    """The first day whose assignments can rest on an observed click: the day after the log's first
    or, without conversion times, the day after that one's labels are final."""
    blind = contract.roles.conversion_timestamp is None
    return first_day + 1 + (contract.attribution_window_days if blind else 0)


def blind_words(clicks: int, trained: int, first_day: int, contract: Contract) -> str:
    """How many of the clicks to train on are of days before `evidence_from`, and what helps."""
    start = evidence_from(first_day, contract)
    delay = start - first_day - 1
    why = f" (without conversion times it is known {delay} days after its click)" if delay else ""
    return (
        f"{clicks:,} of {trained:,} clicks to train on are of days before {to_date(start)}, when "
        f"no label was known yet{why}: they are hard or soft by the prior alone; "
        f"splits.warmup_days of {start - first_day} leaves them out, a log that begins earlier "
        "does not lose them"
    )


def split_periods(
    first_day: int,
    as_of: date,
    attribution_days: int,
    settings: SplitSettings,
    ripening: bool,
) -> dict[str, Period]:
    """Lays the periods out backwards from the last day whose labels are mature.

    A click of day c is mature when c + attribution window < as-of day, so that every conversion
    that it may still have had would have been seen.

    Args:
      ripening: `Contract.labels_ripen`. If not, there is a gap of the attribution window before
        eval, unless the settings say otherwise, and no period after it.

    Raises:
      InputError: the log is too short for the periods.
    """
    gap = settings.gap_days
    if gap is None:
        gap = 0 if ripening else attribution_days
    mature_end = to_day(as_of) - attribution_days
    eval_first = mature_end - settings.eval_days
    calibration_end = eval_first - gap
    calibration_first = calibration_end - settings.calibration_days
    train_end = calibration_first - settings.calibration_gap_days
    warmup = settings.warmup(calibration_first - first_day)
    train_first = first_day + warmup
    if train_first >= train_end:
        raise InputError(
            f"splits: no day is left to train on: the log begins on {to_date(first_day)}, "
            f"warmup_days is {warmup}, and the train period would have to end before "
            f"{to_date(train_end)} (as_of {as_of}, attribution window {attribution_days} d, "
            f"eval_days {settings.eval_days}, gap {gap} d, calibration_days "
            f"{settings.calibration_days}); wanted a longer log or shorter periods"
        )
    periods = {
        TRAIN: Period(train_first, train_end),
        CALIBRATION: Period(calibration_first, calibration_end),
        EVAL: Period(eval_first, mature_end),
        RECENT: Period(mature_end, to_day(as_of)),
    }
    return periods if ripening else {name: periods[name] for name in JUDGED_SPLITS}


def shortest_log(attribution_days: int, settings: SplitSettings, ripening: bool) -> int:
    """Days before the as-of day that leave one day to train on; see `split_periods`."""
    first = date(2000, 1, 1)
    for days in itertools.count(1):
        as_of = first + timedelta(days=days)
        with suppress(InputError):
            split_periods(to_day(first), as_of, attribution_days, settings, ripening)
            break
    return days
