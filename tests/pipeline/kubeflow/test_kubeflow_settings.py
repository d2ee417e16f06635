"""The `kubeflow` section of a config, before anything is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubeflow_project import KUBEFLOW, kubeflow_project

from pipeline.config import load_config
from pipeline.kubeflow_settings import KubeflowSettings, StepSettings, Toleration
from schemas.errors import InputError


def test_a_steps_own_keys_replace_and_its_lists_add_up() -> None:
    settings = KubeflowSettings.model_validate(
        {
            "image": "i",
            "defaults": {
                "cpu": 2,
                "memory_gb": 4,
                "volumes": [{"claim": "a", "path": "/a"}],
                "node_selector": {"zone": "z", "pool": "cpu"},
            },
            "steps": {
                "Trainer": {
                    "memory_gb": 16,
                    "volumes": [{"claim": "b", "path": "/b"}],
                    "node_selector": {"pool": "gpu"},
                }
            },
        }
    )
    trainer = settings.step("Trainer")
    assert (trainer.cpu, trainer.memory_gb) == (2, 16)
    assert [v.claim for v in trainer.volumes] == ["a", "b"]
    assert trainer.node_selector == {"zone": "z", "pool": "gpu"}
    assert settings.step("Transform") == settings.defaults


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"image": ""}, r"kubeflow\.image"),
        ({"defaults": {"gpus": 1}}, r"kubeflow\.defaults\.gpus: unknown key"),
        (
            {"defaults": {"cpu": 1, "cpu_request": 2}},
            r"kubeflow\.defaults: cpu: request 2\.0 is above the limit 1\.0",
        ),
        (
            {"defaults": {"secrets": [{"name": "s"}]}},
            r"kubeflow\.defaults\.secrets\.0: secret 's': wanted `env`, `path` or both",
        ),
        (
            {"defaults": {"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]}},
            r"operator Exists takes no value",
        ),
        ({"defaults": {"tolerations": [{}]}}, r"operator Equal wants a key"),
        (
            {"kfp": KUBEFLOW["kfp"] | {"pipeline_root": "/srv/artifacts"}},
            r"kubeflow\.kfp\.pipeline_root",
        ),
        (
            {"kfp": KUBEFLOW["kfp"] | {"serving_dir": "serving"}},
            r"kubeflow\.kfp\.serving_dir",
        ),
        (
            {"vertex": KUBEFLOW["vertex"] | {"serving_dir": "/mnt/serving"}},
            r"kubeflow\.vertex: serving_dir: seen '/mnt/serving', wanted a folder under /gcs/",
        ),
        (
            {"vertex": KUBEFLOW["vertex"] | {"pipeline_root": "s3://b/root"}},
            r"kubeflow\.vertex\.pipeline_root",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key(
    tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    project = kubeflow_project(tmp_path, {"kubeflow": KUBEFLOW | section})
    with pytest.raises(InputError, match=message):
        load_config(str(project.config))


def test_a_toleration_of_every_taint_needs_no_key() -> None:
    assert Toleration(operator="Exists").effect is None


def test_secrets_and_the_rest_in_kubernetes_own_form() -> None:
    from pipeline.runners.kubeflow.platform import platform_document

    step = StepSettings.model_validate(
        {
            "secrets": [
                {"name": "both", "env": {"key": "VARIABLE"}, "path": "/secrets/both"},
                {"name": "files", "path": "/secrets/files", "optional": True},
            ],
            "tolerations": [{"operator": "Exists", "effect": "NoExecute", "seconds": 60}],
            "image_pull_policy": "Always",
            "timeout_seconds": 3600,
        }
    )
    document = platform_document({"exec-A": step, "exec-B": StepSettings()})
    executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    first = executors["exec-A"]
    assert [s["secretName"] for s in first["secretAsEnv"]] == ["both"]
    assert [
        (s["secretName"], s["mountPath"], s.get("optional", False)) for s in first["secretAsVolume"]
    ] == [
        ("both", "/secrets/both", False),
        ("files", "/secrets/files", True),
    ]
    [toleration] = first["tolerations"]
    assert toleration == {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "60"}
    assert first["imagePullPolicy"] == "Always"
    assert first["activeDeadlineSeconds"] == "3600"
    label = {"name": "KFP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
    assert executors["exec-B"] == {"fieldPathAsEnv": [label]}
