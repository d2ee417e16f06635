"""Fused tables against a lookup by feature in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.network.embedding import EmbeddingTables
from components.transform.layout import FeatureLayout

IDS = np.array([[6, 4, 2], [0, 0, 0], [6, 1, 2]], np.int32)


@pytest.fixture
def tables(layout: FeatureLayout) -> EmbeddingTables:
    return EmbeddingTables(layout, seed=1)


def test_one_variable_a_width(tables: EmbeddingTables) -> None:
    assert [(v.name, tuple(v.shape)) for v in tables.tables] == [
        ("shared/embedding/w2:0", (5, 2)),
        ("shared/embedding/w4:0", (10, 4)),
    ]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_embeds_each_feature_from_its_own_rows(tables: EmbeddingTables, dtype: type) -> None:
    narrow, wide = (t.numpy() for t in tables.tables)
    site, advertiser, hour = wide[:7], narrow, wide[7:]
    wanted = [np.concatenate([advertiser[a], site[s], hour[h]]) for s, a, h in IDS]
    np.testing.assert_array_equal(tables(tf.constant(IDS.astype(dtype))), wanted)


def test_lookup_holds_each_row_once_and_assembles_to_the_same(tables: EmbeddingTables) -> None:
    ids = tf.constant(IDS)
    lookups = tables.lookup(ids)
    # Wide table: site rows 6, 0, 6 and hour rows 7 + (2, 0, 2).
    assert [sorted(it.unique.numpy()) for it in lookups] == [[0, 1, 4], [0, 6, 7, 9]]
    np.testing.assert_array_equal(tables.assemble(ids, lookups), tables(ids))


def test_no_categorical_features() -> None:
    tables = EmbeddingTables(FeatureLayout((), (), (), ("price",)), seed=1)
    ids = tf.zeros((3, 0), tf.int32)
    assert tables.lookup(ids) == []
    assert tables(ids).shape == (3, 0)
