"""Orchestrators to compile for, and what compiler, linter and containers agree on."""

from __future__ import annotations

from typing import Literal, get_args

Target = Literal["kfp", "vertex"]
KFP: Target = "kfp"
VERTEX: Target = "vertex"
TARGETS: tuple[Target, ...] = get_args(Target)

ENTRYPOINT = ("python", "-m", "pipeline.runners.kubeflow.entrypoint")
"""Command of every container."""
RUN_ID_ENV = "KFP_RUN_ID"
"""Environment variable that names the run, for back ends that leave a placeholder unresolved."""
UNCACHED = ("ClickLogGen", "LastBlessed", "DataGate", "HardTowerPusher", "RunReport", "RunVerdict")
"""Steps that read the log or the push folder, or write outside of their artifacts."""
