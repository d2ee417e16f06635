"""Runs a compiled pipeline as a cluster would, one step after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_emulator import launcher
from kfp_emulator.api_server import accept
from kfp_emulator.driver import Dag, DriverError, Run, provide_outputs, resolve_inputs

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"


@dataclass
class Cluster:
    """A cluster in a folder.

    Attributes:
      folder: holds `buckets/`, `claims/` and the steps' logs.
      knows_final_status: newer back ends do.
      publishes_logs: whether each step's log is one of its outputs.
      labels_runs: whether pods carry the run's id as a label.
    """

    folder: Path
    knows_final_status: bool = True
    publishes_logs: bool = True
    labels_runs: bool = True
    invocations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def buckets(self) -> Path:
        return self.folder / "buckets"

    def claim(self, name: str) -> Path:
        """The folder of a persistent volume claim."""
        return self.folder / "claims" / name

    def run(
        self,
        documents: list[dict[str, Any]],
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[Run, dict[str, str]]:
        """Runs the pipeline to its end.

        Returns:
          The run, and the state of every task that was tried.
        """
        spec, platform = documents
        values = accept(spec, spec["defaultPipelineRoot"], dict(parameters or {}))
        run_id = str(uuid.uuid4())
        name = spec["pipelineInfo"]["name"]
        root = f"{spec['defaultPipelineRoot']}/{name}/{run_id}"
        run = Run(run_id, f"{name}-run", root, self.knows_final_status)
        states: dict[str, str] = {}
        self._run_dag(spec["root"], Dag(values), run, spec, platform, states)
        return run, states

    def log(self, task: str) -> str:
        return (self.folder / f"{task}.log").read_text()

    def _run_dag(
        self,
        component: dict[str, Any],
        dag: Dag,
        run: Run,
        spec: dict[str, Any],
        platform: dict[str, Any],
        states: dict[str, str],
    ) -> str:
        waiting = dict(component["dag"]["tasks"])
        while waiting:
            ready = [
                n for n, t in waiting.items() if set(t.get("dependentTasks", [])) <= set(dag.states)
            ]
            if not ready:
                raise DriverError(f"tasks wait for one another: {sorted(waiting)}")
            name = ready[0]
            task = waiting.pop(name)
            upstream = [dag.states[other] for other in task.get("dependentTasks", [])]
            always = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            if not always and any(state != SUCCEEDED for state in upstream):
                dag.states[name] = "SKIPPED"
                continue
            dag.states[name] = self._run_task(name, task, dag, run, spec, platform, states)
            states[name] = dag.states[name]
        own = [
            dag.states[name]
            for name, task in component["dag"]["tasks"].items()
            if "strategy" not in task.get("triggerPolicy", {})
        ]
        return SUCCEEDED if all(state == SUCCEEDED for state in own) else FAILED

    def _run_task(
        self,
        name: str,
        task: dict[str, Any],
        dag: Dag,
        run: Run,
        spec: dict[str, Any],
        platform: dict[str, Any],
        states: dict[str, str],
    ) -> str:
        component = spec["components"][task["componentRef"]["name"]]
        try:
            inputs = resolve_inputs(task, component, dag, run)
        except DriverError as error:
            (self.folder / f"{name}.log").write_text(f"driver: {error}\n")
            return FAILED
        if "dag" in component:
            inner = Dag(inputs["parameterValues"])
            return self._run_dag(component, inner, run, spec, platform, states)
        label = component["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        task_name = task["taskInfo"]["name"]
        outputs = provide_outputs(task_name, component, run, self.publishes_logs)
        invocation = {"inputs": inputs, "outputs": outputs}
        self.invocations[name] = invocation
        config = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]
        recorded = self._in_container(name, container, invocation, config, run)
        if recorded is None:
            return FAILED
        dag.outputs[name] = recorded
        return SUCCEEDED

    def _in_container(
        self,
        name: str,
        container: dict[str, Any],
        invocation: dict[str, Any],
        config: dict[str, Any],
        run: Run,
    ) -> dict[str, Any] | None:
        environment = {}
        if self.labels_runs:
            environment = {e["name"]: run.run_id for e in config.get("fieldPathAsEnv", [])}
        job = {
            "buckets": str(self.buckets),
            "mounts": {
                str(self.claim(m["constant"])): m["mountPath"] for m in config.get("pvcMount", [])
            },
            "invocation": invocation,
            "command": [*container["command"], *container["args"]],
            "environment": environment,
        }
        for claim in job["mounts"]:
            Path(claim).mkdir(parents=True, exist_ok=True)
        request, result = self.folder / f"{name}.job.json", self.folder / f"{name}.result.json"
        request.write_text(json.dumps(job))
        result.unlink(missing_ok=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.folder / f"{name}.log").open("w") as log:
            done = subprocess.run(
                [
                    "unshare",
                    "--mount",
                    sys.executable,
                    launcher.__file__,
                    str(request),
                    str(result),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        if done.returncode:
            return None
        recorded: dict[str, Any] = json.loads(result.read_text())
        return recorded
