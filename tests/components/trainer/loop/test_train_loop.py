"""The loop learns, repeats itself, stops in time, and says what is wrong with its input."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from sklearn.metrics import log_loss as reference_log_loss
from sklearn.metrics import roc_auc_score

from components.trainer.calibrate.calibrator import fit_calibrators
from components.trainer.calibrate.reference import fit_reference
from components.trainer.data import batches, storage
from components.trainer.data.columns import Columns, known
from components.trainer.loop.identity import training_identity
from components.trainer.loop.loop import Splits, Surroundings, TrainResult, base_rates, train
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import (
    LossSettings,
    ModelSettings,
    Recipe,
    SamplingSettings,
    TrainingSettings,
    WideSettings,
)
from components.trainer.step.scoring import predict
from components.trainer.wide.fit import fit_wide
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Clicks = Callable[..., Columns]
MODEL = ModelSettings(cross_layers=1, hidden_units=(8,), shared_layers=1)
ALONE = WideSettings(enabled=False)


def run(
    layout: FeatureLayout,
    columns: Columns,
    calibration: Columns,
    *,
    mode: str = "two_tower",
    dropout: float = 0.0,
    wide: WideSettings = MODEL.wide,
    **training: object,
) -> TrainResult:
    defaults = {"batch_size": 200, "epochs": 3, "learning_rate": 0.01}
    return train(
        Splits(columns, calibration, layout),
        Recipe(
            MODEL.model_copy(update={"mode": mode, "dropout": dropout, "wide": wide}),
            LossSettings(),
            TrainingSettings.model_validate(defaults | training),
        ),
    )


@pytest.mark.parametrize(
    ("mode", "precision"),
    [
        ("two_tower", "float32"),
        ("two_tower", "bfloat16"),
        ("one_task", "float32"),
        ("hard_only", "float32"),
    ],
)
def test_learns_a_planted_signal(
    layout: FeatureLayout, clicks: Clicks, mode: str, precision: str
) -> None:
    calibration = clicks(3000, seed=2, signal=2.0)
    result = run(
        layout, clicks(8000, seed=1, signal=2.0), calibration, mode=mode, precision=precision
    )
    hard = calibration.take(calibration.hard)
    tower = result.network.serving_tower
    found = predict(result.network, tower, hard, batch_size=500)
    # The planted log-odds themselves score about .86.
    assert roc_auc_score(hard.label, found) > 0.8
    best = next(row for row in result.history if row["step"] == result.kept_step)
    assert best["calibration_auc_hard"] == pytest.approx(roc_auc_score(hard.label, found))
    assert best["calibration_log_loss_hard"] == pytest.approx(
        reference_log_loss(hard.label, found.astype(np.float64)), rel=1e-5
    )
    assert (best["calibration_log_loss_soft"] is None) is (mode == "hard_only")
    alone = run(layout, clicks(8000, seed=1, signal=2.0), calibration, mode=mode, wide=ALONE)
    assert alone.history[-1]["train_loss_hard"] < alone.history[0]["train_loss_hard"]


def test_same_seed_same_bits(layout: FeatureLayout, clicks: Clicks) -> None:
    data = clicks(2000, seed=1, signal=1.0), clicks(500, seed=2, signal=1.0)
    first, again, other = (run(layout, *data, dropout=0.2, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.network.variables, again.network.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    timeless = [
        [{k: v for k, v in row.items() if k != "examples_per_second"} for row in r.history]
        for r in (first, again, other)
    ]
    assert timeless[0] == timeless[1] != timeless[2]


def test_the_guard_puts_back_the_best_look(layout: FeatureLayout, clicks: Clicks) -> None:
    """At a rate at which the layers learn 200 examples by heart, later ones tell."""
    calibration = clicks(400, seed=2)
    result = run(
        layout,
        clicks(200, seed=1),
        calibration,
        batch_size=50,
        epochs=60,
        learning_rate=0.2,
        patience=2,
        evaluate_every=1.0,
        decay="none",
    )
    losses = [row["calibration_log_loss_hard"] for row in result.history]
    assert result.stopped_by == "guard"
    assert result.kept_step < result.history[-1]["step"]
    hard = calibration.take(calibration.hard)
    found = predict(result.network, "hard", hard).astype(np.float64)
    kept = reference_log_loss(hard.label, found)
    assert kept <= min(losses) * (1 + 1e-5)
    assert min(losses[-2:]) > 1.05 * kept


def test_the_last_step_is_kept(layout: FeatureLayout, clicks: Clicks) -> None:
    calibration = clicks(300, seed=2, signal=1.0)
    result = run(layout, clicks(1000, seed=1, signal=1.0), calibration, epochs=4)
    assert result.stopped_by == "epochs"
    assert result.kept_step == result.history[-1]["step"] == 20
    hard = calibration.take(calibration.hard)
    found = predict(result.network, "hard", hard).astype(np.float64)
    last = result.history[-1]["calibration_log_loss_hard"]
    assert reference_log_loss(hard.label, found) == pytest.approx(last, rel=1e-5)


def test_no_epochs_leave_the_linear_part_alone(layout: FeatureLayout, clicks: Clicks) -> None:
    data = clicks(1000, seed=1, signal=1.0), clicks(300, seed=2, signal=1.0)
    result = run(layout, *data, epochs=0)
    assert (result.kept_step, result.stopped_by, result.history) == (0, "epochs", [])
    weights = fit_wide(*data, layout, MODEL, SamplingSettings()).weights
    seen = clicks(200, seed=3)
    logit = np.hstack([seen.nums, np.ones((len(seen), 1))]) @ weights.of_numbers[0]
    for field, ids in zip(weights.of_fields, seen.ids.T, strict=True):
        logit += field[0][ids]
    assert np.ptp(logit) > 0.5
    assert predict(result.network, "hard", seen) == pytest.approx(expit(logit), rel=1e-4)


@pytest.mark.parametrize(("passes", "step", "by"), [(1.4, 7, "passes"), (9.0, 20, "epochs")])
def test_passes_of_another_fit_end_it_on_the_same_schedule(
    layout: FeatureLayout, clicks: Clicks, passes: float, step: int, by: str
) -> None:
    """Five batches a pass, four passes; no guard, however bad the looks are."""
    data = Splits(clicks(1000, seed=1, signal=1.0), clicks(300, seed=2), layout)
    training = TrainingSettings(batch_size=200, epochs=4, learning_rate=0.1, evaluate_every=0.2)
    recipe = Recipe(MODEL, LossSettings(), training.model_copy(update={"patience": 1}))
    result = train(data, recipe, passes=passes)
    assert (result.kept_step, result.stopped_by) == (step, by)
    assert result.kept_passes == pytest.approx(step / 5)
    assert result.history[-1]["step"] == step
    whole = train(data, recipe, passes=4.0)
    losses = [[row["train_loss"] for row in r.history[:step]] for r in (result, whole)]
    assert losses[0] == losses[1]


def test_no_pass_leaves_the_wide_part(layout: FeatureLayout, clicks: Clicks) -> None:
    """What a guard that fired at once has kept."""
    data = Splits(clicks(1000, seed=1, signal=1.0), clicks(300, seed=2), layout)
    recipe = Recipe(MODEL, LossSettings(), TrainingSettings(batch_size=200, epochs=4))
    result = train(data, recipe, passes=0.0)
    assert (result.kept_step, result.kept_passes, result.history) == (0, 0.0, [])
    assert result.wide is not None


def test_looks_between_and_at_the_end(layout: FeatureLayout, clicks: Clicks) -> None:
    seen = []
    result = train(
        Splits(clicks(1000, seed=1), clicks(300, seed=2), layout),
        Recipe(
            MODEL,
            LossSettings(),
            TrainingSettings(batch_size=200, epochs=2, evaluate_every=0.6, patience=None),
        ),
        Surroundings(progress=seen.append),
    )
    assert [(row["step"], row["epoch"]) for row in seen] == [
        (3, 0.6),
        (6, 1.2),
        (9, 1.8),
        (10, 2.0),
    ]
    assert seen == result.history
    assert result.stopped_by == "epochs"


def test_hard_only_sees_no_soft_example(layout: FeatureLayout, clicks: Clicks) -> None:
    columns, calibration = clicks(1500, seed=1, signal=1.0), clicks(300, seed=2)
    scrambled = dataclasses.replace(
        columns, label=np.where(columns.hard, columns.label, 1 - columns.label).astype(np.float32)
    )
    results = [run(layout, c, calibration, mode="hard_only") for c in (columns, scrambled)]
    np.testing.assert_array_equal(*(predict(r.network, "hard", calibration) for r in results))


def test_writes_scalars_for_tensorboard(
    layout: FeatureLayout, clicks: Clicks, tmp_path: Path
) -> None:
    result = train(
        Splits(clicks(400, seed=1), clicks(300, seed=2), layout),
        Recipe(
            MODEL, LossSettings(), TrainingSettings(batch_size=200, epochs=1, evaluate_every=1.0)
        ),
        Surroundings(log_dir=str(tmp_path)),
    )
    (events,) = tmp_path.glob("events.out.tfevents.*")
    written = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    (row,) = result.history
    assert set(written) == set(row) - {"step"}
    assert written["train_loss"] == (2, pytest.approx(row["train_loss"]))


def test_no_soft_example_is_allowed(layout: FeatureLayout, clicks: Clicks) -> None:
    result = run(layout, clicks(500, seed=1, hard_share=1.0), clicks(200, seed=2, hard_share=1.0))
    assert result.history[-1]["train_loss_soft"] is None
    assert result.history[-1]["calibration_log_loss_soft"] is None
    assert result.history[-1]["train_loss_hard"] > 0


@pytest.mark.parametrize("split", ["train", "calibration"])
def test_no_hard_example(layout: FeatureLayout, clicks: Clicks, split: str) -> None:
    data = [
        clicks(100, seed=1, hard_share=0.0 if split == s else 0.5) for s in ("train", "calibration")
    ]
    with pytest.raises(InputError, match=f"'{split}': none of its 100 examples is hard"):
        run(layout, *data)


def test_empty_split(layout: FeatureLayout, clicks: Clicks) -> None:
    with pytest.raises(InputError, match="'train': none of its 0 examples is hard"):
        run(layout, clicks(0, seed=1), clicks(10, seed=1))


@pytest.mark.parametrize(
    ("field", "row", "value", "error", "message"),
    [
        ("nums", 7, [np.nan, 0], InputError, "'price', row 7 is nan"),
        ("ids", 7, [7, 0, 0], ValueError, "'site' has ids 0..7; wanted 0..6"),
        ("ids", 7, [0, -1, 0], ValueError, "'advertiser' has ids -1..4; wanted 0..4"),
        ("label", 7, 2, ValueError, "labels other than 0 and 1"),
    ],
)
def test_bad_columns(
    layout: FeatureLayout,
    clicks: Clicks,
    field: str,
    row: int,
    value: object,
    error: type[Exception],
    message: str,
) -> None:
    columns = clicks(100, seed=1)
    getattr(columns, field)[row] = value
    with pytest.raises(error, match=message):
        run(layout, columns, clicks(100, seed=2), wide=ALONE)


def test_columns_of_another_layout(layout: FeatureLayout, clicks: Clicks) -> None:
    wider = dataclasses.replace(layout, numeric=("price", "age"))
    with pytest.raises(ValueError, match=r"nums has shape \(100, 2\); wanted \(100, 4\)"):
        run(wider, clicks(100, seed=1), clicks(100, seed=2))


def test_loss_that_is_not_finite_names_the_step(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(100, seed=1)
    columns.nums[:] = 1e30
    with pytest.raises(InputError, match=r"learning_rate 0\.01: the loss is \S+ at step 1 \("):
        run(layout, columns, clicks(100, seed=2), wide=ALONE)
    with pytest.raises(InputError, match=r"feature 'price', training row 0 is 1e\+30 after its"):
        run(layout, columns, clicks(100, seed=2))


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("two_tower", {"hard": 1 / 4, "soft": 2 / 3}),
        ("one_task", {"all": 3 / 7}),
        ("hard_only", {"hard": 1 / 4}),
    ],
)
def test_base_rates(layout: FeatureLayout, mode: str, wanted: dict[str, float]) -> None:
    label = np.array([1, 0, 0, 0, 1, 1, 0], np.float32)
    hard = np.arange(7) < 4
    columns = Columns(
        np.zeros((7, 3), np.int32),
        np.zeros((7, 2), np.float32),
        label,
        hard,
        np.zeros(7, np.float32),
    )
    network = TwoTowerDCN(layout, MODEL.model_copy(update={"mode": mode}), seed=1)
    assert base_rates(network, columns) == pytest.approx(wanted)


def test_training_starts_from_the_base_rates(layout: FeatureLayout, clicks: Clicks) -> None:
    columns = clicks(2000, seed=1)
    result = run(layout, columns, clicks(100, seed=2), wide=ALONE, epochs=1, learning_rate=1e-9)
    network = result.network
    found = {name: tower.logit.bias.numpy()[0] for name, tower in network.towers.items()}
    rates = {
        "hard": columns.label[columns.hard].mean(),
        "soft": columns.label[~columns.hard].mean(),
    }
    for name, rate in rates.items():
        assert found[name] == pytest.approx(np.log(rate / (1 - rate)), abs=1e-4)


@pytest.mark.parametrize(("label", "wanted"), [(0.0, 0.5 / 10), (1.0, 9.5 / 10)])
def test_base_rate_without_both_labels(layout: FeatureLayout, label: float, wanted: float) -> None:
    columns = Columns(
        np.zeros((9, 3), np.int32),
        np.zeros((9, 2), np.float32),
        np.full(9, label, np.float32),
        np.ones(9, bool),
        np.zeros(9, np.float32),
    )
    rates = base_rates(TwoTowerDCN(layout, MODEL, seed=1), columns)
    assert rates == pytest.approx({"hard": wanted, "soft": 0.5})


def test_predictions_do_not_depend_on_the_batch(layout: FeatureLayout, clicks: Clicks) -> None:
    network = TwoTowerDCN(layout, MODEL, seed=1)
    columns = clicks(101, seed=1)
    whole = predict(network, "soft", columns)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(predict(network, "soft", columns, batch_size=10), whole, rtol=1e-5)
    assert len(predict(network, "soft", clicks(0, seed=1))) == 0


@pytest.mark.parametrize("mode", ["two_tower", "hard_only"])
def test_from_disk_everything_is_the_same(
    layout: FeatureLayout,
    clicks: Clicks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    """Training, calibrators and reference of several windows, blocks and shards, to the bit."""
    monkeypatch.setattr(batches, "RUN", 16)
    monkeypatch.setattr(batches, "WINDOW", 512)
    monkeypatch.setattr(storage, "AT_ONCE", 300)
    monkeypatch.setattr(storage, "EXTENT", 2**16)
    monkeypatch.setattr(storage, "HELD", 0)
    rng = np.random.default_rng(5)
    recipe = Recipe(
        ModelSettings(
            mode=mode,
            cross_layers=1,
            hidden_units=(8,),
            shared_layers=1,
            tier_boundaries=(0.3,),
            embedding_l2=0.1,
            wide=WideSettings(max_sweeps=3, newcomer_sweeps=2),
        ),
        LossSettings(),
        TrainingSettings(
            batch_size=100,
            epochs=2,
            sampling={"keep_negatives_soft": 0.6, "correction": "weight"},
            calibration={"method": "platt"},
        ),
    )

    def split(n: int, seed: int) -> Columns:
        return dataclasses.replace(
            clicks(n, seed=seed, signal=1.0),
            weight=rng.uniform(0, 2, n).astype(np.float32),
            completeness=rng.choice(np.float32([0.05, 0.5, 1]), n),
        )

    def outcome(columns: Columns, calibration: Columns) -> list[object]:
        settings = recipe.training
        columns, calibration = (
            known(c, settings.labels, settings.min_completeness) for c in (columns, calibration)
        )
        splits = Splits(columns, calibration, layout)
        result = train(splits, recipe)
        network = result.network
        reference = fit_reference(splits, recipe)
        assert reference.tower.variables
        return [
            {v.name: v.numpy().tolist() for v in (*network.variables, *reference.tower.variables)},
            [row | {"examples_per_second": None} for row in result.history],
            result.wide,
            fit_calibrators(network, calibration, settings.calibration, 64),
            reference.record,
            training_identity((columns, calibration), network.variables, recipe, "a fingerprint"),
        ]

    in_memory = [split(2000, seed=1), split(700, seed=2)]
    disk = storage.Disk(str(tmp_path))
    on_disk = [dataclasses.replace(c, storage=disk).take(np.ones(len(c), bool)) for c in in_memory]
    for found, wanted in zip(outcome(*on_disk), outcome(*in_memory), strict=True):
        assert found == wanted


def test_windows_teach_as_much_as_a_whole_shuffle(
    layout: FeatureLayout, clicks: Clicks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log in which each run is of one site, and a window sees some of them alone."""
    columns, calibration = clicks(8000, seed=1, signal=2.0), clicks(4000, seed=2, signal=2.0)
    columns = columns.take(np.argsort(columns.ids[:, 0], kind="stable"))
    whole = run(layout, columns, calibration, wide=ALONE).history[-1]
    monkeypatch.setattr(batches, "RUN", 32)
    monkeypatch.setattr(batches, "WINDOW", 1024)
    windows = run(layout, columns, calibration, wide=ALONE).history[-1]
    for measure in ("log_loss_hard", "auc_hard", "log_loss_soft", "auc_soft"):
        wanted = whole[f"calibration_{measure}"]
        assert windows[f"calibration_{measure}"] == pytest.approx(wanted, rel=0.01)
