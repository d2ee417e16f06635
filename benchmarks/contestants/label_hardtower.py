"""This project's ExampleGen and labeller, without TFX around them."""

from __future__ import annotations

import json
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.contestants import labelling_task as task
from common.clicks.tfrecords import shard_files
from components.example_gen.readers.source import Window
from components.example_gen.run import ingest as ingest_log
from components.example_gen.settings import IngestSettings
from components.task_labeler.passes.clicks import ClickLog
from components.task_labeler.passes.label import SplitPlaces
from components.task_labeler.run import Folders, label_clicks
from components.task_labeler.settings import LabellingSettings, SplitSettings
from schemas.contract import load_contract
from schemas.labelled import SPLITS

LABELLING = LabellingSettings(
    alpha=task.ALPHA,
    window_days=task.WINDOW,
    half_life_days=task.HALF_LIFE,
    delay="naive",
    prior_clicks=1e-15,
    band=0.0,
    min_dwell_days=0,
)
PERIODS = SplitSettings(eval_days=7, calibration_days=3, gap_days=0)


def make_pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner="DirectRunner")


def ingest(log: str, out: str) -> int:
    """Parquet in, TFRecord shards in `out`/Split-log and their columns beside them out."""
    (Path(out) / "report").mkdir(parents=True)
    report = ingest_log(
        load_contract(task.CONTRACT),
        Path(log),
        Window.before(task.AS_OF, task.LOG_DAYS),
        IngestSettings(),
        f"{out}/Split-log",
        f"{out}/report",
        make_pipeline,
    )
    rows: int = report["rows"]
    return rows


def label(examples: str, out: str) -> int:
    """TFRecord in; TFRecord and Parquet out."""
    assignments = Path(out) / "assignments"
    assignments.mkdir(parents=True)
    places = {split: SplitPlaces(f"{out}/{split}", f"{out}/columns/{split}") for split in SPLITS}
    label_clicks(
        ClickLog(shard_files(f"{examples}/Split-log"), load_contract(task.CONTRACT), task.AS_OF),
        LABELLING,
        PERIODS,
        Folders(places, str(assignments), f"{out}/temp"),
        make_pipeline,
    )
    write_cvrs(assignments, out)
    return rows_written(assignments)


def write_cvrs(assignments: Path, out: str) -> None:
    """The CVRs of a TaskAssignments folder, as all contestants leave them."""
    history = pq.read_table(assignments / "history.parquet")
    seen = history.filter(pc.greater(history["observed_clicks"], 0))
    seen = seen.filter(pc.greater(seen["clicks"], 0))
    cvrs = [seen["setup_id"], seen["day"], seen["historical_cvr"]]
    pq.write_table(pa.table(cvrs, ["setup_id", "day", "cvr"]), f"{out}/{task.CVRS}")


def rows_written(assignments: Path) -> int:
    """Examples of all splits."""
    report = json.loads((assignments / "splits.json").read_text(encoding="utf-8"))
    return sum(report[split]["examples"] for split in SPLITS)
