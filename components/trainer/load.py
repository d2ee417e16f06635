"""Labelled examples and the transform graph in, training columns in memory out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.trainer.columns import Columns
from components.transform.graph import TransformGraph
from components.transform.layout import FeatureLayout
from components.transform.raw import feature_spec
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.labelled import HARD, SOFT, TASK

BATCH = 4096
"""Examples parsed and transformed by one call."""

FILES_AT_ONCE = 4

_MISSING = np.iinfo(np.int64).min


class _Chunk(NamedTuple):
    """Consecutive examples of one file; `label` int64 and `task` bytes as read."""

    file: np.int64
    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.int64]
    task: npt.NDArray[np.bytes_]


def load_columns(
    file_patterns: Sequence[str],
    transform_graph_dir: str,
    contract: Contract,
    *,
    progress: Callable[[int], None] | None = None,
) -> Columns:
    """Reads a split once and keeps it as columns: 4 bytes for every id and number, and 5 more.

    Args:
      file_patterns: globs of TFRecord files, gzipped where the name ends in `.gz`.
      transform_graph_dir: directory of a TransformGraph artifact.
      contract: the data set contract that the graph was made for.
      progress: called with the number of examples read so far, once a batch.

    Returns:
      The examples of all files in the order of the files' names, each file's in its own order.

    Raises:
      InputError: no file matches, a file is damaged, a label is not 0 or 1, or a task is neither
        hard nor soft.
    """
    files = sorted({file for pattern in file_patterns for file in tf.io.gfile.glob(pattern)})
    if not files:
        raise InputError(f"{', '.join(file_patterns)}: no such files; wanted labelled examples")
    parts: list[list[Columns]] = [[] for _ in files]
    rows = [0] * len(files)
    try:
        for chunk in _chunks(files, TransformGraph(transform_graph_dir), contract):
            _check(chunk, files[chunk.file], rows[chunk.file], contract.roles.label)
            label, hard = chunk.label.astype(np.float32), chunk.task == HARD.encode()
            parts[chunk.file].append(Columns(chunk.ids, chunk.nums, label, hard))
            rows[chunk.file] += len(label)
            if progress is not None:
                progress(sum(rows))
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        reason = " ".join(str(error.message).split())
        raise InputError(f"{', '.join(file_patterns)}: unreadable example: {reason}") from error
    return _join(parts, sum(rows), contract)


def _chunks(
    files: Sequence[str], transform: TransformGraph, contract: Contract
) -> Iterator[_Chunk]:
    """Batches of all files, in order within each file; files take turns."""
    label = contract.roles.label
    spec = feature_spec(contract)
    spec[label] = tf.io.FixedLenFeature([], tf.int64, _MISSING)
    spec[TASK] = tf.io.FixedLenFeature([], tf.string, b"")

    def batches(number: tf.Tensor, file: tf.Tensor) -> tf.data.Dataset:
        gzipped = tf.strings.regex_full_match(file, r".*\.gz")
        records = tf.data.TFRecordDataset(file, tf.where(gzipped, "GZIP", ""))
        return records.batch(BATCH).map(lambda examples: (number, examples))

    def parse(number: tf.Tensor, examples: tf.Tensor) -> tuple[tf.Tensor, ...]:
        raw = tf.io.parse_example(examples, spec)
        labels, tasks = raw.pop(label), raw.pop(TASK)
        ids, nums = transform(raw)
        return number, tf.cast(ids, tf.int32), nums, labels, tasks

    numbered = tf.data.Dataset.from_tensor_slices((np.arange(len(files)), list(files)))
    dataset = (
        numbered.interleave(
            batches, cycle_length=FILES_AT_ONCE, num_parallel_calls=tf.data.AUTOTUNE
        )
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )
    return (_Chunk(*arrays) for arrays in dataset.as_numpy_iterator())


def _check(chunk: _Chunk, file: str, first_row: int, label_column: str) -> None:
    wrong = (chunk.label != 0) & (chunk.label != 1)
    if wrong.any():
        row = int(wrong.argmax())
        seen = "nothing" if chunk.label[row] == _MISSING else str(chunk.label[row])
        raise InputError(
            f"{file}: row {first_row + row}: label {label_column!r} is {seen}; wanted 0 or 1"
        )
    wrong = ~np.isin(chunk.task, [HARD.encode(), SOFT.encode()])
    if wrong.any():
        row = int(wrong.argmax())
        seen = chunk.task[row].decode(errors="replace")
        raise InputError(
            f"{file}: row {first_row + row}: {TASK!r} is {seen!r}; wanted {HARD!r} or {SOFT!r}"
        )


def _join(parts: list[list[Columns]], rows: int, contract: Contract) -> Columns:
    """Joins all files' parts, emptying the lists: the peak is one copy and one part."""
    layout = FeatureLayout.from_contract(contract)
    whole = Columns(
        ids=np.empty((rows, len(layout.categorical)), np.int32),
        nums=np.empty((rows, layout.numeric_width), np.float32),
        label=np.empty(rows, np.float32),
        hard=np.empty(rows, np.bool_),
    )
    start = 0
    for of_file in parts:
        of_file.reverse()
        while of_file:
            part = of_file.pop()
            here = slice(start, start + len(part))
            whole.ids[here], whole.nums[here] = part.ids, part.nums
            whole.label[here], whole.hard[here] = part.label, part.hard
            start += len(part)
    return whole
