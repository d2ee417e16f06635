"""Small whole files on any file system that TensorFlow reaches."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from common.files.arrow import parquet_file, parquet_table
from schemas import strict_json


def write_text(text: str, path: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)


def write_bytes(data: bytes, path: str) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(data)


def read_text(path: str) -> str:
    with tf.io.gfile.GFile(path, "r") as file:
        return str(file.read())


def write_json(value: Any, path: str) -> None:
    write_text(json.dumps(value, indent=1) + "\n", path)


def read_json(path: str) -> Any:
    return strict_json.load(read_text(path))


def write_parquet(table: pa.Table, path: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_bytes(sink.getvalue().to_pybytes(), path)


def parquet_rows(path: str) -> int:
    """How many rows a file has, by its footer alone; raises as pyarrow does."""
    with tf.io.gfile.GFile(path, "rb") as file:
        # Ends with the footer, its length in four bytes, and PAR1.
        end = max(0, file.size() - 8)
        file.seek(end)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, end - length))
        return int(parquet_file(pa.BufferReader(file.read())).metadata.num_rows)


def read_parquet(path: str) -> pa.Table:
    with tf.io.gfile.GFile(path, "rb") as file:
        return parquet_table(pa.BufferReader(file.read()))
