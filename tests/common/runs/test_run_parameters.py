"""What may change from run to run."""

from __future__ import annotations

from typing import Any

import pytest

from common.runs.info import RunInfo
from common.runs.parameters import (
    LABELLING,
    LOSS,
    RUN_PARAMETERS,
    RunParameter,
    changed,
    value_in,
    with_parameters,
)
from components.task_labeler.settings import LabellingSettings
from components.trainer.settings import LossSettings
from pipeline.config import PipelineConfig
from schemas.errors import InputError

CONFIG = PipelineConfig(name="p", contract="simulator", window_days=30).model_dump(mode="json")


def test_every_parameter_stands_for_a_key_of_the_config() -> None:
    for parameter in RUN_PARAMETERS:
        value = value_in(CONFIG, parameter)
        assert type(value) is parameter.kind, parameter


@pytest.mark.parametrize(
    ("seen", "kind", "found"),
    [
        (3, float, 3.0),
        (3, int, 3),
        (0.5, float, 0.5),
        (0.5, int, None),
        ("estimate", float, None),
        (True, int, None),
        (None, str, None),
        ("", str, ""),
    ],
)
def test_only_a_plain_value_of_its_type_can_be_a_default(seen: Any, kind: Any, found: Any) -> None:
    value = value_in({"a": {"b": seen}}, RunParameter("b", kind, "a.b"))
    assert value == found
    assert type(value) is type(found)


def test_a_parameter_is_laid_over_its_settings() -> None:
    settings = LabellingSettings(alpha=0.02, window_days=20)
    properties = {"alpha": 0.03, "history_days": 40, "epochs": 9, "labelling": "{}"}
    laid_over = changed(LabellingSettings, settings.model_dump_json(), LABELLING, properties)
    assert laid_over == LabellingSettings(alpha=0.03, window_days=40)


def test_no_parameter_changes_nothing() -> None:
    settings = LossSettings(weight_hard=0.7)
    assert changed(LossSettings, settings.model_dump_json(), LOSS, {}) == settings
    given = {"weight_hard": None}
    assert changed(LossSettings, settings.model_dump_json(), LOSS, given) == settings


def test_a_parameter_keeps_to_the_rules_of_the_config() -> None:
    text = LabellingSettings().model_dump_json()
    with pytest.raises(InputError, match=r"^labelling, run with alpha=2\.0: alpha: .* 1 .*2\.0"):
        changed(LabellingSettings, text, LABELLING, {"alpha": 2.0})
    text = LossSettings().model_dump_json()
    with pytest.raises(InputError, match=r"^loss, run with weight_hard=0\.0: .*untrained"):
        changed(LossSettings, text, LOSS, {"weight_hard": 0.0})


def test_the_record_of_a_run_holds_what_it_ran_with() -> None:
    run = RunInfo(run_id="r", seed=1, config=CONFIG)
    assert "run_id" not in run.text
    properties = {"run_id": "q", "seed": 5, "as_of": "2026-01-02", "alpha": 0.5}
    found = RunInfo.of(run.text, properties)
    assert (found.run_id, found.seed, found.as_of) == ("q", 5, "2026-01-02")
    assert found.config["labelling"]["alpha"] == 0.5
    assert found.config["training"]["seed"] == 5
    assert found.config["loss"] == CONFIG["loss"]
    assert CONFIG["labelling"]["alpha"] != 0.5


def test_a_record_without_a_config_stays_without() -> None:
    assert with_parameters({}, {"alpha": 0.5}) == {}
