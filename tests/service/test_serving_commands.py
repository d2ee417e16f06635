"""`hardtower route`, `rollback`, `skew` and the arguments of `serve`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from common.versions.folder import ServingFolder
from pipeline.cli import main


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)


@pytest.fixture
def serving(tmp_path: Path, fill: Callable[..., None]) -> Path:
    folder = ServingFolder(tmp_path / "serving", clock=lambda: 100)
    for tasks in ({"a|buy": "soft"}, {"a|buy": "hard"}):
        folder.publish(lambda path, number, tasks=tasks: fill(path, number, tasks=tasks))
    return tmp_path / "serving"


def test_route_says_task_reason_and_model(serving: Path, tmp_path: Path) -> None:
    done = run("route", "--serving", serving, "--setup", "a|buy", "--file", "-", "--json",
               "--category", "buy", stdin="\ufeffnew|buy\n\n")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [json.loads(line) for line in done.output.splitlines()] == [
        {
            "setup_id": "a|buy",
            "task": "hard",
            "reason": "history",
            "model": "hard_tower",
            "historical_cvr": 0.001,
            "version": 101,
        },
        {
            "setup_id": "new|buy",
            "task": "hard",
            "reason": "unknown",
            "model": "hard_tower",
            "historical_cvr": 0.002,
            "version": 101,
        },
    ]
    file = tmp_path / "setups.txt"
    file.write_text("new|buy\n\na|b|c\n", encoding="utf-8-sig")
    for extra, wanted in (
        (["--category", "bui"], "--category: 'bui'; wanted one of buy"),
        (["--category", "buy", "--setup", "new|visit"], "category: 'buy'; wanted 'visit'"),
        (["--setup", "a"], "--setup: setup_id: 'a' has 1 of 2 values; wanted shop|goal"),
        (["--file", file], "--file: line 3: setup_id: 'a|b|c' has 3 of 2 values"),
    ):
        done = run("route", "--serving", serving, "--setup", "new|buy", *extra)
        assert done.exit_code == 2
        assert wanted in done.output
    alone = run("route", "--serving", serving, "--setup", "new|bui", "--json")
    assert json.loads(alone.output)["reason"] == "unknown_category"
    older = run("route", "--serving", serving, "--setup", "a|buy", "--version", 100)
    assert "soft" in older.output
    assert "one_task" in older.output
    assert "version 100, assignment a0, 1 setup\n" in older.output


@pytest.mark.parametrize("lost", ["SHA256SUMS", "assets.extra/manifest.json"])
def test_route_proves_the_versions_files(serving: Path, lost: str) -> None:
    (serving / "101" / lost).unlink()
    done = run("route", "--serving", serving, "--setup", "a|buy")
    assert done.exit_code == 2
    assert lost in done.output


def test_rollback_is_one_command(serving: Path) -> None:
    done = run("rollback", "--serving", serving)
    assert (done.exit_code, done.output) == (0, "version 101 removed; version 100 serves\n")
    done = run("rollback", "--serving", serving)
    assert done.exit_code == 2
    assert "wanted an older one" in done.output


def test_skew_prints_the_share_of_mismatches(tmp_path: Path) -> None:
    row = {"setup_id": "a", "task": "hard", "reason": "history", "historical_cvr": 0.001}
    days = {"first_day": date(2026, 1, 1), "last_day": date(2026, 1, 9)}
    pq.write_table(pa.Table.from_pylist([row | days]), tmp_path / "assignments.parquet")
    log = tmp_path / "log.jsonl"
    line = {"time": "2026-01-02T00:00:00+00:00", "assignment_id": "x", "setup_id": ["a", "a"]}
    log.write_text(json.dumps(line | {"task": ["hard", "soft"], "reason": ["history"] * 2}))
    done = run("skew", "--decisions", log, "--assignments", tmp_path)
    assert "2 decisions, 1 mismatches (50.000%)" in done.output
    assert "other_assignment" in done.output
    found = json.loads(run("skew", "--decisions", log, "--assignments", tmp_path, "--json").output)
    assert (found["share"], len(found["by_kind"])) == (0.5, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["route", "--serving", "{}"], "no setup; wanted --setup or --file"),
        (["route", "--serving", "{}", "--setup", "a", "--version", "7"], "no version 7; there: ["),
        (["route", "--serving", "{}/none", "--setup", "a"], "there: none"),
        (["serve", "--serving", "{}", "--set", "poll_seconds=0"], "settings: poll_seconds"),
        (["serve", "--serving", "{}", "--set", "workers=0"], "settings: workers"),
        (["serve", "--serving", "{}", "--set", "pol_seconds=1"], "pol_seconds: unknown key"),
        (["serve", "--serving", "{}", "--tf-serving", "localhost"], "tf_serving.url"),
        (["serve", "--serving", "{}", "--contract", "nothing"], "no file 'nothing'"),
    ],
)
def test_bad_arguments_are_one_line(serving: Path, arguments: list[str], message: str) -> None:
    done = run(*(a.format(serving) for a in arguments))
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_the_router_and_the_http_face_need_no_tensorflow() -> None:
    modules = (
        *("settings", "http.server", "models.live", "models.tf_serving"),
        *("routing.router", "routing.variants", "routing.skew"),
    )
    imports = "; ".join(f"import service.{name}" for name in modules)
    heavy = "{'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", f"import sys; {imports}; assert not {heavy}, {heavy}"],
        check=True,
        cwd=Path(__file__).parents[2],
    )
