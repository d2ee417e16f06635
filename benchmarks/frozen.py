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
    records = {
        file: json.loads(file.read_text("utf-8")) for file in folder.glob("data/*/data.json")
    }
    # `freshness` keeps data of its own, by the served fit's feature graph.
    judged = [f for f, r in records.items() if Path(r["transform_graph"]).parts[-3] == "Transform"]
    if len(judged) != 1:
        parser.error(f"{folder}: data of {len(judged)} runs; wanted one (`hardtower experiment`)")
    return folder, FrozenData(judged[0].parent, judged[0].parent.name, records[judged[0]])
