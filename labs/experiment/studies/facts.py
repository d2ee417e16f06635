"""What experiments ask about a run before they are put together."""

from __future__ import annotations

from dataclasses import dataclass

from components.transform.layout import FeatureLayout


@dataclass(frozen=True)
class RunFacts:
    """A run in short.

    Attributes:
      contract: its name.
      layout: of its features.
      alpha: of the run's labelling.
      truth: whether the simulator's truth lies beside the log.
      categories, advertisers: whether the contract names such a role.
    """

    contract: str
    layout: FeatureLayout
    alpha: float
    truth: bool
    categories: bool
    advertisers: bool
