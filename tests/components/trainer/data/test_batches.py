"""Batches hold every example once, hard ones first, in an order that the seed decides."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.trainer.data import batches as module
from components.trainer.data.batches import (
    Feed,
    batches_per_epoch,
    shuffled_batches,
    shuffled_windows,
)
from components.trainer.data.columns import Columns
from components.trainer.data.storage import Disk
from components.trainer.settings import ModelSettings, TrainingSettings


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


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN", 8)
    monkeypatch.setattr(module, "WINDOW", 64)


@given(st.integers(1, 400), st.integers(1, 150), st.integers(0, 3), st.data())
def test_windows_are_runs_in_another_order_shuffled(
    examples: int, batch_size: int, epoch: int, data: st.DataObject
) -> None:
    """The order before the shuffle, by hand: runs of 8 rows, their numbers permuted."""
    count = batches_per_epoch(examples, batch_size)
    first = data.draw(st.integers(0, count - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RUN", 8)
        patch.setattr(module, "WINDOW", 64)
        whole, left = (
            list(shuffled_windows(examples, batch_size, seed=5, epoch=epoch, first=f))
            for f in (0, first)
        )
    order = np.random.default_rng([5, epoch]).permutation(-(-examples // 8))
    rows = [row for run in order for row in range(8 * run, min(8 * run + 8, examples))]
    if len(whole) == 1:
        assert examples <= max(64, batch_size)
        rows = list(range(examples))
    sizes = []
    for window in whole:
        held = [row for run in window.runs for row in range(run.start, run.stop)]
        assert held == rows[: len(held)]
        assert len(held) <= max(64, batch_size)
        assert sorted(np.concatenate(window.batches)) == list(range(len(held)))
        sizes += [len(batch) for batch in window.batches]
        rows = rows[len(held) :]
    assert not rows
    assert sizes == [len(part) for part in np.array_split(np.arange(examples), count)]
    rest = [batch.tolist() for window in left for batch in window.batches]
    every = [batch.tolist() for window in whole for batch in window.batches]
    assert rest == every[first:]


@pytest.mark.usefixtures("small_windows")
def test_batches_from_disk_are_those_from_memory(tmp_path: Path) -> None:
    columns, offset = numbered(1003), np.arange(1003, dtype=np.float32)
    disk = dataclasses.replace(columns, storage=Disk(str(tmp_path))).take(np.arange(1003))
    chosen = {"seed": 3, "epoch": 1, "boundaries": (0.25, 0.5), "offset": offset}
    whole = list(shuffled_batches(columns, 10, **chosen))
    for first in (0, 1, 7, 50):
        for one, other in zip(
            shuffled_batches(disk, 10, first=first, **chosen), whole[first:], strict=True
        ):
            for mine, wanted in zip(one, other, strict=True):
                np.testing.assert_array_equal(mine, wanted)
    for batch in whole:
        np.testing.assert_array_equal(batch.offset, batch.ids[:, 0])
    numbers = np.concatenate([batch.ids[:, 0] for batch in whole])
    assert sorted(numbers) == list(range(1003))


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("mode", ["two_tower", "hard_only"])
def test_a_batchs_rows_are_found_in_the_split(mode: str) -> None:
    """After modes and sampling have left rows out; across epochs."""
    columns = numbered(600)
    training = TrainingSettings(
        batch_size=10,
        epochs=2,
        sampling={"keep_negatives_hard": 0.7, "keep_negatives_soft": 0.5},
    )
    feed = Feed(columns, ModelSettings(mode=mode), training)
    for step, batch in enumerate(feed.after(0), start=1):
        rows = feed.rows(step)
        assert sorted(columns.ids[rows, 0]) == sorted(batch.ids[:, 0])
    assert step == feed.last_step
    for done in (1, feed.per_epoch, feed.last_step - 1):
        left = next(iter(feed.after(done)))
        assert sorted(left.ids[:, 0]) == sorted(feed.rows(done + 1))


def test_a_batch_without_hard_examples(clicks: Callable[..., Columns]) -> None:
    (batch,) = shuffled_batches(clicks(9, seed=1, hard_share=0.0), 9, seed=1, epoch=0)
    assert batch.counts.tolist() == [0, 9]
    assert len(batch.label) == 9
