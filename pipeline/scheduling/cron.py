"""Cron expressions that this machine and Kubeflow Pipelines read alike.

Kubeflow's scheduler reads six fields, seconds first, with Go's robfig/cron; here croniter does. The
two differ on some expressions, which are refused rather than run at different times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import CroniterBadDateError, CroniterError, croniter

from schemas.errors import InputError

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

DESCRIPTORS = {
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
    "@yearly": "0 0 0 1 1 *",
}


@dataclass(frozen=True)
class Field:
    """One field: its name, the values that it takes, and words for them."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def spelled_out(self, text: str) -> str:
        """The values of a field one by one, so that nothing is left to interpretation; `*` stays.

        Raises:
          InputError: not a field that Kubeflow takes.
        """
        if text in ("*", "?"):
            return "*"
        chosen: set[int] = set()
        for part in text.split(","):
            match = re.fullmatch(r"(\*|\?|(\w+)(?:-(\w+))?)(?:/(\d+))?", part, re.ASCII)
            if match is None:
                raise InputError(f"{self.name}: seen {part!r}, wanted *, a value or a range")
            _, first, last, step = match.groups()
            values = [self._value(v) for v in (first, last) if v is not None]
            if values != sorted(values):
                raise InputError(f"{self.name}: seen {part!r}, wanted a range that goes up")
            if step is not None and int(step) == 0:
                raise InputError(f"{self.name}: seen {part!r}, wanted a step of at least 1")
            start = values[0] if values else self.low
            # A value with a step begins there and has no end.
            end = values[-1] if len(values) == 2 or (values and not step) else self.high
            chosen |= set(range(start, end + 1, int(step or 1)))
        return ",".join(map(str, sorted(chosen)))

    def _value(self, text: str) -> int:
        if text.lower() in self.words:
            return self.low + self.words.index(text.lower())
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            raise InputError(f"{self.name}: seen {text!r}, wanted {self.low} to {self.high}")
        return int(text)


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, tuple(MONTHS)),
    Field("day of week (0 is Sunday)", 0, 6, tuple(WEEKDAYS)),
)


@dataclass(frozen=True)
class Cron:
    """Scheduled times, in UTC.

    Attributes:
      expression: six fields, seconds first.
    """

    expression: str

    @classmethod
    def parse(cls, text: str) -> Cron:
        """From five fields (minute first), six (second first), or a name such as `@daily`.

        Raises:
          InputError: not a cron expression, or one that Kubeflow would read in another way.
        """
        fields = DESCRIPTORS.get(text.strip().lower(), text).split()
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise InputError(
                f"--cron {text!r}: seen {len(fields)} fields, wanted five (minute first), six "
                f"(second first), or one of {', '.join(DESCRIPTORS)}"
            )
        try:
            for field, value in zip(FIELDS, fields, strict=True):
                field.spelled_out(value)
            _check_days(fields[3], fields[5])
            cron = cls(" ".join(fields))
            cron.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        except InputError as error:
            raise InputError(f"--cron {text!r}: {error}") from None
        except CroniterBadDateError:
            raise InputError(f"--cron {text!r}: there is no such day") from None
        except CroniterError as error:
            raise InputError(f"--cron {text!r}: {error}") from None
        return cron

    def next_after(self, moment: datetime) -> datetime:
        """The first scheduled time that is later than a moment.

        >>> night = Cron.parse("0 3 * * *")
        >>> night.next_after(datetime(2026, 3, 1, 3, tzinfo=UTC)).isoformat()
        '2026-03-02T03:00:00+00:00'
        """
        later: datetime = self._times(moment).get_next(datetime)
        return later

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Scheduled times later than `after` and no later than `until`, in order."""
        times = self._times(after)
        while (scheduled := times.get_next(datetime)) <= until:
            yield scheduled

    def _times(self, after: datetime) -> croniter:
        pairs = zip(FIELDS, self.expression.split(), strict=True)
        plain = " ".join(field.spelled_out(value) for field, value in pairs)
        return croniter(plain, after.astimezone(UTC), second_at_beginning=True)


def _check_days(month_day: str, week_day: str) -> None:
    """With both kinds of day restricted, a day counts for either; for Kubeflow any field with a `*`
    in it, such as `*/2`, is unrestricted, and a day has to count for both."""
    for starred, other in ((month_day, week_day), (week_day, month_day)):
        if starred not in "*?" and re.search(r"[*?]", starred) and other not in "*?":
            raise InputError(
                f"seen {starred!r} beside {other!r}, wanted days of the month or of the week, not "
                "both where one of them is taken out of all days"
            )
