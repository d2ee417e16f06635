"""One analyzer and one lookup table for the vocabularies of all features.

tf.Transform's own vocabularies cost an analyzer of some ten Beam stages and a table of strings
each. Here values are told apart by an int64 key, made from their hash and their feature.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue
from tensorflow_transform.beam import experimental

from components.transform.vocabulary_file import FILE

Batch = tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bytes_], npt.NDArray[np.int64]
]
"""Of each distinct key of a batch: its feature, itself, its value, how often it is there."""

Entry = tuple[int, int, bytes]
"""Number of the feature, key, value."""

_NOTHING = "-1\t0"
"""Line of an empty file; keys are never negative."""

_DISTINCT_AT_ONCE = 500_000
_SALT = 0x1E3779B97F4A7C15


def apply_vocabularies(values: tf.Tensor, hashes: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
    """Ids of values by frequency in the analyzed examples.

    Args:
      values: string [batch, features].
      hashes: int64 [batch, features], of the values, not negative.
      sizes: of each feature's vocabulary.

    Returns:
      int64 [batch, features]: 0 for a feature's most frequent value, and so on; among equally
      frequent ones the greater string comes first. The empty string, and values that are not
      among the most frequent `sizes[i]`, have id `sizes[i]`.
    """
    salts = tf.constant([_SALT * i % 2**62 for i in range(len(sizes))], tf.int64)
    keys = tf.bitwise.bitwise_xor(hashes, salts)
    (asset,) = tft.experimental.ptransform_analyzer(
        inputs=_distinct(keys, values),
        ptransform=MostFrequent(tuple(sizes)),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[_NOTHING.encode()],
        name=FILE,
    )
    ids = tft.apply_vocabulary(keys, asset, lookup_fn=_look_up)
    return tf.where(ids < 0, tf.constant(sizes, tf.int64), ids)


def _distinct(keys: tf.Tensor, values: tf.Tensor) -> list[tf.Tensor]:
    """A `Batch`. Counted here, in the graph, the values of a batch need not be shuffled."""
    every, at, counts = tf.unique_with_counts(tf.reshape(keys, [-1]), tf.int64)
    places = tf.range(tf.size(at, tf.int64))
    first = tf.math.unsorted_segment_min(places, at, tf.size(every, tf.int64))
    features = tf.math.floormod(first, tf.cast(tf.shape(keys)[1], tf.int64))
    return [features, every, tf.gather(tf.reshape(values, [-1]), first), counts]


def _look_up(keys: tf.Tensor, asset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # Inside a function, tf.Transform hands over an eager path once the analyzer has run; the
    # table then belongs outside of the function, to be filled once.
    lift = tf.inside_function() and not tf.is_symbolic_tensor(asset)
    with tf.init_scope() if lift else tf.name_scope(FILE):
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(asset, tf.int64, 0, tf.int64, 1), default_value=-1
        )
        size = table.size()
    return table.lookup(keys), size


class MostFrequent(experimental.PTransformAnalyzer):
    """Writes `FILE` from `Batch`es."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self._sizes = sizes

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[str]:
        path = os.path.join(self.base_temp_dir, FILE)
        sizes = self._sizes
        return (
            batches
            | "Count" >> beam.ParDo(_Count()).with_output_types(tuple[Entry, int])
            | "Sum" >> beam.CombinePerKey(sum)
            | "ByFeature" >> beam.Map(_by_feature)
            | "Most" >> beam.combiners.Top.PerKey(max(sizes))
            | "All" >> beam.combiners.ToList()
            | "Write" >> beam.Map(lambda features: _write(dict(features), sizes, path))
        )


class _Count(beam.DoFn):
    """Counts within a bundle, so that a frequent value is shuffled once a bundle."""

    def start_bundle(self) -> None:
        self._counts: Counter[Entry] = Counter()

    def process(self, batch: Batch) -> Iterator[tuple[Entry, int]]:
        for *entry, count in zip(*(column.tolist() for column in batch), strict=True):
            self._counts[tuple(entry)] += count
        if len(self._counts) > _DISTINCT_AT_ONCE:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindows.windowed_value
        yield from (window(entry) for entry in self._flush())

    def _flush(self) -> Iterable[tuple[Entry, int]]:
        counts, self._counts = self._counts, Counter()
        return ((entry, count) for entry, count in counts.items() if entry[2])


def _by_feature(counted: tuple[Entry, int]) -> tuple[int, tuple[int, bytes, int]]:
    (feature, key, value), count = counted
    return feature, (count, value, key)


def _write(
    features: Mapping[int, Sequence[tuple[int, bytes, int]]], sizes: Sequence[int], path: str
) -> str:
    lines = [
        f"{key}\t{number}\t{feature}\t{count}\t{value!r}\n"
        for feature, values in sorted(features.items(), key=itemgetter(0))
        for number, (count, value, key) in enumerate(values[: sizes[feature]])
    ]
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("".join(lines) or _NOTHING)
    return path
