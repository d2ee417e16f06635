"""Aggregates of ratios over units (paper, section 4.2.2), on the data and on resamples of it.

Every aggregate takes `counts`, how often each unit was drawn, [resamples, units]; a single row of
ones is the data itself.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from common.arrays import Bools, Floats, Ints


def median(ratios: Floats, counts: Ints) -> Floats:
    """Median over drawn units, [resamples]; the mean of the middle two of an even number."""
    order = np.argsort(ratios, kind="stable")
    ranked = ratios[order]
    reached = np.cumsum(counts[:, order], axis=1)
    total = reached[:, -1:]
    # The k-th of the drawn units, from 0, is the first whose cumulated count exceeds k.
    lower = (reached > (total - 1) // 2).argmax(axis=1)
    upper = (reached > total // 2).argmax(axis=1)
    return _defined((ranked[lower] + ranked[upper]) / 2, total[:, 0] > 0)


def weighted_geometric_mean(ratios: Floats, spend: Floats, counts: Ints) -> Floats:
    """exp(sum_i s_i ln m_i / sum_j s_j) over drawn units, [resamples]."""
    weight = counts @ spend
    with np.errstate(divide="ignore", invalid="ignore"):
        return _defined(np.exp(counts @ (spend * np.log(ratios)) / weight), weight > 0)


def pooled(amounts: pd.DataFrame, counts: Ints) -> tuple[Floats, Floats]:
    """CPA ratio and conversion ratio of all drawn units' spend and conversions added up.

    Units without conversions count too.

    Args:
      amounts: `spend_control`, `spend_variant`, `conversions_control`, `conversions_variant`.
      counts: [resamples, units].

    Returns:
      Two arrays [resamples], NaN where a variant has no spend or no conversions.
    """
    names = ("spend_control", "spend_variant", "conversions_control", "conversions_variant")
    sums = [counts @ amounts[name].to_numpy(np.float64) for name in names]
    defined = np.all([s > 0 for s in sums], axis=0)
    spend_c, spend_v, conv_c, conv_v = (np.where(defined, s, 1.0) for s in sums)
    ratio = conv_v / conv_c
    return _defined(spend_v / spend_c / ratio, defined), _defined(ratio, defined)


def nested_groups(
    spend_by_advertiser: pd.Series, shares: tuple[float, ...]
) -> list[tuple[str, ...]]:
    """Groups of the largest advertisers: the fewest whose spend reaches each share of the whole.

    Args:
      spend_by_advertiser: spend of both variants, indexed by advertiser.
      shares: one group each; ties in spend go by name.
    """
    ordered = (
        spend_by_advertiser.rename("spend")
        .rename_axis("advertiser")
        .reset_index()
        .sort_values(["spend", "advertiser"], ascending=[False, True])
    )
    reached = ordered.spend.cumsum().to_numpy(np.float64)
    total = reached[-1] if len(reached) else 0.0
    names = tuple(ordered.advertiser)
    groups = []
    for share in shares:
        # A rounding error must not ask for one advertiser more.
        size = int(np.searchsorted(reached, share * total * (1 - 1e-12), side="left")) + 1
        groups.append(names[: min(size, len(names))] if total else ())
    return groups


def _defined(values: Floats, where: Bools) -> Floats:
    return np.where(where, values, np.nan)
