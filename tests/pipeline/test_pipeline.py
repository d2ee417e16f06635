"""The DAG as TFX compiles it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_log import CONTRACT, Project

from common.runs.info import RunInfo
from pipeline.config import CONFIG_DIR, PipelineConfig, load_config
from schemas.contract import SCHEMA_DIR, load_contract
from schemas.errors import InputError

pytestmark = pytest.mark.tfx


def compiled(config: PipelineConfig, out: Path) -> Any:
    from tfx.dsl.compiler import compiler

    from pipeline.pipeline import Places, create_pipeline

    run = RunInfo(run_id="r", as_of=config.as_of, seed=1)
    return compiler.Compiler().compile(create_pipeline(config, run, Places.under(out)))


def nodes(ir: Any) -> dict[str, Any]:
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}


def test_the_gate_stands_between_the_data_and_training(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write()
    found = nodes(compiled(load_config(str(project.config)), tmp_path))
    assert "DataGate" in found["Transform"].upstream_nodes
    for trainer in ("Trainer", "OneTaskTrainer"):
        assert "Transform" in found[trainer].upstream_nodes
    assert "HardTowerEvaluator" in found["HardTowerPusher"].upstream_nodes


def test_the_served_fit_waits_for_the_verdict(tmp_path: Path) -> None:
    """The judged fit reads what was known when the eval period began; the other all there is."""
    project = Project(tmp_path)
    project.write()
    found = nodes(compiled(load_config(str(project.config)), tmp_path))
    for name in ("ServedTransform", "ServedTrainer", "ServedOneTaskTrainer"):
        assert "HardTowerEvaluator" in found[name].upstream_nodes
        assert name == "ServedTransform" or name in found["HardTowerPusher"].upstream_nodes
    for name, fit, splits in (
        ("Trainer", "judged", ["train"]),
        ("ServedTrainer", "served", ["train", "calibration", "eval", "recent"]),
    ):
        given = {k: v.field_value for k, v in found[name].parameters.parameters.items()}
        assert json.loads(given["custom_config"].string_value)["fit"] == fit
        assert json.loads(given["train_args"].string_value)["splits"] == splits
        model = json.loads(given["custom_config"].string_value)["model"]
        assert model["mode"] == "two_tower"
    for name in ("Trainer", "OneTaskTrainer"):
        assert name in found[f"Served{name}"].upstream_nodes


@pytest.mark.parametrize(
    ("push", "timed", "refits"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"fit": "judged"}, True, False),
        ({"fit": "refit"}, False, True),
    ],
)
def test_what_is_pushed(tmp_path: Path, push: dict[str, str], timed: bool, refits: bool) -> None:
    """A refit where the log says when clicks converted, unless another fit is asked for."""
    project = Project(tmp_path)
    roles = {k: v for k, v in CONTRACT["roles"].items() if timed or k != "conversion_timestamp"}
    project.write({"push": push}, CONTRACT | {"roles": roles})
    found = nodes(compiled(load_config(str(project.config)), tmp_path))
    assert ("ServedTrainer" in found) is refits
    if refits:
        given = found["ServedTrainer"].parameters.parameters["train_args"].field_value
        assert ("recent" in given.string_value) is timed


@pytest.mark.parametrize(
    ("mode", "trainers"),
    [
        ("two_tower", {"Trainer", "OneTaskTrainer", "ServedTrainer", "ServedOneTaskTrainer"}),
        ("hard_only", {"Trainer", "OneTaskTrainer", "ServedTrainer", "ServedOneTaskTrainer"}),
        ("one_task", {"Trainer", "ServedTrainer"}),
    ],
)
def test_the_baseline_is_trained_beside_every_other_mode(
    tmp_path: Path, mode: str, trainers: set[str]
) -> None:
    project = Project(tmp_path)
    project.write({"model": {"mode": mode}})
    found = nodes(compiled(load_config(str(project.config)), tmp_path))
    assert {name for name in found if "Trainer" in name} == trainers


def test_bigquery_is_read_by_tfx_own_component(tmp_path: Path) -> None:
    query = "SELECT * FROM clicks WHERE day >= '{start}' AND day < '{end}'"
    project = Project(tmp_path)
    project.write(contract=CONTRACT | {"input": {"format": "bigquery", "query": query}})
    found = nodes(compiled(load_config(str(project.config)), tmp_path))
    source = found["BigQueryExampleGen"]
    assert source.node_info.type.name.endswith("BigQueryExampleGen")
    config = source.parameters.parameters["input_config"].field_value.string_value
    assert "day >= '2024-01-01' AND day < '2024-02-20'" in config
    labeller = found["TaskLabeler"].parameters.parameters
    assert labeller["check_rows"].field_value.int_value == 1


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT '{start}' < '{stop}'"])
def test_a_query_without_its_window_is_refused(tmp_path: Path, query: str) -> None:
    project = Project(tmp_path)
    project.write(contract=CONTRACT | {"input": {"format": "bigquery", "query": query}})
    with pytest.raises(InputError, match=r"input\.query.*wanted \{start\} and \{end\}"):
        compiled(load_config(str(project.config)), tmp_path)


@pytest.mark.parametrize("name", sorted(p.stem for p in CONFIG_DIR.glob("*.yaml")))
def test_every_shipped_config_says_its_command_and_loads(name: str) -> None:
    assert load_config(name).data_contract
    assert f"hardtower run --config {name}" in (CONFIG_DIR / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", sorted(p.stem for p in SCHEMA_DIR.glob("*.yaml")))
def test_every_shipped_contract_loads(name: str) -> None:
    contract = load_contract(name)
    assert contract.name == name
    assert contract.description


def test_settings_survive_yaml(tmp_path: Path) -> None:
    config = load_config("complete_journey")
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_config(str(path)) == config


def test_a_contract_is_no_config_nor_a_config_a_contract() -> None:
    shipped = SCHEMA_DIR / "complete_journey.yaml"
    with pytest.raises(InputError) as caught:
        load_config(str(shipped))
    wanted = "that is a contract; wanted a config, which names it under `contract`"
    assert str(caught.value) == f"{shipped}: {wanted}"
    config = CONFIG_DIR / "complete_journey.yaml"
    with pytest.raises(InputError) as caught:
        load_contract(str(config))
    wanted = "that is a config; wanted the contract, which it names under `contract`"
    assert str(caught.value) == f"{config}: {wanted}"


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "1" * 5000, "[" + "x" * 5000])
def test_a_long_override_is_one_short_line(value: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]{1,500}$") as caught:
        load_config("complete_journey", [f"window_days={value}"])
    assert "window_days" in str(caught.value)
