"""The small pipeline, compiled once for each target."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from kubeflow_project import kubeflow_project


@pytest.fixture(scope="session")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from pipeline.config import load_config
    from pipeline.runners.kubeflow.build import compile_pipeline
    from pipeline.runners.kubeflow.targets import TARGETS

    project = kubeflow_project(tmp_path_factory.mktemp("kubeflow"))
    config = load_config(str(project.config), ["as_of=''"])
    return {target: compile_pipeline(config, target, "hardtower compile") for target in TARGETS}


@pytest.fixture
def kfp_pipeline(compiled_once: dict[str, Any]) -> Any:
    """A copy for the test to change."""
    return deepcopy(compiled_once["kfp"])


@pytest.fixture
def vertex_pipeline(compiled_once: dict[str, Any]) -> Any:
    return deepcopy(compiled_once["vertex"])


@pytest.fixture
def kfp_file(kfp_pipeline: Any, tmp_path: Path) -> Path:
    from pipeline.runners.kubeflow.write import write_documents

    path = tmp_path / "pipeline.yaml"
    write_documents(kfp_pipeline, path)
    return path
