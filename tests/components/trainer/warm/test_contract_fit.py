"""What keeps old weights from starting a new network, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from components.trainer.settings import ModelSettings
from components.trainer.warm.warm_start import misfit
from schemas.contract import Features

MODEL = {"hidden_units": [8], "cross_layers": 1, "shared_layers": 1, "dropout": 0.1}
SITE: dict[str, Any] = {"name": "site", "buckets": 10, "width": 4}
GOAL: dict[str, Any] = {"name": "goal", "vocabulary": 5, "width": 2}
PRICE: dict[str, Any] = {"name": "price", "transform": "zscore"}
AGE: dict[str, Any] = {"name": "age", "transform": "identity"}


def fit(
    model: dict[str, Any], categorical: list[dict[str, Any]], numeric: list[dict[str, Any]]
) -> str | None:
    old = Features.model_validate({"categorical": [SITE, GOAL], "numeric": [PRICE, AGE]})
    return misfit(
        ModelSettings.model_validate(MODEL).model_dump(mode="json"),
        old.model_dump(mode="json"),
        ModelSettings.model_validate(MODEL | model),
        Features.model_validate({"categorical": categorical, "numeric": numeric}),
    )


@pytest.mark.parametrize(
    ("model", "goal"),
    [({}, {}), ({"dropout": 0.5, "embedding_l2": 1.0}, {}), ({}, {"vocabulary": 9})],
)
def test_fits(model: dict[str, Any], goal: dict[str, Any]) -> None:
    assert fit(model, [SITE, GOAL | goal], [PRICE, AGE]) is None


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"hidden_units": [16]}, "model.hidden_units was [8], is [16]"),
        ({"mode": "one_task"}, "model.mode was two_tower, is one_task"),
        ({"shared_layers": 0}, "model.shared_layers was 1, is 0"),
        ({"cross_rank": 2}, "model.cross_rank was None, is 2"),
        ({"tier_boundaries": [0.1]}, "model.tier_boundaries was [], is [0.1]"),
    ],
)
def test_another_architecture(model: dict[str, Any], reason: str) -> None:
    assert fit(model, [SITE, GOAL], [PRICE, AGE]) == reason


@pytest.mark.parametrize(
    ("categorical", "numeric", "reason"),
    [
        ([SITE | {"width": 8}, GOAL], [PRICE, AGE], "categorical: site: width was 4, is 8"),
        ([SITE | {"buckets": 11}, GOAL], [PRICE, AGE], "categorical: site: buckets was 10, is 11"),
        (
            [SITE, {"name": "goal", "buckets": 6, "width": 2}],
            [PRICE, AGE],
            "categorical: goal: buckets was None, is 6",
        ),
        ([GOAL, SITE], [PRICE, AGE], "categorical: order was site, goal, is goal, site"),
        ([SITE], [PRICE, AGE], "categorical: goal is gone"),
        ([SITE, GOAL], [PRICE, AGE, AGE | {"name": "new"}], "numeric: new is new"),
        ([SITE, GOAL], [AGE, PRICE], "numeric: order was price, age, is age, price"),
        (
            [SITE, GOAL],
            [PRICE | {"transform": "log1p"}, AGE],
            "numeric: price: transform was zscore, is log1p",
        ),
    ],
)
def test_other_features(
    categorical: list[dict[str, Any]], numeric: list[dict[str, Any]], reason: str
) -> None:
    assert fit({}, categorical, numeric) == f"features.{reason}"


def test_settings_that_one_of_two_codes_does_not_know_are_at_their_defaults() -> None:
    features = Features.model_validate({"numeric": [PRICE]})
    model = ModelSettings()
    form = model.model_dump(mode="json")
    older = {key: value for key, value in form.items() if key != "tier_boundaries"}
    for old, reason in (
        (older, None),
        (older | {"unheard_of": None}, None),
        (older | {"unheard_of": 3}, "model.unheard_of was 3, is None"),
    ):
        assert misfit(old, features.model_dump(mode="json"), model, features) == reason
    tiers = model.model_copy(update={"tier_boundaries": (0.2,)})
    found = misfit(older, features.model_dump(mode="json"), tiers, features)
    assert found == "model.tier_boundaries was [], is [0.2]"
