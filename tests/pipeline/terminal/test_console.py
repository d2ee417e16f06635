"""What the terminal shows while a run goes on and when it is over."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs.progress import Stage
from pipeline.terminal import console
from pipeline.terminal.console import Console, progress
from schemas.errors import InputError


@pytest.mark.parametrize(
    ("seconds", "expected", "words"),
    [
        (12.4, None, "12 s"),
        (34.0, 55.0, "34 s, 62%, about 21 s left"),
        (60.0, 600.0, "60 s, 10%, about 9 min left"),
        (55.0, 55.0, "55 s, the last time it took 55 s"),
        (7200.0, 14400.0, "2.0 h, 50%, about 2.0 h left"),
    ],
)
def test_how_far_a_stage_is(seconds: float, expected: float | None, words: str) -> None:
    assert progress(seconds, expected) == words


def test_a_long_stage_says_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PATIENCE", 0.05)
    monkeypatch.setattr(console, "LINE_EVERY", 0.05)
    shown = Console(tmp_path / "run.log")
    shown.stage(Stage("Transform", 1, 12), None)
    shown.stage(Stage("Transform", 1, 12, seconds=0.01), None)
    shown.stage(Stage("Trainer", 2, 12), 100.0)
    time.sleep(0.4)
    shown.stage(Stage("Trainer", 2, 12, seconds=0.4), 100.0)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "[ 1/12] Transform"
    words = [line for line in lines if line.startswith("Trainer: ")]
    assert len(words) >= 2
    assert words[0].endswith("0%, about 100 s left") or words[0].endswith("about 2 min left")
    assert not any(line.startswith("Transform: ") for line in lines)
    assert lines[-1] == "done in 0.4 s"


def record(model: str, where: str, metric: str, value: float) -> dict[str, Any]:
    found = {"model": model, "slice": where, "metric": metric, "value": value}
    return found | {"examples": 5600, "positives": 23, "low": None, "high": None}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("manifest", "{", r"manifest\.json: not JSON"),
        ("manifest", "[]", r"manifest\.json: holds a list; wanted a dict"),
        ("manifest", "{}", "KeyError 'verdict'"),
        ("manifest", '{"verdict": null, "version": 7}', "TypeError"),
        ("manifest", '{"verdict": "x", "version": 7}', "TypeError"),
        ("metrics", "[", r"metrics\.json: not JSON"),
        ("metrics", '[{"a": 1}]', "KeyError 'slice'"),
        ("metrics", "[1]", "TypeError"),
        ("comparisons", "{}", r"comparisons\.json: holds a dict"),
    ],
)
def test_a_damaged_run_is_told_in_one_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    verdict = {"blessed": True, "headline": "blessed", "summary": "x"}
    sound = {"manifest": {"verdict": verdict, "version": 7}, "metrics": [], "comparisons": []}
    for file, contents in sound.items():
        (tmp_path / f"{file}.json").write_text(json.dumps(contents))
    (tmp_path / f"{name}.json").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        Console(tmp_path / "run.log").summary(tmp_path, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_system_as_served_stands_where_the_tower_on_soft_examples_stood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = [
        record("candidate", "task=hard", "rig", 0.0537),
        record("logistic", "task=hard", "rig", 0.0411),
        record("candidate", "task=soft", "rig", -0.7555),
        record("candidate", "all", "rig", -0.2111),
        record("as_served", "all", "rig", 0.4071),
        record("one_task", "all", "rig", 0.406),
    ]
    comparison = {"model": "candidate", "other": "logistic", "slice": "task=hard", "metric": "rig"}
    ends = {"estimate": 0.0126, "low": 0.0027, "high": 0.0225}
    verdict = {
        "blessed": True,
        "headline": "blessed: all 16 conditions hold",
        "details": ["no baseline to compare with"],
        "summary": "x",
    }
    for name, contents in (
        ("manifest", {"verdict": verdict, "version": 7}),
        ("metrics", metrics),
        ("comparisons", [comparison | ends]),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(contents))
    assert Console(tmp_path / "run.log").summary(tmp_path, tmp_path)
    text = capsys.readouterr().out
    for wanted in (
        "hard 5,600 (23)",
        "logistic regression",
        "+0.0126",
        "[+0.0027, +0.0225]",
        "as served",
        "0.4071",
        "  blessed: all 16 conditions hold\n  - no baseline to compare with\n",
        f"{tmp_path / 'serving' / '7'}",
    ):
        assert wanted in text, wanted
    assert "-0.7555" not in text
    assert "-0.2111" not in text
