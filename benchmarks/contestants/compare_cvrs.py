"""Whether contestants computed the same CVRs."""

from __future__ import annotations

import pyarrow.parquet as pq

from benchmarks.contestants import labelling_task as task


def compare(wanted: str, found: str) -> dict[str, float]:
    """Rows of both folders' CVRs, how many pairs they share, and the largest difference."""
    ours, theirs = (
        {
            (row["setup_id"], row["day"]): row["cvr"]
            for row in pq.read_table(f"{folder}/{task.CVRS}").to_pylist()
        }
        for folder in (wanted, found)
    )
    shared = ours.keys() & theirs.keys()
    return {
        "ours": len(ours),
        "theirs": len(theirs),
        "shared": len(shared),
        "largest": max((abs(ours[key] - theirs[key]) for key in shared), default=float("inf")),
    }
