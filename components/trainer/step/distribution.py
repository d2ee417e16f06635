"""Which devices and workers a training runs on."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import tensorflow as tf

from common.pages.text import counted
from components.trainer.data.batches import Batch
from components.trainer.network.network import TwoTowerDCN
from components.trainer.step.loss import Losses
from components.trainer.step.replicated import ReplicatedStep, worker_errors
from components.trainer.step.step import TrainStep
from schemas.errors import InputError

Devices = Literal["auto", "cpu", "gpu"]

_log = logging.getLogger("hardtower")


@dataclass(frozen=True)
class NetworkView:
    """A network that is trained, and where to look at it.

    Attributes:
      network: the trained one itself where it has one replica, else a copy.
      trained: the one that steps change.
    """

    network: TwoTowerDCN
    trained: TwoTowerDCN

    def refresh(self) -> None:
        """Copies the trained values into `network`, where it is a copy."""
        if self.network is not self.trained:
            pairs = zip(self.network.variables, self.trained.variables, strict=True)
            for own, trained in pairs:
                own.assign(trained.read_value())


@dataclass(frozen=True)
class Distribution:
    """How a training is spread; by default it is not, and nothing here costs anything.

    Attributes:
      strategy: of more than one replica; none is one replica on TensorFlow's default device.
      cluster: the workers, where there is more than one.
    """

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def chief(self) -> bool:
        """Whether this process writes what a training leaves behind."""
        return self.cluster is None or self.cluster.chief

    def scope(self) -> AbstractContextManager[object]:
        """Where the network and its step are made."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def spread(self, step: TrainStep) -> Callable[[Batch], Losses]:
        """The step as every worker calls it, with the same batch."""
        return step if self.strategy is None else ReplicatedStep(step, self.strategy)

    def agreed(self, value: float) -> float:
        """The chief's value, on every worker; returns when all workers have called it.

        Workers that decide on a value of their own, different in the last bit, could part ways
        and wait for one another for ever.

        Raises:
          WorkerLostError: another worker is gone.
        """
        if self.cluster is None:
            return value
        with worker_errors():
            return float(self._of_chief(tf.constant(value, tf.float64)))

    def wait(self) -> None:
        """Returns when all workers have called it.

        Raises:
          WorkerLostError: another worker is gone.
        """
        self.agreed(0.0)

    def observe(self, network: TwoTowerDCN) -> NetworkView:
        """The network on variables of this process alone, for all that is not a step."""
        if self.strategy is None:
            return NetworkView(network, network)
        own = TwoTowerDCN(network.layout, network.settings, seed=0)
        return NetworkView(own, network)

    @cached_property
    def _of_chief(self) -> Callable[[tf.Tensor], tf.Tensor]:
        strategy = self.strategy
        assert strategy is not None

        def replica(mine: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.equal(context.replica_id_in_sync_group, 0)
            value = tf.where(first, mine, tf.zeros_like(mine))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, value)

        @tf.function
        def of_chief(mine: tf.Tensor) -> tf.Tensor:
            return strategy.experimental_local_results(strategy.run(replica, args=(mine,)))[0]

        return of_chief


ONE_REPLICA = Distribution()


def choose(devices: Devices, environment: Mapping[str, str] | None = None) -> Distribution:
    """The distribution for this process, told in one line of the log.

    More than one worker in `TF_CONFIG`: MultiWorkerMirroredStrategy over all of them, each with
    its GPUs, or its CPU where it has none. More than one GPU: MirroredStrategy. Otherwise the
    GPU, or the CPU, without a strategy. Must come before TensorFlow's first operation when there
    are several workers.

    Args:
      devices: `auto` takes GPUs where there are any, `cpu` none, `gpu` asks for them and warns
        where there are none.
      environment: where to look for `TF_CONFIG`; none is this process's.

    Raises:
      InputError: `TF_CONFIG` is not valid, or TensorFlow has already run something.
    """
    cluster = cluster_from(os.environ if environment is None else environment)
    gpus = _gpus(devices)
    own = counted(gpus, "GPU") if gpus else "CPU"
    if cluster is not None:
        role = "chief" if cluster.chief else "worker"
        _log.info(
            "Trainer: MultiWorkerMirroredStrategy on %d workers (TF_CONFIG), this one of rank %d "
            "(%s, %s) on %s; waiting for the others: %s",
            len(cluster.workers),
            cluster.rank,
            role,
            cluster.workers[cluster.rank],
            own,
            ", ".join(w for i, w in enumerate(cluster.workers) if i != cluster.rank),
        )
        return Distribution(_multi_worker(cluster), cluster)
    if gpus > 1:
        _log.info("Trainer: MirroredStrategy on %s", own)
        return Distribution(tf.distribute.MirroredStrategy())
    _log.info("Trainer: one replica on %s; training.devices is %s", own, devices)
    return Distribution()


def _gpus(devices: Devices) -> int:
    """Number of GPUs to train on; hides them from TensorFlow where none are wanted."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    if devices == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
        return 0
    if devices == "gpu" and not gpus:
        _log.warning(
            "Trainer: training.devices is gpu, and TensorFlow finds no GPU: training on the CPU"
        )
    return gpus


def _multi_worker(cluster: Cluster) -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.rank,
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        raise InputError(
            f"{VARIABLE}: {error}; wanted the Trainer of several workers in a process of its own "
            "(on one machine leave the variable unset)"
        ) from error


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
