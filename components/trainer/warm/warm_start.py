"""Starting a training from the last blessed model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import tensorflow as tf
from pydantic import ValidationError

from common.as_of import resolve_as_of
from common.days import to_date, to_day
from common.files.gfile import read_json
from common.versions.reference import MANIFEST, ONE_TASK_DIRECTORY
from components.trainer.data.contract_fit import misfit
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ModelSettings, TrainingSettings
from components.trainer.warm.row_moves import Move, moves
from components.trainer.warm.saved_variables import SavedVariables, name_of
from components.trainer.warm.start_weights import StartWeights
from components.transform.graph import TRANSFORM_FN
from components.transform.layout import FeatureLayout
from components.transform.vocabulary_file import read_vocabularies
from schemas.contract import Contract, Features

LAST_BLESSED_FILE = "last_blessed.json"
"""Beside the copy of the served version: its number and the run's as-of date."""

_log = logging.getLogger("hardtower")


@dataclass(frozen=True)
class Start:
    """How a training starts.

    Attributes:
      version: of the served model that it starts from; none when it starts cold.
      reason: why it starts cold, if it could have started warm.
      rows: by feature with a vocabulary, how many rows were `kept` and how many are `new`.
      initialize: sets a network's weights; none when it starts cold.
    """

    version: str | None = None
    reason: str | None = None
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    initialize: Callable[[TwoTowerDCN], None] | None = None

    def record(self) -> dict[str, Any]:
        """What is written down about it."""
        return {
            "warm": self.version is not None,
            "version": self.version,
            "reason": self.reason,
            "vocabulary_rows": self.rows,
        }


def choose_start(
    base_model: str | None,
    contract: Contract,
    model: ModelSettings,
    training: TrainingSettings,
    transform_graph_dir: str,
    eval_days: int,
) -> Start:
    """Warm where the settings ask for it and the last blessed model fits; cold otherwise.

    Args:
      base_model: the served version's SavedModel, as the LastBlessed node copies it.
      contract: the new network's.
      model: the new network's.
      training: settings.
      transform_graph_dir: the new transform graph.
      eval_days: length of the new eval period.
    """
    if training.warm_start == "off" or base_model is None:
        return Start(reason="training.warm_start is off")
    found = _start(base_model, contract, model, training, transform_graph_dir, eval_days)
    start = Start(reason=found) if isinstance(found, str) else found
    _log.info(
        "Trainer: %s",
        f"starts from version {start.version}" if start.version else f"starts cold: {start.reason}",
    )
    return start


def _start(
    base_model: str,
    contract: Contract,
    model: ModelSettings,
    training: TrainingSettings,
    transform_graph_dir: str,
    eval_days: int,
) -> Start | str:
    beside = read_json(os.path.join(os.path.dirname(base_model), LAST_BLESSED_FILE))
    version, as_of = str(beside["version"]), resolve_as_of(str(beside["as_of"]))
    if not version:
        return "no model has been blessed yet"
    every = training.cold_every
    if every is not None and to_day(as_of) % every == 0:
        return f"{as_of} is a day of training.cold_every {every}"
    if late := _saw_too_late(base_model, as_of, contract, eval_days):
        return f"version {version} {late}"
    places = (base_model, os.path.join(base_model, ONE_TASK_DIRECTORY))
    candidates = [weights for place in places if (weights := StartWeights.find(place))]
    if not candidates:
        return f"version {version} carries no weights to start from"
    same_mode = [weights for weights in candidates if weights.model.get("mode") == model.mode]
    weights = (same_mode or candidates)[0]
    if reason := misfit(weights.model, weights.features, model, contract.features):
        return f"version {version} does not fit: {reason}"
    return _warm(version, weights, contract, transform_graph_dir)


def _saw_too_late(base_model: str, as_of: date, contract: Contract, eval_days: int) -> str | None:
    """Why the old model may know the outcomes that the new one is judged on, if it may.

    The eval period of `components.task_labeler.calendar.split_periods` begins `eval_days` before
    the last day whose labels are mature.
    """
    file = os.path.join(base_model, MANIFEST)
    if not tf.io.gfile.exists(file):
        return "has no manifest that says what it learned from"
    manifest = read_json(file)
    first = to_day(as_of) - contract.attribution_window_days - eval_days
    splits = manifest["data"]["splits"]
    seen = max(splits[name]["last_day"] for name in ("train", "calibration") if name in splits)
    if to_day(date.fromisoformat(seen)) < first:
        return None
    return (
        f"learned from clicks up to {seen}, and this run is judged on clicks from {to_date(first)}"
    )


def _warm(
    version: str, weights: StartWeights, contract: Contract, transform_graph_dir: str
) -> Start | str:
    new = contract.features
    try:
        old = Features.model_validate(weights.features)
    except ValidationError as error:
        return f"version {version} has features that this code cannot read: {error.errors()[0]}"
    new_words = _words(new, os.path.join(transform_graph_dir, TRANSFORM_FN))
    old_words = _words(old, weights.serving_dir)
    layout = FeatureLayout.from_contract(contract)
    old_layout = FeatureLayout.from_features(old)
    moved = moves(new.categorical, old_layout, layout, old_words, new_words)
    rows = {
        name: {"kept": (kept := len(moved[name].new)), "new": len(words) + 1 - kept}
        for name, words in new_words.items()
    }

    def initialize(network: TwoTowerDCN) -> None:
        _assign(network, weights, list(moved.values()))

    return Start(version, rows=rows, initialize=initialize)


def _words(features: Features, saved_model: str) -> dict[str, list[bytes]]:
    listed = [f for f in features.categorical if f.vocabulary is not None]
    words = read_vocabularies(saved_model)
    return {feature.name: words.get(i, []) for i, feature in enumerate(listed)}


def _assign(network: TwoTowerDCN, weights: StartWeights, moved: list[Move]) -> None:
    served, rest = SavedVariables(weights.serving_dir), weights.load()
    tables = {name_of(table) for table in network.embedding.tables}
    for variable in network.variables:
        name = name_of(variable)
        old = served.read(name) if name in served else rest[name]
        if name in tables:
            value = variable.numpy()
            for move in moved:
                if move.table == name:
                    value[move.new] = old[move.old]
            old = value
        variable.assign(old)
