"""Arrow IPC streams of one record batch, a column a field or feature.

The schema's metadata may hold `request_id`, `key` and `context`, the last as a JSON object. Only
the headers of the stream are read before its size is known to be within bounds; compressed batches
and dictionaries, which unfold to more than the body holds, are refused.
Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from struct import error as StructError  # noqa: N812

import numpy as np
import pyarrow as pa
from flatbuffers import number_types
from flatbuffers.table import Table

from common.files.arrow import ipc_messages, ipc_stream
from service.decoding.request import (
    FIELDS,
    LONGEST_TEXT,
    BadFieldError,
    Context,
    Request,
    by_feature,
    column_names,
    refuse_count,
    refuse_large,
)
from service.models.inputs import InputSchema, RawFeatures

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
LARGEST_SCHEMA = 2**18
"""Bytes of a stream's schema, at most."""

_OURS = (b"request_id", b"key", b"context")
_OF_LIBRARIES = re.compile(rb"pandas|r|.*[:.].*", re.DOTALL)
"""Metadata that pandas, R and Arrow's own extensions (`ARROW:...`) write and that says nothing of a
candidate. Any other is a misspelt one of ours."""

_TEXTS = (pa.string(), pa.large_string())
_NUMBERS = (pa.float32(), pa.float64(), pa.int32(), pa.int64())

_MESSAGE_HEADER = 2
_BATCH_LENGTH, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 2, 3
_SCHEMA_METADATA, _PAIR_KEY = 2, 0
"""Numbers of fields in Arrow's `Message.fbs` and `Schema.fbs`."""


@dataclass(frozen=True)
class _Layout:
    """Where the columns of a schema belong.

    Attributes:
      schema: of the stream, without metadata.
      fields: places of `FIELDS` in the batch.
      text, numbers: features of one type: places in the batch, rows of `RawFeatures`.
    """

    schema: pa.Schema
    fields: Mapping[str, int]
    text: Sequence[_Block]
    numbers: Sequence[_Block]


_Block = tuple[list[int], list[int]]


class ArrowDecoder:
    """Decodes Arrow bodies.

    Args:
      schema: the models' inputs.
      max_candidates: most candidates in one request.
      context: decodes the context in the schema's metadata.
    """

    def __init__(
        self, schema: InputSchema, max_candidates: int, context: Callable[[bytes], Context]
    ) -> None:
        self._schema = schema
        self._most = max_candidates
        self._context = context
        self._features = column_names(schema)
        self._kinds: dict[str, tuple[pa.DataType, ...]] = dict.fromkeys(FIELDS, _TEXTS) | {
            column: _NUMBERS if feature in schema.numbers else _TEXTS
            for column, feature in self._features.items()
        }
        # A caller sends the same columns again and again, and to look at each takes longer than
        # to read the batch.
        self._last = _Layout(pa.schema([]), {}, (), ())

    def decode(self, body: bytes) -> Request:
        """The request in a body.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        try:
            batch, layout = self._batch(body)
            batch.validate(full=True)
        except BadFieldError:
            raise
        except StopIteration:
            raise BadFieldError("", "not an Arrow IPC stream of a batch: it ends early") from None
        except (pa.ArrowException, OSError, ValueError, StructError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadFieldError("", f"not an Arrow IPC stream of a batch: {reason}") from None
        metadata = batch.schema.metadata or {}
        return Request(
            _metadata_text(metadata, "request_id"),
            _metadata_text(metadata, "key"),
            self._columns(batch, layout, self._context(metadata.get(b"context", b"{}"))),
            {name: _ids(batch.column(place), name) for name, place in layout.fields.items()},
        )

    def _batch(self, body: bytes) -> tuple[pa.RecordBatch, _Layout]:
        rows = _checked_rows(body)
        refuse_count(rows, self._most)
        stream = ipc_stream(body)
        layout = self._last
        if not layout.schema.equals(stream.schema, check_metadata=False):
            layout = self._last = self._layout(stream.schema)
        return stream.read_next_batch(), layout

    def _layout(self, schema: pa.Schema) -> _Layout:
        names = schema.names
        if unknown := [name for name in names if name not in self._kinds]:
            raise BadFieldError(f"candidates.{unknown[0][:LONGEST_TEXT]}", "unknown column")
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise BadFieldError(f"candidates.{twice[0]}", "more than one column; wanted one")
        types = dict(zip(names, schema.types, strict=True))
        for name, kind in types.items():
            if kind not in (kinds := self._kinds[name]):
                wanted = " or ".join(map(str, kinds))
                raise BadFieldError(f"candidates.{name}", f"{str(kind)[:80]}; wanted {wanted}")
        columns = by_feature({n: n for n in names if n not in FIELDS}, self._features)

        def blocks(features: Sequence[str], kinds: Sequence[pa.DataType]) -> list[_Block]:
            sent = [(row, columns[name]) for row, name in enumerate(features) if name in columns]
            of_kinds = [[(r, name) for r, name in sent if types[name] == kind] for kind in kinds]
            return [
                ([names.index(name) for _, name in block], [row for row, _ in block])
                for block in of_kinds
                if block
            ]

        return _Layout(
            schema.remove_metadata(),
            {name: i for i, name in enumerate(names) if name in FIELDS},
            blocks(self._schema.text, _TEXTS),
            blocks(self._schema.numbers, _NUMBERS),
        )

    def _columns(self, batch: pa.RecordBatch, layout: _Layout, context: Context) -> RawFeatures:
        n = batch.num_rows
        columns = context.repeated(self._schema, n)
        for places, rows in layout.text:
            joined = pa.concat_arrays([batch.column(place) for place in places])
            if joined.null_count:
                joined = joined.fill_null("")
            columns.text[rows] = joined.to_numpy(zero_copy_only=False).reshape(len(rows), n)
        for places, rows in layout.numbers:
            joined = pa.concat_arrays([batch.column(place) for place in places])
            # Nulls become NaN.
            values = joined.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
            values = values.reshape(len(rows), n)
            refuse_large(values, partial(_place, batch, places))
            columns.numbers[rows] = values
        return columns


def _checked_rows(body: bytes) -> int:
    """Rows of the stream's one batch, by its headers.

    Raises:
      BadFieldError: there is another number of batches, or one that unfolds while it is read.
    """
    messages = ipc_messages(body)
    schema = messages.read_next_message()
    if schema.metadata.size > LARGEST_SCHEMA:
        raise BadFieldError("", f"schema of {schema.metadata.size} bytes; wanted {LARGEST_SCHEMA}")
    _refuse_keys(schema.metadata.to_pybytes())
    batch = messages.read_next_message()
    if batch.type != "record batch":
        raise BadFieldError("", f"a {batch.type} message; wanted a record batch of plain columns")
    header = _child(_root(batch.metadata.to_pybytes()), _MESSAGE_HEADER)
    if header is None:
        raise BadFieldError("", "a record batch without a header")
    if header.Offset(_slot(_BATCH_COMPRESSION)):
        raise BadFieldError("", "a compressed record batch; wanted one that is not")
    if (held := _buffer_bytes(header)) > len(body):
        raise BadFieldError("", f"columns of {held} bytes in a body of {len(body)}; wanted no more")
    try:
        messages.read_next_message()
    except StopIteration:
        place = header.Offset(_slot(_BATCH_LENGTH))
        return int(header.Get(number_types.Int64Flags, header.Pos + place)) if place else 0
    raise BadFieldError("", "more than one record batch; wanted one")


def _refuse_keys(schema: bytes) -> None:
    """Refuses a schema whose metadata has an unknown key, or one twice: pyarrow takes the first."""
    header = _child(_root(schema), _MESSAGE_HEADER)
    place = header.Offset(_slot(_SCHEMA_METADATA)) if header else 0
    if header is None or not place:
        return
    start = header.Vector(place)
    seen = set()
    for i in range(header.VectorLen(place)):
        pair = Table(header.Bytes, header.Indirect(start + 4 * i))
        key = pair.String(pair.Pos + pair.Offset(_slot(_PAIR_KEY)))
        name = key.decode(errors="replace")[:LONGEST_TEXT]
        if key in seen:
            raise BadFieldError(name, "is there twice in the schema's metadata")
        if key not in _OURS and not _OF_LIBRARIES.fullmatch(key):
            ours = ", ".join(k.decode() for k in _OURS)
            raise BadFieldError(name, f"unknown key of the schema's metadata; wanted {ours}")
        seen.add(key)


def _slot(field: int) -> int:
    """Place of a field in a flatbuffer's table of offsets."""
    return 4 + 2 * field


def _buffer_bytes(batch: Table) -> int:
    """Bytes of all buffers of a record batch, which might lie over each other."""
    place = batch.Offset(_slot(_BATCH_BUFFERS))
    if not place:
        return 0
    start, buffers = batch.Vector(place), batch.VectorLen(place)
    # A buffer is an offset and a length.
    return int(np.frombuffer(batch.Bytes, "<i8", 2 * buffers, start)[1::2].sum())


def _root(metadata: bytes) -> Table:
    return Table(metadata, int.from_bytes(metadata[:4], "little"))


def _child(table: Table, field: int) -> Table | None:
    place = table.Offset(_slot(field))
    return Table(table.Bytes, table.Indirect(table.Pos + place)) if place else None


def _place(batch: pa.RecordBatch, places: Sequence[int], column: int, row: int) -> str:
    return f"candidates.{batch.schema.names[places[column]]}.{row}"


def _ids(column: pa.Array, name: str) -> list[str | None]:
    # A tenth of the time of `to_pylist`.
    values: list[str | None] = column.to_numpy(zero_copy_only=False).tolist()
    for i, value in enumerate(values):
        _refuse_long(value or "", f"candidates.{name}.{i}")
    return values


def _metadata_text(metadata: dict[bytes, bytes], name: str) -> str | None:
    value = metadata.get(name.encode())
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise BadFieldError(name, f"not UTF-8: {error}") from None
    _refuse_long(text, name)
    return text


def _refuse_long(value: str, place: str) -> None:
    if len(value) > LONGEST_TEXT:
        raise BadFieldError(place, f"{len(value)} characters; wanted at most {LONGEST_TEXT}")
