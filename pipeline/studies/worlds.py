"""An experiment over simulated worlds: each its own log, labelled and made ready for trainings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import click
import yaml

from common.as_of import resolve_as_of
from common.runs.info import RunInfo
from common.runs.provenance import code_version, run_name
from pipeline.config import PipelineConfig, load_config
from pipeline.runs.artifacts import RunArtifacts, artifacts_of
from pipeline.runs.debris import remove_debris, temporary_files
from pipeline.runs.lock import hold_output
from pipeline.runs.store import ARTIFACTS, check_store, follow_move
from pipeline.studies.experiment import ExperimentRequest, ended, planned, show
from pipeline.studies.frozen_run import EXPERIMENTS, FrozenRun, frozen_settings
from pipeline.terminal.console import Console
from pipeline.terminal.quiet import quiet_libraries

if TYPE_CHECKING:
    from labs.experiment.trainings.queue import QueueProgress
    from labs.experiment.worlds import WorldSpec

WORLDS = "worlds"
"""Folder under OUT with one folder a world, which is laid out as an output folder is."""

CONFIG = "simulator"


@dataclass(frozen=True)
class Far:
    """How far an experiment over worlds is.

    Attributes:
      world: the one it is at, in words.
      number, of: its place, from 1, and how many there are.
      trainings: in this world.
      left: seconds until the end of all worlds; None before the first training of one.
    """

    world: str
    number: int
    of: int
    trainings: QueueProgress
    left: float | None


def conduct_worlds(
    asked: ExperimentRequest,
    worlds: Sequence[WorldSpec],
    out: Path,
    overrides: Sequence[str],
    command: str,
    report: Callable[[Far], None],
) -> None:
    """Runs an experiment in each of some worlds, and writes `OUT/worlds/<name>/<moment>/`.

    Logs, labelled columns and trainings are kept: the same call goes on where it was interrupted.

    Args:
      overrides: of the config `simulator`, in all worlds.

    Raises:
      InputError: a setting is wrong, or a world's log is not fit for the experiment.
    """
    quiet_libraries()
    from common.files.local import finite
    from labs.experiment.judging.worlds import InWorld, responses
    from labs.experiment.show import worlds as page

    root = out / WORLDS
    clock, in_worlds = _Clock(len(worlds)), []
    for number, world in enumerate(worlds, start=1):
        folder = root / world.name
        click.echo(f"world {number} of {len(worlds)}: {world.words}", err=True)
        clock.begin()
        log = world.log(folder)
        config = load_config(CONFIG, [*overrides, f"input.root={str(log.absolute())!r}"])
        run = labelled(config, folder, command)
        frozen = FrozenRun(run, folder / EXPERIMENTS, frozen_settings(config))
        plan = planned(asked, frozen)

        def tell(progress: QueueProgress, number: int = number, world: WorldSpec = world) -> None:
            left = clock.left(number, progress)
            report(Far(world.words, number, len(worlds), progress, left))

        in_worlds.append(InWorld(world, plan, ended(plan, frozen, tell)))
    draws = frozen.draws
    over = responses(in_worlds, draws)
    now = datetime.now(UTC)
    origin = {
        "code_version": code_version(),
        "created": now.isoformat(timespec="seconds"),
        "command": command,
    }
    shown = yaml.safe_dump(
        {**frozen.settings.dump(), "worlds": [asdict(world) for world in worlds]}, sort_keys=False
    )
    show(
        root / asked.name / now.strftime("%Y%m%dT%H%M%SZ"),
        finite(page.results(in_worlds, over, draws, origin)),
        page.markdown(in_worlds, over, draws),
        page.html(in_worlds, over, draws, origin, shown),
    )


def labelled(config: PipelineConfig, out: Path, command: str) -> RunArtifacts:
    """Runs the pipeline as far as trainings need it: the log labelled, its features made.

    What an earlier call has made of the same log by the same code is taken over.

    Args:
      out: output folder of its own.

    Raises:
      InputError: the log is not fit for it.
    """
    # Read once, when TensorFlow's C++ side is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from pipeline.pipeline import Places, create_labelling_pipeline
    from pipeline.runners.local import run_local

    as_of = resolve_as_of(config.as_of)
    run_id = run_name(as_of)
    run = RunInfo(
        run_id=run_id,
        seed=config.training.seed,
        as_of=as_of.isoformat(),
        contract=config.data_contract.name,
        code_version=code_version(),
        command=command,
        config=config.model_dump(mode="json"),
    )
    out = out.absolute()
    console = Console(out / "labelling.log")
    with hold_output(out, run_id), console.captured_logs(), temporary_files(out):
        check_store(out)
        follow_move(out)
        remove_debris(out / ARTIFACTS)
        pipeline = create_labelling_pipeline(config, run, Places.under(out))
        run_local(pipeline, run_id, lambda stage: console.stage(stage, None))
    return artifacts_of(out, run_id, config, as_of)


class _Clock:
    """Time left, by what has been seen so far."""

    def __init__(self, worlds: int) -> None:
        self._worlds = worlds
        self._labelling: list[float] = []
        self._since = time.monotonic()

    def begin(self) -> None:
        """A world begins."""
        self._since = time.monotonic()

    def left(self, number: int, progress: QueueProgress) -> float | None:
        """Seconds until the end of all worlds, None before the first training of one.

        Args:
          number: of the world, from 1.
          progress: in it.
        """
        now = time.monotonic()
        if not progress.what:
            self._labelling.append(now - self._since)
            self._since = now
        if progress.left is None:
            return None
        training = (now - self._since) / (progress.done - progress.stored)
        each = mean(self._labelling) + training * progress.of
        return progress.left + each * (self._worlds - number)
