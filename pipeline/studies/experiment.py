"""An experiment on a finished run: data and settings from the run, results into its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import yaml

from common.runs.provenance import code_version
from schemas.errors import InputError

if TYPE_CHECKING:
    from labs.experiment.studies.cuts import Sample
    from labs.experiment.trainings.queue import Progress
    from pipeline.studies.frozen_run import FrozenRun


class Rolling(NamedTuple):
    """As-of days of a rolling experiment: how many, and how many days each is followed by."""

    dates: int = 3
    days: int = 7


def conduct(
    name: str,
    frozen: FrozenRun,
    seeds: int,
    sample: Sample,
    jobs: int,
    rolling: Rolling | None,
    command: str,
    report: Callable[[Progress], None],
) -> None:
    """Runs an experiment, prints its tables and writes `OUT/experiments/<name>/<moment>/`.

    Args:
      rolling: the as-of days, where the experiment has them; None takes the default.

    Raises:
      InputError: the run, a setting or the data is not fit for it.
    """
    from common.days import to_date
    from common.files.atomic import write_files
    from common.files.local import finite
    from components.transform.layout import FeatureLayout
    from labs.experiment.judging.judge import ON_DAY
    from labs.experiment.judging.truth import has_truth
    from labs.experiment.run import Plan, run_experiment
    from labs.experiment.show import page
    from labs.experiment.studies.assignments import Log
    from labs.experiment.studies.facts import RunFacts
    from labs.experiment.studies.registry import EXPERIMENTS, build
    from labs.experiment.trainings.rolling import Rolled, roll
    from labs.experiment.trainings.store import Store

    run, settings = frozen.run, frozen.settings
    contract, root = run.config.data_contract, Path(run.config.input.root)
    labelling = run.config.labelling
    log = Log(run.examples, contract, run.as_of, labelling, root)
    rolled: tuple[Rolled, ...] = ()
    if EXPERIMENTS[name].rolling and contract.roles.conversion_timestamp is not None:
        rolled = roll(frozen.data, log, run.config.splits, *(rolling or Rolling()))
    elif rolling is not None:
        raise InputError(f"--dates, --days: {name} has no as-of days; wanted them for freshness")
    facts = RunFacts(
        contract.name,
        FeatureLayout.from_contract(contract),
        labelling.alpha,
        has_truth(root),
        contract.roles.conversion_category is not None,
        contract.roles.advertiser is not None,
        contract.attribution_window_days + run.config.splits.eval_days,
        contract.roles.conversion_timestamp is not None,
        tuple(f"{ON_DAY}{to_date(it.day)}" for it in rolled),
    )
    plan = Plan(
        build(name, settings, facts),
        frozen.data,
        log,
        tuple(settings.training.seed + turn for turn in range(seeds)),
        sample,
        frozen.draws,
        frozen.code,
        jobs,
        rolled,
    )
    store = Store(frozen.folder / "trainings")
    ended = run_experiment(plan, store, report, lambda line: click.echo(line, err=True))
    now = datetime.now(UTC)
    origin = page.Origin(
        run.run_id,
        contract.name,
        code_version(),
        now.isoformat(timespec="seconds"),
        command,
    )
    folder = frozen.folder / name / now.strftime("%Y%m%dT%H%M%SZ")
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
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    click.echo(text)
    click.echo(f"page   {folder / 'report.html'}")
    click.echo(f"table  {folder / 'results.md'}")
    click.echo(f"json   {folder / 'results.json'}")
