"""Unpacks what TFX hands over and calls the data gate."""

from __future__ import annotations

import logging
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from common.files.gfile import write_json
from common.files.local import local_path
from common.pages.text import counted
from common.versions.folder import ServingFolder
from common.versions.reference import TRAIN_STATISTICS
from components.data_gate.distances import distances
from components.data_gate.gate import compare, judge, require_sound, warned
from components.data_gate.settings import DataGateSettings
from schemas.labelled import EVAL, TRAIN

logger = logging.getLogger("hardtower")


class Executor(base_executor.BaseExecutor):
    """Executor of `DataGate`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        schema = artifact_utils.get_single_instance(input_dict["schema"])
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        splits = artifact_utils.decode_split_names(anomalies.split_names)
        newest = ServingFolder(local_path("serving_dir", exec_properties["serving_dir"])).newest()
        reference = os.path.join(newest.path, TRAIN_STATISTICS) if newest else ""
        known = bool(reference) and fileio.exists(reference)
        comparisons = compare(
            schema=io_utils.SchemaReader().read(os.path.join(schema.uri, "schema.pbtxt")),
            statistics={
                s: tfdv.load_stats_binary(
                    os.path.join(artifact_utils.get_split_uri([statistics], s), "FeatureStats.pb")
                )
                for s in (TRAIN, EVAL)
            },
            reference=tfdv.load_stats_binary(reference) if known else None,
        )
        findings = judge(
            {s: _read_anomalies(anomalies, s) for s in splits},
            comparisons,
            DataGateSettings.model_validate_json(exec_properties["settings"]),
        )
        for kind, features in warned(findings).items():
            told = counted(len(features), "feature")
            logger.info("DataGate: %s in %s: %s", kind, told, ", ".join(features))
        require_sound(findings)
        write_json(
            {
                "passed": True,
                "findings": [f.as_dict() for f in findings],
                "reference": str(newest.number) if newest and known else None,
                "distances": [d.as_dict() for d in distances(comparisons)],
            },
            os.path.join(verdict.uri, "gate.json"),
        )


def _read_anomalies(artifact: types.Artifact, split: str) -> Anomalies:
    path = os.path.join(artifact_utils.get_split_uri([artifact], split), "SchemaDiff.pb")
    anomalies = Anomalies()
    with fileio.open(path, "rb") as file:
        anomalies.ParseFromString(file.read())
    return anomalies
