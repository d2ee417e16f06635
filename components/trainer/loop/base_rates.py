"""Where the logits start."""

from __future__ import annotations

import numpy as np

from components.trainer.data.columns import Columns
from components.trainer.data.tiers import task_numbers
from components.trainer.network.network import TwoTowerDCN


def base_rates(network: TwoTowerDCN, columns: Columns) -> dict[str, float]:
    """Conversion rate of the examples that each tower learns from, by their weights if any.

    A tower that would start at 0 or 1, where log-odds are infinite, gets half a conversion more
    in one example more.
    """
    settings, rates = network.settings, {}
    number = task_numbers(columns, settings.tier_boundaries)
    for name in network.towers:
        tasks = [i for i, task in enumerate(settings.tasks) if network.tower_of(task) == name]
        mine = np.isin(number, tasks)
        label = columns.label[mine]
        weight = np.ones_like(label) if columns.weight is None else columns.weight[mine]
        examples = float(weight.sum(dtype=np.float64))
        conversions = float((weight * label).sum(dtype=np.float64))
        if not 0 < conversions < examples:
            examples, conversions = examples + 1, conversions + 0.5
        rates[name] = conversions / examples
    return rates
