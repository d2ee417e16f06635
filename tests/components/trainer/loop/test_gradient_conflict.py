"""The tasks' gradients compared by layer, against two tapes over the whole tables."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.batches import Feed
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.loop.conflict import GradientConflict
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import (
    LossSettings,
    ModelSettings,
    SamplingSettings,
    TrainingSettings,
)
from components.transform.layout import FeatureLayout

Clicks = Callable[..., Columns]
ALL = 10_000
EVERYTHING = TrainingSettings(gradient_examples=ALL)


def feed(columns: Columns, network: TwoTowerDCN) -> Feed:
    return Feed(columns, network.settings, TrainingSettings())


def build(layout: FeatureLayout, **model: object) -> TwoTowerDCN:
    """A network whose weights are all far from 0, dropout on."""
    defaults = {
        "wide": {"enabled": False},
        "cross_layers": 1,
        "hidden_units": [8, 4],
        "shared_layers": 2,
        "dropout": 0.5,
    }
    network = TwoTowerDCN(layout, ModelSettings.model_validate(defaults | model), seed=1)
    rng = np.random.default_rng(3)
    for variable in network.variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return network


def slow(
    network: TwoTowerDCN, columns: Columns, loss: LossSettings | None, shift: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """(cosine, norm ratio) by layer: one tape a task, whole variables, dense gradients."""
    weight = np.ones(len(columns), np.float32) if columns.weight is None else columns.weight
    logits = {"hard": np.float32(shift[0]), "soft": np.float32(shift[1])}
    shared = network.variables if loss is None else network.shared_variables
    gradients = []
    for task, mine in (("hard", columns.hard), ("soft", ~columns.hard)):
        with tf.GradientTape() as tape:
            outputs = network.logits(columns.ids, columns.nums)
            own = [network.tower_of(name) for name in network.settings.tasks]
            of_each = task_numbers(columns, network.settings.tier_boundaries)
            z = logits[task] + tf.add_n(
                [outputs[name] * (of_each == i) for i, name in enumerate(own)]
            )
            e = tf.nn.sigmoid_cross_entropy_with_logits(labels=columns.label, logits=z)
            below = weight.sum()
            if loss is not None and loss.reduction == "task_mean":
                below = weight[mine].sum()
            factor = 1.0 if loss is None else getattr(loss, f"weight_{task}")
            part = factor * tf.reduce_sum(tf.boolean_mask(e * weight, mine)) / below
        found = tape.gradient(part, shared, unconnected_gradients="zero")
        gradients.append([tf.convert_to_tensor(g).numpy().astype(np.float64) for g in found])
    layers: dict[str, list[int]] = {"all": list(range(len(shared)))}
    for i, variable in enumerate(shared):
        layer = "/".join(variable.name.split("/")[1:-1])
        layers.setdefault(layer, []).append(i)
    measures = {}
    for layer, places in layers.items():
        h, s = (np.concatenate([g[i].ravel() for i in places]) for g in gradients)
        measures[layer] = (
            (h @ s / np.linalg.norm(h) / np.linalg.norm(s)),
            (np.linalg.norm(h) / np.linalg.norm(s)),
        )
    return measures


@pytest.mark.parametrize(
    ("model", "loss", "layers"),
    [
        ({}, {}, {"cross_0", "dense_0"}),
        ({"cross_rank": 2}, {"weight_hard": 0.9, "weight_soft": 0.1}, {"cross_0", "dense_0"}),
        ({}, {"weight_hard": 0.7, "reduction": "batch_mean"}, {"cross_0", "dense_0"}),
        ({"shared_layers": 0}, {}, set()),
        ({"tier_boundaries": [0.2]}, {}, {"cross_0", "dense_0"}),
        ({"mode": "one_task"}, {"weight_hard": 0.9}, {"cross_0", "dense_0", "dense_1", "logit"}),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_measures_are_those_of_two_tapes(
    model: dict[str, object],
    loss: dict[str, object],
    layers: set[str],
    weighted: bool,
    layout: FeatureLayout,
    clicks: Clicks,
) -> None:
    columns = clicks(200, seed=1, signal=1.0)
    if weighted:
        weight = np.random.default_rng(1).uniform(0.1, 3, 200).astype(np.float32)
        columns = dataclasses.replace(columns, weight=weight)
    network, settings = build(layout, **model), LossSettings.model_validate(loss)
    sampling = SamplingSettings(keep_negatives_hard=0.5, keep_negatives_soft=0.5)
    training = TrainingSettings(gradient_examples=ALL, sampling=sampling)
    row = GradientConflict(network, feed(columns, network), settings, training).look()
    assert {key.partition("/")[2] for key in row} == {"embedding", *layers, "all"}
    reference = settings if len(network.towers) > 1 else None
    shift = (np.log(2), np.log(2))
    for layer, (cosine, ratio) in slow(network, columns, reference, shift).items():
        assert row[f"gradient_cosine/{layer}"] == pytest.approx(cosine, rel=1e-3, abs=1e-5)
        assert row[f"gradient_norm_ratio/{layer}"] == pytest.approx(ratio, rel=1e-4)


def mirrored(clicks: Clicks, *, opposed: bool) -> Columns:
    """Every example once for each task, with the same label or the other one."""
    columns = clicks(300, seed=2, signal=1.0)
    twice = columns.take(np.tile(np.arange(300), 2))
    hard = np.arange(600) < 300
    label = np.where(hard | (not opposed), twice.label, 1 - twice.label)
    return dataclasses.replace(twice, hard=hard, label=label.astype(np.float32))


@pytest.mark.parametrize(("opposed", "wanted"), [(False, 1.0), (True, -1.0)])
def test_equal_tasks_agree_and_opposed_ones_do_not(
    opposed: bool, wanted: float, layout: FeatureLayout, clicks: Clicks
) -> None:
    """Equal towers: with p = 1/2 everywhere the gradients are exactly opposite."""
    network = build(layout)
    for hard, soft in zip(network.hard_variables, network.soft_variables, strict=True):
        soft.assign(hard)
    for tower in network.towers.values():
        tower.logit.kernel.assign(tower.logit.kernel * 1e-4)
        tower.logit.bias.assign([0.0])
    columns = mirrored(clicks, opposed=opposed)
    row = GradientConflict(network, feed(columns, network), LossSettings(), EVERYTHING).look()
    for layer in ("embedding", "cross_0", "dense_0", "all"):
        assert row[f"gradient_cosine/{layer}"] == pytest.approx(wanted, abs=1e-3)
        assert row[f"gradient_norm_ratio/{layer}"] == pytest.approx(1, abs=1e-2)


def test_the_sample_is_the_same_for_the_same_seed(layout: FeatureLayout, clicks: Clicks) -> None:
    columns, network = clicks(3000, seed=1, signal=1.0), build(layout)
    rows = [
        GradientConflict(
            network,
            feed(columns, network),
            LossSettings(),
            TrainingSettings(gradient_examples=50, seed=seed),
        ).look()
        for seed in (1, 1, 2)
    ]
    assert rows[0] == rows[1] != rows[2]


def test_looking_changes_nothing(layout: FeatureLayout, clicks: Clicks) -> None:
    network = build(layout)
    before = [v.numpy() for v in network.variables]
    conflict = GradientConflict(
        network, feed(clicks(300, seed=1), network), LossSettings(), EVERYTHING
    )
    assert conflict.look() == conflict.look()
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    ("hard_share", "examples"), [(1.0, 100), (0.0, 100), (0.5, 0)], ids=["hard", "soft", "off"]
)
def test_nothing_is_told_without_both_tasks(
    hard_share: float, examples: int, layout: FeatureLayout, clicks: Clicks
) -> None:
    columns = clicks(50, seed=1, hard_share=hard_share)
    training = TrainingSettings(gradient_examples=examples)
    network = build(layout)
    conflict = GradientConflict(network, feed(columns, network), LossSettings(), training)
    assert conflict.look() == {}


def test_a_gradient_of_0_has_no_direction(layout: FeatureLayout, clicks: Clicks) -> None:
    network = build(layout)
    network.towers["soft"].logit.kernel.assign(tf.zeros_like(network.towers["soft"].logit.kernel))
    row = GradientConflict(
        network, feed(clicks(100, seed=1), network), LossSettings(), EVERYTHING
    ).look()
    assert set(row.values()) == {None}
    no_soft = LossSettings(weight_soft=0)
    network = build(layout)
    batches = feed(clicks(100, seed=1), network)
    row = GradientConflict(network, batches, no_soft, EVERYTHING).look()
    assert row["gradient_cosine/all"] is not None
    assert row["gradient_norm_ratio/all"] is None
