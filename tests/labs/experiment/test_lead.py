"""The lead of the best trial, against loops over resamples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.statistics.bootstrap import Draws
from common.statistics.sums import log_loss
from labs.experiment.judging.lead import Lead, lead
from labs.experiment.judging.statistics import Judged

SETUPS = 30


def judged_and_truth(n: int = 3000) -> tuple[Judged, np.ndarray]:
    rng = np.random.default_rng(1)
    setup = rng.integers(0, SETUPS, n)
    truth = rng.uniform(0.05, 0.5, SETUPS)[setup]
    return Judged.of(setup, (rng.random(n) < truth).astype(float), None), truth


def noisy(truth: np.ndarray, seed: int, size: float) -> np.ndarray:
    odds = np.log(truth / (1 - truth)) + np.random.default_rng(seed).normal(0, size, len(truth))
    return 1 / (1 + np.exp(-odds))


def test_a_better_trial_is_clearly_ahead() -> None:
    judged, truth = judged_and_truth()
    present, good = [noisy(truth, s, 1.0) for s in (1, 2)], [noisy(truth, s, 0.3) for s in (3, 4)]
    found = lead(judged, [present, good], 1, Draws(300, 1, 0.9))
    gains = [
        (log_loss(judged.label, p) - log_loss(judged.label, g)).mean()
        for p, g in zip(present, good, strict=True)
    ]
    assert found.difference.estimate == pytest.approx(np.mean(gains))
    assert 0 < found.difference.low < found.difference.estimate < found.difference.high
    assert found.left_out == pytest.approx(found.difference.estimate, rel=0.2)
    assert found.clear


def test_the_choice_is_made_again_in_each_resample() -> None:
    judged, truth = judged_and_truth()
    trials = [[noisy(truth, 10 * t + s, 0.5) for s in range(2)] for t in range(6)]
    losses = [np.mean([log_loss(judged.label, p) for p in seeds], axis=0) for seeds in trials]
    draws = Draws(40, 3, 0.9)
    rng, gains = np.random.default_rng(3), []
    for counts in rng.multinomial(SETUPS, np.full(SETUPS, 1 / SETUPS), 40):
        rows = np.repeat(np.arange(len(judged)), counts[judged.setup])
        chosen = min(range(6), key=lambda t: losses[t][rows].mean())
        out = counts[judged.setup] == 0
        gains.append(losses[0][out].mean() - losses[chosen][out].mean())
    best = int(np.argmin([loss.mean() for loss in losses]))
    assert lead(judged, trials, best, draws).left_out == pytest.approx(np.mean(gains))


def test_the_best_of_equals_is_not_ahead_of_setups_it_was_not_chosen_by() -> None:
    judged, truth = judged_and_truth()
    trials = [[noisy(truth, 100 + t, 0.5)] for t in range(40)]
    totals = [log_loss(judged.label, p).sum() for (p,) in trials]
    best = int(np.argmin(totals))
    found = lead(judged, trials, best, Draws(300, 1, 0.9))
    assert found.left_out < 0.6 * found.difference.estimate


def test_present_settings_are_not_ahead_of_themselves() -> None:
    judged, truth = judged_and_truth()
    found = lead(judged, [[truth]], 0, Draws(50, 1, 0.9))
    assert (found.difference.estimate, found.difference.low, found.left_out) == (0, 0, 0)
    assert not found.clear


def test_one_setup_leaves_nothing_out() -> None:
    judged = Judged.of(np.zeros(4, np.int64), np.array([0.0, 1.0, 0.0, 1.0]), None)
    found: Lead = lead(judged, [[np.full(4, 0.4)], [judged.label * 0.9]], 1, Draws(20, 1, 0.9))
    assert math.isnan(found.left_out)
    assert not found.clear
