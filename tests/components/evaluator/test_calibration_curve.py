"""Calibration curves against numbers worked out by hand and scipy's Wilson interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from components.evaluator.metrics.calibration_curve import calibration_curve, wilson_interval


def test_bins_of_equal_mass_lowest_first() -> None:
    prediction = np.array([0.9, 0.1, 0.4, 0.2, 0.6, 0.3])
    label = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    low, middle, high = calibration_curve(label, prediction, 3, 0.9)
    assert [low["examples"], middle["examples"], high["examples"]] == [2, 2, 2]
    assert (low["predicted"], low["observed"], low["positives"]) == (pytest.approx(0.15), 0.0, 0)
    assert (middle["predicted"], middle["observed"]) == (pytest.approx(0.35), 0.5)
    assert (high["predicted"], high["observed"]) == (pytest.approx(0.75), 1.0)


def test_every_example_is_in_one_bin() -> None:
    generator = np.random.default_rng(2)
    prediction = generator.random(103)
    label = (generator.random(103) < prediction).astype(float)
    curve = calibration_curve(label, prediction, 10, 0.9)
    assert {b["examples"] for b in curve} == {10, 11}
    assert sum(b["examples"] for b in curve) == 103
    assert sum(b["positives"] for b in curve) == label.sum()
    assert sum(b["predicted"] * b["examples"] for b in curve) == pytest.approx(prediction.sum())


def test_fewer_examples_than_bins() -> None:
    assert len(calibration_curve(np.zeros(3), np.array([0.1, 0.2, 0.3]), 20, 0.9)) == 3
    assert calibration_curve(np.zeros(0), np.zeros(0), 20, 0.9) == []


def test_nan_predictions_are_left_out() -> None:
    curve = calibration_curve(np.ones(3), np.array([0.1, math.nan, 0.3]), 2, 0.9)
    assert sum(b["examples"] for b in curve) == 2


@pytest.mark.parametrize(("positives", "examples"), [(0, 12), (3, 12), (12, 12), (7, 4000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_interval(positives: int, examples: int, confidence: float) -> None:
    wanted = binomtest(positives, examples).proportion_ci(confidence, method="wilson")
    assert wilson_interval(positives, examples, confidence) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-12
    )
