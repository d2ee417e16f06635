"""Batches hold every example once, hard ones first, in an order that the seed decides."""

from collections.abc import Callable

import numpy as np
import pytest

from components.trainer.data.batches import batches_per_epoch, shuffled_batches
from components.trainer.data.columns import Columns


def numbered(n: int) -> Columns:
    """Examples whose number is their id, every third one hard."""
    number = np.arange(n)
    return Columns(
        number[:, None].astype(np.int32),
        number[:, None].astype(np.float32),
        (number % 2).astype(np.float32),
        number % 3 == 0,
        (number / n).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("examples", "batch_size", "sizes"),
    [(10, 4, [4, 3, 3]), (12, 4, [4, 4, 4]), (3, 100, [3]), (5, 1, [1] * 5)],
)
def test_every_example_once(examples: int, batch_size: int, sizes: list[int]) -> None:
    batches = list(shuffled_batches(numbered(examples), batch_size, seed=1, epoch=0))
    assert [len(b.label) for b in batches] == sizes
    assert batches_per_epoch(examples, batch_size) == len(sizes)
    seen = np.concatenate([b.ids[:, 0] for b in batches])
    assert sorted(seen) == list(range(examples))


def test_rows_stay_together_and_hard_ones_come_first() -> None:
    for batch in shuffled_batches(numbered(50), 8, seed=1, epoch=0):
        number = batch.ids[:, 0]
        np.testing.assert_array_equal(batch.nums[:, 0], number)
        np.testing.assert_array_equal(batch.label, number % 2)
        np.testing.assert_array_equal(number % 3 == 0, np.arange(len(number)) < batch.counts[0])


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = shuffled_batches(numbered(40), 8, seed=seed, epoch=epoch)
        return [int(i) for b in batches for i in b.ids[:, 0]]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_a_batch_without_hard_examples(clicks: Callable[..., Columns]) -> None:
    (batch,) = shuffled_batches(clicks(9, seed=1, hard_share=0.0), 9, seed=1, epoch=0)
    assert batch.counts.tolist() == [0, 9]
    assert len(batch.label) == 9
