"""A finished run as experiments and searches use it: its settings and its data, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from common.files.local import read_local_json
from common.runs.files import AssignmentFile
from common.runs.provenance import code_fingerprint
from pipeline.config import PipelineConfig
from pipeline.overrides import with_overrides
from pipeline.runs.artifacts import RunArtifacts, find_artifacts
from pipeline.terminal.quiet import quiet_libraries
from schemas.checked import checked

if TYPE_CHECKING:
    from common.statistics.bootstrap import Draws
    from labs.experiment.studies.arms import Settings
    from labs.experiment.trainings.data import FrozenData

UNCHANGED = {"warm_start": "off", "gradient_examples": 0}
"""Training settings that trainings on a frozen run fix: each starts from its seed, and no time goes
into what changes no weight."""


EXPERIMENTS = "experiments"
"""Under the output folder."""


@dataclass(frozen=True)
class FrozenRun:
    """A finished run to train on.

    Attributes:
      folder: OUT/experiments.
      settings: of the run, with overrides, as all trainings share them.
    """

    run: RunArtifacts
    folder: Path
    settings: Settings

    @cached_property
    def data(self) -> FrozenData:
        """The run's transformed examples, kept under `folder`: read from the run once.

        Raises:
          InputError: an example or the log's truth cannot be read.
        """
        return self._kept(self.run.transform_graph)

    @cached_property
    def served_data(self) -> FrozenData:
        """As `data`, by the served fit's graph, which knows the ids of all days."""
        return self._kept(self.run.served_transform_graph or self.run.transform_graph)

    def _kept(self, transform_graph: str) -> FrozenData:
        from labs.experiment.trainings.data import DataOrigin, keep

        frozen = read_local_json(Path(self.run.task_assignments) / AssignmentFile.SETTINGS)
        source = DataOrigin(
            self.run.labelled_columns,
            transform_graph,
            self.run.config.data_contract,
            Path(self.run.config.input.root),
            str(frozen["assignment_id"]),
        )
        return keep(source, self.folder / "data")

    @property
    def draws(self) -> Draws:
        """Confidence, resamples and seed of intervals, as the run's evaluation has them."""
        from common.statistics.bootstrap import Draws

        evaluation = self.run.config.evaluation
        return Draws(evaluation.resamples, evaluation.seed, evaluation.confidence)

    @property
    def code(self) -> str:
        """Fingerprint of the sources that decide a training."""
        return code_fingerprint("labs.experiment.trainings.training")


def open_run(out: Path, run_id: str | None, overrides: Sequence[str]) -> FrozenRun:
    """The run named, or the newest finished one, with overrides of model, loss and training.

    Raises:
      InputError: there is no such run, or a key or a value is wrong.
    """
    quiet_libraries()
    run = find_artifacts(out, run_id)

    config = checked(PipelineConfig, with_overrides(run.config.model_dump(), overrides), "--set")
    return FrozenRun(run, out / EXPERIMENTS, frozen_settings(config))


def frozen_settings(config: PipelineConfig) -> Settings:
    """Of a config, as trainings on frozen data take them."""
    from labs.experiment.studies.arms import Settings

    return Settings(config.model, config.loss, config.training).but(training=UNCHANGED)
