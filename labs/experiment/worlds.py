"""An experiment over simulated worlds: which worlds, and what they say together.

A world is one draw of advertisers, campaigns, users and clicks. An interval over the setups of one
log tells nothing of other logs; several worlds do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.statistics.bootstrap import Draws
from labs.experiment.judging.results import Finding, SetResults
from labs.experiment.judging.statistics import over_worlds
from labs.experiment.run import Ended, Plan
from labs.simulator.settings import SimulatorSettings, parse_settings
from labs.simulator.simulate import RECORD, simulate
from schemas.errors import InputError

CORRELATIONS: Mapping[str, tuple[str, ...]] = {
    "rates": ("advertiser_correlation", "campaign_correlation"),
    "intent": ("correlation", "category_correlation"),
    "context": (
        "publisher_correlation",
        "app_correlation",
        "city_correlation",
        "creative_correlation",
    ),
}
"""By part of the simulator's settings: how alike soft and hard conversions are in what moves
them."""


@dataclass(frozen=True)
class World:
    """A log to simulate, all else being the simulator's defaults.

    Attributes:
      correlation: of all effects in `CORRELATIONS`.
      seed: of the simulator.
    """

    correlation: float
    seed: int
    clicks: int

    @property
    def name(self) -> str:
        """Fit for a folder."""
        return f"clicks-{self.clicks}_correlation-{self.correlation:g}_seed-{self.seed}"

    @property
    def words(self) -> str:
        return f"correlation {self.correlation:g}, seed {self.seed}"

    @property
    def settings(self) -> SimulatorSettings:
        """
        Raises:
          InputError: the simulator refuses a value.
        """
        alike = {part: dict.fromkeys(names, self.correlation) for part, names in CORRELATIONS.items()}
        return parse_settings({"clicks": self.clicks, "seed": self.seed, **alike}, self.name)

    def log(self, folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
        """Folder of its log under `folder`, simulated unless it is there already.

        Raises:
          InputError: a log of other settings, or something else, is there.
        """
        out, settings = folder / "log", self.settings
        record = out / RECORD
        if not record.is_file():
            simulate(settings, out, progress)
        found = json.loads(record.read_text(encoding="utf-8"))["settings"]
        if found != settings.model_dump(mode="json"):
            raise InputError(
                f"{record}: the log of another simulator's settings; wanted {folder} moved away"
            )
        return out


@dataclass(frozen=True)
class InWorld:
    """A finished experiment in one world."""

    world: World
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
    together: Finding
    worlds: tuple[Finding, ...]

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


def responses(found: Sequence[InWorld], draws: Draws) -> list[Response]:
    """Every claim of an experiment by every metric and correlation, correlations in their order.

    Args:
      found: the same experiment in each world.
    """
    made = []
    for correlation in dict.fromkeys(one.world.correlation for one in found):
        mine = [one for one in found if one.world.correlation == correlation]
        for sets in zip(*(one.ended.sets for one in mine), strict=True):
            for findings in zip(*(one.findings for one in sets), strict=True):
                first = findings[0]
                drawn = over_worlds([finding.drawn for finding in findings], draws)
                together = Finding.of(first.claim, first.metric, drawn, draws.confidence)
                made.append(Response(correlation, sets[0].name, together, findings))
    return made


def arm_means(found: Sequence[InWorld], correlation: float, place: int) -> dict[str, dict[str, float]]:
    """Metric -> mean over the worlds of a correlation, by arm.

    Args:
      place: of the set of examples.
    """
    sets: list[SetResults] = [
        one.ended.sets[place] for one in found if one.world.correlation == correlation
    ]
    return {
        arm: {
            metric: sum(one.arms[arm][metric].value for one in sets) / len(sets)
            for metric in metrics
        }
        for arm, metrics in sets[0].arms.items()
    }
