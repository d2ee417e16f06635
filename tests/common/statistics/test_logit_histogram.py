"""Ranking metrics from the histogram against scikit-learn's exact ones."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from common.statistics.histogram import BIN_WIDTH, Histogram, logit_bins
from components.evaluator.metrics.ranking import PENDING, LogitHistogram


def histogram(label: object, prediction: object) -> Histogram:
    labels = np.asarray(label, np.float64)
    return Histogram.of(labels, np.asarray(prediction, np.float64), np.ones(len(labels)))


def rare_conversions(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    prediction = 1.0 / (1.0 + np.exp(6.0 - generator.normal(size=count)))
    return (generator.random(count) < prediction).astype(float), prediction


@pytest.mark.parametrize(
    ("labels", "predictions", "auc", "precision"),
    [
        pytest.param([0, 1], [0.1, 0.2], 1.0, 1.0, id="right order"),
        pytest.param([1, 0], [0.1, 0.2], 0.0, 0.5, id="wrong order"),
        pytest.param([1, 0], [0.1, 0.1], 0.5, 0.5, id="a tie counts half"),
        # pairs right: 3 of 4; precision 1/1 at recall 1/2, then 2/3
        pytest.param([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], 0.75, 5 / 6, id="by hand"),
        pytest.param([0, 0], [0.1, 0.2], math.nan, math.nan, id="no positives"),
        pytest.param([1, 1], [0.1, 0.2], math.nan, math.nan, id="no negatives"),
        pytest.param([], [], math.nan, math.nan, id="no examples"),
        pytest.param([0, 1, 0], [0.1, 0.2, math.nan], math.nan, math.nan, id="NaN prediction"),
        pytest.param([0, 1, 0], [0.0, 1.0, 0.5], 1.0, 1.0, id="0 and 1 are extremes"),
    ],
)
def test_by_hand(labels: list, predictions: list, auc: float, precision: float) -> None:
    found = histogram(labels, predictions)
    assert found.auc == pytest.approx(auc, nan_ok=True)
    assert found.average_precision == pytest.approx(precision, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_near_the_exact_value_at_low_rates(seed: int) -> None:
    label, prediction = rare_conversions(30_000, seed)
    found = histogram(label, prediction)
    exact = roc_auc_score(label, prediction)
    assert found.tied_pairs < 5e-4
    assert abs(found.auc - exact) <= found.tied_pairs / 2
    assert found.average_precision == pytest.approx(
        average_precision_score(label, prediction), rel=0.02
    )


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-400, 400)), min_size=2, max_size=60).filter(
        lambda rows: 0 < sum(label for label, _ in rows) < len(rows)
    )
)
def test_exact_when_bins_tell_predictions_apart(rows: list[tuple[bool, int]]) -> None:
    label = np.array([float(converted) for converted, _ in rows])
    # Centres of bins: equal numbers tie, others do not.
    logit = (np.array([number for _, number in rows]) + 0.5) * BIN_WIDTH * 7
    prediction = 1.0 / (1.0 + np.exp(-logit))
    found = histogram(label, prediction)
    assert found.auc == pytest.approx(roc_auc_score(label, prediction))
    assert found.average_precision == pytest.approx(average_precision_score(label, prediction))


@given(st.lists(st.integers(0, 200), min_size=0, max_size=4))
def test_parts_merge_to_the_whole(cuts: list[int]) -> None:
    label, prediction = rare_conversions(200, 5)
    whole = histogram(label, prediction)
    bounds = [0, *sorted(cuts), 200]
    parts = [histogram(label[a:b], prediction[a:b]) for a, b in pairwise(bounds)]
    merged = Histogram.empty().merge(*reversed(parts))
    for field in ("bins", "negatives", "positives"):
        np.testing.assert_array_equal(getattr(merged, field), getattr(whole, field))


def test_bins_are_relative_at_low_rates() -> None:
    low = logit_bins(np.array([0.0005, 0.0005 * 1.002]))
    high = logit_bins(np.array([0.5, 0.5 * 1.002]))
    assert low[1] - low[0] in (4, 5)
    assert high[1] - high[0] in (8, 9)


def test_combiner_compacts_on_the_way() -> None:
    label, prediction = rare_conversions(3 * PENDING, 3)
    fn = LogitHistogram("key", lambda rows: (label[rows], prediction[rows], np.ones(len(rows))))
    accumulator = fn.create_accumulator()
    most = 0
    for rows in np.array_split(np.arange(len(label)), 64):
        accumulator = fn.add_input(accumulator, rows)
        most = max(most, sum(len(part.bins) for part in accumulator[1:]))
    merged = fn.merge_accumulators([accumulator, fn.create_accumulator()])
    (found,) = fn.extract_output(merged).values()
    assert most <= PENDING
    assert found.auc == pytest.approx(histogram(label, prediction).auc, rel=1e-12)
