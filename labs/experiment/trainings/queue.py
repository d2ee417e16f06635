"""Works off trainings, in this process or in several, and tells how far it is."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import Job, perform


@dataclass(frozen=True)
class QueueProgress:
    """How far a queue is.

    Attributes:
      done, of: trainings; those that were stored before count as done.
      stored: how many were stored before.
      what: the training that has just ended; empty at the start.
      seconds: how long it took.
      left: seconds until the end, by the trainings so far; None before the first.
    """

    done: int
    of: int
    stored: int
    what: str = ""
    seconds: float = 0.0
    left: float | None = None


def work_off(
    jobs: Mapping[str, tuple[str, Job]],
    store: Store,
    processes: int,
    report: Callable[[QueueProgress], None],
) -> None:
    """Trains what is not stored yet, in the order given.

    Args:
      jobs: what reports call it and the job, by key.
      processes: how many train at a time; 1 trains in this one.
    """
    waiting = [key for key in jobs if not store.has(key)]
    before = len(jobs) - len(waiting)
    report(QueueProgress(before, len(jobs), before))
    began, done = time.monotonic(), 0

    def ended(key: str, seconds: float) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - began) / done * (len(waiting) - done)
        report(QueueProgress(before + done, len(jobs), before, jobs[key][0], seconds, left))

    if processes == 1:
        for key in waiting:
            ended(key, _train(key, jobs[key][1], store))
        return
    # Spawned: TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // processes)
    with ProcessPoolExecutor(processes, context, _start_worker, (threads,)) as pool:
        futures = {pool.submit(_train, key, jobs[key][1], store): key for key in waiting}
        try:
            for future in as_completed(futures):
                ended(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train(key: str, job: Job, store: Store) -> float:
    began = time.monotonic()
    store.keep(key, perform(job), job.identity())
    return time.monotonic() - began


def _start_worker(threads: int) -> None:
    """Shares the cores among workers, and ends with the process that started this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            multiprocessing.connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
