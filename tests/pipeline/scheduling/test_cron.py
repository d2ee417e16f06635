"""Cron expressions against a slow reading of Kubeflow's rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scheduling.cron import Cron
from schemas.errors import InputError

LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def values(field: str, low: int, high: int) -> set[int]:
    """Values of a field as robfig/cron reads it: `N/step` runs from N to the end."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            a, dash, b = span.partition("-")
            first = int(a)
            last = int(b) if dash else (high if step else first)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def slow_next(expression: str, moment: datetime) -> datetime:
    """Looks at every minute after a moment; the second is fixed."""
    fields = expression.split()
    second, minute, hour, day, month, weekday = (
        values(f, *limits) for f, limits in zip(fields, LIMITS, strict=True)
    )
    [at] = second
    both = not any(mark in days for mark in "*?" for days in (fields[3], fields[5]))
    found = moment.replace(second=at, microsecond=0)
    while True:
        in_month_day, in_week = found.day in day, found.isoweekday() % 7 in weekday
        days = (in_month_day or in_week) if both else (in_month_day and in_week)
        fits = days and found.month in month and found.hour in hour and found.minute in minute
        if found > moment and fits:
            return found
        found += timedelta(minutes=1)


def field(low: int, high: int, stepped: bool = True) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda p: f"{min(p)}-{max(p)}")
    plain = st.one_of(st.just("*"), number.map(str), ranges)
    if not stepped:
        return plain
    steps = st.integers(1, high)
    return st.one_of(
        plain,
        st.tuples(ranges, steps).map(lambda p: f"{p[0]}/{p[1]}"),
        steps.map(lambda n: f"*/{n}"),
        st.lists(number, min_size=1, max_size=3).map(lambda v: ",".join(map(str, sorted(set(v))))),
    )


@settings(max_examples=40, deadline=None)
@given(
    minute=field(0, 59),
    hour=field(0, 23),
    days=st.tuples(field(1, 28), field(0, 6)),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
)
def test_the_next_time_is_kubeflows(
    minute: str, hour: str, days: tuple[str, str], moment: datetime
) -> None:
    text = f"{minute} {hour} {days[0]} * {days[1]}"
    if "*" not in days and any("*" in part for part in days):
        with pytest.raises(InputError, match="beside"):
            Cron.parse(text)
        return
    cron = Cron.parse(text)
    now = moment.replace(tzinfo=UTC)
    assert cron.next_after(now) == slow_next(cron.expression, now)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("0 3 * * 1", "0 0 3 * * 1"),
        ("0 0 3 * * 1", "0 0 3 * * 1"),
        ("30 15 3 ? * MON-FRI", "30 15 3 ? * MON-FRI"),
        ("@daily", "0 0 0 * * *"),
        ("  5  4 * * *  ", "0 5 4 * * *"),
    ],
)
def test_five_fields_are_taken_at_the_full_minute(text: str, expression: str) -> None:
    assert Cron.parse(text).expression == expression


def test_hand_worked_times() -> None:
    def following(text: str, moment: str) -> str:
        return Cron.parse(text).next_after(datetime.fromisoformat(moment)).isoformat()

    assert following("0 0 3 * * 1", "2026-03-01T00:00:00+00:00") == "2026-03-02T03:00:00+00:00"
    assert following("30 0 3 * * *", "2026-03-01T03:00:30+00:00") == "2026-03-02T03:00:30+00:00"
    assert following("0 0 29 2 *", "2026-03-01T00:00:00+00:00") == "2028-02-29T00:00:00+00:00"
    # Another zone's clock is no other moment.
    assert following("0 3 * * *", "2026-03-01T04:30:00+02:00") == "2026-03-01T03:00:00+00:00"
    assert following("0 3 ? * MON-FRI", "2026-03-06T04:00:00+00:00") == "2026-03-09T03:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * *", ["seen 4 fields", "five (minute first), six"]),
        ("60 3 * * *", ["minute: seen '60'", "wanted 0 to 59"]),
        ("0 3 * * 7", ["day of week (0 is Sunday): seen '7'", "wanted 0 to 6"]),
        ("0 3 L * *", ["day of month: seen 'L'"]),
        ("0 3 * * 1#2", ["day of week", "seen '1#2'"]),
        ("0 5-3 * * *", ["hour: seen '5-3'", "goes up"]),
        ("*/0 3 * * *", ["minute: seen '*/0'", "at least 1"]),
        ("0 3 */2 * 1", ["'*/2' beside '1'"]),
        ("0 3 */2 * */2", ["'*/2' beside '*/2'"]),
        ("0 3 1,*/9 * MON", ["'1,*/9' beside 'MON'"]),
        ("0 3 *,5 * 1", ["'*,5' beside '1'"]),
        ("0 3 5 * ?/3", ["'?/3' beside '5'"]),
        ("0 3 30 2 *", ["no such day"]),
        ("0 \uff13 * * *", ["hour: seen '\uff13'"]),
        ("", ["seen 0 fields"]),
        ("0 3 * foo *", ["month: seen 'foo'"]),
    ],
)
def test_what_kubeflow_would_read_otherwise_is_refused(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Cron.parse(text)
    for word in ["--cron", *words]:
        assert word in str(caught.value)
