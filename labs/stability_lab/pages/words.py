"""Numbers of the lab in words, `n/a` where there is none."""

from __future__ import annotations

import math

from common.pages import text

NONE = "n/a"


def share(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else text.share(value)


def count(value: float | None) -> str:
    return NONE if value is None else text.count(value)


def per_thousand(value: float | None) -> str:
    return NONE if value is None else f"{1000 * value:.2f}"


def decimal(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else text.decimal(value)


def of(part: float | None, whole: float | None) -> str:
    return share(part / whole) if part is not None and whole else NONE
