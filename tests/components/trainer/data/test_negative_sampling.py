"""Down-sampled negatives against closed forms, and against data whose true rates are known."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from scipy.special import expit, logit

from components.trainer.data.columns import Columns
from components.trainer.data.sampling import logit_shifts, sample_negatives
from components.trainer.loop.loop import Splits, train
from components.trainer.settings import (
    LossSettings,
    ModelSettings,
    Recipe,
    SamplingSettings,
    TrainingSettings,
)
from components.trainer.step.loss import Observed, multi_task_loss
from components.trainer.step.scoring import predict
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Clicks = Callable[..., Columns]
SHARES = {"hard": 0.2, "soft": 0.5}
SETTINGS = SamplingSettings(keep_negatives_hard=0.2, keep_negatives_soft=0.5)


def numbered(columns: Columns) -> Columns:
    """With each row's number as its first numeric feature."""
    nums = columns.nums.copy()
    nums[:, 0] = np.arange(len(columns))
    return dataclasses.replace(columns, nums=nums)


def rows_kept(columns: Columns, settings: SamplingSettings, seed: int = 1) -> set[int]:
    found = sample_negatives(numbered(columns), settings, "two_tower", seed).columns
    rows = found.nums[:, 0].astype(int)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(found.label, columns.label[rows])
    np.testing.assert_array_equal(found.ids, columns.ids[rows])
    return set(rows.tolist())


def test_every_conversion_and_the_share_of_the_rest_is_kept(clicks: Clicks) -> None:
    columns = clicks(40_000, seed=1)
    kept = rows_kept(columns, SETTINGS)
    assert set(np.flatnonzero(columns.label).tolist()) <= kept
    for task, mine in (("hard", columns.hard), ("soft", ~columns.hard)):
        negatives = np.flatnonzero(mine & (columns.label == 0))
        share = np.isin(negatives, list(kept)).mean()
        error = math.sqrt(SHARES[task] * (1 - SHARES[task]) / len(negatives))
        assert abs(share - SHARES[task]) < 4 * error


def test_the_draw_is_a_function_of_the_seed_and_grows_with_the_share(clicks: Clicks) -> None:
    columns = clicks(2000, seed=1)
    once, again, other = (rows_kept(columns, SETTINGS, seed) for seed in (1, 1, 2))
    assert once == again != other
    more = SETTINGS.model_copy(update={"keep_negatives_hard": 0.6})
    assert once < rows_kept(columns, more)


def test_keeping_all_changes_nothing(clicks: Clicks) -> None:
    columns = clicks(100, seed=1)
    for correction in ("offset", "weight"):
        settings = SamplingSettings(correction=correction)
        assert sample_negatives(columns, settings, "one_task", 1).columns is columns
        assert logit_shifts(settings, "one_task") == (0, 0)


def test_kept_negatives_weigh_what_they_stand_for(clicks: Clicks) -> None:
    columns = clicks(500, seed=1)
    columns = dataclasses.replace(columns, weight=np.full(500, 3, np.float32))
    settings = SETTINGS.model_copy(update={"correction": "weight"})
    found = sample_negatives(columns, settings, "two_tower", 1).columns
    share = np.where(found.hard, 0.2, 0.5)
    np.testing.assert_allclose(found.weight, np.where(found.label > 0, 3, 3 / share), rtol=1e-6)
    assert logit_shifts(settings, "two_tower") == (0, 0)
    untouched = sample_negatives(columns, SETTINGS, "two_tower", 1).columns
    np.testing.assert_array_equal(untouched.weight, 3)


@pytest.mark.parametrize(
    ("mode", "correction", "hard", "soft", "shifts"),
    [
        ("two_tower", "offset", 0.2, 0.5, (math.log(5), math.log(2))),
        ("hard_only", "offset", 0.2, 1.0, (math.log(5), 0)),
        ("one_task", "offset", 0.2, 0.2, (math.log(5), math.log(5))),
        ("one_task", "offset", 0.2, 0.5, (0, 0)),
        ("two_tower", "weight", 0.2, 0.5, (0, 0)),
    ],
)
def test_either_logits_are_shifted_or_examples_weigh_more(
    mode: str,
    correction: str,
    hard: float,
    soft: float,
    shifts: tuple[float, float],
    clicks: Clicks,
) -> None:
    settings = SamplingSettings(
        keep_negatives_hard=hard, keep_negatives_soft=soft, correction=correction
    )
    assert logit_shifts(settings, mode) == pytest.approx(shifts)
    weighted = sample_negatives(clicks(100, seed=1), settings, mode, 1).columns.weight is not None
    assert weighted is (shifts == (0, 0))


@pytest.mark.parametrize("q", [1e-5, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_the_shift_is_he_et_al_equation_4(q: float, share: float) -> None:
    p = q / (q + (1 - q) * share)
    assert q == pytest.approx(p / (p + (1 - p) / share))
    shift, _ = logit_shifts(SamplingSettings(keep_negatives_hard=share), "two_tower")
    assert expit(logit(q) + shift) == pytest.approx(p)


def test_the_shifted_loss_is_least_at_the_unsampled_rate() -> None:
    """800 hard and 60 soft examples of which 40 and 30 converted, less the negatives left out."""
    hard, soft = (40, 760 // 4), (30, 30 // 2)
    label = np.repeat([1.0, 0.0, 1.0, 0.0], [*hard, *soft]).astype(np.float32)
    is_hard = np.arange(len(label)) < sum(hard)
    settings = SamplingSettings(keep_negatives_hard=1 / 4, keep_negatives_soft=1 / 2)
    logits = tf.Variable(logit(np.array([40 / 800, 30 / 60])), dtype=tf.float32)
    with tf.GradientTape() as tape:
        total = multi_task_loss(
            tf.where(is_hard, logits[0], logits[1]),
            Observed(label, is_hard, np.ones_like(label), np.ones_like(label)),
            LossSettings(),
            shifts=logit_shifts(settings, "two_tower"),
        ).total
    np.testing.assert_allclose(tape.gradient(total, logits), 0, atol=1e-7)


@pytest.mark.parametrize(
    ("mode", "correction", "hard_share_kept"),
    [
        ("two_tower", "offset", 0.1),
        ("two_tower", "weight", 0.1),
        ("one_task", "offset", 0.3),
        ("one_task", "offset", 0.1),
    ],
)
def test_predictions_are_of_the_unsampled_rate(
    mode: str, correction: str, hard_share_kept: float, layout: FeatureLayout, clicks: Clicks
) -> None:
    """Mean prediction against the known log-odds; the tolerance is the binomial error of the
    conversions that were learnt from."""
    columns, other = clicks(30_000, seed=1, signal=1.0), clicks(20_000, seed=2, signal=1.0)
    of_task = {"hard": other.hard, "soft": ~other.hard}
    looks = other
    if mode == "one_task":
        # Looks at hard examples alone would keep weights that favour them: no feature tells tasks.
        looks = dataclasses.replace(other, hard=np.ones(len(other), bool))
        of_task = {"hard": looks.hard}
    result = train(
        Splits(columns, looks, layout),
        Recipe(
            ModelSettings(mode=mode, cross_layers=1, hidden_units=(8,), shared_layers=1),
            LossSettings(),
            TrainingSettings(
                batch_size=500,
                epochs=6,
                learning_rate=0.01,
                gradient_examples=0,
                sampling=SamplingSettings(
                    keep_negatives_hard=hard_share_kept,
                    keep_negatives_soft=0.3,
                    correction=correction,
                ),
            ),
        ),
    )
    assert len(result.trained_on) < 0.6 * len(columns)
    effect = np.linspace(-1, 1, layout.rows[0])[other.ids[:, 0]] + 0.5 * other.nums[:, 0]
    truth = expit(np.where(other.hard, -2.5, -0.5) + effect)
    network = result.network
    for task, mine in of_task.items():
        tower = network.tower_of(task)
        assert tower is not None
        ratio = predict(network, tower, other).astype(np.float64)[mine].sum() / truth[mine].sum()
        conversions = truth[mine].sum() * len(columns) / len(other)
        assert abs(ratio - 1) < 4 / math.sqrt(conversions)


def test_no_hard_example_left(clicks: Clicks) -> None:
    columns = clicks(300, seed=1)
    columns = columns.take((columns.label == 0) | ~columns.hard)
    settings = SamplingSettings(keep_negatives_hard=1e-9)
    hard = int(columns.hard.sum())
    with pytest.raises(
        InputError, match=rf"sampling\.keep_negatives_hard 1e-09: none of the {hard} hard"
    ):
        sample_negatives(columns, settings, "two_tower", 1)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_shares_are_checked(share: float) -> None:
    with pytest.raises(ValidationError, match="keep_negatives_soft"):
        SamplingSettings(keep_negatives_soft=share)
