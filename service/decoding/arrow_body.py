"""Arrow IPC streams of one record batch, a column a field or feature.

The schema's metadata may hold `request_id`, `key` and `context`, the last as a JSON object. Only
the headers of the stream are read before its size is known to be within bounds; compressed batches
and dictionaries, which unfold to more than the body holds, are refused.
Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Callable

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
    to_columns,
)
from service.models.inputs import InputSchema

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
LARGEST_SCHEMA = 2**18
"""Bytes of a stream's schema, at most."""

_TEXTS = (pa.string(), pa.large_string())
_NUMBERS = (pa.float32(), pa.float64(), pa.int32(), pa.int64())

_MESSAGE_HEADER, _BATCH_LENGTH, _BATCH_COMPRESSION = 2, 0, 3
"""Numbers of fields in Arrow's `Message.fbs`."""


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

    def decode(self, body: bytes) -> Request:
        """The request in a body.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        try:
            batch = self._batch(body)
            batch.validate(full=True)
        except BadFieldError:
            raise
        except StopIteration:
            raise BadFieldError("", "not an Arrow IPC stream of a batch: it ends early") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadFieldError("", f"not an Arrow IPC stream of a batch: {reason}") from None
        metadata = batch.schema.metadata or {}
        context = self._context(metadata.get(b"context", b"{}"))
        given = dict(zip(batch.schema.names, batch.columns, strict=True))
        fields = {name: _ids(given.pop(name), name) for name in FIELDS if name in given}
        features = by_feature(given, self._features)
        # Nulls become None and NaN.
        values = {n: column.to_numpy(zero_copy_only=False) for n, column in features.items()}
        return Request(
            _metadata_text(metadata, "request_id"),
            _metadata_text(metadata, "key"),
            to_columns(self._schema, context, batch.num_rows, values, values),
            fields,
        )

    def _batch(self, body: bytes) -> pa.RecordBatch:
        rows = _checked_rows(body)
        refuse_count(rows, self._most)
        stream = ipc_stream(body)
        names = stream.schema.names
        if unknown := [name for name in names if name not in self._kinds]:
            raise BadFieldError(f"candidates.{unknown[0][:LONGEST_TEXT]}", "unknown column")
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise BadFieldError(f"candidates.{twice[0]}", "more than one column; wanted one")
        for field in stream.schema:
            kinds = self._kinds[field.name]
            if field.type not in kinds:
                raise BadFieldError(
                    f"candidates.{field.name}",
                    f"{str(field.type)[:80]}; wanted {' or '.join(map(str, kinds))}",
                )
        return stream.read_next_batch()


def _checked_rows(body: bytes) -> int:
    """Rows of the stream's one batch, by its headers.

    Raises:
      BadFieldError: there is another number of batches, or one that unfolds while it is read.
    """
    messages = ipc_messages(body)
    schema = messages.read_next_message()
    if schema.metadata.size > LARGEST_SCHEMA:
        raise BadFieldError("", f"schema of {schema.metadata.size} bytes; wanted {LARGEST_SCHEMA}")
    batch = messages.read_next_message()
    if batch.type != "record batch":
        raise BadFieldError("", f"a {batch.type} message; wanted a record batch of plain columns")
    header = _child(_root(batch.metadata.to_pybytes()), _MESSAGE_HEADER)
    if header is None:
        raise BadFieldError("", "a record batch without a header")
    if header.Offset(_slot(_BATCH_COMPRESSION)):
        raise BadFieldError("", "a compressed record batch; wanted one that is not")
    try:
        messages.read_next_message()
    except StopIteration:
        place = header.Offset(_slot(_BATCH_LENGTH))
        return int(header.Get(number_types.Int64Flags, header.Pos + place)) if place else 0
    raise BadFieldError("", "more than one record batch; wanted one")


def _slot(field: int) -> int:
    """Place of a field in a flatbuffer's table of offsets."""
    return 4 + 2 * field


def _root(metadata: bytes) -> Table:
    return Table(metadata, int.from_bytes(metadata[:4], "little"))


def _child(table: Table, field: int) -> Table | None:
    place = table.Offset(_slot(field))
    return Table(table.Bytes, table.Indirect(table.Pos + place)) if place else None


def _ids(column: pa.Array, name: str) -> list[str | None]:
    values: list[str | None] = column.to_pylist()
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
