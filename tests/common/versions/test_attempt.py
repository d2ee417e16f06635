"""Which versions of the push folder a run takes for its own leavings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.runs.info import RunInfo
from common.versions.attempt import Attempt
from common.versions.digest import config_digest
from common.versions.folder import ServingFolder

CONFIG: dict[str, Any] = {
    "as_of": "",
    "window_days": 50,
    "labelling": {"alpha": 0.01, "half_life_days": 7.0, "window_days": 28},
    "loss": {"weight_hard": 0.5, "weight_soft": 0.5},
    "training": {"epochs": 2, "batch_size": 9, "learning_rate": 0.1, "seed": 1},
}
RUN = RunInfo(run_id="second", as_of="2024-03-01", code_version="1.0+abc", config=CONFIG)
PARAMETERS = {"as_of": "2024-03-01", "alpha": 0.02}


def pushed(root: Path, number: int, **changes: Any) -> Path:
    """A version by the run `first`, with the same parameters, as the pusher writes it."""
    labelling = CONFIG["labelling"] | {"alpha": 0.02}
    config = CONFIG | {"as_of": "2024-03-01", "labelling": labelling}
    manifest = {
        "run_id": "first",
        "data": {"as_of": "2024-03-01"},
        "config_digest": config_digest(config),
        "code_version": "1.0+abc",
    }
    version = root / "serving" / str(number)
    (version / "assets.extra").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "assets.extra" / "manifest.json").write_text(json.dumps(manifest | changes))
    return version


def report(root: Path, run_id: str) -> None:
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    ("changes", "reported", "left"),
    [
        ({}, (), True),
        ({}, ("second",), True),
        ({}, ("first",), False),
        ({"data": {"as_of": "2024-02-29"}}, (), False),
        ({"config_digest": "sha256:other"}, (), False),
        ({"code_version": "1.0+def"}, (), False),
        ({"run_id": "second", "code_version": "1.0+def"}, (), True),
        ({"run_id": ""}, (), False),
    ],
)
def test_only_an_unreported_attempt_at_the_same_run_is_left_out(
    tmp_path: Path, changes: dict[str, Any], reported: tuple[str, ...], left: bool
) -> None:
    version = pushed(tmp_path, 12, **changes)
    for run_id in reported:
        report(tmp_path, run_id)
    assert Attempt.of(RUN, PARAMETERS, str(tmp_path)).left(version) is left


def test_the_version_before_is_compared_with(tmp_path: Path) -> None:
    pushed(tmp_path, 11, run_id="yesterday", data={"as_of": "2024-02-29"})
    folder = ServingFolder(tmp_path / "serving")
    before = folder.fingerprint()
    pushed(tmp_path, 12)
    attempt = Attempt.of(RUN, PARAMETERS, str(tmp_path))
    found = folder.newest(but=attempt.left)
    assert found is not None
    assert found.number == 11
    assert folder.fingerprint(but=attempt.left) == before
    report(tmp_path, "first")
    found = folder.newest(but=attempt.left)
    assert found is not None
    assert found.number == 12
