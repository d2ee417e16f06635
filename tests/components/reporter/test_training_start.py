"""Where a training started, as the report says it."""

from __future__ import annotations

from typing import Any

import pytest

from components.reporter.tables import started_from

ASKED = {"settings": {"training": {"warm_start": "last_blessed"}}}
COLD = {"warm": False, "version": None, "reason": "no model has been blessed yet"}


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ({}, "the seed"),
        ({"warm_start": COLD}, "the seed"),
        (ASKED | {"warm_start": COLD}, "the seed: no model has been blessed yet"),
        (
            ASKED | {"warm_start": {"warm": True, "version": "17", "reason": None}},
            "version 17",
        ),
        ({"resumed_from": None}, "the seed"),
        ({"resumed_from": 1200}, "the seed; interrupted, resumed at step 1,200"),
    ],
)
def test_in_words(log: dict[str, Any], words: str) -> None:
    assert started_from(log) == words
