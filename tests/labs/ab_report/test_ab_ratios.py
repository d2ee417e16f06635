"""The numbers of the A/B report, against figures worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.ab_report.aggregate import median, nested_groups, pooled, weighted_geometric_mean
from labs.ab_report.report import AbReport, ab_report
from labs.ab_report.settings import AbReportSettings

HAND = """\
setup,advertiser,variant,spend,conversions,requests,budget
big,A,control,400,10,5000,400
big,A,mtl,400,20,5000,400
mid,B,control,100,4,3000,200
mid,B,mtl,100,5,3000,200
odd,B,control,50,0,1000,60
odd,B,mtl,50,2,1000,60
low,C,control,80,8,1000,100
low,C,mtl,120,6,1000,100
"""
"""Ratios by hand:

    big  CPA (400/20) / (400/10) = .5      conversions 20/10 = 2      spend 800
    mid  CPA (100/5)  / (100/4)  = .8      conversions  5/4  = 1.25   spend 200
    odd  none: the control has no conversion                          spend 100
    low  CPA (120/6)  / (80/8)   = 2       conversions  6/8  = .75    spend 200
"""


def report(tmp_path: Path, text: str = HAND, **settings: object) -> AbReport:
    file = tmp_path / "test.csv"
    file.write_text(text)
    return ab_report(file, AbReportSettings.model_validate(settings))


def row(result: AbReport, name: str) -> tuple[float | None, float | None]:
    found = next(r for r in result.rows if r.name == name)
    return found.cpa.ratio, found.conversion.ratio


def test_the_worked_example(tmp_path: Path) -> None:
    result = report(tmp_path)
    units = result.units.set_index("unit")
    assert units.cpa_ratio.to_dict() == pytest.approx({"big": 0.5, "mid": 0.8, "low": 2.0})
    assert units.conversion_ratio.to_dict() == pytest.approx({"big": 2, "mid": 1.25, "low": 0.75})
    assert row(result, "Median") == pytest.approx((0.8, 1.25))
    # exp((800 ln .5 + 200 ln .8 + 200 ln 2) / 1200) = exp(-460.518 / 1200) and
    # exp((800 ln 2 + 200 ln 1.25 + 200 ln .75) / 1200) = exp(541.610 / 1200)
    assert row(result, "Spend-Weighted") == pytest.approx((0.6812920, 1.5704178), abs=1e-6)
    # 1300 is all the spend: A has 61.5% of it, B 23.1%, C 15.4%.
    assert row(result, "Group I") == pytest.approx((0.5, 2.0))
    assert row(result, "Group II") == pytest.approx((0.5, 2.0))
    # exp((800 ln .5 + 200 ln .8) / 1000), exp((800 ln 2 + 200 ln 1.25) / 1000)
    assert row(result, "Group III") == pytest.approx((0.5492803, 1.8205642), abs=1e-6)
    # (670 / 33) / (630 / 22), 33 / 22
    assert row(result, "Pooled") == pytest.approx((0.7089947, 1.5), abs=1e-6)
    (left,) = result.left_out
    assert (left.units, left.spend, left.conversions) == (1, 100, 2)
    assert left.spend_share == pytest.approx(1 / 13)


def test_half_a_conversion_added(tmp_path: Path) -> None:
    result = report(tmp_path, zeros="add_half")
    units = result.units.set_index("unit").conversion_ratio
    assert units.to_dict() == pytest.approx(
        {"big": 20.5 / 10.5, "mid": 5.5 / 4.5, "odd": 2.5 / 0.5, "low": 6.5 / 8.5}
    )
    assert not result.left_out
    # The pooled row needs no smoothing.
    assert row(result, "Pooled")[1] == pytest.approx(1.5)


def test_an_advertisers_setups_together(tmp_path: Path) -> None:
    result = report(tmp_path, unit="advertiser")
    units = result.units.set_index("unit")
    # B: (150 / 7) / (150 / 4), 7 / 4
    assert units.cpa_ratio["B"] == pytest.approx(4 / 7)
    assert units.conversion_ratio["B"] == pytest.approx(1.75)
    assert not result.left_out


def test_small_and_unspent_units_are_left_out(tmp_path: Path) -> None:
    unspent = HAND + "idle,D,control,0,0,10,5\nidle,D,mtl,3,1,10,5\n"
    result = report(tmp_path, unspent, min_conversions=10)
    assert [(part.reason, part.units) for part in result.left_out] == [
        ("no spend in one of the variants", 1),
        ("fewer than 10 conversions", 2),
    ]
    assert set(result.units.unit) == {"big", "low"}


def test_a_setup_without_rows_of_a_variant_has_no_ratio(tmp_path: Path) -> None:
    result = report(tmp_path, HAND + "gone,D,control,10,3,10,5\n")
    assert "gone" not in set(result.units.unit)
    assert result.totals["conversions"] == (25, 33)


def test_days_are_added_up(tmp_path: Path) -> None:
    days = "setup,day,variant,spend,conversions\n" + "".join(
        f"s,{day},{variant},{spend},{conversions}\n"
        for day, variant, spend, conversions in [
            ("2024-01-01", "control", 10, 0),
            ("2024-01-01", "mtl", 20, 3),
            ("2024-01-02", "control", 30, 4),
            ("2024-01-02", "mtl", 20, 2),
        ]
    )
    result = report(tmp_path, days)
    assert row(result, "Median") == pytest.approx((0.8, 1.25))


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    plain = report(tmp_path)
    file = tmp_path / "test.parquet"
    pd.read_csv(tmp_path / "test.csv").to_parquet(file)
    other = ab_report(file, AbReportSettings())
    assert other.rows == plain.rows
    assert other.checks == plain.checks


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 4)), min_size=1, max_size=12).filter(
        lambda drawn: any(count for _, count in drawn)
    )
)
def test_the_median_of_draws_is_that_of_a_list(drawn: list[tuple[float, int]]) -> None:
    ratios, counts = (np.array(column) for column in zip(*drawn, strict=True))
    expected = np.median(np.repeat(ratios, counts))
    assert median(ratios, counts[None, :])[0] == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.floats(0.1, 10), st.floats(0.1, 100), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    ).filter(lambda drawn: any(count for *_, count in drawn))
)
def test_the_weighted_mean_of_draws_is_that_of_a_list(
    drawn: list[tuple[float, float, int]],
) -> None:
    ratios, spend, counts = (np.array(column) for column in zip(*drawn, strict=True))
    listed = [(m, s) for m, s, count in drawn for _ in range(count)]
    expected = math.prod(m ** (s / sum(s for _, s in listed)) for m, s in listed)
    got = weighted_geometric_mean(ratios, spend, counts[None, :])[0]
    assert got == pytest.approx(expected)


def test_aggregates_of_nothing_are_not_defined() -> None:
    nothing = np.zeros((1, 2), np.int64)
    values = np.array([1.0, 2.0])
    amounts = pd.DataFrame(
        dict.fromkeys(
            ["spend_control", "spend_variant", "conversions_control", "conversions_variant"], values
        )
    )
    assert np.isnan(median(values, nothing)).all()
    assert np.isnan(weighted_geometric_mean(values, values, nothing)).all()
    assert np.isnan(pooled(amounts, nothing)).all()


GROUPS: dict[str, tuple[dict[str, float], list[tuple[str, ...]]]] = {
    "exactly at the shares": (
        {"a": 30, "b": 20, "c": 20, "d": 30},
        [("a",), ("a", "d"), ("a", "d", "b")],
    ),
    "one has it all": ({"a": 90, "b": 10}, [("a",), ("a",), ("a",)]),
    "ten alike": (
        {f"a{i}": 0.1 for i in range(10)},
        [tuple(f"a{i}" for i in range(n)) for n in (3, 5, 7)],
    ),
    "no spend": ({"a": 0.0}, [(), (), ()]),
}


@pytest.mark.parametrize("case", GROUPS)
def test_nested_groups(case: str) -> None:
    spend, wanted = GROUPS[case]
    shares = (0.3, 0.6, 0.8) if case == "exactly at the shares" else (0.3, 0.5, 0.7)
    assert nested_groups(pd.Series(spend), shares) == wanted


def many(seed: int, lift: float = 1.0) -> str:
    """40 advertisers of 2 setups; the variant converts `lift` times as often for the same spend."""
    rng = np.random.default_rng(seed)
    lines = ["setup,advertiser,variant,spend,conversions"]
    for setup in range(80):
        for variant, factor in (("control", 1.0), ("mtl", lift)):
            conversions = rng.poisson(200 * factor)
            lines.append(f"s{setup},a{setup // 2},{variant},{1000 + setup},{conversions}")
    return "\n".join(lines)


def test_intervals_hold_what_was_planted(tmp_path: Path) -> None:
    planted = report(tmp_path, many(0, 1.2))
    nothing = report(tmp_path, many(2))
    for a, b in zip(planted.rows, nothing.rows, strict=True):
        assert a.cpa.high < 1 < a.conversion.low
        assert a.cpa.low < 1 / 1.2 < a.cpa.high
        assert b.cpa.low <= 1 <= b.cpa.high


def test_intervals_cover_as_often_as_they_say(tmp_path: Path) -> None:
    """Without effect about 90% of 90% intervals hold 1: 27 of 30, with an sd of 1.6."""
    rows = [
        report(tmp_path, many(seed), confidence=0.9, resamples=200).rows[1] for seed in range(30)
    ]
    assert sum(row.cpa.low <= 1 <= row.cpa.high for row in rows) >= 21


def test_same_seed_same_intervals(tmp_path: Path) -> None:
    first, again = report(tmp_path, many(0)), report(tmp_path, many(0))
    other = report(tmp_path, many(0), seed=7)
    assert first.rows == again.rows
    assert first.rows != other.rows


def test_few_advertisers_have_no_interval(tmp_path: Path) -> None:
    assert all(r.cpa.low is None and r.conversion.high is None for r in report(tmp_path).rows)
    rows = {r.name: r for r in report(tmp_path, min_advertisers=2).rows}
    assert rows["Median"].cpa.low == pytest.approx(0.5)
    assert rows["Group I"].cpa.low is None
