"""Clicks by a BigQuery query, through TFX's own component."""

from __future__ import annotations

from datetime import date
from string import Formatter

from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen
from tfx.proto import example_gen_pb2

from common.as_of import resolve_as_of
from components.example_gen.readers.source import Window
from schemas.contract import Contract
from schemas.errors import InputError


def window_query(query: str, window: Window) -> str:
    """The query with `{start}` and `{end}` replaced by the window's ISO dates.

    Raises:
      InputError: another name stands in braces, or one of the two is missing.
    """
    names = {name for _, name, _, _ in Formatter().parse(query) if name is not None}
    if names != {"start", "end"}:
        raise InputError(
            f"input.query: seen the placeholders {sorted(names)}, wanted {{start}} and {{end}}"
        )
    return query.format(start=window.start.isoformat(), end=window.end.isoformat())


def bigquery_example_gen(contract: Contract, as_of: str, window_days: int) -> BigQueryExampleGen:
    """TFX's component for the window before `as_of`; its rows go to one split, `log`.

    The query must give the contract's columns in the contract's types: STRING keys and categories,
    FLOAT64 numbers, INT64 label and times in seconds.

    Args:
      as_of: ISO date, or empty for today (UTC).
    """
    day: date = resolve_as_of(as_of)
    output = example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[example_gen_pb2.SplitConfig.Split(name="log", hash_buckets=1)]
        )
    )
    return BigQueryExampleGen(
        query=window_query(contract.input.query, Window.before(day, window_days)),
        output_config=output,
    )
