"""The settings that `tune` searches, and how a choice of them becomes settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import keras_tuner

from components.experiment.arms import Settings
from schemas.errors import InputError

Value = int | float | str
Space: TypeAlias = Any
"""`keras_tuner.HyperParameters`, which has no types."""

RATES = (1e-4, 1e-2)
"""Learning rates, searched on a logarithmic scale."""

PARTS = ("model", "loss", "training")


def _rate(key: str) -> Callable[[Space, Settings], None]:
    def add(space: Space, settings: Settings) -> None:
        now = _value(settings, key) or settings.training.learning_rate
        low, high = min(RATES[0], now), max(RATES[1], now)
        space.Float(key, low, high, sampling="log", default=now)

    return add


def _choice(key: str, values: Sequence[Value]) -> Callable[[Space, Settings], None]:
    def add(space: Space, settings: Settings) -> None:
        now = type(values[0])(_value(settings, key) or 0)
        space.Choice(key, sorted({*values, now}), default=now)

    return add


def _shared(space: Space, settings: Settings) -> None:
    now = settings.model
    space.Int("model.shared_layers", 0, now.layers, default=now.shared_layers)


def _units(space: Space, settings: Settings) -> None:
    """Half, once and twice the widths: the number of layers stays."""
    now = settings.model.hidden_units
    if now:
        widths = [_in_words([max(1, round(u * f)) for u in now]) for f in (0.5, 1, 2)]
        space.Choice("model.hidden_units", widths, default=widths[1])


KNOBS: Mapping[str, Callable[[Space, Settings], None]] = MappingProxyType(
    {
        "training.learning_rate": _rate("training.learning_rate"),
        "training.table_learning_rate": _rate("training.table_learning_rate"),
        "training.batch_size": _choice("training.batch_size", (256, 512, 1024, 2048, 4096)),
        "model.embedding_l2": _choice("model.embedding_l2", (0.0, 1e-6, 1e-5, 1e-4, 1e-3)),
        "model.dropout": _choice("model.dropout", (0.0, 0.1, 0.2, 0.3, 0.5)),
        "model.cross_rank": _choice("model.cross_rank", (0, 8, 32, 64)),
        "model.hidden_units": _units,
        "model.shared_layers": _shared,
        "loss.weight_hard": _choice("loss.weight_hard", (0.2, 0.35, 0.5, 0.65, 0.8)),
    }
)
"""Key of the config -> what adds it to a search space, its present value being the default. Rank 0
stands for full matrices."""


def search_space(settings: Settings, names: Sequence[str]) -> Space:
    """The space of some knobs around settings.

    Raises:
      InputError: there is no such knob.
    """
    space = keras_tuner.HyperParameters()
    for name in names:
        if name not in KNOBS:
            raise InputError(f"--knob: seen {name!r}, wanted some of {', '.join(KNOBS)}")
        KNOBS[name](space, settings)
    return space


def changes(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """What chosen values change, by part of the settings."""
    found: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for key, value in values.items():
        part, name = key.split(".")
        found[part][name] = value
    if "hidden_units" in found["model"]:
        units = str(found["model"]["hidden_units"]).split("-")
        found["model"]["hidden_units"] = tuple(map(int, units))
    if found["model"].get("cross_rank") == 0:
        found["model"]["cross_rank"] = None
    if "weight_hard" in found["loss"]:
        found["loss"]["weight_soft"] = round(1 - found["loss"]["weight_hard"], 9)
    return found


def _value(settings: Settings, key: str) -> Any:
    part, name = key.split(".")
    return getattr(getattr(settings, part), name)


def _in_words(units: Sequence[int]) -> str:
    return "-".join(map(str, units))
