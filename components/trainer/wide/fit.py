"""Fitting the wide part: penalties by evidence, and by what carries over to other periods."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import lsq_linear
from scipy.sparse import csr_matrix
from scipy.special import logit

from common.arrays import Floats, Floats32, Indices
from common.pages.text import counted
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.data.sampling import logit_shifts
from components.trainer.data.storage import pieces
from components.trainer.settings import ALL, ModelSettings, SamplingSettings, WideSettings
from components.trainer.wide.sweep import sweep
from components.trainer.wide.weights import (
    NUMBER_GROUPS,
    Newcomers,
    Penalties,
    Shape,
    Shard,
    Shards,
    Weights,
    field_sums,
    number_sums,
)
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

LARGEST_NUMBER = 1e9
"""Beyond, squares of numbers leave no digits for anything else."""

START_PENALTY = 30.0

SCALE_PRIOR = 1.0
"""Inverse variance of a scale around 1: what few conversions say moves it little."""

SCALE_STEPS = 12
SMALLEST_SCALE = 1e-4

SHARED = "shared"
GROUP_NAMES = ("numbers", "missing")
"""Of the record: parts and groups of numbers."""

UNSEEN_BLOCK = -1
"""Number of the block of calibration examples, which no fold learns from."""

_log = logging.getLogger("hardtower")


@dataclass(frozen=True)
class WideFit:
    """A fitted wide part.

    Attributes:
      weights: of all training examples, times `share`.
      towers: names, in the order of the weights' towers.
      newcomers: of advertisers that training has not seen, times `share` too; none where they are
        predicted as all others.
      offset: float32 [n], of each training example the logit by weights that were fitted without
        its period, likewise.
      record: `sweeps`, `loss` (mean, nats) and, by field (`numbers` and `missing` being the two
        groups of numbers), `scale` and by part `penalty`.
    """

    weights: Weights
    towers: tuple[str, ...]
    newcomers: Newcomers | None
    offset: Floats32
    record: dict[str, Any]


def fit_wide(
    columns: Columns,
    calibration: Columns | None,
    layout: FeatureLayout,
    model: ModelSettings,
    sampling: SamplingSettings,
) -> WideFit:
    """Fits weights and penalties.

    1. On all training examples, with every penalty at the fixed point of its evidence.
    2. Without one of `blocks` consecutive periods at a time, at those penalties. What each field
       then adds to the logits of the period left out, and to those of the calibration split, is
       given a scale in [0, 1] by logistic regression. Evidence takes examples to be exchangeable;
       what holds within a period alone (a household's redemptions in one campaign) has a scale
       below 1, and a field that carries nothing over has 0.
    3. A penalty is raised until it shrinks its field by its scale (`_raised`); the weights are
       fitted to all examples again.
    4. Offsets: logits of each period by weights that were fitted without it.
    5. For newcomers: 1 to 3 once more, in fewer sweeps, without the ids that come with one
       advertiser.

    Args:
      columns: what the network trains on, in the order of time.
      calibration: a later period, if one was left out of the columns.
      layout: of both.
      model: settings; `wide` is read, and which tower learns from which example.
      sampling: what was done to the training split's negatives.

    Raises:
      InputError: a number is so large that no weight could be learnt for it.
    """
    _check_numbers(columns, layout)
    settings = model.wide
    shape = Shape.of(layout, len(model.towers))
    shifts = logit_shifts(sampling, model.mode)
    parts = list(_parts(columns, model, settings.blocks))
    shards = Shards(_shard(columns, part, shifts) for part in parts)
    later = Shards()
    if calibration is not None:
        later = Shards(
            _shard(calibration, part._replace(block=UNSEEN_BLOCK), (0.0, 0.0))
            for part in _parts(calibration, model, 1)
        )
    state = _State(
        Weights.start(shape, _base_rates(columns, parts, shape.towers)),
        Penalties.start(shape, START_PENALTY),
    )
    state, sweeps, scale = _fitted(shards, later, state, settings)
    offset = columns.storage.empty((len(columns),), np.float32)
    place_of = dict(zip(map(id, shards), parts, strict=True))
    for shard, _, _ in _left_out(shards, state, settings):
        bias = state.weights.bias[shard.tower]
        offset[place_of[id(shard)].rows] = bias + settings.share * (shard.logit - bias)
    for shard in shards:
        shard.place(state.weights)
    examples = sum(len(shard) for shard in shards)
    ended = sum(shard.loss() for shard in shards) / examples
    fields = _record(state.penalties, scale, layout, model.towers)
    newcomers = None
    if layout.advertiser is not None and settings.tells_newcomers(layout):
        newcomers = _newcomers(shards, later, state, settings, layout.advertiser)
    _log.info(
        "Trainer: wide part of %s: %s, log loss %.5f",
        counted(examples, "example"),
        counted(sweeps, "sweep"),
        ended,
    )
    scales = ", ".join(f"{name} {row['scale']:.2f}" for name, row in fields.items())
    # Too long for a terminal: for the run's log.
    logging.getLogger(__name__).info("scales of the wide part: %s", scales)
    record = {"sweeps": sweeps, "loss": ended, "fields": fields}
    return WideFit(state.weights.times(settings.share), model.towers, newcomers, offset, record)


def _check_numbers(columns: Columns, layout: FeatureLayout) -> None:
    for rows, block in columns.blocks():
        for name, values in zip(layout.numeric, block.nums.T, strict=False):
            row = int(np.abs(values).argmax())
            if abs(values[row]) > LARGEST_NUMBER:
                raise InputError(
                    f"feature {name!r}, training row {rows.start + row} is {values[row]:.4g} after "
                    f"its transform; wanted at most {LARGEST_NUMBER:.0e} (zscore, log1p, or look "
                    "for what it means)"
                )


COMES_WITH_ONE = 0.9
"""Share of a field's examples from which on its ids are taken to belong to one advertiser each: a
hash now and then throws two together."""


def ids_of_advertisers(shards: Sequence[Shard], shape: Shape, advertiser: int) -> tuple[int, ...]:
    """The fields whose ids come with one advertiser each, itself included.

    Args:
      shards: training examples.
      shape: of the fields.
      advertiser: its field.
    """
    of_one = []
    for field, rows in enumerate(shape.rows):
        # How many examples have an id and an advertiser.
        pairs = csr_matrix((rows, shape.rows[advertiser]), dtype=np.int64)
        for shard in shards:
            met = shard.ids[field], shard.ids[advertiser]
            pairs += csr_matrix((np.ones(len(shard), np.int64), met), pairs.shape)
        of_id, most = pairs.sum(axis=1).A1, pairs.max(axis=1).toarray().ravel()
        # An id of one example comes with one advertiser whatever it is.
        several = of_id > 1
        if most[several].sum() >= COMES_WITH_ONE * max(of_id[several].sum(), 1):
            of_one.append(field)
    return tuple(sorted({*of_one, advertiser}))


def _newcomers(
    shards: Sequence[Shard],
    later: Sequence[Shard],
    state: _State,
    settings: WideSettings,
    advertiser: int,
) -> Newcomers:
    off = ids_of_advertisers(shards, state.weights.shape, advertiser)
    few = settings.model_copy(update={"max_sweeps": settings.newcomer_sweeps, "fold_sweeps": 1})
    fitted, _, _ = _fitted(shards, later, state, few, without=off)
    weights = fitted.without(off, settings.max_penalty).weights
    known = tuple(map(np.zeros, weights.shape.rows))
    for shard in shards:
        for field in off:
            known[field][shard.ids[field]] = 1 / len(off)
    return Newcomers(weights.times(settings.share), known)


def fit_logistic(
    columns: Columns, layout: FeatureLayout, settings: WideSettings
) -> tuple[Weights, float]:
    """A logistic regression with one penalty for all weights, learnt by its evidence.

    Args:
      columns: hard examples, unsampled.
      layout: of the columns.
      settings: of the sweeps.

    Returns:
      Weights of one tower, and the penalty.
    """
    model = ModelSettings(mode="hard_only")
    parts = list(_parts(columns, model, 1))
    shards = Shards(_shard(columns, part, (0.0, 0.0)) for part in parts)
    shape = Shape.of(layout, 1)
    state = _State(
        Weights.start(shape, _base_rates(columns, parts, 1)),
        Penalties.start(shape, START_PENALTY),
    )
    state, _ = _learn(shards, state, settings, one=True)
    return state.weights, float(state.penalties.numbers[0, 0])


class _Part(NamedTuple):
    """Row numbers of one shard."""

    tower: int
    block: int
    rows: Indices


def _parts(columns: Columns, model: ModelSettings, blocks: int) -> Iterator[_Part]:
    """The examples by tower and period, periods being equally long runs of rows."""
    edges = [len(columns) * block // blocks for block in range(blocks + 1)]
    tasks = {
        tower: [i for i, task in enumerate(model.tasks) if name in (task, ALL)]
        for tower, name in enumerate(model.towers)
    }
    for block, (start, end) in enumerate(pairwise(edges)):
        for piece in pieces(end - start):
            first = start + piece.start
            number = task_numbers(
                columns.part(slice(first, start + piece.stop)), model.tier_boundaries
            )
            for tower, of_tower in tasks.items():
                mine = np.flatnonzero(np.isin(number, of_tower))
                if len(mine):
                    rows = columns.storage.empty(mine.shape, np.intp)
                    rows[:] = first + mine
                    yield _Part(tower, block, rows)
            columns.storage.release()


def _shard(columns: Columns, part: _Part, shifts: tuple[float, float]) -> Shard:
    here = columns.part(part.rows)
    columns.storage.release()
    shift = np.where(here.hard, *shifts) if any(shifts) else 0.0
    return Shard(
        part.tower,
        part.block,
        here.ids,
        here.nums,
        here.label,
        here.weight,
        here.completeness,
        shift,
        columns.storage,
    )


def _base_rates(columns: Columns, parts: Sequence[_Part], towers: int) -> Floats:
    """Log-odds of conversion by tower, half a conversion added to each side."""
    conversions, examples = np.full(towers, 0.5), np.ones(towers)
    for part in parts:
        weight = 1.0 if columns.weight is None else columns.weight[part.rows].astype(np.float64)
        conversions[part.tower] += np.sum(weight * columns.label[part.rows])
        examples[part.tower] += np.sum(weight * np.ones(len(part.rows)))
        columns.storage.release()
    rates: Floats = logit(conversions / examples)
    return rates


@dataclass(frozen=True)
class _State:
    weights: Weights
    penalties: Penalties

    def without(self, fields: Sequence[int], penalty: float) -> _State:
        """With weights of some fields at zero, and a penalty that keeps them there."""
        off = list(fields)
        of_fields = self.penalties.fields.copy()
        of_fields[:, off] = penalty
        kept = (0 * w if f in off else w for f, w in enumerate(self.weights.fields))
        weights = replace(self.weights, fields=tuple(kept))
        return _State(weights, replace(self.penalties, fields=of_fields))

    def settled(self, shards: Sequence[Shard], penalties: Penalties, sweeps: int) -> _State:
        """After some sweeps at fixed penalties, from these weights."""
        weights, step = self.weights, None
        for shard in shards:
            shard.place(weights)
        for _ in range(sweeps):
            swept = sweep(shards, weights, penalties, step)
            weights, step = swept.weights, swept.step
        return _State(weights, penalties)


def _fitted(
    shards: Sequence[Shard],
    later: Sequence[Shard],
    start: _State,
    settings: WideSettings,
    without: Sequence[int] = (),
) -> tuple[_State, int, Floats]:
    """Steps 1 to 3 of `fit_wide`: the state, how many sweeps learnt the penalties, the scales.

    Args:
      shards: learned from.
      later: of the calibration split, of which scales are learned too.
      start, settings, without: see `_learn`.
    """
    learnt, sweeps = _learn(shards, start, settings, without=without)
    scale = carried_over([*_left_out(shards, learnt, settings), *_placed(later, learnt.weights)])
    raised = _raised(shards, learnt, scale, settings)
    return learnt.settled(shards, raised, settings.refit_sweeps), sweeps, scale


def _learn(
    shards: Sequence[Shard],
    state: _State,
    settings: WideSettings,
    *,
    one: bool = False,
    without: Sequence[int] = (),
) -> tuple[_State, int]:
    """Sweeps until the evidence's objective stands still; and how many.

    Args:
      shards, state: examples, and where to begin.
      settings: of the sweeps.
      one: the same penalty for all weights.
      without: fields that are switched off.
    """
    bounds = settings.min_penalty, settings.max_penalty
    state = state.without(without, settings.max_penalty)
    for shard in shards:
        shard.place(state.weights)
    objective, sweeps, step = np.inf, 0, None
    while sweeps < settings.max_sweeps:
        sweeps += 1
        swept = sweep(shards, state.weights, state.penalties, step)
        step = swept.step
        learnt = swept.evidence.shared() if one else swept.evidence.penalties()
        penalties = Penalties(np.clip(learnt.fields, *bounds), np.clip(learnt.numbers, *bounds))
        penalties.fields[:, list(without)] = settings.max_penalty
        state = _State(swept.weights, penalties)
        if abs(objective - swept.objective) <= settings.tolerance * abs(swept.objective):
            break
        objective = swept.objective
    return state, sweeps


class Unseen(NamedTuple):
    """A shard, placed by weights that have not seen it until the next one is taken.

    Attributes:
      contributions: of each field and group of numbers to its logits by those weights, see
        `Shard.contributions`.
      bias: those weights' intercept of its tower.
    """

    shard: Shard
    contributions: Floats32
    bias: float


def _left_out(shards: Sequence[Shard], state: _State, settings: WideSettings) -> Iterator[Unseen]:
    """Each shard by weights fitted without its period."""
    for block in sorted({shard.block for shard in shards}):
        others = Shards(shard for shard in shards if shard.block != block)
        settled = state.settled(others, state.penalties, settings.fold_sweeps)
        unseen = Shards(shard for shard in shards if shard.block == block)
        yield from _placed(unseen, settled.weights)


def _placed(shards: Sequence[Shard], weights: Weights) -> Iterator[Unseen]:
    for shard in shards:
        shard.place(weights)
        exact = shard.contributions(weights)
        contributions = shard.storage.empty(exact.shape, np.float32)
        contributions[:] = exact
        yield Unseen(shard, contributions, float(weights.bias[shard.tower]))


def carried_over(unseen: Sequence[Unseen]) -> Floats:
    """What each contribution is to be multiplied by, in [0, 1], [fields + NUMBER_GROUPS].

    It rests on the contributions and intercepts alone: by now the shards may be placed by weights
    that have seen them.

    Maximises the likelihood of sigmoid(b + sum_f scale_f u_f) with an intercept for each tower,
    one more for each on calibration examples, and a normal prior around 1: Newton's method, each
    step a least-squares problem within bounds.
    """
    count = unseen[0].contributions.shape[1]
    sources = sorted({(u.shard.tower, u.shard.block == UNSEEN_BLOCK) for u in unseen})
    at = np.concatenate([np.ones(count), np.zeros(len(sources))])
    prior = np.concatenate([np.full(count, SCALE_PRIOR), np.full(len(sources), 1e-9)])
    low = np.concatenate([np.zeros(count), np.full(len(sources), -np.inf)])
    high = np.concatenate([np.ones(count), np.full(len(sources), np.inf)])
    target = np.concatenate([np.ones(count), np.zeros(len(sources))])
    for _ in range(SCALE_STEPS):
        slope, hessian = prior * (at - target), np.diag(prior)
        for shard, contributions, bias in unseen:
            place = count + sources.index((shard.tower, shard.block == UNSEEN_BLOCK))
            logits = bias + contributions @ at[:count] + at[place]
            of_slope, information = shard.derivatives_at(logits)
            columns = [*range(count), place]
            design = np.hstack([contributions, np.ones((len(shard), 1))])
            slope[columns] += design.T @ of_slope
            hessian[np.ix_(columns, columns)] += (design * information[:, None]).T @ design
            shard.storage.release()
        root = cholesky(hessian)
        wanted = -solve_triangular(root, slope, trans="T")
        step = lsq_linear(root, wanted, (low - at - 1e-12, high - at + 1e-12)).x
        at = np.clip(at + step, low, high)
        if np.abs(step).max() < 1e-4:
            break
    scale: Floats = at[:count]
    return scale


def _raised(
    shards: Sequence[Shard], state: _State, scale: Floats, settings: WideSettings
) -> Penalties:
    """Penalties that shrink each field, on average over what it contributes, by its scale.

    An id of information h keeps h / (h + penalty) of what its examples say. With h the mean over
    ids, by information times squared weight, a penalty of

        penalty + (1 / scale - 1) (h + penalty)

    keeps scale times as much. A scale of 0 switches the field off (`max_penalty`).
    """
    weights, shape = state.weights, state.weights.shape
    for shard in shards:
        shard.place(weights)
        shard.refresh(information=True)

    def raised(w: Floats, h: Floats, penalty: float, kept: float) -> float:
        of = h * w * w
        mean = float((of * h).sum() / of.sum()) if of.sum() > 0 else 0.0
        more = (1 / max(kept, SMALLEST_SCALE) - 1) * (mean + penalty)
        return float(np.clip(penalty + more, settings.min_penalty, settings.max_penalty))

    fields, numbers = state.penalties.fields.copy(), state.penalties.numbers.copy()
    for field, w in enumerate(weights.fields):
        h = shape.summed.T @ field_sums(shards, shape, field).information
        for part in range(shape.parts):
            fields[part, field] = raised(w[part], h[part], fields[part, field], scale[field])
    of_numbers = number_sums(shards, shape).information[:, :-1, :-1]
    h = shape.summed.T @ np.diagonal(of_numbers, axis1=1, axis2=2)
    for group in range(NUMBER_GROUPS):
        mine = shape.group == group
        for part in range(shape.parts):
            w, kept = weights.numbers[part, mine], scale[len(shape.rows) + group]
            numbers[part, group] = raised(w, h[part, mine], numbers[part, group], kept)
    return Penalties(fields, numbers)


def _record(
    penalties: Penalties, scale: Floats, layout: FeatureLayout, towers: Sequence[str]
) -> dict[str, dict[str, Any]]:
    parts = towers if len(towers) == 1 else (SHARED, *towers)
    names = (*layout.categorical, *GROUP_NAMES)
    by_name = np.hstack([penalties.fields, penalties.numbers]).T
    return {
        name: {"scale": float(kept), "penalty": dict(zip(parts, map(float, row), strict=True))}
        for name, kept, row in zip(names, scale, by_name, strict=True)
    }
