"""`hardtower schedule`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.commands.options.kfp import (
    CONNECTION_NAMES,
    RUN_NAMES,
    connection_of,
    connection_options,
    package_of,
    refuse_given,
    run_options,
)
from pipeline.commands.options.shared import config_name_option, out_option, set_option
from pipeline.commands.shared.unattended import RETRY_NAMES, local_runner, retry_options
from schemas.errors import InputError

LOCAL = ("out", "max_catchup", *RETRY_NAMES, "once")
KFP = (
    *RUN_NAMES,
    "job_name",
    "max_concurrency",
    "start_time",
    "end_time",
    "enabled",
    "replace",
    *CONNECTION_NAMES,
)


@click.command()
@click.option(
    "--cron",
    "--cron-expression",
    "cron",
    required=True,
    metavar="FIELDS",
    help="When to run, in UTC: five fields from the minute, six from the second, or @daily.",
)
@click.option(
    "--catchup/--no-catchup",
    default=False,
    show_default=True,
    help="Whether times that were missed are run as well, or only the newest of them.",
)
@config_name_option
@set_option
@click.option("--local", is_flag=True, help="Run on this machine, until stopped.")
@out_option
@click.option(
    "--max-catchup",
    type=click.IntRange(1, 3660),
    help="With --catchup: how many of the newest missed times are run.",
)
@retry_options(retries=1)
@click.option("--once", is_flag=True, help="Run what is due now, then end.")
@run_options
@click.option("--job-name", help="Name of the recurring run; the pipeline's when absent.")
@click.option("--max-concurrency", type=click.IntRange(1, 10), default=1, show_default=True)
@click.option("--start-time", metavar="RFC3339", help="Nothing runs before.")
@click.option("--end-time", metavar="RFC3339", help="Nothing runs after.")
@click.option("--enabled/--disabled", default=True, show_default=True)
@click.option("--replace", is_flag=True, help="Take away recurring runs of the same name.")
@connection_options
def schedule(
    cron: str,
    catchup: bool,
    config_name: str | None,
    overrides: tuple[str, ...],
    local: bool,
    out: Path,
    max_catchup: int | None,
    retries: int,
    retry_delay: float,
    run_timeout: float | None,
    once: bool,
    **kfp: Any,
) -> None:
    """Retrain at scheduled times, on Kubeflow Pipelines or with --local on this machine.

    A local run is as of the UTC day that it was scheduled for. SIGTERM ends the local scheduler
    after the run that is going on, a second one at once.
    """
    from pipeline.scheduling.cron import Cron

    expression = Cron.parse(cron)
    if not local:
        refuse_given(LOCAL, "is for --local")
        _on_kubeflow(expression.expression, catchup, config_name, overrides, kfp)
        return
    refuse_given(KFP, "is not for --local")
    if max_catchup is not None and not catchup:
        raise click.UsageError("--max-catchup is for --catchup")
    from pipeline.scheduling.scheduler import Catchup

    runs = local_runner(out, config_name, overrides, retries, retry_delay, run_timeout)
    results = runs.schedule(expression, Catchup(max_catchup if catchup else 1), once)
    if any(result.outcome == "failed" for result in results):
        sys.exit(1)


def _on_kubeflow(
    cron: str,
    catchup: bool,
    config_name: str | None,
    overrides: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    from pipeline.kfp_server import runs
    from pipeline.kfp_server.package import AS_OF, SCHEDULED_TIME
    from pipeline.kfp_server.requests import RunRequest

    where = connection_of(options)
    command = " ".join(["hardtower", *sys.argv[1:]])
    with package_of(options["package_file"], config_name, overrides, command) as package:
        arguments = package.arguments(options["params"])
        default = package.parameters.get(AS_OF, {}).get("defaultValue", "")
        as_of = str(arguments.get(AS_OF, default))
        follows = SCHEDULED_TIME in as_of
        if as_of and not follows:
            source = "--param" if AS_OF in arguments else "the config"
            raise InputError(
                f"as_of: {source} fixes {as_of}, and every run would see the same day; wanted "
                "--param as_of= for the day of each run"
            )
        if catchup and not follows:
            raise InputError(
                "--catchup: Kubeflow does not tell a run which time it makes up for; wanted "
                "--no-catchup and `hardtower backfill`, or on back ends from 2.16 on "
                "--param 'as_of=[[ScheduledTime.2006-01-02]]'"
            )
        request = RunRequest(
            package,
            options["job_name"] or package.name,
            arguments,
            options["pipeline_root"],
            options["service_account"],
        )
        server = runs.Server(where)
        name = runs.experiment_name(options["experiment_name"], package)
        recurring_run_id = server.schedule(
            request,
            server.experiment(name),
            options["replace"],
            cron_expression=cron,
            max_concurrency=options["max_concurrency"],
            no_catchup=not catchup,
            enabled=options["enabled"],
            start_time=options["start_time"],
            end_time=options["end_time"],
        )
    click.echo(f"recurring run {recurring_run_id}: {request.name}, cron {cron} (second first)")
