"""Where a pushed version keeps what later runs compare themselves with."""

TRAIN_STATISTICS = "assets.extra/train_statistics.pb"
"""TFDV statistics of the train period, the reference of drift."""
