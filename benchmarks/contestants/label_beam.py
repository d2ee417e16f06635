"""The labelling task in Beam as it is usually written: one element a click."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.contestants import labelling_task as task

Counted = tuple[tuple[int, int], int]
Cvr = tuple[tuple[str, int], float]


def _key(example: tf.train.Example) -> tuple[str, int]:
    feature = example.features.feature
    names = ("campaign_id", "conversion_goal")
    setup = "|".join(feature[name].bytes_list.value[0].decode() for name in names)
    return setup, feature["timestamp"].int64_list.value[0] // 86_400


def _count(example: tf.train.Example) -> tuple[tuple[str, int, int], int]:
    setup, day = _key(example)
    feature = example.features.feature
    # TFX's Parquet reader leaves out zeros.
    converted = list(feature["label"].int64_list.value) == [1]
    seconds = feature["conversion_timestamp"].int64_list.value
    return (setup, day, seconds[0] // 86_400 - day if converted else -1), 1


def _cvrs(element: tuple[str, Iterable[Counted]]) -> Iterable[Cvr]:
    setup, counts = element
    sums: dict[int, tuple[float, float]] = {}
    counted = list(counts)
    for (day, delay), clicks in counted:
        for age in range(1, task.WINDOW + 1):
            weight = clicks * 2 ** (-age / task.HALF_LIFE)
            conversions, total = sums.get(day + age, (0.0, 0.0))
            sums[day + age] = (conversions + weight * (0 <= delay < age), total + weight)
    for day in {day for (day, _), _ in counted} & sums.keys():
        yield (setup, day), sums[day][0] / sums[day][1]


def _label(example: tf.train.Example, cvrs: Mapping[tuple[str, int], float]) -> bytes:
    key = _key(example)
    cvr = cvrs.get(key)
    feature = example.features.feature
    feature["setup_id"].bytes_list.value.append(key[0].encode())
    feature["historical_cvr"].float_list.value.append(cvr or 0.0)
    hard = cvr is not None and cvr <= task.ALPHA
    feature["task"].bytes_list.value.append(b"hard" if hard else b"soft")
    written: bytes = example.SerializeToString()
    return written


def _write_cvrs(cvrs: list[Cvr], path: str) -> None:
    columns = [[k[0] for k, _ in cvrs], [k[1] for k, _ in cvrs], [cvr for _, cvr in cvrs]]
    pq.write_table(pa.table(columns, ["setup_id", "day", "cvr"]), path)


def label(examples: str, out: str) -> int:
    Path(out).mkdir(parents=True, exist_ok=True)
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        parsed = (
            pipeline
            | beam.io.ReadFromTFRecord(f"{examples}/Split-log/*.gz")
            | beam.Map(tf.train.Example.FromString)
        )
        cvrs = (
            parsed
            | "Count" >> beam.Map(_count)
            | beam.CombinePerKey(sum)
            | beam.MapTuple(lambda key, clicks: (key[0], ((key[1], key[2]), clicks)))
            | beam.GroupByKey()
            | beam.FlatMap(_cvrs)
        )
        cvrs | beam.combiners.ToList() | beam.Map(_write_cvrs, f"{out}/{task.CVRS}")
        mature = parsed | beam.Filter(lambda example: _key(example)[1] < task.MATURE_END)
        labelled = mature | "Label" >> beam.Map(_label, cvrs=beam.pvalue.AsDict(cvrs))
        labelled | beam.io.WriteToTFRecord(f"{out}/Split-all/labelled", file_name_suffix=".gz")
        counted = labelled | beam.combiners.Count.Globally()
        counted | "WriteCount" >> beam.Map(lambda n: Path(f"{out}/rows").write_text(str(n)))
    return int(Path(f"{out}/rows").read_text(encoding="utf-8"))
