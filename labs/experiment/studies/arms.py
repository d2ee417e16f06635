"""What an experiment is made of: arms, and which of them are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from components.trainer.settings import FitName, Recipe
from schemas.base import Frozen
from schemas.checked import checked


@dataclass(frozen=True)
class ByHistory:
    """Assigned by the labeller under other settings.

    Attributes:
      changes: keys of `LabellingSettings` that differ from the run's.
      grouped: see `stability_lab.replay.replay`.
    """

    changes: tuple[tuple[str, Any], ...]
    grouped: bool = True


@dataclass(frozen=True)
class ByCategory:
    """Assigned by what the advertiser declared: all setups of a category have one side.

    A category is hard when the run's own assignment calls most of its train examples hard: of all
    assignments by category, the one that agrees best with the statistics.

    Attributes:
      true: by what the conversion truly is, which only a simulator knows, and not as declared.
    """

    true: bool = False


Assignment = ByHistory | ByCategory


@dataclass(frozen=True)
class Settings(Recipe):
    """A recipe that arms vary."""

    def but(self, **changes: Mapping[str, Any]) -> Settings:
        """With some keys of `model`, `loss` or `training` replaced, checked again.

        Raises:
          InputError: a value is not allowed.
        """
        parts: dict[str, Any] = {}
        for part, values in changes.items():
            settings: Frozen = getattr(self, part)
            parts[part] = checked(type(settings), settings.model_dump() | dict(values), part)
        return replace(self, **parts)

    def dump(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            part: getattr(self, part).model_dump(mode="json")
            for part in ("model", "loss", "training")
        }


Scoring = Literal["hard_tower", "own_tower"]


@dataclass(frozen=True)
class Knowledge:
    """What a fit of some as-of day knows.

    Attributes:
      fit: `judged` knows what was known when that day's eval period began; `served`, all up to the
        day itself.
      final: whether it is told what its clicks came to in the end, and not what had been observed.
    """

    fit: FitName
    final: bool = False


@dataclass(frozen=True)
class Arm:
    """One way to train, once a seed.

    Attributes:
      assignment: which examples are hard in training; None is the run's own assignment, frozen.
      swapped: tasks change places, so that a network of the hard task learns the soft one.
      folds: advertisers are left out of training in this many turns, and each evaluated example
        is scored by the network that has not seen its advertiser; 0 leaves nobody out.
      hard_kept: share of the hard examples that it learns from, see `cuts.thinned`. All are judged.
      knows: what it learns from on each as-of day of a rolling experiment; None is what the run's
        judged fit knows.
      scoring: `hard_tower` scores every example by the served tower; `own_tower` by the tower of
        the task that the arm's own assignment gives the example.
    """

    name: str
    settings: Settings
    assignment: Assignment | None = None
    swapped: bool = False
    folds: int = 0
    hard_kept: float = 1.0
    knows: Knowledge | None = None
    scoring: Scoring = "hard_tower"


@dataclass(frozen=True)
class Claim:
    """That one arm predicts hard conversions better than another.

    Attributes:
      paper_rig, paper_auc: what the paper reports for it, as printed there; empty where it
        reports nothing.
    """

    arm: str
    against: str
    paper_rig: str = ""
    paper_auc: str = ""


@dataclass(frozen=True)
class Experiment:
    """A named set of trainings and what is asked of them.

    Attributes:
      question: one sentence.
      notes: what a reader must know to read the tables right.
      sets: the examples that arms are compared on, see `judging.judge.what_is`.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()
    sets: tuple[str, ...] = ("hard",)
