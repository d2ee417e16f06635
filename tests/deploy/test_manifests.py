"""The Kubernetes manifests against the API's own schemas, the command line, and one another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from croniter import croniter

from pipeline.cli import main

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted([*DEPLOY.glob("kubernetes/*.yaml"), DEPLOY / "serving" / "kubernetes.yaml"])


def resources() -> list[dict[str, Any]]:
    return [found for file in FILES for found in yaml.safe_load_all(file.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [found for found in resources() if found["kind"] in kinds]


def pods() -> list[dict[str, Any]]:
    """The pod templates of everything that runs."""
    specs = [found["spec"] for found in of_kind("Deployment")]
    specs += [found["spec"]["jobTemplate"]["spec"] for found in of_kind("CronJob")]
    return [spec["template"] for spec in specs]


def values(tree: Any, key: str) -> Iterator[Any]:
    """Whatever stands under a key, at any depth."""
    if isinstance(tree, dict):
        for name, below in tree.items():
            if name == key:
                yield below
            yield from values(below, key)
    elif isinstance(tree, list):
        for below in tree:
            yield from values(below, key)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
# The CronJob's time zone is stable from 1.27 on.
@pytest.mark.parametrize("version", ["1.27", kubernetes_validate.latest_version()])
def test_every_resource_is_what_the_api_takes(file: Path, version: str) -> None:
    found = list(yaml.safe_load_all(file.read_text()))
    assert found
    for resource in found:
        kubernetes_validate.validate(resource, version, strict=True)


def test_validation_refuses_a_misspelt_field() -> None:
    [job] = of_kind("CronJob")
    job["spec"]["concurencyPolicy"] = job["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.30", strict=True)


def test_secrets_are_referred_to_and_never_written_down() -> None:
    assert not of_kind("Secret")
    for pod in pods():
        for variables in values(pod, "env"):
            assert all("valueFrom" in variable for variable in variables)


def test_pods_fit_the_restricted_policy() -> None:
    """Pod Security Standards, profile `restricted`; the API itself needs no token."""
    assert len(pods()) == 2
    for pod in pods():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 1000, "the image's user"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_every_mount_has_its_volume_and_every_claim_is_declared() -> None:
    claims = {found["metadata"]["name"] for found in of_kind("PersistentVolumeClaim")}
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounts = [mount for mounts in values(pod, "volumeMounts") for mount in mounts]
        assert {mount["name"] for mount in mounts} == set(volumes)
        used = {
            found["claimName"] for found in values(list(volumes.values()), "persistentVolumeClaim")
        }
        assert used <= claims


def test_the_service_reads_the_folder_that_the_retrain_pushes_to() -> None:
    by_app = {pod["metadata"]["labels"]["app"]: pod["spec"] for pod in pods()}

    def mounts(app: str) -> list[dict[str, Any]]:
        [name] = [
            volume["name"]
            for volume in by_app[app]["volumes"]
            if volume.get("persistentVolumeClaim", {}).get("claimName") == "hardtower-models"
        ]
        found = by_app[app]["containers"][0]["volumeMounts"]
        return [mount for mount in found if mount["name"] == name]

    [read] = mounts("hardtower-serve")
    assert read["readOnly"] is True
    [served] = options(by_app["hardtower-serve"], "--serving")
    written = {mount["mountPath"]: mount["subPath"] for mount in mounts("hardtower-retrain")}
    [out] = options(by_app["hardtower-retrain"], "--out")
    assert written == {f"{out}/serving": "serving", f"{out}/runs": "runs"}
    assert served == f"{read['mountPath']}/{written[f'{out}/serving']}"


def options(spec: dict[str, Any], name: str) -> list[str]:
    found = [argument.split("=", 1) for argument in spec["containers"][0]["args"]]
    return [value for key, value in found if key == name]


def test_the_command_line_takes_the_containers_arguments() -> None:
    import click

    for pod in pods():
        container = pod["spec"]["containers"][0]
        program, name = container["command"]
        assert program == "hardtower"
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_context(name, list(container["args"]), resilient_parsing=False)


def test_selectors_meet_their_pods() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    for found in of_kind("Service", "PodDisruptionBudget"):
        selector = found["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= have.items() for have in labels)


def test_the_retrain_is_nightly_and_never_doubled() -> None:
    [job] = of_kind("CronJob")
    times = croniter(job["spec"]["schedule"])
    first, second = times.get_next(), times.get_next()
    assert second - first == 86_400
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    # Given up before the next one is due.
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 86_400


def test_the_run_role_names_what_it_may_do() -> None:
    [role], [binding] = of_kind("Role"), of_kind("RoleBinding")
    assert not of_kind("ClusterRole", "ClusterRoleBinding")
    for rule in role["rules"]:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        if "secrets" in rule["resources"]:
            assert rule["resourceNames"]
            assert rule["verbs"] == ["get"]
    accounts = {found["metadata"]["name"] for found in of_kind("ServiceAccount")}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert {subject["name"] for subject in binding["subjects"]} <= accounts


def test_every_container_states_when_its_image_is_pulled() -> None:
    containers = [c for pod in pods() for c in pod["spec"]["containers"]]
    assert containers
    for container in containers:
        assert container["imagePullPolicy"] == "IfNotPresent"
