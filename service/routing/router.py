"""Which model answers for a candidate (paper, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.routing.table import RoutingTable
from schemas.errors import InputError
from schemas.labelled import HARD
from service.routing.variants import ONE_TASK, AbTest

HARD_TOWER_MODEL, ONE_TASK_MODEL = "hard_tower", "one_task"
_MODELS = np.array([ONE_TASK_MODEL, HARD_TOWER_MODEL], object)


@dataclass(frozen=True)
class Decisions:
    """Answers for n candidates, arrays [n], of str where nothing else is said.

    Attributes:
      task: `hard`, `soft` or `fallback`.
      reason: why, see `common.routing.table.Routed`.
      model: `hard_tower` or `one_task`.
      variant: name of the A/B variant; the empty string without an experiment.
      cvr: float64, historical CVR; NaN where it is not known.
    """

    task: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    model: npt.NDArray[np.object_]
    variant: npt.NDArray[np.object_]
    cvr: npt.NDArray[np.float64]


class Router:
    """A routing table and, while an A/B test runs, its variants; safe to share by threads."""

    def __init__(self, table: RoutingTable, experiment: AbTest | None = None) -> None:
        self.table = table
        self.experiment = experiment

    def route(
        self,
        setup_ids: Sequence[str],
        categories: Sequence[str | None] | None = None,
        advertiser_types: Sequence[str | None] | None = None,
        keys: Sequence[str] | None = None,
    ) -> Decisions:
        """Where n candidates go.

        Args:
          setup_ids: n ids, see `schemas.setup_id`.
          categories, advertiser_types: n each, of use for setups that the table does not hold.
          keys: n keys that the experiment hashes.

        Raises:
          InputError: lengths differ, or there is an experiment and there are no keys.
        """
        routed = self.table.route(setup_ids, categories, advertiser_types)
        to_hard = routed.task == HARD
        variant = np.full(len(setup_ids), "", object)
        if self.experiment is not None:
            if keys is None or len(keys) != len(setup_ids):
                raise InputError(
                    f"keys: {None if keys is None else len(keys)} for {len(setup_ids)} setup ids "
                    f"in experiment {self.experiment.name!r}; wanted as many"
                )
            seen = dict.fromkeys(keys)
            arms = dict(zip(seen, self.experiment.assign(seen), strict=True))
            variant = np.array([arms[key].name for key in keys], object)
            to_hard = to_hard & np.array([arms[key].serves != ONE_TASK for key in keys], bool)
        model = _MODELS[to_hard.astype(np.int8)]
        return Decisions(routed.task, routed.reason, model, variant, routed.cvr)
