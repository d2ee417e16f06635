"""Contracts of logs whose meaning is known: what is guessed, what is asked, what is written."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from labs.first_look.columns import look_at
from labs.first_look.draft import Totals, choose_alpha
from labs.first_look.sample import find_files, read_sample
from pipeline.cli import main
from pipeline.config import PipelineConfig, load_config
from schemas.contract import Contract

FIRST = int(datetime(2025, 3, 1, tzinfo=UTC).timestamp())
DAYS, ROWS = 40, 6_000
Columns = dict[str, Any]


def clicks() -> Columns:
    """Thirty campaigns of CVRs from 1 % to 30 %; conversions within five days."""
    rng = np.random.default_rng(7)
    campaign = rng.integers(0, 30, ROWS)
    time = np.sort(FIRST + rng.integers(0, DAYS * 86_400, ROWS))
    converted = rng.random(ROWS) < np.geomspace(0.01, 0.3, 30)[campaign]
    delay = rng.integers(1, 5 * 86_400, ROWS)
    return {
        "row": np.arange(ROWS) + 1_000_000,
        "click_time": time,
        "campaign_id": campaign + 7_000,
        "goal": np.where(campaign % 2, "buy", "visit"),
        "user": [f"u{u}" for u in rng.integers(0, 2_000, ROWS)],
        "site": [f"s{s}" for s in rng.integers(0, 40, ROWS)],
        "visits": rng.poisson(0.7, ROWS),
        "price": np.round(rng.lognormal(3, 1, ROWS), 2),
        "temper": rng.normal(0, 1, ROWS),
        "always": ["x"] * ROWS,
        "cost": rng.random(ROWS),
        "converted": converted.astype(int),
        "conversion_time": [
            int(t) if c else None for t, c in zip(time + delay, converted, strict=True)
        ],
        "paid": np.where(converted, 9.5, 0.0),
    }


def write_csv(columns: Columns, folder: Path, name: str = "log.csv", delimiter: str = ",") -> None:
    options = pc_csv.WriteOptions(delimiter=delimiter)
    pc_csv.write_csv(pa.table(columns), folder / name, options)


def write_parquet(columns: Columns, folder: Path) -> None:
    pq.write_table(pa.table(columns), folder / "log.parquet")


def init(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(
        main, ["init", str(folder / "log"), "--out", str(folder), "--name", "mine", *more]
    )


def guessed(folder: Path, *more: str) -> tuple[Contract, PipelineConfig, str]:
    done = init(folder, *more)
    assert done.exit_code == 0, done.output
    config = load_config(str(folder / "mine-config.yaml"))
    return config.data_contract, config, done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def in_zone(columns: Columns, zone: str) -> Columns:
    def text(seconds: int | None) -> str | None:
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") + zone

    times = ("click_time", "conversion_time")
    return columns | {n: [text(s) for s in list(columns[n])] for n in times}


def scaled(columns: Columns, by: int) -> Columns:
    times = ("click_time", "conversion_time")
    return columns | {n: [s if s is None else int(s) * by for s in columns[n]] for n in times}


def without(columns: Columns, *names: str) -> Columns:
    return {n: c for n, c in columns.items() if n not in names}


def gzipped(columns: Columns, folder: Path) -> None:
    write_csv(columns, folder, "plain.csv", "\t")
    (folder / "log.tsv.gz").write_bytes(gzip.compress((folder / "plain.csv").read_bytes()))
    (folder / "plain.csv").unlink()


def zstandard(columns: Columns, folder: Path) -> None:
    write_csv(columns, folder, "plain.csv", ";")
    with pa.CompressedOutputStream(str(folder / "log.csv.zst"), "zstd") as out:
        out.write((folder / "plain.csv").read_bytes())
    (folder / "plain.csv").unlink()


def headless(columns: Columns, folder: Path) -> None:
    write_csv(columns, folder, "plain.csv")
    lines = (folder / "plain.csv").read_bytes().split(b"\n", 1)[1]
    (folder / "plain.csv").unlink()
    (folder / "log.csv").write_bytes(lines)


def timestamps(columns: Columns) -> Columns:
    kind = pa.timestamp("us", "UTC")
    seconds = scaled(columns, 1_000_000)
    times = {n: pa.array(seconds[n], pa.int64()).cast(kind) for n in ("click_time",)}
    times |= {
        "conversion_time": pa.array(list(seconds["conversion_time"]), pa.int64()).cast(kind),
        "converted": [bool(c) for c in columns["converted"]],
    }
    return columns | times


LOGS: dict[str, tuple[Callable[[Columns], Columns], Callable[[Columns, Path], None], Columns]] = {
    "csv": (lambda c: c, write_csv, {"timestamp_unit": "s"}),
    "milliseconds, tabs, gzip": (lambda c: scaled(c, 1000), gzipped, {"timestamp_unit": "ms"}),
    "microseconds": (lambda c: scaled(c, 10**6), write_parquet, {"timestamp_unit": "us"}),
    "date-times, semicolons, zstd": (
        lambda c: in_zone(c, "+00:00"),
        zstandard,
        {"timestamp_unit": "iso", "timestamp_zone": None},
    ),
    "date-times without a zone": (
        lambda c: in_zone(c, ""),
        write_csv,
        {"timestamp_unit": "iso", "timestamp_zone": "UTC"},
    ),
    "timestamps and bools": (timestamps, write_parquet, {"positive_labels": ()}),
    "yes and no": (
        lambda c: c | {"converted": np.where(c["converted"], "yes", "no")},
        write_csv,
        {"positive_labels": ("yes",)},
    ),
    "zero for no conversion": (
        lambda c: c | {"conversion_time": [t or 0 for t in c["conversion_time"]]},
        write_csv,
        {},
    ),
    "texts for nothing": (
        lambda c: c | {"conversion_time": [str(t or "NULL") for t in c["conversion_time"]]},
        write_csv,
        {},
    ),
}


def test_times_are_read_as_the_ingest_reads_them() -> None:
    """Nanoseconds wrap around after 2262, when 2610 would be a day of 2026."""
    far = ["2026-01-02T00:00:00Z"] * 99 + ["2610-07-24T00:34:33Z"]
    moments = look_at(pa.table({"t": far}), typed=False)["t"].moments
    assert moments is not None
    assert (moments.unit, moments.zoned) == ("iso", True)
    assert datetime.fromtimestamp(moments.seconds[-1], UTC).year == 2610
    near = look_at(pa.table({"t": ["2026-01-02 00:00:00.5"] * 9}), typed=False)["t"].moments
    assert near is not None
    assert (near.zoned, near.seconds[0]) == (False, 1_767_312_000)


@pytest.mark.parametrize("log", LOGS)
def test_a_log_in_any_dress_is_read_for_what_it_is(log: str, folder: Path) -> None:
    dress, write, wanted = LOGS[log]
    write(dress(clicks()), folder / "log")
    contract, config, _ = guessed(folder)
    roles = contract.roles
    assert (roles.timestamp, roles.label) == ("click_time", "converted")
    assert (roles.conversion_timestamp, roles.spend) == ("conversion_time", "cost")
    assert roles.setup == ("campaign_id", "goal")
    assert contract.attribution_window_days == 7
    assert {name: getattr(contract, name) for name in wanted} == wanted
    assert contract.leaks == ("paid",)
    features = contract.features
    assert {f.name for f in features.categorical} == {"campaign_id", "goal", "user", "site"}
    transforms = {f.name: f.transform for f in features.numeric}
    assert transforms == {
        "visits": "log1p",
        "price": "log1p",
        "temper": "zscore",
        "historical_cvr": "log",
    }
    assert str(config.as_of) == "2025-04-10"
    done = CliRunner().invoke(main, ["check", "--config", str(folder / "mine-config.yaml")])
    assert f"{ROWS:,} in the window, 0 of them break the contract" in done.output
    assert done.exit_code == 0, done.output


def test_every_line_has_its_reason(folder: Path) -> None:
    write_csv(clicks(), folder / "log")
    guessed(folder)
    contract = (folder / "mine.yaml").read_text()
    for line in contract.splitlines():
        if line.startswith(("  timestamp:", "  label:", "  setup:", "    - {", "  - ")):
            assert "  # " in line, line
    assert "#   row: another value in every row" in contract
    assert "#   always: one value in every row" in contract
    assert "filled where converted is 1 and nowhere else" in contract
    assert "  # " in (folder / "mine-config.yaml").read_text()


def test_floats_are_no_keys(folder: Path) -> None:
    """Whatever they are called: a contract refuses them."""
    columns = clicks()
    size, flag = columns["campaign_id"] * 3.0, (columns["visits"] > 0) * 1.0
    as_text = {"campaign_size": [f"{v:.1f}" for v in size], "shop_open": [f"{v:.1f}" for v in flag]}
    for write, floats in (
        (write_parquet, {"campaign_size": size, "shop_open": flag}),
        (write_csv, as_text),
    ):
        write(columns | floats, folder / "log")
        contract, _, _ = guessed(folder, "--force")
        assert contract.roles.setup == ("campaign_id", "goal")
        numeric = {f.name for f in contract.features.numeric}
        assert {"campaign_size", "shop_open"} <= numeric
        for path in (folder / "log").iterdir():
            path.unlink()


def test_digits_that_are_text_stay_text(folder: Path) -> None:
    """A typed file says so; the reader would refuse them as numbers."""
    columns = clicks()
    columns["code"] = [str(c % 90 + 10_000) for c in range(ROWS)]
    columns["converted"] = [str(c) for c in columns["converted"]]
    write_parquet(columns, folder / "log")
    contract, _, _ = guessed(folder)
    assert "code" in {f.name for f in contract.features.categorical}
    assert contract.positive_labels == ("1",)
    done = CliRunner().invoke(main, ["check", "--config", str(folder / "mine-config.yaml")])
    assert f"{ROWS:,} in the window, 0 of them break the contract" in done.output


def test_an_amount_is_a_label_where_nothing_says_it_better(folder: Path) -> None:
    columns = without(clicks(), "converted", "conversion_time", "cost")
    columns["order_value"] = columns.pop("paid")
    write_csv(columns, folder / "log")
    contract, _, output = guessed(folder)
    assert (contract.roles.label, contract.positive_labels) == ("order_value", "above_zero")
    assert contract.roles.conversion_timestamp is None
    # Four windows fit into the log.
    assert contract.attribution_window_days == 7
    assert "the attribution window was taken as 7 days" in output


def test_conversions_of_the_clicks_day_need_no_window(folder: Path) -> None:
    columns = clicks()
    time = columns["click_time"]
    ends = (time // 86_400 + 1) * 86_400 - 1
    columns["conversion_time"] = [
        int(end) if c else None for end, c in zip(ends, columns["converted"], strict=True)
    ]
    write_csv(columns, folder / "log")
    contract, _, _ = guessed(folder)
    assert contract.attribution_window_days == 0


def test_names_that_say_nothing_are_asked_about(folder: Path) -> None:
    columns = without(clicks(), "row", "always", "paid", "cost", "goal")
    names = {name: f"column_{i}" for i, name in enumerate(columns, 1)}
    headless(columns, folder / "log")
    contract, _, output = guessed(folder)
    roles = contract.roles
    assert roles.timestamp == names["click_time"]
    assert roles.label == names["converted"]
    assert roles.conversion_timestamp == names["conversion_time"]
    assert roles.setup == (names["campaign_id"],)
    assert "what a conversion setup is" in output
    assert "the columns' names" in output


def test_what_is_named_is_taken(folder: Path) -> None:
    write_csv(clicks(), folder / "log")
    contract, _, _ = guessed(folder, "--setup", "site", "--setup", "goal", "--label", "converted")
    assert contract.roles.setup == ("site", "goal")


@pytest.mark.parametrize("words", [("lost", "won"), ("Nein", "Ja"), ("not_converted", "converted")])
def test_a_label_of_two_words_is_taken_by_the_rarer(words: tuple[str, str], folder: Path) -> None:
    columns = clicks()
    label = np.asarray(columns.pop("converted"))
    columns = {n: c for n, c in columns.items() if "conver" not in n}
    write_csv({**columns, "status": np.asarray(words)[label]}, folder / "log")
    contract, _, _ = guessed(folder, "--label", "status")
    assert contract.positive_labels == (words[1],)


def daily(columns: Columns, folder: Path, shift: int) -> None:
    day = (np.asarray(columns["click_time"]) - shift) // 86_400
    for one in np.unique(day):
        rows = np.flatnonzero(day == one)
        part = pa.table(columns).take(pa.array(rows))
        name = datetime.fromtimestamp(int(one) * 86_400, UTC).strftime("day=%Y-%m-%d")
        (folder / name).mkdir()
        pq.write_table(part, folder / name / "part-0.parquet")


def test_a_partition_a_day_is_one_where_the_days_are_right(folder: Path) -> None:
    daily(clicks(), folder / "log", shift=0)
    contract, _, _ = guessed(folder)
    assert contract.input.pattern == "day={YYYY}-{MM}-{DD}/part-0.parquet"


def test_names_of_files_that_are_globs_are_files_all_the_same(folder: Path) -> None:
    columns = clicks()
    half = ROWS // 2
    for name, rows in (("part[1]", slice(0, half)), ("part[2]", slice(half, ROWS))):
        part = {n: c[rows] for n, c in columns.items()}
        write_csv(part, folder / "log", f"{name}.csv")
    contract, _, _ = guessed(folder)
    assert contract.input.pattern == "part[[]*].csv"
    done = CliRunner().invoke(main, ["check", "--config", str(folder / "mine-config.yaml")])
    assert f"{ROWS:,} in the window, 0 of them break the contract" in done.output


def test_days_of_another_zone_are_no_partitions(folder: Path) -> None:
    daily(clicks(), folder / "log", shift=7 * 3600)
    contract, _, output = guessed(folder)
    assert contract.input.pattern == "day=*/part-0.parquet"
    assert "of the clicks are of another day (UTC)" in output


def test_nothing_is_overwritten_unasked(folder: Path) -> None:
    write_csv(clicks(), folder / "log")
    (folder / "mine.yaml").write_text("name: precious\n")
    refused = init(folder)
    assert refused.exit_code == 2
    assert f"{folder / 'mine.yaml'}: there already" in refused.output
    assert (folder / "mine.yaml").read_text() == "name: precious\n"
    assert not (folder / "mine-config.yaml").exists()
    assert init(folder, "--force").exit_code == 0
    assert "precious" not in (folder / "mine.yaml").read_text()


REFUSED: dict[str, tuple[Callable[[Columns], Columns], tuple[str, ...], str]] = {
    "no time": (lambda c: without(c, "click_time", "conversion_time"), (), "time of the click"),
    "other dates": (
        lambda c: without(c, "conversion_time") | {"click_time": ["03/01/2025 10:00"] * ROWS},
        (),
        "click_time looks like dates that are not ISO 8601",
    ),
    "no label": (
        lambda c: without(c, "converted", "paid", "conversion_time"),
        (),
        "no column looks like the label",
    ),
    "a name that is not there": (lambda c: c, ("--label", "sold"), "no column sold; the log has"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_guessed_is_refused_in_one_line(case: str, folder: Path) -> None:
    change, more, wanted = REFUSED[case]
    write_csv(change(clicks()), folder / "log")
    done = init(folder, *more)
    assert done.exit_code == 2
    assert wanted in done.output
    assert len(done.output.splitlines()) == 1
    assert not (folder / "mine.yaml").exists()


@pytest.mark.parametrize(
    ("clicks", "conversions", "read", "alpha"),
    [
        # 0.1 % and 3.9 %: 1 % parts them, and has conversions enough.
        ([10**6, 10**6], [1_000, 39_000], 1.0, 0.01),
        # 3 % and 17 %: the next ones are tried.
        ([10_000, 10_000], [300, 1_700], 1.0, 0.05),
        # With 30 conversions below 1 % and 300 below 5 %, the latter; of a tenth of the log the
        # former would do.
        ([10_000] * 3, [30, 270, 2_000], 1.0, 0.05),
        ([10_000] * 3, [30, 270, 2_000], 0.1, 0.01),
        # One setup cannot be parted.
        ([1_000], [30], 1.0, 0.01),
    ],
)
def test_alpha_parts_the_clicks(
    clicks: list[int], conversions: list[int], read: float, alpha: float
) -> None:
    totals = Totals(np.array(clicks), np.array(conversions))
    assert choose_alpha(totals, read)[0] == alpha


@pytest.mark.parametrize(
    ("judged", "read", "alpha", "told"),
    [
        # The gate wants 50 hard conversions, and a quarter more are looked for: of the setups of
        # 0.1 % alone there are 63, so that 1 % will do.
        ([63, 90, 900], 1.0, 0.01, ""),
        # Of these there are too few; with those of 3 % there are enough, at 5 %.
        ([62, 90, 900], 1.0, 0.05, ""),
        # In a sample of a fifth each stands for five.
        ([13, 18, 180], 0.2, 0.01, ""),
        # There are not enough at any: the one with the most hard conversions, and a word on it.
        ([5, 9, 900], 1.0, 0.05, "with 0.05 about 14 hard conversions lie in the eval period"),
    ],
)
def test_alpha_leaves_enough_to_judge_by(
    judged: list[int], read: float, alpha: float, told: str
) -> None:
    clicks, conversions = np.array([400_000] * 3), np.array([400, 12_000, 120_000])
    chosen, why, few = choose_alpha(Totals(clicks, conversions, np.array(judged)), read)
    assert chosen == alpha
    assert "of them in the eval period" in why
    assert few.startswith(f"alpha: {told}") if told else few == ""


def test_a_setup_of_two_columns_is_shown_by_both(folder: Path) -> None:
    columns = clicks()
    columns["goal"] = np.where(np.arange(ROWS) % 3, "buy", "visit")
    write_csv(columns, folder / "log")
    contract, _, _ = guessed(folder)
    assert contract.roles.setup == ("campaign_id", "goal")
    line = next(s for s in (folder / "mine.yaml").read_text().splitlines() if "  setup: [" in s)
    pairs = {*zip(columns["campaign_id"].tolist(), columns["goal"].tolist(), strict=True)}
    assert f"# {len(pairs)} setups, half of them with " in line


def test_without_conversion_times_there_is_history_behind_the_window(folder: Path) -> None:
    write_csv(without(clicks(), "conversion_time", "paid"), folder / "log")
    contract, config, _ = guessed(folder)
    assert contract.roles.conversion_timestamp is None
    assert config.labelling.window_days == 28 + contract.attribution_window_days
    done = CliRunner().invoke(main, ["check", "--config", str(folder / "mine-config.yaml")])
    assert "known from 2025-03-09 on, 7 days after the click" in done.output
    assert "when no label was known yet" in done.output


def test_a_name_of_the_labellers_own_is_told(folder: Path) -> None:
    columns = clicks()
    columns["setup_id"] = columns["campaign_id"]
    write_csv(columns, folder / "log")
    contract, _, output = guessed(folder)
    assert contract.roles.setup == ("campaign_id", "goal")
    assert "column setup_id was left out: the task labeller gives its own field this" in output
    done = init(folder, "--setup", "setup_id", "--force")
    assert done.exit_code == 2
    assert done.output.startswith("Error: column setup_id: the task labeller gives its own field")
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_text_in_another_encoding_is_read(folder: Path, encoding: str) -> None:
    columns = clicks() | {"site": [("Café", "Größe", "news")[i % 3] for i in range(ROWS)]}
    write_csv(columns, folder, "plain.csv")
    text = (folder / "plain.csv").read_text(encoding="utf-8")
    (folder / "log" / "log.csv").write_text(text, encoding=encoding)
    contract, _, output = guessed(folder)
    assert contract.input.csv.encoding == encoding
    assert ("cp1252 was taken" in output) == (encoding == "cp1252")
    done = CliRunner().invoke(main, ["check", "--config", str(folder / "mine-config.yaml")])
    assert f"{ROWS:,} in the window, 0 of them break the contract" in done.output


BODY = "1767276094,,0,a7,p19,48.42\n1767254231,1767410121,1,a1,p16,49.38\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("time,paid,y,shop,site,price\n" + BODY, True),
        ("time,paid,007,shop,2024,price\n" + BODY, True),
        ("1,2,3,4,5,6\n" + BODY, False),
        (BODY, False),
        ("2026-01-01,a,b\n2026-01-02,c,d\n", False),
        ("day,a,007\n2026-01-01,b,c\n2026-01-02,d,e\n", True),
        ("shop,site\na,b\nc,d\n", True),
        ("a,a\nb,c\nd,e\n", False),
        ("shop,2024\na,b\n", False),
        ("time,price\n", True),
    ],
)
def test_a_line_of_names_has_words_above_amounts(text: str, named: bool, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    found = find_files([tmp_path])
    assert found.named == named
    width = text.split("\n")[0].count(",") + 1
    assert len(found.csv.columns) == (0 if named else width)


def renamed(old: str, new: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_csv(clicks(), folder)
        header, body = (folder / "log.csv").read_text().split("\n", 1)
        (folder / "log.csv").write_text(f"{header.replace(old, new)}\n{body}")

    return write


def doubled_parquet(folder: Path) -> None:
    columns = clicks()
    names = ["price" if name == "temper" else name for name in columns]
    pq.write_table(pa.table(list(columns.values()), names), folder / "log.parquet")


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a name twice": (renamed("temper", "price"), "column price is there more than once; wanted"),
    "a name twice, Parquet": (doubled_parquet, "column price is there more than once; wanted one"),
    "a line break in a name": (renamed("price", "pri\nce"), r"column 'pri\nce' has a line break"),
    "bytes": (
        lambda p: (p / "log.csv").write_bytes(bytes(range(1, 256)) * 9),
        "not text in cp1252",
    ),
    "a long field": (
        lambda p: (p / "log.csv").write_text(f"a,b\n1,{'x' * 200_000}\n"),
        "field larger than field limit",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused_in_one_line(case: str, folder: Path) -> None:
    write, wanted = UNREADABLE[case]
    write(folder / "log")
    done = init(folder)
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {folder / 'log' / 'log.'}"), done.output
    assert wanted in done.output
    assert len(done.output.splitlines()) == 1


def test_words_taken_for_no_value_are_told(folder: Path) -> None:
    columns = clicks()
    columns["site"] = [
        "NA" if i < 30 else "null" if i == 30 else s for i, s in enumerate(columns["site"])
    ]
    columns["temper"] = ["NaN" if i < 9 else str(t) for i, t in enumerate(columns["temper"])]
    write_csv(columns, folder / "log")
    _, _, output = guessed(folder)
    told = [line for line in output.splitlines() if "what stands for no value" in line]
    wanted = "NA in 30 rows of site, null in 1 row of site was taken for none"
    assert [wanted in line for line in told] == [True]
    # Among numbers such a word can be nothing else.
    assert "temper" not in told[0]
    sample = read_sample(find_files([folder / "log"]))
    assert sample.nulls["temper"] == {"NaN": 9}
    assert sample.table["site"].null_count == 31
