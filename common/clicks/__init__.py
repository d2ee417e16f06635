"""Clicks on disk and in memory: shards of tf.Examples, the same rows as Parquet, row checks."""
