"""One sweep of block Newton over the fields, from sums over shards alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from common.arrays import Floats
from components.trainer.wide.likelihood import Derivatives
from components.trainer.wide.weights import (
    NUMBER_GROUPS,
    Penalties,
    Shard,
    Weights,
    field_sums,
    number_sums,
)

LONGEST_STEP = 2.0
"""Most that one step of a field moves a logit: a trust region for ids that few examples have."""

DRIFT = 0.2
"""Move of the logits, root mean square, from which on information is taken anew. Until then a step
is a little too long or too short, which the end of the sweep puts right (`_walked`)."""

JITTER = 1e-12

HALVINGS = 10
"""Of a sweep that did not lower the penalised loss, before it is given up."""

PRIOR_SHAPE, PRIOR_RATE = 1.0, 1 / 30
"""Of the prior of a penalty, proportional to penalty^(1/2) exp(-penalty / 60): worth two weights of
variance 1/60, so that a field of a handful of ids has a penalty too."""


class Step(NamedTuple):
    """A Newton step of one block.

    Attributes:
      change: of the block's weights, [parts, ...].
      effective: how many of each part's weights the examples decide rather than the penalty,
        MacKay's gamma = sum over weights of 1 - penalty * posterior variance.
      log_determinant: of the block's Hessian over that of its penalty.
    """

    change: Floats
    effective: Floats
    log_determinant: float


@dataclass(frozen=True)
class PenaltyEvidence:
    """What a sweep says of the penalties.

    Attributes:
      effective: see `Step`, as `Penalties` has the blocks.
      squares: the sum of squared weights of each block.
    """

    effective: Penalties
    squares: Penalties

    def penalties(self) -> Penalties:
        """MacKay's fixed point: penalty = (effective + 1) / (sum of w^2 + 1/30).

        Source: MacKay, "Bayesian Interpolation", Neural Computation 4(3), 1992, equation 4.9, with
        the prior's shape and rate added.
        """
        return Penalties(
            _fixed_point(self.effective.fields, self.squares.fields),
            _fixed_point(self.effective.numbers, self.squares.numbers),
        )

    def shared(self) -> Penalties:
        """The same with one penalty for all weights."""
        one = _fixed_point(
            self.effective.fields.sum() + self.effective.numbers.sum(),
            self.squares.fields.sum() + self.squares.numbers.sum(),
        )
        return Penalties(
            np.full_like(self.squares.fields, one), np.full_like(self.squares.numbers, one)
        )


def _fixed_point(effective: Floats, squares: Floats) -> Floats:
    return (effective + PRIOR_SHAPE) / (squares + PRIOR_RATE)


@dataclass(frozen=True)
class Swept:
    """What a sweep led to.

    Attributes:
      weights: after it.
      step: to them from those before.
      loss: summed over the examples, without penalties, nats.
      objective: negative log evidence of the penalties at the mode, up to a constant.
      evidence: for the next penalties.
    """

    weights: Weights
    step: Weights
    loss: float
    objective: float
    evidence: PenaltyEvidence


def field_step(w: Floats, penalty: Floats, sums: Derivatives) -> Step:
    """Newton's step for the weights of one field.

    No example has two ids of a field, so that ids do not meet in the Hessian: each id is a system
    of its parts alone. For one part w <- w - (slope + penalty w) / (information + penalty). For a
    shared weight s and own weights o_t the system is an arrow, solved by eliminating the o_t: with
    a_t = information_t + penalty_t,

        curvature of s    penalty_s + sum_t information_t (1 - information_t / a_t)
        step of o_t       (-(slope_t + penalty_t o_t) - information_t * step of s) / a_t

    Args:
      w: [parts, rows].
      penalty: [parts].
      sums: of the field, [towers, rows].
    """
    slope, h = sums
    seen = h.sum(axis=0) > 0
    if len(penalty) == 1:
        curvature = h + penalty
        change = -(slope + penalty * w) / curvature
        ratio = (penalty / curvature)[:, seen]
        return Step(change, (1 - ratio).sum(axis=1), float(-np.log(ratio).sum()))
    of_shared, of_own = penalty[0], penalty[1:, None]
    a = h + of_own
    pull = -(slope + of_own * w[1:])
    curvature = of_shared + (h * of_own / a).sum(axis=0)
    shared = (-(slope.sum(axis=0) + of_shared * w[0]) - (h / a * pull).sum(axis=0)) / curvature
    own = (pull - h * shared) / a
    change = np.vstack([shared[None], own])
    variance = np.vstack([(1 / curvature)[None], 1 / a + (h / a) ** 2 / curvature])[:, seen]
    effective = (1 - penalty[:, None] * variance).sum(axis=1)
    determinant = np.log(curvature[seen] / of_shared).sum() + np.log(a[:, seen] / of_own).sum()
    return Step(change, effective, float(determinant))


def number_step(weights: Weights, penalties: Penalties, sums: Derivatives) -> tuple[Step, Floats]:
    """Newton's step for all numbers and intercepts at once.

    Returns:
      The step of `Weights.numbers`, its `effective` by part and group, and the change of the
      intercepts, which have no penalty.
    """
    shape = weights.shape
    parts, numbers, towers = shape.parts, shape.numbers, shape.towers
    slope, h = sums
    summed = shape.summed
    size = parts * numbers
    penalty = penalties.numbers[:, shape.group].ravel()
    hessian = np.zeros((size + towers, size + towers))
    pull = np.zeros(size + towers)
    by_part = np.einsum("tp,tq,tij->piqj", summed, summed, h[:, :-1, :-1])
    hessian[:size, :size] = by_part.reshape(size, size) + np.diag(penalty)
    crossed = np.einsum("tp,ti->pit", summed, h[:, :-1, -1]).reshape(size, towers)
    hessian[:size, size:], hessian[size:, :size] = crossed, crossed.T
    # A tower without examples keeps its intercept.
    hessian[size:, size:] = np.diag(np.maximum(h[:, -1, -1], 1e-9))
    pull[:size] = -(summed.T @ slope[:, :-1]).ravel() - penalty * weights.numbers.ravel()
    pull[size:] = -slope[:, -1]
    # Numbers of any scale are inverted at scale one; what two of them say alike is left undecided.
    scale = 1 / np.sqrt(np.diag(hessian))
    equal = hessian * np.outer(scale, scale) + np.diag(np.full(len(scale), JITTER))
    covariance = np.linalg.inv(equal) * np.outer(scale, scale)
    change = covariance @ pull
    gamma = (1 - penalty * np.diag(covariance)[:size]).reshape(parts, numbers)
    by_group = [gamma[:, shape.group == group].sum(axis=1) for group in range(NUMBER_GROUPS)]
    determinant = float(
        np.linalg.slogdet(equal)[1] - 2 * np.log(scale).sum() - np.log(penalty).sum()
    )
    step = Step(change[:size].reshape(parts, numbers), np.stack(by_group, axis=1), determinant)
    return step, change[size:]


def sweep(
    shards: Sequence[Shard], weights: Weights, penalties: Penalties, last: Weights | None = None
) -> Swept:
    """Numbers first, then field after field: each by the sums that the ones before have left.

    Slopes follow each step to first order, information may be that of sweeps before (`DRIFT`).
    Where fields say nearly the same, as a campaign and its creatives do, block after block is a
    slow walk; so the sweep ends at the lowest point of the plane of its own way and of the one
    before, as conjugate gradients do.

    Args:
      shards: placed by the weights.
      weights, penalties: where to begin.
      last: `Swept.step` of the sweep before, from which the shards come.
    """
    shape = weights.shape
    began = sum(shard.loss() for shard in shards) + weights.penalty(penalties)
    moves, information = np.sum([shard.drift() for shard in shards], axis=0)
    for shard in shards:
        shard.begin(resting=last is None)
        shard.refresh(information=bool(moves > DRIFT**2 * information))
    step, of_bias = number_step(weights, penalties, number_sums(shards, shape))
    determinant = step.log_determinant
    numbers = weights.numbers + step.change
    effective = Penalties(np.empty_like(penalties.fields), step.effective)
    moved = replace(weights, numbers=numbers, bias=weights.bias + of_bias)
    change = moved.of_numbers - weights.of_numbers
    for shard in shards:
        shard.move_numbers(change[shard.tower])
    fields = []
    for field, w in enumerate(weights.fields):
        step = field_step(w, penalties.fields[:, field], field_sums(shards, shape, field))
        of_towers = shape.summed @ step.change
        within = np.minimum(1, LONGEST_STEP / np.maximum(np.abs(of_towers).max(axis=0), 1e-300))
        for shard in shards:
            shard.move_field(field, (of_towers * within)[shard.tower])
        fields.append(w + step.change * within)
        effective.fields[:, field] = step.effective
        determinant += step.log_determinant
    moved = replace(moved, fields=tuple(fields))
    walked, ended = _walked(shards, weights, moved.less(weights), last, penalties, began)
    moved = weights.plus(1.0, walked)
    prior = sum(
        float((PRIOR_RATE * p - PRIOR_SHAPE * np.log(p)).sum())
        for p in (penalties.fields, penalties.numbers)
    )
    return Swept(
        moved,
        walked,
        ended - moved.penalty(penalties),
        ended + 0.5 * (determinant + prior),
        PenaltyEvidence(effective, _squares(moved)),
    )


def _squares(weights: Weights) -> Penalties:
    group = weights.shape.group
    of_numbers = [(weights.numbers[:, group == g] ** 2).sum(axis=1) for g in range(NUMBER_GROUPS)]
    return Penalties(
        np.stack([(w * w).sum(axis=1) for w in weights.fields], axis=1),
        np.stack(of_numbers, axis=1),
    )


def _walked(
    shards: Sequence[Shard],
    weights: Weights,
    way: Weights,
    last: Weights | None,
    penalties: Penalties,
    began: float,
) -> tuple[Weights, float]:
    """The step from the weights to the end of a sweep, and the penalised loss there.

    One Newton step within the plane. Where it does not lower the loss the sweep's own way is gone,
    or the half of it, and so on, which the convexity of logistic regression promises to end; the
    last resort is to stay.
    """
    ways = (way, way.less(way) if last is None else last)
    slope, information = np.zeros(2), np.zeros((2, 2))
    for shard in shards:
        of_slope, of_information = shard.along()
        slope += of_slope
        information += of_information
    here = weights.plus(1.0, way)
    slope += [here.inner(w, penalties) for w in ways]
    information += [[a.inner(b, penalties) for b in ways] for a in ways]
    farther, before = -np.linalg.lstsq(information, slope, rcond=1e-10)[0]
    tries = [(1 + farther, before), *((0.5**k, 0.0) for k in range(HALVINGS)), (0.0, 0.0)]
    for share, before in tries:
        for shard in shards:
            shard.walk(share, before)
        step = way.plus(share - 1.0, way).plus(before, ways[1])
        reached = weights.plus(1.0, step)
        ended = sum(shard.loss() for shard in shards) + reached.penalty(penalties)
        if ended <= began:
            break
    return step, ended
