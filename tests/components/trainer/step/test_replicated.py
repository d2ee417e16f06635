"""Two replicas in one process, on logical CPUs, against one replica on the same batches."""

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.batches import Batch, shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step.distribution import ONE_REPLICA, Distribution, choose
from components.trainer.step.loss import Losses
from components.trainer.step.scoring import predict
from components.trainer.step.step import Course, TrainStep, row_pulls
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Clicks = Callable[..., Columns]
MODEL = {
    "wide": {"enabled": False},
    "cross_layers": 1,
    "hidden_units": (8,),
    "shared_layers": 1,
    "embedding_l2": 10.0,
}


@pytest.fixture(scope="module")
def two() -> Distribution:
    return Distribution(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))


def build(
    distribution: Distribution, layout: FeatureLayout, model: dict[str, Any], **training: Any
) -> TrainStep:
    settings = TrainingSettings.model_validate({"learning_rate": 0.01} | training)
    with distribution.scope():
        network = TwoTowerDCN(layout, ModelSettings.model_validate(MODEL | model), seed=1)
        rng = np.random.default_rng(1)
        ids = np.stack([rng.integers(0, rows, 600) for rows in layout.rows], axis=1)
        course = Course(20, row_pulls(network, ids.astype(np.int32), 100))
        step = TrainStep(network, LossSettings(weight_hard=0.7, weight_soft=0.3), settings, course)
    network.set_base_rates(dict.fromkeys(network.towers, 0.2))
    return step


def run(
    distribution: Distribution, step: TrainStep, batches: list[Batch]
) -> tuple[list[Losses], list[np.ndarray]]:
    take = distribution.spread(step)
    losses = [Losses(*map(float, take(batch))) for batch in batches]
    return losses, [v.numpy() for v in step.network.variables]


@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({}, {}),
        (
            {"architecture": "ple", "experts": 1, "own_experts": 1, "tier_boundaries": (0.3,)},
            {"lazy_adam": False},
        ),
        ({"mode": "one_task"}, {"table_epsilon": 1e-5}),
    ],
    ids=["lazy", "experts, tiers, exact", "one task, own epsilon"],
)
def test_two_replicas_step_as_one(
    layout: FeatureLayout,
    clicks: Clicks,
    two: Distribution,
    model: dict[str, Any],
    training: dict[str, Any],
) -> None:
    columns = clicks(405, seed=2, signal=1.0)
    boundaries = model.get("tier_boundaries", ())
    batches = list(shuffled_batches(columns, 102, seed=1, epoch=0, boundaries=boundaries))
    losses, weights = run(ONE_REPLICA, build(ONE_REPLICA, layout, model, **training), batches)
    step = build(two, layout, model, **training)
    shared_losses, shared_weights = run(two, step, batches)
    np.testing.assert_allclose(shared_losses, losses, rtol=1e-5)
    for found, wanted in zip(shared_weights, weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert step.optimizer.step.numpy() == 4
    for variable in (*step.network.variables, *step.optimizer.variables):
        np.testing.assert_array_equal(*variable.values)


def test_weights_one_task_alone_and_an_empty_share(
    layout: FeatureLayout, clicks: Clicks, two: Distribution
) -> None:
    batches = []
    for hard_share in (0.0, 0.5, 1.0):
        columns = dataclasses.replace(
            clicks(5, seed=4, hard_share=hard_share),
            weight=np.array([0.0, 1.0, 2.0, 3.0, 0.5], np.float32),
        )
        batches += [*shuffled_batches(columns, 4, seed=1, epoch=0)]
        batches += [*shuffled_batches(columns, 1, seed=1, epoch=0)]
    (losses, weights), (shared_losses, shared_weights) = (
        run(d, build(d, layout, {}), batches) for d in (ONE_REPLICA, two)
    )
    np.testing.assert_allclose(shared_losses, losses, rtol=1e-4)
    for found, wanted in zip(shared_weights, weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_dropout_differs_by_replica(
    layout: FeatureLayout, clicks: Clicks, two: Distribution
) -> None:
    one = clicks(40, seed=6, hard_share=1.0)
    doubled = one.take(np.tile(np.arange(40), 2))
    model, training = {"dropout": 0.5}, {"precision": "bfloat16"}
    (half, _), (both, weights) = (
        run(
            distribution,
            build(distribution, layout, model, **training),
            list(shuffled_batches(c, len(c), seed=1, epoch=0)),
        )
        for distribution, c in ((ONE_REPLICA, one), (two, doubled))
    )
    assert both[0].hard_sum != pytest.approx(2 * half[0].hard_sum, rel=1e-4)
    assert both[0].hard_sum == pytest.approx(2 * half[0].hard_sum, rel=0.3)
    assert {w.dtype for w in weights} == {np.dtype(np.float32)}


def test_what_two_replicas_learn_goes_on_with_one(
    layout: FeatureLayout, clicks: Clicks, two: Distribution, tmp_path: Path
) -> None:
    columns = clicks(600, seed=7, signal=1.0)
    batches = list(shuffled_batches(columns, 100, seed=1, epoch=0))
    _, straight = run(ONE_REPLICA, build(ONE_REPLICA, layout, {}), batches)
    step = build(two, layout, {})
    observed = two.observe(step.network)
    before = predict(observed.network, "hard", columns)
    run(two, step, batches[:3])
    np.testing.assert_array_equal(predict(observed.network, "hard", columns), before)
    observed.refresh()
    after = predict(observed.network, "hard", columns)

    saved = tf.train.Checkpoint(network=step.network, optimizer=step.optimizer)
    path = saved.save(str(tmp_path / "step"))
    alone = build(ONE_REPLICA, layout, {})
    tf.train.Checkpoint(network=alone.network, optimizer=alone.optimizer).restore(
        path
    ).assert_consumed()
    np.testing.assert_array_equal(predict(alone.network, "hard", columns), after)
    assert np.abs(after - before).max() > 1e-4
    assert ONE_REPLICA.observe(alone.network).network is alone.network
    _, resumed = run(ONE_REPLICA, alone, batches[3:])
    for found, wanted in zip(resumed, straight, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("devices", ["auto", "cpu", "gpu"])
def test_choice_without_gpu(devices: Any, caplog: pytest.LogCaptureFixture) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with caplog.at_level(logging.INFO, logger="hardtower"):
        chosen = choose(devices, environment={})
    assert chosen == ONE_REPLICA
    assert chosen.chief
    assert chosen.agreed(0.3) == 0.3
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert bool(warnings) == (devices == "gpu")
    assert f"one replica on CPU; training.devices is {devices}" in caplog.text


def test_workers_cannot_join_late() -> None:
    tf.zeros(1)
    cluster = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    with pytest.raises(InputError, match=r"at program startup; wanted the Trainer of"):
        choose("auto", environment={"TF_CONFIG": json.dumps(config)})
