"""Shares of a batch: every example once, every tower's evenly, by task in each share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.trainer.data.batches import Batch
from components.trainer.step.replicated import shares_of

COUNTS = st.lists(st.integers(0, 9), min_size=2, max_size=4)


def batch(counts: list[int], weighted: bool = False) -> Batch:
    n = sum(counts)
    number = np.arange(n)
    return Batch(
        number[:, None].astype(np.int32),
        number[:, None].astype(np.float32),
        (number % 2).astype(np.float32),
        np.array(counts, np.int32),
        number.astype(np.float32) if weighted else np.ones(n, np.float32),
        (number + 1).astype(np.float32),
        -number.astype(np.float32),
    )


@given(COUNTS, st.integers(1, 5), st.booleans())
def test_each_example_is_in_one_share(counts: list[int], replicas: int, weighted: bool) -> None:
    whole = batch(counts, weighted)
    shares = shares_of(whole, replicas, range(replicas))
    assert sorted(np.concatenate([s.batch.ids[:, 0] for s in shares])) == list(range(sum(counts)))
    task = np.repeat(np.arange(len(counts)), counts)
    for share in shares:
        own, rows = share.batch, share.batch.ids[:, 0]
        np.testing.assert_array_equal(np.repeat(np.arange(len(counts)), own.counts), task[rows])
        np.testing.assert_array_equal(own.nums[:, 0], rows)
        np.testing.assert_array_equal(own.label, rows % 2)
        if weighted:
            np.testing.assert_array_equal(own.weight, rows)
        else:
            np.testing.assert_array_equal(own.weight, 1)
        np.testing.assert_array_equal(own.completeness, rows + 1)
        np.testing.assert_array_equal(own.offset, -rows)
        assert own.counts.dtype == np.int32
    spread = np.array([s.batch.counts for s in shares])
    assert (spread.max(axis=0) - spread.min(axis=0) <= 1).all()
    assert [int(s.replica) for s in shares] == list(range(replicas))


def test_the_whole_batch_is_what_a_share_divides_by() -> None:
    (plain,) = shares_of(batch([3, 2, 4]), 2, [1])
    np.testing.assert_array_equal(plain.whole, [3, 6])
    np.testing.assert_array_equal(plain.batch.counts, [2, 1, 2])
    np.testing.assert_array_equal(plain.batch.ids[:, 0], [1, 2, 4, 7, 8])
    (weighted,) = shares_of(batch([3, 2, 4], weighted=True), 2, [0])
    np.testing.assert_array_equal(weighted.whole, [0 + 1 + 2, 3 + 4 + 5 + 6 + 7 + 8])
