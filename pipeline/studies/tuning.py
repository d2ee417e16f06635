"""A search for settings on a finished run, and a config of the best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import yaml

from common.runs.provenance import code_version
from pipeline.studies.frozen_run import UNCHANGED

if TYPE_CHECKING:
    from labs.experiment.judging.lead import Lead
    from labs.experiment.studies.cuts import Subsample
    from labs.experiment.tune import Report, Trial
    from pipeline.studies.frozen_run import FrozenRun

SHOWN = 5
"""Trials that are printed."""


def tune_run(
    frozen: FrozenRun,
    trials: int,
    seeds: int,
    search_seed: int,
    knobs: Sequence[str],
    sample: Subsample,
    report: Report,
) -> None:
    """Searches for settings, prints the best trials and writes the best as a config.

    Raises:
      InputError: a knob is not one, or no trial succeeds.
    """
    from common.files.atomic import write_files
    from common.files.local import finite
    from labs.experiment.knobs import KNOBS, search_space
    from labs.experiment.tune import Search, chosen_changes, lead_of, run_search

    names = tuple(knobs) or tuple(KNOBS)
    search_space(frozen.settings, names)
    search = Search(
        frozen.data, frozen.settings, names, trials, seeds, search_seed, sample, frozen.code
    )
    folder = frozen.folder / "tune"
    finished = run_search(search, folder, report)
    best, lead = finished[0], lead_of(search, folder, finished, frozen.draws)
    raw = frozen.run.config.model_dump(mode="json")
    chosen = frozen.settings.but(**chosen_changes(search, finished)).dump()
    for part, values in chosen.items():
        kept = {name: raw[part][name] for name in UNCHANGED if name in values}
        raw[part] = {**values, **kept}
    said = _in_words(best, lead, frozen.draws.confidence)
    heading = [
        f"Trial {best.number} of a search on run {frozen.run.run_id}: log loss {best.score:.6f} on",
        "hard calibration examples.",
        *said,
    ]
    record = {
        "run_id": frozen.run.run_id,
        "code_version": code_version(),
        "objective": "mean log loss on hard calibration examples, nats",
        "seeds": seeds,
        "search_seed": search_seed,
        "sample": sample.model_dump(),
        "lead": None if lead is None else {**asdict(lead), "clear": lead.clear},
        "trials": [vars(trial) for trial in finished],
    }
    place = folder / search.key
    text = "".join(f"# {line}\n" for line in heading) + yaml.safe_dump(raw, sort_keys=False)
    listed = json.dumps(finite(record), indent=1, allow_nan=False) + "\n"
    write_files(place, {"trials.json": listed, "best.yaml": text})
    for trial in finished[:SHOWN]:
        values = ", ".join(f"{key}={_short(value)}" for key, value in trial.values.items())
        click.echo(f"{trial.score:.6f}  trial {trial.number}: {values}")
    for line in said:
        click.echo(line)
    click.echo(f"trials  {place / 'trials.json'}")
    click.echo(f"config  {place / 'best.yaml'}")


def _short(value: int | float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_words(best: Trial, lead: Lead | None, confidence: float) -> list[str]:
    """What is known of the best trial's lead, and a warning where it may be chance."""
    if lead is None:
        return ["warning: the present settings could not be trained; nothing to compare with"]
    if best.number == 1:
        return ["warning: no trial is better than the present settings, which the config holds"]
    d = lead.difference
    lines = [
        f"lead over the present settings {d.estimate:+.6f} nats, {confidence:.0%} interval "
        f"[{d.low:+.6f}, {d.high:+.6f}], paired over {d.setups} setups",
        f"lead on setups that had no part in choosing {lead.left_out:+.6f} nats",
    ]
    if not lead.clear:
        lines.append("warning: this lead may be chance; more --seeds or a longer log would tell")
    return lines
