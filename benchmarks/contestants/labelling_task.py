"""The labelling task that all contestants of `benchmarks.task_labeler` carry out.

For every setup s and day d with clicks, over the days d - 14 .. d - 1 and with the conversions that
had happened before d,

    w(k) = 2^(-k / 7)    C = sum w(k) conversions    N = sum w(k) clicks    cvr = C / N

Each click of a mature day gets the columns `setup_id`, `historical_cvr` (absent or 0 where nothing
was observed) and `task` (`hard` where cvr <= 0.01), and is written with all of its columns.
"""

from __future__ import annotations

from datetime import date, timedelta

CONTRACT = "simulator"
AS_OF = date(2024, 4, 22)
LOG_DAYS = 112
WINDOW, HALF_LIFE, ALPHA = 14, 7.0, 0.01
FIRST_DAY = (AS_OF - timedelta(days=LOG_DAYS) - date(1970, 1, 1)).days
MATURE_END = (AS_OF - date(1970, 1, 1)).days - 30
"""First day, since 1970-01-01, whose clicks may still convert."""

CVRS = "cvr.parquet"
"""What each contestant leaves for the check: setup_id, day, cvr."""
