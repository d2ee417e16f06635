"""The run's parameters on their way to the training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.trainer.settings import LossSettings, TrainingSettings
from schemas.errors import InputError

pytestmark = pytest.mark.tfx


def run(monkeypatch: pytest.MonkeyPatch, **properties: Any) -> dict[str, Any]:
    """The custom config that TFX's executor is given."""
    from tfx.components.trainer.executor import GenericExecutor

    from components.trainer.executor import Executor

    given: dict[str, Any] = {}

    def keep(self: Any, inputs: Any, outputs: Any, exec_properties: dict[str, Any]) -> None:
        given.update(exec_properties)

    monkeypatch.setattr(GenericExecutor, "Do", keep)
    config = {
        "loss": LossSettings().model_dump(mode="json"),
        "training": TrainingSettings(epochs=4).model_dump(mode="json"),
        "model": {"mode": "one_task"},
    }
    Executor().Do({}, {}, {"custom_config": json.dumps(config), **properties})
    assert given.keys() == {"custom_config", *properties}
    found: dict[str, Any] = json.loads(given["custom_config"])
    assert found["model"] == config["model"]
    return found


def test_parameters_are_laid_over_loss_and_training(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch, weight_soft=0.25, epochs=7)
    assert LossSettings.model_validate(found["loss"]) == LossSettings(weight_soft=0.25)
    assert TrainingSettings.model_validate(found["training"]) == TrainingSettings(epochs=7)


def test_an_impossible_value_stops_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^training, run with epochs=-1: epochs"):
        run(monkeypatch, epochs=-1)


@pytest.mark.parametrize(
    ("stopped_by", "passes"), [("guard", 2.5), ("passes", 2.5), ("epochs", None)]
)
def test_a_served_fit_takes_the_passes_that_the_judged_fit_kept(
    tmp_path: Path, stopped_by: str, passes: float | None
) -> None:
    from components.trainer.executor import kept_passes

    record = {"stopped_by": stopped_by, "kept_passes": 2.5}
    (tmp_path / "training.json").write_text(json.dumps(record))
    assert kept_passes(str(tmp_path)) == passes
