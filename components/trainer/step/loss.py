"""The multi-task loss (paper, equation 1)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from components.trainer.settings import LossSettings


class Losses(NamedTuple):
    """A batch's loss and what it is made of, float32 scalars.

    Attributes:
      total: what is minimised.
      hard_sum, soft_sum: weighted log loss summed over each task's examples, nats.
      hard_weight, soft_weight: the sum of those examples' weights; their number by default.
    """

    total: tf.Tensor
    hard_sum: tf.Tensor
    soft_sum: tf.Tensor
    hard_weight: tf.Tensor
    soft_weight: tf.Tensor


class Observed(NamedTuple):
    """What the loss knows of a batch's examples, tensors [batch].

    Attributes:
      label: float32, 0 or 1, as seen by now.
      is_hard: bool.
      weight: float32, 0 or more.
      completeness: float32 in (0, 1], the share F of the conversions that has been seen by now.
    """

    label: tf.Tensor
    is_hard: tf.Tensor
    weight: tf.Tensor
    completeness: tf.Tensor


def observed_logit(logit: tf.Tensor, completeness: tf.Tensor) -> tf.Tensor:
    """Logit of p F, see `components.trainer.wide.likelihood.observed_logit`.

    With F = 1 the logits come out as they are, to the bit, and so do gradients.
    """
    missing = tf.math.log1p(-completeness)
    return logit + tf.math.log(completeness) - tf.math.softplus(logit + missing)


def multi_task_loss(
    logit: tf.Tensor,
    seen: Observed,
    settings: LossSettings | None,
    shifts: tuple[float, float] = (0.0, 0.0),
    whole: tf.Tensor | None = None,
) -> Losses:
    """Equation (1): W_soft L_soft + W_hard L_hard, each example in its own task only.

    With e_i the log loss of example i, -y log(p F) - (1 - y) log(1 - p F), w_i its weight and T
    the examples of a task,

        task_mean    L_T = sum_{i in T} w_i e_i / sum_{i in T} w_i
        batch_mean   L_T = sum_{i in T} w_i e_i / sum_i w_i

    and L_T = 0 where T is empty or weighs nothing. Under `task_mean` W_T is the share of task T
    in the loss of any batch that holds both tasks; under `batch_mean` it multiplies the weight of
    every example of T. Both agree up to a factor when the tasks are equally frequent.

    Three examples at p = 1/2, one of them hard: (.75 x 1/3 + .25 x 2/3) log 2 = .2888.

    >>> is_hard = tf.constant([True, False, False])
    >>> seen = Observed(tf.constant([1.0, 0.0, 0.0]), is_hard, tf.ones(3), tf.ones(3))
    >>> settings = LossSettings(weight_hard=0.75, weight_soft=0.25, reduction="batch_mean")
    >>> losses = multi_task_loss(tf.zeros(3), seen, settings)
    >>> round(float(losses.total), 4), float(losses.hard_weight)
    (0.2888, 1.0)

    Args:
      logit: float32 [batch], each example's logit from its own tower.
      seen: what is known of the examples.
      settings: W and reduction; none is the plain mean over the batch, for one tower.
      shifts: added to the observed logits of hard and of soft examples, see
        `sampling.logit_shifts`.
      whole: float32 [2], weight of the hard and of the soft examples of the batch that these
        examples are a share of: the sums that L_T divides by, so that the totals of all shares
        add up to the batch's. None is a share that is the whole batch.
    """
    logit = observed_logit(logit, seen.completeness)
    if any(shifts):
        logit += tf.where(seen.is_hard, *shifts)
    e = tf.nn.sigmoid_cross_entropy_with_logits(labels=seen.label, logits=logit)
    w, in_hard = seen.weight, tf.cast(seen.is_hard, e.dtype)
    hard_weight, soft_weight = tf.reduce_sum(w * in_hard), tf.reduce_sum(w * (1 - in_hard))
    hard_sum, soft_sum = tf.reduce_sum(w * e * in_hard), tf.reduce_sum(w * e * (1 - in_hard))
    of_hard, of_soft = (hard_weight, soft_weight) if whole is None else tf.unstack(whole)
    of_all = of_hard + of_soft
    if settings is None:
        total = _ratio(hard_sum + soft_sum, of_all)
    else:
        by_task = settings.reduction == "task_mean"
        hard = _ratio(hard_sum, of_hard if by_task else of_all)
        soft = _ratio(soft_sum, of_soft if by_task else of_all)
        total = settings.weight_soft * soft + settings.weight_hard * hard
    return Losses(total, hard_sum, soft_sum, hard_weight, soft_weight)


def _ratio(total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(total, weight)
