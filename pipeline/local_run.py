"""A run on this machine: checks first, then the pipeline with its progress, then the summary."""

from __future__ import annotations

import logging
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.as_of import resolve_as_of
from components.common.run_info import RunInfo
from components.example_gen.source import Window
from pipeline.config import PipelineConfig
from pipeline.console import Console
from pipeline.provenance import code_version, run_name
from schemas.errors import InputError

if TYPE_CHECKING:
    from pipeline.runners.local import Stage

logger = logging.getLogger(__name__)


def check_input(config: PipelineConfig) -> None:
    """Looks at the log's files before anything slow starts.

    Raises:
      InputError: a file, a partition or a column is missing.
    """
    contract = config.data_contract
    if contract.input.format == "bigquery":
        return
    from components.example_gen.readers import open_source

    window = Window.before(resolve_as_of(config.as_of), config.window_days)
    open_source(contract, Path(config.input.root), window).shards()


def run_pipeline(config: PipelineConfig, out: Path, command: str) -> bool:
    """Runs the pipeline and prints what came of it.

    Args:
      out: folder for runs, serving versions, artifacts and the metadata store.
      command: command line that repeats the run, for the record.

    Returns:
      Whether the candidate was blessed.

    Raises:
      InputError: the input breaks the contract, or the data gate stopped the run.
    """
    as_of = resolve_as_of(config.as_of)
    run_id = run_name(as_of)
    folder = (out / "runs" / run_id).absolute()
    folder.mkdir(parents=True)
    console = Console(folder / "run.log")
    console.heading(config.name, run_id, as_of, config.window_days)
    with console.captured_logs():
        try:
            _execute(config, as_of, run_id, out.absolute(), command, console)
        except InputError:
            raise
        except Exception:
            logger.exception("the run failed")
            raise
    return console.summary(out, folder)


def _execute(
    config: PipelineConfig, as_of: date, run_id: str, out: Path, command: str, console: Console
) -> None:
    # Read once, when TensorFlow's C++ side is loaded; it reports errors as exceptions as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console.note("loading TFX")
    from pipeline.pipeline import Places, create_pipeline
    from pipeline.runners.local import run_local

    run = RunInfo(
        run_id=run_id,
        seed=config.training.seed,
        as_of=as_of.isoformat(),
        contract=config.data_contract.name,
        code_version=code_version(),
        command=command,
        config=config.model_dump(mode="json"),
    )
    places = Places.under(out)

    def on_stage(stage: Stage) -> None:
        console.stage(stage.name, stage.number, stage.of, stage.seconds, stage.reused)

    run_local(create_pipeline(config, run, places), run_id, on_stage)
