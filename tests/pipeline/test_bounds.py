"""Every number of every settings model has bounds, where it is defined."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date

import click
import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from components.task_labeler.decide.pins import Pin
from labs.ab_report.settings import AbReportSettings
from labs.marketplace.settings import MarketSettings
from labs.simulator.settings import SimulatorSettings
from pipeline.cli import COMMANDS, main
from pipeline.config import PipelineConfig
from schemas.contract import Contract
from service.settings import ServeSettings

ROOTS = (
    PipelineConfig,
    Contract,
    SimulatorSettings,
    MarketSettings,
    AbReportSettings,
    ServeSettings,
)


def parts(kind: object) -> Iterator[object]:
    yield kind
    for part in typing.get_args(kind):
        yield from parts(part)


def models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield root
    for field in root.model_fields.values():
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


FIELDS = [
    (model, name, field)
    for model in sorted({m for root in ROOTS for m in models(root)}, key=lambda m: m.__name__)
    for name, field in model.model_fields.items()
]


def numbers(kind: object) -> set[type]:
    return {part for part in parts(kind) if part in (int, float)}  # type: ignore[misc]


def one_value(kind: object, value: float) -> object:
    """The value where the type wants a number: bare, in a list, or in a table."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return one_value(next(k for k in inner if numbers(k)), value)
    if origin is tuple:
        return [one_value(inner[0], value)]
    if origin is not None and issubclass(origin, Mapping):
        return {"a": one_value(inner[1], value)}
    return value


@pytest.mark.parametrize(
    ("model", "name", "field"),
    [pytest.param(*f, id=f"{f[0].__name__}.{f[1]}") for f in FIELDS if numbers(f[2].annotation)],
)
def test_a_number_has_bounds(model: type[BaseModel], name: str, field: FieldInfo) -> None:
    for value in (math.nan, math.inf, -math.inf, 1e308, 10**30, -(10**30)):
        seen = one_value(field.annotation, value)
        with pytest.raises(ValidationError) as caught:
            model.model_validate({name: seen})
        assert any(e["loc"][0] == name and e["type"] != "missing" for e in caught.value.errors())


def test_the_walk_reaches_the_settings_that_it_should() -> None:
    seen = {f"{model.__name__}.{name}" for model, name, _ in FIELDS}
    assert {
        "GateSettings.min_hard_auc",
        "TrainingSettings.learning_rate",
        "ModelSettings.hidden_units",
        "SimulatorSettings.clicks",
        "StepSettings.memory_gb",
    } <= seen, sorted(seen)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_on_the_command_line_has_bounds(name: str) -> None:
    command = typing.cast(click.Command, main.get_command(click.Context(main), name))
    for option in command.params:
        kind = option.type
        assert kind not in (click.INT, click.FLOAT), option.name
        if isinstance(kind, click.IntRange | click.FloatRange):
            for seen in ("nan", "inf", "-inf", "1e308", str(10**30), str(-(10**30))):
                with pytest.raises(click.BadParameter):
                    kind.convert(seen, option, None)


def test_a_date_that_days_are_counted_from_has_bounds() -> None:
    dates = [(model, name) for model, name, field in FIELDS if date in set(parts(field.annotation))]
    counted = [(model, name) for model, name in dates if model is not Pin]  # only ever compared
    assert (SimulatorSettings, "start_date") in counted
    for model, name in counted:
        for seen in ("0001-01-01", "9999-12-31"):
            with pytest.raises(ValidationError) as caught:
                model.model_validate({name: seen})
            found = [e["type"] for e in caught.value.errors() if e["loc"] == (name,)]
            assert found in (["greater_than_equal"], ["less_than_equal"])
