"""An experiment on a finished run: data and settings from the run, results into its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import yaml

from common.runs.provenance import code_version
from schemas.errors import InputError

if TYPE_CHECKING:
    from labs.experiment.run import Ended, Plan
    from labs.experiment.studies.cuts import Subsample
    from labs.experiment.trainings.queue import QueueProgress
    from pipeline.studies.frozen_run import FrozenRun


class Rolling(NamedTuple):
    """As-of days of a rolling experiment: how many, and how many days each is followed by."""

    dates: int = 3
    days: int = 7


@dataclass(frozen=True)
class ExperimentRequest:
    """What is asked of an experiment, whatever the run.

    Attributes:
      name: of the registry.
      seeds: how many.
      jobs: processes that train.
      rolling: the as-of days, where the experiment has them; None takes the default.
    """

    name: str
    seeds: int
    sample: Subsample
    jobs: int
    rolling: Rolling | None = None


def planned(asked: ExperimentRequest, frozen: FrozenRun) -> Plan:
    """The experiment on a run.

    Raises:
      InputError: the run, a setting or the data is not fit for it.
    """
    from common.days import to_date
    from components.transform.layout import FeatureLayout
    from labs.experiment.judging.judge import ON_DAY
    from labs.experiment.run import Plan
    from labs.experiment.studies.assignments import Log
    from labs.experiment.studies.facts import RunFacts
    from labs.experiment.studies.registry import EXPERIMENTS, build
    from labs.experiment.trainings.rolling import Rolled, roll
    from labs.experiment.trainings.truth import has_truth

    run, settings = frozen.run, frozen.settings
    contract, root = run.config.data_contract, Path(run.config.input.root)
    labelling = run.config.labelling
    log = Log(run.examples, contract, run.as_of, labelling, root)
    rolled: tuple[Rolled, ...] = ()
    data = frozen.data
    if EXPERIMENTS[asked.name].rolling and contract.roles.conversion_timestamp is not None:
        data = frozen.served_data
        rolled = roll(data, log, run.config.splits, *(asked.rolling or Rolling()))
    elif asked.rolling is not None:
        raise InputError(
            f"--dates, --days: {asked.name} has no as-of days; wanted them for freshness"
        )
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
    return Plan(
        build(asked.name, settings, facts),
        data,
        log,
        tuple(settings.training.seed + turn for turn in range(asked.seeds)),
        asked.sample,
        frozen.draws,
        frozen.code,
        asked.jobs,
        rolled,
    )


def ended(plan: Plan, frozen: FrozenRun, report: Callable[[QueueProgress], None]) -> Ended:
    """Runs it; finished trainings are kept in the run's folder.

    Raises:
      InputError: an arm cannot be assigned or trained.
    """
    from labs.experiment.run import run_experiment
    from labs.experiment.trainings.store import Store

    store = Store(frozen.folder / "trainings")
    return run_experiment(plan, store, report, lambda line: click.echo(line, err=True))


def conduct(
    asked: ExperimentRequest,
    frozen: FrozenRun,
    command: str,
    report: Callable[[QueueProgress], None],
) -> None:
    """Runs an experiment, prints its tables and writes `OUT/experiments/<name>/<moment>/`.

    Raises:
      InputError: the run, a setting or the data is not fit for it.
    """
    from common.files.local import finite
    from labs.experiment.show import page

    plan = planned(asked, frozen)
    done = ended(plan, frozen, report)
    run, settings = frozen.run, frozen.settings
    now = datetime.now(UTC)
    origin = page.Origin(
        run.run_id,
        run.config.data_contract.name,
        code_version(),
        now.isoformat(timespec="seconds"),
        command,
    )
    shown = yaml.safe_dump({**settings.dump(), "seeds": list(plan.seeds)}, sort_keys=False)
    show(
        frozen.folder / asked.name / now.strftime("%Y%m%dT%H%M%SZ"),
        finite(page.results(plan, done, origin)),
        page.markdown(plan, done),
        page.html(plan, done, origin, shown),
    )


def show(folder: Path, results: Any, text: str, html: str) -> None:
    """Writes an experiment's files, and prints the tables and where they are.

    Args:
      results: as JSON holds it.
      text: the tables as Markdown.

    Raises:
      InputError: the folder cannot be written.
    """
    from common.files.atomic import write_files

    try:
        write_files(
            folder,
            {
                "results.json": json.dumps(results, indent=1, allow_nan=False, default=str) + "\n",
                "results.md": text,
                "report.html": html,
            },
        )
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    click.echo(text)
    click.echo(f"page   {folder / 'report.html'}")
    click.echo(f"table  {folder / 'results.md'}")
    click.echo(f"json   {folder / 'results.json'}")
