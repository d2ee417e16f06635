"""From the log to columns in memory through this project's pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import v1 as tfx

from benchmarks.contestants import labelling_task as task
from benchmarks.contestants.label_hardtower import LABELLING, PERIODS, rows_written, write_cvrs
from benchmarks.contestants.path_clock import StageClock, output_dir
from components.contract_schema.component import ContractSchema
from components.contract_schema.settings import ComparatorThresholds
from components.example_gen.component import ClickLogGen
from components.example_gen.settings import IngestSettings
from components.task_labeler.component import TaskLabeler
from components.trainer.data.load import load_columns
from schemas.contract import load_contract
from schemas.labelled import SPLITS

SAMPLED, WHOLE = "StatisticsGen.sampled", "StatisticsGen.whole"


def run(log: str, out: str, sample_rate: float) -> dict[str, Any]:
    """The nodes of `pipeline.pipeline` up to Transform, then what the Trainer begins with.

    All splits are analyzed and loaded, as many rows as the stock components take, and statistics
    are computed twice, from a sample and from all rows.

    Returns:
      `stages` as `benchmarks.contestants.path_clock.Costs`; `rows` loaded.
    """
    contract = load_contract(task.CONTRACT)
    source = ClickLogGen(
        contract=contract,
        root=log,
        as_of=task.AS_OF.isoformat(),
        window_days=task.LOG_DAYS,
        ingest=IngestSettings(),
        code="",
    )
    labeler = TaskLabeler(
        examples=source.outputs["examples"],
        contract=contract,
        as_of=task.AS_OF.isoformat(),
        labelling=LABELLING,
        splits=PERIODS,
        check_rows=False,
        code="",
    )
    examples = labeler.outputs["labelled_columns"]
    schemas = ContractSchema(contract=contract, thresholds=ComparatorThresholds(), code="")
    statistics = [
        tfx.components.StatisticsGen(
            examples=examples,
            schema=schemas.outputs["schema"],
            stats_options=tfdv.StatsOptions(sample_rate=rate),
        ).with_id(name)
        for name, rate in ((SAMPLED, sample_rate), (WHOLE, 1.0))
    ]
    transform = tfx.components.Transform(
        examples=examples,
        schema=schemas.outputs["feature_schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=list(SPLITS), transform=[]),
        materialize=False,
        disable_statistics=True,
        custom_config={"contract": contract.model_dump_json()},
    )
    clock = StageClock()
    clock.run([source, labeler, schemas, *statistics, transform], out)

    labelled = output_dir(out, "TaskLabeler", "labelled_columns")
    graph = output_dir(out, "Transform", "transform_graph")
    clock.begin()
    columns = load_columns([f"{labelled}/Split-*/*"], str(graph), contract)
    clock.end("load_columns")
    assignments = output_dir(out, "TaskLabeler", "task_assignments")
    if rows_written(assignments) != len(columns):
        raise ValueError(f"{rows_written(assignments)} labelled, {len(columns)} loaded")
    write_cvrs(Path(assignments), out)
    return {"stages": clock.costs, "rows": len(columns)}
