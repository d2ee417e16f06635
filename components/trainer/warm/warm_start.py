"""Starting a training from the last blessed model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from pydantic import ValidationError

from common.arrays import Ints
from common.as_of import resolve_as_of
from common.days import to_date, to_day
from common.files.gfile import read_json
from common.versions.reference import LAST_BLESSED, MANIFEST, ONE_TASK_DIRECTORY, comparable_model
from components.trainer.network.embedding import own_rows
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ModelSettings, TrainingSettings
from components.trainer.warm.start_weights import SavedVariables, StartWeights, name_of
from components.transform.graph import TRANSFORM_FN
from components.transform.layout import FeatureLayout
from components.transform.vocabulary_file import read_vocabularies
from schemas.contract import Categorical, Contract, Features
from schemas.labelled import CALIBRATION, TRAIN

"""Beside the copy of the served version: its number and the run's as-of date."""

_log = logging.getLogger("hardtower")


class ColdStartError(Exception):
    """Why a training cannot start from the last blessed model."""


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
        """The entry `warm_start` of `training.json`."""
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
    served: bool = False,
) -> Start:
    """Warm where the settings ask for it and the last blessed model fits; cold otherwise.

    Args:
      base_model: the served version's SavedModel, as the LastBlessed node copies it.
      contract: the new network's.
      model: the new network's.
      training: settings.
      transform_graph_dir: the new transform graph.
      eval_days: length of the new eval period.
      served: whether the new network is to serve, and is judged on nothing that an older one could
        know; it starts from what serves, a judged fit from the judged fit.
    """
    if training.warm_start == "off" or base_model is None:
        return Start(reason="training.warm_start is off")
    try:
        start = _start(
            base_model, contract, model, training, transform_graph_dir, eval_days, served
        )
    except ColdStartError as reason:
        start = Start(reason=str(reason))
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
    served: bool,
) -> Start:
    beside = read_json(os.path.join(os.path.dirname(base_model), LAST_BLESSED))
    version, as_of = str(beside["version"]), resolve_as_of(str(beside["as_of"]))
    if not version:
        raise ColdStartError("no model has been blessed yet")
    every = training.cold_every
    if every is not None and to_day(as_of) % every == 0:
        raise ColdStartError(f"{as_of} is a day of training.cold_every {every}")
    late = None if served else _saw_too_late(base_model, as_of, contract, eval_days)
    if late is not None:
        raise ColdStartError(f"version {version} {late}")
    root = base_model if served else comparable_model(base_model, tf.io.gfile.exists)
    places = (root, os.path.join(root, ONE_TASK_DIRECTORY))
    candidates = [weights for place in places if (weights := StartWeights.find(place))]
    if not candidates:
        raise ColdStartError(f"version {version} carries no weights to start from")
    same_mode = [weights for weights in candidates if weights.model.get("mode") == model.mode]
    weights = (same_mode or candidates)[0]
    if reason := misfit(weights.model, weights.features, model, contract.features):
        raise ColdStartError(f"version {version} does not fit: {reason}")
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
    seen = max(splits[name]["last_day"] for name in (TRAIN, CALIBRATION) if name in splits)
    if to_day(date.fromisoformat(seen)) < first:
        return None
    return (
        f"learned from clicks up to {seen}, and this run is judged on clicks from {to_date(first)}"
    )


def _warm(
    version: str, weights: StartWeights, contract: Contract, transform_graph_dir: str
) -> Start:
    new = contract.features
    try:
        old = Features.model_validate(weights.features)
    except ValidationError as error:
        raise ColdStartError(
            f"version {version} has features that this code cannot read: {error.errors()[0]}"
        ) from error
    new_words = _words(new, os.path.join(transform_graph_dir, TRANSFORM_FN))
    old_words = _words(old, weights.serving_dir)
    layout = FeatureLayout.from_contract(contract)
    old_layout = FeatureLayout.from_features(old)
    moved = row_moves(new.categorical, old_layout, layout, old_words, new_words)
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


def _assign(network: TwoTowerDCN, weights: StartWeights, moved: list[RowMove]) -> None:
    served, rest = SavedVariables(weights.serving_dir), weights.load()
    tables = {name_of(table) for table in network.embedding.tables}
    refitted = {name_of(v) for tower in network.wide.values() for v in tower.variables}
    for variable in network.variables:
        name = name_of(variable)
        if name in refitted:
            continue
        old = served.read(name) if name in served else rest[name]
        if name in tables:
            value = variable.numpy()
            for move in moved:
                if move.table == name:
                    value[move.new] = old[move.old]
            old = value
        variable.assign(old)


class RowMove(NamedTuple):
    """Rows `old` of a fused table that become rows `new` of the same table of the new network."""

    table: str
    old: Ints
    new: Ints


def row_moves(
    features: Sequence[Categorical],
    old_layout: FeatureLayout,
    new_layout: FeatureLayout,
    old_words: Mapping[str, Sequence[bytes]],
    new_words: Mapping[str, Sequence[bytes]],
) -> dict[str, RowMove]:
    """By feature, which rows to take over.

    A hashed value keeps its bucket. A value of a vocabulary moves from its old row to its new one,
    and the row of all other values stays that. Rows of values that the old vocabulary lacks are
    not moved to, and rows of values that the new one lacks are left behind.

    Args:
      features: the new contract's categorical features; the old ones fit them (`contract_fit`).
      old_layout, new_layout: rows of the tables.
      old_words, new_words: a vocabulary feature's values in the order of their ids, by feature.
    """
    before, after = own_rows(old_layout), own_rows(new_layout)
    by_feature = {}
    for feature in features:
        old, new = before[feature.name], after[feature.name]
        if feature.vocabulary is None:
            taken = placed = np.arange(new.size)
        else:
            place = {word: i for i, word in enumerate(old_words.get(feature.name, ()))}
            words = list(enumerate(new_words.get(feature.name, ())))
            pairs = [(place[word], i) for i, word in words if word in place]
            pairs.append((old.size - 1, new.size - 1))
            taken, placed = np.array(pairs, np.int64).T
        by_feature[feature.name] = RowMove(new.table, old.first + taken, new.first + placed)
    return by_feature


FREE = frozenset({"dropout", "embedding_l2"})
"""Settings of the model that change its training, not its weights' meaning."""


def misfit(
    old_model: Mapping[str, Any],
    old_features: Mapping[str, Any],
    model: ModelSettings,
    features: Features,
) -> str | None:
    """Why weights of the old network can't start the new one; none when they can.

    The architecture must be the same, and so must the features, their order, widths, buckets and
    numeric transforms. The sizes of learned vocabularies are free: their rows move by value.

    Args:
      old_model, old_features: as JSON, of settings that older code may have written.
      model, features: the new network's.
    """
    new_model = _weights_of(model.model_dump(mode="json"))
    old_model = _weights_of(old_model)
    # A setting that one of the two codes does not know is at its default there.
    defaults = _weights_of(ModelSettings().model_dump(mode="json"))
    for key in sorted({*old_model, *new_model} - FREE):
        was, now = (form.get(key, defaults.get(key)) for form in (old_model, new_model))
        if was != now:
            return f"model.{key} was {was}, is {now}"
    new_features = features.model_dump(mode="json")
    for kind in ("categorical", "numeric"):
        if difference := _difference(old_features[kind], new_features[kind]):
            return f"features.{kind}: {difference}"
    return None


def _weights_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with, of the wide part, nothing but whether there is one: it is fitted anew, and
    older code had none."""
    return {**model, "wide": model.get("wide", {"enabled": False})["enabled"]}


def _difference(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> str | None:
    old_names, new_names = ([feature["name"] for feature in form] for form in (old, new))
    if gone := [name for name in old_names if name not in new_names]:
        return f"{', '.join(gone)} is gone"
    if added := [name for name in new_names if name not in old_names]:
        return f"{', '.join(added)} is new"
    if old_names != new_names:
        return f"order was {', '.join(old_names)}, is {', '.join(new_names)}"
    for was, now in zip(old, new, strict=True):
        for key in sorted({*was, *now}):
            before, after = was.get(key), now.get(key)
            grown = key == "vocabulary" and None not in (before, after)
            if before != after and not grown:
                return f"{was['name']}: {key} was {before}, is {after}"
    return None
