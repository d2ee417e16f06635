"""Auctions in time order under budgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Indices, Ints32

UNSOLD = -1
"""Winner of an auction without a bid that reaches the reserve."""


@dataclass(frozen=True)
class Sales:
    """Auctions' outcome.

    Attributes:
      winner: place of the winning ad in its request, [requests], or `UNSOLD`.
      price: what it pays for the impression, [requests], 0 where unsold.
    """

    winner: Indices
    price: Floats


def clear(bids: Floats, *, second_price: bool, reserve: float) -> Sales:
    """Independent auctions without budgets.

    The highest bid wins, the first place on ties. It pays the second highest bid or the reserve,
    whichever is higher, or, with first prices, its own bid.

    Args:
      bids: [requests, places], places >= 2; 0 where an ad takes no part.
      second_price: otherwise first price.
      reserve: lowest bid that may win.
    """
    winner = bids.argmax(axis=1)
    top = bids[np.arange(len(bids)), winner]
    sold = (top > 0) & (top >= reserve)
    paid = np.maximum(np.partition(bids, -2, axis=1)[:, -2], reserve) if second_price else top
    return Sales(np.where(sold, winner, UNSOLD), np.where(sold, paid, 0.0))


def clear_under_budgets(
    bids: Floats,
    setup: Ints32,
    left: Floats,
    stopped: Bools,
    *,
    second_price: bool,
    reserve: float,
) -> Sales:
    """Auctions one after the other, each setup paying out of its budget.

    A setup that wins an auction and cannot pay for it stops until it is given a new budget, and
    that auction is held again without it. The outcome is that of a loop over the auctions; here
    all are cleared at once, and cleared again from where a setup first runs out.

    Args:
      bids: [requests, places], 0 where an ad takes no part.
      setup: [requests, places], whose ad it is; a setup takes part once in a request.
      left: budget left, [setups], US dollars; changed in place.
      stopped: [setups], changed in place.
      second_price, reserve: see `clear`.
    """
    count = len(bids)
    bids = np.where(stopped[setup], 0.0, bids)
    winner, price = np.full(count, UNSOLD, np.intp), np.zeros(count)
    start = 0
    while start < count:
        sales = clear(bids[start:], second_price=second_price, reserve=reserve)
        sold = np.flatnonzero(sales.winner != UNSOLD)
        buyer = setup[start + sold, sales.winner[sold]]
        spent = _running_totals(buyer, sales.price[sold])
        unpaid = np.flatnonzero(spent > left[buyer])
        end = start + int(sold[unpaid[0]]) if len(unpaid) else count
        done = slice(0, end - start)
        winner[start:end], price[start:end] = sales.winner[done], sales.price[done]
        paid = sold < end - start
        left -= np.bincount(buyer[paid], sales.price[sold[paid]], minlength=len(left))
        if len(unpaid):
            broke = buyer[unpaid[0]]
            stopped[broke] = True
            later = bids[end:]
            later[setup[end:] == broke] = 0.0
        start = end
    return Sales(winner, price)


def _running_totals(group: Ints32, values: Floats) -> Floats:
    """Running total of the values within each group, in the order given, [n]."""
    order = np.argsort(group, kind="stable")
    grouped = group[order]
    first = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if len(group) else grouped
    totals = np.cumsum(values[order])
    before = totals[first] - values[order][first]
    sizes = np.diff(np.append(first, len(group)))
    result = np.empty(len(values))
    result[order] = totals - np.repeat(before, sizes)
    return result
