"""A compiled pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.kubeflow_settings import StepSettings
from pipeline.runners.kubeflow.targets import Target


@dataclass(frozen=True)
class Compiled:
    """What `hardtower compile` writes, and what it was made from.

    Attributes:
      spec: pipeline spec, schema 2.1, as plain dicts in JSON names.
      platform: the Kubernetes part; none for Vertex AI.
      steps: label of an executor -> settings of its step.
      lasting: label of an executor -> folders that must outlive its container.
    """

    target: Target
    pipeline_root: str
    spec: dict[str, Any]
    platform: dict[str, Any] | None = None
    steps: Mapping[str, StepSettings] = field(default_factory=dict)
    lasting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The YAML documents, in order."""
        return [self.spec] if self.platform is None else [self.spec, self.platform]
