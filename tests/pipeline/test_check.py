"""`hardtower check`: what it counts, what it answers, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pytest
import yaml
from click.testing import CliRunner, Result

from common.days import to_day
from labs.stability_lab.volumes import PeriodVolume, judge_volumes
from pipeline.cli import main

START = date(2025, 2, 1)
DAY = 86_400


def write(folder: Path, days: int, window: int = 2, **config: Any) -> Path:
    """A project of 200 clicks a day: a rare goal with a conversion in forty, and a frequent one."""
    n = 200 * days
    i = np.arange(n)
    clicked = (to_day(START) + i // 200) * DAY + i % 200 * 400
    rare = i % 2 == 0
    converted = np.where(rare, i % 80 == 0, i % 4 == 1)
    conversion = np.where(converted, clicked + np.where(window, 30 * 3600, 60), -1)
    table = pa.table(
        {
            "t": clicked,
            "y": converted.astype(int),
            "c": conversion,
            "goal": np.where(rare, "rare", "frequent"),
            "site": (i % 7).astype(str),
        }
    )
    pc_csv.write_csv(table, folder / "log.csv")
    contract = {
        "name": "mine",
        "description": "clicks",
        "input": {"format": "csv", "pattern": "log.csv"},
        "attribution_window_days": window,
        "roles": {
            "timestamp": "t",
            "label": "y",
            "conversion_timestamp": "c",
            "setup": ["goal"],
        },
        "features": {"categorical": [{"name": "site", "buckets": 10}]},
    }
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    form = {
        "name": "mine",
        "contract": str(folder / "contract.yaml"),
        "input": {"root": str(folder)},
        "as_of": (START + timedelta(days=days)).isoformat(),
        "window_days": days,
        "labelling": {"alpha": 0.1, "prior_clicks": 10, "min_clicks": 10},
        "splits": {"eval_days": 8, "calibration_days": 4, "warmup_days": 4},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(form | config))
    return folder / "config.yaml"


def check(config: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["check", "--config", str(config), *more])


def test_volumes_by_hand(tmp_path: Path) -> None:
    """Of 200 clicks a day every eightieth is a rare conversion, 30 hours later: 5 in two days."""
    done = check(write(tmp_path, days=40), "--alphas", "0.5")
    assert done.exit_code == 0, done.output
    assert "8,000 in the window, 0 of them break the contract (0%); 0 outside" in done.output
    assert "train       2025-02-05 .. 2025-02-26 (22 days)" in done.output
    assert "eval        2025-03-03 .. 2025-03-10 (8 days)" in done.output
    # 22 days of train: calibration lies between them and eval, so that all has been seen.
    assert "50%, 55" in done.output
    # Calibration has 5 in its first two days and 3 on its third, up to 64,000 s into it; 30 hours
    # before eval begins are 64,800 s into that day: none of the fourth is seen.
    assert "50%, 8" in done.output
    assert "50%, 20" in done.output
    # At one half, both goals are hard from their first observed conversion on.
    assert "100%, " in done.output
    assert "20 hard conversions of 1 setup to judge by" in done.output
    assert "can hardly support the question" in done.output


def test_bad_rows_are_counted_by_rule(tmp_path: Path) -> None:
    config = write(tmp_path, days=40, ingest={"max_bad_row_share": 0.01})
    first = to_day(START) * DAY
    with (tmp_path / "log.csv").open("a") as log:
        for row in (
            f"{first},2,-1,rare,1",
            f"{first},7,-1,rare,1",
            f"{first},0,-1,,1",
            f"{first},1,{first - 5},rare,1",
            f"{first - DAY},0,-1,rare,1",
        ):
            log.write(row + "\n")
    done = check(config)
    assert done.exit_code == 0, done.output
    assert "8,004 in the window, 4 of them break the contract (0.05%); 1 outside" in done.output
    assert "2  y: wanted 0 or 1" in done.output
    assert "1  goal: wanted a value, since it is part of the setup" in done.output
    assert "the first: " in done.output
    assert "row 8001, column y: seen 2, wanted 0 or 1" in done.output
    strict = check(config, "--set", "ingest.max_bad_row_share=0.0001")
    assert strict.exit_code == 2
    assert strict.output.splitlines()[-1].startswith("Error: ")
    assert "4 of 8,004 rows break the contract" in strict.output


def test_a_log_of_two_days_says_what_is_possible(tmp_path: Path) -> None:
    done = check(write(tmp_path, days=2))
    assert done.exit_code == 2
    # 8 of eval, 4 of calibration, 4 of warm-up, 2 of the window, and one to train on.
    assert "with these settings a run needs 19 days" in done.output
    assert "with periods of one day 5 days" in done.output
    assert "(attribution_window_days: 0) 3 days" in done.output
    assert "hardtower alpha and hardtower stability work on what there is" in done.output
    assert "no day is left to train on" in done.output.splitlines()[-1]


def test_a_window_of_0_days_judges_up_to_yesterday(tmp_path: Path) -> None:
    done = check(write(tmp_path, days=30, window=0))
    assert done.exit_code == 0, done.output
    yesterday = START + timedelta(days=29)
    assert f"eval        {yesterday - timedelta(days=7)} .. {yesterday} (8 days)" in done.output
    assert "recent" not in done.output


def test_without_a_hard_click_the_answer_is_no(tmp_path: Path) -> None:
    done = check(write(tmp_path, days=40), "--set", "labelling.alpha=0.001")
    assert done.exit_code == 2
    assert "The log cannot support the question." in done.output
    assert "no hard click in the train period: a run would stop" in done.output


def volume(clicks: int = 1000, hard: int = 500, conversions: int = 200) -> PeriodVolume:
    return PeriodVolume(clicks, 2 * conversions, 12, hard, conversions, conversions)


@pytest.mark.parametrize(
    ("train", "evaluated", "answer"),
    [
        (500, 400, "yes"),
        (100, 100, "yes"),
        (99, 400, "hardly"),
        (500, 19, "hardly"),
        (0, 400, "no"),
    ],
)
def test_hard_conversions_decide(train: int, evaluated: int, answer: str) -> None:
    found = {
        "train": volume(conversions=train),
        "calibration": volume(),
        "eval": volume(conversions=evaluated),
    }
    assert judge_volumes(found, at_least=10).answer == answer


def test_what_the_gate_wants_is_told_before() -> None:
    found = {s: volume(conversions=45) for s in ("train", "calibration", "eval")}
    support = judge_volumes(found, at_least=50)
    assert support.answer == "hardly"
    assert "the gate wants 50 hard conversions to judge by" in support.reasons[0]


def test_the_width_is_that_of_a_count(tmp_path: Path) -> None:
    """1.645 standard deviations of a Poisson count of 271 are a tenth of it."""
    found = {s: volume(conversions=271) for s in ("train", "calibration", "eval")}
    assert "known to 10% either way" in judge_volumes(found, at_least=10).reasons[0]


def test_no_framework_is_loaded(tmp_path: Path) -> None:
    config = write(tmp_path, days=40)
    code = (
        "import sys; from click.testing import CliRunner; from pipeline.cli import main\n"
        f"done = CliRunner().invoke(main, ['check', '--config', {str(config)!r}])\n"
        "assert done.exit_code == 0, done.output\n"
        "loaded = {'tfx', 'tensorflow', 'apache_beam', 'ml_metadata', 'kfp'} & {*sys.modules}\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_label_that_no_row_has_is_named(tmp_path: Path) -> None:
    config = write(tmp_path, 40)
    contract = yaml.safe_load((tmp_path / "contract.yaml").read_text())

    def told(*labels: str) -> Result:
        (tmp_path / "contract.yaml").write_text(
            yaml.safe_dump(contract | {"positive_labels": list(labels)})
        )
        return check(config)

    words = "positive_labels: no row has 'yes' in column y; labels seen: "
    some = told("1", "yes")
    assert f"{words}'0'\n" in some.output
    assert some.exit_code == 0, some.output
    none = told("yes")
    assert none.exit_code == 2
    assert none.output.splitlines()[-1] == f"Error: contract mine: {words}'0', '1'"
