"""The vectorised bootstrap against a loop that copies examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.statistics import bootstrap
from common.statistics.bootstrap import Bootstrap, Draws, Estimate, Scored


def scored(seed: int = 0, setups: int = 25, count: int = 400, rate: float = 0.2) -> Scored:
    generator = np.random.default_rng(seed)
    setup = generator.integers(0, setups, count)
    lift = generator.normal(size=setups)[setup]
    logit = math.log(rate / (1 - rate)) + lift
    label = (generator.random(count) < 1 / (1 + np.exp(-logit))).astype(float)
    predictions = {
        name: np.clip(1 / (1 + np.exp(-(logit * fit + noise))), 1e-4, 1 - 1e-4).round(2)
        for name, fit, noise in (
            ("good", 0.9, generator.normal(size=count) * 0.3),
            ("poor", 0.4, generator.normal(size=count) * 0.9),
        )
    }
    predictions = {n: np.clip(p, 0.01, 0.99) for n, p in predictions.items()}
    return Scored(setup, setups, label, predictions)


METRICS = ("rig", "log_loss", "calibration", "auc")


def metrics_of(label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """From the definitions, NumPy's means and all pairs."""

    def loss(p: np.ndarray | float) -> float:
        return -np.log(np.where(label == 1, p, 1 - p)).mean()

    gap = prediction[label == 1][:, None] - prediction[label == 0][None, :]
    return {
        "rig": 1 - loss(prediction) / loss(label.mean()),
        "log_loss": loss(prediction),
        "calibration": prediction.mean() / label.mean(),
        "auc": ((gap > 0) + 0.5 * (gap == 0)).mean(),
    }


def exact(data: Scored, rows: np.ndarray) -> dict[str, float]:
    """Differences on some rows, with repeats."""
    good, poor = (metrics_of(data.label[rows], data.predictions[m][rows]) for m in ("good", "poor"))
    return {name: good[name] - poor[name] for name in METRICS}


def slow_interval(data: Scored, resamples: int, confidence: float) -> dict[str, np.ndarray]:
    """Setups drawn one by one, their examples copied."""
    generator = np.random.default_rng(99)
    rows_of = [np.flatnonzero(data.setup == s) for s in range(data.setups)]
    drawn = []
    for _ in range(resamples):
        setups = generator.integers(0, data.setups, data.setups)
        drawn.append(exact(data, np.concatenate([rows_of[s] for s in setups])))
    tail = (1 - confidence) / 2
    return {name: np.quantile([d[name] for d in drawn], [tail, 1 - tail]) for name in drawn[0]}


def fast(data: Scored, resamples: int, seed: int = 1) -> dict[str, Estimate]:
    drawn = Bootstrap(data, Draws(resamples, seed, 0.9), with_auc=True)
    return {name: drawn.difference("good", "poor", name) for name in METRICS}


def test_agrees_with_the_slow_loop() -> None:
    data = scored()
    wanted, estimate = slow_interval(data, 1500, 0.9), exact(data, np.arange(len(data)))
    for name, found in fast(data, 1500).items():
        assert found.estimate == pytest.approx(estimate[name], rel=1e-9)
        width = wanted[name][1] - wanted[name][0]
        assert found.low == pytest.approx(wanted[name][0], abs=0.08 * width)
        assert found.high == pytest.approx(wanted[name][1], abs=0.08 * width)
        assert (found.resamples, found.setups) == (1500, 25)


def test_one_draw_is_that_draw() -> None:
    """With one resample, both ends are the metric on the setups that numpy drew."""
    data = scored(seed=4)
    counts = np.random.default_rng(7).multinomial(25, np.full(25, 1 / 25))
    rows = np.repeat(np.arange(len(data)), counts[data.setup])
    for name, found in fast(data, 1, seed=7).items():
        assert found.low == found.high == pytest.approx(exact(data, rows)[name], rel=1e-9)


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = scored()
    at_once = fast(data, 200)
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 8 * 25 * 7)
    for name, found in fast(data, 200).items():
        wanted = (at_once[name].low, at_once[name].high)
        assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)
    assert fast(data, 200, seed=2) != at_once


def test_a_model_against_itself_differs_by_nothing() -> None:
    data = scored()
    same = dict.fromkeys(("good", "poor"), data.predictions["good"])
    twin = Scored(data.setup, data.setups, data.label, same)
    for found in fast(twin, 100).values():
        assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)


def test_setups_are_the_unit_not_clicks() -> None:
    """Every click copied ten times within its setup adds no information."""
    data = scored()
    rows = np.repeat(np.arange(len(data)), 10)
    copied = data.take(rows)
    for name, found in fast(data, 300).items():
        again = fast(copied, 300)[name]
        assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-9)


def test_setups_without_examples_in_the_slice_are_not_drawn() -> None:
    data = scored()
    few = data.take(np.flatnonzero(data.setup < 10))
    alone = Scored(few.setup, 10, few.label, few.predictions)
    for name, found in fast(few, 200).items():
        again = fast(alone, 200)[name]
        assert (found.low, found.high) == pytest.approx((again.low, again.high), rel=1e-9)
        assert found.setups == 10


def test_undefined_draws() -> None:
    """One setup holds all conversions: a third of the draws has none."""
    setup = np.array([0, 1, 2, 3] * 5)
    label = (setup == 0).astype(float) * (np.arange(20) < 10)
    data = Scored(setup, 4, label, {"good": np.full(20, 0.2), "poor": np.full(20, 0.4)})
    found = fast(data, 300)
    assert math.isfinite(found["rig"].estimate)
    assert math.isnan(found["rig"].low)
    assert math.isnan(found["auc"].high)
    assert math.isfinite(found["log_loss"].low)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_is_undefined(label: float) -> None:
    data = scored()
    found = fast(Scored(data.setup, 25, np.full(400, label), data.predictions), 100)
    assert math.isnan(found["rig"].estimate)
    assert math.isnan(found["auc"].estimate)


def test_nan_predictions_are_undefined() -> None:
    data = scored()
    broken = {**data.predictions, "good": np.where(np.arange(400) == 3, np.nan, 0.5)}
    found = fast(Scored(data.setup, 25, data.label, broken), 100)
    assert all(math.isnan(d.estimate) and math.isnan(d.low) for d in found.values())


def test_no_resamples_gives_no_interval() -> None:
    for found in fast(scored(), 0).values():
        assert math.isfinite(found.estimate)
        assert math.isnan(found.low)


def test_a_models_own_metrics_on_the_same_draws() -> None:
    data = scored(seed=4)
    drawn = Bootstrap(data, Draws(1, 7, 0.9), with_auc=True)
    counts = np.random.default_rng(7).multinomial(25, np.full(25, 1 / 25))
    rows = np.repeat(np.arange(len(data)), counts[data.setup])
    for model, prediction in data.predictions.items():
        wanted = metrics_of(data.label, prediction)
        redrawn = metrics_of(data.label[rows], prediction[rows])
        for name in METRICS:
            found = drawn.value(model, name)
            assert found.estimate == pytest.approx(wanted[name], rel=1e-9)
            assert found.low == found.high == pytest.approx(redrawn[name], rel=1e-9)
