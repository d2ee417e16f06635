"""The network's shape, its towers' separation, and its arithmetic against NumPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from layout_sizes import CROSS, DENSE_4, DENSE_8, LOGIT, RANK_2, ROW_IDS, ROW_NUMS, TABLES

from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ModelSettings
from components.transform.layout import FeatureLayout

IDS = tf.constant(ROW_IDS, tf.int64)
NUMS = tf.constant(ROW_NUMS)


def settings(**changes: object) -> ModelSettings:
    defaults = {
        "wide": {"enabled": False},
        "cross_layers": 2,
        "hidden_units": (8, 4),
        "shared_layers": 1,
    }
    return ModelSettings.model_validate(defaults | changes)


def size(variables: tuple[tf.Variable, ...]) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize(
    ("changes", "shared", "tower"),
    [
        ({"shared_layers": 0}, TABLES, 2 * CROSS + DENSE_8 + DENSE_4 + LOGIT),
        ({"shared_layers": 1}, TABLES + CROSS, CROSS + DENSE_8 + DENSE_4 + LOGIT),
        ({"shared_layers": 3}, TABLES + 2 * CROSS + DENSE_8, DENSE_4 + LOGIT),
        ({"shared_layers": 4}, TABLES + 2 * CROSS + DENSE_8 + DENSE_4, LOGIT),
        ({"cross_rank": 2}, TABLES + RANK_2, RANK_2 + DENSE_8 + DENSE_4 + LOGIT),
        ({"cross_layers": 0}, TABLES + DENSE_8, DENSE_4 + LOGIT),
        ({"hidden_units": ()}, TABLES + CROSS, CROSS + 12 + 1),
        ({"cross_layers": 0, "hidden_units": (), "shared_layers": 0}, TABLES, 12 + 1),
    ],
)
def test_parameters(layout: FeatureLayout, changes: dict, shared: int, tower: int) -> None:
    network = TwoTowerDCN(layout, settings(**changes), seed=1)
    assert size(network.shared_variables) == shared
    assert size(network.hard_variables) == size(network.soft_variables) == tower
    assert size(network.variables) == shared + 2 * tower
    for mode in ("one_task", "hard_only"):
        baseline = TwoTowerDCN(layout, settings(mode=mode, **changes), seed=1)
        assert size(baseline.variables) == shared + tower
    assert all(x.shape == (4,) for x in network.logits(IDS, NUMS).values())


def test_towers_are_alike_and_named_after_their_task(layout: FeatureLayout) -> None:
    network = TwoTowerDCN(layout, settings(), seed=1)
    hard = {v.name.removeprefix("hard/"): v.shape for v in network.hard_variables}
    soft = {v.name.removeprefix("soft/"): v.shape for v in network.soft_variables}
    assert hard == soft
    assert set(hard) == {
        f"{layer}/{part}:0"
        for layer in ("cross_1", "dense_0", "dense_1", "logit")
        for part in ("kernel", "bias")
    }
    assert all(v.name.startswith("shared/") for v in network.shared_variables)
    assert len({v.name for v in network.variables}) == len(network.variables)


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize("shared_layers", [0, 1, 3, 4])
def test_logits_against_numpy(layout: FeatureLayout, shared_layers: int, rank: int | None) -> None:
    network = TwoTowerDCN(layout, settings(shared_layers=shared_layers, cross_rank=rank), seed=3)
    weights = {v.name[:-2]: v.numpy() for v in network.variables}
    for name in weights:
        if name.endswith("bias"):
            weights[name] = np.linspace(-0.2, 0.3, len(weights[name]), dtype=np.float32)
    for v in network.variables:
        v.assign(weights[v.name[:-2]])
    narrow, wide = weights["shared/embedding/w2"], weights["shared/embedding/w4"]
    x0 = np.array(
        [
            [*narrow[a], *wide[s], *wide[7 + h], *n]
            for (s, a, h), n in zip(IDS.numpy(), NUMS.numpy(), strict=True)
        ]
    )
    for tower, found in network.logits(IDS, NUMS).items():
        x = x0
        for i, name in enumerate(("cross_0", "cross_1", "dense_0", "dense_1")):
            layer = f"{'shared' if i < shared_layers else tower}/{name}"
            bias = weights[f"{layer}/bias"]
            if name.startswith("dense"):
                x = np.maximum(x @ weights[f"{layer}/kernel"] + bias, 0)
            elif rank is None:
                x = x0 * (x @ weights[f"{layer}/kernel"] + bias) + x
            else:
                x = x0 * (x @ weights[f"{layer}/down"] @ weights[f"{layer}/up"] + bias) + x
        wanted = x @ weights[f"{tower}/logit/kernel"] + weights[f"{tower}/logit/bias"]
        np.testing.assert_allclose(found, wanted[:, 0], rtol=1e-4, atol=1e-6)


def test_tower_logit_is_the_full_networks(layout: FeatureLayout) -> None:
    network = TwoTowerDCN(layout, settings(), seed=1)
    for tower, wanted in network.logits(IDS, NUMS).items():
        np.testing.assert_array_equal(network.tower_logit(tower, IDS, NUMS), wanted)


def test_saved_path_holds_no_variable_of_the_other_tower(
    layout: FeatureLayout, tmp_path: Path
) -> None:
    network = TwoTowerDCN(layout, settings(), seed=1)
    serving = network.path("hard")
    run = tf.function(
        serving.__call__,
        input_signature=(tf.TensorSpec([None, 3], tf.int64), tf.TensorSpec([None, 2], tf.float32)),
    )
    tf.saved_model.save(serving, str(tmp_path), signatures=run.get_concrete_function())
    loaded = tf.saved_model.load(str(tmp_path))
    saved = {v.name for v in loaded.signatures["serving_default"].variables}
    assert saved == {v.name for v in (*network.shared_variables, *network.hard_variables)}
    stored = sum(
        int(np.prod(shape))
        for name, shape in tf.train.list_variables(str(tmp_path / "variables" / "variables"))
        if name.endswith("VARIABLE_VALUE")
    )
    assert stored == size(network.shared_variables) + size(network.hard_variables)
    (found,) = loaded.signatures["serving_default"](ids=IDS, nums=NUMS).values()
    np.testing.assert_allclose(found, network.logits(IDS, NUMS)["hard"], rtol=1e-6)


def test_same_seed_same_weights_by_name_in_every_mode(layout: FeatureLayout) -> None:
    two_tower, hard_only, other = (
        TwoTowerDCN(layout, settings(mode=mode), seed=seed)
        for mode, seed in (("two_tower", 1), ("hard_only", 1), ("hard_only", 2))
    )
    np.testing.assert_array_equal(
        two_tower.logits(IDS, NUMS)["hard"], hard_only.logits(IDS, NUMS)["hard"]
    )
    assert not np.array_equal(other.logits(IDS, NUMS)["hard"], hard_only.logits(IDS, NUMS)["hard"])


@pytest.mark.parametrize(
    ("mode", "hard", "soft", "serving"),
    [
        ("two_tower", "hard", "soft", "hard"),
        ("hard_only", "hard", None, "hard"),
        ("one_task", "all", "all", "all"),
    ],
)
def test_which_tower_learns_a_task(
    layout: FeatureLayout, mode: str, hard: str, soft: str | None, serving: str
) -> None:
    network = TwoTowerDCN(layout, settings(mode=mode), seed=1)
    assert (network.tower_of("hard"), network.tower_of("soft")) == (hard, soft)
    assert network.serving_tower == serving
    assert set(network.towers) == {hard, soft} - {None}


def test_base_rates_are_what_an_untrained_tower_predicts(layout: FeatureLayout) -> None:
    network = TwoTowerDCN(layout, settings(), seed=1)
    for tower in network.towers.values():
        tower.logit.kernel.assign(tf.zeros_like(tower.logit.kernel))
    network.set_base_rates({"hard": 0.005, "soft": 0.3})
    found = {name: tf.sigmoid(x).numpy() for name, x in network.logits(IDS, NUMS).items()}
    np.testing.assert_allclose(found["hard"], 0.005, rtol=1e-5)
    np.testing.assert_allclose(found["soft"], 0.3, rtol=1e-5)


@pytest.mark.parametrize("rates", [{"hard": 0.1}, {"hard": 0.1, "soft": 1.0}])
def test_base_rates_refused(layout: FeatureLayout, rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="'soft'"):
        TwoTowerDCN(layout, settings(), seed=1).set_base_rates(rates)
