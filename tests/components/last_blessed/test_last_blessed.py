"""The newest version of a push folder, and its copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts

from components.last_blessed.executor import Executor
from components.last_blessed.find import fingerprint, newest_version
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


def test_no_folder_no_version(tmp_path: Path) -> None:
    assert newest_version(tmp_path / "nowhere") is None
    assert newest_version(tmp_path) is None
    assert fingerprint(tmp_path / "nowhere") == ""


def test_newest_is_by_number_not_by_name(tmp_path: Path) -> None:
    for name in ("9", "10", "2"):
        push(tmp_path, name)
    newest = newest_version(tmp_path)
    assert newest is not None
    assert (newest.number, newest.path) == (10, tmp_path / "10")
    # sha256 of the two bytes {}
    assert newest.manifest_digest == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


@pytest.mark.parametrize(
    "name", [".staging-12", ".removed-12-ab", "12.tmp", "v12", "012", "-12", "1_2", "١٢"]
)
def test_names_that_are_no_numbers_are_ignored(tmp_path: Path, name: str) -> None:
    push(tmp_path, "7")
    push(tmp_path, name)
    newest = newest_version(str(tmp_path))
    assert newest is not None
    assert newest.number == 7


def test_half_copied_versions_and_files_are_ignored(tmp_path: Path) -> None:
    push(tmp_path, "7")
    (tmp_path / "8" / "variables").mkdir(parents=True)
    (tmp_path / "9").write_text("a file")
    newest = newest_version(tmp_path)
    assert newest is not None
    assert newest.number == 7


def test_fingerprint_follows_the_newest_version(tmp_path: Path) -> None:
    push(tmp_path, "7", '{"a": 1}')
    first = fingerprint(tmp_path)
    assert first.startswith("7:sha256:")
    push(tmp_path, "3")
    assert fingerprint(tmp_path) == first
    (tmp_path / "7" / "assets.extra" / "manifest.json").write_text('{"a": 2}')
    second = fingerprint(tmp_path)
    push(tmp_path, "8", '{"a": 2}')
    assert len({first, second, fingerprint(tmp_path)}) == 3


def test_fingerprint_without_manifest_is_the_graphs(tmp_path: Path) -> None:
    version = push(tmp_path, "7", manifest=None)
    first = fingerprint(tmp_path)
    (version / "saved_model.pb").write_bytes(b"another graph")
    assert fingerprint(tmp_path) != first
    newest = newest_version(tmp_path)
    assert newest is not None
    assert newest.manifest_digest == ""


def test_buckets_are_refused() -> None:
    with pytest.raises(InputError, match=r"serving_dir: 'gs://b/serving' is not a path"):
        newest_version("gs://b/serving")


def execute(serving: Path, out: Path) -> standard_artifacts.Model:
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
