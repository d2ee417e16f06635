"""A search for settings on a finished run, and a config of the best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from pipeline.experiment import FOLDER, UNCHANGED, base_settings, frozen_data, quiet
from pipeline.provenance import code_fingerprint, code_version
from pipeline.run_artifacts import find_artifacts

if TYPE_CHECKING:
    from components.experiment.cuts import Sample
    from components.experiment.tune import Trial

SHOWN = 5
"""Trials that are printed."""


def tune_run(
    out: Path,
    run_id: str | None,
    overrides: Sequence[str],
    trials: int,
    seeds: int,
    search_seed: int,
    knobs: Sequence[str],
    sample: Sample,
) -> None:
    """Searches for settings, prints the best trials and writes the best as a config.

    Raises:
      InputError: the run, a setting or a knob is not fit for it.
    """
    quiet()
    run = find_artifacts(out, run_id)
    settings = base_settings(run, overrides)

    from components.experiment.knobs import KNOBS, search_space
    from components.experiment.tune import Search, chosen_changes, run_search
    from components.reporter.write import write_files

    names = tuple(knobs) or tuple(KNOBS)
    search_space(settings, names)
    code = code_fingerprint("trainer", "transform")
    data = frozen_data(run, out)
    search = Search(data, settings, names, trials, seeds, search_seed, sample, code)
    folder = out / FOLDER / "tune"
    found = run_search(search, folder, _tell_trial)
    best = found[0]
    raw = run.config.model_dump(mode="json")
    chosen = settings.but(**chosen_changes(found)).dump()
    for part, values in chosen.items():
        kept = {name: raw[part][name] for name in UNCHANGED if name in values}
        raw[part] = {**values, **kept}
    heading = (
        f"# Trial {best.number} of a search on run {run.run_id}: log loss {best.score:.6f} on\n"
        f"# hard calibration examples; {_present(found)} with the settings it began with.\n"
    )
    record = {
        "run_id": run.run_id,
        "code_version": code_version(),
        "objective": "mean log loss on hard calibration examples, nats",
        "seeds": seeds,
        "search_seed": search_seed,
        "sample": sample.model_dump(),
        "trials": [vars(trial) for trial in found],
    }
    place = folder / search.key
    text = heading + yaml.safe_dump(raw, sort_keys=False)
    files = {"trials.json": json.dumps(record, indent=1) + "\n", "best.yaml": text}
    write_files(place, files)
    for trial in found[:SHOWN]:
        values = ", ".join(f"{key}={value}" for key, value in trial.values.items())
        click.echo(f"{trial.score:.6f}  trial {trial.number}: {values}")
    click.echo(f"trials  {place / 'trials.json'}")
    click.echo(f"config  {place / 'best.yaml'}")


def _present(found: Sequence[Trial]) -> str:
    first = [trial.score for trial in found if trial.number == 1]
    return f"{first[0]:.6f}" if first else "none"


def _tell_trial(number: int, trials: int, score: float | None, best: float, seconds: float) -> None:
    shown = "failed" if score is None else f"log loss {score:.6f} in {seconds:.0f} s"
    click.echo(f"trial {number} of {trials}: {shown}; best {best:.6f}", err=True)
