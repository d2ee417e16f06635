"""Settings that contradict themselves are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.evaluator.settings import EvaluationSettings, GateSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slices": [[], ["task"], ["a", "a"]]}, "stands twice"),
        ({"slices": [[], ["task"], ["a", "b"], ["b", "a"]]}, "listed twice"),
        ({"slices": [["task"]]}, "the gate reads it"),
        ({"slices": [[]]}, "the gate reads it"),
        ({"confidence": 1.0}, "less than 1"),
        ({"resamples": 10}, "greater than or equal to 100"),
        ({"colour": 1}, "Extra inputs"),
    ],
)
def test_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationSettings.model_validate(settings)


def test_calibration_bounds_in_order() -> None:
    with pytest.raises(ValidationError, match=r"min_hard_calibration 2\.0 must be below"):
        GateSettings(min_hard_calibration=2.0, max_hard_calibration=1.5)


def test_survive_json() -> None:
    for settings in (EvaluationSettings(seed=3), GateSettings(max_slice_rig_loss=None)):
        assert type(settings).model_validate_json(settings.model_dump_json()) == settings
