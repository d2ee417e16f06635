"""Platt and isotonic calibration against scikit-learn, and what any calibration must keep."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from components.trainer.calibrate.calibrator import (
    HIGHEST,
    LOWEST,
    Calibrator,
    check_calibration,
    fit_calibrators,
    probability,
)
from components.trainer.calibrate.isotonic import Isotonic, fit_isotonic
from components.trainer.calibrate.platt import Platt, fit_platt
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import CalibrationSettings, ModelSettings
from components.trainer.step.metrics import auc, calibration_error, log_loss
from components.trainer.step.scoring import predict
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Floats = np.ndarray
Clicks = Callable[..., Columns]
FITS: dict[str, Callable[[Floats, Floats, Floats], Calibrator]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}


def scored(n: int, seed: int, slope: float = 1.0, intercept: float = -3.0) -> tuple[Floats, Floats]:
    """Logits with ties, and labels whose log-odds are slope * logit + intercept."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(0, 1.5, n), 2)
    label = (rng.random(n) < expit(slope * z + intercept)).astype(np.float64)
    return z, label


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_platt_is_logistic_regression_on_platt_targets(seed: int, weighted: bool) -> None:
    """scikit-learn takes no soft targets: each example goes in once a label, weighted by it."""
    z, label = scored(2000, seed, slope=0.6)
    weight = np.random.default_rng(seed).uniform(0, 3, 2000) if weighted else np.ones(2000)
    high, low = weight[label == 1].sum(), weight[label == 0].sum()
    target = np.where(label == 1, (high + 1) / (high + 2), 1 / (low + 2))
    reference = LogisticRegression(penalty=None, tol=1e-12, max_iter=1000).fit(
        np.tile(z, 2)[:, None],
        np.repeat([1, 0], len(z)),
        np.concatenate([weight * target, weight * (1 - target)]),
    )
    found = fit_platt(z, label, weight)
    assert found.slope == pytest.approx(reference.coef_.item(), rel=1e-4)
    assert found.intercept == pytest.approx(reference.intercept_.item(), rel=1e-4)


def test_platt_keeps_slope_and_intercept_finite_where_labels_are_separable() -> None:
    found = fit_platt(np.array([-1.0, -2.0, 1.0, 3.0]), np.array([0.0, 0, 1, 1]), np.ones(4))
    assert 0 < found.slope < 10
    # The mean of the targets 1/4, 1/4, 3/4, 3/4, which an intercept always meets.
    assert found.probability(np.array([-1.0, -2.0, 1.0, 3.0])).mean() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("z", "label"),
    [
        ([-1.0, 0.0, 1.0, 2.0] * 50, [1.0, 1, 0, 0] * 50),
        ([0.5] * 200, [1.0, 0, 0, 0] * 50),
    ],
)
def test_platt_without_an_order_to_keep_moves_the_mean_alone(
    z: list[float], label: list[float]
) -> None:
    found = fit_platt(np.array(z), np.array(label), np.ones(200))
    assert found.slope == 1
    ones, zeros = sum(label), 200 - sum(label)
    targets = ones * (ones + 1) / (ones + 2) + zeros / (zeros + 2)
    assert found.probability(np.array(z)).sum() == pytest.approx(targets)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_isotonic_goes_through_the_means_of_scikit_learns_pools(seed: int, weighted: bool) -> None:
    """But for the outermost pools, joined where all labels are equal, and for one shift of all."""
    z, label = scored(3000, seed)
    weight = np.random.default_rng(seed).uniform(0, 3, 3000) if weighted else np.ones(3000)
    p = expit(z)
    fitted = IsotonicRegression().fit(p, label, weight).predict(p)
    means = {
        round(float(np.average(p[pool], weights=weight[pool])), 9): value
        for value in np.unique(fitted)
        if (pool := fitted == value).any()
    }
    found = fit_isotonic(z, label, weight)
    inner = list(zip(expit(found.predicted), found.observed, strict=True))[1:-1]
    assert len(inner) >= len(means) - 4
    assert len(inner) > 5
    shifts = [y - logit(means[round(x, 9)]) for x, y in inner]
    assert np.ptp(shifts) < 1e-9
    assert abs(shifts[0]) < 0.05


def test_isotonic_worked_by_hand() -> None:
    """Means 0, .3 | .2, .9: .3 and .2 pool, and the first pool has no conversion."""
    p = np.array([0.1] * 10 + [0.2] * 10 + [0.3] * 10 + [0.6] * 10)
    label = np.concatenate([np.arange(10) < c for c in (0, 3, 2, 9)]).astype(float)
    found = fit_isotonic(logit(p), label, np.ones(40))
    assert expit(found.predicted) == pytest.approx([(0.1 + 0.2 + 0.3) / 3, 0.6])
    odds_ratio = np.diff(found.observed)
    assert odds_ratio == pytest.approx(logit(0.9) - logit(5 / 30))
    joined = fit_isotonic(logit(p), label, np.ones(40), min_conversions=6)
    assert expit(joined.predicted) == pytest.approx([0.3])
    # One knot adds a constant to all log-odds, that with which 14 conversions are predicted.
    shift = joined.observed[0] - logit(0.3)
    assert expit(logit(p) + shift).sum() == pytest.approx(14)
    grid = np.linspace(-9, 9, 7)
    np.testing.assert_allclose(joined.probability(grid), expit(grid + shift))


@pytest.mark.parametrize("seed", [1, 2])
def test_isotonic_predicts_as_many_conversions_as_there_were(seed: int) -> None:
    z, label = scored(500, seed, slope=-0.1, intercept=0.5)
    weight = np.random.default_rng(seed).uniform(0, 3, 500)
    found = fit_isotonic(z, label, weight, min_conversions=30)
    assert weight @ found.probability(z) == pytest.approx(weight @ label)


@pytest.mark.parametrize("least", [1, 10, 60])
def test_isotonic_keeps_the_number_of_conversions_under_every_knot(least: int) -> None:
    z, label = scored(5000, 4)
    found = fit_isotonic(z, label, np.ones(5000), min_conversions=least)
    assert (np.diff(found.predicted) > 0).all()
    assert (np.diff(found.observed) > 0).all()
    assert len(found.observed) <= max(1, label.sum() // least)
    assert len(found.observed) > (3 if least < 60 else 0)


def test_isotonic_of_logits_that_are_far_off_is_finite() -> None:
    """A network that is surely wrong: conversions at logits of -400, none at -50."""
    z = np.repeat([-400.0, -50.0, 1e5], 20)
    label = np.tile([1.0, 0.0], 30)
    found = fit_isotonic(z, label, np.ones(60))
    assert np.isfinite([*found.predicted, *found.observed]).all()
    assert found.probability(z).sum() == pytest.approx(30)
    graph = probability(tf.constant(z, tf.float32), found).numpy()
    np.testing.assert_allclose(graph, np.clip(found.probability(z), LOWEST, HIGHEST), rtol=1e-5)


def test_isotonic_needs_both_labels() -> None:
    with pytest.raises(ValueError, match="0 of 2 labels are 1"):
        fit_isotonic(np.zeros(3), np.array([0.0, 0, 1]), np.array([1.0, 1, 0]))


@pytest.mark.parametrize("method", FITS)
def test_a_calibrated_network_is_left_as_it_is(method: str) -> None:
    z, label = scored(200_000, 5, intercept=0.0)
    found = FITS[method](z, label, np.ones(len(z)))
    grid = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(found.probability(grid), expit(grid), atol=0.02)


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize(("slope", "intercept"), [(0.4, -2.0), (2.5, 1.0)])
def test_a_miscalibrated_network_becomes_better_on_other_examples(
    method: str, slope: float, intercept: float
) -> None:
    calibrator = FITS[method](*scored(20_000, 6, slope, intercept), np.ones(20_000))
    z, label = scored(20_000, 7, slope, intercept)
    before, after = expit(z), calibrator.probability(z)
    truth = expit(slope * z + intercept)
    assert calibration_error(before, label) > 0.05
    assert calibration_error(after, label) < 0.01
    assert after.sum() / truth.sum() == pytest.approx(1, abs=4 / np.sqrt(truth.sum()))
    losses = [log_loss(logit(p), label) for p in (before, after, truth)]
    assert losses[1] - losses[2] < 0.05 * (losses[0] - losses[2])


@pytest.mark.parametrize(
    "calibrator", [Platt(0.3, -4.0), fit_isotonic(*scored(3000, 8), np.ones(3000))]
)
def test_the_graph_is_the_function_strictly_inside_0_and_1(calibrator: Calibrator) -> None:
    z = np.concatenate([np.linspace(-12, 12, 4001), [-1000, -90, 90, 1000]]).astype(np.float32)
    found = probability(tf.constant(z), calibrator).numpy()
    assert found.dtype == np.float32
    wanted = np.clip(calibrator.probability(z.astype(np.float64)), LOWEST, HIGHEST)
    np.testing.assert_allclose(found, wanted, rtol=2e-7)
    assert 0 < found.min() < found.max() < 1


def test_the_graph_at_and_around_knots_never_steps_down() -> None:
    calibrator = fit_isotonic(*scored(3000, 8), np.ones(3000))
    z = np.array(calibrator.predicted, np.float32)
    near = [z]
    for direction in (-np.inf, np.inf):
        step = z
        for _ in range(3):
            step = np.nextafter(step, np.float32(direction))
            near.append(step)
    ordered = np.sort(np.concatenate(near))
    assert (np.diff(probability(tf.constant(ordered), calibrator).numpy()) >= 0).all()


@pytest.mark.parametrize("method", FITS)
def test_the_ranking_stays(method: str) -> None:
    z, label = scored(5000, 9, slope=0.5)
    calibrator = FITS[method](z, label, np.ones(5000))
    assert auc(calibrator.probability(z), label) == pytest.approx(auc(z, label), abs=1e-12)


@pytest.fixture(scope="module")
def network(layout: FeatureLayout) -> Callable[[str], TwoTowerDCN]:
    """A network a mode, its logits far too high."""

    def make(mode: str) -> TwoTowerDCN:
        model = ModelSettings(mode=mode, cross_layers=1, hidden_units=(8,), shared_layers=1)
        made = TwoTowerDCN(layout, model, seed=1)
        made.set_base_rates(dict.fromkeys(made.towers, 0.6))
        return made

    return make


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize(
    ("mode", "examples", "fitted_on"),
    [
        ("two_tower", "tower", "hard"),
        ("two_tower", "hard", "hard"),
        ("hard_only", "tower", "hard"),
        ("one_task", "tower", "all"),
        ("one_task", "hard", "hard"),
    ],
)
def test_it_is_fitted_on_the_examples_of_the_served_tower(
    mode: str,
    examples: str,
    fitted_on: str,
    method: str,
    network: Callable[[str], TwoTowerDCN],
    clicks: Clicks,
) -> None:
    columns, made = clicks(4000, seed=2), network(mode)
    settings = CalibrationSettings(method=method, examples=examples)
    check_calibration(columns, made.settings, settings)
    fitted = fit_calibrators(made, columns, settings, batch_size=512)[made.serving_tower]
    mine = columns if fitted_on == "all" else columns.take(columns.hard)
    before = predict(made, made.serving_tower, mine).astype(np.float64)
    after = fitted.calibrator.probability(logit(before))
    record = fitted.record
    assert record["method"] == method
    assert record["examples"] == len(mine)
    assert record["conversions"] == mine.label.sum()
    # A constant network can be no better than the rate itself.
    assert after.mean() == pytest.approx(mine.label.mean(), rel=0.02)
    for when, p in (("before", before), ("after", after)):
        assert record[when]["ratio"] == pytest.approx(p.sum() / mine.label.sum(), rel=1e-5)
        surprise = np.where(mine.label > 0, -np.log(p), -np.log1p(-p)).mean()
        assert record[when]["log_loss"] == pytest.approx(surprise, rel=1e-5)
        assert record[when]["error"] == pytest.approx(calibration_error(p, mine.label), rel=1e-4)
    if method == "platt":
        assert fitted.calibrator == Platt(record["slope"], record["intercept"])
    else:
        assert fitted.calibrator == Isotonic(record["predicted"], record["observed"])


def test_none_fits_nothing(network: Callable[[str], TwoTowerDCN], clicks: Clicks) -> None:
    settings = CalibrationSettings(method="none")
    columns = clicks(50, seed=1)
    columns.label[:] = 0
    check_calibration(columns, ModelSettings(), settings)
    assert fit_calibrators(network("two_tower"), columns, settings, 512) == {}
    z = tf.constant([-3.0, 0.0, 2.0])
    np.testing.assert_array_equal(probability(z, None), tf.sigmoid(z))


@pytest.mark.parametrize(("label", "conversions"), [(0.0, 0), (1.0, 30)])
def test_a_split_that_nothing_can_be_fitted_on_is_refused(
    label: float, conversions: int, clicks: Clicks
) -> None:
    columns = clicks(60, seed=1)
    columns.hard[:] = np.arange(60) < 30
    columns.label[:] = np.where(columns.hard, label, 1 - label)
    settings = CalibrationSettings(method="isotonic")
    message = rf"method isotonic: {conversions} of the 30 calibration examples to fit on converted"
    with pytest.raises(InputError, match=message):
        check_calibration(columns, ModelSettings(), settings)
