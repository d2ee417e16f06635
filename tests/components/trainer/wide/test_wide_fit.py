"""The wide part against slow, obvious fits and against what a log of known weights holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from common.arrays import Floats
from components.trainer.data.columns import Columns
from components.trainer.network.wide import WideTower
from components.trainer.settings import ModelSettings, SamplingSettings, WideSettings
from components.trainer.wide.fit import (
    Unseen,
    carried_over,
    fit_logistic,
    fit_wide,
    ids_of_advertisers,
)
from components.trainer.wide.likelihood import derivatives, loss, observed_logit
from components.trainer.wide.sweep import field_step, sweep
from components.trainer.wide.weights import Penalties, Shape, Shard, Weights, field_sums
from components.transform.layout import FeatureLayout

LAYOUT = FeatureLayout(("site", "ad"), (6, 9), (4, 4), ("price",))
SHAPE = Shape.of(LAYOUT, towers=2)


def examples(
    n: int, seed: int, effects: tuple[Floats, ...] = (), hard_share: float = 0.5
) -> Columns:
    """Clicks of ids that never occur (site 5, ad 8) and of log-odds -1 plus effects of the ids."""
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, rows - 1, n) for rows in LAYOUT.rows], axis=1)
    price = rng.standard_normal(n)
    z = -1 + 0.7 * price + sum(effect[ids[:, f]] for f, effect in enumerate(effects))
    return Columns(
        ids.astype(np.int32),
        np.stack([price, rng.random(n) < 0.1], axis=1).astype(np.float32),
        (rng.random(n) < expit(z)).astype(np.float32),
        rng.random(n) < hard_share,
        np.full(n, 0.004, np.float32),
        rng.uniform(0.5, 2, n).astype(np.float32),
        rng.uniform(0.3, 1, n).astype(np.float32),
    )


def shards_of(columns: Columns, pieces: int = 1) -> list[Shard]:
    """One shard, or several, a tower."""
    found = []
    for tower in (0, 1):
        mine = np.flatnonzero(columns.hard == (tower == 0))
        for rows in np.array_split(mine, pieces):
            c = columns.take(rows)
            found.append(
                Shard(tower, 0, c.ids, c.nums, c.label, c.weight, c.completeness, 0.2 * tower)
            )
    return found


@given(
    st.floats(-30, 20),
    st.sampled_from([0.0, 1.0]),
    st.floats(-2, 2),
    st.floats(1e-3, 1),
)
def test_likelihood_and_its_derivatives(z: float, y: float, shift: float, f: float) -> None:
    """p F by its definition; the slope by finite differences, the information as its variance."""
    at, label, complete = np.array([z]), np.array([y]), np.array([f])
    seen = np.exp(np.log(f) + log_expit(z))
    if seen < 1 - 1e-6:
        assert observed_logit(at, complete)[0] == pytest.approx(logit(seen), rel=1e-6, abs=1e-6)
    step = 1e-5

    def at_label(label: Floats, move: float) -> float:
        return float(loss(at + move, label, shift, complete)[0])

    found = derivatives(at, label, shift, complete)
    wanted = (at_label(label, step) - at_label(label, -step)) / (2 * step)
    assert found.slope[0] == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    slopes = [derivatives(at, np.array([y]), shift, complete).slope[0] for y in (0.0, 1.0)]
    q = np.exp(-at_label(np.ones(1), 0))
    assert found.information[0] == pytest.approx(
        (1 - q) * slopes[0] ** 2 + q * slopes[1] ** 2, rel=1e-6, abs=1e-12
    )


def test_all_seen_is_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    z, y = rng.normal(0, 3, 100), (rng.random(100) < 0.3).astype(float)
    for complete in (None, np.ones(100)):
        np.testing.assert_array_equal(observed_logit(z, complete), z)
        slope, information = derivatives(z, y, 0.0, complete)
        np.testing.assert_array_equal(slope, expit(z) - y)
        np.testing.assert_array_equal(information, expit(z) * (1 - expit(z)))


def penalised(columns: Columns, penalties: Penalties, flat: Floats) -> float:
    """The whole objective written down example by example, weights as one vector."""
    site, ad, numbers, bias = unflattened(flat)
    total = 0.0
    for i in range(len(columns)):
        tower = 0 if columns.hard[i] else 1
        z = bias[tower]
        for part in (0, 1 + tower):
            z += site[part, columns.ids[i, 0]] + ad[part, columns.ids[i, 1]]
            z += numbers[part] @ columns.nums[i]
        q = columns.completeness[i] * expit(z)
        odds = q / (1 - q) * np.exp(0.2 * tower)
        q = odds / (1 + odds)
        log_q = np.log(q) if columns.label[i] else np.log1p(-q)
        total -= columns.weight[i] * log_q
    total += 0.5 * (
        penalties.fields[:, 0] @ (site**2).sum(1) + penalties.fields[:, 1] @ (ad**2).sum(1)
    )
    return float(total + 0.5 * (penalties.numbers * numbers**2).sum())


def unflattened(flat: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    site, ad, numbers, bias = np.split(flat, np.cumsum([3 * 6, 3 * 9, 3 * 2]))
    return site.reshape(3, 6), ad.reshape(3, 9), numbers.reshape(3, 2), bias


@pytest.mark.parametrize("resting", [True, False])
def test_sweeps_end_where_a_general_optimiser_does(resting: bool) -> None:
    """Each from rest, or going on in the way of the one before."""
    columns = examples(120, seed=1, effects=(np.linspace(-1, 1, 6), np.zeros(9)))
    rng = np.random.default_rng(2)
    penalties = Penalties(rng.uniform(1, 5, (3, 2)), rng.uniform(1, 5, (3, 2)))
    shards, weights = shards_of(columns), Weights.start(SHAPE, np.array([-1.0, -1.0]))
    for shard in shards:
        shard.place(weights)
    step = None
    for _ in range(40):
        swept = sweep(shards, weights, penalties, None if resting else step)
        weights, step = swept.weights, swept.step
    size = 3 * 6 + 3 * 9 + 3 * 2 + 2
    wanted = minimize(lambda w: penalised(columns, penalties, w), np.zeros(size), tol=1e-10).x
    site, ad, numbers, bias = unflattened(wanted)
    np.testing.assert_allclose(weights.fields[0], site, atol=2e-4)
    np.testing.assert_allclose(weights.fields[1], ad, atol=2e-4)
    np.testing.assert_allclose(weights.numbers, numbers, atol=2e-4)
    np.testing.assert_allclose(weights.bias, bias, atol=1e-3)
    for shard in shards:
        walked = shard.logit.copy()
        shard.place(weights)
        # Numbers are multiplied in single precision.
        np.testing.assert_allclose(walked, shard.logit, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("towers", [1, 2, 4])
def test_a_field_step_solves_the_whole_system(towers: int) -> None:
    """Against the dense Hessian of all ids and parts, which the arrow never builds."""
    rng = np.random.default_rng(towers)
    rows, shape = 5, Shape((5,), 2, towers)
    w = rng.normal(0, 1, (shape.parts, rows))
    penalty = rng.uniform(0.5, 3, shape.parts)
    shards = [
        Shard(
            tower,
            0,
            rng.integers(0, rows - 1, (30, 1)).astype(np.int32),
            np.zeros((30, 2), np.float32),
            (rng.random(30) < 0.4).astype(np.float32),
        )
        for tower in range(towers)
    ]
    for shard in shards:
        shard.refresh(information=True)
    sums = field_sums(shards, shape, 0)
    step = field_step(w, penalty, sums)
    size = shape.parts * rows
    hessian, slope = np.diag(np.repeat(penalty, rows)), (penalty[:, None] * w).ravel()
    for tower, parts in enumerate(shape.summed):
        for row in range(rows):
            used = [part * rows + row for part in np.flatnonzero(parts)]
            slope[used] += sums.slope[tower, row]
            hessian[np.ix_(used, used)] += sums.information[tower, row]
    np.testing.assert_allclose(step.change.ravel(), np.linalg.solve(hessian, -slope), atol=1e-10)
    np.testing.assert_array_equal(sums.information[:, -1], 0)
    variance = np.diag(np.linalg.inv(hessian)).reshape(shape.parts, rows)
    wanted = (1 - penalty[:, None] * variance)[:, :-1].sum(axis=1)
    np.testing.assert_allclose(step.effective, wanted, atol=1e-10)
    determinant = np.linalg.slogdet(hessian)[1] - rows * np.log(penalty).sum()
    assert step.log_determinant == pytest.approx(determinant)
    assert size == len(hessian)


def test_shards_add_up() -> None:
    columns = examples(300, seed=3)
    found = []
    for pieces in (1, 7):
        shards, weights = shards_of(columns, pieces), Weights.start(SHAPE, np.zeros(2))
        penalties = Penalties.start(SHAPE, 5.0)
        step = None
        for _ in range(3):
            swept = sweep(shards, weights, penalties, step)
            weights, penalties, step = swept.weights, swept.evidence.penalties(), swept.step
        found.append((weights, penalties, swept.objective))
    (whole, of_whole, objective), (split, of_split, same) = found
    for a, b in zip(whole.fields, split.fields, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(of_whole.fields, of_split.fields, rtol=1e-5)
    assert same == pytest.approx(objective, rel=1e-7)


SETTINGS = ModelSettings(wide=WideSettings(blocks=3))
PLAIN = SamplingSettings()


def known(columns: Columns) -> Columns:
    return dataclasses.replace(columns, weight=None, completeness=None)


def test_a_weight_counts_as_examples() -> None:
    rng = np.random.default_rng(5)
    columns = known(examples(400, seed=4, effects=(np.linspace(-2, 2, 6),)))
    times = rng.integers(1, 4, 400)
    weighted = dataclasses.replace(columns, weight=times.astype(np.float32))
    repeated = columns.take(np.repeat(np.arange(400), times))
    settings = WideSettings(max_sweeps=5, tolerance=1e-12)
    (a, penalty_a), (b, penalty_b) = (
        fit_logistic(c, LAYOUT, settings) for c in (weighted, repeated)
    )
    np.testing.assert_allclose(a.fields[0], b.fields[0], atol=1e-5)
    assert penalty_a == pytest.approx(penalty_b, rel=1e-5)


def test_unseen_ids_weigh_nothing() -> None:
    columns = examples(500, seed=6, effects=(np.linspace(-1, 1, 6), np.linspace(1, -1, 9)))
    fit = fit_wide(columns, examples(200, seed=7), LAYOUT, SETTINGS, PLAIN)
    for field, unseen in enumerate((5, 8)):
        np.testing.assert_array_equal(fit.weights.fields[field][:, unseen], 0)
        assert np.abs(fit.weights.of_fields[field][:, 0]).min() > 0
    assert fit.offset.shape == (500,)
    assert fit.towers == ("hard", "soft")


def test_penalties_tell_fields_that_matter_from_fields_that_do_not() -> None:
    effects = (np.linspace(-2, 2, 6), np.zeros(9))
    columns, later = (known(examples(4000, seed=s, effects=effects)) for s in (8, 9))
    fit = fit_wide(columns, later, LAYOUT, SETTINGS, PLAIN)
    by_field = fit.record["fields"]
    assert by_field["site"]["scale"] > 0.9
    assert by_field["ad"]["penalty"]["shared"] > 10 * by_field["site"]["penalty"]["shared"]
    z = -1 + 0.7 * later.nums[:, 0] + effects[0][later.ids[:, 0]]
    shard = Shard(0, 0, later.ids, later.nums, later.label)
    shard.place(fit.weights)
    assert np.corrcoef(shard.logit, z)[0, 1] > 0.99


def test_what_holds_in_a_period_alone_is_switched_down() -> None:
    """An effect of the ad that is drawn anew for each sixth of the log says nothing of the next."""
    rng = np.random.default_rng(10)
    columns = known(examples(6000, seed=11))
    period = np.arange(6000) // 1000
    passing = rng.normal(0, 2, (6, 9))[period, columns.ids[:, 1]]
    lasting = np.linspace(-1, 1, 6)[columns.ids[:, 0]]
    label = (rng.random(6000) < expit(-1 + passing + lasting)).astype(np.float32)
    columns = dataclasses.replace(columns, label=label)
    model = SETTINGS.model_copy(update={"wide": WideSettings(blocks=5)})
    fit = fit_wide(
        columns.take(np.arange(5000)), columns.take(np.arange(5000, 6000)), LAYOUT, model, PLAIN
    )
    by_field = fit.record["fields"]
    assert by_field["ad"]["scale"] < 0.5 < 0.9 < by_field["site"]["scale"]
    in_sample = np.abs(fit.weights.of_fields[1]).mean()
    assert in_sample < 0.6


def test_what_carries_over_is_a_logistic_regression_on_contributions() -> None:
    """Against a general optimiser; where the shards are placed by now plays no part."""
    rng = np.random.default_rng(20)
    columns, width = known(examples(2000, seed=21)), 4
    contributions = rng.normal(0, 1, (2000, width)).astype(np.float32)
    truth = np.array([0.0, 0.4, 0.9, 1.0])
    label = (rng.random(2000) < expit(-1.3 + contributions @ truth)).astype(np.float32)
    shard = Shard(0, 0, columns.ids, columns.nums, label)
    unseen = [Unseen(shard, contributions, -1.0)]
    found = carried_over(unseen)

    def objective(at: Floats) -> float:
        z = -1.0 + contributions @ at[:width] + at[width]
        return float(loss(z, label, 0.0, None).sum() + 0.5 * ((at[:width] - 1) ** 2).sum())

    bounds = [(0.0, 1.0)] * width + [(None, None)]
    wanted = minimize(objective, np.ones(width + 1), bounds=bounds, tol=1e-12).x[:width]
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    shard.logit = rng.normal(0, 3, 2000)
    np.testing.assert_array_equal(carried_over(unseen), found)


def test_sampling_is_undone() -> None:
    """Half of the negatives left out, and the shift for it, leave the weights where they were."""
    effects = (np.linspace(-1, 1, 6), np.zeros(9))
    columns = known(examples(20_000, seed=12, effects=effects))
    keep = (columns.label > 0) | (np.random.default_rng(1).random(20_000) < 0.5)
    sampling = SamplingSettings(keep_negatives_hard=0.5, keep_negatives_soft=0.5)
    later = known(examples(500, seed=13, effects=effects))
    whole, part = (
        fit_wide(c, later, LAYOUT, SETTINGS, s)
        for c, s in ((columns, PLAIN), (columns.take(keep), sampling))
    )
    np.testing.assert_allclose(whole.weights.bias, part.weights.bias, atol=0.1)
    np.testing.assert_allclose(whole.weights.of_fields[0], part.weights.of_fields[0], atol=0.15)


def test_labels_that_may_still_change_are_corrected() -> None:
    """Half of the conversions not seen yet; with F the weights are those of the final labels."""
    effects = (np.linspace(-1, 1, 6), np.zeros(9))
    final = known(examples(20_000, seed=14, effects=effects))
    share = np.where(np.arange(20_000) % 2, 1.0, 0.3).astype(np.float32)
    seen = final.label * (np.random.default_rng(2).random(20_000) < share)
    later = known(examples(500, seed=15, effects=effects))
    now = dataclasses.replace(final, label=seen.astype(np.float32))
    bias = [
        fit_wide(c, later, LAYOUT, SETTINGS, PLAIN).weights.bias
        for c in (final, dataclasses.replace(now, completeness=share), now)
    ]
    np.testing.assert_allclose(bias[1], bias[0], atol=0.12)
    assert (bias[2] < bias[0] - 0.3).all()


@pytest.mark.parametrize(("mode", "towers"), [("one_task", ("all",)), ("hard_only", ("hard",))])
def test_one_tower_has_one_part(mode: str, towers: tuple[str, ...]) -> None:
    columns = examples(300, seed=16)
    if mode == "hard_only":
        columns = columns.take(columns.hard)
    model = ModelSettings(mode=mode, wide=WideSettings(blocks=2))
    fit = fit_wide(columns, columns, LAYOUT, model, PLAIN)
    assert fit.towers == towers
    assert fit.weights.fields[0].shape == (1, 6)
    assert set(fit.record["fields"]["site"]["penalty"]) == set(towers)


def test_tiers_have_a_tower_each() -> None:
    columns = dataclasses.replace(
        examples(300, seed=17),
        cvr=np.random.default_rng(1).choice([0.02, 0.5], 300).astype(np.float32),
    )
    model = ModelSettings(tier_boundaries=(0.1,), wide=WideSettings(blocks=2))
    fit = fit_wide(columns, columns, LAYOUT, model, PLAIN)
    assert fit.towers == ("hard", "soft_1", "soft_2")
    assert fit.weights.fields[1].shape == (4, 9)


def test_separable_and_constant_columns_leave_everything_finite() -> None:
    columns = known(examples(200, seed=18))
    columns.label[:] = columns.ids[:, 0] == 2
    columns.nums[:] = 3.0
    columns.label[columns.hard] = 0
    fit = fit_wide(columns, columns, LAYOUT, SETTINGS, PLAIN)
    assert np.isfinite(fit.offset).all()
    assert all(np.isfinite(w).all() for w in (*fit.weights.fields, fit.weights.numbers))


def test_the_logistic_regression_has_one_penalty() -> None:
    columns = known(examples(3000, seed=19, effects=(np.linspace(-1, 1, 6), np.zeros(9))))
    columns = columns.take(columns.hard)
    weights, penalty = fit_logistic(columns, LAYOUT, WideSettings(max_sweeps=200, tolerance=1e-9))
    shard = Shard(0, 0, columns.ids, columns.nums, columns.label)
    shard.place(weights)
    p = expit(shard.logit)
    slope = np.bincount(columns.ids[:, 0], p - columns.label, 6) + penalty * weights.fields[0][0]
    np.testing.assert_allclose(slope, 0, atol=0.05)
    h = p * (1 - p)
    squares = sum((w**2).sum() for w in weights.fields) + (weights.numbers**2).sum()
    columns_of = [np.eye(rows)[columns.ids[:, f]] for f, rows in enumerate(LAYOUT.rows)]
    design = np.hstack([*columns_of, columns.nums])
    seen = design.any(axis=0)
    blocks = np.split(np.arange(design.shape[1]), np.cumsum(LAYOUT.rows))
    effective = 0.0
    for block in blocks:
        x = design[:, block[seen[block]]]
        if block is blocks[-1]:
            x = np.hstack([x, np.ones((len(x), 1))])
        pull = np.full(x.shape[1], penalty)
        if block is blocks[-1]:
            pull[-1] = 0
        inverse = np.linalg.inv((x * h[:, None]).T @ x + np.diag(pull))
        effective += (1 - pull * np.diag(inverse))[pull > 0].sum()
    assert penalty == pytest.approx((effective + 1) / (squares + 1 / 30), rel=0.03)


def test_ids_that_come_with_one_advertiser() -> None:
    """Campaigns do, but for a hash that throws two together; hours and users do not."""
    rng = np.random.default_rng(22)
    advertiser = rng.integers(0, 20, 5000)
    campaign = advertiser * 3 + rng.integers(0, 3, 5000)
    campaign[campaign == 7] = 30
    user = rng.integers(0, 3000, 5000)
    once = np.arange(5000)
    ids = np.stack([rng.integers(0, 24, 5000), campaign, advertiser, user, once % 4999], axis=1)
    label, none = np.zeros(5000, np.float32), np.empty((5000, 0), np.float32)
    pieces = np.array_split(np.arange(5000), 7)
    shards = [Shard(0, 0, ids[of].astype(np.int32), none[of], label[of]) for of in pieces]
    shape = Shape((24, 60, 20, 3000, 4999), numbers=0, towers=1)
    assert ids_of_advertisers(shards, shape, advertiser=2) == (1, 2)


def test_newcomers_are_predicted_without_ids() -> None:
    """The price says all of an ad but beside its id little: for ads unseen it counts in full."""
    rng = np.random.default_rng(23)
    layout = dataclasses.replace(LAYOUT, rows=(6, 60), advertiser=1)
    columns, later = (known(examples(n, seed=s)) for n, s in ((20_000, 24), (500, 25)))
    price = rng.normal(0, 1, 60)
    for c in (columns, later):
        c.ids[:, 1] = rng.integers(0, 50, len(c))
        # The log's price is a reading of it with as much noise again.
        c.nums[:, 0] = price[c.ids[:, 1]] + rng.normal(0, 1, len(c))
        c.nums[:, 1] = 0
        c.label[:] = rng.random(len(c)) < expit(-1 + price[c.ids[:, 1]])
    fit = fit_wide(columns, later, layout, SETTINGS, PLAIN)
    assert fit.newcomers is not None
    alone = dataclasses.replace(LAYOUT, categorical=("site",), rows=(6,), widths=(4,))
    cut = [dataclasses.replace(c, ids=c.ids[:, :1]) for c in (columns, later)]
    wanted = fit_wide(*cut, alone, SETTINGS, PLAIN).weights.of_numbers
    found = fit.newcomers.weights.of_numbers
    np.testing.assert_allclose(found[:, [0, 2]], wanted[:, [0, 2]], atol=0.03)
    assert (found[:, 0] > 0.3).all()
    assert (np.abs(fit.weights.of_numbers[:, 0]) < 0.1).all()

    tower = WideTower(layout, scope="hard", newcomers=True)
    tower.take(fit.weights, 0, fit.newcomers)
    seen, unseen = (later.take(np.arange(3)) for _ in range(2))
    unseen.ids[:, 1] = 55
    for weights, c in ((fit.weights, seen), (fit.newcomers.weights, unseen)):
        shard = Shard(0, 0, c.ids, c.nums, c.label)
        shard.place(weights)
        np.testing.assert_allclose(tower(c.ids, c.nums), shard.logit, atol=1e-5)


def test_without_an_advertiser_nobody_is_new() -> None:
    columns = examples(300, seed=26)
    assert fit_wide(columns, None, LAYOUT, SETTINGS, PLAIN).newcomers is None
