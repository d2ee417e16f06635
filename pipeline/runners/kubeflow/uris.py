"""Bucket URIs and the folders that Kubeflow's launcher keeps their files in.

Before a step starts, the launcher copies its input artifacts to `/minio/...`, `/s3/...` or
`/gcs/...`, and afterwards uploads what lies there for each output whose URI names the bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.runners.kubeflow.targets import VERTEX, Target

FOLDERS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
"""URI scheme -> folder of the buckets."""


def to_local(uri: str, target: Target) -> str:
    """Where the files of a bucket's URI are; on Vertex AI `gs://` is read as it is."""
    for scheme, folder in FOLDERS.items():
        if uri.startswith(scheme) and not (target == VERTEX and scheme == "gs://"):
            return folder + uri.removeprefix(scheme)
    return uri


def to_remote(path: str, buckets: frozenset[str]) -> str:
    """The URI of a path below one of the buckets (URIs such as `minio://name`)."""
    for bucket in buckets:
        folder = to_local(bucket, "kfp")
        if path == folder or path.startswith(folder + "/"):
            return bucket + path.removeprefix(folder)
    return path


def bucket_of(uri: str) -> str | None:
    """`scheme://bucket` of a URI; none of any other path."""
    scheme, mark, rest = uri.partition("://")
    if not mark or scheme + mark not in FOLDERS:
        return None
    return scheme + mark + rest.partition("/")[0]


def artifacts_of(side: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every artifact of an executor's inputs, outputs or output message, in JSON names."""
    for entry in side.get("artifacts", {}).values():
        yield from entry.get("artifacts", [])
