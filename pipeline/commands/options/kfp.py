"""Options of commands that talk to a Kubeflow Pipelines server, named as kfp's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pipeline.commands.options.shared import LONGEST, Number, with_options
from pipeline.kfp_server.connection import (
    DEFAULT_NAMESPACE,
    ENDPOINT_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    Connection,
)
from pipeline.terminal.quiet import quiet_libraries
from schemas.errors import InputError

if TYPE_CHECKING:
    from pipeline.kfp_server.package import Package

connection_options = with_options(
    click.option(
        "--endpoint",
        envvar=ENDPOINT_VARIABLE,
        default="",
        metavar="URL",
        help=f"Kubeflow Pipelines server; else {ENDPOINT_VARIABLE}, the cluster or the kubeconfig.",
    ),
    click.option(
        "-n", "--namespace", default=DEFAULT_NAMESPACE, show_default=True, help="Namespace."
    ),
    click.option(
        "--existing-token",
        envvar=TOKEN_VARIABLE,
        default="",
        metavar="TOKEN",
        help=f"Bearer token; better in {TOKEN_VARIABLE}, where no process list shows it.",
    ),
    click.option(
        "--token-file",
        envvar=TOKEN_FILE_VARIABLE,
        default="",
        metavar="FILE",
        help=f"File with a bearer token, read again when it changes; else {TOKEN_FILE_VARIABLE}.",
    ),
    click.option(
        "--iap-client-id", default="", metavar="ID", help="Of Google's Identity-Aware Proxy."
    ),
    click.option(
        "--request-timeout",
        type=Number(0, LONGEST, low_open=True),
        default=30.0,
        show_default=True,
        help="Seconds that the server may take for one answer.",
    ),
)

run_options = with_options(
    click.option(
        "-f",
        "--package-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A compiled pipeline; else --config is compiled.",
    ),
    click.option(
        "-p",
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        help="Parameter of the run, such as as_of=2026-03-01. Repeatable.",
    ),
    click.option(
        "-e",
        "--experiment-name",
        help="Experiment, made when there is none; the pipeline's name when absent.",
    ),
    click.option("--pipeline-root", help="Bucket and prefix of the artifacts, if another."),
    click.option("--service-account", help="Kubernetes service account of the run's pods."),
)

RUN_NAMES = ("package_file", "params", "experiment_name", "pipeline_root", "service_account")
CONNECTION_NAMES = (
    "endpoint",
    "namespace",
    "existing_token",
    "token_file",
    "iap_client_id",
    "request_timeout",
)


def connection_of(options: dict[str, Any]) -> Connection:
    """Takes the connection's options out of a command's."""
    values = {name: options.pop(name) for name in CONNECTION_NAMES}
    return Connection(
        endpoint=values["endpoint"].rstrip("/"),
        namespace=values["namespace"],
        token=values["existing_token"],
        token_file=values["token_file"],
        iap_client_id=values["iap_client_id"],
        timeout=values["request_timeout"],
    )


def refuse_given(names: tuple[str, ...], why: str) -> None:
    """Raises a usage error when one of the options was given on the command line."""
    context = click.get_current_context()
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[-1]} {why}")


@contextmanager
def package_of(
    package_file: Path | None, config_name: str | None, overrides: tuple[str, ...], command: str
) -> Iterator[Package]:
    """The compiled pipeline that was named, or the config compiled.

    Args:
      command: command line that repeats the compilation, for the record.

    Raises:
      InputError: not exactly one of both was given, or it is not sound.
    """
    from pipeline.kfp_server.package import read_package

    if (package_file is None) == (config_name is None):
        raise InputError("wanted exactly one of --package-file and --config")
    if package_file is not None:
        if overrides:
            raise InputError("--set: a compiled pipeline is as it is; wanted --config or --param")
        yield read_package(package_file)
        return
    from pipeline.config import load_config

    config = load_config(str(config_name), overrides)
    quiet_libraries()
    from pipeline.runners.kubeflow.build import compile_pipeline
    from pipeline.runners.kubeflow.write import write_documents

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{config.name}.yaml"
        write_documents(compile_pipeline(config, "kfp", command), path)
        yield read_package(path)
