"""`hardtower compile`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.shared import config_option, set_option
from pipeline.runners.kubeflow.targets import KFP, TARGETS
from pipeline.terminal.quiet import quiet_libraries

if TYPE_CHECKING:
    from pipeline.runners.kubeflow.targets import Target


@click.command()
@config_option
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default=KFP,
    show_default=True,
    help="Open-source Kubeflow Pipelines, or Vertex AI Pipelines.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("pipeline.yaml"),
    show_default=True,
    help="File to write.",
)
@set_option
def compile(config_name: str, target: Target, out: Path, overrides: tuple[str, ...]) -> None:
    """Compile the pipeline for Kubeflow Pipelines v2 or Vertex AI Pipelines.

    The config's `kubeflow` section says where and with what each step runs.
    """
    from pipeline.config import load_config

    config = load_config(config_name, overrides)
    quiet_libraries()
    from pipeline.runners.kubeflow.build import compile_pipeline
    from pipeline.runners.kubeflow.write import write_documents

    compiled = compile_pipeline(config, target, " ".join(["hardtower", *sys.argv[1:]]))
    write_documents(compiled, out)
    steps = len(compiled.spec["deploymentSpec"]["executors"])
    click.echo(f"{out}: {config.name} for {target}, {steps} steps")
