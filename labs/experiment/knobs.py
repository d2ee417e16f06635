"""The settings that `tune` searches, and how a choice of them becomes settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

import keras_tuner

from components.trainer.settings import LossSettings
from labs.experiment.studies.arms import Settings
from schemas.errors import InputError

Value = int | float | str
Space: TypeAlias = Any
"""`keras_tuner.HyperParameters`, which has no types."""

RATES, EPSILONS = (1e-4, 1e-2), (1e-8, 1e-4)
"""Learning rates, and Adam's epsilon for the tables, searched on logarithmic scales."""

CROSS_LAYERS = (1, 2, 3, 4)
HARD_SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9)

PARTS = ("model", "loss", "training")


def _scaled(
    key: str, within: tuple[float, float], otherwise: str
) -> Callable[[Space, Settings], None]:
    """A number on a logarithmic scale; where it is not set, another key's stands for it."""

    def add(space: Space, settings: Settings) -> None:
        now = _value(settings, key) or _value(settings, otherwise)
        low, high = min(within[0], now), max(within[1], now)
        space.Float(key, low, high, sampling="log", default=now)

    return add


def _choice(key: str, values: Sequence[Value]) -> Callable[[Space, Settings], None]:
    def add(space: Space, settings: Settings) -> None:
        now = type(values[0])(_value(settings, key) or 0)
        space.Choice(key, sorted({*values, now}), default=now)

    return add


def _shared(space: Space, settings: Settings) -> None:
    """Up to the whole of the deepest stack that is tried; `changes` keeps to each stack's own."""
    now = settings.model
    searched = "model.cross_layers" in space.values
    cross = max(*CROSS_LAYERS, now.cross_layers) if searched else now.cross_layers
    space.Int("model.shared_layers", 0, cross + len(now.hidden_units), default=now.shared_layers)


def _weight(space: Space, settings: Settings) -> None:
    now = _hard_share(settings)
    space.Choice("loss.weight_hard", sorted({*HARD_SHARES, now}), default=now)


def _hard_share(settings: Settings) -> float:
    """What the hard loss weighs of both."""
    loss = settings.loss
    return round(loss.weight_hard / (loss.weight_hard + loss.weight_soft), 9)


def _reduction(space: Space, settings: Settings) -> None:
    values = get_args(LossSettings.model_fields["reduction"].annotation)
    space.Choice("loss.reduction", list(values), default=settings.loss.reduction)


def _units(space: Space, settings: Settings) -> None:
    """Half, once and twice the widths: the number of layers stays."""
    now = settings.model.hidden_units
    if now:
        widths = [_in_words([max(1, round(u * f)) for u in now]) for f in (0.5, 1, 2)]
        space.Choice("model.hidden_units", widths, default=widths[1])


KNOBS: Mapping[str, Callable[[Space, Settings], None]] = MappingProxyType(
    {
        "training.learning_rate": _scaled(
            "training.learning_rate", RATES, "training.learning_rate"
        ),
        "training.table_learning_rate": _scaled(
            "training.table_learning_rate", RATES, "training.learning_rate"
        ),
        "training.table_epsilon": _scaled("training.table_epsilon", EPSILONS, "training.epsilon"),
        "training.batch_size": _choice("training.batch_size", (256, 512, 1024, 2048, 4096)),
        "training.epochs": _choice("training.epochs", (1, 2, 4, 8)),
        "model.embedding_l2": _choice("model.embedding_l2", (0.0, 10.0, 30.0, 100.0, 300.0)),
        "model.dropout": _choice("model.dropout", (0.0, 0.1, 0.2, 0.3, 0.5)),
        "model.cross_layers": _choice("model.cross_layers", CROSS_LAYERS),
        "model.cross_rank": _choice("model.cross_rank", (0, 8, 32, 64)),
        "model.hidden_units": _units,
        "model.shared_layers": _shared,
        "loss.weight_hard": _weight,
        "loss.reduction": _reduction,
    }
)
"""Key of the config -> what adds it to a search space, its present value being the default. Rank 0
stands for full matrices."""


def search_space(settings: Settings, names: Sequence[str]) -> Space:
    """The space of some knobs around settings.

    Raises:
      InputError: there is no such knob.
    """
    for name in names:
        if name not in KNOBS:
            raise InputError(f"--knob: seen {name!r}, wanted some of {', '.join(KNOBS)}")
    space = keras_tuner.HyperParameters()
    for name, add in KNOBS.items():
        if name in names:
            add(space, settings)
    return space


def changes(values: Mapping[str, Value], settings: Settings) -> dict[str, dict[str, Any]]:
    """What chosen values change, by part of the settings.

    Of a stack with fewer layers than `model.shared_layers`, all are shared.
    """
    changed: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for key, value in values.items():
        part, name = key.split(".")
        changed[part][name] = value
    if "hidden_units" in changed["model"]:
        units = str(changed["model"]["hidden_units"]).split("-")
        changed["model"]["hidden_units"] = tuple(map(int, units))
    if changed["model"].get("cross_rank") == 0:
        changed["model"]["cross_rank"] = None
    share = changed["loss"].pop("weight_hard", None)
    if share is not None and share != _hard_share(settings):
        changed["loss"] |= {"weight_hard": share, "weight_soft": round(1 - share, 9)}
    present = settings.model
    layers = changed["model"].get("cross_layers", present.cross_layers) + len(present.hidden_units)
    if changed["model"].get("shared_layers", present.shared_layers) > layers:
        changed["model"]["shared_layers"] = layers
    return changed


def effective(values: Mapping[str, Value], settings: Settings) -> dict[str, Value]:
    """Chosen values as `changes` takes them: no more shared layers than there are."""
    key = "model.shared_layers"
    if key not in values:
        return dict(values)
    return {**values, key: changes(values, settings)["model"]["shared_layers"]}


def _value(settings: Settings, key: str) -> Any:
    part, name = key.split(".")
    return getattr(getattr(settings, part), name)


def _in_words(units: Sequence[int]) -> str:
    return "-".join(map(str, units))
