"""Broken files of a click log, in three formats, through the ingest of one shard.

Either bytes of the file are damaged, and the rows that are still taken must keep the contract's
rules; or something is planted whose effect is known, down to which rows are taken.
"""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.fuzz.outcomes import NonsenseError, Outcome, damage, outcome_of
from common.clicks.columns import columns_path
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.example_gen.shard import ingest_shard
from schemas.contract import Contract

FORMATS = ("parquet", "csv", "tfrecord")
ROWS, START, DAY, DAYS = 120, 1_767_225_600, 86_400, 3
WINDOW = Window(date(2026, 1, 1), date(2026, 1, 3))
TIME, CONVERSION, LABEL = "click_time", "conversion_time", "converted"
KEYS, TEXTS, NUMBERS = ("advertiser", "goal"), ("device",), ("price", "spend")


def contract(form: str) -> Contract:
    return Contract.model_validate(
        {
            "name": "fuzz",
            "description": "rows to break",
            "input": {"format": form, "pattern": "clicks.*"},
            "attribution_window_days": DAYS,
            "roles": {
                "timestamp": TIME,
                "conversion_timestamp": CONVERSION,
                "label": LABEL,
                "setup": list(KEYS),
                "spend": "spend",
            },
            "features": {
                "categorical": [{"name": "device", "buckets": 10}],
                "numeric": [{"name": "price"}],
            },
        }
    )


def sound_rows(rng: random.Random) -> dict[str, list[Any]]:
    """A small log without a fault."""
    rows: dict[str, list[Any]] = {n: [] for n in (TIME, CONVERSION, LABEL, *KEYS, *TEXTS, *NUMBERS)}
    for _ in range(ROWS):
        time = START + rng.randrange(2 * DAY)
        label = int(rng.random() < 0.3)
        rows[TIME].append(time)
        rows[CONVERSION].append(time + rng.randrange(DAYS * DAY) if label else None)
        rows[LABEL].append(label)
        rows["advertiser"].append(f"a{rng.randrange(9)}")
        rows["goal"].append(rng.choice(("buy", "lead")))
        rows["device"].append(rng.choice(("ios", "android", 'web, "old"', None)))
        rows["price"].append(rng.choice((None, round(rng.uniform(0, 50), 3))))
        rows["spend"].append(round(rng.uniform(0, 2), 3))
    return rows


@dataclass(frozen=True)
class Planted:
    """A change whose effect is known.

    Attributes:
      rows: the columns, changed.
      bad: rows that must be set aside; None where the file must be refused.
      arrange: what is done to the table besides.
      torn: rows that get a value too many, or one too few, in CSV and TFRecord files.
    """

    what: str
    rows: dict[str, list[Any]]
    bad: frozenset[int] | None
    arrange: Callable[[pa.Table], pa.Table] = lambda table: table
    torn: frozenset[int] = frozenset()


BAD_VALUES: dict[str, tuple[Any, ...]] = {
    TIME: (None, -1, 0, START * 1000, 2**62),
    CONVERSION: (-7, START - 40 * DAY, START * 1000, 2**62),
    LABEL: (None, 2, -1),
    "advertiser": (None, ""),
    "goal": (None, ""),
    "price": (float("inf"), float("-inf"), 1e39),
    "spend": (-3.0, float("inf"), float("nan"), -1e39),
}
BAD_TEXT: dict[str, tuple[str, ...]] = {
    TIME: ("soon", "2026-01-01", "1e", "0x", "12:30", hex(START), f"{START:_}"),
    CONVERSION: ("never", "1,5", hex(START + DAY)),
    LABEL: ("yes", "1.5", "00x", "0x1", "0X0"),
    "price": ("abc", "1.2.3", "12 USD", "0x1F", "1_000", "\u0667"),
    "spend": ("free", "-0,5"),
}
"""Of CSV alone, where every value is text."""


def plant(rng: random.Random, form: str) -> Planted:
    """One change at random."""
    rows = sound_rows(rng)
    kinds = (
        "value",
        "value",
        "value",
        "late",
        "early",
        "unlabelled",
        "twice",
        "gone",
        "same",
        "torn",
    )
    kind = rng.choice(kinds)
    some = sorted(rng.sample(range(ROWS), rng.randrange(1, 6)))
    if kind == "value":
        column = rng.choice(sorted(BAD_VALUES))
        values = BAD_VALUES[column] + (BAD_TEXT.get(column, ()) if form == "csv" else ())
        value = rng.choice(values)
        for row in some:
            rows[column][row] = value
        return Planted(f"{column} = {value!r} in rows {some}", rows, frozenset(some))
    if kind in ("late", "early", "unlabelled"):
        shift = {"late": DAYS * DAY + 1, "early": -1, "unlabelled": DAY}[kind]
        for row in some:
            rows[CONVERSION][row] = rows[TIME][row] + shift
            rows[LABEL][row] = int(kind != "unlabelled")
        return Planted(f"conversions {kind} in rows {some}", rows, frozenset(some))
    if kind == "torn" and form != "parquet":
        bad = frozenset(some)
        return Planted(f"rows {some} torn", rows, bad, torn=bad)
    column = rng.choice([*rows])
    if kind == "gone":
        # A feature that no tf.Example has is a column that is not there.
        return Planted(f"{column} is gone", rows, None, lambda t: t.drop([column]))
    if kind == "twice" and form != "tfrecord":
        return Planted(
            f"{column} is there twice", rows, None, lambda t: t.append_column(column, t[column])
        )
    order = rng.sample([*rows], len(rows))
    unused = pa.array([b"\xff\xfe" if rng.random() < 0.5 else None for _ in range(ROWS)])
    if form == "csv":
        unused = pa.array([rng.choice(("7", "x\ny", "", '"')) for _ in range(ROWS)])
    return Planted(
        "columns in another order, one unused",
        rows,
        frozenset(),
        lambda t: t.select(order).add_column(3, "unused", unused),
    )


def write(planted: Planted, form: str, folder: Path, rng: random.Random) -> Path:
    """The rows as a file of one of the ways in which such files are written."""
    columns = {
        name: [None if v is None else str(v) for v in values] if form == "csv" else values
        for name, values in planted.rows.items()
    }
    kinds = {} if form == "csv" else {TIME: pa.int64(), CONVERSION: pa.int64(), LABEL: pa.int64()}
    table = planted.arrange(pa.table({k: pa.array(v, kinds.get(k)) for k, v in columns.items()}))
    if form == "parquet":
        path = folder / "clicks.parquet"
        pq.write_table(
            table,
            path,
            compression=rng.choice(("none", "snappy", "gzip", "zstd")),
            use_dictionary=rng.random() < 0.5,
            row_group_size=rng.choice((7, ROWS)),
            data_page_version=rng.choice(("1.0", "2.0")),
        )
        return path
    squeezed = rng.random() < 0.4
    if form == "csv":
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table, sink)
        data = _torn(sink.getvalue().to_pybytes(), planted.torn, rng)
    else:
        data = b"".join(map(_framed, _examples(table, planted.torn)))
    path = folder / f"clicks.{form}{'.gz' if squeezed else ''}"
    path.write_bytes(gzip.compress(data, mtime=0) if squeezed else data)
    return path


def _torn(text: bytes, rows: frozenset[int], rng: random.Random) -> bytes:
    """CSV without quoted line breaks, some of whose rows get another number of fields."""
    if not rows:
        return text
    lines = text.splitlines()
    for row in rows:
        line = lines[row + 1]
        lines[row + 1] = rng.choice((line + b",1", b"x", line + b"," + line))
    return b"\n".join(lines)


def _examples(table: pa.Table, torn: frozenset[int]) -> list[bytes]:
    """Serialized by TensorFlow's own messages."""
    records = []
    for number, row in enumerate(table.to_pylist()):
        feature = {}
        for name, value in row.items():
            if isinstance(value, str | bytes):
                raw = value if isinstance(value, bytes) else value.encode()
                feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[raw]))
            elif isinstance(value, float):
                feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
            elif value is not None:
                feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        if number in torn:
            feature[LABEL].int64_list.value.append(1)
        records.append(
            tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        )
    return records


def _framed(record: bytes) -> bytes:
    def masked(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


def try_shard(form: str, seed: int, folder: Path) -> Outcome:
    """Writes one broken file, reads it as the pipeline does, and judges what came of it."""
    rng = random.Random(f"{form} {seed}")
    terms = contract(form)
    damaged = rng.random() < 0.5
    planted = plant(rng, form)
    if damaged:
        planted = Planted("", sound_rows(rng), frozenset())
    path = write(planted, form, folder, rng)
    what = planted.what
    if damaged:
        what, data = damage(path.read_bytes(), rng)
        path.write_bytes(data)

    def work() -> None:
        taken, rejected = _ingest(terms, folder)
        if damaged:
            _check_rules(taken)
        elif planted.bad is None:
            raise NonsenseError(f"taken: {taken.num_rows} rows")
        else:
            _check_rows(taken, rejected, planted)

    return outcome_of(f"{form}: {what}", str(path), work)


def _ingest(terms: Contract, root: Path) -> tuple[pa.Table, int]:
    """Rows taken, and how many were set aside."""
    source = open_source(terms, root, WINDOW)
    [key] = source.shards()
    out = root / "out"
    report = ingest_shard(
        source, key, 0, 1, terms, WINDOW, str(out / "Split-log"), str(out / "rejected")
    )
    kept = Path(columns_path(str(out / "Split-log" / "data_tfrecord-00000-of-00001.gz")))
    taken = pq.read_table(kept) if kept.is_file() else pa.table({TIME: pa.array([], pa.int64())})
    if report.rows != taken.num_rows + report.rejected:
        raise NonsenseError(f"{report.rows} rows, {taken.num_rows} taken, {report.rejected} aside")
    return taken, report.rejected


def _check_rules(taken: pa.Table) -> None:
    """The contract's rules, row by row, in plain Python."""
    last = START + 2 * DAY
    for row in taken.to_pylist():
        time, when, label = row[TIME], row[CONVERSION], row[LABEL]
        rules = {
            "time": START <= time < last,
            "label": label in (0, 1),
            "converted": label == 0 or time <= when <= time + DAYS * DAY,
            "not converted": label == 1 or when == -1 or when >= time + DAYS * DAY,
            "key": all(row[key] for key in KEYS),
            "number": all(row[n] is None or np.isfinite(row[n]) for n in NUMBERS),
            "spend": row["spend"] is None or row["spend"] >= 0,
        }
        if broken := [name for name, holds in rules.items() if not holds]:
            raise NonsenseError(f"taken: {row}, which breaks {broken}")


def _check_rows(taken: pa.Table, rejected: int, planted: Planted) -> None:
    """Exactly the sound rows, value by value."""
    bad = planted.bad or frozenset()
    if rejected != len(bad):
        raise NonsenseError(f"{rejected} rows set aside; wanted {len(bad)}")
    for name, values in planted.rows.items():
        wanted = [v for row, v in enumerate(values) if row not in bad]
        if name == CONVERSION:
            wanted = [-1 if v is None else v for v in wanted]
        elif name in NUMBERS:
            wanted = [None if v is None else float(np.float32(v)) for v in wanted]
        seen = taken[name].to_pylist()
        if seen != wanted:
            at = next(i for i, (s, w) in enumerate(zip(seen, wanted, strict=True)) if s != w)
            raise NonsenseError(f"{name}: seen {seen[at]!r} in row {at}; wanted {wanted[at]!r}")
