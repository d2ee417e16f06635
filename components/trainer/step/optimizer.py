"""Adam, dense for the layers and row-sparse (lazy) or dense for the embedding tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from components.trainer.settings import TrainingSettings


class RowGradient(NamedTuple):
    """Gradient of some rows of a table.

    Attributes:
      rows: int64 [distinct], row numbers, no two equal.
      values: float32 [distinct, width].
    """

    rows: tf.Tensor
    values: tf.Tensor


class _Pace(NamedTuple):
    """Adam's rate and epsilon for one kind of variables."""

    rate: float | tf.Tensor
    epsilon: float


class Adam(tf.Module):
    """Adam with its state in variables, so that a checkpoint of this module resumes it.

    With g the gradient at step t (from 1), by element,

        m <- beta1 m + (1 - beta1) g              rate_t = rate sqrt(1 - beta2^t) / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g^2            x <- x - rate_t m / (sqrt(v) + epsilon)

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 2 (the
    efficient order of computation, so epsilon is the paper's epsilon hat).

    Adam divides out the size of gradients. With epsilon far below sqrt(v), the row of a rare id
    moves as far for an example without a conversion as for one with, though the gradient of the
    latter is a hundred times larger. With epsilon far above, the step is rate / epsilon times the
    mean gradient, and proportions stay. `table_epsilon` sets it for the tables alone.

    Rates decay by `training.decay` with the share d of all steps that are done: linear 1 - d,
    cosine (1 + cos(pi d)) / 2 (Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5 without
    restarts).

    Lazy: a table's rows that a step does not use keep x, m and v; exact Adam would decay their
    moments and move them. t counts all steps in either. Rows used at every step are the same.

    Attributes:
      step: int64 scalar variable, steps taken.
    """

    def __init__(
        self,
        dense: Sequence[tf.Variable],
        tables: Sequence[tf.Variable],
        settings: TrainingSettings,
        last_step: int | None = None,
    ) -> None:
        """Takes the variables, the settings, and the step at which decaying rates reach zero;
        without one they stay as they are."""
        super().__init__()
        self._last_step = last_step
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="adam/step")
        self._settings = settings
        self._dense = tuple(dense)
        self._tables = tuple(tables)
        self._dense_m, self._dense_v = _moments(dense, "m"), _moments(dense, "v")
        self._table_m, self._table_v = _moments(tables, "m"), _moments(tables, "v")

    def apply(self, dense: Sequence[tf.Tensor], tables: Sequence[RowGradient]) -> None:
        """Takes one step.

        Args:
          dense: one gradient for each dense variable, in their order.
          tables: one for each table, in their order.
        """
        s = self._settings
        decayed = self._decay()
        dense_pace = _Pace(s.learning_rate * decayed, s.epsilon)
        table_pace = _Pace(
            (s.learning_rate if s.table_learning_rate is None else s.table_learning_rate) * decayed,
            s.epsilon if s.table_epsilon is None else s.table_epsilon,
        )
        # The raw operation counts once on each of several replicas, as every update here does.
        tf.raw_ops.AssignAddVariableOp(resource=self.step.handle, value=tf.ones([], tf.int64))
        t = tf.cast(self.step.read_value(), tf.float32)
        powers = (tf.pow(s.beta1, t), tf.pow(s.beta2, t))
        for x, m, v, g in zip(self._dense, self._dense_m, self._dense_v, dense, strict=True):
            self._update_all(x, m, v, g, powers, dense_pace)
        for x, m, v, g in zip(self._tables, self._table_m, self._table_v, tables, strict=True):
            if s.lazy_adam:
                self._update_rows(x, m, v, g, powers, table_pace)
            else:
                everywhere = tf.math.unsorted_segment_sum(g.values, g.rows, x.shape[0])
                self._update_all(x, m, v, everywhere, powers, table_pace)

    def _decay(self) -> float | tf.Tensor:
        """What the rates of the next step are multiplied by."""
        if self._last_step is None or self._settings.decay == "none":
            return 1.0
        done = tf.cast(self.step.read_value(), tf.float32) / self._last_step
        if self._settings.decay == "linear":
            return 1.0 - done
        return 0.5 * (1.0 + tf.cos(math.pi * done))

    def _update_all(
        self,
        x: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        g: tf.Tensor,
        powers: tuple[tf.Tensor, tf.Tensor],
        pace: _Pace,
    ) -> None:
        s = self._settings
        tf.raw_ops.ResourceApplyAdam(
            var=x.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=pace.rate,
            beta1=s.beta1,
            beta2=s.beta2,
            epsilon=pace.epsilon,
            grad=g,
        )

    def _update_rows(
        self,
        x: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        g: RowGradient,
        powers: tuple[tf.Tensor, tf.Tensor],
        pace: _Pace,
    ) -> None:
        s = self._settings
        m_rows = s.beta1 * tf.gather(m, g.rows) + (1 - s.beta1) * g.values
        v_rows = s.beta2 * tf.gather(v, g.rows) + (1 - s.beta2) * tf.square(g.values)
        rate_t = pace.rate * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        change = rate_t * m_rows / (tf.sqrt(v_rows) + pace.epsilon)
        for variable, rows in ((m, m_rows), (v, v_rows)):
            tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=g.rows, updates=rows)
        tf.raw_ops.ResourceScatterSub(resource=x.handle, indices=g.rows, updates=change)


def _moments(variables: Sequence[tf.Variable], which: str) -> list[tf.Variable]:
    return [
        tf.Variable(tf.zeros(x.shape), trainable=False, name=f"adam/{which}/{x.name[:-2]}")
        for x in variables
    ]
