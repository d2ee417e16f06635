"""Contracts that contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.contract import Contract, load_contract


def simulator(**roles: Any) -> Contract:
    form = load_contract("simulator").model_dump()
    form["roles"] |= roles
    return Contract.model_validate(form)


def test_the_contract_itself_is_sound() -> None:
    assert simulator() == load_contract("simulator")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"setup": ["goal", "goal"]}, "roles.setup: listed twice: goal"),
        ({"label": "t", "timestamp": "t"}, "t is more than one of timestamp, label"),
        ({"conversion_timestamp": "t", "timestamp": "t"}, "t is more than one of timestamp"),
        ({"label": "paid", "spend": "paid"}, "paid is more than one of timestamp, label"),
        ({"label": "goal", "setup": ["shop", "goal"]}, "goal is part of the setup"),
        ({"label": "x", "conversion_category": "x"}, "x is part of the setup or its context"),
        ({"spend": "x", "advertiser_type": "x"}, "x is part of the setup or its context"),
        ({"setup": ["shop", "go\nal"]}, "String should match pattern"),
        ({"label": "\0"}, "String should match pattern"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(roles: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulator(**roles)
