"""A small log with a planted signal, and a project over it as a user would have it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.runs.record import RunRecord, records

FIRST = date(2024, 1, 1)
DAYS = 50
CLICKS_A_DAY = 1200
WINDOW = 5
PATIENCE = 900
"""Seconds; a run takes minutes where the machine is shared."""

CONTRACT: dict[str, Any] = {
    "name": "small",
    "description": "clicks with a planted signal",
    "input": {"format": "parquet", "pattern": "clicks/{YYYY}-{MM}-{DD}.parquet"},
    "attribution_window_days": WINDOW,
    "roles": {
        "timestamp": "click_time",
        "conversion_timestamp": "conversion_time",
        "label": "converted",
        "setup": ["campaign", "goal"],
        "advertiser_type": "vertical",
        "conversion_category": "goal",
    },
    "features": {
        "of_setup": False,
        "categorical": [
            {"name": "campaign", "buckets": 100, "width": 4},
            {"name": "goal", "vocabulary": 5, "width": 2},
            {"name": "device", "buckets": 20, "width": 2},
            {"name": "user", "buckets": 2000, "width": 4},
        ],
        "numeric": [
            {"name": "recency", "transform": "log1p"},
            {"name": "intent", "transform": "zscore"},
        ],
    },
    "leaks": ["paid"],
}

CONFIG: dict[str, Any] = {
    "name": "small",
    "as_of": (FIRST + timedelta(days=DAYS)).isoformat(),
    "window_days": DAYS,
    "labelling": {"alpha": 0.05, "prior_clicks": 50, "min_clicks": 20},
    "splits": {"eval_days": 12, "calibration_days": 4, "warmup_days": 3},
    "model": {"cross_layers": 1, "hidden_units": [16], "shared_layers": 1},
    "training": {"batch_size": 512, "epochs": 2},
}


def write_clicks(folder: Path, seed: int = 3) -> None:
    """Sixteen campaigns with two goals each, one rare and one frequent; intent drives both."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    base = {"purchase": -4.2, "visit": -1.0}
    lift = rng.normal(0, 0.5, 16)
    for day in range(DAYS):
        n = CLICKS_A_DAY
        campaign = rng.integers(0, 16, n)
        goal = np.where(rng.random(n) < 0.6, "purchase", "visit")
        intent = rng.normal(0, 1, n)
        recency = rng.exponential(20, n)
        logit = np.array([base[g] for g in goal]) + lift[campaign] + 1.0 * intent
        logit -= 0.3 * np.log1p(recency) - 0.8
        converted = rng.random(n) < 1 / (1 + np.exp(-logit))
        moment = datetime.combine(FIRST + timedelta(days=day), datetime.min.time(), UTC)
        clicked = int(moment.timestamp()) + rng.integers(0, 86_400, n)
        delay = rng.exponential(86_400, n).astype(np.int64).clip(1, WINDOW * 86_400 - 1)
        table = pa.table(
            {
                "click_time": clicked,
                "conversion_time": pa.array(clicked + delay, mask=~converted),
                "converted": converted.astype(np.int64),
                "campaign": [f"c{c}" for c in campaign],
                "goal": goal,
                "vertical": [f"v{c % 3}" for c in campaign],
                "device": [f"d{d}" for d in rng.integers(0, 5, n)],
                "user": [f"u{u}" for u in rng.integers(0, 1500, n)],
                "recency": recency,
                "intent": pa.array(intent, mask=rng.random(n) < 0.1),
                "paid": converted * 9.5,
            }
        )
        pq.write_table(table, folder / f"{FIRST + timedelta(days=day)}.parquet")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, links by where they point to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@dataclass(frozen=True)
class Project:
    """A folder with a log, a contract and a config, as a user would have it."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def write(self, config: dict[str, Any] | None = None, contract: Any = None) -> None:
        text = yaml.safe_dump(contract or CONTRACT)
        (self.folder / "contract.yaml").write_text(text)
        places = {
            "contract": str(self.folder / "contract.yaml"),
            "input": {"root": str(self.folder)},
        }
        self.config.write_text(yaml.safe_dump({**CONFIG, **places, **(config or {})}))

    def hardtower(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command in a process of its own."""
        command = [str(Path(sys.executable).parent / "hardtower"), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=self.folder
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.hardtower(
            "run", "--config", str(self.config), "--out", str(self.out), *arguments
        )

    def begins(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A run in a process of its own that is not waited for; what it says is in `run.log`."""
        command = [sys.executable, "-m", "pipeline.cli", "run", "--config", str(self.config)]
        with (self.folder / "run.log").open("wb") as log:
            return subprocess.Popen(
                [*command, "--out", str(self.out), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )

    def waits_for(self, stage: str, process: subprocess.Popen[bytes]) -> RunRecord:
        """The record of the run that has come to a stage, begun by a process that goes on."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and process.poll() is None:
            for record in records(self.out):
                if record.status == "running" and record.stage == stage:
                    return record
            time.sleep(0.1)
        raise AssertionError(f"no run came to {stage}")

    def runs(self) -> list[Path]:
        return sorted((self.out / "runs").iterdir())

    def json(self, run: Path, name: str) -> Any:
        return json.loads((run / name).read_text())


def make_project(folder: Path, clicks: Path) -> Project:
    (folder / "clicks").symlink_to(clicks)
    made = Project(folder)
    made.write()
    return made


@dataclass(frozen=True)
class FinishedRun:
    project: Project
    folder: Path
    output: str
