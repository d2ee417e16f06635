"""The simulated worlds that an experiment goes over.

A world is one draw of advertisers, campaigns, users and clicks. An interval over the setups of one
log tells nothing of other logs; several worlds do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labs.simulator.settings import SimulatorSettings, parse_settings
from labs.simulator.simulate import RECORD, simulate
from schemas import strict_json
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
class WorldSpec:
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
        alike = {
            part: dict.fromkeys(names, self.correlation) for part, names in CORRELATIONS.items()
        }
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
        recorded = strict_json.load(record.read_bytes())["settings"]
        if recorded != settings.model_dump(mode="json"):
            raise InputError(
                f"{record}: the log of another simulator's settings; wanted {folder} moved away"
            )
        return out
