"""Which column plays which part, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY
from common.pages.text import counted
from labs.first_look.columns import FALSE_WORDS, TRUE_WORDS, Column
from labs.first_look.evidence import Evidence, evidence
from schemas.contract import Categorical, Numeric
from schemas.errors import InputError
from schemas.labelled import RESERVED

WINDOWS = (1, 7, 14, 28, 30, 60, 90)
"""Attribution windows that are in use, days."""
DEFAULT_WINDOW = 30
MOST_SETUP_VALUES = 100_000
MOST_GOALS = 10_000
LEAST_CLICKS_A_SETUP = 20
LEAK_RIG = 0.5
"""Relative information gain of one column alone from which on it is too good to be known early."""
MOST_SURE = 0.3
"""Share of the conversions that may lie on values which nearly always convert."""
ROW_ID_SHARE = 0.98
TAKEN = "the task labeller gives its own field this name; rename the column in the log to use it"
LEAST_TAIL, SPREAD_OF_TAIL = 2.0, 0.8
"""A number from 0 on with a long tail: its largest value, and its standard deviation as a share of
its mean."""
VOCABULARY = 1_000
"""Values from which on a feature is hashed instead of looked up."""


def _named(*words: str) -> re.Pattern[str]:
    """Columns whose name has one of these in it, as a part between other letters of its own."""
    return re.compile(rf"(?:^|[^a-z])(?:{'|'.join(words)})(?:[^a-z]|$)")


CLICK_TIME = _named(
    "click", "clicked", "time", "timestamp", "ts", "date", "datetime", "event", "at"
)
CONVERSION = _named(
    *("conv", "converted", "conversion", "purchase", "purchased", "sale", "sales", "order"),
    *("ordered", "install", "installed", "bought", "attributed", "action", "signup"),
)
LABEL = _named("label", "target", "y", "is_conv", "outcome", "success", "status", "result")
AMOUNT = _named("revenue", "amount", "value", "gmv", "sales", "total", "payout", "basket")
CLICKED = _named("click", "clicked", "clicks", "viewed", "impression")
SETUP = _named(
    *("campaign", "campaigns", "advertiser", "adv", "merchant", "partner", "account", "offer"),
    *("lineitem", "line_item", "adset", "adgroup", "ad_group", "shop", "seller", "brand", "setup"),
    *("manufacturer", "vendor", "supplier"),
)
GOAL = _named("goal", "conversion_type", "goal_type", "conv_type", "event_type", "objective", "kpi")
CATEGORY = _named("category", "type", "goal", "vertical", "kind")
GOAL_CATEGORY = _named("conversion_category", "goal_type", "conversion_type")
ADVERTISER = _named(
    *("advertiser", "adv", "merchant", "partner", "account", "seller", "shop", "manufacturer"),
    *("vendor", "supplier", "brand"),
)
VERTICAL = _named("vertical", "industry", "advertiser_type", "sector", "adv_type")
SPEND = re.compile(
    r"(?:(?:click|ad|media|total)_?)?(?:spend|cost|spent|cpc)(?:_(?:usd|eur|gbp|cents|micros))?$"
)
PERSON = _named(
    *("user", "uid", "visitor", "cookie", "device", "os", "browser", "ip", "session", "hour"),
    *("weekday", "dow", "city", "country", "region", "zip", "gender", "age", "language", "email"),
)
KEY = _named(
    "id",
    "ids",
    "uid",
    "code",
    "key",
    "hash",
    "zip",
    "type",
    "cat",
    "category",
    "hour",
    "upc",
    "sku",
    "ean",
    "gtin",
)
LATER = _named(
    *("revenue", "amount", "gmv", "payout", "refund", "refunded", "commission", "order", "orders"),
    *("transaction", "basket", "attributed", "attribution", "conv", "conversions", "purchase"),
)
EARLIER = _named(
    "recent", "since", "per", "past", "prev", "previous", "last", "rate", r"\d+d", "avg"
)
RATE = _named("ctr", "cvr", "rate", "prob", "probability", "p", "score")


@dataclass(frozen=True)
class Asked:
    """Parts that a person has named; empty where they are to be guessed."""

    timestamp: str = ""
    label: str = ""
    conversion_timestamp: str = ""
    setup: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        one = (self.timestamp, self.label, self.conversion_timestamp)
        return (*(name for name in one if name), *self.setup)


@dataclass(frozen=True)
class SetupColumn:
    """A column that could be the setup, or a part of it.

    Attributes:
      setups: different ones in the sample.
      clicks: of the median one, in the sample.
      rig: `Evidence.rig`.
      strength: `Evidence.strength`.
    """

    column: str
    setups: int
    clicks: float
    rig: float
    strength: float


@dataclass
class Guess:
    """What a log's columns may mean.

    Attributes:
      reasons: of parts of the contract, by their key.
      of_column: of features, leaks and columns left out.
      unsure: what could not be told, in sentences.
      label: int64 [n], by `label_column` and `positive_labels`.
      setup_code: int64 [n], number of each row's setup, from 0 on.
    """

    timestamp: Column
    label_column: Column
    label: Ints
    conversion: Column | None = None
    positive_labels: Literal["above_zero"] | tuple[str, ...] = ()
    window_days: int = DEFAULT_WINDOW
    zone: str | None = None
    setup: tuple[str, ...] = ()
    setup_code: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    setup_columns: tuple[SetupColumn, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    categorical: list[Categorical] = field(default_factory=list)
    numeric: list[Numeric] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    of_column: dict[str, str] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)


def guess(columns: Mapping[str, Column], asked: Asked) -> Guess:
    """Parts and features of the columns of a sample.

    Raises:
      InputError: a column that was named is not there, or no column can be the click's time, the
        label or the setup.
    """
    if missing := [name for name in asked.names if name not in columns]:
        raise InputError(f"no column {', '.join(missing)}; the log has: {', '.join(columns)}")
    if reserved := [name for name in asked.names if name in RESERVED]:
        raise InputError(f"column {reserved[0]}: {TAKEN}")
    timestamp, why_time = _click_time(columns, asked)
    conversion = _conversion_time(columns, timestamp, asked)
    label_column, label, positive, why_label, others = _label(columns, conversion, asked)
    found = Guess(timestamp, label_column, label, conversion, positive)
    found.reasons |= {"timestamp": why_time, "label": why_label}
    if others:
        found.unsure.append(
            f"which column is the label: {label_column.name} was taken; {', '.join(others)} could "
            "be too (--label)"
        )
    _time_zone(found)
    _window(found)
    taken = {timestamp.name, label_column.name, conversion.name if conversion else ""}
    columns = _without_reserved(found, columns)
    rest = {name: column for name, column in columns.items() if name not in taken}
    known = {n: evidence(c, label) for n, c in rest.items() if c.kind not in ("nested", "empty")}
    rest = dict(_without_leaks(found, rest, known))
    _setup(found, rest, known, asked)
    _optional_roles(found, rest)
    _features(found, rest)
    for column in columns.values():
        if column.oddity and column.name not in taken:
            found.unsure.append(f"column {column.name}: {column.oddity}")
    return found


def _without_reserved(found: Guess, columns: Mapping[str, Column]) -> Mapping[str, Column]:
    reserved = [name for name in columns if name in RESERVED]
    for name in reserved:
        found.left_out.append(name)
        found.of_column[name] = TAKEN
        found.unsure.append(f"column {name} was left out: {TAKEN}")
    return {name: column for name, column in columns.items() if name not in reserved}


def _low(name: str) -> str:
    """The name in small letters, words apart by `_`: `clickTime` -> `click_time`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.search(_low(name)) is not None


def _click_time(columns: Mapping[str, Column], asked: Asked) -> tuple[Column, str]:
    if asked.timestamp:
        column = columns[asked.timestamp]
        if column.moments is None:
            raise InputError(
                f"--timestamp {column.name}: no times; wanted whole numbers since 1970 in s, ms, "
                "us or ns between the years 1990 and 2100, ISO 8601 texts, or timestamps"
            )
        return column, "as asked"
    moments = [c for c in columns.values() if c.moments is not None and c.filled > 0.98]
    if not moments:
        odd = [f"{c.name} {c.oddity}" for c in columns.values() if c.oddity]
        raise InputError(
            "no column looks like the time of the click: wanted one that is filled in every row, "
            "with numbers since 1970 between the years 1990 and 2100, ISO 8601 texts or timestamps"
            + (f" [{'; '.join(odd)}]" if odd else "")
        )

    def rank(column: Column) -> tuple[int, int, float]:
        assert column.moments is not None
        name = column.name
        middle = float(np.nanmedian(column.moments.seconds))
        return (_is(CONVERSION, name), -_is(CLICKED, name) - _is(CLICK_TIME, name), middle)

    best = min(moments, key=rank)
    alone = "the only column of times that is filled in every row"
    others = ", ".join(c.name for c in moments if c is not best)
    return best, f"times in every row; so are those of {others}" if others else alone


def _conversion_time(
    columns: Mapping[str, Column], timestamp: Column, asked: Asked
) -> Column | None:
    if asked.conversion_timestamp:
        return columns[asked.conversion_timestamp]
    assert timestamp.moments is not None
    unit = timestamp.moments.unit
    best: tuple[int, float] | None = None
    likeliest = None
    for column in columns.values():
        if column is timestamp or column.moments is None or column.moments.unit != unit:
            continue
        later = column.moments.seconds - timestamp.moments.seconds
        later = later[~np.isnan(later)]
        if not len(later) or column.filled > 0.9 or np.mean(later < 0) > 0.02:
            continue
        rank = (int(_is(CONVERSION, column.name)), -column.filled)
        if best is None or rank > best:
            best, likeliest = rank, column
    return likeliest


def _label(
    columns: Mapping[str, Column], conversion: Column | None, asked: Asked
) -> tuple[Column, Ints, Literal["above_zero"] | tuple[str, ...], str, list[str]]:
    """The label's column, its values as 0 and 1, what stands for 1, why, and others as likely."""
    converted = conversion.there if conversion is not None else None
    ranked = []
    for column in columns.values():
        if asked.label and column.name != asked.label:
            continue
        for positive, label in _readings(column, converted, bool(asked.label)):
            rate = float(label.mean())
            if not 0 < rate < 1:
                continue
            agrees = converted is not None and float(np.mean((label == 1) == converted)) > 0.995
            score = 5.0 * agrees + 2 * _is(CONVERSION, column.name) + 2 * _is(LABEL, column.name)
            score += (
                1.5 * (column.kind == "flag") - 4 * _is(CLICKED, column.name) - 2 * (rate > 0.5)
            )
            score -= 1.0 * (positive == "above_zero")
            ranked.append((score, column, label, positive, rate, agrees))
    ranked.sort(key=lambda item: -item[0])
    if not ranked or (ranked[0][0] <= 0 and not asked.label):
        raise InputError(
            "no column looks like the label: wanted one of two values, of amounts, or of a name "
            "such as converted; name it with --label (a log with a conversion time alone needs a "
            "column that says whether there is one)"
        )
    score, column, label, positive, rate, agrees = ranked[0]
    why = f"{rate:.3%} of the rows are 1"
    if agrees and conversion is not None:
        why += f", the rows in which {conversion.name} is filled"
    if column.kind == "text" and not agrees:
        why += f"; {', '.join(positive)} taken for a conversion"
    if asked.label:
        why = f"as asked; {why}"
    others = [c.name for s, c, *_ in ranked[1:] if s >= score - 1.0 and c is not column]
    return column, label, positive, why, list(dict.fromkeys(others))


def _readings(
    column: Column, converted: Bools | None, asked: bool
) -> Iterator[tuple[Literal["above_zero"] | tuple[str, ...], Ints]]:
    """Ways to read a column as a label: what stands for 1, and the labels."""
    if column.kind == "flag":
        if column.number is not None:
            yield (), (column.number == 1).astype(np.int64)
        else:
            true = tuple(w for w in column.words if w.strip().lower() in TRUE_WORDS)
            label = np.isin(column.code, [i for i, w in enumerate(column.words) if w in true])
            yield true, label.astype(np.int64)
    elif column.kind in ("integer", "number") and column.number is not None:
        if asked or _is(AMOUNT, column.name) or _is(CONVERSION, column.name):
            above = np.nan_to_num(column.number) > 0
            yield "above_zero", above.astype(np.int64)
    elif column.kind == "text" and column.words:
        told = _is(LABEL, column.name) or _is(CONVERSION, column.name)
        if not asked and (not told or _is(CATEGORY, column.name)):
            return
        where = [(w, column.code == i) for i, w in enumerate(column.words)]
        if converted is not None:
            words = tuple(w for w, rows in where if converted[rows].mean() > 0.9)
        else:
            named = [w for w, _ in where if w.strip().lower() not in FALSE_WORDS]
            positive = [w for w in named if _is(CONVERSION, w) or w.lower() in TRUE_WORDS]
            if not 0 < len(positive) < len(where):
                # Of two values that no word explains, conversions are the rarer.
                two = sorted(where, key=lambda item: int(item[1].sum())) if len(where) == 2 else []
                positive = named if len(named) == 1 else [w for w, _ in two[:1]]
            words = tuple(positive)
        if words:
            yield (
                words,
                np.isin(column.code, [i for i, w in enumerate(column.words) if w in words]).astype(
                    np.int64
                ),
            )


def _time_zone(found: Guess) -> None:
    moments = found.timestamp.moments
    assert moments is not None
    found.reasons["timestamp_unit"] = {
        "": "a timestamp column: no unit is needed",
        "iso": "ISO 8601 texts",
    }.get(moments.unit, "whole numbers that lie between 1990 and 2100 in this unit alone")
    if not moments.zoned:
        found.zone = "UTC"
        found.unsure.append(
            f"the zone of {found.timestamp.name}: its values name none, UTC was taken "
            "(timestamp_zone)"
        )


def _window(found: Guess) -> None:
    clicked = found.timestamp.moments
    assert clicked is not None
    if found.conversion is None or found.conversion.moments is None:
        days = (np.nanmax(clicked.seconds) - np.nanmin(clicked.seconds)) / SECONDS_PER_DAY
        # The window lies before the eval period and after it.
        short = [w for w in (0, *WINDOWS) if w <= DEFAULT_WINDOW and 4 * w <= days]
        found.window_days = short[-1]
        found.reasons["attribution_window_days"] = "no conversion times to tell it by"
        found.unsure.append(
            f"the attribution window was taken as {counted(found.window_days, 'day')}, and labels "
            "as final after it; a column of conversion times would tell, and let newer clicks be "
            "learned from (--conversion-timestamp)"
        )
        return
    converted = found.conversion.moments.seconds
    both = (found.label == 1) & ~np.isnan(converted)
    delay = ((converted - clicked.seconds) / SECONDS_PER_DAY)[both]
    longest = float(delay.max()) if len(delay) else 0.0
    within = np.floor(converted[both] / SECONDS_PER_DAY) == np.floor(
        clicked.seconds[both] / SECONDS_PER_DAY
    )
    if len(delay) and within.all():
        found.window_days = 0
        found.reasons["attribution_window_days"] = "every conversion lies on its click's day (UTC)"
        return
    fits = [days for days in WINDOWS if days >= longest]
    found.window_days = fits[0] if fits else min(366, int(np.ceil(longest)))
    found.reasons["attribution_window_days"] = (
        f"the longest of {len(delay):,} delays is {longest:.2f} days"
    )
    half = float(np.median(delay)) if len(delay) else 0.0
    found.reasons["conversion_timestamp"] = (
        f"filled in {found.conversion.filled:.3%} of the rows, half of them within "
        f"{half * 24:.3g} hours of {found.timestamp.name}"
    )


def _without_leaks(
    found: Guess, rest: Mapping[str, Column], known: Mapping[str, Evidence]
) -> Iterator[tuple[str, Column]]:
    later: list[str] = []
    for name, column in rest.items():
        told = known.get(name)
        why = ""
        if told is not None and told.only_converted:
            why = f"filled where {found.label_column.name} is 1 and nowhere else"
        elif told is not None and told.rig > LEAK_RIG:
            why = f"alone it has a RIG of {told.rig:.2f}: too good to be known at the click"
        elif told is not None and told.sure > MOST_SURE:
            why = (
                f"{told.sure:.0%} of the conversions lie on values of it that nearly always convert"
            )
        if why:
            found.leaks.append(name)
            found.of_column[name] = why
            continue
        if column.moments is None and _is(LATER, name):
            later += [name] * (not _is(GOAL, name) and not _is(EARLIER, name))
        yield name, column
    if later:
        found.unsure.append(
            f"what is known before the click: by their names {', '.join(later)} might not be, and "
            "then belong among the leaks"
        )


def _setup(
    found: Guess, rest: Mapping[str, Column], known: Mapping[str, Evidence], asked: Asked
) -> None:
    rows = len(found.label)
    goals = [
        name
        for name, column in rest.items()
        if _is(GOAL, name) and 2 <= column.distinct <= MOST_GOALS and column.kind in KEYS
    ]
    usable = [
        (name, column)
        for name, column in rest.items()
        if column.kind in KEYS
        and column.exact
        and column.filled > 0.999
        and 2 <= column.distinct <= min(MOST_SETUP_VALUES, rows / LEAST_CLICKS_A_SETUP)
        and not _is(PERSON, name)
    ]
    candidates = [_setup_column(name, column, known[name]) for name, column in usable]
    candidates.sort(key=lambda c: -c.rig)
    found.setup_columns = tuple(candidates)
    if asked.setup:
        _take_setup(found, rest, asked.setup, "as asked")
        return
    hinted = [c for c in candidates if _is(SETUP, c.column) and not _is(CATEGORY, c.column)]
    chosen = hinted or [c for c in candidates if c.setups >= 5] or candidates
    if not chosen:
        raise InputError(
            "no column can be the setup: wanted one that is filled in every row, with "
            f"{LEAST_CLICKS_A_SETUP} rows or more a value; name it with --setup"
        )
    best = chosen[0]
    with_goal = [g for g in goals if g != best.column]
    why = f"{with_goal[0]} by its name" if with_goal else ""
    _take_setup(found, rest, (best.column, *with_goal[:1]), why)
    others = [c.column for c in candidates if c.column != best.column][:3]
    if not hinted:
        found.unsure.append(
            f"what a conversion setup is: {best.column} separates conversions best"
            + (f"; {', '.join(others)} could be it too (--setup)" if others else " (--setup)")
        )


def _take_setup(found: Guess, rest: Mapping[str, Column], names: tuple[str, ...], why: str) -> None:
    """Takes columns for the setup; its figures are those of the columns together."""
    found.setup, found.setup_code = names, _joined([rest[name].code for name in names])
    setups = int(found.setup_code.max()) + 1
    whole = Column(", ".join(names), "text", found.setup_code, setups)
    shown = _setup_column(whole.name, whole, evidence(whole, found.label))
    figures = (
        f"{shown.setups:,} setups, half of them with {shown.clicks:,.0f} rows or more; alone a RIG "
        f"of {shown.rig:.3f}"
    )
    found.reasons["setup"] = "; ".join(filter(None, [figures, why]))


KEYS = ("text", "integer", "flag")


def _setup_column(name: str, column: Column, told: Evidence) -> SetupColumn:
    clicks = np.bincount(column.code[column.code >= 0], minlength=column.distinct)
    return SetupColumn(name, column.distinct, float(np.median(clicks)), told.rig, told.strength)


def _optional_roles(found: Guess, rest: Mapping[str, Column]) -> None:
    """Optional parts, by their names."""
    keys = {n: c for n, c in rest.items() if c.kind in KEYS and c.exact}

    def first(*patterns: re.Pattern[str], least: int = 2, most: int) -> str | None:
        for pattern in patterns:
            for name, column in keys.items():
                if _is(pattern, name) and least <= column.distinct <= most:
                    return name
        return None

    parts = {
        "advertiser": first(ADVERTISER, least=5, most=MOST_SETUP_VALUES),
        "advertiser_type": first(VERTICAL, most=200),
        "conversion_category": first(GOAL_CATEGORY, GOAL, most=100),
    }
    if parts["advertiser"] == parts["advertiser_type"]:
        parts["advertiser"] = None
    for part, name in parts.items():
        if name is not None:
            found.roles[part] = name
            found.reasons[part] = "by its name"
    for name, column in rest.items():
        amounts = column.number if column.kind in ("number", "integer") else None
        if amounts is not None and _is(SPEND, name) and np.nanmin(amounts) >= 0:
            found.roles["spend"] = name
            found.reasons["spend"] = "by its name; known after the click: no feature"
            break


def _features(found: Guess, rest: Mapping[str, Column]) -> None:
    rows = len(found.label)
    plain: set[str] = set()
    keys = {*found.setup, *(n for part, n in found.roles.items() if part != "spend")}
    for name, column in rest.items():
        why = ""
        if name == found.roles.get("spend"):
            continue
        if column.kind == "nested":
            why = "several values in a row, or of a type that is not read"
        elif column.kind == "empty":
            why = "empty"
        elif column.kind == "moment":
            why = "a time"
        elif column.distinct < 2 and column.filled == 1:
            why = "one value in every row"
        elif column.kind in KEYS and column.distinct > ROW_ID_SHARE * rows * column.filled:
            why = "another value in every row"
        elif re.sub(r"\W", "_", name) in plain:
            why = "its name differs from another's in punctuation alone"
        if why and name not in keys:
            found.left_out.append(name)
            found.of_column[name] = why
            continue
        plain.add(re.sub(r"\W", "_", name))
        if name in keys or _is_key(found, column):
            found.categorical.append(_categorical(found, column, rows))
        else:
            found.numeric.append(_numeric(found, column))


def _is_key(found: Guess, column: Column) -> bool:
    """Whether a column's values are names, and not amounts."""
    if column.kind == "number" or not column.exact:
        return False
    if column.kind in ("text", "flag"):
        return True
    if column.number is None:
        return False
    known = column.number[~np.isnan(column.number)]
    if known.min() < -1:
        return False
    if _is(KEY, column.name) or _is(SETUP, column.name) or _is(PERSON, column.name):
        return True
    # Counts pile up at their low end; codes do not.
    low = np.mean(known <= np.unique(known)[min(2, len(np.unique(known)) - 1)])
    if low > 0.5:
        return False
    found.unsure.append(
        f"column {column.name}: whole numbers, taken as a number; a code belongs among the "
        "categorical features"
    )
    return False


def _categorical(found: Guess, column: Column, rows: int) -> Categorical:
    n = column.distinct
    width = 4 if n <= 16 else 8 if n <= VOCABULARY else 16
    found.of_column[column.name] = f"{n:,} values in {rows:,} rows"
    if n <= VOCABULARY:
        return Categorical(name=column.name, vocabulary=_room(n), width=width)
    return Categorical(name=column.name, buckets=1 << int(np.ceil(np.log2(2 * n))), width=width)


def _room(values: int) -> int:
    """A round number of values with some to spare."""
    if values <= 10:
        return values + 2
    step = 10 ** int(np.log10(values)) // 2
    return int(np.ceil(1.2 * values / step)) * step


def _numeric(found: Guess, column: Column) -> Numeric:
    assert column.number is not None
    known = column.number[~np.isnan(column.number)]
    transform, why = _transform(known, column.name)
    if column.filled < 1:
        why += f"; missing in {1 - column.filled:.1%}"
    found.of_column[column.name] = why
    return Numeric(name=column.name, transform=transform)


def _transform(
    known: Floats, name: str
) -> tuple[Literal["identity", "zscore", "log1p", "log"], str]:
    low, middle = np.quantile(known, [0.0, 0.5]) + 0.0
    shown = f"{low:.3g} .. {known.max():.3g}, median {middle:.3g}"
    if low >= 0 and known.max() <= 1 and _is(RATE, name):
        return "log", f"a rate: {shown}"
    if low >= 0 and known.max() > LEAST_TAIL and known.std() > SPREAD_OF_TAIL * known.mean():
        return "log1p", f"a long tail: {shown}"
    return "zscore", shown


def _joined(codes: Sequence[Ints]) -> Ints:
    whole = codes[0]
    for code in codes[1:]:
        whole = whole * (int(code.max()) + 2) + code + 1
    _, joined = np.unique(whole, return_inverse=True)
    return joined.astype(np.int64)
