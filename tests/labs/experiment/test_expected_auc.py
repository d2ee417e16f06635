"""AUC in expectation over labels, against sums over all pairs and against drawn labels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.statistics.bootstrap import Draws
from labs.experiment.judging.expected_auc import ResampledExpectedAuc, expected_auc
from labs.experiment.judging.statistics import Judged, areas, expected_areas


def by_pairs(truth: np.ndarray, prediction: np.ndarray, example: np.ndarray) -> float:
    """By its definition; rows of one example make no pair."""
    wins = pairs = 0.0
    for i in range(len(truth)):
        for j in range(len(truth)):
            if example[i] != example[j]:
                likely = truth[i] * (1 - truth[j])
                pairs += likely
                gap = prediction[i] - prediction[j]
                wins += likely * (1.0 if gap > 0 else 0.5 if gap == 0 else 0.0)
    return wins / pairs


def drawn(n: int, levels: int, setups: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, predictions of so many different values, and setups."""
    rng = np.random.default_rng(n * levels)
    truth = rng.uniform(0, 0.6, n)
    steps = np.clip(truth + rng.normal(0, 0.2, n), 0.01, 0.99) * levels
    return truth, np.round(steps) / levels, rng.integers(0, setups, n)


def test_by_hand() -> None:
    """Pairs (i, j): .2 * .5 in order, .5 * .8 not."""
    found = expected_auc(np.array([0.2, 0.5]), np.array([0.4, 0.1]))
    assert found == pytest.approx(0.2 * 0.5 / (0.2 * 0.5 + 0.5 * 0.8))


@pytest.mark.parametrize("levels", [1, 2, 3, 8, 10**9])
@pytest.mark.parametrize("n", [2, 3, 17, 120])
def test_it_is_the_sum_over_pairs(n: int, levels: int) -> None:
    truth, prediction, setup = drawn(n, levels)
    wanted = by_pairs(truth, prediction, np.arange(n))
    assert expected_auc(truth, prediction) == pytest.approx(wanted, rel=1e-12)
    whole = ResampledExpectedAuc(setup, 5, truth, prediction)(np.ones((1, 5), np.int64))
    assert whole == pytest.approx([wanted], rel=1e-12)


@pytest.mark.parametrize("levels", [3, 10**9])
def test_a_resample_counts_setups_as_often_as_drawn(levels: int) -> None:
    truth, prediction, setup = drawn(60, levels)
    counts = np.array([[2, 0, 1, 3, 0], [0, 0, 0, 5, 0], [1, 1, 1, 1, 1]])
    found = ResampledExpectedAuc(setup, 5, truth, prediction)(counts)
    for row, value in zip(counts, found, strict=True):
        example = np.repeat(np.arange(60), row[setup])
        wanted = by_pairs(truth[example], prediction[example], example)
        assert value == pytest.approx(wanted, rel=1e-12)


def test_many_examples_of_few_setups() -> None:
    """Enough for dense products: the matrix's sum is that of the sorted examples."""
    truth, prediction, setup = drawn(20_000, 10**9)
    found = ResampledExpectedAuc(setup, 5, truth, prediction)(np.ones((1, 5), np.int64))
    assert found[0] == pytest.approx(expected_auc(truth, prediction), rel=1e-12)


def test_it_is_what_labels_give_in_the_long_run() -> None:
    """Pairs in order over pairs, each added up over many draws of the labels."""
    truth, prediction, _ = drawn(60, 12)
    gap = prediction[:, None] - prediction[None, :]
    order = (gap > 0) + 0.5 * (gap == 0)
    labels = (np.random.default_rng(3).random((100_000, 60)) < truth).astype(float)
    wins = np.einsum("ri,ij,rj->", labels, order, 1 - labels, optimize=True)
    pairs = (labels.sum(axis=1) * (1 - labels).sum(axis=1)).sum()
    assert expected_auc(truth, prediction) == pytest.approx(wins / pairs, abs=1e-3)


def test_certain_labels_give_the_plain_auc() -> None:
    truth, prediction, setup = drawn(300, 40)
    label = (truth > 0.3).astype(float)
    judged, draws = Judged(setup, 5, label, None), Draws(50, 1, 0.9)
    plain, expected = (
        areas(judged, [prediction], draws),
        expected_areas(judged, label, [prediction], draws),
    )
    assert expected.estimates == pytest.approx(plain.estimates)
    assert expected.drawn == pytest.approx(plain.drawn)


def test_nothing_to_order() -> None:
    one = np.array([0.3])
    assert math.isnan(expected_auc(one, one))
    copies = ResampledExpectedAuc(np.array([0]), 1, one, one)(np.array([[3], [7], [11]]))
    assert np.isnan(copies).all()
    assert math.isnan(expected_auc(np.zeros(4), np.full(4, 0.5)))
    unknown = np.array([0.1, np.nan])
    truth, setup = np.array([0.1, 0.2]), np.array([0, 0])
    assert math.isnan(expected_auc(truth, unknown))
    assert np.isnan(ResampledExpectedAuc(setup, 1, truth, unknown)(np.array([[1]]))).all()
