"""What only Kubernetes knows of: volumes, secrets, node selectors, tolerations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfp import kubernetes

from pipeline.kubeflow_settings import StepSettings
from pipeline.runners.kubeflow.targets import RUN_ID_ENV

RUN_ID_LABEL = "metadata.labels['pipeline/runid']"


class _Task:
    """The part of a task that kfp-kubernetes writes to."""

    def __init__(self) -> None:
        self.platform_config: dict[str, Any] = {}


def platform_document(steps: Mapping[str, StepSettings]) -> dict[str, Any]:
    """The second document of a compiled pipeline.

    Args:
      steps: label of an executor -> settings of its step.
    """
    executors = {label: _executor_config(step) for label, step in steps.items()}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _executor_config(step: StepSettings) -> dict[str, Any]:
    task: Any = _Task()
    kubernetes.use_field_path_as_env(task, RUN_ID_ENV, RUN_ID_LABEL)
    for volume in step.volumes:
        kubernetes.mount_pvc(task, volume.claim, volume.path)
    for secret in step.secrets:
        if secret.env:
            kubernetes.use_secret_as_env(task, secret.name, dict(secret.env))
        if secret.path is not None:
            kubernetes.use_secret_as_volume(task, secret.name, secret.path, secret.optional)
    for label, value in step.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in step.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key or None,
            operator=toleration.operator,
            value=toleration.value or None,
            effect=toleration.effect,
            toleration_seconds=toleration.seconds,
        )
    if step.image_pull_policy is not None:
        kubernetes.set_image_pull_policy(task, step.image_pull_policy)
    if step.timeout_seconds is not None:
        kubernetes.set_timeout(task, step.timeout_seconds)
    config: dict[str, Any] = task.platform_config["kubernetes"]
    return config
