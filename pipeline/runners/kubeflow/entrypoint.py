"""What the containers run: `python -m pipeline.runners.kubeflow.entrypoint`.

It stands between Kubeflow's launcher, which moves files between bucket and container, and TFX's
own entry point, which runs an executor.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from absl import flags
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.types.value_artifact import ValueArtifact
from tfx.utils import import_utils

from pipeline.runners.kubeflow.artifact_types import CLASS_PATHS, title_of
from pipeline.runners.kubeflow.invocation import (
    Json,
    answered,
    localised,
    run_id_of,
    with_declared_types,
    with_plain_parameters,
)
from pipeline.runners.kubeflow.targets import KFP, RUN_ID_ENV, TARGETS, Target
from pipeline.runners.kubeflow.uris import artifacts_of
from schemas.errors import InputError

BAD_INPUT = 2
"""Exit code of a mistake of the user's; the log's last line says which."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one step."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    given, beam_arguments = _parser().parse_known_args(arguments)
    try:
        run_step(
            given.executor_class_path,
            json.loads(given.json_serialized_invocation_args),
            given.json_serialized_inputs_spec_args,
            beam_arguments,
            given.target,
        )
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def run_step(
    executor: str, invocation: Json, inputs_spec: str, beam_arguments: list[str], target: Target
) -> None:
    """Runs an executor on this container's files and writes its answer for the launcher.

    Args:
      executor: dotted name of the class.
      invocation: `ExecutorInput` as the launcher gives it, artifacts by the bucket's URIs.
      inputs_spec: `ComponentInputsSpec` as JSON: the types of parameters and artifacts.
      beam_arguments: Beam pipeline options.
    """
    run_id = run_id_of(invocation, os.environ, RUN_ID_ENV)
    typed = with_declared_types(invocation, json.loads(inputs_spec))
    local = with_plain_parameters(localised(typed, target), run_id)
    compiler_utils.TITLE_TO_CLASS_PATH.update(CLASS_PATHS)
    make_output_places(local)
    flags.FLAGS.mark_as_parsed()
    parsed = argparse.Namespace(
        executor_class_path=executor,
        json_serialized_invocation_args=json.dumps(local),
        json_serialized_inputs_spec_args=inputs_spec,
    )
    kubeflow_v2_run_executor.main((parsed, beam_arguments))
    answer = local["outputs"]["outputFile"]
    with fileio.open(answer, "r") as file:
        written = json.loads(file.read())
    with fileio.open(answer, "w") as file:
        file.write(json.dumps(answered(written, invocation, target)))


def make_output_places(invocation: Json) -> None:
    """Makes the folders that executors write to; of an artifact that is one file, its parent."""
    for artifact in artifacts_of(invocation.get("outputs", {})):
        if "://" in artifact["uri"]:
            continue
        kind = import_utils.import_class_by_path(
            compiler_utils.TITLE_TO_CLASS_PATH[title_of(artifact["type"])]
        )
        place = Path(artifact["uri"])
        folder = place.parent if issubclass(kind, ValueArtifact) else place
        folder.mkdir(parents=True, exist_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--target", choices=TARGETS, default=KFP)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    return parser


if __name__ == "__main__":
    main()
