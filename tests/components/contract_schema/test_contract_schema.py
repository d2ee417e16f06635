"""TFX components run for real: the contract's schemas, Transform, and Trainer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from schemas.contract import Contract
from schemas.tfmd import feature_schema, labelled_schema

Rows = list[dict[str, Any]]

pytestmark = pytest.mark.tfx


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """Makes artifacts of a standard type, each in a folder of its own."""
    from tfx.types import standard_artifacts

    folder = tmp_path_factory.mktemp("artifacts")

    def make(kind: str, name: str) -> Any:
        artifact = getattr(standard_artifacts, kind)()
        artifact.uri = str(folder / name)
        (folder / name).mkdir(exist_ok=True)
        return artifact

    return make


@pytest.fixture(scope="module")
def schemas(log_contract: Contract, artifacts: Callable[[str, str], Any]) -> dict[str, list[Any]]:
    from components.contract_schema.component import ContractSchema
    from components.contract_schema.settings import ComparatorThresholds

    thresholds = ComparatorThresholds(drift_categorical=0.2, skew_numeric=0.3)
    component = ContractSchema(log_contract, thresholds, code="x")
    outputs = {name: [artifacts("Schema", name)] for name in component.outputs}
    properties = {name: str(value) for name, value in component.exec_properties.items()}
    executor = component.executor_spec.executor_class()
    executor.Do({}, outputs, properties)
    return outputs


def test_the_component_writes_both_schemas(
    log_contract: Contract, schemas: dict[str, list[Any]]
) -> None:
    wanted = {
        "schema": labelled_schema(log_contract, drift_categorical=0.2, skew_numeric=0.3),
        "feature_schema": feature_schema(log_contract),
    }
    assert set(schemas) == set(wanted)
    for name, schema in wanted.items():
        (file,) = Path(schemas[name][0].uri).iterdir()
        assert file.name == "schema.pbtxt"
        read = text_format.Parse(file.read_text(), schema_pb2.Schema())
        assert read.SerializeToString(deterministic=True) == schema.SerializeToString(
            deterministic=True
        )


def test_transform_and_trainer_run_on_its_feature_schema(
    log_contract: Contract,
    log_rows: Rows,
    schemas: dict[str, list[Any]],
    artifacts: Callable[[str, str], Any],
    write_columns: Callable[[Path, Rows], Path],
    tmp_path: Path,
) -> None:
    from tfx.components.trainer.executor import GenericExecutor
    from tfx.components.transform.executor import Executor

    examples = artifacts("Examples", "examples")
    examples.split_names = json.dumps(["train", "calibration"])
    examples.set_string_custom_property("payload_format", "FORMAT_PARQUET")
    examples.set_string_custom_property("file_format", "FILE_FORMAT_PARQUET")
    for split in ("train", "calibration"):
        write_columns(Path(examples.uri, f"Split-{split}", "0.parquet"), log_rows)
    graph = artifacts("TransformGraph", "graph")
    config = {"contract": log_contract.model_dump_json()}
    context = Executor.Context(
        beam_pipeline_args=["--runner=DirectRunner"], tmp_dir=str(tmp_path), unique_id="1"
    )
    Executor(context).Do(
        {"examples": [examples], "schema": schemas["feature_schema"]},
        {"transform_graph": [graph]},
        {
            "preprocessing_fn": "components.transform.preprocessing.preprocessing_fn",
            "custom_config": json.dumps(config),
            "splits_config": json.dumps({"analyze": ["train"], "transform": []}),
            "disable_statistics": 1,
        },
    )

    model, run = artifacts("Model", "model"), artifacts("ModelRun", "run")
    GenericExecutor().Do(
        {"examples": [examples], "transform_graph": [graph], "schema": schemas["schema"]},
        {"model": [model], "model_run": [run]},
        {
            "run_fn": "components.trainer.run_fn.run_fn",
            "train_args": json.dumps({"splits": ["train"]}),
            "eval_args": json.dumps({"splits": ["calibration"]}),
            "custom_config": json.dumps(
                config
                | {
                    "model": {"cross_layers": 1, "hidden_units": [4], "shared_layers": 1},
                    "loss": {},
                    "training": {"batch_size": 64, "epochs": 1},
                    "code": "x",
                }
            ),
        },
    )
    assert {p.name for p in Path(model.uri).iterdir()} == {
        "Format-Serving",
        "Format-Full",
        "reference",
    }
    record = json.loads(Path(run.uri, "training.json").read_text())
    assert record["examples"]["train"] == record["examples"]["calibration"]
    assert record["examples"]["train"]["soft"]["examples"] == 40
