"""A run on this machine: checks first, then the pipeline with its progress, then the summary."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from common.files.atomic import run_folder
from common.files.local import read_local_json
from common.runs.files import RunFile
from common.runs.info import RunInfo
from common.runs.provenance import code_version, run_name
from common.versions.attempt import Attempt
from pipeline.config import PipelineConfig
from pipeline.runs.debris import remove_debris, temporary_files
from pipeline.runs.harm import harm_of_labels
from pipeline.runs.lock import hold_output
from pipeline.runs.outlook import Outlook, look_ahead
from pipeline.runs.progress import Progress, Stage, recorded
from pipeline.runs.record import RunRecord, one_line, read_record, stamp
from pipeline.runs.store import ARTIFACTS, check_store, follow_move
from pipeline.terminal.console import Console
from schemas.errors import InputError, RunError

logger = logging.getLogger(__name__)

LABELLER = "TaskLabeler"


def run_pipeline(
    config: PipelineConfig, out: Path, command: str, run_id: str = "", queue: bool = False
) -> bool:
    """Runs the pipeline and prints what came of it; `runs/<run_id>/run.json` tells how far it is.

    Args:
      out: folder for runs, serving versions, artifacts and the metadata store.
      command: command line that repeats the run, for the record.
      run_id: name of the run; made of the as-of day and the time when empty.
      queue: wait for a run that is going on in the folder, instead of refusing.

    Returns:
      Whether the candidate was blessed.

    Raises:
      InputError: the input breaks the contract, the data gate stopped the run, the name is taken,
        another run is going on in the folder, or its metadata store is lost or broken.
      RunError: a stage failed for any other reason, such as a full disk.
    """
    out = out.absolute()
    if marks := sorted({mark for mark in "*?[]" if mark in str(out)}):
        raise InputError(
            f"--out {out}: seen {' '.join(marks)}, wanted a path without: TFX looks for files by "
            "pattern"
        )
    outlook = look_ahead(config, out)
    as_of = outlook.as_of
    name = run_id or run_name(as_of)
    folder = run_folder(out, name)
    queued = read_record(folder)
    if folder.exists() and (queued is None or queued.status != "queued"):
        raise InputError(f"{folder}: there is a run of this name already; wanted a new one")
    console = Console(folder / "run.log")
    with hold_output(out, name, queue, lambda who: console.note(f"waiting for {who}")):
        folder.mkdir(parents=True, exist_ok=queued is not None)
        record = RunRecord(
            run_id=name,
            status="running",
            as_of=as_of.isoformat(),
            config=config.name,
            command=command,
            pid=os.getpid(),
            started=stamp(),
            trigger=queued.trigger if queued is not None else None,
        )
        try:
            with recorded(out, record) as progress:
                console.heading(config.name, name, outlook.lines())
                with console.captured_logs():
                    try:
                        check_store(out)
                        if home := follow_move(out):
                            console.note(f"was {home}: goes on from the results in {out}")
                        remove_debris(out / ARTIFACTS)
                        with temporary_files(out):
                            _execute(config, outlook, name, out, command, console, progress)
                    except InputError:
                        raise
                    except Exception as error:
                        logger.exception("the run failed")
                        reason = one_line(f"{type(error).__name__}: {error}")
                        stage = progress.record.stage or "start"
                        raise RunError(
                            f"run {name}: {stage}: {reason} (all of it in {folder / 'run.log'})"
                        ) from error
                manifest = read_local_json(folder / RunFile.MANIFEST)
                progress.judged(manifest["verdict"], manifest["version"])
        finally:
            from components.reporter.index import write_index

            write_index(out)
        return console.summary(out, folder)


def _execute(
    config: PipelineConfig,
    outlook: Outlook,
    run_id: str,
    out: Path,
    command: str,
    console: Console,
    progress: Progress,
) -> None:
    # Read once, when TensorFlow's C++ side is loaded; it reports errors as exceptions as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console.note("loading TFX")
    from pipeline.pipeline import Places, create_pipeline, default_parameters
    from pipeline.runners.local import run_local
    from pipeline.runs.artifacts import assignments_of

    run = RunInfo(
        run_id=run_id,
        seed=config.training.seed,
        as_of=outlook.as_of.isoformat(),
        contract=config.data_contract.name,
        code_version=code_version(),
        command=command,
        config=config.model_dump(mode="json"),
    )
    attempt = Attempt.of(run, default_parameters(config, run), str(out))
    places = Places.under(out, attempt)

    def on_stage(stage: Stage) -> None:
        progress.stage(stage)
        console.stage(stage, (outlook.seconds or {}).get(stage.name))
        if stage.name == LABELLER and stage.seconds is not None and not stage.reused:
            for warning in harm_of_labels(config, assignments_of(out, run_id)):
                console.note(warning)

    run_local(create_pipeline(config, run, places), run_id, on_stage)
