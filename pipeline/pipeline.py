"""The DAG on one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import pipeline as tfx_pipeline

from components.common.run_info import RunInfo
from components.contract_schema.component import ContractSchema
from components.data_gate.component import DataGate
from components.evaluator.component import HardTowerEvaluator
from components.example_gen.component import ClickLogGen
from components.last_blessed.component import LastBlessed
from components.last_blessed.find import fingerprint
from components.pusher.component import HardTowerPusher
from components.reporter.component import RunReport
from components.task_labeler.calendar import CALIBRATION, TRAIN
from components.task_labeler.component import TaskLabeler
from pipeline.config import PipelineConfig
from pipeline.provenance import code_fingerprint
from schemas.contract import Contract


@dataclass(frozen=True)
class Places:
    """Where a run keeps things.

    Attributes:
      root: folder of the artifacts.
      serving: push folder, which TF Serving watches.
      out: folder under which `runs/<run_id>/` is written.
      metadata: connection of the metadata store; None where the orchestrator has its own.
    """

    root: str
    serving: str
    out: str
    metadata: metadata_store_pb2.ConnectionConfig | None

    @classmethod
    def under(cls, out: Path) -> Places:
        """All in one folder of this machine."""
        store = tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(out / "metadata.sqlite")
        )
        return cls(str(out / "artifacts"), str(out / "serving"), str(out), store)


def create_pipeline(
    config: PipelineConfig, run: RunInfo, places: Places
) -> tfx_pipeline.Pipeline:
    """Click log in; blessed hard-tower serving graph, routing table and report out."""
    contract = config.data_contract
    log, log_report = _example_gen(config, contract, places)
    labeler = TaskLabeler(
        examples=log,
        contract=contract,
        as_of=run.as_of,
        labelling=config.labelling,
        splits=config.splits,
        check_rows=contract.input.format == "bigquery",
        code=code_fingerprint("task_labeler"),
    )
    examples = labeler.outputs["labelled_examples"]
    assignments = labeler.outputs["task_assignments"]

    schemas = ContractSchema(
        contract=contract,
        categorical_distance=config.data_gate.categorical_distance,
        numeric_distance=config.data_gate.numeric_distance,
        code=code_fingerprint("contract_schema"),
    )
    statistics = tfx.components.StatisticsGen(
        examples=examples,
        schema=schemas.outputs["schema"],
        stats_options=tfdv.StatsOptions(sample_rate=config.statistics.sample_rate),
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schemas.outputs["schema"]
    )
    data_gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=schemas.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        settings=config.data_gate,
        serving_dir=places.serving,
        reference=fingerprint(places.serving),
        code=code_fingerprint("data_gate", "last_blessed"),
    )
    transform = tfx.components.Transform(
        examples=examples,
        schema=schemas.outputs["feature_schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=[TRAIN], transform=[]),
        materialize=False,
        disable_statistics=True,
        custom_config={
            "contract": contract.model_dump_json(),
            "code": code_fingerprint("transform"),
        },
    )
    transform.add_upstream_node(data_gate)

    trainers = {
        mode: _trainer(mode, config, contract, examples, transform, schemas)
        for mode in (config.model.mode, "one_task")
    }
    candidate, one_task = trainers[config.model.mode], trainers["one_task"]
    last_blessed = LastBlessed(serving_dir=places.serving, fingerprint=fingerprint(places.serving))
    evaluator = HardTowerEvaluator()
    pusher = HardTowerPusher(
        model=candidate.outputs["model"],
        blessing=evaluator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        task_assignments=assignments,
        examples=examples,
        serving_dir=places.serving,
        settings=config.push,
        run=run,
    )
    report = RunReport()
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=places.root,
        components=[],
        enable_cache=True,
        metadata_connection_config=places.metadata,
        beam_pipeline_args=list(config.beam_args),
    )
