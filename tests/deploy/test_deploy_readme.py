"""What deploy/README.md shows, against the settings and commands that it is about."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from pipeline.cli import main
from pipeline.kubeflow_settings import KubeflowSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language; the empty one for commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
    return [block for kind, block in found if kind == language]


def command_lines() -> list[str]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith("hardtower ")]


def test_the_config_sections_are_what_compile_takes() -> None:
    shown = [KubeflowSettings.model_validate(yaml.safe_load(b)["kubeflow"]) for b in blocks("yaml")]
    assert [found.kfp is not None for found in shown] == [True, False]
    assert [found.vertex is not None for found in shown] == [False, True]


def test_the_steps_volumes_are_the_manifests_claims() -> None:
    declared = {
        found["metadata"]["name"]
        for found in yaml.safe_load_all((DEPLOY / "kubernetes" / "volumes.yaml").read_text())
    }
    kubeflow = KubeflowSettings.model_validate(yaml.safe_load(blocks("yaml")[0])["kubeflow"])
    assert kubeflow.kfp is not None
    paths = {volume.path for volume in kubeflow.defaults.volumes}
    assert {volume.claim for volume in kubeflow.defaults.volumes} <= declared
    for place in (kubeflow.kfp.data_root, kubeflow.kfp.serving_dir, kubeflow.kfp.out_dir):
        assert any(f"{place}/".startswith(f"{path}/") for path in paths), place


@pytest.mark.parametrize("line", command_lines())
def test_every_command_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, name, *arguments = shlex.split(line)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, arguments)


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]+\w", TEXT))
    assert "deploy/kubernetes/access.yaml" in named
    assert [name for name in named if not (DEPLOY.parent / name).exists()] == []
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", TEXT)]
    assert [link for link in links if not (DEPLOY / link).exists()] == []
