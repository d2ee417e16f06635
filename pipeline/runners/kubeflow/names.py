"""Names that the compiled pipeline and its containers agree on."""

from __future__ import annotations

RUN_ID_ENV = "KFP_RUN_ID"
"""Environment variable that names the run, for back ends that leave a placeholder unresolved."""
