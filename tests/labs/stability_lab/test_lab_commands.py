"""The three commands on a small log in files: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from html_pages import balanced

from common.days import to_day
from labs.stability_lab.log.read import read_log
from pipeline.cli import main
from schemas.contract import Contract
from schemas.errors import InputError

START, DAYS = date(2024, 1, 1), 30
CONTRACT: dict[str, Any] = {
    "name": "lab",
    "description": "clicks with costs",
    "input": {"format": "parquet", "pattern": "clicks/{YYYY}-{MM}-{DD}.parquet"},
    "attribution_window_days": 3,
    "roles": {
        "timestamp": "time",
        "conversion_timestamp": "conversion",
        "label": "converted",
        "setup": ["campaign"],
        "advertiser": "owner",
        "conversion_category": "goal",
        "spend": "cost",
    },
    "features": {"categorical": [{"name": "campaign", "buckets": 10}]},
}
CONFIG: dict[str, Any] = {
    "name": "lab",
    "as_of": (START + timedelta(days=DAYS)).isoformat(),
    "window_days": DAYS,
    "labelling": {"alpha": 0.05, "window_days": 10, "prior_clicks": 30, "min_clicks": 40},
    "splits": {"eval_days": 5, "warmup_days": 4},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "clicks").mkdir()
    rng = np.random.default_rng(1)
    for day in range(DAYS):
        n = 120
        campaign = rng.integers(0, 6 if day < 15 else 9, n)
        moment = to_day(START + timedelta(days=day)) * 86_400
        time = moment + rng.integers(0, 86_400, n)
        converted = rng.random(n) < np.array([0.01, 0.04, 0.06, 0.3])[campaign % 4]
        table = pa.table(
            {
                "time": time,
                "conversion": pa.array(time + rng.integers(1, 200_000, n), mask=~converted),
                "converted": converted.astype(int),
                "campaign": [f"c{c}" for c in campaign],
                "owner": [f"o{c % 5}" for c in campaign],
                "goal": [f"g{c % 2}" for c in campaign],
                "cost": rng.random(n),
            }
        )
        pq.write_table(table, folder / "clicks" / f"{START + timedelta(days=day)}.parquet")
    (folder / "contract.yaml").write_text(yaml.safe_dump(CONTRACT))
    places = {"contract": str(folder / "contract.yaml"), "input": {"root": str(folder)}}
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | places))
    return folder


def hardtower(command: str, project: Path, *more: str, out: str = "out") -> Result:
    arguments = [command, "--config", str(project / "config.yaml"), "--out", str(project / out)]
    return CliRunner().invoke(main, [*arguments, *more])


def written(project: Path, kind: str, out: str) -> tuple[dict[str, Any], str]:
    (folder,) = (project / out / kind).iterdir()
    assert sorted(p.name for p in folder.iterdir()) == [f"{kind}.html", f"{kind}.json"]
    page = (folder / f"{kind}.html").read_text(encoding="utf-8")
    balanced(page)
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    return json.loads((folder / f"{kind}.json").read_text()), page


def test_stability(project: Path) -> None:
    grid = ("--alphas", "0.03", "--bands", "0,0.1", "--half-lives", "28")
    done = hardtower("stability", project, *grid, out="st")
    assert done.exit_code == 0, done.output
    found, page = written(project, "stability", "st")
    assert (found["judge"], found["evaluated_from"], found["clicks"]) == (
        "hindsight",
        "2024-01-05",
        DAYS * 120,
    )
    names = [m["name"] for m in found["mechanisms"]]
    assert names[0] == "as configured"
    assert len(found["frontier"]) == 2 * 2
    chosen = next(p for p in found["frontier"] if p["chosen"])
    assert chosen["measures"] == {k: v for k, v in found["mechanisms"][0].items() if k != "name"}
    assert chosen["measures"]["churned_spend"] is not None
    for name in names:
        assert name in page
    # One for each alpha.
    assert page.count('<figure class="plot">') == 2
    assert "With and without each mechanism" in done.output


def test_alpha(project: Path) -> None:
    done = hardtower("alpha", project, "--alphas", "0.02,0.1", out="al")
    assert done.exit_code == 0, done.output
    found, page = written(project, "alpha", "al")
    assert [row["alpha"] for row in found["alphas"]] == [0.02, 0.05, 0.1]
    assert found["metrics_run"] is None
    assert "Hard share of conversions by conversion category" in page


def test_cold_start(project: Path) -> None:
    done = hardtower("cold-start", project, out="co")
    assert done.exit_code == 0, done.output
    found, _ = written(project, "cold-start", "co")
    # c6, c7 and c8 begin on day 15; the log is 30 days long and the window 10.
    assert found["evaluated_from"] == "2024-01-11"
    everyone, known, fresh = found["graduation"]
    assert (everyone["setups"], known["setups"], fresh["setups"]) == (3, 3, 0)
    assert {c["policy"] for c in found["costs"]} == {"prior", "hard", "soft", "fallback"}


def test_spend_that_the_contract_lacks_is_not_made_up(project: Path) -> None:
    bare = {**CONTRACT, "roles": {k: v for k, v in CONTRACT["roles"].items() if k != "spend"}}
    (project / "bare.yaml").write_text(yaml.safe_dump(bare))
    done = hardtower(
        "alpha", project, "--set", f"contract={project / 'bare.yaml'}", "--alphas", "0.1", out="b"
    )
    assert done.exit_code == 0, done.output
    found, _ = written(project, "alpha", "b")
    assert found["alphas"][0]["measures"]["churned_spend"] is None
    assert "n/a" in done.output


@pytest.mark.parametrize(
    ("command", "more", "wanted"),
    [
        ("stability", ("--alphas", "0.1,1"), "seen 1, wanted numbers above 0 and below 1"),
        ("stability", ("--bands", "wide"), "seen 'wide', wanted numbers such as"),
        ("stability", ("--warmup", "30"), "warmup: 30 days"),
        ("stability", ("--judge", "truth"), "truth: no file"),
        ("stability", ("--as-of", "yesterday"), "as_of: seen 'yesterday'"),
        ("alpha", ("--metrics", "r1"), "no finished run 'r1'"),
        ("alpha", ("--as-of", "2025-01-01"), "2024-12-31"),
        ("cold-start", ("--set", "labelling.alpha=2"), "labelling.alpha"),
    ],
)
def test_mistakes_are_one_line(
    project: Path, command: str, more: tuple[str, ...], wanted: str
) -> None:
    done = hardtower(command, project, *more, out="bad")
    assert done.exit_code == 2
    assert wanted in done.output
    assert "Traceback" not in done.output
    assert not (project / "bad" / command).exists()


def test_as_of_hides_what_came_later(project: Path) -> None:
    contract = Contract.model_validate(CONTRACT)
    log = read_log(contract, project, START + timedelta(days=12), 12, 0.0)
    assert int(log.cells.day.max()) == to_day(START) + 11
    assert log.cells.clicks.sum() == 12 * 120
    raw = pa.concat_tables(
        pq.read_table(p) for p in sorted((project / "clicks").glob("*.parquet"))[:12]
    )
    seen = np.array([c is not None for c in raw["conversion"].to_pylist()])
    early = np.array(
        [(c or 0) < (to_day(START) + 12) * 86_400 for c in raw["conversion"].to_pylist()]
    )
    assert log.cells.conversions.sum() == (seen & early).sum() < seen.sum()
    assert log.cells.spend is not None
    assert log.cells.spend.sum() == pytest.approx(np.sum(raw["cost"].to_numpy()))
    assert log.setups.advertiser == ["o0", "o1", "o2", "o3", "o4", "o0"]


def test_bad_rows_are_left_out_up_to_a_limit(project: Path, tmp_path: Path) -> None:
    (tmp_path / "clicks").mkdir()
    table = pq.read_table(project / "clicks" / f"{START}.parquet")
    converted = table["converted"].to_pylist()
    converted[5] = 7
    table = table.set_column(2, "converted", pa.array(converted))
    pq.write_table(table, tmp_path / "clicks" / f"{START}.parquet")
    contract = Contract.model_validate(CONTRACT)
    log = read_log(contract, tmp_path, START + timedelta(days=1), 1, 0.01)
    assert (log.bad_rows, log.cells.clicks.sum()) == (1, 119)
    with pytest.raises(
        InputError,
        match=r"row 6, column converted: seen 7, .*1 of 120 rows",
    ):
        read_log(contract, tmp_path, START + timedelta(days=1), 1, 0.001)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from pipeline.cli import main\n"
        "for name in ('stability', 'alpha', 'cold-start'):\n"
        "    assert CliRunner().invoke(main, [name, '--help']).exit_code == 0\n"
        "print([m for m in ('tensorflow', 'tfx', 'pyarrow', 'matplotlib') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
