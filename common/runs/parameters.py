"""What may change from run to run without compiling the pipeline again.

Each parameter stands for one key of the pipeline's config. It travels as an execution property of
its own and is laid over the stage's settings inside the executor, so that a value given at the
start of a run is checked by the same rules as one in the config.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.base import Frozen
from schemas.checked import checked

Settings = TypeVar("Settings", bound=Frozen)


@dataclass(frozen=True)
class RunParameter:
    """One parameter.

    Attributes:
      name: of the parameter and of the execution property.
      kind: its type.
      key: of the config, dots between its parts.
    """

    name: str
    kind: type[str] | type[int] | type[float]
    key: str

    @property
    def section(self) -> str:
        """The settings that it belongs to; empty for the config itself."""
        return self.key.rpartition(".")[0]

    @property
    def field(self) -> str:
        return self.key.rpartition(".")[2]


RUN_PARAMETERS = (
    RunParameter("as_of", str, "as_of"),
    RunParameter("window_days", int, "window_days"),
    RunParameter("alpha", float, "labelling.alpha"),
    RunParameter("half_life_days", float, "labelling.half_life_days"),
    RunParameter("history_days", int, "labelling.window_days"),
    RunParameter("weight_hard", float, "loss.weight_hard"),
    RunParameter("weight_soft", float, "loss.weight_soft"),
    RunParameter("epochs", int, "training.epochs"),
    RunParameter("batch_size", int, "training.batch_size"),
    RunParameter("learning_rate", float, "training.learning_rate"),
    RunParameter("seed", int, "training.seed"),
)
LABELLING, LOSS, TRAINING = "labelling", "loss", "training"
"""Sections of the config that have parameters."""


def parameters_of(*sections: str) -> tuple[RunParameter, ...]:
    """The parameters of some sections of the config."""
    return tuple(p for p in RUN_PARAMETERS if p.section in sections)


def value_in(config: Mapping[str, Any], parameter: RunParameter) -> str | int | float | None:
    """What the config holds; none where it is not a plain value of the parameter's type.

    Such a setting, the word `estimate` in place of a number for instance, cannot become the
    default of a typed parameter: it stays as the config has it.
    """
    value: Any = config
    for part in parameter.key.split("."):
        value = value[part]
    if type(value) is int and parameter.kind is float:
        return float(value)
    return value if type(value) is parameter.kind else None


def changed(
    settings: type[Settings], text: str, section: str, properties: Mapping[str, Any]
) -> Settings:
    """Settings with the run's parameters laid over them.

    Args:
      settings: the class.
      text: the settings as JSON.
      section: of the config that they are.
      properties: execution properties; a parameter that is not among them changes nothing.

    Raises:
      InputError: a value is outside of what the settings allow.
    """
    given = {p: properties[p.name] for p in parameters_of(section) if p.name in properties}
    values = json.loads(text) | {p.field: value for p, value in given.items() if value is not None}
    names = ", ".join(f"{p.name}={value!r}" for p, value in given.items())
    return checked(settings, values, f"{section}, run with {names}")


def with_parameters(config: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the config in which the run's parameters are set."""
    copy = dict(config)
    for parameter in RUN_PARAMETERS:
        value = properties.get(parameter.name)
        if value is None or not config:
            continue
        if not parameter.section:
            copy[parameter.field] = value
        else:
            copy[parameter.section] = {**copy[parameter.section], parameter.field: value}
    return copy
