"""The newest version of a push folder, and its copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts

from components.last_blessed.executor import Executor
from schemas.errors import InputError


def push(folder: Path, name: str, manifest: str | None = "{}") -> Path:
    """A version with a model file, a variable and a manifest."""
    version = folder / name
    (version / "variables").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(f"graph {name}".encode())
    (version / "variables" / "variables.index").write_bytes(b"v")
    if manifest is not None:
        (version / "assets.extra").mkdir()
        (version / "assets.extra" / "manifest.json").write_text(manifest)
    return version


def execute(serving: Path | str, out: Path) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(out)
    out.mkdir()
    Executor(BaseExecutor.Context(tmp_dir=str(out.parent / "tmp"), unique_id="1")).Do(
        {},
        {"model": [model]},
        {"serving_dir": str(serving), "fingerprint": "", "as_of": "2024-03-20"},
    )
    return model


def test_copies_the_newest_version(tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    push(serving, "7")
    version = push(serving, "11")
    model = execute(serving, tmp_path / "out")
    copied = Path(model.uri) / "Format-Serving"
    files = [p.relative_to(version) for p in version.rglob("*") if p.is_file()]
    assert len(files) == 3
    for file in files:
        assert (copied / file).read_bytes() == (version / file).read_bytes()
    assert model.get_string_custom_property("version") == "11"
    assert model.get_string_custom_property("manifest_digest").startswith("sha256:44136fa3")
    record = json.loads((Path(model.uri) / "last_blessed.json").read_text())
    assert record == {
        "version": "11",
        "manifest_digest": model.get_string_custom_property("manifest_digest"),
        "as_of": "2024-03-20",
    }


def test_before_the_first_push(tmp_path: Path) -> None:
    model = execute(tmp_path / "serving", tmp_path / "out")
    assert [p.name for p in Path(model.uri).iterdir()] == ["last_blessed.json"]
    assert model.get_string_custom_property("version") == ""
    assert "version" in model.mlmd_artifact.custom_properties


def test_buckets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"serving_dir: 'gs://b/serving' is not a path"):
        execute("gs://b/serving", tmp_path / "out")
