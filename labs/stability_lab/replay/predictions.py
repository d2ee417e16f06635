"""Frozen predictions of a finished run, on the set that would be hard at another alpha."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Floats, Ints
from common.days import SECONDS_PER_DAY, to_date
from common.files.arrow import parquet_table
from common.files.local import read_local_json
from common.runs.files import EvaluationFile
from common.statistics.histogram import Histogram
from common.statistics.sums import Sums
from components.evaluator.scores.table import (
    CANDIDATE,
    CLICK_TIME,
    LABEL,
    ONE_TASK,
    models_of,
    prediction_column,
)
from labs.stability_lab.log.cells import LabLog
from labs.stability_lab.replay.replay import Replay
from schemas import labelled
from schemas.errors import InputError

EVALUATIONS = "artifacts/HardTowerEvaluator/evaluation"


@dataclass(frozen=True)
class Score:
    """A model on the examples that are hard at an alpha; RIG and AUC are NaN without conversions
    or without anything else."""

    alpha: float
    model: str
    examples: int
    positives: int
    rig: float
    auc: float
    calibration: float


class Predictions:
    """Predictions of a run's eval period, each at a cell of the log."""

    def __init__(self, cell: Ints, label: Floats, models: dict[str, Floats]) -> None:
        self._cell, self._label, self._models = cell, label, models

    @classmethod
    def read(cls, path: Path, log: LabLog) -> Predictions:
        """Reads an evaluator's `predictions.parquet`.

        Raises:
          InputError: an example's setup has no click in the log on the example's day.
        """
        table = parquet_table(path)
        ids = pa.array(log.setups.ids, pa.string())
        setup = pc.fill_null(pc.index_in(table[labelled.SETUP_ID], value_set=ids), -1).to_numpy()
        day = table[CLICK_TIME].to_numpy() // SECONDS_PER_DAY
        days = log.as_of - log.first_day + 1
        codes = log.cells.setup * days + log.cells.day - log.first_day
        wanted = setup.astype(np.int64) * days + day - log.first_day
        cell = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
        matches = (setup >= 0) & (codes[cell] == wanted)
        if not matches.all():
            i = int((~matches).argmax())
            raise InputError(
                f"{path}: setup {table[labelled.SETUP_ID][i].as_py()!r} has no click on "
                f"{to_date(day[i])} in the log of this config; wanted the predictions of a run on "
                "the same log, contract and as_of"
            )
        models = {
            name: table[prediction_column(name)].to_numpy().astype(np.float64)
            for name in models_of(table.schema)
            if name in (CANDIDATE, ONE_TASK)
        }
        return cls(cell, table[LABEL].to_numpy().astype(np.float64), models)

    def scores(self, alpha: float, decided: Replay) -> list[Score]:
        """Each model's scores on the examples of hard cells."""
        hard = decided.hard[self._cell]
        label = self._label[hard]
        scores = []
        for name, prediction in self._models.items():
            sums = Sums.of(label, prediction[hard])
            histogram = Histogram.of(label, prediction[hard], np.ones(len(label)))
            scores.append(
                Score(
                    alpha,
                    name,
                    len(label),
                    int(label.sum()),
                    sums.rig,
                    histogram.auc,
                    sums.calibration,
                )
            )
        return scores


def find_predictions(out: Path, run_folder: Path) -> Path:
    """The evaluator's predictions that a finished run reports on: those beside the same metrics.

    Raises:
      InputError: there are none.
    """
    wanted = read_local_json(run_folder / EvaluationFile.METRICS)
    folders = [p.parent for p in (out / EVALUATIONS).glob(f"*/{EvaluationFile.PREDICTIONS}")]
    for folder in sorted(folders, key=lambda p: p.stat().st_mtime, reverse=True):
        metrics = folder / EvaluationFile.METRICS
        if metrics.is_file() and read_local_json(metrics) == wanted:
            return folder / EvaluationFile.PREDICTIONS
    raise InputError(
        f"{out / EVALUATIONS}: no predictions.parquet beside the metrics of run "
        f"{run_folder.name}; wanted the artifacts of that run"
    )
