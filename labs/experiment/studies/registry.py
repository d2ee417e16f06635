"""The named experiments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from labs.experiment.studies import assignment_studies, model_studies
from labs.experiment.studies.arms import Experiment, Settings
from labs.experiment.studies.facts import RunFacts
from schemas.errors import InputError


@dataclass(frozen=True)
class Named:
    """An experiment that can be asked for.

    Attributes:
      about: one line for the list.
      build: makes it for a run.
      rolling: whether arms are trained anew for each of several as-of days and judged on the days
        after it, and not on the run's eval period.
    """

    about: str
    build: Callable[[Settings, RunFacts], Experiment]
    rolling: bool = False


EXPERIMENTS: Mapping[str, Named] = MappingProxyType(
    {
        "table1": Named(
            "loss weights against training on hard examples alone", model_studies.table1
        ),
        "table2": Named("0 to 4 shared layers of 8", model_studies.table2),
        "table3": Named("two towers against one task", model_studies.table3),
        "depth": Named(
            "4 to 8 shared layers of 8: where sharing starts to hurt", model_studies.depth
        ),
        "layers": Named("what the layers add to the linear part", model_studies.layers),
        "architectures": Named(
            "MMoE and PLE against the shared bottom, at equal parameters",
            model_studies.architectures,
        ),
        "tiers": Named("two, three and five CVR tiers", model_studies.tiers),
        "freshness": Named(
            "what learning from yesterday is worth", model_studies.freshness, rolling=True
        ),
        "dose_response": Named(
            "two towers by the share of hard examples that is learned from",
            model_studies.dose_response,
        ),
        "transfer": Named("advertisers that training has not seen", model_studies.transfer),
        "ablation": Named(
            "tasks by statistics against tasks by declared category", assignment_studies.ablation
        ),
        "alpha": Named("alpha half a per cent lower and higher", assignment_studies.alpha),
        "stabiliser": Named(
            "assignments with and without the stabiliser", assignment_studies.stabiliser
        ),
    }
)


def build(name: str, settings: Settings, facts: RunFacts) -> Experiment:
    """The experiment of that name for a run.

    Raises:
      InputError: there is none, or the run lacks what it needs.
    """
    if name not in EXPERIMENTS:
        raise InputError(f"experiment: seen {name!r}, wanted one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name].build(settings, facts)
