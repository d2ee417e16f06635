"""Soft examples by historical CVR, and batches that keep the tiers apart."""

from collections.abc import Callable

import numpy as np
import pytest

from components.trainer.data.batches import shuffled_batches
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.loop.loop import Splits, train
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, Recipe, TrainingSettings
from components.trainer.step.loss import Observed, multi_task_loss
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout

Clicks = Callable[..., Columns]


def with_cvr(cvr: list[float], hard: list[bool]) -> Columns:
    n = len(cvr)
    return Columns(
        np.arange(n, dtype=np.int32)[:, None],
        np.zeros((n, 2), np.float32),
        np.zeros(n, np.float32),
        np.array(hard),
        np.array(cvr, np.float32),
    )


@pytest.mark.parametrize(
    ("boundaries", "numbers"),
    [
        ((), [0, 0, 1, 1, 1, 1, 1]),
        ((0.1,), [0, 0, 1, 1, 2, 2, 2]),
        ((0.1, 0.3), [0, 0, 1, 1, 2, 2, 3]),
        ((0.4, 0.9), [0, 0, 1, 1, 1, 1, 1]),
    ],
)
def test_tier_of_an_example(boundaries: tuple[float, ...], numbers: list[int]) -> None:
    cvr = [0.001, 0.5, 0.02, 0.1, 0.1001, 0.3, 0.4]
    columns = with_cvr(cvr, [True, True, False, False, False, False, False])
    assert task_numbers(columns, boundaries).tolist() == numbers


def test_names_of_towers() -> None:
    model = ModelSettings(tier_boundaries=(0.05, 0.2))
    assert model.tasks == model.towers == ("hard", "soft_1", "soft_2", "soft_3")
    assert ModelSettings().towers == ("hard", "soft")
    one_task = ModelSettings(tier_boundaries=(0.05,), mode="one_task")
    assert (one_task.tasks, one_task.towers) == (("hard", "soft_1", "soft_2"), ("all",))


@pytest.mark.parametrize("boundaries", [(0.3, 0.2), (0.2, 0.2), (0.0,), (1.0,)])
def test_boundaries_refused(boundaries: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="tier_boundaries"):
        ModelSettings(tier_boundaries=boundaries)


def test_batches_hold_tiers_in_order(clicks: Clicks) -> None:
    columns = clicks(300, seed=1)
    columns.ids[:, 0] = np.arange(300)
    boundaries = (0.1, 0.3)
    seen = []
    for batch in shuffled_batches(columns, 64, seed=1, epoch=0, boundaries=boundaries):
        rows = batch.ids[:, 0]
        wanted = [
            0 if columns.hard[i] else 1 + sum(columns.cvr[i] > np.float32(b) for b in boundaries)
            for i in rows
        ]
        assert wanted == np.repeat(np.arange(4), batch.counts).tolist()
        np.testing.assert_array_equal(batch.label, columns.label[rows])
        np.testing.assert_array_equal(batch.weight, 1)
        seen.extend(rows)
    assert sorted(seen) == list(range(300))


def test_batches_carry_weights(clicks: Clicks) -> None:
    plain = clicks(100, seed=1)
    weight = np.arange(100, dtype=np.float32)
    columns = Columns(plain.ids, plain.nums, plain.label, plain.hard, plain.cvr, weight)
    columns.ids[:, 0] = np.arange(100)
    for batch in shuffled_batches(columns, 30, seed=1, epoch=0):
        assert batch.weight is not None
        np.testing.assert_array_equal(batch.weight, batch.ids[:, 0])
    taken = columns.take(np.array([3, 5])).weight
    assert taken is not None
    assert taken.tolist() == [3, 5]


@pytest.mark.parametrize("routed", [True, False])
def test_loss_over_tiers_is_that_over_all_soft_examples(
    layout: FeatureLayout, clicks: Clicks, routed: bool
) -> None:
    model = ModelSettings(
        cross_layers=1, hidden_units=(4,), shared_layers=1, tier_boundaries=(0.1, 0.3)
    )
    network = TwoTowerDCN(layout, model, seed=1)
    network.set_base_rates({"hard": 0.01, "soft_1": 0.1, "soft_2": 0.2, "soft_3": 0.4})
    columns = clicks(200, seed=3)
    (batch,) = shuffled_batches(columns, 200, seed=1, epoch=0, boundaries=model.tier_boundaries)
    logits = network.logits(batch.ids, batch.nums)
    tower_of_row = np.repeat(model.towers, batch.counts)
    own = np.array([logits[t].numpy()[i] for i, t in enumerate(tower_of_row)], np.float32)
    seen = Observed(batch.label, tower_of_row == "hard", batch.weight, batch.completeness)
    wanted = multi_task_loss(own, seen, LossSettings())
    found = TrainStep(network, LossSettings(), TrainingSettings(routed=routed))(batch)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_training_on_tiers_reports_both_tasks(layout: FeatureLayout, clicks: Clicks) -> None:
    model = ModelSettings(
        architecture="ple",
        experts=1,
        own_experts=1,
        cross_layers=1,
        hidden_units=(4,),
        shared_layers=1,
        tier_boundaries=(0.3,),
    )
    result = train(
        Splits(clicks(600, seed=1, signal=1.0), clicks(200, seed=2, signal=1.0), layout),
        Recipe(model, LossSettings(), TrainingSettings(epochs=1, batch_size=200, evaluate_every=1)),
    )
    assert tuple(result.network.towers) == ("hard", "soft_1", "soft_2")
    (row,) = result.history
    for task in ("hard", "soft"):
        assert 0 < row[f"calibration_log_loss_{task}"] < 1
        assert 0 < row[f"train_loss_{task}"] < 1
