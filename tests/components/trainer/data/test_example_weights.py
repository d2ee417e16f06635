"""An example of weight w counts as w examples: in loss, gradient, base rate, history and looks."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.batches import Batch, shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.loop.loop import Splits, train
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import (
    LossSettings,
    ModelSettings,
    Recipe,
    TrainingSettings,
    WideSettings,
)
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout

Clicks = Callable[..., Columns]
ALL = 4096
ALONE = WideSettings(enabled=False)
"""Without a wide part, whose periods repeated examples would shift."""


def weighted_and_repeated(columns: Columns, seed: int) -> tuple[Columns, Columns]:
    """The same examples with weights 0 to 3, and each as often as its weight says."""
    times = np.random.default_rng(seed).integers(0, 4, len(columns))
    weighted = dataclasses.replace(columns, weight=times.astype(np.float32))
    return weighted, columns.take(np.repeat(np.arange(len(columns)), times))


def whole(columns: Columns) -> Batch:
    (batch,) = shuffled_batches(columns, ALL, seed=1, epoch=0)
    return batch


@pytest.mark.parametrize("mode", ["two_tower", "one_task"])
@pytest.mark.parametrize("reduction", ["task_mean", "batch_mean"])
def test_loss_and_gradient(
    mode: str, reduction: str, layout: FeatureLayout, clicks: Clicks
) -> None:
    network = TwoTowerDCN(layout, ModelSettings(mode=mode, hidden_units=(8,), wide=ALONE), seed=1)
    loss = LossSettings(weight_hard=0.7, weight_soft=0.3, reduction=reduction)
    step = TrainStep(network, loss, TrainingSettings())
    found = []
    for columns in weighted_and_repeated(clicks(300, seed=1, signal=1.0), seed=2):
        losses, dense, tables = step.gradients(tuple(map(tf.constant, whole(columns))))
        spread = [
            tf.math.unsorted_segment_sum(g.values, g.rows, table.shape[0])
            for table, g in zip(network.embedding.tables, tables, strict=True)
        ]
        found.append([*losses, *dense, *spread])
    for by_weight, by_repetition in zip(*found, strict=True):
        np.testing.assert_allclose(by_weight, by_repetition, rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("mode", ["two_tower", "one_task", "hard_only"])
def test_training(mode: str, layout: FeatureLayout, clicks: Clicks) -> None:
    """Base rates, history and looks, on one batch an epoch, where the order changes nothing."""
    splits = [
        weighted_and_repeated(clicks(900, seed=seed, signal=1.0), seed=seed) for seed in (3, 4)
    ]
    rows = []
    for columns, calibration in zip(*splits, strict=True):
        result = train(
            Splits(columns, calibration, layout),
            Recipe(
                ModelSettings(
                    mode=mode, cross_layers=1, hidden_units=(4,), shared_layers=1, wide=ALONE
                ),
                LossSettings(),
                TrainingSettings(
                    batch_size=ALL, epochs=4, evaluate_every=1.0, gradient_examples=ALL
                ),
            ),
        )
        rows.append(result.history)
    for by_weight, by_repetition in zip(*rows, strict=True):
        assert set(by_weight) == set(by_repetition)
        for key in set(by_weight) - {"examples_per_second"}:
            assert by_weight[key] == pytest.approx(by_repetition[key], rel=1e-4, abs=1e-6), key
    assert ("gradient_cosine/all" in rows[0][0]) is (mode != "hard_only")


def test_examples_without_weight_are_no_examples(layout: FeatureLayout, clicks: Clicks) -> None:
    """Soft calibration examples that all weigh 0 are as good as none."""
    columns = clicks(300, seed=1)
    calibration = dataclasses.replace(columns, weight=columns.hard.astype(np.float32))
    result = train(
        Splits(columns, calibration, layout),
        Recipe(
            ModelSettings(cross_layers=1, hidden_units=(), shared_layers=1),
            LossSettings(),
            TrainingSettings(epochs=1),
        ),
    )
    assert result.history[-1]["calibration_log_loss_soft"] is None
    assert result.history[-1]["calibration_log_loss_hard"] > 0
