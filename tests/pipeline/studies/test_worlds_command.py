"""`hardtower experiment --worlds`: from a simulated log to findings over worlds, and going on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from html_pages import balanced

from pipeline.cli import main

CLICKS = 15_000

SETTINGS = (
    "model.cross_layers=0",
    "model.hidden_units=[4]",
    "model.shared_layers=1",
    "training.epochs=1",
    "splits.calibration_days=14",
    "labelling.alpha=0.05",
)
"""Of so short a log, the last two give the calibration period hard conversions."""


def over_worlds(out: Path, *arguments: str) -> Result:
    options = ["--worlds", "1", "--clicks", str(CLICKS), "--correlation", "0.6", "--seeds", "1"]
    options += [part for setting in SETTINGS for part in ("--set", setting)]
    return CliRunner().invoke(main, ["experiment", *arguments, *options, "--out", str(out)])


@pytest.mark.tfx
def test_an_experiment_in_a_simulated_world(tmp_path: Path) -> None:
    done = over_worlds(tmp_path, "table3")
    assert done.exit_code == 0, done.output
    assert "world 1 of 1: correlation 0.6, seed 0" in done.output
    assert "3 of 3 trainings done" in done.output
    (folder,) = (tmp_path / "worlds" / "table3").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "results.json", "results.md"]
    balanced((folder / "report.html").read_text(encoding="utf-8"))
    found = json.loads((folder / "results.json").read_text())
    (world,) = found["worlds"]
    assert (world["correlation"], world["seed"], world["clicks"]) == (0.6, 0, CLICKS)
    own = {(f["arm"], f["against"], f["metric"]): f for f in world["sets"][0]["findings"]}
    for response in found["responses"]:
        (alone,) = response["worlds"]
        mine = own[response["arm"], response["against"], response["metric"]]
        assert alone == mine
        assert [response[k] for k in ("estimate", "low", "high")] == [
            mine[k] for k in ("estimate", "low", "high")
        ]
    assert {r["metric"] for r in found["responses"]} >= {"expected_rig", "rig", "auc"}

    again = over_worlds(tmp_path, "table3")
    assert again.exit_code == 0, again.output
    assert again.output.count("reused an earlier result") == 4
    assert "3 of 3 trainings done, 3 of them before" in again.output


def test_mistakes_are_one_line_each(tmp_path: Path) -> None:
    for arguments, message in (
        (("table3", "--run-id", "x"), "--run-id x: --worlds takes no run"),
        (("table9",), "seen 'table9', wanted one of table1, table2"),
        (("table3", "--set", "nothing=1"), "nothing"),
    ):
        done = over_worlds(tmp_path, *arguments)
        assert done.exit_code == 2, done.output
        assert message in done.output
