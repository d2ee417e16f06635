from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.simulator.log.oracle import oracle


def test_by_hand() -> None:
    """gamma = .5, entropy ln 2 = .693147; log loss (-ln .8 - ln .6) / 2 = .366985."""
    scores = oracle([1, 0], [0.8, 0.4])
    assert scores.rig == pytest.approx(0.4705530)
    assert scores.auc == 1
    assert (scores.examples, scores.positives) == (2, 1)


def test_unequal_classes_by_hand() -> None:
    """gamma = .25, entropy .562335; log loss (-ln .5 - ln .9 - ln .8 - ln .5) / 4 = .428700.

    Of three pairs the positive wins two and ties one.
    """
    scores = oracle([1, 0, 0, 0], [0.5, 0.1, 0.2, 0.5])
    assert scores.rig == pytest.approx(0.2376440, abs=1e-6)
    assert scores.auc == pytest.approx(2.5 / 3)


def test_the_mean_tells_nothing() -> None:
    scores = oracle([1, 0, 0, 0], [0.25] * 4)
    assert scores.rig == pytest.approx(0, abs=1e-12)
    assert scores.auc == 0.5


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.7])), min_size=2, max_size=30
    ).filter(lambda rows: 0 < sum(label for label, _ in rows) < len(rows))
)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, float]]) -> None:
    pairs = [
        (p > q) + (p == q) / 2
        for positive, p in rows
        if positive
        for negative, q in rows
        if not negative
    ]
    labels, probabilities = zip(*rows, strict=True)
    assert oracle(labels, probabilities).auc == pytest.approx(np.mean(pairs))


def test_labels_all_alike_have_no_score() -> None:
    scores = oracle([0, 0], [0.1, 0.2])
    assert np.isnan(scores.rig)
    assert np.isnan(scores.auc)
    assert scores.positives == 0


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        ([1, 0], [0.5], "equal lengths"),
        ([1, 2], [0.5, 0.5], "0 and 1 only"),
        ([1, 0], [0.5, 1.0], "strictly between"),
    ],
)
def test_bad_input(labels: list[int], probabilities: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        oracle(labels, probabilities)


def test_no_distortion_of_the_truth_scores_better(simulated) -> None:
    label, p = simulated.log.label.to_numpy(), simulated.log.probability.to_numpy()
    best = oracle(label, p)
    odds = np.log(p / (1 - p))
    rng = np.random.default_rng(0)
    for worse in (odds + 0.3, odds - 0.3, odds * 0.9, odds + 0.5 * rng.standard_normal(len(p))):
        assert oracle(label, 1 / (1 + np.exp(-worse))).rig < best.rig
    assert 0.7 < best.auc < 0.99
    hard = simulated.log.setup_id.isin(hard_setups(simulated.setups)).to_numpy()
    assert 0.05 < oracle(label[hard], p[hard]).rig < 0.5


def hard_setups(setups) -> list[str]:
    rates = setups.groupby("setup_id").cvr.mean()
    return list(rates[rates <= 0.01].index)
