"""What compiler, linter and containers agree on."""

from __future__ import annotations

ENTRYPOINT = ("python", "-m", "pipeline.runners.kubeflow.entrypoint")
"""Command of every container."""
RUN_ID_ENV = "KFP_RUN_ID"
"""Environment variable that names the run, for back ends that leave a placeholder unresolved."""
UNCACHED = ("ClickLogGen", "LastBlessed", "DataGate", "HardTowerPusher", "RunReport", "RunVerdict")
"""Steps that read the log or the push folder, or write outside of their artifacts."""
