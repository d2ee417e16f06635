"""An experiment on a finished run: data and settings from the run, results into its folder."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from components.common.local_files import read_json
from pipeline.config import PipelineConfig
from pipeline.overrides import with_overrides
from pipeline.provenance import code_fingerprint, code_version
from pipeline.run_artifacts import RunArtifacts, find_artifacts
from schemas.contract import first_problem
from schemas.errors import InputError

if TYPE_CHECKING:
    from components.experiment.arms import Settings
    from components.experiment.cuts import Sample
    from components.experiment.data import FrozenData
    from components.experiment.queue import Progress

FOLDER = "experiments"
UNCHANGED = {"warm_start": "off", "gradient_examples": 0}
"""Training settings that experiments fix: each starts from its seed, and no time goes into what
changes no weight."""


def quiet() -> None:
    """Keeps what libraries say of themselves off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def base_settings(run: RunArtifacts, overrides: Sequence[str]) -> Settings:
    """The run's settings with overrides of model, loss and training.

    Raises:
      InputError: a key or a value is wrong.
    """
    from pydantic import ValidationError

    from components.experiment.arms import Settings

    raw = with_overrides(run.config.model_dump(), overrides)
    try:
        config = PipelineConfig.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"--set: {first_problem(error)}") from error
    settings = Settings(config.model, config.loss, config.training)
    return settings.but(training=UNCHANGED)


def frozen_data(run: RunArtifacts, out: Path) -> FrozenData:
    """The run's transformed examples, kept under OUT/experiments/data."""
    from components.experiment.data import Source, keep

    settings = read_json(Path(run.task_assignments) / "settings.json")
    source = Source(
        run.labelled_columns,
        run.transform_graph,
        run.config.data_contract,
        Path(run.config.input.root),
        str(settings["assignment_id"]),
    )
    return keep(source, out / FOLDER / "data")


def conduct(
    name: str,
    out: Path,
    run_id: str | None,
    overrides: Sequence[str],
    seeds: int,
    sample: Sample,
    jobs: int,
    command: str,
    report: Callable[[Progress], None],
) -> None:
    """Runs an experiment, prints its tables and writes `OUT/experiments/<name>/<moment>/`.

    Raises:
      InputError: the run, a setting or the data is not fit for it.
    """
    quiet()
    run = find_artifacts(out, run_id)
    settings = base_settings(run, overrides)

    from components.experiment import page
    from components.experiment.assignments import Log
    from components.experiment.facts import RunFacts
    from components.experiment.registry import build
    from components.experiment.run import Plan, run_experiment
    from components.experiment.statistics import Draws
    from components.experiment.store import Store
    from components.experiment.truth import has_truth
    from components.reporter.write import write_files
    from components.transform.layout import FeatureLayout
    from pipeline.commands.lab import finite

    contract, root = run.config.data_contract, Path(run.config.input.root)
    labelling, evaluation = run.config.labelling, run.config.evaluation
    facts = RunFacts(
        contract.name,
        FeatureLayout.from_contract(contract),
        labelling.alpha,
        has_truth(root),
        contract.roles.conversion_category is not None,
        contract.roles.advertiser is not None,
    )
    plan = Plan(
        build(name, settings, facts),
        frozen_data(run, out),
        Log(run.examples, contract, run.as_of, labelling, root),
        tuple(settings.training.seed + turn for turn in range(seeds)),
        sample,
        Draws(evaluation.resamples, evaluation.seed, evaluation.confidence),
        code_fingerprint("trainer", "transform"),
        jobs,
    )
    store = Store(out / FOLDER / "trainings")
    ended = run_experiment(plan, store, report, lambda line: click.echo(line, err=True))
    now = datetime.now(UTC)
    origin = page.Origin(
        run.run_id,
        contract.name,
        code_version(),
        now.isoformat(timespec="seconds"),
        command,
    )
    folder = out / FOLDER / name / now.strftime("%Y%m%dT%H%M%SZ")
    found = finite(page.results(plan, ended, origin))
    text = page.markdown(plan, ended)
    shown = yaml.safe_dump({**settings.dump(), "seeds": list(plan.seeds)}, sort_keys=False)
    try:
        write_files(
            folder,
            {
                "results.json": json.dumps(found, indent=1, allow_nan=False, default=str) + "\n",
                "results.md": text,
                "report.html": page.html(plan, ended, origin, shown),
            },
        )
    except OSError as error:
        raise InputError(f"--out {out}: cannot write {folder}: {error.strerror}") from error
    click.echo(text)
    click.echo(f"page   {folder / 'report.html'}")
    click.echo(f"table  {folder / 'results.md'}")
    click.echo(f"json   {folder / 'results.json'}")
