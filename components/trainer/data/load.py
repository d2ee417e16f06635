"""Labelled columns and the transform graph in, training columns out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from common.clicks.one_valued import single_values
from common.days import SECONDS_PER_DAY
from common.files.arrow import UNREADABLE, parquet_file, parquet_table
from common.files.gfile import parquet_rows
from components.trainer.data.columns import Columns
from components.trainer.data.storage import MEMORY, Disk, Storage
from components.trainer.settings import FitName, TrainingSettings
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract, Roles
from schemas.errors import InputError
from schemas.labelled import (
    COMPLETENESS,
    HARD,
    HISTORICAL_CVR,
    JUDGED_COMPLETENESS,
    JUDGED_LABEL,
    SOFT,
    TASK,
)

BATCH = 16_384
"""Examples transformed by one call."""

FILES_AT_ONCE = 4

IN_MEMORY = 2**30
"""Bytes of columns up to which `training.input: auto` keeps them in memory; a training then takes
some four times as much."""

_MISSING = np.iinfo(np.int64).min
_LARGEST = float(np.finfo(np.float32).max)


class _Chunk(NamedTuple):
    """Consecutive examples of one file, as read: `label` int64, `task` strings, `cvr`, `weight` and
    `completeness` float32 with NaN for what an example lacks; the last two are 1 where nothing is
    read for them."""

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.int64]
    task: npt.NDArray[np.bytes_]
    cvr: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    completeness: npt.NDArray[np.float32]


class _Source(NamedTuple):
    """Columns that label and completeness are read from; no completeness is 1 for all."""

    label: str
    completeness: str | None

    @classmethod
    def of(cls, fit: FitName | None, roles: Roles) -> _Source:
        if fit == "judged":
            return cls(JUDGED_LABEL, JUDGED_COMPLETENESS)
        return cls(roles.label, None if fit is None else COMPLETENESS)


def load_columns(
    file_patterns: Sequence[str],
    transform_graph_dir: str,
    contract: Contract,
    *,
    fit: FitName | None = None,
    since: int | None = None,
    in_turn: bool = False,
    progress: Callable[[int], None] | None = None,
    storage: Storage = MEMORY,
) -> Columns:
    """Reads a split once, file by file, and keeps it as columns.

    Besides them it takes the memory of `FILES_AT_ONCE` files.

    Args:
      file_patterns: globs of Parquet files whose columns are lists of one value, null or absent
        where an example has none: a split of the task labeller's `labelled_columns`.
      transform_graph_dir: directory of a TransformGraph artifact.
      contract: the data set contract that the graph was made for.
      fit: whose knowledge of labels to read, `judged` or `served`, with their completeness; none
        reads the contract's label as final.
      since: second from which on clicks are read; all when None.
      in_turn: one pattern after the other, for splits whose names are not in the order of time.
      progress: called with the number of examples read so far, once a file.
      storage: where the columns shall lie.

    Returns:
      The examples of all files in the order of the files' names, each file's in its own order.

    Raises:
      InputError: no file matches, a file is damaged or lacks a column, a label is not 0 or 1, a
        task is neither hard nor soft, a historical CVR is not inside [0, 1], a weight is not 0 or
        more, or a completeness is not inside (0, 1].
    """
    files = _matching(file_patterns)
    files = files if in_turn else sorted(files)
    source = _Source.of(fit, contract.roles)
    reader = _Reader(TransformGraph(transform_graph_dir), contract, source, since)
    most = sum(_number_of_rows(file) for file in files)
    written = {
        name: storage.rows(shape, dtype, most)
        for name, (shape, dtype) in _arrays(contract, source).items()
    }
    rows = 0
    for part in _in_order(reader.read, files):
        for columns in part:
            rows += len(columns)
            for name, values in columns.arrays.items():
                written[name].append(values)
        if progress is not None:
            progress(rows)
    arrays = {name: of_name.finish() for name, of_name in written.items()}
    return Columns(**arrays, storage=storage)


def choose_storage(
    training: TrainingSettings, splits: Sequence[Sequence[str]], contract: Contract
) -> Storage:
    """Where the columns of these splits shall lie, see `training.input`.

    Args:
      training: settings.
      splits: file patterns of each, as `load_columns` takes them.
      contract: the data set contract.

    Raises:
      InputError: no file matches, a file is damaged, or `input_dir` cannot be written to.
    """
    if training.input == "memory":
        return MEMORY
    if training.input == "auto":
        rows = sum(_number_of_rows(file) for split in splits for file in _matching(split))
        arrays = _arrays(contract, _Source(contract.roles.label, COMPLETENESS)).values()
        if rows * sum(math.prod(of) * np.dtype(dtype).itemsize for of, dtype in arrays) < IN_MEMORY:
            return MEMORY
    return Disk(training.input_dir)


def last_days(file_patterns: Sequence[str], contract: Contract, days: int) -> int:
    """First second of the last `days` days up to the newest click.

    Args:
      file_patterns: as `load_columns` takes them.

    Raises:
      InputError: no file matches, or none holds a click.
    """
    name = contract.roles.timestamp
    newest = -1
    for file in _matching(file_patterns):
        with tf.io.gfile.GFile(file, "rb") as content:
            table = parquet_table(pa.BufferReader(content.read()), [name])
        if table.num_rows:
            newest = max(newest, int(pc.max(pc.list_flatten(table[name])).as_py()))
    if newest < 0:
        raise InputError(f"{', '.join(file_patterns)}: no click; wanted at least one")
    return (newest // SECONDS_PER_DAY + 1 - days) * SECONDS_PER_DAY


def _matching(file_patterns: Sequence[str]) -> list[str]:
    """Files in the order of the patterns, then of their names, each once."""
    matching = (file for pattern in file_patterns for file in sorted(tf.io.gfile.glob(pattern)))
    files = list(dict.fromkeys(matching))
    if not files:
        raise InputError(f"{', '.join(file_patterns)}: no such files; wanted labelled columns")
    return files


def _arrays(
    contract: Contract, source: _Source
) -> dict[str, tuple[tuple[int, ...], npt.DTypeLike]]:
    """Shape of a row and type of each array of `Columns`."""
    layout = FeatureLayout.from_contract(contract)
    arrays: dict[str, tuple[tuple[int, ...], npt.DTypeLike]] = {
        "ids": ((len(layout.categorical),), np.int32),
        "nums": ((layout.numeric_width,), np.float32),
        "label": ((), np.float32),
        "hard": ((), np.bool_),
        "cvr": ((), np.float32),
    }
    there = {"weight": contract.roles.weight, "completeness": source.completeness}
    return arrays | {name: ((), np.float32) for name, column in there.items() if column}


def _number_of_rows(file: str) -> int:
    with _readable(file):
        return parquet_rows(file)


@contextmanager
def _readable(file: str) -> Iterator[None]:
    """Names the file in the error of one that is damaged."""
    try:
        yield
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: unreadable columns: {reason}") from error


def _in_order(
    read: Callable[[str], list[Columns]], files: Sequence[str]
) -> Iterator[list[Columns]]:
    """What is read of each file, in turn; never of more than `FILES_AT_ONCE` of them."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        left = iter(files)
        ahead: deque[Future[list[Columns]]] = deque()
        ahead.extend(threads.submit(read, file) for file in islice(left, FILES_AT_ONCE))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(threads.submit(read, file) for file in islice(left, 1))
        finally:
            for future in ahead:
                future.cancel()


class _Reader:
    """Reads files and applies the transform graph, on several threads at once."""

    def __init__(
        self, transform: TransformGraph, contract: Contract, source: _Source, since: int | None
    ) -> None:
        self._contract = contract
        self._source = source
        self._since = since
        spec = feature_spec(contract)
        self._strings = [name for name, it in spec.items() if it.dtype == tf.string]
        self._floats = [name for name, it in spec.items() if it.dtype != tf.string]
        roles = contract.roles
        own = [source.label, TASK, HISTORICAL_CVR, roles.weight, source.completeness]
        own += [None if since is None else roles.timestamp]
        self._columns = list(dict.fromkeys([*spec, *(name for name in own if name is not None)]))

        def pack(
            words: list[tf.Tensor], codes: list[tf.Tensor], floats: list[tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor]:
            texts = [tf.gather(w, c) for w, c in zip(words, codes, strict=True)]
            raw = dict(zip(self._strings, texts, strict=True))
            ids, nums = transform(raw | dict(zip(self._floats, floats, strict=True)))
            return tf.cast(ids, tf.int32), nums

        self._pack = tf.function(
            pack,
            input_signature=[
                [tf.TensorSpec([None], tf.string) for _ in self._strings],
                [tf.TensorSpec([None], tf.int32) for _ in self._strings],
                [tf.TensorSpec([None], tf.float32) for _ in self._floats],
            ],
        )
        # Traced once here, not by the first call of each thread.
        self._pack.get_concrete_function()

    def read(self, file: str) -> list[Columns]:
        """The examples of one file.

        Raises:
          InputError: see `load_columns`.
        """
        parts: list[Columns] = []
        row = 0
        for chunk in self._chunks(file):
            _check(chunk, file, row, self._contract.roles, self._source)
            row += len(chunk.label)
            parts.append(
                Columns(
                    chunk.ids,
                    chunk.nums,
                    chunk.label.astype(np.float32),
                    chunk.task == HARD.encode(),
                    chunk.cvr,
                    chunk.weight if self._contract.roles.weight else None,
                    chunk.completeness if self._source.completeness else None,
                )
            )
        return parts

    def _chunks(self, file: str) -> Iterator[_Chunk]:
        with _readable(file):
            with tf.io.gfile.GFile(file, "rb") as content:
                whole = parquet_file(pa.BufferReader(content.read()))
            names = whole.schema_arrow.names
            if lacking := [name for name in self._columns if name not in names]:
                raise InputError(
                    f"{file}: no column {lacking[0]!r}; wanted the contract's features and the "
                    f"labelled fields, seen {', '.join(names)}"
                )
            for batch in whole.iter_batches(BATCH, columns=self._columns):
                yield self._chunk(batch if self._since is None else self._late(batch))

    def _late(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        at = batch.schema.get_field_index(self._contract.roles.timestamp)
        return batch.filter(pc.greater_equal(single_values(batch.column(at)), self._since))

    def _chunk(self, batch: pa.RecordBatch) -> _Chunk:
        def column(name: str, kind: pa.DataType, missing: object) -> pa.Array:
            values = single_values(batch.column(batch.schema.get_field_index(name)))
            return pc.fill_null(values.cast(kind), missing)

        def numbers(name: str) -> npt.NDArray[np.float32]:
            filled: npt.NDArray[np.float32] = column(name, pa.float32(), np.nan).to_numpy()
            return filled

        coded = [column(name, pa.large_binary(), b"").dictionary_encode() for name in self._strings]
        ids, nums = self._pack(
            [
                tf.constant(it.dictionary.to_pylist(), tf.string, [len(it.dictionary)])
                for it in coded
            ],
            [it.indices.to_numpy() for it in coded],
            [numbers(name) for name in self._floats],
        )
        weight, source = self._contract.roles.weight, self._source
        ones = np.ones(batch.num_rows, np.float32)
        return _Chunk(
            ids.numpy(),
            nums.numpy(),
            column(source.label, pa.int64(), _MISSING).to_numpy(),
            column(TASK, pa.binary(), b"").to_numpy(zero_copy_only=False).astype(np.bytes_),
            numbers(HISTORICAL_CVR),
            ones if weight is None else numbers(weight),
            ones if source.completeness is None else numbers(source.completeness),
        )


def _check(chunk: _Chunk, file: str, first_row: int, roles: Roles, source: _Source) -> None:
    wrong = (chunk.label != 0) & (chunk.label != 1)
    if wrong.any():
        row = int(wrong.argmax())
        seen = "nothing" if chunk.label[row] == _MISSING else str(chunk.label[row])
        raise InputError(
            f"{file}: row {first_row + row}: label {source.label!r} is {seen}; wanted 0 or 1"
        )
    wrong = ~np.isin(chunk.task, [HARD.encode(), SOFT.encode()])
    if wrong.any():
        row = int(wrong.argmax())
        seen = chunk.task[row].decode(errors="replace")
        raise InputError(
            f"{file}: row {first_row + row}: {TASK!r} is {seen!r}; wanted {HARD!r} or {SOFT!r}"
        )
    for name, values, highest, wanted in (
        (repr(HISTORICAL_CVR), chunk.cvr, 1.0, "a number from 0 to 1"),
        (f"weight {roles.weight!r}", chunk.weight, _LARGEST, "a finite number of 0 or more"),
    ):
        wrong = ~((values >= 0) & (values <= highest))
        if wrong.any():
            row = int(wrong.argmax())
            seen = "nothing" if np.isnan(values[row]) else str(values[row])
            raise InputError(f"{file}: row {first_row + row}: {name} is {seen}; wanted {wanted}")
    wrong = ~((chunk.completeness > 0) & (chunk.completeness <= 1))
    if wrong.any():
        row = int(wrong.argmax())
        seen = "nothing" if np.isnan(chunk.completeness[row]) else str(chunk.completeness[row])
        raise InputError(
            f"{file}: row {first_row + row}: {source.completeness!r} is {seen}; wanted a number "
            "above 0, at most 1"
        )
