"""Works off four trainings in two workers of a process that a test kills."""

from __future__ import annotations

import sys
from pathlib import Path

from experiment_settings import frozen_in, settings_of

from labs.experiment.studies.cuts import Subsample
from labs.experiment.trainings.queue import work_off
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import Job


def main(data: Path, store: Path, settings: str) -> None:
    chosen, frozen = settings_of(settings), frozen_in(data)
    made = [Job(frozen, chosen, seed, Subsample()) for seed in range(4)]
    jobs = {job.key("code"): (f"seed {job.seed}", job) for job in made}
    work_off(jobs, Store(store), 2, lambda _: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
