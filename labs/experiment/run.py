"""An experiment from a run's data to its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.days import to_date
from common.statistics.bootstrap import Draws
from labs.experiment.judging.judge import Bench, Trained
from labs.experiment.judging.results import SetResults, measure
from labs.experiment.studies.arms import Arm, Experiment
from labs.experiment.studies.assignments import Log, assigned
from labs.experiment.studies.cuts import Subsample
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.queue import QueueProgress, work_off
from labs.experiment.trainings.rolling import Rolled
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import Job, check


@dataclass(frozen=True)
class Plan:
    """What is run, and how.

    Attributes:
      seeds: of the trainings, at least one.
      code: fingerprint of the trainer's sources.
      jobs: processes that train.
      rolled: the as-of days of a rolling experiment.
    """

    experiment: Experiment
    data: FrozenData
    log: Log
    seeds: tuple[int, ...]
    sample: Subsample
    draws: Draws
    code: str
    jobs: int
    rolled: tuple[Rolled, ...] = ()

    def data_of(self, arm: Arm) -> tuple[FrozenData, ...]:
        """What an arm is trained on, once each."""
        if arm.knows is None:
            return (self.data,)
        return tuple(rolled.known(arm.knows) for rolled in self.rolled)


@dataclass(frozen=True)
class Ended:
    """A finished experiment.

    Attributes:
      assignments: facts of each arm's assignment where it is not the frozen one, by arm.
      trainings: of each arm, one a seed and fold: `key`, `seed`, `seconds`, `kept_step`,
        `stopped_by`, `parameters`, `calibration` (None without).
    """

    sets: list[SetResults]
    assignments: dict[str, dict[str, Any]]
    trainings: dict[str, list[dict[str, Any]]]


def run_experiment(
    plan: Plan,
    store: Store,
    report: Callable[[QueueProgress], None],
    note: Callable[[str], None],
) -> Ended:
    """Trains what is not stored yet, and measures.

    Args:
      store: of finished trainings.
      report: called as trainings end.
      note: called with a line when something slow begins.

    Raises:
      InputError: an arm cannot be assigned or trained.
    """
    facts: dict[str, dict[str, Any]] = {}
    trained: dict[str, list[Trained]] = {}
    queue: dict[str, tuple[str, Job]] = {}
    for arm in plan.experiment.arms:
        folder, digest = None, "frozen"
        if arm.assignment is not None:
            note(f"assigning {arm.name}")
            own_sides = assigned(arm.assignment, plan.data, plan.log)
            folder, digest, facts[arm.name] = own_sides.folder, own_sides.digest, own_sides.facts
        trained[arm.name] = []
        for seed in plan.seeds:
            jobs = [
                Job(
                    data,
                    arm.settings,
                    seed,
                    plan.sample,
                    folder,
                    digest,
                    arm.swapped,
                    arm.folds,
                    fold,
                    arm.hard_kept,
                )
                for data in plan.data_of(arm)
                for fold in range(arm.folds or 1)
            ]
            keyed = tuple((job.key(plan.code), job) for job in jobs)
            trained[arm.name].append(Trained(arm, keyed))
    # Seed by seed, so that an interrupted experiment has whole comparisons of its first seeds.
    for turn in range(len(plan.seeds)):
        for name, seeds in trained.items():
            for key, job in seeds[turn].jobs:
                fold = f", fold {job.fold + 1}" if job.folds else ""
                day = f", as of {to_date(job.data.day)}" if isinstance(job.data, Rolled) else ""
                queue.setdefault(key, (f"{name}{day}, seed {job.seed}{fold}", job))
    for key, (_, job) in queue.items():
        if not store.has(key):
            check(job)
    work_off(queue, store, plan.jobs, report)
    bench = Bench(plan.rolled or (plan.data,), [job for _, job in queue.values()])
    sets = measure(
        plan.experiment,
        bench,
        trained,
        store,
        plan.log.root,
        plan.log.labelling.alpha,
        plan.draws,
        lambda name: note(f"measuring on {name}"),
    )
    trainings = {
        name: [_short(key, job, store) for one in seeds for key, job in one.jobs]
        for name, seeds in trained.items()
    }
    return Ended(sets, facts, trainings)


def _short(key: str, job: Job, store: Store) -> dict[str, Any]:
    record = store.record(key)
    kept = ("seconds", "kept_step", "stopped_by", "parameters", "calibration")
    return {"key": key, "seed": job.seed, **{name: record[name] for name in kept}}
