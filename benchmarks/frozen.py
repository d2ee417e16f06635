"""The data that experiments on a finished run have kept."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from labs.experiment.trainings.data import FrozenData


def frozen_data(description: str | None) -> tuple[Path, FrozenData]:
    """The folder of a run's experiments, and its data, by the one option `--out` of a command.

    Ends the command with a message where no experiment, or experiments on several runs, have kept
    any.

    Args:
      description: of the command.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    folder = parser.parse_args().out / "experiments"
    records = list(folder.glob("data/*/data.json"))
    if len(records) != 1:
        parser.error(f"{folder}: data of {len(records)} runs; wanted one (`hardtower experiment`)")
    text = records[0].read_text("utf-8")
    return folder, FrozenData(records[0].parent, records[0].parent.name, json.loads(text))
