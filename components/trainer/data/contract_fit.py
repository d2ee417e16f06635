"""Whether a network's weights mean the same in another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.trainer.settings import ModelSettings
from schemas.contract import Features

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
    new_model = model.model_dump(mode="json")
    # A setting that one of the two codes does not know is at its default there.
    defaults = ModelSettings().model_dump(mode="json")
    for key in sorted({*old_model, *new_model} - FREE):
        was, now = (form.get(key, defaults.get(key)) for form in (old_model, new_model))
        if was != now:
            return f"model.{key} was {was}, is {now}"
    new_features = features.model_dump(mode="json")
    for kind in ("categorical", "numeric"):
        if found := _difference(old_features[kind], new_features[kind]):
            return f"features.{kind}: {found}"
    return None


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
