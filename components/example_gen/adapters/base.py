"""What all adapters share: options, fingerprints, and one example per conversion type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from common.days import SECONDS_PER_DAY
from components.example_gen.readers.source import Source, Window
from schemas.base import Frozen
from schemas.checked import first_problem
from schemas.contract import Contract
from schemas.errors import InputError

Options = TypeVar("Options", bound=Frozen)


@dataclass(frozen=True)
class Opening:
    """What an adapter is opened with.

    Attributes:
      root: the folder that holds the files.
      window: days of clicks that are wanted.
      options: `input.options` of the contract, not yet checked.
      contract: attribution window and columns wanted.
    """

    root: Path
    window: Window
    options: Mapping[str, object]
    contract: Contract

    @property
    def attribution_seconds(self) -> int:
        return self.contract.attribution_window_days * SECONDS_PER_DAY

    def checked(self, model: type[Options]) -> Options:
        """The options as the adapter's model; raises `InputError` for an unknown or bad one."""
        try:
            return model.model_validate(dict(self.options))
        except ValidationError as error:
            raise InputError(
                f"contract {self.contract.name}: input.options: {first_problem(error)}; wanted: "
                f"{', '.join(model.model_fields) or 'no options'}"
            ) from error

    def file(self, name: str) -> Path:
        """The named file of the folder; raises `InputError` when there is none."""
        path = self.root / name
        if not path.is_file():
            raise InputError(f"{path}: no such file; wanted the file of the published log")
        return path

    def fingerprint(self, version: int, options: Frozen, files: Iterable[Path]) -> str:
        """Digest of the adapter's version, its options, the attribution window and the files.

        A file counts by name, size and time of last change.
        """
        seen = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        facts = (
            version,
            options.model_dump(mode="json"),
            self.contract.attribution_window_days,
            self.contract.log_columns,
            sorted(seen),
        )
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def conversions(
    clicked: pa.Array, converted: pa.Array, delay: pa.Array, window_seconds: int
) -> tuple[pa.Array, pa.Array]:
    """Label and conversion time (int64 s, -1 for none) of clicks.

    A conversion later than the window does not count. One whose delay is unknown is dated to the
    end of the window: never earlier than it can have been known.

    Args:
      clicked: int64 [n], seconds.
      converted: bool [n].
      delay: int64 [n], seconds from click to conversion, null when unknown.
      window_seconds: attribution window.
    """
    delay = pc.fill_null(delay, window_seconds)
    label = pc.and_(converted, pc.less_equal(delay, window_seconds))
    return pc.cast(label, pa.int64()), pc.if_else(label, pc.add(clicked, delay), -1)


def per_type(
    rows: Mapping[str, pa.Array], outcomes: Mapping[str, tuple[pa.Array, pa.Array]]
) -> pa.RecordBatch:
    """One example per row and conversion type, those of a row next to one another.

    Adds `conversion_type`, `label` and `conversion_timestamp` to the rows' columns.

    Args:
      rows: columns of length n.
      outcomes: label and conversion time, int64 [n], by conversion type.
    """
    length, types = len(next(iter(rows.values()))), list(outcomes)
    repeat = pa.array(np.repeat(np.arange(length), len(types)))
    # Types one after the other -> types of a row side by side.
    weave = pa.array(np.arange(length * len(types)).reshape(len(types), length).T.ravel())
    columns = {name: column.take(repeat) for name, column in rows.items()}
    columns["conversion_type"] = pa.array(types * length, pa.string())
    columns["label"] = pa.concat_arrays([outcomes[t][0] for t in types]).take(weave)
    columns["conversion_timestamp"] = pa.concat_arrays([outcomes[t][1] for t in types]).take(weave)
    return pa.RecordBatch.from_pydict(columns)


def hour_and_weekday(times: pa.Array) -> dict[str, pa.Array]:
    """`hour` (0 to 23) and `weekday` (0 is Monday) as strings, of times in seconds (UTC)."""
    moments = pc.cast(times, pa.timestamp("s"))
    return {
        "hour": pc.cast(pc.hour(moments), pa.string()),
        "weekday": pc.cast(pc.day_of_week(moments), pa.string()),
    }


def days_in(window: Window, first: int, last: int) -> bool:
    """Whether any second from `first` to `last` lies in the window."""
    start, end = window.seconds
    return first < end and last >= start


def in_window(window: Window, times: pa.Array) -> pa.Array:
    """Mask of the times (int64 s) that lie in the window."""
    start, end = window.seconds
    return pc.and_(pc.greater_equal(times, start), pc.less(times, end))


@dataclass(frozen=True)
class Selected:
    """A source reduced to the columns of a contract."""

    source: Source
    columns: tuple[str, ...]
    name: str

    def shards(self) -> tuple[str, ...]:
        return self.source.shards()

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        """As `Source.read`; raises `InputError` for a column that the adapter does not make."""
        for batch in self.source.read(shard):
            made = set(batch.schema.names)
            if missing := [c for c in self.columns if c not in made]:
                raise InputError(
                    f"adapter {self.name}: no column {missing[0]!r}; "
                    f"wanted one of: {', '.join(batch.schema.names)}"
                )
            yield pa.RecordBatch.from_pydict({c: batch.column(c) for c in self.columns})

    def fingerprint(self) -> str:
        return self.source.fingerprint()
