"""Rows of old tables in new ones, on vocabularies made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.network.embedding import EmbeddingTables, own_rows
from components.trainer.warm.warm_start import row_moves
from components.transform.layout import FeatureLayout
from schemas.contract import Categorical, Features

SITE = Categorical(name="site", buckets=4, width=2)
HOUR = Categorical(name="hour", buckets=3, width=5)


def goal(size: int) -> Categorical:
    return Categorical(name="goal", vocabulary=size, width=2)


def layout(*features: Categorical) -> FeatureLayout:
    return FeatureLayout.from_features(Features(categorical=features))


def test_every_feature_has_the_rows_that_it_is_embedded_from() -> None:
    made = layout(SITE, HOUR, goal(2))
    tables = EmbeddingTables(made, seed=1)
    by_name = {table.name: table for table in tables.tables}
    ids = np.array([[3, 2, 1]], np.int32)
    places = own_rows(made)
    rows = {
        name: by_name[f"{place.table}:0"][place.first + i].numpy()
        for (name, place), i in zip(places.items(), ids[0], strict=True)
    }
    assert [place.size for place in places.values()] == [4, 3, 3]
    wanted = np.concatenate([rows["site"], rows["goal"], rows["hour"]])
    np.testing.assert_array_equal(tables(tf.constant(ids))[0], wanted)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        # Rows of goal come after the four of site; the last one is that of all other values.
        ([b"buy", b"visit"], [b"visit", b"buy"], {4: 5, 5: 4, 6: 6}),
        ([b"buy", b"visit"], [b"buy", b"call", b"visit"], {4: 4, 5: 6, 6: 7}),
        ([b"buy", b"visit", b"call"], [b"call"], {6: 4, 7: 5}),
        ([b"buy"], [b"call"], {5: 5}),
    ],
)
def test_a_value_takes_its_row_along(
    old: list[bytes], new: list[bytes], wanted: dict[int, int]
) -> None:
    before, after = goal(len(old)), goal(len(new))
    found = row_moves(
        [SITE, after, HOUR],
        layout(SITE, before, HOUR),
        layout(SITE, after, HOUR),
        {"goal": old},
        {"goal": new},
    )
    moved = found["goal"]
    assert dict(zip(moved.old.tolist(), moved.new.tolist(), strict=True)) == wanted
    assert moved.table == found["site"].table == "shared/embedding/w2"
    for name, rows in (("site", 4), ("hour", 3)):
        np.testing.assert_array_equal(found[name].old, np.arange(rows))
        np.testing.assert_array_equal(found[name].new, np.arange(rows))


def test_rows_behind_a_grown_vocabulary_shift() -> None:
    found = row_moves(
        [goal(3), SITE],
        layout(goal(1), SITE),
        layout(goal(3), SITE),
        {"goal": [b"buy"]},
        {"goal": [b"a", b"b", b"buy"]},
    )
    np.testing.assert_array_equal(found["goal"].old, [0, 1])
    np.testing.assert_array_equal(found["goal"].new, [2, 3])
    np.testing.assert_array_equal(found["site"].old, [2, 3, 4, 5])
    np.testing.assert_array_equal(found["site"].new, [4, 5, 6, 7])
