"""Checks of the split, bad files, and the files that are written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from labs.ab_report.page import write_ab_report
from labs.ab_report.read import read_outcome
from labs.ab_report.report import AbReport, ab_report
from labs.ab_report.settings import AbReportSettings
from pipeline.cli import main
from schemas.errors import InputError

EVEN = """\
setup,advertiser,variant,spend,conversions,requests,clicks,budget
s,A,control,90,3,5000,100,100
s,A,mtl,91,4,5050,120,100
t,B,control,40,2,5000,100,50
t,B,mtl,41,2,5050,120,50
"""


def read(tmp_path: Path, text: str, **settings: object) -> AbReport:
    file = tmp_path / "test.csv"
    file.write_text(text)
    return ab_report(file, AbReportSettings.model_validate(settings))


def outcomes(report: AbReport) -> dict[str, str]:
    return {check.name: check.outcome for check in report.checks}


def test_an_even_split_passes(tmp_path: Path) -> None:
    report = read(tmp_path, EVEN)
    assert outcomes(report) == {
        "traffic split": "passed",
        "clicks split": "not judged",
        "budget split": "passed",
        "budgets kept": "passed",
        "spend split": "passed",
    }
    assert report.sound


@pytest.mark.parametrize(
    ("control", "variant", "share", "p"),
    [
        # (5100 - 5000)^2 / 5000 * 2 = 4, of which chi-square with one degree has 4.55% above.
        (5100, 4900, 0.5, 0.0455003),
        # (100 - 80)^2 / 80 + (100 - 120)^2 / 120 = 25/3; two-sided normal beyond 2.886751
        (100, 100, 0.4, 0.0038924),
    ],
)
def test_the_traffic_split_by_hand(
    tmp_path: Path, control: int, variant: int, share: float, p: float
) -> None:
    text = (
        "setup,advertiser,variant,spend,conversions,requests\n"
        f"s,A,control,90,3,{control}\ns,A,mtl,91,4,{variant}\n"
    )
    [check, *_] = read(tmp_path, text, traffic_share=share).checks
    assert check.value == pytest.approx(p, abs=1e-6)


FAULTS = {
    "traffic": ("5050", "5500", "traffic split"),
    "budget": ("41,2,5050,120,50", "41,2,5050,120,53", "budget split"),
    "overspend": ("s,A,mtl,91", "s,A,mtl,101", "budgets kept"),
    "spend": ("s,A,mtl,91", "s,A,mtl,10", "spend split"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_an_uneven_split_is_told(tmp_path: Path, case: str) -> None:
    old, new, name = FAULTS[case]
    report = read(tmp_path, EVEN.replace(old, new))
    assert [n for n, outcome in outcomes(report).items() if outcome == "failed"] == [name]
    assert not report.sound


def test_an_unequal_plan(tmp_path: Path) -> None:
    report = read(tmp_path, EVEN, traffic_share=0.4)
    assert {n for n, o in outcomes(report).items() if o == "failed"} == {
        "traffic split",
        "budget split",
        "spend split",
    }


def test_what_the_file_does_not_hold_is_not_judged(tmp_path: Path) -> None:
    lines = [",".join(line.split(",")[:5]) for line in EVEN.splitlines()]
    report = read(tmp_path, "\n".join(lines))
    assert outcomes(report) == {
        "traffic split": "not judged",
        "budget split": "not judged",
        "budgets kept": "not judged",
        "spend split": "passed",
    }


HEAD = "setup,advertiser,variant,spend,conversions\n"
GOOD = "s,A,control,1,1\ns,A,mtl,1,1\n"
BAD: dict[str, tuple[str, list[str]]] = {
    "no such column": ("setup,variant,spend\ns,control,1\n", ["'conversions'", "setup, variant"]),
    "no rows": (HEAD, ["no rows"]),
    "a column twice": (
        HEAD.replace("\n", ",spend\n") + "s,A,control,1,1,9\ns,A,mtl,1,1,9\n",
        ["'spend'", "more than once"],
    ),
    "a row too long": (HEAD + GOOD + "t,A,mtl,1,2,3\n", ["Expected 5 fields in line 4, saw 6"]),
    "UTF-16": ("s\0e\0t\0", ["UTF-16"]),
    "a NUL": ("\ufeff" + HEAD.replace("p,", "p\0,"), ["a NUL at byte 8;"]),
    "not a number": (
        HEAD + GOOD + "t,A,mtl,x,1\n",
        ["row 4", "'spend'", "'x'", "wanted 0 or a number from 1e-12 to 1e+18"],
    ),
    "negative": (HEAD + GOOD + "t,A,mtl,1,-2\n", ["row 4", "'conversions'", "'-2'"]),
    "infinite": (HEAD + GOOD + "t,A,mtl,inf,2\n", ["row 4", "'spend'", "'inf'"]),
    "too much": (HEAD + GOOD + "t,A,mtl,1e308,2\nu,A,mtl,1e308,2\n", ["row 4", "'1e308'"]),
    "too little": (HEAD + GOOD + "t,A,mtl,1,1e-300\n", ["row 4", "'conversions'", "'1e-300'"]),
    "hexadecimal": (HEAD + GOOD + "t,A,mtl,0x1,1\n", ["row 4", "'0x1'"]),
    "no number": (HEAD + GOOD + "t,A,mtl,,2\n", ["row 4", "'spend'", "''"]),
    "no setup": (HEAD + GOOD + ",A,mtl,1,2\n", ["row 4", "'setup'", "empty"]),
    "twice": (HEAD + GOOD + GOOD, ["row 4", "setup 's'", "variant 'control'", "second time"]),
    "third variant": (HEAD + GOOD + "s,A,other,1,1\n", ["row 4", "'other'", "third"]),
    "no control": (HEAD + "s,A,a,1,1\ns,A,b,1,1\n", ["'a', 'b'", "--control"]),
    "control alone": (HEAD + "s,A,control,1,1\n", ["'control' alone"]),
    "two advertisers": (
        HEAD + GOOD + "t,A,control,1,1\nt,B,mtl,1,1\n",
        ["row 5", "'advertiser'", "'B'", "'t'", "'A'"],
    ),
    "no spend": (HEAD + "s,A,control,0,1\ns,A,mtl,0,1\n", ["'spend'", "0 in every row"]),
    "empty file": ("", ["cannot be read"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(tmp_path: Path, case: str) -> None:
    text, words = BAD[case]
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    for word in ["test.csv", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spend", "seen"),
    [
        (pa.array([True, False]), "bool"),
        (pa.array([True, None]).dictionary_encode(), "bool"),
        (pa.array([1, 2], pa.duration("s")), r"duration\[s\]"),
        (pa.array([[1.0], [2.0]]), "list"),
    ],
)
def test_amounts_of_other_types_are_refused(tmp_path: Path, spend: pa.Array, seen: str) -> None:
    columns = {"setup": ["s", "s"], "variant": ["control", "mtl"], "conversions": [1, 1]}
    path = tmp_path / "test.parquet"
    pq.write_table(pa.table(columns | {"spend": spend}), path)
    with pytest.raises(InputError, match=rf"test.parquet: column 'spend': seen {seen}"):
        ab_report(path, AbReportSettings())


SIDES = {
    "setup": ["s", "s"],
    "variant": ["control", "mtl"],
    "spend": [1, 2],
    "conversions": [1, 1],
}
MARS = pa.array([0, 1], pa.timestamp("us", "Mars/X"))
ODD_NAMES: dict[str, tuple[str, pa.Array, str]] = {
    "lists": ("setup", pa.array([["a"], ["a"]]), r"seen list<item: string>, wanted text"),
    "bytes of one size": ("setup", pa.array([b"a", b"a"], pa.binary(1)), r"seen fixed_size_binary"),
    "an unknown zone": ("day", MARS, r"seen timestamp\[us, tz=Mars/X\]: .*Mars/X"),
}


@pytest.mark.parametrize("case", ODD_NAMES)
def test_names_of_other_types_are_refused(tmp_path: Path, case: str) -> None:
    name, values, seen = ODD_NAMES[case]
    path = tmp_path / "test.parquet"
    pq.write_table(pa.table(SIDES | {name: values}), path)
    with pytest.raises(InputError, match=rf"test.parquet: column '{name}': {seen}"):
        read_outcome(path, "control")


def test_columns_that_nobody_asks_for_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    pq.write_table(pa.table(SIDES | {"day": ["1", "2"], "seen_at": MARS}), path)
    assert read_outcome(path, "control")["spend_variant"].tolist() == [2.0]


def test_days_may_be_dates(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    days = pa.array([date(2026, 1, 1), date(2026, 1, 2)] * 2)
    two = {name: [v for v in values for _ in range(2)] for name, values in SIDES.items()}
    pq.write_table(pa.table(two | {"day": days}), path)
    assert read_outcome(path, "control")["spend_variant"].tolist() == [4.0]
    pq.write_table(pa.table(two | {"day": days.take(pa.array([0, 0, 1, 1]))}), path)
    with pytest.raises(InputError, match=r"row 2, columns setup, day, variant.*2026-01-01"):
        read_outcome(path, "control")


def test_names_in_bytes_are_text(tmp_path: Path) -> None:
    columns = {"setup": [b"s", b"s"], "variant": [b"control", b"mtl"]}
    path = tmp_path / "test.parquet"
    pq.write_table(pa.table(columns | {"spend": [1, 2], "conversions": [1, 1]}), path)
    outcome = read_outcome(path, "control")
    assert outcome["setup"].tolist() == outcome["advertiser"].tolist() == ["s"]
    assert outcome["spend_variant"].tolist() == [2.0]


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    settings = AbReportSettings()
    with pytest.raises(InputError, match="no such file"):
        ab_report(tmp_path / "none.csv", settings)
    text = tmp_path / "test.txt"
    text.write_text(EVEN)
    with pytest.raises(InputError, match=r"wanted \.csv or \.parquet"):
        ab_report(text, settings)
    parquet = tmp_path / "test.parquet"
    parquet.write_text(EVEN)
    with pytest.raises(InputError, match="not a Parquet file"):
        ab_report(parquet, settings)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value:
                self.links.append(value)
            if name == "id" and value:
                self.ids.add(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_files(tmp_path: Path) -> None:
    report = read(tmp_path, EVEN.replace("s,A", "<b>&$x$,A"))
    write_ab_report(report, tmp_path / "out", datetime(2024, 5, 1, 12, tzinfo=UTC))
    page = _Page()
    page.feed((tmp_path / "out" / "ab_report.html").read_text())
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    for words in ("Spend-Weighted", "Group III", "written 2024-05-01 12:00 UTC", "<b>&$x$"):
        assert words in page.text
    data = json.loads((tmp_path / "out" / "ab_report.json").read_text())
    assert [row["name"] for row in data["rows"]] == [r.name for r in report.rows]
    assert data["rows"][0]["cpa"]["ratio"] == report.rows[0].cpa.ratio
    assert data["units"][0]["unit"] == "<b>&$x$"


def test_a_page_without_a_single_ratio(tmp_path: Path) -> None:
    none = EVEN.replace("90,3", "90,0").replace("40,2,", "40,0,")
    report = read(tmp_path, none)
    write_ab_report(report, tmp_path / "out", datetime(2024, 5, 1, tzinfo=UTC))
    assert report.rows[0].cpa.ratio is None
    assert "No proven difference" in (tmp_path / "out" / "ab_report.html").read_text()


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "test.csv"
    file.write_text(EVEN.replace("control", "base"))
    refused = CliRunner().invoke(main, ["ab-report", str(file)])
    assert refused.exit_code == 2
    assert "--control" in refused.output
    out = tmp_path / "out"
    arguments = ["ab-report", str(file), "--control", "base", "--out", str(out)]
    done = CliRunner().invoke(main, [*arguments, "--set", "resamples=100"])
    assert done.exit_code == 0, done.output
    assert "mtl against base" in done.output
    assert json.loads((out / "ab_report.json").read_text())["settings"]["resamples"] == 100
    bad = CliRunner().invoke(main, [*arguments, "--set", "resamples=1"])
    assert bad.exit_code == 2
    assert "resamples" in bad.output
