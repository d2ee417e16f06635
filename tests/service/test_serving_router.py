"""Which model a candidate goes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.routing.table import RoutingTable
from schemas.errors import InputError
from service.routing.router import Router
from service.routing.variants import AbTest

IDS = ["a|buy", "a|visit", "new|buy", "new|x", "a|buy"]
CATEGORIES = ["buy", "visit", "buy", "x", "buy"]


@pytest.fixture
def table(tmp_path: Path, fill: Callable[..., None]) -> RoutingTable:
    fill(tmp_path / "7", 7, cold_start="fallback")
    return RoutingTable.load(tmp_path / "7")


def test_hard_goes_to_the_hard_tower_and_everything_else_to_the_one_task_model(
    table: RoutingTable,
) -> None:
    found = Router(table).route(IDS, CATEGORIES)
    assert found.task.tolist() == ["hard", "soft", "hard", "fallback", "hard"]
    assert found.reason.tolist() == [
        "history",
        "history",
        "unknown",
        "unknown_category",
        "history",
    ]
    assert found.model.tolist() == [
        "hard_tower",
        "one_task",
        "hard_tower",
        "one_task",
        "hard_tower",
    ]
    assert found.variant.tolist() == [""] * 5
    assert Router(table).route([]).model.tolist() == []


def test_a_control_arm_sends_hard_candidates_to_the_one_task_model(table: RoutingTable) -> None:
    experiment = AbTest.model_validate(
        {
            "name": "ab",
            "unit": "candidate",
            "variants": [
                {"name": "control", "share": 0.5, "serves": "one_task"},
                {"name": "mtl", "share": 0.5, "serves": "routed"},
            ],
        }
    )
    keys = [f"advertiser {i}" for i in range(100)]
    found = Router(table, experiment).route(["a|buy"] * 100, keys=keys)
    arms = [v.name for v in experiment.assign(keys)]
    assert found.variant.tolist() == arms
    assert set(found.task.tolist()) == {"hard"}
    by_arm = set(zip(arms, found.model.tolist(), strict=True))
    assert by_arm == {("control", "one_task"), ("mtl", "hard_tower")}
    with pytest.raises(InputError, match="keys: None for 1 setup ids"):
        Router(table, experiment).route(["a|buy"])
