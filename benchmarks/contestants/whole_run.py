"""One run of the pipeline with its parts timed; for a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from common.as_of import resolve_as_of
from common.runs.info import RunInfo
from pipeline.config import load_config


def whole_run(config: str, overrides: list[str], out: str) -> dict[str, Any]:
    """Runs the whole pipeline in an empty folder.

    Returns:
      `imports`: seconds of imports and of compiling the DAG; `stages`: for each stage its wall
      time and its executor's; `clicks`: rows read.
    """
    settings = load_config(config, overrides)
    began = time.perf_counter()
    from tfx.orchestration.portable import launcher

    from pipeline.pipeline import Places, create_pipeline
    from pipeline.runners.local import Stage, run_local

    executors: list[float] = []
    run_executor = launcher.Launcher._run_executor

    def timed(self: Any, *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return run_executor(self, *arguments, **options)
        finally:
            executors.append(time.perf_counter() - start)

    launcher.Launcher._run_executor = timed
    stages: dict[str, dict[str, float]] = {}

    def on_stage(stage: Stage) -> None:
        if stage.seconds is None:
            executors.clear()
            stages.setdefault("", {"imports": time.perf_counter() - began})
        else:
            # Nodes that only resolve artifacts have no executor.
            stages[stage.name] = {"wall": stage.seconds, "executor": sum(executors)}

    folder = Path(out)
    folder.mkdir(parents=True)
    as_of = resolve_as_of(settings.as_of)
    run = RunInfo(
        run_id="benchmark",
        seed=settings.training.seed,
        as_of=as_of.isoformat(),
        contract=settings.data_contract.name,
        code_version="benchmark",
        command="benchmarks.stages",
        config=settings.model_dump(mode="json"),
    )
    run_local(create_pipeline(settings, run, Places.under(folder)), run.run_id, on_stage)
    imports = stages.pop("")["imports"]
    return {"imports": imports, "stages": stages, "clicks": _clicks(folder)}


def _clicks(out: Path) -> int:
    import json

    report = next(out.glob("artifacts/ClickLogGen/report/*/ingest.json"))
    rows: int = json.loads(report.read_text(encoding="utf-8"))["rows"]
    return rows
