"""RIG against constants worked out by hand, and as a metric that TFMA runs."""

from __future__ import annotations

import math
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as oracle_loss
from tensorflow_model_analysis.metrics import metric_types

from common.statistics.sums import Sums
from components.evaluator.metrics import rig as rig_module
from components.evaluator.metrics.rig import RIG, LossSums

# gamma = 1/4: entropy = ln 4 - 3/4 ln 3 = 0.562335; loss = (ln 2 + 3 (ln 4 - ln 3)) / 4 =
# 0.389048; RIG = 1 - 0.691844.
LABELS, PREDICTIONS, BY_HAND = [1.0, 0.0, 0.0, 0.0], [0.5, 0.25, 0.25, 0.25], 0.308156


def rig(labels: list[float], predictions: list[float], weight: Any = 1.0) -> float:
    return Sums.of(np.array(labels), np.array(predictions), weight).rig


@pytest.mark.parametrize(
    ("labels", "predictions", "wanted"),
    [
        pytest.param(LABELS, PREDICTIONS, BY_HAND, id="by hand"),
        pytest.param(LABELS, [0.25] * 4, 0.0, id="the mean gains nothing"),
        # loss = (ln 4 + 3 ln 2) / 4 = 0.866434, over 0.562335, from 1
        pytest.param(LABELS, [0.25, 0.5, 0.5, 0.5], -0.540779, id="worse than the mean"),
        # -ln(1 - 1e-7) = 1e-7 an example, over ln 2, from 1
        pytest.param([1.0, 0.0], [1.0, 0.0], 1.0 - 1e-7 / math.log(2), id="perfect, clipped"),
        # -ln(1e-7) = 16.118096 an example, over ln 2, from 1
        pytest.param([1.0, 0.0], [0.0, 1.0], 1 - 23.253497, id="surely wrong, clipped"),
        pytest.param([0.0, 0.0], [0.1, 0.2], math.nan, id="no positives"),
        pytest.param([1.0, 1.0], [0.1, 0.2], math.nan, id="no negatives"),
        pytest.param([], [], math.nan, id="no examples"),
        pytest.param([1.0, 0.0], [math.nan, 0.5], math.nan, id="NaN is not hidden"),
    ],
)
def test_rig(labels: list[float], predictions: list[float], wanted: float) -> None:
    assert rig(labels, predictions) == pytest.approx(wanted, abs=1e-6, nan_ok=True)


def test_weights_count_as_copies() -> None:
    weighted = rig([1.0, 0.0], [0.5, 0.25], np.array([1.0, 3.0]))
    assert weighted == pytest.approx(BY_HAND, abs=1e-6)


def test_other_metrics_of_the_same_sums() -> None:
    sums = Sums.of(np.array(LABELS), np.array(PREDICTIONS))
    assert sums.log_loss == pytest.approx(0.389048, abs=1e-6)
    assert (sums.mean_label, sums.mean_prediction) == (0.25, 0.3125)
    assert sums.calibration == 1.25
    assert math.isnan(Sums.of(np.zeros(2), np.full(2, 0.1)).calibration)
    assert math.isnan(Sums().mean_label)


examples = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0.0009765625, 0.9990234375, width=32)),
    min_size=2,
    max_size=40,
).filter(lambda rows: 0 < sum(label for label, _ in rows) < len(rows))


@given(examples, st.randoms(use_true_random=False), st.integers(0, 40))
def test_order_and_parts_do_not_matter(
    rows: list[tuple[float, float]], random: Any, cut: int
) -> None:
    labels, predictions = np.array(rows).T
    whole = Sums.of(labels, predictions).rig
    shuffled = np.array(random.sample(rows, len(rows))).T
    parts = [Sums.of(*shuffled[:, :cut]), Sums.of(*shuffled[:, cut:])]

    assert (parts[0] + parts[1]).rig == pytest.approx(whole, rel=1e-9, abs=1e-9)
    base = oracle_loss(labels, np.full(len(rows), labels.mean()))
    assert whole == pytest.approx(1 - oracle_loss(labels, predictions) / base, rel=1e-6, abs=1e-9)


def combiner() -> LossSums:
    key = metric_types.MetricKey("sums")
    return LossSums(key, lambda rows: (np.array(rows[0]), np.array(rows[1]), np.ones(len(rows[0]))))


def test_combiner_in_two_shots_equals_one() -> None:
    fn = combiner()
    one = fn.add_input(fn.create_accumulator(), (LABELS, PREDICTIONS))
    first = fn.add_input(fn.create_accumulator(), (LABELS[:1], PREDICTIONS[:1]))
    rest = fn.create_accumulator()
    for label, prediction in zip(LABELS[1:], PREDICTIONS[1:], strict=True):
        rest = fn.add_input(rest, ([label], [prediction]))
    merged = fn.merge_accumulators([first, rest, fn.create_accumulator()])
    (sums,) = fn.extract_output(merged).values()
    assert sums.rig == pytest.approx(one.rig)
    assert sums.rig == pytest.approx(BY_HAND, abs=1e-6)


def test_tfma_runs_it_by_name_on_single_weighted_examples(tmp_path: Any) -> None:
    """With TFMA's own extractors, one extract an example, in a plain EvalConfig."""
    columns = {
        "label": [[1.0], [0.0], [0.0]],
        "weight": [[1.0], [2.0], [1.0]],
        "p": [[0.5], [0.25], [0.25]],
        "q": [[0.25], [0.25], [0.25]],
        "part": [[b"a"], [b"a"], [b"b"]],
    }
    batch = pa.RecordBatch.from_arrays([pa.array(v) for v in columns.values()], list(columns))
    config = tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                name=name, label_key="label", example_weight_key="weight", prediction_key=key
            )
            for name, key in (("one", "p"), ("two", "q"))
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[tfma.MetricConfig(class_name="RIG")],
                example_weights=tfma.ExampleWeightOptions(weighted=True),
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=["part"])],
    )
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([batch], reshuffle=False)
            | tfma.ExtractEvaluateAndWriteResults(eval_config=config, output_path=str(tmp_path))
        )
    found = {}
    for name in ("one", "two"):
        for key, metrics in tfma.load_eval_result(str(tmp_path), model_name=name).slicing_metrics:
            found[name, key] = metrics[""][""]["rig"]["doubleValue"]
    assert found["one", ()] == pytest.approx(BY_HAND, abs=1e-6)
    assert found["two", ()] == pytest.approx(0.0, abs=1e-6)
    # gamma = 1/3: entropy 0.636514; loss (ln 2 + 2 x 0.287682) / 3 = 0.422837
    assert found["one", (("part", "a"),)] == pytest.approx(1 - 0.422837 / 0.636514, abs=1e-5)
    assert found["one", (("part", "b"),)] in ("NaN", pytest.approx(math.nan, nan_ok=True))


def test_registered_under_its_class_name() -> None:
    assert metric_types.registered_metrics()["RIG"] is RIG
    assert RIG.__module__ == rig_module.__name__
