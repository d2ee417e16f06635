"""A run's transformed examples, kept as arrays on disk: read once, used by every training."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from common.arrays import Floats
from common.files.arrow import parquet_table
from common.runs.provenance import code_fingerprint
from components.evaluator.scores.table import LABEL
from components.trainer.data.columns import ARRAYS, Columns
from components.transform.layout import FeatureLayout
from schemas.contract import Contract, parse_contract
from schemas.labelled import JUDGED_SPLITS, SPLITS

FACTS = "facts.parquet"
TRUTH = "truth.npy"
RECORD = "data.json"


@dataclass(frozen=True)
class DataOrigin:
    """What a data set is made from; see `pipeline.runs.artifacts`.

    Attributes:
      root: folder of the log, where a simulator's truth may lie.
      assignment_id: of the frozen assignment.
    """

    labelled_columns: str
    transform_graph: str
    contract: Contract
    root: Path
    assignment_id: str

    @property
    def key(self) -> str:
        """Sixteen hex digits that change with the data, and with the code that reads it."""
        parts = (
            str(Path(self.labelled_columns).absolute()),
            str(Path(self.transform_graph).absolute()),
            self.assignment_id,
            self.contract.model_dump_json(),
            code_fingerprint(__name__),
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class FrozenData:
    """The splits of a run as they lie in a folder, with what its judged fit knew of them.

    Attributes:
      key: see `DataOrigin`.
      record: what `keep` was told of the data.
    """

    folder: Path
    key: str
    record: Mapping[str, Any]

    @property
    def held_out(self) -> bool:
        """Whether the calibration split is not in the train split."""
        return True

    @property
    def splits(self) -> tuple[str, ...]:
        """Those with clicks, in their order."""
        return tuple(split for split in SPLITS if (self.folder / split).is_dir())

    @property
    def layout(self) -> FeatureLayout:
        """What the arrays hold."""
        return FeatureLayout.from_contract(parse_contract(self.record["contract"]))

    def columns(self, split: str) -> Columns:
        """A split's columns, mapped into memory and not copied."""
        folder = self.folder / split
        arrays: dict[str, Any] = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
            for name in ARRAYS
            if (folder / f"{name}.npy").is_file()
        }
        return Columns(**arrays)

    def facts(self, split: str) -> pa.Table:
        """Who and when of a split's examples (`examples.read_facts`); of a simulated log, labels
        are those of the end."""
        return _kept_facts(self.folder / split / FACTS)

    def truth(self, split: str) -> Floats | None:
        """True probabilities of a split's examples, where the log is simulated."""
        file = self.folder / split / TRUTH
        return np.load(file) if file.is_file() else None


@lru_cache(maxsize=len(SPLITS))
def _kept_facts(file: Path) -> pa.Table:
    return parquet_table(file)


def keep(source: DataOrigin, folder: Path) -> FrozenData:
    """The data set under `folder`, read from the run unless it is there already.

    Raises:
      InputError: an example or the log's truth cannot be read.
    """
    target = folder / source.key
    if not (target / RECORD).is_file():
        staging = folder / f".{source.key}.partial-{os.getpid()}"
        try:
            _write(source, staging)
            move_into_place(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    record = json.loads((target / RECORD).read_text(encoding="utf-8"))
    return FrozenData(target, source.key, record)


def _write(source: DataOrigin, folder: Path) -> None:
    from components.task_labeler.calendar import split_names
    from components.trainer.data.load import load_columns
    from labs.experiment.trainings.examples import read_facts
    from labs.experiment.trainings.truth import has_truth, join_truth

    counts = {}
    for split in split_names(source.contract):
        shards = Path(source.labelled_columns, f"Split-{split}").glob("*.parquet")
        files = [str(file) for file in sorted(shards)]
        facts = read_facts(files, source.contract)
        if not len(facts):
            continue
        place = folder / split
        place.mkdir(parents=True)
        columns = load_columns(files, source.transform_graph, source.contract, fit="judged")
        for name, values in columns.arrays.items():
            np.save(place / f"{name}.npy", values)
        counts[split] = example_counts(columns)
        if has_truth(source.root):
            truth = join_truth(source.root, facts, split in JUDGED_SPLITS)
            np.save(place / TRUTH, truth.probability)
            column = facts.schema.get_field_index(LABEL)
            facts = facts.set_column(column, LABEL, pa.array(truth.label))
        pq.write_table(facts, place / FACTS)
    record = {
        "contract": source.contract.model_dump_json(),
        "assignment_id": source.assignment_id,
        "labelled_columns": source.labelled_columns,
        "transform_graph": source.transform_graph,
        "splits": counts,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def move_into_place(staging: Path, target: Path) -> None:
    """Renames a folder; of two that were made at once the first stays."""
    try:
        os.replace(staging, target)
    except OSError:
        if not target.is_dir():
            raise


def example_counts(columns: Columns) -> dict[str, int]:
    """Examples and conversions, of all and of the hard ones."""
    hard = columns.hard
    return {
        "examples": len(columns),
        "positives": int(columns.label.sum()),
        "hard_examples": int(hard.sum()),
        "hard_positives": int(columns.label[hard].sum()),
    }


def digest(values: npt.NDArray[np.generic] | None) -> str:
    """Sixteen hex digits of an array's content; `none` of none."""
    if values is None:
        return "none"
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
