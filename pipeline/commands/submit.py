"""`hardtower submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.commands.options.kfp import (
    connection_of,
    connection_options,
    package_of,
    run_options,
)
from pipeline.commands.options.shared import LONGEST, config_name_option, set_option

RUN_FAILED = 1


@click.command()
@config_name_option
@set_option
@run_options
@click.option("-r", "--run-name", help="Name of the run; pipeline, day and time when absent.")
@click.option(
    "--upload", is_flag=True, help="Upload the pipeline as a version, and run that version."
)
@click.option("--upload-only", is_flag=True, help="Upload the pipeline as a version; run nothing.")
@click.option("--pipeline-name", help="Pipeline to upload to, made when there is none.")
@click.option("--version-name", help="Name of the uploaded version; the run's name when absent.")
@click.option("-w", "--watch", "--wait", "watch", is_flag=True, help="Wait for the run's end.")
@click.option(
    "-t",
    "--timeout",
    type=click.IntRange(1, LONGEST),
    help="Seconds to wait with --watch, at most.",
)
@connection_options
def submit(
    config_name: str | None,
    overrides: tuple[str, ...],
    package_file: Path | None,
    params: tuple[str, ...],
    experiment_name: str | None,
    pipeline_root: str | None,
    service_account: str | None,
    run_name: str | None,
    upload: bool,
    upload_only: bool,
    pipeline_name: str | None,
    version_name: str | None,
    watch: bool,
    timeout: int | None,
    **connection: Any,
) -> None:
    """Run a pipeline on Kubeflow Pipelines: a compiled one, or a config that is compiled first.

    Exit codes: 1 when --watch sees the run fail, 4 when the server is away or says no.
    """
    from pipeline.kfp_server import runs
    from pipeline.kfp_server.requests import RunRequest

    where = connection_of(connection)
    command = " ".join(["hardtower", *sys.argv[1:]])
    with package_of(package_file, config_name, overrides, command) as package:
        arguments = {} if upload_only else package.arguments(params)
        name = run_name or runs.run_title(package, str(arguments.get("as_of", "")))
        server = runs.Server(where)
        version = None
        if upload or upload_only:
            version = server.upload(package, pipeline_name or package.name, version_name or name)
            click.echo(f"pipeline {version.pipeline_id}, version {version.version_id}")
        if upload_only:
            return
        request = RunRequest(package, name, arguments, pipeline_root, service_account, version)
        experiment_id = server.experiment(runs.experiment_name(experiment_name, package))
        run_id = server.start(request, experiment_id)
    click.echo(f"run {run_id}: {name}")
    if where.endpoint:
        click.echo(f"{where.endpoint}/#/runs/details/{run_id}")
    if not watch:
        return
    view = server.wait(run_id, timeout)
    click.echo(f"run {run_id}: {view.state} {view.error}".rstrip())
    if view.state not in runs.GOOD:
        sys.exit(RUN_FAILED)
