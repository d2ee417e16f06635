"""The compact form of a routing table: an Arrow IPC file that a serving process maps.

One record batch, sorted by `key`, the first eight bytes (little-endian) of the BLAKE2b digest of
the setup id, of which a look-up finds a row by binary search without reading the file. The schema
metadata holds `format` and `assignment_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.files.arrow import UNREADABLE, mapped_table
from schemas.errors import InputError

FORMAT = "hardtower-routing-1"
CODE = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),
        ("setup_id", pa.string()),
        ("task", CODE),
        ("reason", CODE),
        ("historical_cvr", pa.float64()),
    ]
)
PLAIN = tuple(SCHEMA.names[1:])
"""Columns of `routing.parquet` that serving needs."""


def setup_keys(setup_ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Sixty-four bits of each setup id, uint64 [n]."""
    digests = b"".join(blake2b(s.encode(), digest_size=8).digest() for s in setup_ids)
    return np.frombuffer(digests, "<u8")


def serving_table(routing: pa.Table, assignment_id: str) -> pa.Table:
    """A routing table in the order and the types of `SCHEMA`.

    Args:
      routing: columns setup_id, task, reason (strings) and historical_cvr; others are left out.
    """
    keys = setup_keys(routing["setup_id"].to_pylist())
    order = np.argsort(keys, kind="stable")
    rows = routing.select(PLAIN).combine_chunks().take(pa.array(order))
    columns = [pa.array(keys[order])] + [
        _encoded(rows[name])
        if SCHEMA.field(name).type == CODE
        else rows[name].cast(SCHEMA.field(name).type)
        for name in PLAIN
    ]
    table = pa.table(columns, schema=SCHEMA)
    return table.replace_schema_metadata({"format": FORMAT, "assignment_id": assignment_id})


def serving_bytes(table: pa.Table) -> bytes:
    """The file that holds `serving_table`."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=max(1, table.num_rows))
    return bytes(sink.getvalue().to_pybytes())


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array, without a copy where it is one already."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if column.num_chunks:
        return pa.concat_arrays(column.chunks)
    if column.type == CODE:
        return pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), pa.array([], pa.string()))
    return pa.array([], column.type)


def _encoded(column: pa.ChunkedArray) -> pa.Array:
    values = one_chunk(column).cast(pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(values.indices.cast(pa.int8()), values.dictionary)


def map_serving_file(path: Path) -> pa.Table:
    """The table of a file, its columns still on disk until they are touched.

    Raises:
      InputError: not such a file.
    """
    try:
        table = mapped_table(path)
        metadata = table.schema.metadata or {}
        if (seen := metadata.get(b"format", b"").decode()) != FORMAT:
            raise InputError(f"{path}: format {seen!r}; wanted {FORMAT!r}")
        if table.schema.remove_metadata() != SCHEMA:
            raise InputError(f"{path}: columns {table.schema.names}; wanted {SCHEMA.names}")
        table.validate(full=True)
    except UNREADABLE as error:
        raise InputError(f"{path}: not an Arrow IPC file of a routing table: {error}") from None
    return table


def refuse_faults(table: pa.Table, path: Path) -> None:
    """Checks what look-ups rely on.

    Raises:
      InputError: a null, a setup twice, a CVR outside [0, 1] or keys that are not sorted.
    """
    for name in SCHEMA.names:
        if table[name].null_count:
            raise InputError(f"{path}: column {name}: {table[name].null_count} nulls; wanted none")
    keys = table["key"].to_numpy()
    if (keys[1:] < keys[:-1]).any():
        raise InputError(f"{path}: column key: not sorted; wanted it to increase")
    cvr = table["historical_cvr"].to_numpy()
    if bad := cvr[~((cvr >= 0) & (cvr <= 1))].tolist():
        raise InputError(f"{path}: column historical_cvr: {bad[0]}; wanted a number from 0 to 1")
    same = np.flatnonzero(keys[1:] == keys[:-1])
    near = table["setup_id"].take(pa.array(np.unique(np.concatenate([same, same + 1]))))
    if len(pc.unique(near)) < len(near):
        raise InputError(f"{path}: column setup_id: {near[0].as_py()!r} more than once; wanted one")
