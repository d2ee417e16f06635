"""Parquet files that somebody else has written, read by a process of its own.

pyarrow 10 believes what a page says of its own lengths and does not look at its checksum, so that
one damaged file in some thousands ends the process that reads it (SIGSEGV). Here that process does
nothing else: it opens a file, proves each batch and sends it through a pipe. Should it die, it is
known of which file, and the caller lives.

A request is a line of JSON, `null` to be told that the reader is there. The answer is frames: a
letter, the length of what follows, and that: `B` an Arrow IPC stream of one batch, `E` an error in
words, `.` nothing, the end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any

import pyarrow as pa

from common.files.arrow import ipc_stream, open_parquet, parquet_batches
from schemas.errors import InputError

BATCH, ERROR, END = b"B", b"E", b"."
HEAD = struct.Struct("<cQ")
IDLE_SECONDS = 30.0
"""A reader without work for so long ends itself."""

ROWS_AT_ONCE = 65_536
PIPE_BYTES = 1 << 20
COMMAND = (sys.executable, "-m", "common.files.apart")
_ROOT = Path(__file__).parents[2]


class Reader:
    """The process, to which one request is made at a time."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=PIPE_BYTES,
            env=os.environ | {"PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def ask(self, request: dict[str, Any] | None) -> Iterator[tuple[bytes, bytes]]:
        """The frames of the answer, up to where the process ends."""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        while len(head := self._answers.read(HEAD.size)) == HEAD.size:
            kind, length = HEAD.unpack(head)
            content = self._answers.read(length)
            if len(content) < length:
                return
            yield kind, content

    def ending(self) -> str:
        """How the process ended of itself, in words."""
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers):
            with suppress(BrokenPipeError):
                pipe.close()


_idle: list[Reader] = []
_lock = Lock()


def foreign_batches(path: str, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Columns of a file, at most `rows` rows at a time, without the file's metadata.

    Raises:
      InputError: it is no Parquet file or a damaged one, or the reader died of it.
    """
    reader, whole = _take(), False
    try:
        for kind, content in reader.ask({"path": path, "wanted": [list(columns), rows]}):
            if kind == BATCH:
                yield ipc_stream(content).read_next_batch()
                continue
            whole = True
            if kind == ERROR:
                raise InputError(content.decode())
            return
        raise InputError(
            f"{path}: damaged: pyarrow ended with {reader.ending()} while it read it; wanted a "
            "sound Parquet file"
        )
    finally:
        if whole:
            with _lock:
                _idle.append(reader)
        else:
            reader.close()


def foreign_table(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """As `foreign_batches`: a whole file, or some of its columns."""
    schema = open_parquet(path).schema_arrow.remove_metadata()
    names = schema.names if columns is None else list(columns)
    batches = list(foreign_batches(path, names, ROWS_AT_ONCE))
    empty = pa.schema([schema.field(name) for name in names]) if not batches else None
    return pa.Table.from_batches(batches, empty)


def _take() -> Reader:
    """A reader that waits for work, or a new one."""
    with _lock:
        while _idle:
            reader = _idle.pop()
            if next(reader.ask(None), (b"", b""))[0] == END:
                return reader
            reader.close()
    return Reader()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """What the process does until nobody asks any more."""

    def send(kind: bytes, content: bytes | pa.Buffer = b"") -> None:
        answers.write(HEAD.pack(kind, len(content)))
        answers.write(content)
        answers.flush()

    while select.select([requests], [], [], IDLE_SECONDS)[0] and (line := requests.readline()):
        request = json.loads(line)
        if request is None:
            send(END)
            continue
        path = request["path"]
        try:
            for batch in parquet_batches(path, open_parquet(path), *request["wanted"]):
                send(BATCH, _proven(batch))
        except InputError as error:
            send(ERROR, str(error).encode())
        except BrokenPipeError:
            return
        except Exception as error:
            # Whatever a damaged file makes of pyarrow: an overflow, no memory.
            reason = " ".join(f"{type(error).__name__} {error}".split())
            send(ERROR, f"{path}: damaged: {reason}; wanted a sound Parquet file".encode())
        else:
            send(END)


def _proven(batch: pa.RecordBatch) -> pa.Buffer:
    """The batch as an IPC stream; what nobody could read without harm is an error."""
    for column in batch.columns:
        _as_bytes(column).validate(full=True)
    sink = pa.BufferOutputStream()
    plain = batch.replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, plain.schema) as stream:
        stream.write_batch(plain)
    return sink.getvalue()


def _as_bytes(column: pa.Array) -> pa.Array:
    """Text as bytes: whether it is UTF-8 is the ingest's to judge, row by row."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, _as_bytes(column.dictionary))
    if pa.types.is_string(kind):
        return column.cast(pa.binary())
    return column.cast(pa.large_binary()) if pa.types.is_large_string(kind) else column


def main() -> None:
    # An interrupted run ends its readers by their pipes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(open(0, "rb", buffering=0), open(1, "wb"))  # noqa: SIM115  # as long as the process


if __name__ == "__main__":
    main()
