"""From the log to transformed examples on disk through TFX's stock components."""

from pathlib import Path
from typing import Any

from tfx import v1 as tfx
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.custom_executors import parquet_executor
from tfx.dsl.components.base import executor_spec
from tfx.types.standard_artifacts import Examples

from benchmarks.contestants import labelling_task as task
from benchmarks.contestants.label_beam import label
from benchmarks.contestants.path_clock import StageClock, output_dir
from schemas.contract import load_contract

SPLIT = "all"


# TFX reads the annotations of the function, which must not be strings.
@tfx.dsl.components.component
def RowWiseLabeler(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[Examples],
    labelled: tfx.dsl.components.OutputArtifact[Examples],
) -> None:
    """`benchmarks.contestants.label_beam` as a component."""
    label(examples.uri, labelled.uri)
    labelled.split_names = f'["{SPLIT}"]'


def run(log: str, out: str) -> dict[str, Any]:
    """TFX's Parquet ExampleGen, StatisticsGen, SchemaGen and Transform, the last materialized.

    Returns:
      `stages` as `benchmarks.contestants.path_clock.Costs`; `rows` written.
    """
    source = FileBasedExampleGen(
        input_base=log,
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name="log", pattern="clicks/*/*.parquet")]
        ),
        output_config=tfx.proto.Output(
            split_config=tfx.proto.SplitConfig(
                splits=[tfx.proto.SplitConfig.Split(name="log", hash_buckets=1)]
            )
        ),
        custom_executor_spec=executor_spec.BeamExecutorSpec(parquet_executor.Executor),
    )
    labeler = RowWiseLabeler(examples=source.outputs["examples"])
    examples = labeler.outputs["labelled"]
    statistics = tfx.components.StatisticsGen(examples=examples)
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="benchmarks.contestants.stock_features.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=[SPLIT], transform=[SPLIT]),
        disable_statistics=True,
        custom_config={"contract": load_contract(task.CONTRACT).model_dump_json()},
    )
    clock = StageClock()
    clock.run([source, labeler, statistics, schema, transform], out)

    labelled = output_dir(out, labeler.id, "labelled")
    (labelled / task.CVRS).rename(Path(out) / task.CVRS)
    rows = int((labelled / "rows").read_text(encoding="utf-8"))
    return {"stages": clock.costs, "rows": rows}
