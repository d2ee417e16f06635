"""The launcher, which runs inside the step's container: `python launcher.py JOB RESULT`.

JOB and RESULT are JSON files. A job holds `buckets` (the folder that stands for the object store),
`mounts` (folder -> where the container sees it), `invocation` (`ExecutorInput`) and `command`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SCHEMES = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
FRESH = ("/minio", "/mnt", "/tmp/kfp_outputs")
"""Folders that are empty when a container starts."""


def local_path(uri: str) -> Path | None:
    for scheme, folder in SCHEMES.items():
        if uri.startswith(scheme):
            return Path(folder + uri.removeprefix(scheme))
    return None


def stored(uri: str, buckets: Path) -> Path:
    return buckets / uri.replace("://", "/", 1)


def copy(source: Path, target: Path) -> None:
    """Copies what an object store can hold: files, and the folders on their way."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    for file in source.rglob("*"):
        if file.is_file():
            copy(file, target / file.relative_to(source))


def prepare(mounts: dict[str, str]) -> None:
    """Empty folders and volumes, in this mount namespace alone."""
    for folder in FRESH:
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for source, target in mounts.items():
        Path(target).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", source, target], check=True)


def artifacts(side: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry["artifacts"][0]) for name, entry in side.get("artifacts", {}).items()]


def refuse_nulls(value: Any, place: str) -> None:
    if value is None:
        raise SystemExit(f"null in executor output at {place}")
    for key, inner in value.items() if isinstance(value, dict) else ():
        refuse_nulls(inner, f"{place}.{key}")


def launch(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the command; output -> artifact as the metadata store would have it."""
    buckets, invocation = Path(job["buckets"]), job["invocation"]
    prepare(job["mounts"])
    for _, artifact in artifacts(invocation["inputs"]):
        if (path := local_path(artifact["uri"])) is not None:
            copy(stored(artifact["uri"], buckets), path)
    for _, artifact in artifacts(invocation["outputs"]):
        if (path := local_path(artifact["uri"])) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    output_file = Path(invocation["outputs"]["outputFile"])
    output_file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(invocation)
    command = [argument.replace("{{$}}", text) for argument in job["command"]]
    done = subprocess.run(command, check=False, cwd="/", env={**os.environ, **job["environment"]})
    if done.returncode:
        raise SystemExit(done.returncode)
    answer = json.loads(output_file.read_text()) if output_file.exists() else {}
    refuse_nulls(answer, "")
    answered = dict(artifacts(answer))
    recorded = {}
    for name, artifact in artifacts(invocation["outputs"]):
        said = answered.get(name, {})
        uri = said.get("uri") or artifact["uri"]
        metadata = artifact["metadata"] | said.get("metadata", {})
        if (path := local_path(uri)) is not None:
            copy(path, stored(uri, buckets))
        recorded[name] = {**artifact, "uri": uri, "metadata": metadata, "name": f"{name}-of-{uri}"}
    return recorded


if __name__ == "__main__":
    result = launch(json.loads(Path(sys.argv[1]).read_text()))
    Path(sys.argv[2]).write_text(json.dumps(result))
