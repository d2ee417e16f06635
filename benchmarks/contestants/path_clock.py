"""Cost of each stage of a chain that runs in one process."""

from __future__ import annotations

import time
from pathlib import Path

from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline

from benchmarks.child import peak_gb
from pipeline.runners.local import Stage, run_local

PEAK_RESET = "5"
"""What /proc/self/clear_refs takes to forget the largest resident set so far (proc(5))."""

Costs = dict[str, dict[str, float]]
"""Of each stage: wall and cpu in seconds over all threads, peak_gb resident while it ran."""


class StageClock:
    """Measures stages that run one after the other in this process; `costs` holds the figures."""

    def __init__(self) -> None:
        self.costs: Costs = {}

    def begin(self) -> None:
        Path("/proc/self/clear_refs").write_text(PEAK_RESET, encoding="utf-8")
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def end(self, name: str) -> None:
        self.costs[name] = {
            "wall": time.perf_counter() - self._wall,
            "cpu": time.process_time() - self._cpu,
            "peak_gb": peak_gb(),
        }

    def run(self, components: list[object], out: str) -> None:
        """Runs components by TFX's launcher in an empty folder; a stage includes its metadata."""

        def on_stage(stage: Stage) -> None:
            if stage.seconds is None:
                self.begin()
            else:
                self.end(stage.name)

        pipeline = tfx_pipeline.Pipeline(
            pipeline_name="data_path",
            pipeline_root=f"{out}/artifacts",
            components=components,
            enable_cache=False,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                f"{out}/metadata.sqlite"
            ),
        )
        run_local(pipeline, "benchmark", on_stage)


def output_dir(out: str, node: str, output: str) -> Path:
    """The one artifact of a node's output."""
    [folder] = Path(out, "artifacts", node, output).iterdir()
    return folder
