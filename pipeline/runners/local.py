"""Runs a compiled pipeline on this machine, node after node, and tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils

from pipeline.runs.progress import Stage


def run_local(
    pipeline: tfx_pipeline.Pipeline, run_id: str, on_stage: Callable[[Stage], None]
) -> list[Stage]:
    """Runs all nodes in topological order through TFX's own launcher.

    TFX's LocalDagRunner does the same without a word on progress or on what was reused.

    Args:
      run_id: names the run in the metadata store.
      on_stage: called when a node begins and when it has ended.

    Returns:
      The finished stages.
    """
    ir = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    deployment = runner_utils.extract_local_deployment_config(ir)
    store = deployment.metadata_connection_config
    connection = getattr(store, store.WhichOneof("connection_config"))
    finished = []
    for number, node in enumerate(ir.nodes, start=1):
        name = node.pipeline_node.node_info.id
        on_stage(Stage(name, number, len(ir.nodes)))
        began = time.monotonic()
        execution = launcher.Launcher(
            pipeline_node=node.pipeline_node,
            mlmd_connection=metadata.Metadata(connection),
            pipeline_info=ir.pipeline_info,
            pipeline_runtime_spec=ir.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
        ).launch()
        seconds = time.monotonic() - began
        reused = execution is not None and _was_cached(connection, execution.execution_id)
        stage = Stage(name, number, len(ir.nodes), seconds, reused)
        finished.append(stage)
        on_stage(stage)
    return finished


def _was_cached(connection: metadata_store_pb2.ConnectionConfig, execution_id: int | None) -> bool:
    with metadata.Metadata(connection) as handle:
        [execution] = handle.store.get_executions_by_id([execution_id])
    cached = metadata_store_pb2.Execution.State.CACHED
    return bool(execution.last_known_state == cached)
