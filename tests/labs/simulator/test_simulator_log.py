from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labs.simulator.log.truth import read_truth
from labs.simulator.settings import SimulatorSettings
from labs.simulator.simulate import simulate
from schemas.contract import load_contract
from schemas.errors import InputError
from schemas.setup_id import setup_id

SMALL: dict[str, Any] = {
    "clicks": 14_000,
    "days": 14,
    "seed": 42,
    "size": {"advertisers": 20, "users": 500, "publishers": 30, "apps": 20, "cities": 15},
}


def days_of(root: Path) -> dict[str, pa.Table]:
    """Rows of every daily partition, of the log and of the truth."""
    parts: dict[str, list[pa.Table]] = {}
    for file in sorted(root.glob("*/*/*.parquet")):
        parts.setdefault(str(file.parent.relative_to(root)), []).append(pq.ParquetFile(file).read())
    return {day: pa.concat_tables(tables).combine_chunks() for day, tables in parts.items()}


def simulated_days(out: Path, **changes: Any) -> dict[str, pa.Table]:
    simulate(SimulatorSettings(**{**SMALL, **changes}), out)
    return days_of(out)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small") / "log"
    simulate(SimulatorSettings(**SMALL), out)
    return out


def test_the_same_settings_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    simulate(SimulatorSettings(**SMALL), tmp_path / "again")
    files = sorted(file.relative_to(small) for file in small.rglob("*") if file.is_file())
    assert len(files) == 2 * 14 + 2
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (small / file).read_bytes(), file


@pytest.mark.parametrize(
    "changes",
    [{"rows_per_chunk": 97}, {"rows_per_file": 300, "rows_per_chunk": 97}, {"rows_per_chunk": 7}],
)
def test_chunks_and_files_of_another_size_hold_the_same_rows(
    small: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    fewer = {"clicks": 1400, "days": 2}
    simulate(SimulatorSettings(**{**SMALL, **fewer}), tmp_path / "plain")
    again = simulated_days(tmp_path / "out", **fewer, **changes)
    assert again == days_of(tmp_path / "plain")
    for day in ("2024-01-01", "2024-01-02"):
        files = sorted((tmp_path / "out" / "clicks" / day).iterdir())
        rows = [pq.ParquetFile(file).metadata.num_rows for file in files]
        assert rows == ([300, 300, 100] if "rows_per_file" in changes else [700])


def test_a_longer_log_begins_with_the_shorter_one(small: Path, tmp_path: Path) -> None:
    longer = simulated_days(tmp_path / "out", clicks=21_000, days=21)
    for day, rows in days_of(small).items():
        assert rows.equals(longer[day]), day


def test_another_seed_gives_another_log(small: Path, tmp_path: Path) -> None:
    other = simulated_days(tmp_path / "out", seed=43)
    assert not other["clicks/2024-01-03"].equals(days_of(small)["clicks/2024-01-03"])


def test_days_differ_from_one_another(small: Path) -> None:
    days = days_of(small)
    first, second = days["clicks/2024-01-01"], days["clicks/2024-01-02"]
    assert first["user_id"].to_pylist()[:50] != second["user_id"].to_pylist()[:50]


def test_the_log_is_what_its_contract_says(small: Path) -> None:
    contract = load_contract("simulator")
    log = days_of(small)["clicks/2024-01-05"]
    assert set(log.column_names) == {*contract.log_columns, "click_id"}
    for name in contract.string_columns:
        assert log.schema.field(name).type == pa.string(), name
    for name in contract.float_columns:
        assert log.schema.field(name).type == pa.float32(), name
    for name in contract.int_columns:
        assert log.schema.field(name).type == pa.int64(), name
        assert log[name].null_count == 0
    for name in (*contract.roles.setup, "conversion_category", "advertiser_id", "spend"):
        assert log[name].null_count == 0
    stamps = log["timestamp"].to_numpy()
    assert (np.diff(stamps) >= 0).all()
    assert stamps.min() >= 1704412800  # 2024-01-05T00:00:00Z
    assert stamps.max() < 1704412800 + 86_400
    hours = [int(hour) for hour in log["hour"].to_pylist()]
    assert hours == ((stamps - 1704412800) // 3600).tolist()
    assert set(log["weekday"].to_pylist()) == {"fri"}


def test_the_truth_is_beside_the_log_and_never_in_it(small: Path) -> None:
    days = days_of(small)
    hidden = {"probability", "true_type", "cvr"}
    assert hidden <= set(load_contract("simulator").leaks)
    for name, rows in days.items():
        if name.startswith("clicks/"):
            truth = days[name.replace("clicks/", "truth/")]
            assert not hidden & set(rows.column_names)
            assert truth.column_names == ["click_id", "probability"]
            assert truth["click_id"].equals(rows["click_id"])
            true = truth["probability"].to_numpy()
            for column in rows.column_names:
                if pa.types.is_floating(rows[column].type):
                    seen = rows[column].to_numpy()
                    both = np.isfinite(seen)
                    assert abs(np.corrcoef(seen[both], true[both])[0, 1]) < 0.9
    ids = pa.concat_tables([d for n, d in days.items() if n.startswith("clicks/")])["click_id"]
    assert len(ids.unique()) == 14_000


def test_declared_categories_are_not_always_the_true_types(simulated) -> None:
    by_goal = simulated.setups.groupby("conversion_goal")[["conversion_category", "true_type"]]
    assert (by_goal.nunique() == 1).all(axis=None)
    first = by_goal.first()
    wrong = (first.conversion_category != first.true_type).mean()
    assert 0.03 < wrong < 0.18


def test_setups_click_only_on_their_days(simulated) -> None:
    keys = ["setup_id", "campaign_id", "conversion_goal", "day"]
    days = simulated.setups.date.astype("datetime64[ns]")
    setups = simulated.setups.assign(day=(days - days.min()).dt.days)
    clicked = simulated.log[keys].drop_duplicates()
    assert len(clicked.merge(setups[keys])) == len(clicked)
    assert not setups.duplicated(["setup_id", "day"]).any()
    row = clicked.iloc[0]
    assert row.setup_id == setup_id([row.campaign_id, row.conversion_goal])


def test_missing_cells_have_their_shares(simulated) -> None:
    log, n = simulated.log, len(simulated.log)
    for column, share in simulated.settings.missing.items():
        by_user = column in ("user_id", "user_segment", "user_interest")
        # Users click unevenly: 30,000 of them count as some 4,000.
        error = np.sqrt(share * (1 - share) / (2000 if by_user else n))
        assert log[column].isna().mean() == pytest.approx(share, abs=4 * error), column
    outside = log.device.isin(["desktop", "tv"])
    assert (log.app_id.isna() == outside).all()


def test_the_record_tells_how_to_make_the_log_again(small: Path, tmp_path: Path) -> None:
    record = json.loads((small / "simulation.json").read_text())
    assert record["seed"] == 42
    assert record["code_version"]
    assert record["clicks"] == 14_000
    again = simulate(SimulatorSettings(**record["settings"]), tmp_path / "again")
    assert (again.conversions, again.setups) == (record["conversions"], record["setups"])
    labels = pa.concat_tables([d for n, d in days_of(small).items() if n.startswith("clicks/")])
    assert sum(labels["label"].to_pylist()) == record["conversions"]


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    settings = SimulatorSettings(**{**SMALL, "rows_per_chunk": 400})
    simulate(settings, tmp_path / "out", progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert len(done) > 28
    assert done == sorted(set(done))
    assert calls[-1] == (14_000, 14_000)


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    settings = SimulatorSettings(**{**SMALL, "clicks": 20, "days": 2})
    summary = simulate(settings, tmp_path / "out")
    assert summary.path == tmp_path / "out"
    assert len(days_of(tmp_path / "out")) == 4
    with pytest.raises(InputError, match="out exists already; wanted a new or an empty folder"):
        simulate(settings, tmp_path / "out")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file exists already"):
        simulate(settings, tmp_path / "file")
    with pytest.raises(InputError, match="cannot create"):
        simulate(settings, tmp_path / "file" / "below")


def test_a_stop_halfway_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(SimulatorSettings(**SMALL), tmp_path / "out", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_reading_the_truth_of_a_day_that_is_not_there(small: Path) -> None:
    start = SimulatorSettings(**SMALL).start_date
    with pytest.raises(InputError, match=r"no part-\*\.parquet in .*2024-01-15"):
        read_truth(small, start, start.replace(day=16))
