from __future__ import annotations

from typing import Any

import pytest

from labs.simulator.settings import SimulatorSettings, parse_settings
from schemas.errors import InputError

RETAIL = {"name": "shops", "weight": 1, "categories": ["food"]}
TYPE = {
    "name": "view",
    "median_cvr": 0.2,
    "hardness": 0,
    "intent_sd": 0.5,
    "delay": {"within_minutes": 0.5, "within_hours": 0.2},
    "click_cost": 0.1,
}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"click": 5}, ["log.yaml", "click", "unknown key"]),
        ({"clicks": 0}, ["clicks", "greater than or equal to 1", "0"]),
        ({"clicks": 10, "days": 10}, ["clicks", "10 over 10 days", "two a day"]),
        ({"rates": {"mistagged": 1.5}}, ["rates.mistagged", "1.5"]),
        ({"drift": {"rho": 1.0}}, ["drift.rho", "less than 1"]),
        ({"missing": {"label": 0.1}}, ["missing", "label", "user_id"]),
        ({"types": [TYPE]}, ["types", "at least 2"]),
        ({"types": [TYPE, TYPE]}, ["types", "listed twice", "view"]),
        (
            {"types": [{**TYPE, "delay": {"within_minutes": 0.7, "within_hours": 0.6}}, TYPE]},
            ["types.0.delay", "1.3", "at most 1"],
        ),
        (
            {"advertiser_types": [{**RETAIL, "goals": {"purchase": 1, "buy": 2}}]},
            ["advertiser_types", "shops", "buy", "landing_view"],
        ),
        ({"start_date": "yesterday"}, ["start_date", "yesterday"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(table: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_settings(table, source="log.yaml")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_settings_survive_their_own_json() -> None:
    settings = SimulatorSettings(clicks=1234, days=7)
    assert parse_settings(settings.model_dump(mode="json")) == settings
