"""One simulated log, shared by the tests that look at its statistics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labs.simulator.log.truth import read_setups, read_truth
from labs.simulator.settings import SimulatorSettings
from labs.simulator.simulate import SimulationSummary, simulate

SETTINGS = SimulatorSettings(clicks=400_000, days=42, seed=11, size={"users": 30_000})


@dataclass(frozen=True)
class SimulatedLog:
    settings: SimulatorSettings
    summary: SimulationSummary
    log: pd.DataFrame
    setups: pd.DataFrame


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedLog:
    """The log with three columns more: setup_id, probability and day."""
    root = tmp_path_factory.mktemp("simulated") / "log"
    summary = simulate(SETTINGS, root)
    log = whole_log(root).to_pandas()
    start = SETTINGS.start_date
    truth = read_truth(root, start, start + timedelta(days=SETTINGS.days)).to_pandas()
    assert (truth.click_id == log.click_id).all()
    log["setup_id"] = truth.setup_id
    log["probability"] = truth.probability
    log["day"] = (log.timestamp - log.timestamp.min()) // 86_400
    return SimulatedLog(SETTINGS, summary, log, read_setups(root).to_pandas())


def whole_log(root: Path) -> pa.Table:
    files = sorted(root.glob("clicks/*/*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])
