"""A run's artifacts as the stages write them, small and with a hostile setup name."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

INJECTION = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)>"
"""A setup id that would run code or call home on a page that does not escape."""

RIG = {
    "candidate": 0.0912,
    "one_task": 0.0837,
    "last_blessed": 0.0899,
    "logistic": 0.0851,
    "historical_cvr": 0.0123,
    "as_served": 0.0917,
}
AUC = {
    "candidate": 0.7344,
    "one_task": 0.7291,
    "last_blessed": 0.7301,
    "logistic": 0.7297,
    "historical_cvr": 0.6123,
    "as_served": 0.7346,
}
SLICES = {
    "all": (20000, 900, 0.11),
    "task=hard": (12000, 130, 0.0),
    "task=soft": (8000, 770, -0.05),
    "setup_category=buy": (9000, 300, 0.02),
    "task=hard&setup_category=buy": (7000, 81, 0.01),
    f"task=hard&setup_category={INJECTION}": (3000, 40, -0.01),
    "task=hard&setup_history=new": (500, 0, 0.0),
}
ALPHA, ONLINE_ALPHA = 0.01, 0.009


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def metrics() -> list[dict[str, Any]]:
    records = []
    for model in RIG:
        for name, (examples, positives, shift) in SLICES.items():
            values: dict[str, float | None] = {
                "rig": RIG[model] + shift if positives else None,
                "auc": AUC[model] + shift if positives else None,
                "auc_precision_recall": 0.05,
                "log_loss": 0.0512,
                "calibration": 1.0375 if positives else None,
            }
            records += [
                {
                    "model": model,
                    "slice": name,
                    "metric": metric,
                    "value": value,
                    **bounds(model, name, metric, value),
                    "examples": examples,
                    "positives": positives,
                }
                for metric, value in values.items()
            ]
    return records


def bounds(model: str, name: str, metric: str, value: float | None) -> dict[str, float | None]:
    """The evaluator's intervals: on hard examples and, of the system and one task, on all."""
    judged = name == "task=hard" or (name == "all" and model in ("as_served", "one_task"))
    if value is None or not judged or metric == "auc_precision_recall":
        return {"low": None, "high": None}
    return {"low": value - 0.01, "high": value + 0.02}


def days() -> list[dict[str, Any]]:
    return [
        {
            "day": (date(2026, 1, 1) + timedelta(i)).isoformat(),
            "hard_setups": 40 + i,
            "soft_setups": 30 - i // 3,
            "hard_clicks": 1200 + 31 * i,
            "soft_clicks": 900 + (i * 37) % 200,
            "flips": i % 4,
            "churned_clicks": 15 * (i % 4),
        }
        for i in range(28)
    ]


def evaluation(folder: Path) -> None:
    write(folder / "metrics.json", metrics())
    comparisons = [
        {
            "model": model,
            "other": other,
            "slice": name,
            "metric": "rig",
            "examples": 12000,
            "positives": 130,
            "estimate": 0.0075,
            "low": 0.0021,
            "high": None if other == "last_blessed" else 0.0133,
            "resamples": 1000,
            "setups": 71,
        }
        for model, other, places in (
            ("as_served", "one_task", ("all",)),
            *(
                ("candidate", other, ("task=hard", "task=hard&setup_category=buy"))
                for other in ("one_task", "last_blessed", "logistic", "historical_cvr")
            ),
        )
        for name in places
    ]
    write(folder / "comparisons.json", comparisons)
    bins = [
        {
            "examples": 600,
            "positives": i,
            "predicted": 0.002 * 1.2**i,
            "observed": i / 600,
            "low": i / 900,
            "high": (i + 2) / 600,
        }
        for i in range(12)
    ]
    models = {model: bins for model in RIG if model != "as_served"}
    write(folder / "calibration.json", {"slice": "task=hard", "confidence": 0.9, "models": models})
    condition = {
        "name": "hard_auc_floor",
        "slice": "task=hard",
        "metric": "auc",
        "model": "candidate",
        "value": 0.7344,
        "wanted": ">= 0.55",
        "passed": True,
        "detail": "auc of the candidate on task=hard is 0.7344, wanted >= 0.55",
    }
    failed = condition | {"name": "slice_rig_change", "slice": INJECTION, "passed": False}
    write(
        folder / "verdict.json",
        {
            "blessed": True,
            "headline": "blessed: all 7 conditions hold; better than the logistic regression",
            "details": ["judged against version 41"],
            "summary": "blessed: all 7 conditions hold. judged against version 41",
            "baseline": "version 41",
            "conditions": [condition, failed],
        },
    )


def task_assignments(folder: Path) -> None:
    write(
        folder / "settings.json",
        {
            "assignment_id": "00ffa1b2c3d4e5f6",
            "as_of": "2026-02-01",
            "contract": "shop",
            "alpha": ALPHA,
            "online_alpha": ONLINE_ALPHA,
        },
    )
    split = {"examples": 51234, "positives": 2345, "hard_examples": 30123, "hard_positives": 311}
    write(
        folder / "splits.json",
        {
            "eval": {"first_day": "2026-01-22", "last_day": "2026-01-28"} | split,
            "train": {"first_day": "2026-01-01", "last_day": "2026-01-14"} | split,
            "none": {"examples": 4567},
        },
    )
    write(
        folder / "stability.json",
        {
            "flips": 42,
            "churned_clicks": 630,
            "clicks": 63000,
            "setups": 71,
            "setups_with_several_contexts": 0,
            "judged_setup_days": 2000,
            "naive_miscalls": 164,
            "naive_false_hard": 150,
            "mature_miscalls": 60,
            "mature_false_hard": 20,
            "chosen_miscalls": 38,
            "prior_clicks": {"buy": 300.0, "": 12.25},
            "reasons": {"history": 60000, "prior": 2000, "held": 900, "cold_start": 100},
            "days": days(),
        },
    )
    runs = [
        ("quiet", 1, 28, "hard", 0.002),
        (INJECTION, 9, 28, "hard", 0.0077),
        (INJECTION, 1, 4, "hard", 0.004),
        (INJECTION, 5, 8, "soft", 0.02),
        ("once", 1, 9, "soft", 0.03),
        ("once", 10, 12, "soft", 0.02),
        ("once", 13, 28, "hard", 0.005),
    ]
    names = ("setup_id", "first_day", "last_day", "task", "historical_cvr")
    table = pa.table(dict(zip(names, map(list, zip(*runs, strict=True)), strict=True)))
    for name in ("first_day", "last_day"):
        day = pa.array([date(2026, 1, d) for d in table[name].to_pylist()], pa.date32())
        table = table.set_column(table.schema.get_field_index(name), name, day)
    pq.write_table(table, folder / "assignments.parquet")
    cvrs = [0.0002 * 1.12**i for i in range(60)] + [0.0]
    routing = {
        "setup_id": [f"s{i}" for i in range(61)],
        "task": ["hard" if cvr <= ONLINE_ALPHA else "soft" for cvr in cvrs],
        "reason": ["history"] * 61,
        "historical_cvr": cvrs,
        "observed_clicks": [100] * 61,
    }
    pq.write_table(pa.table(routing), folder / "routing.parquet")


def model_run(folder: Path, mode: str) -> None:
    looks = [
        {
            "step": 100 * (i + 1),
            "epoch": (i + 1) / 4,
            "train_loss": 0.1,
            "train_loss_hard": 0.06 - 0.001 * i,
            "train_loss_soft": None if mode == "hard_only" else 0.3 - 0.01 * i,
            "calibration_log_loss_hard": 0.062 - 0.0008 * i,
            "calibration_log_loss_soft": None if mode == "hard_only" else 0.31 - 0.01 * i,
            "gradient_cosine/embedding": 0.4 - 0.1 * i,
            "gradient_norm_ratio/embedding": 0.5 + 0.1 * i,
            "gradient_cosine/cross_0": None if i < 2 else 0.25,
            "gradient_norm_ratio/cross_0": None,
            "gradient_cosine/all": -0.125,
            "gradient_norm_ratio/all": 2.0,
        }
        for i in range(8)
    ]
    write(folder / "history.json", looks)
    write(
        folder / "training.json",
        {
            "settings": {"model": {"mode": mode}},
            "seed": 11,
            "parameters": {"shared": 9000, "hard": 1234, "serving": 10234, "full": 11468},
            "kept_step": 700,
            "stopped_by": "patience",
            "seconds": {"load train": 1.5, "train": 20.25},
            "calibration": {
                "method": "platt",
                "slope": 0.9,
                "intercept": -0.2,
                "examples": 4321,
                "conversions": 57,
                "before": {"log_loss": 0.0712, "ratio": 1.31, "error": 0.0041},
                "after": {"log_loss": 0.0698, "ratio": 1.0, "error": 0.0012},
            },
        },
    )


def pushed(folder: Path) -> None:
    graph = {"variables": 14, "parameters": 10234, "operations": 321, "size": 1536000}
    write(
        folder / "push.json",
        {
            "pushed": True,
            "version": 1770000000,
            "path": "/srv/serving/1770000000",
            "reason": "pushed as version 1770000000",
            "model_digest": "sha256:beef",
            "assignment_id": "00ffa1b2c3d4e5f6",
            "pruning": {
                "serving": graph,
                "full": graph | {"variables": 20, "parameters": 11468},
                "soft_variables": ["soft/kernel", "soft/bias"],
                "examples": 256,
                "largest_difference": 1.2e-8,
            },
        },
    )


def gate(folder: Path) -> None:
    finding = {
        "kind": "drift",
        "split": "train",
        "feature": "device",
        "severity": "warning",
        "reason": "The Linfty distance is 0.31, above the threshold 0.25",
    }
    distances = [
        {"kind": "drift", "feature": "device", "measure": "L-infinity", "value": 0.31},
        {"kind": "drift", "feature": "recency", "measure": "Jensen-Shannon", "value": 0.02},
        {"kind": "skew", "feature": INJECTION, "measure": "L-infinity", "value": 0.1},
    ]
    write(
        folder / "gate.json",
        {
            "passed": True,
            "findings": [finding],
            "reference": "41",
            "distances": [d | {"threshold": 0.25} for d in distances],
        },
    )


def last_blessed(folder: Path) -> None:
    """The table of `task_assignments`, with four setups that differ."""
    write(folder / "last_blessed.json", {"version": "41", "manifest_digest": "sha256:1"})
    cvrs = [0.0002 * 1.12**i for i in range(60)]
    cvrs[3], cvrs[50] = 0.02, 0.004
    tasks = ["hard" if cvr <= ONLINE_ALPHA else "soft" for cvr in cvrs]
    names = [f"s{i}" for i in range(59)] + [INJECTION]
    routing = {
        "setup_id": names,
        "task": tasks,
        "historical_cvr": cvrs,
        "observed_clicks": [50] * 60,
    }
    path = folder / "Format-Serving" / "assets.extra" / "routing.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(routing), path)


def ingest(folder: Path) -> None:
    write(
        folder / "ingest.json",
        {
            "first_day": "2026-01-01",
            "last_day": "2026-01-31",
            "shards": 4,
            "rows": 105678,
            "outside": 12,
            "rejected": 34,
            "rules": {"label: wanted 0 or 1": 34},
            "first_fault": "",
        },
    )


def artifacts(root: Path) -> Path:
    evaluation(root / "evaluation")
    task_assignments(root / "task_assignments")
    model_run(root / "candidate", "two_tower")
    model_run(root / "one_task", "one_task")
    pushed(root / "pushed")
    gate(root / "gate")
    ingest(root / "ingest")
    last_blessed(root / "last_blessed")
    return root


@pytest.fixture
def run_root(tmp_path: Path) -> Path:
    """The artifacts of a whole run, a folder each, to be changed at will."""
    return artifacts(tmp_path / "artifacts")


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, to be read only."""
    return artifacts(tmp_path_factory.mktemp("run"))
