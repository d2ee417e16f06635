"""Reads the outcome of an A/B test from CSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from common.files.apart import foreign_table
from common.files.arrow import open_parquet
from components.example_gen.readers.head import check_text
from schemas.errors import InputError

SETUP, VARIANT, ADVERTISER, DAY = "setup", "variant", "advertiser", "day"
SPEND, CONVERSIONS = "spend", "conversions"
CLICKS, IMPRESSIONS, REQUESTS, BUDGET = "clicks", "impressions", "requests", "budget"

REQUIRED = (SETUP, VARIANT, SPEND, CONVERSIONS)
AMOUNTS = (SPEND, CONVERSIONS, CLICKS, IMPRESSIONS, REQUESTS, BUDGET)
NAMES = (SETUP, VARIANT, ADVERTISER)
_PLAIN = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
)
_AS_TEXT = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
)
"""Of names and days; pandas knows fewer times and zones."""
SMALLEST, LARGEST = 1e-12, 1e18
"""Amounts other than 0. Sums, squares and ratios of them stay far within a float."""


def read_outcome(path: Path, control: str) -> pd.DataFrame:
    """The test's outcome by setup, both variants side by side, days added up.

    Args:
      path: a `.csv` or `.parquet` file, a row per setup and variant, or per setup, day and
        variant. Columns: `setup`, `variant`, `spend`, `conversions`; and, if known,
        `advertiser` (the setup itself otherwise), `day`, `clicks`, `impressions`, `requests`,
        `budget`. Others are ignored.
      control: name of the control in `variant`; the file holds one other name.

    Returns:
      One row per setup, ascending, columns `setup`, `advertiser`, and for each amount in the
      file `<amount>_control` and `<amount>_variant`, float64; 0 where a setup has no row of the
      variant. `attrs["variant"]` is the other variant's name.

    Raises:
      InputError: the file cannot be read, lacks a column, holds a value that is empty, not a
        number, negative or beyond all measure, a setup, day and variant twice, a setup of two
        advertisers, or variants other than the control and one more, or no spend.
    """
    table, first_row = _load(path)
    if table.empty:
        raise InputError(f"{path}: no rows; wanted one per setup and variant")
    amounts = [name for name in AMOUNTS if name in table.columns]
    clean = pd.DataFrame(index=table.index)
    for name in (*NAMES, DAY):
        if name in table.columns:
            clean[name] = _names(path, table[name], first_row)
    for name in amounts:
        clean[name] = _amounts(path, table[name], first_row)
    if ADVERTISER not in clean:
        clean[ADVERTISER] = clean[SETUP]
    variant = _other_variant(path, clean[VARIANT], control, first_row)
    _check_keys(path, clean, first_row)

    sums = clean.groupby([SETUP, VARIANT], sort=True)[amounts].sum().unstack(fill_value=0)
    outcome = pd.DataFrame({SETUP: sums.index.to_numpy()})
    owner = clean.drop_duplicates(SETUP).set_index(SETUP)[ADVERTISER]
    outcome[ADVERTISER] = owner.loc[outcome[SETUP]].to_numpy()
    for name in amounts:
        for side, label in (("control", control), ("variant", variant)):
            outcome[f"{name}_{side}"] = sums[(name, label)].to_numpy(np.float64)
    if not outcome.spend_control.sum() + outcome.spend_variant.sum():
        raise InputError(f"{path}: column {SPEND!r}: seen 0 in every row, wanted some spend")
    outcome.attrs["variant"] = variant
    return outcome


def _load(path: Path) -> tuple[pd.DataFrame, int]:
    """The file's table and the number that people give its first row of data."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; wanted a CSV or Parquet file")
    try:
        if path.suffix.lower() == ".csv":
            # Text throughout: setups named 007 or NA stay as they are, and a bad number is shown.
            # The header as a row: as a header, pandas would rename the second of two equal names.
            check_text(str(path))
            rows = pd.read_csv(
                path,
                header=None,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                encoding="utf-8-sig",
            )
            names = rows.iloc[0].to_list()
            known = _known_columns(path, names)
            table = rows.iloc[1:].reset_index(drop=True)
            return table.set_axis(names, axis=1)[known], 2
        if path.suffix.lower() in (".parquet", ".pq"):
            known = _known_columns(path, open_parquet(str(path)).schema_arrow.names)
            return _plain(path, foreign_table(str(path), known)).to_pandas(), 1
    except InputError:
        raise
    except (ValueError, OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read: {reason}") from error
    raise InputError(f"{path}: ends with {path.suffix!r}; wanted .csv or .parquet")


def _known_columns(path: Path, names: Sequence[str]) -> list[str]:
    """Those of the file's columns that are read; raises `InputError` where one is missing or there
    more than once."""
    if missing := [name for name in REQUIRED if name not in names]:
        raise InputError(
            f"{path}: no column {missing[0]!r}; seen {', '.join(map(str, names))}; "
            f"wanted {', '.join(REQUIRED)}"
        )
    known = [name for name in dict.fromkeys((*AMOUNTS, *NAMES, DAY)) if name in names]
    if twice := [name for name in known if list(names).count(name) > 1]:
        raise InputError(f"{path}: column {twice[0]!r} is there more than once; wanted one")
    return known


def _plain(path: Path, table: pa.Table) -> pa.Table:
    """The table with text for bytes, dates and times.

    Raises:
      InputError: a column holds what is neither a number nor text, such as lists; or what pandas
        would take for numbers, such as the bools of an amount.
    """
    columns = []
    for name, column in zip(table.schema.names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        kinds = _PLAIN if name in AMOUNTS else (*_PLAIN, *_AS_TEXT)
        if not any(test(kind) for test in kinds):
            wanted = "numbers" if name in AMOUNTS else "text or whole numbers"
            raise InputError(f"{path}: column {name!r}: seen {kind}, wanted {wanted}")
        try:
            is_text = any(test(kind) for test in _AS_TEXT)
            columns.append(column.cast(pa.string()) if is_text else column)
        except pa.ArrowException as error:
            raise InputError(f"{path}: column {name!r}: seen {kind}: {error}") from error
    return pa.Table.from_arrays(columns, table.schema.names)


def _names(path: Path, column: pd.Series, first_row: int) -> pd.Series:
    text = column.astype("string").str.strip()
    if (empty := (text.isna() | (text == "")).to_numpy(bool)).any():
        row = first_row + int(np.argmax(empty))
        raise InputError(f"{path}: row {row}, column {column.name!r}: empty; wanted a value")
    return text.astype(object)


def _amounts(path: Path, column: pd.Series, first_row: int) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    values = numbers.to_numpy(np.float64)
    bad = ~((values == 0) | ((values >= SMALLEST) & (values <= LARGEST)))
    if bad.any():
        place = int(np.argmax(bad))
        raise InputError(
            f"{path}: row {first_row + place}, column {column.name!r}: seen "
            f"{str(column.iloc[place])!r}, wanted 0 or a number from {SMALLEST:g} to {LARGEST:g}"
        )
    return numbers


def _other_variant(path: Path, column: pd.Series, control: str, first_row: int) -> str:
    seen = list(dict.fromkeys(column))
    if control not in seen:
        raise InputError(
            f"{path}: column {VARIANT!r}: seen {', '.join(map(repr, seen[:5]))}, none of them the "
            f"control {control!r}; name the control by --control"
        )
    others = [name for name in seen if name != control]
    if not others:
        raise InputError(
            f"{path}: column {VARIANT!r}: seen the control {control!r} alone, wanted one more"
        )
    if len(others) > 1:
        row = first_row + int(np.argmax((column == others[1]).to_numpy()))
        raise InputError(
            f"{path}: row {row}, column {VARIANT!r}: seen {others[1]!r}, a third variant; wanted "
            f"{control!r} and {others[0]!r} alone"
        )
    return str(others[0])


def _check_keys(path: Path, table: pd.DataFrame, first_row: int) -> None:
    keys = [name for name in (SETUP, DAY, VARIANT) if name in table]
    if (twice := table.duplicated(keys).to_numpy()).any():
        place = int(np.argmax(twice))
        seen = ", ".join(f"{key} {table[key].iloc[place]!r}" for key in keys)
        raise InputError(
            f"{path}: row {first_row + place}, columns {', '.join(keys)}: seen {seen} a second "
            "time; wanted one row each"
        )
    first_owner = table.groupby(SETUP)[ADVERTISER].transform("first")
    if (moved := (table[ADVERTISER] != first_owner).to_numpy()).any():
        place = int(np.argmax(moved))
        raise InputError(
            f"{path}: row {first_row + place}, column {ADVERTISER!r}: seen "
            f"{table[ADVERTISER].iloc[place]!r} for setup {table[SETUP].iloc[place]!r}, wanted "
            f"{first_owner.iloc[place]!r} as in its first row"
        )
