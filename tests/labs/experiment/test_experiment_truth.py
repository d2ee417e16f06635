"""True probabilities joined to examples, against the click numbers that examples do not carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labs.experiment.trainings.truth import has_truth, join_truth, true_sides, true_types
from labs.simulator.settings import parse_settings
from labs.simulator.simulate import simulate
from schemas.errors import InputError
from schemas.setup_id import setup_ids

SETTINGS = {
    "clicks": 20_000,
    "days": 2,
    "size": {"advertisers": 3, "campaigns_per_advertiser": 1.0, "users": 50},
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sim") / "log"
    simulate(parse_settings(SETTINGS), folder)
    return folder


def days(log: Path, name: str) -> pa.Table:
    files = sorted((log / name).glob("*/part-*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


@pytest.fixture(scope="module")
def examples(log: Path) -> tuple[pa.Table, np.ndarray]:
    """Facts in another order of setups, each setup's clicks in the log's; click numbers."""
    clicks = days(log, "clicks")
    setup = setup_ids([clicks[c].combine_chunks() for c in ("campaign_id", "conversion_goal")])
    order = np.argsort([s[::-1] for s in setup.to_pylist()], kind="stable")
    facts = pa.table(
        {
            "setup_id": setup.take(pa.array(order)).dictionary_encode(),
            "click_time": clicks["timestamp"].take(pa.array(order)),
            "label": clicks["label"].take(pa.array(order)),
        }
    )
    return facts, clicks["click_id"].to_numpy()[order]


def test_each_example_gets_the_probability_of_its_click(
    log: Path, examples: tuple[pa.Table, np.ndarray]
) -> None:
    facts, click_id = examples
    seconds, label = facts["click_time"].to_numpy(), facts["label"].to_pylist()
    ties = len(facts) - len({*zip(facts["setup_id"].to_pylist(), seconds, label, strict=True)})
    assert ties > 50, "clicks that setup, second and label do not tell apart"
    truth = days(log, "truth")
    known = dict(zip(truth["click_id"].to_pylist(), truth["probability"].to_pylist(), strict=True))
    found = join_truth(log, facts)
    assert found.probability.tolist() == [known[c] for c in click_id.tolist()]
    assert found.label.tolist() == label


def test_labels_to_come_tell_no_clicks_apart(
    log: Path, examples: tuple[pa.Table, np.ndarray]
) -> None:
    """Nothing had been observed yet: the order in the log does."""
    facts, _ = examples
    nothing = pa.array(np.zeros(len(facts), np.int64))
    unseen = facts.set_column(facts.schema.get_field_index("label"), "label", nothing)
    found, whole = join_truth(log, unseen, mature=False), join_truth(log, facts)
    assert found.probability.tolist() == whole.probability.tolist()
    assert found.label.tolist() == facts["label"].to_pylist()
    with pytest.raises(InputError, match="are not those of"):
        join_truth(log, unseen)


def test_examples_of_another_log_are_refused(
    log: Path, examples: tuple[pa.Table, np.ndarray]
) -> None:
    facts, _ = examples
    label = facts["label"].to_numpy().copy()
    label[0] = 1 - label[0]
    wrong = facts.set_column(facts.schema.get_field_index("label"), "label", pa.array(label))
    with pytest.raises(InputError, match="are not those of the 20,000 examples"):
        join_truth(log, wrong)
    with pytest.raises(InputError, match="are not those of the 19,999 examples"):
        join_truth(log, facts.slice(1))


def test_true_sides(log: Path, examples: tuple[pa.Table, np.ndarray]) -> None:
    facts, _ = examples
    setups = pq.read_table(log / "truth" / "setups.parquet")
    cvr = {(row["setup_id"], row["date"].toordinal()): row["cvr"] for row in setups.to_pylist()}
    epoch = 719_163
    day = facts["click_time"].to_numpy() // 86_400 + epoch
    wanted = [cvr[s, d] <= 0.02 for s, d in zip(facts["setup_id"].to_pylist(), day, strict=True)]
    assert 0 < sum(wanted) < len(wanted)
    assert true_sides(log, facts, 0.02).tolist() == wanted


def test_true_types(log: Path) -> None:
    setups = pq.read_table(log / "truth" / "setups.parquet")
    found = true_types(log)
    assert set(found) == set(setups["setup_id"].to_pylist())
    assert set(found.values()) == set(setups["true_type"].to_pylist())


def test_a_log_without_truth(tmp_path: Path) -> None:
    assert not has_truth(tmp_path)
