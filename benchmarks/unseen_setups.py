"""Predicted over true conversions on setups that training has seen, and on those it has not.

    python -m benchmarks.unseen_setups --out OUT      after `hardtower experiment table3 --out OUT`

Reads the finished trainings of experiments on a simulated log, where the truth is known, and looks
at the hard examples of the eval period.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks.frozen import frozen_data
from schemas.labelled import EVAL, SETUP_ID, TRAIN


def main() -> None:
    folder, data = frozen_data(__doc__)
    truth = data.truth(EVAL)
    if truth is None:
        sys.exit(f"{folder}: no true probabilities; wanted a simulated log")
    known = pc.unique(data.facts(TRAIN)[SETUP_ID].cast("string"))
    seen = pc.is_in(data.facts(EVAL)[SETUP_ID].cast("string"), value_set=known).to_numpy()
    hard = np.asarray(data.columns(EVAL).hard)
    console = Console(highlight=False)
    console.print(f"{(~seen[hard]).mean():.1%} of hard eval examples are of unseen setups")
    table = Table(title="predicted over true conversions")
    for name in ("mode", "seed", "seen setups", "unseen setups"):
        table.add_column(name, justify="left" if name == "mode" else "right")
    for file in sorted(folder.glob("trainings/*/training.json")):
        settings = json.loads(file.read_text("utf-8"))["settings"]
        predicted = np.load(file.parent / "hard_tower.npy").astype(np.float64)
        if len(predicted) != len(truth):
            continue
        parts = (hard & seen, hard & ~seen)
        ratios = [predicted[part].sum() / truth[part].sum() for part in parts]
        table.add_row(
            settings["model"]["mode"],
            str(settings["training"]["seed"]),
            *(f"{ratio:.2f}" for ratio in ratios),
        )
    console.print(table)


if __name__ == "__main__":
    main()
