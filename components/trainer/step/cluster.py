"""The workers that train together, as `TF_CONFIG` lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import InputError

VARIABLE = "TF_CONFIG"

_CHIEFS = ("chief", "master")
"""Names of the first worker's role; `master` is an older one."""

_UNUSED = ("evaluator",)
"""Roles that a cluster may list and that take no part in training."""


@dataclass(frozen=True)
class Cluster:
    """Workers in the order of their ranks, the chief first.

    Attributes:
      workers: `host:port` of each, two or more.
      rank: this process's place among them.
    """

    workers: tuple[str, ...]
    rank: int

    @property
    def chief(self) -> bool:
        """Whether this process writes models, checkpoints and logs."""
        return self.rank == 0


def cluster_from(environment: Mapping[str, str]) -> Cluster | None:
    """Reads `TF_CONFIG`; none where it is unset or lists one worker only.

        {"cluster": {"chief": ["host:port"], "worker": ["host:port", ...]},
         "task": {"type": "worker", "index": 0}}

    Without a chief, worker 0 is the chief.

    Raises:
      InputError: the variable is not such an object, names a role or rank that the cluster does
        not have, or lists parameter servers.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        config: Any = json.loads(text)
        jobs = {str(job): list(hosts) for job, hosts in config.get("cluster", {}).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{VARIABLE}: {text!r}; wanted a JSON object (cluster, task)") from error
    unknown = set(jobs) - {*_CHIEFS, *_UNUSED, "worker"}
    if unknown:
        raise InputError(
            f"{VARIABLE}: cluster has {', '.join(sorted(unknown))}; wanted chief and worker alone "
            "(the workers mirror the network: there are no parameter servers)"
        )
    ranks = [(job, i) for job in (*_CHIEFS, "worker") for i in range(len(jobs.get(job, ())))]
    if len(ranks) < 2:
        return None
    task = config.get("task")
    try:
        own = (str(task["type"]), int(task["index"]))
        rank = ranks.index(own)
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(f"{job} {i}" for job, i in ranks)
        raise InputError(f"{VARIABLE}: task is {task!r}; wanted one of {known}") from error
    return Cluster(tuple(str(jobs[job][i]) for job, i in ranks), rank)
