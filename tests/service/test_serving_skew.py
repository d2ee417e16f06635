"""The decision log, and its comparison with the offline assignment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from service.predict import Answer
from service.routing.decisions import DecisionLog, decision_line
from service.routing.router import Decisions
from service.routing.skew import compare
from service.settings import DecisionLogSettings

NAMES = ("setup_id", "first_day", "last_day", "task", "reason", "historical_cvr")
RUNS = [
    ("a", date(2026, 1, 1), date(2026, 1, 9), "soft", "prior", 0.02),
    ("a", date(2026, 1, 10), date(2026, 1, 31), "hard", "history", 0.0095),
    ("b", date(2026, 1, 5), date(2026, 1, 31), "hard", "history", 0.001),
]


@pytest.fixture
def assignments(tmp_path: Path) -> Path:
    folder = tmp_path / "assignments"
    folder.mkdir()
    rows = [dict(zip(NAMES, run, strict=True)) for run in RUNS]
    pq.write_table(pa.Table.from_pylist(rows), folder / "assignments.parquet")
    settings = {"assignment_id": "x", "alpha": 0.01, "online_alpha": 0.009}
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


def line(day: str, decisions: list[tuple[str, str, str]], assignment_id: str = "x") -> str:
    ids, tasks, reasons = (list(column) for column in zip(*decisions, strict=True))
    row: dict[str, Any] = {"time": f"{day}T10:00:00+00:00", "assignment_id": assignment_id}
    return json.dumps(row | {"setup_id": ids, "task": tasks, "reason": reasons})


def test_mismatches_by_cause(tmp_path: Path, assignments: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text(
        "\n".join(
            [
                line("2026-01-09", [("a", "soft", "prior"), ("b", "hard", "history")]),
                line("2026-01-10", [("a", "soft", "history"), ("a", "hard", "history")]),
                line("2026-01-04", [("b", "soft", "unknown"), ("c", "fallback", "unknown")]),
                line("2026-02-03", [("b", "hard", "history"), ("b", "soft", "history")]),
                line("2026-01-20", [("b", "soft", "history")] * 3, "y"),
                line("2026-01-20", [("b", "fallback", "cold_start")]),
                line("2026-01-20", [("b", "soft", "unknown_category")], "y"),
                line("2026-01-20", [("c", "soft", "unknown_type")]),
                '{"time": "2026-01-20T10:00',
                "[1]",
            ]
        )
    )
    skew = compare(log, assignments)
    assert (skew.decisions, skew.mismatches, skew.beyond, skew.bad_lines) == (14, 10, 2, 2)
    assert skew.share == pytest.approx(10 / 14)
    found = {
        (k.online_task, k.online_reason, k.offline_task, k.offline_reason, k.cause): k.decisions
        for k in skew.by_kind
    }
    assert found == {
        ("soft", "history", "hard", "history", "other_assignment"): 3,
        ("soft", "history", "hard", "history", "threshold_band"): 1,
        ("soft", "unknown", "none", "none", "unknown_setup"): 1,
        ("fallback", "unknown", "none", "none", "unknown_setup"): 1,
        ("soft", "history", "hard", "history", "rest"): 1,
        ("fallback", "cold_start", "hard", "history", "fallback"): 1,
        ("soft", "unknown_category", "hard", "history", "unknown_category"): 1,
        ("soft", "unknown_type", "none", "none", "unknown_type"): 1,
    }
    assert skew.by_kind[0].decisions == 3
    assert sum(k.share for k in skew.by_kind) == pytest.approx(skew.share)


def test_no_decision_is_an_error(tmp_path: Path, assignments: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text("nothing\n")
    with pytest.raises(InputError, match="no decision in 1 lines"):
        compare(log, assignments)
    with pytest.raises(InputError, match="not a table of task assignments"):
        compare(log, tmp_path)


def decision(**changes: Any) -> str:
    row = {"time": "2026-01-20T10:00:00+00:00", "assignment_id": "x"}
    lists = {"setup_id": ["b"], "task": ["hard"], "reason": ["history"]}
    return json.dumps(row | lists | changes)


def test_lines_that_are_no_decisions_are_counted(tmp_path: Path, assignments: Path) -> None:
    log = tmp_path / "log.jsonl"
    bad = [
        decision(time="9999-12-31T00:00:00+00:00"),
        decision(time=7),
        decision(setup_id="b", task="h", reason="x"),
        decision(setup_id=[3]),
        decision(reason=[None]),
        decision(assignment_id=None),
        decision(task=[]),
        decision(task=["Hard"]),
    ]
    log.write_text("\n".join([decision(), *bad, decision()]), encoding="utf-8-sig")
    skew = compare(log, assignments)
    assert (skew.decisions, skew.mismatches, skew.bad_lines) == (2, 0, len(bad))


ROW = dict(zip(NAMES, RUNS[0], strict=True))


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ({"a": 1}, "{}", r"assignments\.parquet: no column setup_id; wanted setup_id, first_day"),
        (ROW | {"first_day": "soon"}, "{}", r"assignments\.parquet: not a table of task assign"),
        (ROW | {"historical_cvr": "x"}, "{}", r"assignments\.parquet: not a table of task assign"),
        (ROW, "[1", r"settings\.json: not JSON"),
        (ROW, "[1]", r"settings\.json: holds a list; wanted a dict"),
        (ROW, '{"alpha": "x"}', r"settings\.json: alpha: Input should be a valid number"),
    ],
)
def test_an_artifact_that_is_none_is_named(
    tmp_path: Path, row: dict[str, Any], settings: str, message: str
) -> None:
    (tmp_path / "log.jsonl").write_text(decision())
    (tmp_path / "settings.json").write_text(settings)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "assignments.parquet")
    with pytest.raises(InputError, match=message):
        compare(tmp_path / "log.jsonl", tmp_path)


def make_answer(n: int) -> Answer:
    return Answer(
        version=7,
        assignment_id="x",
        as_of="2026-02-01",
        setup_ids=["b"] * n,
        decisions=Decisions(
            np.array(["hard"] * n),
            np.array(["history"] * n),
            np.array(["hard_tower"] * n),
            np.array([""] * n),
            np.array([0.001] + [np.nan] * (n - 1)),
        ),
        probability=np.full(n, 0.1, np.float32),
    )


def test_a_log_rotates_and_compares_without_a_mismatch(tmp_path: Path, assignments: Path) -> None:
    path = tmp_path / "log" / "decisions.jsonl"
    with pytest.raises(InputError, match="decisions: "):
        DecisionLog(DecisionLogSettings(path=path))
    path.parent.mkdir()
    log = DecisionLog(DecisionLogSettings(path=path, max_bytes=2000, keep=2))
    now = datetime(2026, 1, 12, 3, 4, 5, tzinfo=UTC)
    for i in range(30):
        log.write(decision_line(make_answer(2), f"r{i}", "u", now))
    log.close()
    assert log.lost == 0
    assert {p.name for p in path.parent.iterdir()} == {
        "decisions.jsonl",
        "decisions.jsonl.1",
        "decisions.jsonl.2",
    }
    assert all(p.stat().st_size <= 2000 for p in path.parent.iterdir())
    last = json.loads(path.read_text().splitlines()[-1])
    assert last == {
        "time": "2026-01-12T03:04:05.000+00:00",
        "request_id": "r29",
        "key": "u",
        "model_version": 7,
        "assignment_id": "x",
        "as_of": "2026-02-01",
        "setup_id": ["b", "b"],
        "task": ["hard", "hard"],
        "reason": ["history", "history"],
        "model": ["hard_tower", "hard_tower"],
        "variant": ["", ""],
        "cvr": [0.001, None],
        "probability": [0.1, 0.1],
    }
    assert compare(path, assignments).mismatches == 0


def test_every_decision_of_many_threads_is_one_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    log = DecisionLog(DecisionLogSettings(path=path, max_bytes=20_000, keep=1000))
    now = datetime(2026, 1, 12, tzinfo=UTC)

    def write(thread: int) -> None:
        for i in range(100):
            log.write(decision_line(make_answer(3), f"r{thread}.{i}", None, now))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    log.close()
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert len(list(tmp_path.iterdir())) > 5
    seen = sorted(json.loads(line)["request_id"] for line in lines)
    assert seen == sorted(f"r{thread}.{i}" for thread in range(8) for i in range(100))


def test_decisions_for_which_the_disk_has_no_room_are_counted(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    log = DecisionLog(DecisionLogSettings(path=tmp_path / "full"))
    for i in range(3):
        log.write(decision_line(make_answer(1), f"r{i}", None, datetime(2026, 1, 12, tzinfo=UTC)))
    assert log.lost == 3
