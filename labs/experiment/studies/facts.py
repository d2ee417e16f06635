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
      unjudged_days: from the first day that the run's fits are judged on to the as-of day: eval
        period and attribution window.
      timed: whether the log tells when clicks converted.
      day_sets: names of the sets of examples after each as-of day of a rolling experiment.
    """

    contract: str
    layout: FeatureLayout
    alpha: float
    truth: bool
    categories: bool
    advertisers: bool
    unjudged_days: int = 0
    timed: bool = True
    day_sets: tuple[str, ...] = ()
