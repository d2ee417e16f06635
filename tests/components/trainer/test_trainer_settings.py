"""Settings refuse what cannot be trained, and cost no TensorFlow import."""

import pytest
from pydantic import ValidationError

from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings


def test_layers_counts_cross_and_hidden_layers() -> None:
    assert ModelSettings(cross_layers=4, hidden_units=(256, 128), shared_layers=2).layers == 6


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        (ModelSettings, {"cross_layers": 1, "shared_layers": 4}, "shared_layers 4 is more than"),
        (ModelSettings, {"hidden_units": (64, 0)}, "greater than"),
        (ModelSettings, {"dropout": 1.0}, "less than 1"),
        (ModelSettings, {"mode": "three_tower"}, "two_tower"),
        (ModelSettings, {"towers": 2}, "Extra inputs"),
        (LossSettings, {"weight_hard": 0.0}, "weight_hard 0"),
        (LossSettings, {"weight_soft": -0.5}, "greater than or equal to 0"),
        (TrainingSettings, {"evaluate_every": 0.0}, "greater than"),
        (TrainingSettings, {"precision": "float16"}, "bfloat16"),
        (TrainingSettings, {"beta2": 1.0}, "less than 1"),
    ],
)
def test_refuses(settings: type, values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**values)
