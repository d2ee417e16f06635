"""The TFX face of the evaluator, wired as in a pipeline."""

from __future__ import annotations

import json

import pytest
from tfx.types import channel_utils, standard_artifacts

from common.runs.info import RunInfo
from components.evaluator.component import HardTowerEvaluator
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.last_blessed.component import LastBlessed
from components.task_labeler.artifacts import TaskAssignments
from schemas.contract import Contract, parse_contract


def last_blessed(fingerprint: str) -> LastBlessed:
    run = RunInfo(
        run_id="r",
        seed=1,
        as_of="2024-03-20",
        contract="c",
        code_version="1",
        command="",
        config={},
    )
    return LastBlessed(serving_dir="s", fingerprint=fingerprint, run=run, out_dir="o")


def evaluator(contract: Contract, baseline: bool) -> HardTowerEvaluator:
    def channel(kind: type) -> object:
        return channel_utils.as_channel([kind()])

    optional = {}
    if baseline:
        optional = {
            "last_blessed": last_blessed("7:x").outputs["model"],
            "task_assignments": channel(TaskAssignments),
        }
    return HardTowerEvaluator(
        examples=channel(standard_artifacts.Examples),
        model=channel(standard_artifacts.Model),
        one_task=channel(standard_artifacts.Model),
        contract=contract,
        evaluation=EvaluationSettings(seed=5),
        gate=GateSettings(min_hard_auc=0.6),
        code="c0de",
        **optional,
    )


@pytest.mark.parametrize("baseline", [True, False])
def test_inputs_and_outputs(contract: Contract, baseline: bool) -> None:
    node = evaluator(contract, baseline)
    optional = {"last_blessed", "task_assignments"} if baseline else set()
    assert set(node.inputs) == {"examples", "model", "one_task", *optional}
    assert node.outputs["evaluation"].type is standard_artifacts.ModelEvaluation
    assert node.outputs["blessing"].type is standard_artifacts.ModelBlessing


def test_everything_that_decides_is_an_execution_property(contract: Contract) -> None:
    properties = evaluator(contract, True).exec_properties
    assert parse_contract(properties["contract"]) == contract
    assert json.loads(properties["evaluation_settings"])["seed"] == 5
    assert json.loads(properties["gate_settings"])["min_hard_auc"] == 0.6
    assert properties["code"] == "c0de"


def test_a_push_changes_the_last_blessed_node() -> None:
    first, second = (last_blessed(fingerprint).exec_properties for fingerprint in ("7:x", "8:x"))
    assert first != second
    assert first["serving_dir"] == "s"
