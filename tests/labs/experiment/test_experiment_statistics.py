"""Metrics and intervals against definitions and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labs.experiment.judging.statistics import (
    SEED_STREAM,
    Areas,
    Draws,
    Judged,
    areas,
    auc_difference,
    calibration,
    rig,
    rig_difference,
)


def auc(label: np.ndarray, prediction: np.ndarray) -> float:
    """By its definition, over all pairs."""
    gap = prediction[label == 1][:, None] - prediction[label == 0][None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean()) if gap.size else math.nan


def both(judged: Judged, ones: list, others: list, draws: Draws) -> tuple[Areas, Areas]:
    return areas(judged, ones, draws), areas(judged, others, draws)


def entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_rig_by_hand() -> None:
    label, prediction = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.5, 0.25, 0.25, 0.5])
    loss = (2 * math.log(2) - 2 * math.log(0.75)) / 4
    assert rig(label, prediction) == pytest.approx(1 - loss / entropy(0.25))


def test_expected_rig_by_hand() -> None:
    truth, prediction = np.array([0.1, 0.3]), np.array([0.2, 0.2])
    loss = -(0.1 * math.log(0.2) + 0.9 * math.log(0.8) + 0.3 * math.log(0.2) + 0.7 * math.log(0.8))
    assert rig(truth, prediction) == pytest.approx(1 - loss / 2 / entropy(0.2))
    best = (entropy(0.1) + entropy(0.3)) / 2
    assert rig(truth, truth) == pytest.approx(1 - best / entropy(0.2))


def test_expected_rig_is_what_labels_give_in_the_long_run() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.01, 0.4, 300_000)
    prediction = np.clip(truth * rng.uniform(0.5, 2, len(truth)), 0.001, 0.9)
    label = (rng.random(len(truth)) < truth).astype(float)
    assert rig(label, prediction) == pytest.approx(rig(truth, prediction), abs=0.006)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_undefined(label: float) -> None:
    assert math.isnan(rig(np.full(4, label), np.full(4, 0.5)))
    judged = Judged(np.zeros(4, np.int64), 1, np.full(4, label), None)
    assert math.isnan(areas(judged, [np.full(4, 0.5)], Draws(10, 1, 0.9)).estimates[0])
    assert math.isnan(calibration(np.zeros(4), np.full(4, 0.5)))


def test_auc_by_hand() -> None:
    """Of six pairs, four are in order and one is tied."""
    label = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    judged = Judged(np.zeros(5, np.int64), 1, label, None)
    found = areas(judged, [np.array([0.9, 0.2, 0.1, 0.2, 0.3])], Draws(10, 1, 0.9))
    assert found.estimates[0] == pytest.approx(4.5 / 6)


def arms(seeds: int, n: int = 300, setups: int = 12) -> tuple[Judged, list, list]:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.05, 0.6, n)
    judged = Judged.of(rng.integers(0, setups, n) * 3, (rng.random(n) < truth).astype(float), truth)
    noise = [rng.normal(0, 0.02, n) for _ in range(2 * seeds)]
    good = [np.clip(truth + e, 0.01, 0.99) for e in noise[:seeds]]
    poor = [np.clip(0.5 * truth + 0.15 + e, 0.01, 0.99) for e in noise[seeds:]]
    return judged, good, poor


def test_setups_are_renumbered() -> None:
    judged, _, _ = arms(1)
    assert judged.setups == 12
    assert set(judged.setup) == set(range(12))


def test_estimates_are_means_of_the_seeds_differences() -> None:
    judged, good, poor = arms(3)
    draws = Draws(50, 1, 0.9)
    for target in (judged.label, judged.truth):
        assert target is not None
        wanted = np.mean([rig(target, g) - rig(target, p) for g, p in zip(good, poor, strict=True)])
        found = rig_difference(judged, target, good, poor, draws)
        assert found.estimate == pytest.approx(wanted, rel=1e-9)
    wanted = np.mean(
        [auc(judged.label, g) - auc(judged.label, p) for g, p in zip(good, poor, strict=True)]
    )
    found = auc_difference(judged, *both(judged, good, poor, draws), draws)
    assert found.estimate == pytest.approx(wanted, rel=1e-9)


def test_one_resample_is_what_was_drawn() -> None:
    """Setups once for all seeds, then seeds: by copying examples and counting seeds."""
    judged, good, poor = arms(3)
    counts = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12))
    seeds = np.random.default_rng([7, SEED_STREAM]).multinomial(3, np.full(3, 1 / 3))
    rows = np.repeat(np.arange(len(judged)), counts[judged.setup])
    label = judged.label[rows]
    draws = Draws(1, 7, 0.9)
    for metric, found in (
        (rig, rig_difference(judged, judged.label, good, poor, draws).within(0.9)),
        (auc, auc_difference(judged, *both(judged, good, poor, draws), draws).within(0.9)),
    ):
        by_seed = [
            metric(label, g[rows]) - metric(label, p[rows]) for g, p in zip(good, poor, strict=True)
        ]
        assert found.low == found.high == pytest.approx(float(seeds @ by_seed) / 3, rel=1e-9)


def test_seeds_that_disagree_widen_the_interval() -> None:
    judged, good, poor = arms(4, n=6000, setups=100)
    steady = rig_difference(
        judged, judged.label, [good[0]] * 4, [poor[0]] * 4, Draws(800, 1, 0.9)
    ).within(0.9)
    mixed = [good[0], good[0], poor[0], poor[0]]
    shaky = rig_difference(judged, judged.label, mixed, [poor[0]] * 4, Draws(800, 1, 0.9)).within(
        0.9
    )
    assert shaky.high - shaky.low > 2 * (steady.high - steady.low)
    assert shaky.estimate == pytest.approx(steady.estimate / 2)
    alone = rig_difference(judged, judged.label, good[:1], poor[:1], Draws(800, 1, 0.9)).within(0.9)
    assert (alone.low, alone.high) == pytest.approx((steady.low, steady.high))


def test_truth_narrows_the_interval() -> None:
    judged, good, poor = arms(1, n=4000, setups=60)
    assert judged.truth is not None
    sampled = rig_difference(judged, judged.label, good, poor, Draws(400, 1, 0.9)).within(0.9)
    expected = rig_difference(judged, judged.truth, good, poor, Draws(400, 1, 0.9)).within(0.9)
    assert expected.high - expected.low < 0.5 * (sampled.high - sampled.low)
