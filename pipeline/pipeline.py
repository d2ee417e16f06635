"""The DAG on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import BaseChannel

from common.runs.info import RunInfo
from common.runs.parameters import RUN_PARAMETERS, value_in
from common.runs.properties import ParameterValues
from common.runs.provenance import code_fingerprint
from common.versions.attempt import Attempt
from common.versions.folder import ServingFolder
from components.contract_schema.component import ContractSchema
from components.contract_schema.settings import ComparatorThresholds
from components.data_gate.component import DataGate
from components.evaluator.component import HardTowerEvaluator
from components.example_gen.bigquery import bigquery_example_gen
from components.example_gen.component import ClickLogGen
from components.last_blessed.component import LastBlessed
from components.pusher.component import HardTowerPusher
from components.reporter.component import RunReport
from components.task_labeler.calendar import split_names
from components.task_labeler.component import TaskLabeler
from components.trainer.component import HardTowerTrainer
from components.trainer.executor import JUDGED_RUN
from components.trainer.settings import ModelSettings
from components.transform.component import FeatureTransform
from pipeline.config import PipelineConfig
from schemas.contract import Contract
from schemas.labelled import CALIBRATION, EVAL, TRAIN

BIGQUERY = "bigquery"
ONE_TASK: Literal["one_task"] = "one_task"


@dataclass(frozen=True)
class Places:
    """Where a run keeps things.

    Attributes:
      root: folder of the artifacts.
      serving: push folder, which TF Serving watches.
      out: folder under which `runs/<run_id>/` is written.
      metadata: connection of the metadata store; None where the orchestrator has its own.
      checkpoints: folder of unfinished trainings' checkpoints, which a second attempt goes on from;
        empty keeps none.
      served: `ServingFolder.fingerprint` of the push folder, which keys the reuse of earlier
        results; empty where nothing is reused.
    """

    root: str
    serving: str
    out: str
    metadata: metadata_store_pb2.ConnectionConfig | None
    served: str = ""
    checkpoints: str = ""

    @classmethod
    def under(cls, out: Path, attempt: Attempt | None = None) -> Places:
        """All in one folder of this machine.

        Args:
          attempt: the run's, whose own leavings in the push folder don't count.
        """
        store = tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(out / "metadata.sqlite")
        )
        serving = out / "serving"
        left_out = {} if attempt is None else {"but": attempt.left}
        root = str(out / "artifacts")
        return cls(
            root,
            str(serving),
            str(out),
            store,
            ServingFolder(serving).fingerprint(**left_out),
            checkpoints=f"{root}/checkpoints",
        )


@dataclass(frozen=True)
class LabelledLog:
    """Nodes from the click log to the feature graph."""

    source: BaseNode
    labeler: TaskLabeler
    schemas: ContractSchema
    transform: FeatureTransform

    @classmethod
    def of(cls, config: PipelineConfig, run: RunInfo, values: ParameterValues) -> LabelledLog:
        """Makes them.

        Args:
          values: of the run's parameters, see `create_pipeline`.
        """
        contract, distances = config.data_contract, config.data_gate
        source = _example_gen(config, contract, run, values)
        labeler = TaskLabeler(
            examples=source.outputs["examples"],
            contract=contract,
            as_of=run.as_of,
            labelling=config.labelling,
            splits=config.splits,
            check_rows=contract.input.format == BIGQUERY,
            code=code_fingerprint("components.task_labeler.executor"),
            parameters=values,
        )
        schemas = ContractSchema(
            contract=contract,
            thresholds=ComparatorThresholds(
                drift_categorical=distances.categorical_distance,
                drift_numeric=distances.numeric_distance,
                skew_categorical=distances.categorical_distance,
                skew_numeric=distances.numeric_distance,
            ),
            code=code_fingerprint("components.contract_schema.executor"),
        )
        transform = FeatureTransform(
            examples=labeler.outputs["labelled_columns"],
            schema=schemas.outputs["feature_schema"],
            analyzed=[TRAIN],
            contract=contract,
            code=_transform_code(),
        ).with_id("Transform")
        return cls(source, labeler, schemas, transform)


def create_labelling_pipeline(
    config: PipelineConfig, run: RunInfo, places: Places
) -> tfx_pipeline.Pipeline:
    """Click log in; labelled columns and feature graph out, without a gate and without a model."""
    log = LabelledLog.of(config, run, default_parameters(config, run))
    nodes = [log.source, log.labeler, log.schemas, log.transform]
    return _pipeline(config, places, nodes)


def create_pipeline(
    config: PipelineConfig,
    run: RunInfo,
    places: Places,
    parameters: ParameterValues | None = None,
) -> tfx_pipeline.Pipeline:
    """Click log in; blessed hard-tower serving graph, routing table and report out.

    Args:
      parameters: of the run (`common.runs.parameters`): values, or what the orchestrator
        puts in their place when a run starts; none takes them from `config` and `run`.
    """
    contract = config.data_contract
    values = default_parameters(config, run) if parameters is None else parameters
    log = LabelledLog.of(config, run, values)
    source, labeler, schemas, transform = log.source, log.labeler, log.schemas, log.transform
    examples = labeler.outputs["labelled_examples"]
    columns = labeler.outputs["labelled_columns"]

    statistics = tfx.components.StatisticsGen(
        examples=columns,
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
        reference=places.served,
        code=code_fingerprint("components.data_gate.executor"),
    )
    transform.add_upstream_node(data_gate)

    last_blessed = LastBlessed(
        serving_dir=places.serving,
        fingerprint=places.served,
        run=run,
        out_dir=places.out,
        parameters=values,
        ingest=source.outputs.get("report"),
    )
    trainers = Trainers(
        config,
        contract,
        places,
        values,
        columns,
        schemas.outputs["feature_schema"],
        last_blessed.outputs["model"],
    )
    candidate, one_task = trainers.judged(transform.outputs["transform_graph"])

    evaluator = HardTowerEvaluator(
        examples=examples,
        model=candidate.outputs["model"],
        one_task=one_task.outputs["model"],
        last_blessed=last_blessed.outputs["model"],
        task_assignments=labeler.outputs["task_assignments"],
        contract=contract,
        evaluation=config.evaluation,
        gate=config.gate,
        code=code_fingerprint("components.evaluator.executor"),
    )
    refit: list[BaseNode] = []
    served: dict[str, BaseChannel] = {}
    if config.push.refits(contract):
        blessing = evaluator.outputs["blessing"]
        served_transform = FeatureTransform(
            examples=columns,
            schema=schemas.outputs["feature_schema"],
            analyzed=split_names(contract),
            contract=contract,
            code=_transform_code(),
            blessing=blessing,
        ).with_id("ServedTransform")
        graph = served_transform.outputs["transform_graph"]
        served_candidate, served_one_task = trainers.served(
            graph, blessing, (candidate.outputs["model_run"], one_task.outputs["model_run"])
        )
        refit = [served_transform, *_distinct(served_candidate, served_one_task)]
        served = {
            "served_model": served_candidate.outputs["model"],
            "served_one_task": served_one_task.outputs["model"],
        }
    pusher = HardTowerPusher(
        model=candidate.outputs["model"],
        blessing=evaluator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        task_assignments=labeler.outputs["task_assignments"],
        examples=examples,
        statistics=statistics.outputs["statistics"],
        one_task=one_task.outputs["model"],
        serving_dir=places.serving,
        contract=contract,
        settings=config.push,
        run=run,
        parameters=values,
        **served,
    )
    report = RunReport(
        evaluation=evaluator.outputs["evaluation"],
        task_assignments=labeler.outputs["task_assignments"],
        candidate_run=candidate.outputs["model_run"],
        one_task_run=one_task.outputs["model_run"],
        pushed=pusher.outputs["pushed"],
        gate=data_gate.outputs["verdict"],
        ingest=source.outputs.get("report"),
        last_blessed=last_blessed.outputs["model"],
        out_dir=places.out,
        run=run,
        parameters=values,
    )
    nodes = [
        source,
        labeler,
        schemas,
        statistics,
        validator,
        data_gate,
        transform,
        last_blessed,
        *_distinct(candidate, one_task),
        evaluator,
        *refit,
        pusher,
        report,
    ]
    return _pipeline(config, places, nodes)


def _pipeline(
    config: PipelineConfig, places: Places, nodes: Sequence[BaseNode]
) -> tfx_pipeline.Pipeline:
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=places.root,
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=places.metadata,
        beam_pipeline_args=list(config.beam_args),
    )


def default_parameters(
    config: PipelineConfig, run: RunInfo | None = None
) -> dict[str, str | int | float]:
    """The run's parameters as the config has them; `as_of` as `run` has it."""
    settings = config.model_dump(mode="json")
    values = {p.name: value_in(settings, p) for p in RUN_PARAMETERS}
    given = {name: value for name, value in values.items() if value is not None}
    return given | ({"as_of": run.as_of} if run is not None else {})


def _transform_code() -> str:
    return code_fingerprint("components.transform.executor", "components.transform.preprocessing")


def _example_gen(
    config: PipelineConfig, contract: Contract, run: RunInfo, parameters: ParameterValues
) -> BaseNode:
    if contract.input.format == BIGQUERY:
        return bigquery_example_gen(contract, run.as_of, config.window_days)
    return ClickLogGen(
        contract=contract,
        root=str(Path(config.input.root).absolute()),
        as_of=parameters["as_of"],
        window_days=parameters["window_days"],
        ingest=config.ingest,
        code=code_fingerprint("components.example_gen.executor", "components.example_gen.driver"),
    )


@dataclass(frozen=True)
class Trainers:
    """Makes the trainings of a run: one recipe, two models, two fits.

    Attributes:
      columns: labelled columns.
      schema: of the features.
      last_blessed: model that a warm start begins with.
    """

    config: PipelineConfig
    contract: Contract
    places: Places
    parameters: ParameterValues
    columns: BaseChannel
    schema: BaseChannel
    last_blessed: BaseChannel

    def judged(self, graph: BaseChannel) -> tuple[HardTowerTrainer, HardTowerTrainer]:
        """Candidate and one-task model as known when the eval period began."""
        return self._pair(graph, "judged", (TRAIN,), (CALIBRATION,), "", {}, {})

    def served(
        self,
        graph: BaseChannel,
        blessing: BaseChannel,
        judged: tuple[BaseChannel, BaseChannel],
    ) -> tuple[HardTowerTrainer, HardTowerTrainer]:
        """The same with everything known at the as-of day, once the recipe is blessed.

        Args:
          judged: `model_run` of both judged trainings, whose passes these take.
        """
        splits = split_names(self.contract)
        latest = splits[splits.index(EVAL) :]
        runs = [{"blessing": blessing, JUDGED_RUN: run} for run in judged]
        return self._pair(graph, "served", splits, latest, "Served", *runs)

    def _pair(
        self,
        graph: BaseChannel,
        fit: str,
        splits: Sequence[str],
        calibration: Sequence[str],
        prefix: str,
        of_candidate: Mapping[str, BaseChannel],
        of_one_task: Mapping[str, BaseChannel],
    ) -> tuple[HardTowerTrainer, HardTowerTrainer]:
        """The candidate's training and the one-task model's, the same one in that mode.

        Args:
          of_candidate, of_one_task: further inputs.
        """
        config = self.config
        warm = config.training.warm_start == "last_blessed"
        base = {"base_model": self.last_blessed} if warm else {}

        def trainer(
            name: str, model: ModelSettings, inputs: Mapping[str, BaseChannel]
        ) -> HardTowerTrainer:
            made = HardTowerTrainer(
                examples=self.columns,
                schema=self.schema,
                transform_graph=graph,
                train_splits=splits,
                calibration_splits=calibration,
                parameters=self.parameters,
                custom_config={
                    "contract": self.contract.model_dump_json(),
                    "fit": fit,
                    "model": model.model_dump(mode="json"),
                    "loss": config.loss.model_dump(mode="json"),
                    "training": config.training.model_dump(mode="json"),
                    "checkpoints": self.places.checkpoints,
                    "eval_days": config.splits.eval_days,
                    "calibration_days": config.splits.served_calibration_days(
                        self.contract.attribution_window_days
                    ),
                    "code": code_fingerprint(
                        "components.trainer.executor", "components.trainer.run_fn"
                    ),
                },
                **base,
                **inputs,
            )
            return made.with_id(f"{prefix}{name}")

        candidate = trainer("Trainer", config.model, of_candidate)
        if config.model.mode == ONE_TASK:
            return candidate, candidate
        plain = config.model.model_copy(update={"mode": ONE_TASK})
        return candidate, trainer("OneTaskTrainer", plain, of_one_task)


def _distinct(*nodes: BaseNode) -> list[BaseNode]:
    return list(dict.fromkeys(nodes))
