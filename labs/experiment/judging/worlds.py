"""What an experiment's findings in several worlds say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.statistics.bootstrap import Draws
from labs.experiment.judging.results import JudgedClaim, SetResults
from labs.experiment.judging.statistics import over_worlds
from labs.experiment.run import Ended, Plan
from labs.experiment.worlds import WorldSpec


@dataclass(frozen=True)
class InWorld:
    """A finished experiment in one world."""

    world: WorldSpec
    plan: Plan
    ended: Ended


@dataclass(frozen=True)
class Response:
    """A claim judged by one metric in all worlds of one correlation.

    Attributes:
      together: the mean difference, with an interval over worlds, setups and seeds.
      worlds: the finding of each.
    """

    correlation: float
    set_name: str
    together: JudgedClaim
    worlds: tuple[JudgedClaim, ...]

    @property
    def supported(self) -> int:
        """In how many worlds alone."""
        return sum(finding.supported for finding in self.worlds)

    def dump(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "correlation": self.correlation,
            "set": self.set_name,
            **self.together.dump(),
            "worlds": [finding.dump() for finding in self.worlds],
        }


def responses(in_worlds: Sequence[InWorld], draws: Draws) -> list[Response]:
    """Every claim of an experiment by every metric and correlation, correlations in their order.

    Args:
      in_worlds: the same experiment in each world.
    """
    made = []
    for correlation in dict.fromkeys(one.world.correlation for one in in_worlds):
        mine = [one for one in in_worlds if one.world.correlation == correlation]
        for sets in zip(*(one.ended.sets for one in mine), strict=True):
            for findings in zip(*(one.findings for one in sets), strict=True):
                first = findings[0]
                drawn = over_worlds([finding.drawn for finding in findings], draws)
                together = JudgedClaim.of(first.claim, first.metric, drawn, draws.confidence)
                made.append(Response(correlation, sets[0].name, together, findings))
    return made


def arm_means(
    in_worlds: Sequence[InWorld], correlation: float, place: int
) -> dict[str, dict[str, float]]:
    """Metric -> mean over the worlds of a correlation, by arm.

    Args:
      place: of the set of examples.
    """
    sets: list[SetResults] = [
        one.ended.sets[place] for one in in_worlds if one.world.correlation == correlation
    ]
    return {
        arm: {
            metric: sum(one.arms[arm][metric].value for one in sets) / len(sets)
            for metric in metrics
        }
        for arm, metrics in sets[0].arms.items()
    }
