"""Auctions and pacing against figures by hand and a slow loop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labs.marketplace.auction import UNSOLD, clear, clear_under_budgets
from labs.marketplace.market import LOWEST, adjusted

BIDS = np.array([[1.0, 3.0, 2.0], [0.0, 0.5, 0.0], [2.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
BY_HAND: dict[str, tuple[bool, float, list[int], list[float]]] = {
    "second price": (True, 0.0, [1, 1, 0, UNSOLD], [2.0, 0.0, 2.0, 0.0]),
    "second price, reserve": (True, 0.25, [1, 1, 0, UNSOLD], [2.0, 0.25, 2.0, 0.0]),
    "second price, high reserve": (
        True,
        2.5,
        [1, UNSOLD, UNSOLD, UNSOLD],
        [2.5, 0.0, 0.0, 0.0],
    ),
    "first price": (False, 0.25, [1, 1, 0, UNSOLD], [3.0, 0.5, 2.0, 0.0]),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_payments_by_hand(case: str) -> None:
    second_price, reserve, winner, price = BY_HAND[case]
    sales = clear(BIDS, second_price=second_price, reserve=reserve)
    assert sales.winner.tolist() == winner
    assert sales.price.tolist() == price


def test_a_setup_that_cannot_pay_stops_and_the_auction_is_held_again() -> None:
    """Setup 0 pays 2 once, cannot pay 2 again, and is out of the third auction too."""
    bids = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    setup = np.tile(np.arange(3, dtype=np.int32), (3, 1))
    left, stopped = np.array([3.0, 9.0, 9.0]), np.zeros(3, bool)
    sales = clear_under_budgets(bids, setup, left, stopped, second_price=True, reserve=0.0)
    assert sales.winner.tolist() == [0, 1, 1]
    assert sales.price.tolist() == [2.0, 1.0, 1.0]
    assert left.tolist() == [1.0, 7.0, 9.0]
    assert stopped.tolist() == [True, False, False]


def loop(
    bids: npt.NDArray[np.float64],
    setup: npt.NDArray[np.int32],
    left: npt.NDArray[np.float64],
    second_price: bool,
    reserve: float,
) -> tuple[list[int], list[float]]:
    """One auction after the other, in the plainest way."""
    out: set[int] = set()
    winners, prices = [], []
    for row in range(len(bids)):
        while True:
            offers = sorted(
                (
                    (-bids[row, place], place)
                    for place in range(bids.shape[1])
                    if setup[row, place] not in out and bids[row, place] > 0
                ),
            )
            if not offers or -offers[0][0] < reserve:
                winners.append(UNSOLD)
                prices.append(0.0)
                break
            top, place = -offers[0][0], offers[0][1]
            runner_up = -offers[1][0] if len(offers) > 1 else 0.0
            price = max(runner_up, reserve) if second_price else top
            buyer = int(setup[row, place])
            if price > left[buyer]:
                out.add(buyer)
                continue
            left[buyer] -= price
            winners.append(place)
            prices.append(price)
            break
    return winners, prices


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    requests=st.integers(1, 40),
    second_price=st.booleans(),
    reserve=st.sampled_from([0.0, 3.0]),
)
def test_as_a_loop_over_the_auctions(
    seed: int, requests: int, second_price: bool, reserve: float
) -> None:
    """Whole dollars, so that sums are exact."""
    rng = np.random.default_rng(seed)
    setup = np.stack([rng.permutation(6)[:4] for _ in range(requests)]).astype(np.int32)
    bids = rng.integers(0, 10, setup.shape).astype(float)
    budgets = rng.integers(0, 40, 6).astype(float)
    expected_left = budgets.copy()
    winners, prices = loop(bids, setup, expected_left, second_price, reserve)
    left, stopped = budgets.copy(), np.zeros(6, bool)
    sales = clear_under_budgets(
        bids, setup, left, stopped, second_price=second_price, reserve=reserve
    )
    assert sales.winner.tolist() == winners
    assert sales.price.tolist() == prices
    assert left.tolist() == expected_left.tolist()
    assert (left >= 0).all()


def test_pacing_by_hand() -> None:
    share = np.array([0.5, 0.5, 1.0, LOWEST])
    spent, planned = np.array([2.0, 1.0, 0.0, 9.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert adjusted(share, spent, planned, 0.1) == pytest.approx([0.45, 0.55, 1.0, LOWEST])
