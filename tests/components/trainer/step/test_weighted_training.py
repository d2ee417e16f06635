"""Example weights from the split's columns to the trained network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from components.trainer.data.columns import Columns, check_columns
from components.trainer.loop.loop import Splits, base_rates, train
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, Recipe, TrainingSettings
from components.trainer.step.scoring import OwnTowerScorer, predict
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Clicks = Callable[..., Columns]
MODEL = ModelSettings(cross_layers=1, hidden_units=(4,), shared_layers=1)
TIERS = MODEL.model_copy(update={"tier_boundaries": (0.3,)})


def columns_of(
    hard: list[bool], label: list[int], cvr: list[float], weight: list[float]
) -> Columns:
    n = len(label)
    return Columns(
        np.zeros((n, 3), np.int32),
        np.zeros((n, 2), np.float32),
        np.array(label, np.float32),
        np.array(hard),
        np.array(cvr, np.float32),
        np.array(weight, np.float32),
    )


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        (TIERS, {"hard": 1 / 4, "soft_1": 3 / 3.5, "soft_2": 2 / 8}),
        (MODEL, {"hard": 1 / 4, "soft": 5 / 11.5}),
        (TIERS.model_copy(update={"mode": "one_task"}), {"all": 6 / 15.5}),
    ],
)
def test_base_rates_by_weight(
    layout: FeatureLayout, model: ModelSettings, rates: dict[str, float]
) -> None:
    columns = columns_of(
        hard=[True, True, False, False, False, False],
        label=[1, 0, 1, 0, 1, 0],
        cvr=[0.001, 0.9, 0.1, 0.3, 0.4, 0.5],
        weight=[1, 3, 3, 0.5, 2, 6],
    )
    assert base_rates(TwoTowerDCN(layout, model, seed=1), columns) == pytest.approx(rates)


def test_hard_examples_that_weigh_nothing_are_refused(
    layout: FeatureLayout, clicks: Clicks
) -> None:
    columns = clicks(50, seed=1)
    weighted = replace(columns, weight=np.where(columns.hard, 0, 1).astype(np.float32))
    with pytest.raises(InputError, match="split 'train': the weights of all its hard examples"):
        check_columns(weighted, layout, "train")
    weighted.weight[np.flatnonzero(columns.hard)[3]] = 0.5
    check_columns(weighted, layout, "train")
    with pytest.raises(ValueError, match=r"weight has shape \(49,\); wanted \(50,\)"):
        check_columns(replace(columns, weight=np.ones(49, np.float32)), layout, "train")


def test_training_follows_the_weights(layout: FeatureLayout, clicks: Clicks) -> None:
    columns, calibration = clicks(1000, seed=1), clicks(400, seed=2)
    means = []
    for times in (1.0, 4.0):
        found = train(
            Splits(
                replace(columns, weight=np.where(columns.label == 1, times, 1).astype(np.float32)),
                calibration,
                layout,
            ),
            Recipe(
                MODEL,
                LossSettings(),
                TrainingSettings(epochs=3, batch_size=100, learning_rate=3e-3, gradient_examples=0),
            ),
        )
        means.append(predict(found.network, "hard", calibration).mean())
    rate = columns.label[columns.hard].mean()
    assert means[0] == pytest.approx(rate, abs=0.02)
    assert means[1] == pytest.approx(4 * rate / (1 + 3 * rate), abs=0.04)


def test_own_scorer_asks_each_examples_own_tower(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(60, seed=3)
    network = TwoTowerDCN(layout, TIERS, seed=1)
    scorer = OwnTowerScorer(network, batch_size=16)
    assert scorer.covers(columns)
    logits = {name: x.numpy() for name, x in network.logits(columns.ids, columns.nums).items()}
    wanted = [
        logits["hard" if hard else "soft_1" if cvr <= 0.3 else "soft_2"][i]
        for i, (hard, cvr) in enumerate(zip(columns.hard, columns.cvr, strict=True))
    ]
    np.testing.assert_allclose(scorer.of(columns)(), wanted, rtol=1e-4, atol=1e-6)


def test_own_scorer_knows_what_no_tower_learns(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(60, seed=3)
    scorer = OwnTowerScorer(
        TwoTowerDCN(layout, MODEL.model_copy(update={"mode": "hard_only"}), 1), 16
    )
    assert not scorer.covers(columns)
    assert scorer.covers(columns.take(columns.hard))
    assert scorer.of(columns.take(columns.hard))().shape == (columns.hard.sum(),)
