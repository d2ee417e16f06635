"""Features of The Complete Journey's exposures, as known before their campaign starts.

Only purchases and redemptions strictly before the campaign's first second are looked at. Rates
are per week of the log so far, so that a household's figures in spring and in autumn compare.
Where the log has no line before the campaign every history feature is missing (NaN).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY
from components.example_gen.adapters.journey.labels import Exposures
from components.example_gen.adapters.journey.tables import (
    NO_PRODUCT_GROUP,
    Purchases,
    Tables,
)

WEEK = 7 * SECONDS_PER_DAY
RECENT_WEEKS = 4
UNSEEN = -1
"""Key of a product that no coupon of the campaign has to do with."""

TARGETED_TYPES = ("B", "C")
"""Campaigns whose recipients are known to have received every coupon."""

GROUPS = ("manufacturer", "category", "department")
"""Groups of products that a coupon belongs to, columns of `Tables.products`."""

HOUSEHOLD = (
    "household_baskets_per_week",
    "household_recent_baskets_per_week",
    "household_days_per_week",
    "household_spend_per_week",
    "household_recent_spend_per_week",
    "household_spend_per_basket",
    "household_lines_per_basket",
    "household_days_since_basket",
    "household_private_share",
    "household_discount_share",
    "household_coupon_lines_per_week",
    "household_coupon_line_share",
    "household_redemptions",
    "household_campaigns",
    "household_redemptions_per_campaign",
)
CAMPAIGN = ("campaign_days", "campaign_coupons", "campaign_households", "coupon_products")
HISTORY = ("baskets_per_week", "recent_baskets_per_week", "spend_per_week", "days_since_basket")
"""What is known of a household's purchases of a coupon's products, or of one of its groups."""

SALES = ("sales_per_household_week", "recent_sales_per_household_week", "buyer_share")
"""What is known of all households' purchases of them."""

COUPON = (
    "pair_products_bought",
    "pair_due",
    "pair_share_of_category",
    "coupon_line_value",
    "manufacturer_redemption_rate",
)
FEATURES = (
    *HOUSEHOLD,
    *CAMPAIGN,
    *(f"{what}_{name}" for what in ("pair", *(f"pair_{g}" for g in GROUPS)) for name in HISTORY),
    *(f"{what}_{name}" for what in ("coupon", *GROUPS) for name in SALES),
    *COUPON,
)


def features(tables: Tables, shown: Exposures) -> Mapping[str, Floats]:
    """One float64 array [exposures] for each name in `FEATURES`, NaN where unknown."""
    shape = (len(shown.households), len(shown.coupons))
    columns = {name: np.full(shape, np.nan) for name in FEATURES}
    columns["campaign_days"][:] = (shown.end - shown.start) / SECONDS_PER_DAY
    columns["campaign_coupons"][:] = shape[1]
    columns["campaign_households"][:] = shape[0]
    columns["coupon_products"][:] = np.bincount(shown.members["coupon"], minlength=shape[1])
    past = tables.purchases.between(0, shown.start)
    if len(past.time):
        weeks = (shown.start - int(past.time[0])) / WEEK
        mine = shown.of_recipients(past)
        known = {
            **_household(tables, shown, mine, weeks),
            **_products(tables, shown, past, mine, weeks),
            "manufacturer_redemption_rate": _redemption_rate(tables, shown),
        }
        for name, values in known.items():
            columns[name][:] = values
    return {name: values.ravel() for name, values in columns.items()}


def _household(
    tables: Tables, shown: Exposures, mine: Purchases, weeks: float
) -> dict[str, Floats]:
    """Features of the recipient alone, [households, 1]."""
    n = len(shown.households)

    def total(of: npt.NDArray[np.generic], rows: Bools | None = None) -> Floats:
        rows = np.ones(len(mine.time), np.bool_) if rows is None else rows
        return np.bincount(mine.household[rows], weights=of[rows], minlength=n).astype(np.float64)

    recent = mine.time >= shown.start - RECENT_WEEKS * WEEK
    private = tables.products["private"].to_numpy()[mine.product]
    household_day = pd.Series(
        mine.household * (shown.start // SECONDS_PER_DAY + 1) + mine.time // SECONDS_PER_DAY
    )
    baskets, lines = total(mine.opens_basket), total(np.ones(len(mine.time)))
    spend, discount = total(mine.spend), total(mine.discount)
    last = np.full(n, -np.inf)
    np.maximum.at(last, mine.household, mine.time)

    redeemed = tables.redemptions[tables.redemptions["time"] < shown.start]
    redemptions = _count(redeemed["household"], shown.households)
    earlier = tables.campaigns.index[tables.campaigns["start"] < shown.start]
    received = tables.recipients[tables.recipients["campaign"].isin(earlier)]
    campaigns = _count(received["household"], shown.households)
    known = {
        "household_baskets_per_week": baskets / weeks,
        "household_recent_baskets_per_week": total(mine.opens_basket, recent)
        / min(weeks, RECENT_WEEKS),
        "household_days_per_week": total(~household_day.duplicated().to_numpy()) / weeks,
        "household_spend_per_week": spend / weeks,
        "household_recent_spend_per_week": total(mine.spend, recent) / min(weeks, RECENT_WEEKS),
        "household_spend_per_basket": _ratio(spend, baskets),
        "household_lines_per_basket": _ratio(lines, baskets),
        "household_days_since_basket": _days_since(last, shown.start),
        "household_private_share": _ratio(total(mine.spend * private), spend),
        "household_discount_share": _ratio(discount, spend + discount),
        "household_coupon_lines_per_week": total(mine.coupon) / weeks,
        "household_coupon_line_share": _ratio(total(mine.coupon), lines),
        "household_redemptions": redemptions,
        "household_campaigns": campaigns,
        "household_redemptions_per_campaign": _ratio(redemptions, campaigns),
    }
    return {name: values[:, None] for name, values in known.items()}


def _products(
    tables: Tables, shown: Exposures, past: Purchases, mine: Purchases, weeks: float
) -> dict[str, Floats]:
    """Features of the coupon's products and of their groups, broadcastable to [hh, coupons]."""
    n_products, n_coupons = len(tables.products), len(shown.coupons)
    own = _history(mine, _of_coupons(mine, shown, n_products), shown, n_coupons, weeks)
    sold = _sales(past, _of_coupons(past, shown, n_products), shown.start, n_coupons, weeks)
    known = {f"pair_{name}": own[name] for name in HISTORY}
    known |= {f"coupon_{name}": sold[name] for name in SALES}
    known["coupon_line_value"] = sold["line_value"]
    known["pair_products_bought"] = own["products"]
    known["pair_due"] = own["days_since_basket"] / 7 * own["baskets_per_week"]
    for group in GROUPS:
        codes, column = np.unique(shown.coupons[f"{group}_code"], return_inverse=True)
        key_of = np.full(int(tables.products[group].max()) + 2, UNSEEN)
        key_of[codes] = np.arange(len(codes))
        # The last place, index NO_PRODUCT_GROUP, is that of products of no known group.
        key_of[NO_PRODUCT_GROUP] = UNSEEN
        of_product = key_of[tables.products[group].to_numpy()]
        own = _history(mine, _keyed(mine, of_product), shown, len(codes), weeks)
        sold = _sales(past, _keyed(past, of_product), shown.start, len(codes), weeks)
        unknown = codes[column] == NO_PRODUCT_GROUP
        for name in HISTORY:
            known[f"pair_{group}_{name}"] = np.where(unknown, np.nan, own[name][:, column])
        for name in SALES:
            known[f"{group}_{name}"] = np.where(unknown, np.nan, sold[name][column])
    known["pair_share_of_category"] = _ratio(
        known["pair_baskets_per_week"], known["pair_category_baskets_per_week"]
    )
    return known


def _of_coupons(purchases: Purchases, shown: Exposures, products: int) -> tuple[Ints, Ints]:
    """Rows of the lines of the coupons' products, once for each coupon, and the coupon's row."""
    members = shown.members.sort_values("product", kind="stable")
    count = np.bincount(members["product"], minlength=products)
    begin = np.cumsum(count) - count
    times = count[purchases.product]
    row = np.repeat(np.arange(len(times)), times)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    return row, members["coupon"].to_numpy(np.int64)[begin[purchases.product[row]] + nth]


def _keyed(purchases: Purchases, of_product: Ints) -> tuple[Ints, Ints]:
    """Rows of the lines whose product has a key, and the key."""
    key = of_product[purchases.product]
    row = np.flatnonzero(key != UNSEEN)
    return row, key[row]


def _history(
    mine: Purchases,
    keyed: tuple[Ints, Ints],
    shown: Exposures,
    n_keys: int,
    weeks: float,
) -> dict[str, Floats]:
    """The recipients' purchases of each key's products: arrays [households, keys]."""
    row, key = keyed
    shape = (len(shown.households), n_keys)
    cell = mine.household[row] * n_keys + key
    time = mine.time[row]
    baskets = _first(cell, mine.basket[row])
    recent = baskets & (time >= shown.start - RECENT_WEEKS * WEEK)
    last = np.full(shape[0] * n_keys, -np.inf)
    np.maximum.at(last, cell, time.astype(np.float64))
    return {
        "baskets_per_week": _tally(cell[baskets], shape) / weeks,
        "recent_baskets_per_week": _tally(cell[recent], shape) / min(weeks, RECENT_WEEKS),
        "spend_per_week": _tally(cell, shape, mine.spend[row]) / weeks,
        "days_since_basket": _days_since(last, shown.start).reshape(shape),
        "products": _tally(cell[_first(cell, mine.product[row])], shape),
    }


def _sales(
    past: Purchases, keyed: tuple[Ints, Ints], start: int, n_keys: int, weeks: float
) -> dict[str, Floats]:
    """All households' purchases of each key's products: arrays [keys]."""
    row, key = keyed
    shape = (n_keys,)
    households = np.count_nonzero(np.bincount(past.household))
    recent = past.time[row] >= start - RECENT_WEEKS * WEEK
    bought = np.zeros((int(past.household.max(initial=0)) + 1, n_keys), np.bool_)
    bought[past.household[row], key] = True
    count = _tally(key, shape)
    return {
        "sales_per_household_week": count / households / weeks,
        "recent_sales_per_household_week": _tally(key[recent], shape)
        / households
        / min(weeks, RECENT_WEEKS),
        "buyer_share": bought.sum(axis=0) / households,
        "line_value": _ratio(_tally(key, shape, past.spend[row]), count),
    }


def _redemption_rate(tables: Tables, shown: Exposures) -> Floats:
    """Redemptions per exposure of the manufacturer in earlier targeted campaigns: [coupons]."""
    campaigns = tables.campaigns
    earlier = campaigns.index[
        (campaigns["start"] < shown.start) & campaigns["type"].isin(TARGETED_TYPES)
    ]
    coupons = tables.coupons[tables.coupons["campaign"].isin(earlier)]
    recipients = tables.recipients.groupby("campaign").size()
    coupons = coupons.assign(recipients=coupons["campaign"].map(recipients).fillna(0))
    redeemed = tables.redemptions[tables.redemptions["time"] < shown.start]
    redeemed = redeemed.merge(coupons, on=["campaign", "coupon"])
    manufacturer = shown.coupons["manufacturer_code"]
    redemptions = manufacturer.map(redeemed.groupby("manufacturer_code").size()).fillna(0)
    exposures = manufacturer.map(coupons.groupby("manufacturer_code")["recipients"].sum())
    return _ratio(redemptions.to_numpy(np.float64), exposures.fillna(0).to_numpy(np.float64))


def _first(cell: Ints, item: Ints) -> Bools:
    """True for the first line of each cell and item (small non-negative codes)."""
    items = int(item.max(initial=0)) + 1
    return ~pd.Series(cell * items + item).duplicated().to_numpy()


def _tally(cell: Ints, shape: tuple[int, ...], weights: Floats | None = None) -> Floats:
    counts = np.bincount(cell, weights=weights, minlength=int(np.prod(shape)))
    return counts.astype(np.float64).reshape(shape)


def _count(of: pd.Series, households: Ints) -> Floats:
    return of.value_counts().reindex(households, fill_value=0).to_numpy(np.float64)


def _days_since(last: Floats, now: int) -> Floats:
    """Days from `last` (seconds, -inf for never) to `now`; NaN for never."""
    return np.where(np.isneginf(last), np.nan, (now - last) / SECONDS_PER_DAY)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)
