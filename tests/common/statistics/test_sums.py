"""Sums over examples whose labels are probabilities: losses are expected ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.statistics.sums import Sums


def test_expected_losses_by_hand() -> None:
    """p = .5 and .1, q = .5 and .2: loss ln 2 + (.1 ln 5 + .9 ln 1.25) = 1.054920."""
    sums = Sums.of(np.array([0.5]), np.array([0.5])) + Sums.of(np.array([0.1]), np.array([0.2]))
    assert sums.loss == pytest.approx(1.0549201, abs=1e-6)
    assert sums.calibration == pytest.approx(0.7 / 0.6)
    # gamma .3 has entropy .6108643
    assert sums.rig == pytest.approx(1 - 1.0549201 / 2 / 0.6108643, abs=1e-6)


def test_nothing_has_no_metrics() -> None:
    assert math.isnan(Sums().rig)
    assert math.isnan(Sums().calibration)
