"""The labeller from shards to outputs, on a real Beam runner."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from two_goals import CONTRACT

from common.clicks.columns import ColumnWriter
from common.clicks.rows import conversion_times
from common.clicks.tfrecords import ShardWriter, read_batches, shard_files
from common.days import to_day
from common.routing.table import RoutingTable
from components.example_gen.encode import Encoder
from components.task_labeler.calendar import Calendar, split_names, split_periods
from components.task_labeler.decide.assign import assign_log
from components.task_labeler.decide.counts import count_clicks, merge_counts
from components.task_labeler.decide.pins import Pin
from components.task_labeler.passes.clicks import ClickLog
from components.task_labeler.passes.label import SplitPlaces, bucket_names
from components.task_labeler.run import Folders, label_clicks, refuse_faults
from components.task_labeler.settings import LabellingSettings, SplitSettings
from labs.stability_lab.log.cells import build_log
from labs.stability_lab.volumes import volumes
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.labelled import RECENT, SPLITS
from schemas.setup_id import setup_ids

FIRST = date(2024, 3, 1)
AS_OF = FIRST + timedelta(days=40)
DAY = 86_400
LABELLING = LabellingSettings(alpha=0.1, prior_clicks=20, min_clicks=10, min_dwell_days=2)
PERIODS = SplitSettings(eval_days=8, calibration_days=4, warmup_days=2)


def clicks(seed: int = 0) -> pa.RecordBatch:
    """4,000 clicks: the goal `buy` converts 2 % of the time, `visit` 40 %; shop `n` starts late."""
    rng = np.random.default_rng(seed)
    n = 4000
    day = rng.integers(0, 40, n)
    shop = rng.choice(["a", "b"], n)
    shop = np.where((day >= 27) & (rng.random(n) < 0.2), "n", shop)
    goal = rng.choice(["buy", "visit"], n)
    y = rng.random(n) < np.where(goal == "buy", 0.02, 0.4)
    t = to_day(FIRST) * DAY + day * DAY + rng.integers(0, DAY, n)
    ct = np.where(y, t + rng.integers(60, 5 * DAY - 60, n), -1)
    return pa.RecordBatch.from_arrays(
        [pa.array(t), pa.array(y.astype(np.int64)), pa.array(ct), pa.array(shop), pa.array(goal)],
        ["t", "y", "ct", "shop", "goal"],
    )


def write_shards(folder: Path, batch: pa.RecordBatch, shards: int) -> list[str]:
    edges = np.linspace(0, batch.num_rows, shards + 1).astype(int)
    for i in range(shards):
        writer = ShardWriter(str(folder), i, shards)
        writer.write(Encoder().encode(batch.slice(edges[i], edges[i + 1] - edges[i])))
        writer.close()
    return list(shard_files(str(folder)))


@dataclass(frozen=True)
class Labelled:
    folder: Path
    identity: str

    def records(self, split: str) -> list[bytes]:
        files = shard_files(str(self.folder / f"Split-{split}"))
        return [r for f in files for b in read_batches(f) for r in b]

    def examples(self, split: str) -> list[dict[str, Any]]:
        return [plain(record) for record in self.records(split)]

    def json(self, name: str) -> Any:
        return json.loads((self.folder / "assignments" / name).read_text())

    def table(self, name: str) -> list[dict[str, Any]]:
        return pq.read_table(self.folder / "assignments" / name).to_pylist()


def read_all(path: str) -> list[dict[str, Any]]:
    return [plain(record) for batch in read_batches(path) for record in batch]


def plain(record: bytes) -> dict[str, Any]:
    features = tf.train.Example.FromString(record).features.feature
    values = {k: getattr(v, v.WhichOneof("kind")).value[0] for k, v in features.items()}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def content(example: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((k, str(v)) for k, v in example.items())


def label(
    folder: Path,
    batch: pa.RecordBatch,
    labelling: LabellingSettings = LABELLING,
    splits: SplitSettings = PERIODS,
    shards: int = 3,
) -> Labelled:
    return label_files(folder, write_shards(folder / "in", batch, shards), labelling, splits)


def label_files(
    folder: Path,
    files: list[str],
    labelling: LabellingSettings = LABELLING,
    splits: SplitSettings = PERIODS,
    contract: Contract = CONTRACT,
) -> Labelled:
    (folder / "assignments").mkdir(parents=True)
    places = {
        s: SplitPlaces(f"{folder}/Split-{s}", f"{folder}/columns-{s}")
        for s in split_names(contract)
    }
    identity = label_clicks(
        ClickLog(files, contract, AS_OF),
        labelling,
        splits,
        Folders(places, str(folder / "assignments"), str(folder / "temp")),
        lambda: beam.Pipeline(runner="DirectRunner"),
    )
    return Labelled(folder, identity)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    return label(tmp_path_factory.mktemp("labelled"), clicks())


def test_periods_are_consecutive_without_a_gap(result: Labelled) -> None:
    """As-of day 40, so mature before 35 and recent from there; eval 27-34, then backwards."""
    wanted = {"train": (2, 22), "calibration": (23, 26), "eval": (27, 34), "recent": (35, 39)}
    report = result.json("splits.json")
    for split, (first, last) in wanted.items():
        days = {(e["t"] // DAY) - to_day(FIRST) for e in result.examples(split)}
        assert (min(days), max(days)) == (first, last)
        assert report[split]["first_day"] == (FIRST + timedelta(days=first)).isoformat()
        assert report[split]["last_day"] == (FIRST + timedelta(days=last)).isoformat()
        assert report[split]["newest_click_day"] == report[split]["last_day"]
    assert report["none"]["examples"] == sum(t // DAY - to_day(FIRST) < 2 for t in times())


def test_volumes_before_a_run_are_what_the_run_writes(result: Labelled) -> None:
    """`hardtower check` replays in one process what is done here on Beam."""
    batch = clicks()
    setup = setup_ids([batch.column("shop"), batch.column("goal")])
    blank = pa.array([""] * batch.num_rows)
    time = batch.column("t").to_numpy()
    seen = conversion_times(batch, CONTRACT, to_day(AS_OF) * DAY)
    counts = merge_counts([count_clicks(setup, batch.column("goal"), blank, time, seen)])
    window = CONTRACT.attribution_window_days
    log = build_log(counts, to_day(AS_OF), window)
    periods = split_periods(log.first_day, AS_OF, window, PERIODS, True)
    alpha = LABELLING.alpha
    report = result.json("splits.json")
    for split, found in volumes(log, LABELLING, (alpha,), periods, True)[alpha].items():
        written = report[split]
        assert found.clicks == written["examples"]
        assert found.conversions == written["positives"]
        assert found.hard_clicks == written["hard_examples"]
        assert found.hard_conversions == written["hard_positives"]
        if split != RECENT:
            assert found.known_hard_conversions == written["hard_judged_positives"]


def times() -> list[int]:
    found: list[int] = clicks().column("t").to_pylist()
    return found


def test_with_a_window_of_0_days_yesterdays_labels_are_final(tmp_path: Path) -> None:
    batch = clicks()
    t = batch.column("t").to_numpy()
    last = (t // DAY + 1) * DAY - 1
    converted = batch.column("y").to_numpy() == 1
    columns = [*batch.columns[:2], pa.array(np.where(converted, last, -1)), *batch.columns[3:]]
    batch = pa.RecordBatch.from_arrays(columns, batch.schema.names)
    contract = Contract.model_validate(CONTRACT.model_dump() | {"attribution_window_days": 0})
    files = write_shards(tmp_path / "in", batch, 2)
    made = label_files(tmp_path, files, contract=contract)
    report = made.json("splits.json")
    assert "recent" not in report
    assert report["eval"]["newest_click_day"] == (AS_OF - timedelta(days=1)).isoformat()
    assert not (tmp_path / "assignments" / "completeness.parquet").exists()
    for split in ("train", "calibration", "eval"):
        examples = made.examples(split)
        assert {e["completeness"] for e in examples} == {1.0}
        assert all(e["judged_label"] == e["y"] for e in examples)


BLIND = CONTRACT.model_copy(
    update={"roles": CONTRACT.roles.model_copy(update={"conversion_timestamp": None})}
)


def test_without_conversion_times_no_click_is_hard_for_want_of_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a window of five days the first label is known on the seventh day: until then nothing
    is called hard, from then on `buy` is, and the run says how many clicks had nothing to go by."""
    files = write_shards(tmp_path / "in", clicks(), 2)
    with caplog.at_level("WARNING"):
        made = label_files(tmp_path, files, contract=BLIND)
    rows = made.table("history.parquet")
    start = to_day(FIRST) + 6
    assert not [row for row in rows if row["day"] < start and row["hard"]]
    later = [row for row in rows if row["day"] >= start + 6 and row["observed_clicks"] >= 10]
    assert {row["setup_id"].endswith("buy") for row in later if row["hard"]} == {True}
    train = [e["t"] // DAY for e in made.examples("train")]
    early = sum(day < start for day in train)
    assert f"{early} of {len(train):,} clicks to train on are of days before 2024-03-07" in (
        caplog.text
    )
    assert "it is known 5 days after its click" in caplog.text
    assert "splits.warmup_days of 6" in caplog.text


def test_a_labelling_window_without_a_final_label_is_refused(tmp_path: Path) -> None:
    files = write_shards(tmp_path / "in", clicks(), 1)
    short = LABELLING.model_copy(update={"window_days": 5})
    with pytest.raises(InputError, match=r"seen 5, wanted above .* 5 days, such as 10"):
        label_files(tmp_path, files, short, contract=BLIND)


def test_the_counts_are_those_of_the_clicks(result: Labelled) -> None:
    batch = clicks()
    seen = conversion_times(batch, CONTRACT, to_day(AS_OF) * DAY)
    setup = setup_ids([batch.column("shop"), batch.column("goal")])
    blank = pa.array([""] * batch.num_rows)
    wanted = merge_counts(
        [count_clicks(setup, batch.column("goal"), blank, batch.column("t").to_numpy(), seen)]
    )
    assert result.table("counts.parquet") == wanted.to_pylist()


@pytest.mark.parametrize(
    ("timed", "settings", "wanted"),
    [
        (True, {}, {"train": (3, 23), "calibration": (24, 26), "eval": (27, 34)}),
        (True, {"gap_days": 2}, {"train": (2, 21), "calibration": (22, 24), "eval": (27, 34)}),
        (False, {}, {"train": (2, 18), "calibration": (19, 21), "eval": (27, 34)}),
        (False, {"gap_days": 0}, {"train": (3, 23), "calibration": (24, 26), "eval": (27, 34)}),
        (True, {"warmup_days": 0}, {"train": (0, 23), "calibration": (24, 26), "eval": (27, 34)}),
    ],
)
def test_default_gap_and_warmup(
    timed: bool, settings: dict[str, int], wanted: dict[str, tuple[int, int]]
) -> None:
    """The gap is the window of 5 days where nobody knows when a click converted; the warm-up an
    eighth of the days before the calibration period."""
    chosen = SplitSettings(eval_days=8, calibration_days=3, **settings)
    periods = split_periods(to_day(FIRST), AS_OF, 5, chosen, timed)
    if timed:
        wanted = wanted | {"recent": (35, 39)}
    start = to_day(FIRST)
    assert {n: (p.first - start, p.end - 1 - start) for n, p in periods.items()} == wanted


def test_every_click_of_a_period_is_there_once_and_whole(result: Labelled) -> None:
    batch = clicks().to_pylist()
    report = result.json("splits.json")
    end = to_day(AS_OF) * DAY
    for split, (first, last) in {"train": (2, 22), "eval": (27, 34), "recent": (35, 39)}.items():
        days = range(first, last + 1)
        wanted = [dict(r) for r in batch if (r["t"] // DAY) - to_day(FIRST) in days]
        for row in wanted:
            if row["ct"] >= end:
                row["y"], row["ct"] = 0, -1
        got = result.examples(split)
        key = ("t", "y", "ct", "shop", "goal")
        assert sorted(tuple(r[k] for k in key) for r in wanted) == sorted(
            tuple(r[k] for k in key) for r in got
        )
        hard = [r for r in got if r["task"] == "hard"]
        for whose, rows in (("", got), ("hard_", hard)):
            assert report[split][f"{whose}examples"] == len(rows)
            assert report[split][f"{whose}positives"] == sum(r["y"] for r in rows)
            judged = sum(r["judged_label"] for r in rows)
            assert report[split][f"{whose}judged_positives"] == judged
    late = [r for r in batch if r["y"] and r["ct"] >= end]
    assert len(late) > 20


def share_seen(category: str, age: int, moment: int) -> float:
    """Share of conversions shown by an age, one conversion and one hazard at a time."""
    minutes = [60 * m for m in (1, 2, 5, 10, 20, 40)]
    edges = [*minutes, *(3600 * h for h in range(1, 73)), 4 * DAY, 5 * DAY]
    known = [r for r in clicks().to_pylist() if r["y"] and r["ct"] < to_day(AS_OF) * DAY]
    bins = [sum(edge <= r["ct"] - r["t"] for edge in edges) for r in known]
    grid = [0.0]
    for upto in range(len(edges)):
        share = 1.0
        for later in range(upto + 1, len(edges)):
            reach = -(-edges[later] // DAY)
            old = [
                (r, b)
                for r, b in zip(known, bins, strict=True)
                if r["t"] // DAY + reach < moment // DAY and b <= later
            ]
            own = [b for r, b in old if r["goal"] == category]
            guess = 1 - (edges[later - 1] / edges[later]) ** 0.25
            overall = (sum(b == later for _, b in old) + guess) / (len(old) + 1)
            share *= 1 - (own.count(later) + 20 * overall) / (len(own) + 20)
        grid.append(share)
    return max(0.001, float(np.interp(age, [0, *edges], grid)))


def test_what_had_been_observed_when(result: Labelled) -> None:
    """Labels and completeness at the start of the eval period and of the as-of day."""
    judged, end = (to_day(FIRST) + 27) * DAY, to_day(AS_OF) * DAY
    looked_at = 0
    for split in SPLITS:
        for i, e in enumerate(result.examples(split)):
            before = split in ("train", "calibration")
            seen = e["y"] == 1 and (not before or e["ct"] < judged)
            assert e["judged_label"] == seen
            young = [m - e["t"] < 5 * DAY for m in (judged, end)]
            if not before or not young[0]:
                assert e["judged_completeness"] == 1
            if not young[1]:
                assert e["completeness"] == 1
            if i % 40 or not (young[1] or (before and young[0])):
                continue
            looked_at += 1
            name, moment = ("judged_completeness", judged) if before else ("completeness", end)
            wanted = share_seen(e["goal"], moment - e["t"], moment)
            assert e[name] == pytest.approx(wanted, rel=1e-5)
    assert looked_at > 15


def test_a_gap_of_the_window_makes_every_label_final(tmp_path: Path) -> None:
    made = label(tmp_path, clicks(), splits=PERIODS.model_copy(update={"gap_days": 5}))
    for split in ("train", "calibration"):
        for e in made.examples(split):
            assert (e["judged_label"], e["judged_completeness"]) == (e["y"], 1)
    assert made.json("splits.json")["calibration"]["last_day"] == "2024-03-22"


def test_a_recent_period_without_clicks_is_empty(tmp_path: Path) -> None:
    early = clicks().filter(pc.less(clicks().column("t"), (to_day(FIRST) + 35) * DAY))
    made = label(tmp_path, early)
    assert made.examples("recent") == []
    (file,) = (made.folder / "columns-recent").iterdir()
    other = next(iter((made.folder / "columns-eval").iterdir()))
    assert pq.read_table(file).num_rows == 0
    assert pq.read_schema(file).names == pq.read_schema(other).names
    assert made.json("splits.json")["recent"]["newest_click_day"] is None


def test_fields_follow_the_history(result: Labelled) -> None:
    history = {(r["setup_id"], r["day"]): r for r in result.table("history.parquet")}
    examples = result.examples("eval")
    for e in examples:
        row = history[f"{e['shop']}|{e['goal']}", e["t"] // DAY]
        assert e["setup_id"] == row["setup_id"]
        assert e["task"] == ("hard" if row["hard"] else "soft")
        assert e["routed_to"] == ("hard" if row["online_hard"] else "soft")
        assert (e["task_weight_hard"], e["task_weight_soft"]) == (row["hard"], not row["hard"])
        assert e["historical_cvr"] == np.float32(row["historical_cvr"])
        assert e["setup_category"] == e["goal"]
        assert e["setup_advertiser_type"] == ""
        assert e["setup_history"] == ("new" if row["observed_clicks"] < 10 else "known")
        between = 0.09 < row["historical_cvr"] <= 0.1
        assert e["threshold_band"] == ("between" if between else "outside")
    assert {(e["goal"], e["task"]) for e in examples} == {("buy", "hard"), ("visit", "soft")}
    assert any(e["setup_history"] == "new" for e in examples)


def test_columns_are_the_records_in_their_order(result: Labelled) -> None:
    for split in SPLITS:
        of_files = sorted((result.folder / f"columns-{split}").iterdir())
        rows = [row for path in of_files for row in pq.read_table(path).to_pylist()]
        values = [{k: v[0] for k, v in row.items() if v is not None} for row in rows]
        text = [
            {k: v.decode() if isinstance(v, bytes) else v for k, v in row.items()} for row in values
        ]
        assert text == result.examples(split)


def test_records_parse_with_tensorflow(result: Labelled) -> None:
    """The appended bytes merge into one message for TensorFlow's own parser too."""
    records = result.records("eval")
    spec = {
        "t": tf.io.FixedLenFeature([], tf.int64),
        "shop": tf.io.FixedLenFeature([], tf.string),
        "task": tf.io.FixedLenFeature([], tf.string),
        "historical_cvr": tf.io.FixedLenFeature([], tf.float32),
    }
    parsed = tf.io.parse_example(records, spec)
    for i in (0, len(records) - 1):
        assert parsed["task"][i].numpy().decode() == plain(records[i])["task"]
        assert parsed["t"][i].numpy() == plain(records[i])["t"]


def test_columns_beside_the_shards_change_nothing(tmp_path: Path) -> None:
    """Five days a shard; those of the first five days are outside every period, and their records
    are not even opened."""
    splits = PERIODS.model_copy(update={"warmup_days": 5})
    wanted_of = label(tmp_path / "wanted", clicks(), splits=splits)
    by_time = pa.Table.from_batches([clicks()]).sort_by("t").combine_chunks().to_batches()[0]
    day = by_time.column("t").to_numpy() // DAY - to_day(FIRST)
    edges = np.searchsorted(day, np.arange(0, 45, 5))
    files = []
    for i, (first, last) in enumerate(pairwise(edges.tolist())):
        part = by_time.slice(first, last - first)
        writer = ShardWriter(str(tmp_path / "log" / "Split-log"), i, len(edges) - 1)
        writer.write(Encoder().encode(part))
        writer.close()
        beside = ColumnWriter(writer.path, CONTRACT)
        beside.write(part)
        beside.close()
        files.append(writer.path)
    Path(files[0]).write_bytes(b"damaged")
    made = label_files(tmp_path, files, splits=splits)
    assert made.json("splits.json") == wanted_of.json("splits.json")
    for split in SPLITS:
        found, wanted = (sorted(map(content, m.examples(split))) for m in (made, wanted_of))
        assert found == wanted
    Path(files[-1]).write_bytes(b"damaged")
    with pytest.raises(InputError, match="the gzip stream is cut short"):
        label_files(tmp_path / "again", files, splits=splits)


def test_routing_uses_the_lower_threshold(tmp_path: Path) -> None:
    """A CVR between the two thresholds trains as hard and is routed as soft."""
    n = 400
    day = np.repeat(np.arange(40), n // 40)
    t = to_day(FIRST) * DAY + day * DAY + 5
    y = np.arange(n) % 10 == 0
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(t),
            pa.array(y.astype(np.int64)),
            pa.array(np.where(y, t + 1, -1)),
            pa.array(["s"] * n),
            pa.array(["buy"] * n),
        ],
        ["t", "y", "ct", "shop", "goal"],
    )
    # One click in ten converts on every day, at once, and the prior says little more.
    options = LABELLING.model_copy(update={"delay": "naive", "band": 0.0, "alpha": 0.11})
    made = label(tmp_path, batch, options, shards=1)
    assert {e["task"] for e in made.examples("eval")} == {"hard"}
    assert {e["threshold_band"] for e in made.examples("eval")} == {"between"}
    assert {e["routed_to"] for e in made.examples("eval")} == {"soft"}
    assert [r["task"] for r in made.table("routing.parquet")] == ["soft"]


def test_runs_cover_the_history(result: Labelled) -> None:
    history = result.table("history.parquet")
    runs = result.table("assignments.parquet")
    for row in history:
        day = date(1970, 1, 1) + timedelta(days=row["day"])
        covering = [
            r
            for r in runs
            if r["setup_id"] == row["setup_id"] and r["first_day"] <= day <= r["last_day"]
        ]
        assert [r["task"] for r in covering] == ["hard" if row["hard"] else "soft"]


def test_totals_agree_with_the_history(result: Labelled) -> None:
    stability = result.json("stability.json")
    history = result.table("history.parquet")
    assert stability["clicks"] == 4000 == sum(r["clicks"] for r in history)
    assert stability["setups"] == 6 == len({r["setup_id"] for r in history})
    assert sum(stability["reasons"].values()) == 4000
    for day in stability["days"]:
        number = (date.fromisoformat(day["day"]) - date(1970, 1, 1)).days
        hard = sum(r["clicks"] for r in history if r["day"] == number and r["hard"])
        assert day["hard_clicks"] == hard


def test_hard_examples_of_setups_that_were_soft_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For its first ten days, shop `a`'s visits do not convert; from then on 40 % do. While they
    make up half of what is known of visits, those of `b` pass for hard too."""
    caplog.set_level("WARNING", logger="hardtower")
    batch = clicks()
    late = pc.and_(pc.equal(batch.column("shop"), "a"), pc.equal(batch.column("goal"), "visit"))
    late = pc.and_(late, pc.less(batch.column("t"), (to_day(FIRST) + 10) * DAY))
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["y"] = pc.if_else(late, 0, columns["y"])
    columns["ct"] = pc.if_else(late, -1, columns["ct"])
    made = label(tmp_path, pa.RecordBatch.from_pydict(columns))
    trained = [e for split in SPLITS for e in made.examples(split) if e["task"] == "hard"]
    doubtful = [e for e in trained if e["goal"] == "visit"]
    assert len(doubtful) > 300
    found = made.json("stability.json")["doubtful_hard"]
    assert found == {"examples": len(doubtful), "setups": 2, "hard_examples": len(trained)}
    (said,) = [m for m in caplog.messages if "before they had shown it" in m]
    assert f"{len(doubtful):,} of {len(trained):,} hard examples" in said


ESTIMATED = LABELLING.model_copy(
    update={
        "prior_clicks": "estimate",
        "prior_min_setups": 1,
        "decide_by": "probability",
        "min_probability": 0.6,
    }
)
FILES = ("history.parquet", "assignments.parquet", "routing.parquet", "routing.arrow")


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    return label(tmp_path_factory.mktemp("estimated"), clicks(), ESTIMATED)


@pytest.mark.parametrize(("given", "shards"), [("result", 7), ("estimated", 1)])
def test_order_and_partition_change_no_byte(
    given: str, shards: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The same clicks in another order and in other shards, through both Beam passes."""
    wanted: Labelled = request.getfixturevalue(given)
    batch = clicks()
    order = np.random.default_rng(shards).permutation(batch.num_rows)
    shuffled = pa.Table.from_batches([batch]).take(pa.array(order)).combine_chunks()
    options = {"result": LABELLING, "estimated": ESTIMATED}[given]
    other = label(tmp_path, shuffled.to_batches()[0], options, shards=shards)
    assert other.identity == wanted.identity
    for name in (*FILES, "settings.json", "stability.json", "splits.json"):
        left, right = (made.folder / "assignments" / name for made in (other, wanted))
        assert left.read_bytes() == right.read_bytes(), name
    for split in SPLITS:
        made = [sorted(map(content, m.examples(split))) for m in (other, wanted)]
        assert made[0] == made[1]


def test_the_number_of_buckets_changes_no_assignment(estimated: Labelled, tmp_path: Path) -> None:
    options = ESTIMATED.model_copy(update={"buckets": 1})
    other = label(tmp_path, clicks(), options)
    assert other.table("history.parquet") == estimated.table("history.parquet")
    assert other.json("stability.json") == estimated.json("stability.json")


def test_strength_is_estimated_from_all_buckets(estimated: Labelled) -> None:
    """The Beam passes agree with one process."""
    rows = clicks().to_pydict()
    counts = merge_counts(
        [
            count_clicks(
                pa.array([f"{s}|{g}" for s, g in zip(rows["shop"], rows["goal"], strict=True)]),
                pa.array(rows["goal"]),
                pa.array([""] * len(rows["t"])),
                np.array(rows["t"]),
                np.array(rows["ct"]),
            )
        ]
    )
    calendar = Calendar(to_day(FIRST), to_day(AS_OF))
    history, totals = assign_log(counts, calendar, 5, ESTIMATED)
    assert history.to_pylist() == estimated.table("history.parquet")
    stability = estimated.json("stability.json")
    assert {k: stability[k] for k in totals.counts if k in stability} == {
        k: v for k, v in totals.counts.items() if k in stability
    }
    assert set(stability["prior_clicks"]) == {"buy", "visit"}
    assert all(strength != 200 for strength in stability["prior_clicks"].values())


def test_both_joins_give_the_same_records(
    tmp_path: Path, result: Labelled, caplog: pytest.LogCaptureFixture
) -> None:
    """A history of one row too many goes to the shards by key."""
    caplog.set_level("INFO", logger="hardtower")
    rows = len(result.table("history.parquet"))
    by_key, broadcast = (
        label(tmp_path / name, clicks(), LABELLING.model_copy(update={"broadcast_rows": limit}))
        for name, limit in (("key", rows - 1), ("broadcast", rows))
    )
    joins = [m.rsplit(" ", 1)[1] for m in caplog.messages if "joined to clicks by" in m]
    assert joins == ["key", "broadcast"]
    assert f"TaskLabeler: {rows:,} assignments, joined to clicks by key" in caplog.messages
    assert by_key.json("splits.json") == broadcast.json("splits.json")
    for split in SPLITS:
        left, right = (shard_files(str(m.folder / f"Split-{split}")) for m in (by_key, broadcast))
        assert [Path(path).name for path in left] == [Path(path).name for path in right]
        for path, other in zip(left, right, strict=True):
            assert read_all(path) == read_all(other)


def test_a_pin_reaches_labels_and_router(tmp_path: Path) -> None:
    """The pin ends before the eval period; a pinned setup without clicks is routed too."""
    ends = FIRST + timedelta(days=25)
    review = {"reviewed_by": "j.doe", "reason": "refund goal"}
    pins = (
        Pin(setup="a|visit", side="hard", expires=ends, **review),
        Pin(setup="b|buy", side="soft", since=ends, expires=AS_OF + timedelta(days=1), **review),
        Pin(setup="z|buy", side="soft", expires=AS_OF + timedelta(days=1), **review),
        Pin(setup="y|buy", side="soft", expires=AS_OF, **review),
    )
    made = label(tmp_path, clicks(), LABELLING.model_copy(update={"pins": pins}))

    def tasks(split: str, shop: str, goal: str) -> set[tuple[str, str]]:
        chosen = [e for e in made.examples(split) if (e["shop"], e["goal"]) == (shop, goal)]
        return {(e["task"], e["task_reason"]) for e in chosen}

    assert tasks("train", "a", "visit") == {("hard", "pinned")}
    assert tasks("eval", "a", "visit") == {("soft", "history")}
    assert "pinned" not in {why for _, why in tasks("train", "b", "buy")}
    assert tasks("eval", "b", "buy") == {("soft", "pinned")}
    routing = {r["setup_id"]: (r["task"], r["reason"]) for r in made.table("routing.parquet")}
    assert routing["b|buy"] == routing["z|buy"] == ("soft", "pinned")
    assert "y|buy" not in routing


def test_the_pushed_form_is_the_routing_table(result: Labelled, tmp_path: Path) -> None:
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    for name, source in (("routing.arrow",) * 2, ("routing.json", "settings.json")):
        shutil.copy(result.folder / "assignments" / source, extra / name)
    table = RoutingTable.load(tmp_path)
    rows = result.table("routing.parquet")
    got = table.route([r["setup_id"] for r in rows])
    assert got.task.tolist() == [r["task"] for r in rows]
    assert got.reason.tolist() == [r["reason"] for r in rows]
    assert got.cvr.tolist() == [r["historical_cvr"] for r in rows]
    assert table.assignment_id == result.identity
    assert table.settings.setup == ("shop", "goal")
    unknown = table.route(["x|buy", "x|visit", "x|x"], ["buy", "visit", None], ["", "new", None])
    assert unknown.task.tolist() == ["hard", "soft", "soft"]
    alone = table.route(["x|buy", "x|visit", "x|x"])
    assert alone.task.tolist() == unknown.task.tolist()
    assert alone.reason.tolist() == ["unknown", "unknown", "unknown_category"]


def test_the_id_follows_the_settings(result: Labelled, tmp_path: Path) -> None:
    changed = LABELLING.model_copy(update={"band": 0.2})
    assert label(tmp_path, clicks(), changed).identity != result.identity


@pytest.mark.parametrize(
    ("policy", "routed", "rule"),
    [("hard", "hard", "hard"), ("soft", "soft", "soft"), ("fallback", "fallback", "fallback")],
)
def test_cold_start_policies_reach_the_router(
    tmp_path: Path, policy: str, routed: str, rule: str
) -> None:
    """A shop whose only click is of the last day has shown nothing yet by the as-of day."""
    t = (to_day(AS_OF) - 1) * DAY
    late = pa.RecordBatch.from_arrays(
        [pa.array([t]), pa.array([0]), pa.array([-1]), pa.array(["z"]), pa.array(["buy"])],
        ["t", "y", "ct", "shop", "goal"],
    )
    whole = pa.Table.from_batches([clicks(), late]).combine_chunks().to_batches()[0]
    options = LABELLING.model_copy(update={"cold_start": policy, "delay": "mature"})
    made = label(tmp_path, whole, options)
    row = next(r for r in made.table("routing.parquet") if r["setup_id"] == "z|buy")
    assert (row["task"], row["reason"]) == (routed, "cold_start")
    assert [u["task"] for u in made.json("settings.json")["unknown_setups"]] == [rule]
    begins = (to_day(FIRST) + 28) * DAY
    new = [e for e in made.examples("eval") if e["shop"] == "n" and e["t"] < begins]
    assert {e["routed_to"] for e in new} == {routed}


def test_unknown_setups_go_by_their_category(result: Labelled) -> None:
    rules = result.json("settings.json")["unknown_setups"]
    tasks = {rule["category"]: rule["task"] for rule in rules}
    assert tasks["buy"] == "hard"
    assert tasks["visit"] == "soft"
    assert rules[-1]["category"] is None


def test_a_short_log_is_refused(tmp_path: Path) -> None:
    long = PERIODS.model_copy(update={"eval_days": 30})
    with pytest.raises(InputError, match=r"no day is left to train on.*2024-03-01.*eval_days 30"):
        label(tmp_path, clicks(), splits=long)


def test_a_period_without_hard_examples_is_refused(tmp_path: Path) -> None:
    low = LABELLING.model_copy(update={"alpha": 1e-6})
    with pytest.raises(InputError, match=r"train period .* has no hard example.*alpha 1e-06"):
        label(tmp_path, clicks(), low)


def test_no_clicks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no click before 2024-04-10"):
        label(tmp_path, clicks().slice(0, 0))


def test_unchecked_rows_are_checked(tmp_path: Path) -> None:
    batch = clicks().slice(0, 5)
    labels = pa.array([0, 0, 3, 0, 0])
    bad = pa.RecordBatch.from_arrays(
        [batch.column(0), labels, *batch.columns[2:]], batch.schema.names
    )
    files = write_shards(tmp_path / "in", bad, 1)
    with pytest.raises(InputError, match="column y: 1 row against a rule; wanted 0 or 1"):
        refuse_faults(files, CONTRACT)


@pytest.mark.parametrize(
    ("edges", "wanted"),
    [((0.01,), ["<=1%", ">1%"]), ((0.001, 0.1), ["<=0.1%", "0.1%-10%", ">10%"]), ((), ["all"])],
)
def test_bucket_names(edges: tuple[float, ...], wanted: list[str]) -> None:
    assert bucket_names(edges) == wanted
