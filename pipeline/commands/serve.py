"""`hardtower serve`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.options.shared import serving_option


@click.command()
@serving_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    help="Port to listen on.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Model processes; 2 by default.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Overrides a setting, such as poll_seconds=5 or max_candidates=2000. Repeatable.",
)
@click.option(
    "--contract",
    default="",
    metavar="FILE",
    help="Data set contract whose features versions must take.",
)
@click.option(
    "--experiment",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A/B test, in YAML.",
)
@click.option(
    "--decisions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to log decisions to.",
)
@click.option(
    "--tf-serving", metavar="URL", help="TF Serving that scores, such as http://localhost:8501."
)
def serve(
    serving: Path,
    host: str,
    port: int,
    workers: int | None,
    overrides: tuple[str, ...],
    contract: str,
    experiment: Path | None,
    decisions: Path | None,
    tf_serving: str | None,
) -> None:
    """Predict over HTTP: route ad candidates and score each by the model of its task."""
    from pipeline.overrides import with_overrides
    from schemas.checked import checked
    from schemas.contract import load_contract
    from service.routing.variants import load_experiment
    from service.settings import ServeSettings

    raw: dict[str, object] = {"serving_dir": serving, "contract": contract}
    if workers is not None:
        raw["workers"] = workers
    if contract:
        load_contract(contract)
    if experiment is not None:
        raw["experiment"] = load_experiment(experiment).model_dump()
    if decisions is not None:
        raw["decisions"] = {"path": decisions}
    if tf_serving is not None:
        raw["tf_serving"] = {"url": tf_serving.rstrip("/")}
    settings = checked(ServeSettings, with_overrides(raw, overrides), "settings")

    from service.http.server import serve as run

    run(settings, host, port)
