"""One step: whose gradient goes where, and what options may not change."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.batches import Batch, shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step.loss import Losses
from components.trainer.step.step import Course, TrainStep, row_pulls
from components.transform.layout import FeatureLayout

Clicks = Callable[..., Columns]


def build(
    layout: FeatureLayout,
    model: dict | None = None,
    loss: LossSettings | None = None,
    ids: np.ndarray | None = None,
    **training: object,
) -> TrainStep:
    defaults = {
        "wide": {"enabled": False},
        "cross_layers": 2,
        "hidden_units": (8, 4),
        "shared_layers": 1,
    }
    network = TwoTowerDCN(layout, ModelSettings.model_validate(defaults | (model or {})), seed=1)
    network.set_base_rates(dict.fromkeys(network.towers, 0.2))
    settings = TrainingSettings.model_validate({"learning_rate": 0.01} | training)
    pulls = None if ids is None else row_pulls(network, ids, settings.batch_size)
    return TrainStep(network, loss or LossSettings(), settings, Course(pulls=pulls))


def batch_of(columns: Columns) -> Batch:
    return next(shuffled_batches(columns, len(columns), seed=1, epoch=0))


def all_gradients(step: TrainStep, batch: Batch) -> tuple[Losses, dict[str, np.ndarray]]:
    """Gradients by variable name, those of tables spread over all their rows."""
    losses, dense, tables = step.gradients(tuple(map(tf.constant, batch)))
    found = {v.name: g.numpy() for v, g in zip(step.network.dense_variables, dense, strict=True)}
    for table, gradient in zip(step.network.embedding.tables, tables, strict=True):
        found[table.name] = np.zeros(table.shape, np.float32)
        found[table.name][gradient.rows.numpy()] = gradient.values.numpy()
    return losses, found


@pytest.mark.parametrize("routed", [True, False])
@pytest.mark.parametrize("shared_layers", [0, 1, 4])
@pytest.mark.parametrize(("present", "absent"), [("hard", "soft"), ("soft", "hard")])
def test_an_example_reaches_its_own_tower_and_what_is_shared(
    layout: FeatureLayout,
    clicks: Clicks,
    routed: bool,
    shared_layers: int,
    present: str,
    absent: str,
) -> None:
    step = build(layout, {"shared_layers": shared_layers}, routed=routed)
    columns = clicks(64, seed=1, hard_share=1.0 if present == "hard" else 0.0)
    losses, found = all_gradients(step, batch_of(columns))
    assert np.isfinite(losses.total)
    for name, gradient in found.items():
        assert np.isfinite(gradient).all()
        assert gradient.any() == (not name.startswith(absent)), name


@pytest.mark.parametrize("hard_share", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("reduction", ["task_mean", "batch_mean"])
def test_routing_changes_nothing(
    layout: FeatureLayout, clicks: Clicks, hard_share: float, reduction: str
) -> None:
    loss = LossSettings(weight_hard=0.7, weight_soft=0.3, reduction=reduction)
    batch = batch_of(clicks(200, seed=2, hard_share=hard_share))
    (losses, gradients), (routed_losses, routed_gradients) = (
        all_gradients(build(layout, loss=loss, routed=routed), batch) for routed in (False, True)
    )
    np.testing.assert_allclose(routed_losses, losses, rtol=1e-5)
    for name, wanted in gradients.items():
        np.testing.assert_allclose(routed_gradients[name], wanted, rtol=1e-4, atol=1e-6)


def test_training_routed_and_not_ends_the_same(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(600, seed=2, signal=1.0)
    steps = [build(layout, routed=routed) for routed in (False, True)]
    losses = [
        [float(step(b).total) for b in shuffled_batches(columns, 100, seed=1, epoch=0)]
        for step in steps
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_gradient_of_rows_is_that_of_whole_tables(layout: FeatureLayout, clicks: Clicks) -> None:
    step = build(layout)
    batch = batch_of(clicks(50, seed=3))
    _, found = all_gradients(step, batch)
    ids, nums, label, counts, *_ = (tf.constant(x) for x in batch)
    hard_count = counts[0]
    with tf.GradientTape() as tape:
        logits = step.network.logits(ids, nums)
        own = tf.concat([logits["hard"][:hard_count], logits["soft"][hard_count:]], axis=0)
        e = tf.nn.sigmoid_cross_entropy_with_logits(label, own)
        total = 0.5 * tf.reduce_mean(e[:hard_count]) + 0.5 * tf.reduce_mean(e[hard_count:])
    for table, gradient in zip(
        step.network.embedding.tables,
        tape.gradient(total, step.network.embedding.tables),
        strict=True,
    ):
        wanted = tf.convert_to_tensor(gradient).numpy()
        np.testing.assert_allclose(found[table.name], wanted, rtol=1e-4, atol=1e-7)


def test_embedding_l2_is_a_ridge_penalty_of_the_summed_loss(
    layout: FeatureLayout, clicks: Clicks
) -> None:
    """Over the batches of an epoch the pulls of a row add up to what the penalty's gradient has."""
    columns = clicks(4000, seed=3)
    columns.ids[:, 0] = np.random.default_rng(1).choice(
        6, 4000, p=[0.5, 0.4, 0.05, 0.04, 0.005, 0.005]
    )
    step = build(layout, {"embedding_l2": 3.0}, ids=columns.ids, batch_size=100)
    table = step.network.embedding.tables[1].numpy()
    total = np.zeros_like(table)
    for epoch in range(10):
        for batch in shuffled_batches(columns, 100, seed=1, epoch=epoch):
            _, _, plain = step.loss_gradients(tuple(map(tf.constant, batch)))
            pulled = step.regularized(plain)[1]
            extra = pulled.values - plain[1].values
            np.testing.assert_array_equal(pulled.rows, plain[1].rows)
            total[pulled.rows.numpy()] += extra.numpy()
    steps = 10 * 40
    used = [*range(6), *range(7, 10)]
    np.testing.assert_allclose(total[used], (steps * 3.0 / 4000 * table)[used], rtol=0.35)
    np.testing.assert_allclose(total[[0, 1, 7]], (steps * 3.0 / 4000 * table)[[0, 1, 7]], rtol=0.01)
    np.testing.assert_array_equal(total[6], 0)


@pytest.mark.parametrize("routed", [True, False])
def test_bfloat16_stays_close_and_keeps_float32_weights(
    layout: FeatureLayout, clicks: Clicks, routed: bool
) -> None:
    batch = batch_of(clicks(400, seed=4, signal=1.0))
    exact, _ = all_gradients(build(layout, routed=routed), batch)
    step = build(layout, routed=routed, precision="bfloat16")
    rough, gradients = all_gradients(step, batch)
    assert rough.total.dtype == tf.float32
    assert float(rough.total) == pytest.approx(float(exact.total), rel=5e-3)
    assert float(rough.total) != float(exact.total)
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}


def test_one_task_is_a_plain_network_of_one_tower(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(300, seed=5, signal=1.0)
    step = build(layout, {"mode": "one_task"}, LossSettings(weight_hard=0.9), lazy_adam=False)
    plain = TwoTowerDCN(layout, step.network.settings, seed=1)
    plain.set_base_rates({"all": 0.2})
    moments = [[np.zeros(v.shape), np.zeros(v.shape)] for v in plain.trainable_variables]
    for t, batch in enumerate(shuffled_batches(columns, 100, seed=1, epoch=0), start=1):
        with tf.GradientTape() as tape:
            logit = plain.logits(tf.constant(batch.ids), tf.constant(batch.nums))["all"]
            p = tf.sigmoid(logit)
            mean = -tf.reduce_mean(
                batch.label * tf.math.log(p) + (1 - batch.label) * tf.math.log(1 - p)
            )
        gradients = tape.gradient(mean, plain.trainable_variables)
        assert float(step(batch).total) == pytest.approx(float(mean), rel=1e-5)
        for v, g, moment in zip(plain.trainable_variables, gradients, moments, strict=True):
            g = tf.convert_to_tensor(g).numpy().astype(np.float64)
            moment[0] = 0.9 * moment[0] + 0.1 * g
            moment[1] = 0.999 * moment[1] + 0.001 * g**2
            change = moment[0] / (1 - 0.9**t) / np.sqrt(moment[1] / (1 - 0.999**t) + 1e-30)
            v.assign_sub((0.01 * change).astype(np.float32))
    probability = [
        tf.sigmoid(n.logits(columns.ids, columns.nums)["all"]) for n in (step.network, plain)
    ]
    np.testing.assert_allclose(probability[0], probability[1], rtol=2e-3)


def with_weight(columns: Columns, weight: np.ndarray) -> Columns:
    return replace(columns, weight=weight.astype(np.float32))


@pytest.mark.parametrize("mode", ["two_tower", "one_task"])
@pytest.mark.parametrize("routed", [True, False])
def test_a_weight_counts_as_so_many_examples(
    layout: FeatureLayout, clicks: Clicks, routed: bool, mode: str
) -> None:
    columns = clicks(90, seed=8)
    times = np.arange(90) % 4
    model = {"mode": mode, "cross_rank": 3}
    found, wanted = (
        all_gradients(build(layout, model, routed=routed), batch_of(of))
        for of in (
            with_weight(columns, times),
            columns.take(np.repeat(np.arange(90), times)),
        )
    )
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    for name, gradient in wanted[1].items():
        np.testing.assert_allclose(found[1][name], gradient, rtol=1e-3, atol=1e-6, err_msg=name)


def test_weights_of_one_train_as_none(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(300, seed=9, signal=1.0)
    plain, weighted, other = (
        [float(step(batch).total) for batch in shuffled_batches(of, 100, seed=1, epoch=0)]
        for step, of in (
            (build(layout), columns),
            (build(layout), with_weight(columns, np.ones(300))),
            (build(layout), with_weight(columns, 1 + columns.label)),
        )
    )
    np.testing.assert_allclose(weighted, plain, rtol=1e-6)
    assert abs(other[0] - plain[0]) > 0.01


def test_dropout_differs_by_step_and_repeats_by_seed(layout: FeatureLayout, clicks: Clicks) -> None:
    batch = batch_of(clicks(100, seed=6))
    first, again = (build(layout, {"dropout": 0.5}, learning_rate=1e-12) for _ in range(2))
    losses = [[float(step(batch).total) for _ in range(2)] for step in (first, again)]
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[0][1]


def test_a_checkpoint_resumes_bit_for_bit(
    layout: FeatureLayout, clicks: Clicks, tmp_path: Path
) -> None:
    batches = list(shuffled_batches(clicks(600, seed=7, signal=1.0), 100, seed=1, epoch=0))
    straight = build(layout)
    for batch in batches[:3]:
        straight(batch)
    saved = tf.train.Checkpoint(network=straight.network, optimizer=straight.optimizer).save(
        str(tmp_path / "step")
    )
    for batch in batches[3:]:
        straight(batch)
    resumed = build(layout)
    tf.train.Checkpoint(network=resumed.network, optimizer=resumed.optimizer).restore(
        saved
    ).assert_consumed()
    assert int(resumed.optimizer.step) == 3
    for batch in batches[3:]:
        resumed(batch)
    for a, b in zip(straight.network.variables, resumed.network.variables, strict=True):
        np.testing.assert_array_equal(a, b)
