"""The DAG on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
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
from components.trainer.settings import FitName, ModelSettings
from components.transform.component import FeatureTransform
from pipeline.config import PipelineConfig
from pipeline.runs.store import STORE_FILE
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
        store = metadata.sqlite_metadata_connection_config(str(out / STORE_FILE))
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
class Blueprint:
    """What the nodes of a run are made from.

    Attributes:
      parameters: of the run (`common.runs.parameters`): values, or what the orchestrator puts in
        their place when a run starts.
    """

    config: PipelineConfig
    run: RunInfo
    places: Places
    parameters: ParameterValues

    @property
    def contract(self) -> Contract:
        return self.config.data_contract

    def pipeline(self, nodes: Sequence[BaseNode]) -> tfx_pipeline.Pipeline:
        return tfx_pipeline.Pipeline(
            pipeline_name=self.config.name,
            pipeline_root=self.places.root,
            components=list(nodes),
            enable_cache=True,
            metadata_connection_config=self.places.metadata,
            beam_pipeline_args=list(self.config.beam_args),
        )


def create_labelling_pipeline(
    config: PipelineConfig, run: RunInfo, places: Places
) -> tfx_pipeline.Pipeline:
    """Click log in; labelled columns and feature graph out, without a gate and without a model."""
    blueprint = Blueprint(config, run, places, default_parameters(config, run))
    log = LabelledLog.of(blueprint)
    return blueprint.pipeline([log.source, log.labeler, log.schemas, log.transform])


def create_pipeline(
    config: PipelineConfig,
    run: RunInfo,
    places: Places,
    parameters: ParameterValues | None = None,
) -> tfx_pipeline.Pipeline:
    """Click log in; blessed hard-tower serving graph, routing table and report out.

    Args:
      parameters: as `Blueprint` has them; none takes them from `config` and `run`.
    """
    values = default_parameters(config, run) if parameters is None else parameters
    blueprint = Blueprint(config, run, places, values)
    log = LabelledLog.of(blueprint)
    checks = DataChecks.of(blueprint, log)
    last_blessed = LastBlessed(
        serving_dir=places.serving,
        fingerprint=places.served,
        run=run,
        out_dir=places.out,
        parameters=values,
        ingest=log.ingest,
    )
    trainers = Trainers(blueprint, log, last_blessed.outputs["model"])
    judged = trainers.judged()
    evaluator = HardTowerEvaluator(
        examples=log.examples,
        model=judged.candidate.outputs["model"],
        one_task=judged.one_task.outputs["model"],
        last_blessed=last_blessed.outputs["model"],
        task_assignments=log.assignments,
        contract=blueprint.contract,
        evaluation=config.evaluation,
        gate=config.gate,
        code=code_fingerprint("components.evaluator.executor"),
    )
    served = None
    if config.push.refits(blueprint.contract):
        served = trainers.served(judged, evaluator.outputs["blessing"])
    pusher = _pusher(blueprint, log, checks, judged, evaluator, served)
    report = RunReport(
        evaluation=evaluator.outputs["evaluation"],
        task_assignments=log.assignments,
        candidate_run=judged.candidate.outputs["model_run"],
        one_task_run=judged.one_task.outputs["model_run"],
        pushed=pusher.outputs["pushed"],
        gate=checks.gate.outputs["verdict"],
        ingest=log.ingest,
        last_blessed=last_blessed.outputs["model"],
        out_dir=places.out,
        run=run,
        parameters=values,
    )
    return blueprint.pipeline(
        [
            *(log.source, log.labeler, log.schemas),
            *(checks.statistics, checks.validator, checks.gate),
            log.transform,
            last_blessed,
            *judged.trainers,
            evaluator,
            *((served.transform, *served.trainers) if served else ()),
            pusher,
            report,
        ]
    )


def default_parameters(
    config: PipelineConfig, run: RunInfo | None = None
) -> dict[str, str | int | float]:
    """The run's parameters as the config has them; `as_of` as `run` has it."""
    settings = config.model_dump(mode="json")
    values = {p.name: value_in(settings, p) for p in RUN_PARAMETERS}
    given = {name: value for name, value in values.items() if value is not None}
    return given | ({"as_of": run.as_of} if run is not None else {})


@dataclass(frozen=True)
class LabelledLog:
    """Nodes from the click log to the feature graph."""

    source: BaseNode
    labeler: TaskLabeler
    schemas: ContractSchema
    transform: FeatureTransform

    @classmethod
    def of(cls, blueprint: Blueprint) -> LabelledLog:
        config, contract = blueprint.config, blueprint.contract
        source, distances = _example_gen(blueprint), config.data_gate
        labeler = TaskLabeler(
            examples=source.outputs["examples"],
            contract=contract,
            as_of=blueprint.run.as_of,
            labelling=config.labelling,
            splits=config.splits,
            check_rows=contract.input.format == BIGQUERY,
            code=code_fingerprint("components.task_labeler.executor"),
            parameters=blueprint.parameters,
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

    @property
    def ingest(self) -> BaseChannel | None:
        """The ingest's report; BigQuery's own component writes none."""
        report: BaseChannel | None = self.source.outputs.get("report")
        return report

    @property
    def examples(self) -> BaseChannel:
        """As a serving graph takes them."""
        return self.labeler.outputs["labelled_examples"]

    @property
    def columns(self) -> BaseChannel:
        """The same as Parquet."""
        return self.labeler.outputs["labelled_columns"]

    @property
    def assignments(self) -> BaseChannel:
        return self.labeler.outputs["task_assignments"]


def _example_gen(blueprint: Blueprint) -> BaseNode:
    config, contract, parameters = blueprint.config, blueprint.contract, blueprint.parameters
    if contract.input.format == BIGQUERY:
        return bigquery_example_gen(contract, blueprint.run.as_of, config.window_days)
    return ClickLogGen(
        contract=contract,
        root=str(Path(config.input.root).absolute()),
        as_of=parameters["as_of"],
        window_days=parameters["window_days"],
        ingest=config.ingest,
        code=code_fingerprint("components.example_gen.executor", "components.example_gen.driver"),
    )


def _transform_code() -> str:
    return code_fingerprint("components.transform.executor", "components.transform.preprocessing")


@dataclass(frozen=True)
class DataChecks:
    """Nodes that look at the labelled columns; nothing is transformed before the gate lets it."""

    statistics: BaseNode
    validator: BaseNode
    gate: DataGate

    @classmethod
    def of(cls, blueprint: Blueprint, log: LabelledLog) -> DataChecks:
        config, schema = blueprint.config, log.schemas.outputs["schema"]
        statistics = StatisticsGen(
            examples=log.columns,
            schema=schema,
            stats_options=tfdv.StatsOptions(sample_rate=config.statistics.sample_rate),
        )
        validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema)
        gate = DataGate(
            statistics=statistics.outputs["statistics"],
            schema=schema,
            anomalies=validator.outputs["anomalies"],
            settings=config.data_gate,
            serving_dir=blueprint.places.serving,
            reference=blueprint.places.served,
            code=code_fingerprint("components.data_gate.executor"),
        )
        log.transform.add_upstream_node(gate)
        return cls(statistics, validator, gate)


@dataclass(frozen=True)
class Fit:
    """Nodes of one fit of the recipe; both trainers are one in the mode `one_task`."""

    transform: FeatureTransform
    candidate: HardTowerTrainer
    one_task: HardTowerTrainer

    @property
    def trainers(self) -> list[HardTowerTrainer]:
        return list(dict.fromkeys((self.candidate, self.one_task)))


@dataclass(frozen=True)
class FitInputs:
    """What tells one fit from the other.

    Attributes:
      fit: whose knowledge of labels to train on.
      train, calibration: splits of the labelled columns.
      prefix: of the trainers' ids.
      of_candidate, of_one_task: further inputs of each.
    """

    fit: FitName
    train: Sequence[str]
    calibration: Sequence[str]
    prefix: str = ""
    of_candidate: Mapping[str, BaseChannel] = field(default_factory=dict)
    of_one_task: Mapping[str, BaseChannel] = field(default_factory=dict)


@dataclass(frozen=True)
class Trainers:
    """Makes the trainings of a run: one recipe, two models, two fits.

    Attributes:
      last_blessed: model that a warm start begins with.
    """

    blueprint: Blueprint
    log: LabelledLog
    last_blessed: BaseChannel

    def judged(self) -> Fit:
        """Candidate and one-task model as known when the eval period began."""
        return self._fit(self.log.transform, FitInputs("judged", (TRAIN,), (CALIBRATION,)))

    def served(self, judged: Fit, blessing: BaseChannel) -> Fit:
        """The same with everything known at the as-of day, once the recipe is blessed.

        Args:
          judged: whose passes these trainings take.
        """
        contract = self.blueprint.contract
        splits = split_names(contract)
        transform = FeatureTransform(
            examples=self.log.columns,
            schema=self.log.schemas.outputs["feature_schema"],
            analyzed=splits,
            contract=contract,
            code=_transform_code(),
            blessing=blessing,
        ).with_id("ServedTransform")
        of_candidate, of_one_task = (
            {"blessing": blessing, JUDGED_RUN: trainer.outputs["model_run"]}
            for trainer in (judged.candidate, judged.one_task)
        )
        latest = splits[splits.index(EVAL) :]
        inputs = FitInputs("served", splits, latest, "Served", of_candidate, of_one_task)
        return self._fit(transform, inputs)

    def _fit(self, transform: FeatureTransform, inputs: FitInputs) -> Fit:
        model = self.blueprint.config.model
        candidate = self._trainer("Trainer", transform, model, inputs, inputs.of_candidate)
        if model.mode == ONE_TASK:
            return Fit(transform, candidate, candidate)
        plain = model.model_copy(update={"mode": ONE_TASK})
        one_task = self._trainer("OneTaskTrainer", transform, plain, inputs, inputs.of_one_task)
        return Fit(transform, candidate, one_task)

    def _trainer(
        self,
        name: str,
        transform: FeatureTransform,
        model: ModelSettings,
        inputs: FitInputs,
        further: Mapping[str, BaseChannel],
    ) -> HardTowerTrainer:
        config, contract = self.blueprint.config, self.blueprint.contract
        window = contract.attribution_window_days
        custom_config = {
            "contract": contract.model_dump_json(),
            "fit": inputs.fit,
            "model": model.model_dump(mode="json"),
            "loss": config.loss.model_dump(mode="json"),
            "training": config.training.model_dump(mode="json"),
            "checkpoints": self.blueprint.places.checkpoints,
            "eval_days": config.splits.eval_days,
            "calibration_days": config.splits.served_calibration_days(window),
            "code": code_fingerprint("components.trainer.executor", "components.trainer.run_fn"),
        }
        warm = config.training.warm_start == "last_blessed"
        return HardTowerTrainer(
            examples=self.log.columns,
            schema=self.log.schemas.outputs["feature_schema"],
            transform_graph=transform.outputs["transform_graph"],
            train_splits=inputs.train,
            calibration_splits=inputs.calibration,
            parameters=self.blueprint.parameters,
            custom_config=custom_config,
            **({"base_model": self.last_blessed} if warm else {}),
            **further,
        ).with_id(f"{inputs.prefix}{name}")


def _pusher(
    blueprint: Blueprint,
    log: LabelledLog,
    checks: DataChecks,
    judged: Fit,
    evaluator: HardTowerEvaluator,
    served: Fit | None,
) -> HardTowerPusher:
    refit: dict[str, BaseChannel] = {}
    if served is not None:
        refit = {
            "served_model": served.candidate.outputs["model"],
            "served_one_task": served.one_task.outputs["model"],
        }
    return HardTowerPusher(
        model=judged.candidate.outputs["model"],
        blessing=evaluator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        task_assignments=log.assignments,
        examples=log.examples,
        statistics=checks.statistics.outputs["statistics"],
        one_task=judged.one_task.outputs["model"],
        serving_dir=blueprint.places.serving,
        contract=blueprint.contract,
        settings=blueprint.config.push,
        run=blueprint.run,
        parameters=blueprint.parameters,
        **refit,
    )
