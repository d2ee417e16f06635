"""A small feature layout with tables of two widths, and clicks with a planted signal."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.columns import Columns
from components.transform.layout import FeatureLayout

# Two replicas in one process need two devices, to be set up before TensorFlow's first operation.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session")
def layout() -> FeatureLayout:
    return FeatureLayout(
        categorical=("site", "advertiser", "hour"),
        rows=(7, 5, 3),
        widths=(4, 2, 4),
        numeric=("price",),
    )


@pytest.fixture(scope="session")
def clicks(layout: FeatureLayout) -> Callable[..., Columns]:
    """Makes n clicks; `signal` scales how much site and price move the log-odds."""

    def make(n: int, seed: int, signal: float = 0.0, hard_share: float = 0.4) -> Columns:
        rng = np.random.default_rng(seed)
        ids = np.stack([rng.integers(0, rows, n) for rows in layout.rows], axis=1)
        price = rng.standard_normal(n)
        hard = rng.random(n) < hard_share
        effect = np.linspace(-1, 1, layout.rows[0])[ids[:, 0]] + 0.5 * price
        log_odds = np.where(hard, -2.5, -0.5) + signal * effect
        label = rng.random(n) < 1 / (1 + np.exp(-log_odds))
        return Columns(
            ids.astype(np.int32),
            np.stack([price, np.zeros(n)], axis=1).astype(np.float32),
            label.astype(np.float32),
            hard,
            np.where(hard, 0.004, rng.uniform(0.02, 0.6, n)).astype(np.float32),
        )

    return make
