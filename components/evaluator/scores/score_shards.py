"""Scoring the labelled examples with the exported serving graphs, into the predictions table.

Models are given the serialized examples as they lie on disk, through the signature that a model
server calls: what is evaluated is what is pushed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.utils.shared import Shared

from common.clicks.tfrecords import read_batches
from common.files.gfile import read_parquet, write_parquet
from components.evaluator.scores.scorer import GraphScorer, first_line
from components.evaluator.scores.table import (
    AS_SERVED,
    CANDIDATE,
    CLICK_TIME,
    HISTORICAL_CVR,
    LABEL,
    ONE_TASK,
    evaluated,
    prediction_column,
    table_schema,
)
from schemas import labelled
from schemas.contract import Contract
from schemas.errors import InputError

ROWS = 1 << 16
"""Rows of an emitted record batch: metrics cost a little per batch and slice."""


class _Graphs(dict[str, GraphScorer]):
    """The loaded models, by name: a class of its own because `Shared` holds it weakly."""


class ScoreShards(beam.PTransform):
    """Scores files of examples; one element, and one Parquet file, a shard.

    Besides the models there are the predictions that need no graph: the historical CVR and the
    system as served. Emits record batches of the predictions table (see `table_schema`), which the
    Parquet files hold as well.

    Args:
      shards: TFRecord files of labelled examples.
      models: SavedModel folders by model name, the candidate and the one-task model among them.
      contract: names the label and the time.
      slice_columns: string columns to copy into the table.
      output_path: existing folder for the Parquet files.
      batch_size: examples per call of a model.
    """

    def __init__(
        self,
        shards: Sequence[str],
        models: Mapping[str, str],
        contract: Contract,
        slice_columns: Sequence[str],
        output_path: str,
        batch_size: int,
    ) -> None:
        super().__init__()
        self._shards = tuple(shards)
        self._score = _ScoreShard(
            models, contract, tuple(slice_columns), output_path, batch_size, Shared()
        )

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[pa.RecordBatch]:
        return (
            pipeline
            | "Shards" >> beam.Create(list(enumerate(self._shards)))
            | "Score" >> beam.ParDo(self._score)
        )


class _ScoreShard(beam.DoFn):
    def __init__(
        self,
        models: Mapping[str, str],
        contract: Contract,
        slice_columns: tuple[str, ...],
        output_path: str,
        batch_size: int,
        shared: Shared,
    ) -> None:
        super().__init__()
        self._models = dict(models)
        self._roles = contract.roles
        self._columns = tuple(c for c in slice_columns if c != labelled.SETUP_ID)
        self._schema = table_schema(self._columns, evaluated(models))
        self._output_path = output_path
        self._batch_size = batch_size
        self._shared = shared

    def setup(self) -> None:
        self._graphs = self._shared.acquire(
            lambda: _Graphs((name, GraphScorer(name, path)) for name, path in self._models.items())
        )

    def process(self, element: tuple[int, str]) -> Iterator[pa.RecordBatch]:
        index, path = element
        part = f"{self._output_path}/part-{index:05d}.parquet"
        with (
            FileSystems.create(part) as file,
            pq.ParquetWriter(file, self._schema) as writer,
        ):
            for batch in _joined(self._score(path), ROWS):
                writer.write_batch(batch)
                yield batch

    def _score(self, path: str) -> Iterator[pa.RecordBatch]:
        features = self._features()
        for records in read_batches(path, self._batch_size):
            try:
                parsed = tf.io.parse_example(records, features)
            except tf.errors.InvalidArgumentError as error:
                raise InputError(f"{path}: not labelled examples: {first_line(error)}") from error
            scores = self._scores(records, parsed)
            arrays = {
                labelled.SETUP_ID: _text(parsed[labelled.SETUP_ID]),
                CLICK_TIME: pa.array(parsed[self._roles.timestamp].numpy()),
                LABEL: pa.array(parsed[self._roles.label].numpy().astype("int8")),
                **{column: _text(parsed[column]) for column in self._columns},
                **{prediction_column(model): pa.array(p) for model, p in scores.items()},
            }
            yield pa.RecordBatch.from_arrays(
                [arrays[name] for name in self._schema.names], schema=self._schema
            )

    def _scores(
        self, records: list[bytes], parsed: Mapping[str, tf.Tensor]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Probabilities [n] of every model, those without a graph last."""
        scores = {name: graph(records) for name, graph in self._graphs.items()}
        scores[HISTORICAL_CVR] = parsed[labelled.HISTORICAL_CVR].numpy()
        to_tower = parsed[labelled.ROUTED_TO].numpy() == labelled.HARD.encode()
        scores[AS_SERVED] = np.where(to_tower, scores[CANDIDATE], scores[ONE_TASK])
        return scores

    def _features(self) -> dict[str, tf.io.FixedLenFeature]:
        roles = self._roles
        # A contract's string column may be null; the labeller's fields never are.
        absent = {c: None if c in labelled.RESERVED else "" for c in self._columns}
        return {
            labelled.SETUP_ID: tf.io.FixedLenFeature([], tf.string),
            labelled.HISTORICAL_CVR: tf.io.FixedLenFeature([], tf.float32),
            labelled.ROUTED_TO: tf.io.FixedLenFeature([], tf.string),
            roles.timestamp: tf.io.FixedLenFeature([], tf.int64),
            roles.label: tf.io.FixedLenFeature([], tf.int64),
            **{c: tf.io.FixedLenFeature([], tf.string, default) for c, default in absent.items()},
        }


def merge_parts(parts_path: str, shards: int, output: str) -> pa.Table:
    """Joins the shards' Parquet files into one, deletes them and returns the table.

    Args:
      parts_path: the `output_path` of `ScoreShards`; it is deleted.
      shards: how many files there are.
      output: the file to write.
    """
    parts = (f"{parts_path}/part-{index:05d}.parquet" for index in range(shards))
    table = pa.concat_tables([read_parquet(part) for part in parts])
    write_parquet(table, output)
    FileSystems.delete([parts_path])
    return table


def _joined(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches' rows in order, in batches of at least `rows` but for the last."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= rows:
            yield _join(waiting)
            waiting = []
    if waiting:
        yield _join(waiting)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _text(values: tf.Tensor) -> pa.Array:
    """Bytes [n] as UTF-8 strings; bytes that are none are shown escaped."""
    return pa.array([v.decode("utf-8", "backslashreplace") for v in values.numpy()], pa.string())
