"""Conversions of The Complete Journey: which exposures converted, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.days import SECONDS_PER_DAY
from components.example_gen.adapters.journey.tables import Purchases, Tables

NEVER = -1
"""Conversion time of an exposure that did not convert."""

CONVERSION_TYPES = ("redeem", "buy", "buy2")


@dataclass(frozen=True)
class Exposures:
    """The exposures of one campaign: every recipient x every coupon.

    Exposure `i * len(coupons) + j` is recipient i and coupon j.

    Attributes:
      campaign: the campaign's id.
      start, end: seconds; conversions count from `start` up to, not including, `end`.
      households: int64 [households], sorted ids of the recipients.
      coupons: rows of `Tables.coupons`, sorted by coupon.
      members: `coupon` (row of `coupons`) and `product`.
    """

    campaign: int
    start: int
    end: int
    households: npt.NDArray[np.int64]
    coupons: pd.DataFrame
    members: pd.DataFrame

    def __len__(self) -> int:
        return len(self.households) * len(self.coupons)

    def of_recipients(self, purchases: Purchases) -> Purchases:
        """The recipients' lines, `household` being their row in `households`."""
        if not len(self.households):
            return purchases.take(slice(0, 0))
        row = np.searchsorted(self.households, purchases.household)
        row[row == len(self.households)] = 0
        mine = self.households[row] == purchases.household
        taken = purchases.take(mine)
        return Purchases(**{**taken.__dict__, "household": row[mine].astype(np.int64)})


def exposures(tables: Tables, campaign: int, window_days: int) -> Exposures:
    """The exposures of a campaign; conversions count inside the campaign and the window."""
    facts = tables.campaigns.loc[campaign]
    recipients = tables.recipients
    coupons = tables.coupons[tables.coupons["campaign"] == campaign].reset_index(drop=True)
    members = tables.coupon_products[tables.coupon_products["campaign"] == campaign]
    return Exposures(
        campaign=campaign,
        start=int(facts["start"]),
        end=min(int(facts["end"]), int(facts["start"]) + window_days * SECONDS_PER_DAY),
        households=recipients["household"][recipients["campaign"] == campaign].to_numpy(np.int64),
        coupons=coupons,
        members=pd.DataFrame(
            {
                "coupon": np.searchsorted(coupons["coupon"], members["coupon"]),
                "product": members["product"].to_numpy(np.int64),
            }
        ),
    )


def conversion_times(tables: Tables, shown: Exposures) -> Mapping[str, npt.NDArray[np.int64]]:
    """First conversion of each exposure by conversion type: int64 [exposures] s, or `NEVER`.

    `redeem`: the coupon was redeemed (midnight of that day). `buy`: a product of the coupon was
    bought. `buy2`: products of the coupon were bought on two days; its time is that of the first
    purchase of the second day.
    """
    bought = shown.of_recipients(tables.purchases.between(shown.start, shown.end))
    lines = pd.DataFrame(
        {"household": bought.household, "product": bought.product, "time": bought.time}
    ).merge(shown.members, on="product")
    lines["exposure"] = lines["household"] * len(shown.coupons) + lines["coupon"]
    lines["day"] = lines["time"] // SECONDS_PER_DAY
    lines = lines.sort_values(["exposure", "time"], kind="stable")
    days = lines.drop_duplicates(["exposure", "day"])
    nth = days.groupby("exposure").cumcount()

    redeemed = tables.redemptions
    redeemed = redeemed[
        (redeemed["campaign"] == shown.campaign)
        & (redeemed["time"] >= shown.start)
        & (redeemed["time"] < shown.end)
        & redeemed["household"].isin(shown.households)
        & redeemed["coupon"].isin(shown.coupons["coupon"])
    ].sort_values("time", kind="stable")
    household = np.searchsorted(shown.households, redeemed["household"])
    coupon = np.searchsorted(shown.coupons["coupon"], redeemed["coupon"])
    redeemed = redeemed.assign(exposure=household * len(shown.coupons) + coupon)
    return {
        "redeem": _times(redeemed.drop_duplicates("exposure"), len(shown)),
        "buy": _times(days[nth == 0], len(shown)),
        "buy2": _times(days[nth == 1], len(shown)),
    }


def _times(converted: pd.DataFrame, length: int) -> npt.NDArray[np.int64]:
    times = np.full(length, NEVER, np.int64)
    times[converted["exposure"].to_numpy(np.int64)] = converted["time"].to_numpy(np.int64)
    return times
