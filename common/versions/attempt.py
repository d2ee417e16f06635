"""Attempts at one run: what one of them pushed before it was killed is no baseline for the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.local import read_local_json
from common.runs.info import RunInfo
from common.runs.parameters import with_parameters
from common.versions.digest import config_digest
from common.versions.reference import MANIFEST

REPORTED = "runs/{}/manifest.json"
"""Under the output folder, what the last stage of a run leaves."""


@dataclass(frozen=True)
class Attempt:
    """What two attempts at the same run share.

    Attributes:
      out: folder under which runs leave their reports.
      run_id: of this attempt.
    """

    as_of: str
    config_digest: str
    code_version: str
    out: str
    run_id: str

    @classmethod
    def of(cls, run: RunInfo, parameters: Mapping[str, Any], out: str) -> Attempt:
        """
        Args:
          parameters: of the run, laid over its config as the pusher does.
        """
        config = with_parameters(run.config, parameters)
        return cls(run.as_of, config_digest(config), run.code_version, out, run.run_id)

    def left(self, version: Path) -> bool:
        """Whether a version is of an attempt at this run that ended before it had reported.

        A judgement against it would be one of the model against itself, and no report would be
        left that compares the model with the one before.
        """
        manifest: dict[str, Any] = read_local_json(version / MANIFEST, {})
        run_id = str(manifest.get("run_id", ""))
        if not run_id:
            return False
        mine = (self.as_of, self.config_digest, self.code_version)
        earlier = (
            manifest.get("data", {}).get("as_of"),
            manifest.get("config_digest"),
            manifest.get("code_version"),
        )
        same = run_id == self.run_id or earlier == mine
        return same and not (Path(self.out) / REPORTED.format(run_id)).is_file()
