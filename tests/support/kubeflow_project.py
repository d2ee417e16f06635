"""The small project with a `kubeflow` section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_log import Project

KUBEFLOW: dict[str, Any] = {
    "image": "localhost/hardtower:test",
    "kfp": {
        "pipeline_root": "minio://mlpipeline/v2/artifacts",
        "data_root": "/mnt/hardtower/log",
        "serving_dir": "/mnt/hardtower/serving",
        "out_dir": "/mnt/hardtower/out",
    },
    "vertex": {
        "pipeline_root": "gs://bucket/root",
        "data_root": "/gcs/bucket/log",
        "serving_dir": "/gcs/bucket/serving",
        "out_dir": "/gcs/bucket/out",
    },
    "defaults": {
        "cpu": 2,
        "memory_gb": 4,
        "volumes": [{"claim": "hardtower", "path": "/mnt/hardtower"}],
    },
    "steps": {
        "Trainer": {
            "image": "localhost/hardtower:gpu",
            "memory_gb": 16,
            "retries": 2,
            "gpu": {"count": 2},
            "node_selector": {"pool": "gpu"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "secrets": [{"name": "tracking", "env": {"token": "TRACKING_TOKEN"}}],
        }
    },
}


def kubeflow_project(folder: Path, config: dict[str, Any] | None = None) -> Project:
    """A project that can be compiled; `config` is laid over its config."""
    project = Project(folder)
    project.write({"kubeflow": KUBEFLOW, **(config or {})})
    return project
