"""docs/own_log.md, done as it says: from a CSV to a served prediction."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pytest

pytestmark = pytest.mark.tfx

PAGE = Path(__file__).parents[3] / "docs" / "own_log.md"
SMALLER = "--set push.fit=judged"
"""Trains once: a refit is the same recipe again, and other tests have it."""
FIRST, DAYS, CLICKS, CAMPAIGNS = 1_740_787_200, 40, 20_000, 24


def write_clicks(path: Path) -> None:
    """Campaigns of CVRs from 1 % to 30 %; intent drives conversions within three days."""
    rng = np.random.default_rng(0)
    campaign = rng.integers(0, CAMPAIGNS, CLICKS)
    clicked = np.sort(FIRST + rng.integers(0, DAYS * 86_400, CLICKS))
    intent = rng.normal(size=CLICKS)
    logit = np.linspace(-5.0, -1.2, CAMPAIGNS)[campaign] + 0.8 * intent
    converted = rng.random(CLICKS) < 1 / (1 + np.exp(-logit))
    delay = rng.integers(60, 3 * 86_400, CLICKS)
    amount = np.where(converted, rng.lognormal(3, 1, CLICKS).round(2), 0.0)
    table = pa.table(
        {
            "clicked_at": clicked,
            "converted": converted.astype(int),
            "converted_at": pa.array(clicked + delay, mask=~converted),
            "campaign": [f"c{c}" for c in campaign],
            "site": [f"s{s}" for s in rng.integers(0, 30, CLICKS)],
            "device": rng.choice(["phone", "tablet", "desktop"], CLICKS),
            "intent": intent.round(3),
            "price": rng.lognormal(3, 1, CLICKS).round(2),
            "revenue": amount,
        }
    )
    pc_csv.write_csv(table, path)


def blocks() -> list[tuple[str, str]]:
    """Language and text of the tutorial's fenced blocks, in their order."""
    tutorial = PAGE.read_text().split("## From a CSV to a prediction")[1].split("\n## ")[0]
    return re.findall(r"^```(bash|python)\n(.*?)^```", tutorial, flags=re.M | re.S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
    return port


def environment() -> dict[str, str]:
    """With the command of this interpreter's environment first."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        process.wait(30)


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urlopen(f"http://localhost:{port}/ready"):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("the service has ended")


def test_the_tutorial_ends_with_a_prediction(
    tmp_path: Path, service: list[subprocess.Popen[bytes]]
) -> None:
    write_clicks(tmp_path / "clicks.csv")
    port, printed = free_port(), ""
    found = blocks()
    assert [kind for kind, _ in found] == ["bash"] * 4 + ["python"]
    for kind, text in found:
        text = text.replace("8080", str(port)).replace("hardtower run", f"hardtower run {SMALLER}")
        if text.startswith("hardtower serve"):
            service.append(subprocess.Popen(text.split(), cwd=tmp_path, env=environment()))
            wait_until_ready(port, service[0])
            continue
        command = ["bash", "-ec", text] if kind == "bash" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        printed = done.stdout
    answers = [line.split() for line in printed.splitlines()]
    assert [words[:2] for words in answers] == [["hard", "hard_tower"], ["soft", "one_task"]]
    rare, frequent = (float(words[2]) for words in answers)
    # By the world that the clicks are drawn from: 2.8 % and 44 %.
    assert 0.005 < rare < 0.1 < frequent < 0.8
