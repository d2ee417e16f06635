"""What is recorded while training: means over the steps, and looks at the calibration split."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.step.loss import Losses
from components.trainer.step.metrics import auc, observed_log_loss
from components.trainer.step.scoring import OwnTowerScorer
from schemas.labelled import HARD, SOFT

Row = dict[str, float | int | None]
"""One look: see `train` for its keys."""

Progress = Callable[[Mapping[str, float | int | None]], None]


_SUMS = ("steps", "examples", "total", "hard", "soft", "hard_weight", "soft_weight")


class StepSums:
    """Sums over the steps since the last look."""

    def __init__(self) -> None:
        self._steps = self._examples = 0
        self._total = self._hard = self._soft = self._hard_weight = self._soft_weight = 0.0
        self._started = time.perf_counter()

    def add(self, losses: Losses, examples: int) -> None:
        self._steps += 1
        self._examples += examples
        self._total += float(losses.total)
        self._hard += float(losses.hard_sum)
        self._soft += float(losses.soft_sum)
        self._hard_weight += float(losses.hard_weight)
        self._soft_weight += float(losses.soft_weight)

    def leave_out(self, seconds: float) -> None:
        """Takes time that was not spent on training out of the speed."""
        self._started += seconds

    def summary(self) -> Row:
        elapsed = time.perf_counter() - self._started
        return {
            "train_loss": self._total / self._steps,
            "train_loss_hard": self._hard / self._hard_weight if self._hard_weight else None,
            "train_loss_soft": self._soft / self._soft_weight if self._soft_weight else None,
            "examples_per_second": self._examples / elapsed,
        }

    def state(self) -> dict[str, float]:
        """What `restored` needs."""
        sums = {name: getattr(self, f"_{name}") for name in _SUMS}
        return {**sums, "elapsed": time.perf_counter() - self._started}

    @classmethod
    def restored(cls, state: Mapping[str, float]) -> StepSums:
        """Goes on from a `state`."""
        sums = cls()
        for name in _SUMS:
            setattr(sums, f"_{name}", state[name])
        sums._started -= state["elapsed"]
        return sums


class Look(NamedTuple):
    """One look at the calibration split.

    Attributes:
      hard_log_loss: nats; what the guard against divergence follows.
      row: log loss (nats) of the labels as seen by now, and AUC, by task; none where a task has no
        tower or no examples, and an AUC of examples that all have the same label.
    """

    hard_log_loss: float
    row: Row


class HeldOut:
    """Scores the calibration split, each task's examples by the tower that learns from them."""

    def __init__(self, network: TwoTowerDCN, columns: Columns, batch_size: int) -> None:
        """Takes a split that holds hard examples."""
        scorer = OwnTowerScorer(network, batch_size)
        if columns.weight is not None:
            columns = columns.take(columns.weight > 0)
        parts = {HARD: columns.take(columns.hard), SOFT: columns.take(~columns.hard)}
        self._scored = {
            task: (scorer.of(part), part)
            for task, part in parts.items()
            if len(part) and scorer.covers(part)
        }

    def look(self) -> Look:
        """Scores the split with the weights as they are now."""
        losses: dict[str, float] = {}
        row: Row = {f"calibration_{m}_{t}": None for t in (HARD, SOFT) for m in ("log_loss", "auc")}
        for task, (logits, part) in self._scored.items():
            logit = logits()
            losses[task] = observed_log_loss(logit, part)
            row[f"calibration_log_loss_{task}"] = losses[task]
            row[f"calibration_auc_{task}"] = auc(logit, part.label, part.weight)
        return Look(losses[HARD], row)


def write_scalars(writer: tf.summary.SummaryWriter, row: Row) -> None:
    """Writes a look's numbers as TensorBoard scalars at its step."""
    with writer.as_default(step=int(row["step"] or 0)):
        for name, value in row.items():
            if value is not None and name != "step":
                tf.summary.scalar(name, value)
    writer.flush()


def scalar_writer(log_dir: str | None) -> tf.summary.SummaryWriter:
    """A TensorBoard writer into a directory; into nothing where there is none."""
    if log_dir is None:
        return tf.summary.create_noop_writer()
    return tf.summary.create_file_writer(log_dir)
