"""Trainings that start from a real exported model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from common.versions.reference import JUDGED_FIT
from components.task_labeler.calendar import split_periods
from components.task_labeler.settings import SplitSettings
from components.trainer.export.export import export_serving
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ModelSettings, TrainingSettings, WideSettings
from components.trainer.warm.start_weights import SavedVariables, name_of, write_start
from components.trainer.warm.warm_start import Start, choose_start
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from components.transform.vocabulary_file import read_vocabularies
from schemas.contract import Contract

Rows = list[dict[str, Any]]
ALONE = WideSettings(enabled=False)
MODEL = ModelSettings(cross_layers=1, hidden_units=(4,), shared_layers=1, wide=ALONE)
AS_OF = "2024-03-20"
# The window is 3 days and the eval period 10: it begins on 2024-03-07.
EVAL_DAYS = 10


def network_of(contract: Contract, model: ModelSettings, seed: int) -> TwoTowerDCN:
    """Every weight drawn large enough to move each probability."""
    network = TwoTowerDCN(FeatureLayout.from_contract(contract), model, seed)
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        variable.assign(rng.normal(0, 0.08, variable.shape))
    return network


def export(network: TwoTowerDCN, graph_dir: str, contract: Contract, folder: Path) -> None:
    export_serving(network, TransformGraph(graph_dir), contract, str(folder))
    write_start(network, contract, str(folder))


@pytest.fixture(scope="module")
def old(log_contract: Contract) -> dict[str, TwoTowerDCN]:
    one_task = MODEL.model_copy(update={"mode": "one_task"})
    return {m.mode: network_of(log_contract, m, i) for i, m in enumerate((MODEL, one_task), 1)}


@pytest.fixture(scope="module")
def exported(
    old: dict[str, TwoTowerDCN],
    transform_graph_dir: str,
    log_contract: Contract,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What the LastBlessed node hands on: a served version and a note beside it."""
    folder = tmp_path_factory.mktemp("last_blessed")
    version = folder / "Format-Serving"
    export(old["two_tower"], transform_graph_dir, log_contract, version)
    one_task = version / "assets.extra" / "one_task"
    export(old["one_task"], transform_graph_dir, log_contract, one_task)
    days = {"train": {"last_day": "2024-03-02"}, "calibration": {"last_day": "2024-03-06"}}
    manifest = {"data": {"splits": days | {"eval": {"last_day": "2024-03-16"}}}}
    (version / "assets.extra" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "last_blessed.json").write_text(json.dumps({"version": "17", "as_of": AS_OF}))
    return version


@pytest.fixture
def start(exported: Path, log_contract: Contract, transform_graph_dir: str) -> Callable[..., Start]:
    """Chooses how to start, the version fitting unless something is changed."""

    def choose(
        base: Path = exported,
        contract: Contract = log_contract,
        model: ModelSettings = MODEL,
        graph_dir: str = transform_graph_dir,
        eval_days: int = EVAL_DAYS,
        served: bool = False,
        **settings: object,
    ) -> Start:
        training = TrainingSettings.model_validate({"warm_start": "last_blessed"} | settings)
        return choose_start(str(base), contract, model, training, graph_dir, eval_days, served)

    return choose


def begun(start: Start, contract: Contract, model: ModelSettings = MODEL) -> TwoTowerDCN:
    network = TwoTowerDCN(FeatureLayout.from_contract(contract), model, seed=9)
    assert start.initialize is not None
    start.initialize(network)
    return network


def test_each_fit_goes_on_from_its_own_kind(
    start: Callable[..., Start],
    old: dict[str, TwoTowerDCN],
    exported: Path,
    log_contract: Contract,
    transform_graph_dir: str,
    tmp_path: Path,
) -> None:
    """A version holds its judged fit beside the served one. What the latter knew of days that an
    older eval period is of keeps no served fit from going on from it."""
    version = tmp_path / "last_blessed" / "Format-Serving"
    shutil.copytree(exported.parent, version.parent)
    judged = network_of(log_contract, MODEL, seed=3)
    export(judged, transform_graph_dir, log_contract, version / JUDGED_FIT)
    for served, network in ((True, old["two_tower"]), (False, judged)):
        found = begun(start(base=version, served=served), log_contract)
        for new, before in zip(found.variables, network.variables, strict=True):
            np.testing.assert_array_equal(new, before, err_msg=new.name)
    late = EVAL_DAYS + 30
    assert not start(base=version, eval_days=late).record()["warm"]
    assert start(base=version, eval_days=late, served=True).record()["warm"]


@pytest.mark.parametrize("mode", ["two_tower", "one_task"])
def test_unchanged_data_starts_with_the_old_weights_and_predictions(
    mode: str,
    start: Callable[..., Start],
    old: dict[str, TwoTowerDCN],
    exported: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    to_examples: Callable[[Rows], list[bytes]],
) -> None:
    model = old[mode].settings
    found = start(model=model)
    assert found.record() == {
        "warm": True,
        "version": "17",
        "reason": None,
        "vocabulary_rows": {"user type": {"kept": 3, "new": 0}},
    }
    network = begun(found, log_contract, model)
    assert len(network.variables) == len(old[mode].variables)
    for new, before in zip(network.variables, old[mode].variables, strict=True):
        np.testing.assert_array_equal(new, before, err_msg=new.name)

    examples = to_examples(log_rows)
    place = exported if mode == "two_tower" else exported / "assets.extra" / "one_task"
    served = tf.saved_model.load(str(place)).signatures["serving_default"]
    raw = tf.io.parse_example(examples, feature_spec(log_contract))
    packed = TransformGraph(transform_graph_dir)(raw)
    logit = network.tower_logit(network.serving_tower, *packed)
    wanted = served(examples=tf.constant(examples))["probability"]
    assert np.ptp(wanted) > 0.1
    np.testing.assert_array_equal(tf.sigmoid(logit), wanted)


def test_only_what_the_serving_graph_lacks_is_stored_beside_it(exported: Path) -> None:
    served = SavedVariables(str(exported))
    folder = exported / "assets.extra" / "warm_start"
    with np.load(folder / "weights.npz") as arrays:
        assert {name.split("/")[0] for name in arrays.files} == {"soft"}
        assert not any(name in served for name in arrays.files)
    one_task = exported / "assets.extra" / "one_task" / "assets.extra" / "warm_start"
    with np.load(one_task / "weights.npz") as arrays:
        assert arrays.files == []


def test_rows_follow_their_words_into_a_new_vocabulary(
    start: Callable[..., Start],
    old: dict[str, TwoTowerDCN],
    exported: Path,
    log_contract: Contract,
    transform_graph_dir: str,
    tmp_path: Path,
) -> None:
    assert read_vocabularies(str(exported)) == {0: [b"web", b"app"]}
    shutil.copytree(transform_graph_dir, tmp_path / "graph")
    lines = "".join(f"{i}\t{i}\t0\t9\t{w!r}\n" for i, w in enumerate((b"t\tv", b"app", b"web")))
    (tmp_path / "graph" / "transform_fn" / "assets" / "vocabularies").write_text(lines)
    grown = changed(log_contract, "categorical", 1, vocabulary=3)
    found = start(contract=grown, graph_dir=str(tmp_path / "graph"))
    assert found.rows == {"user type": {"kept": 3, "new": 1}}
    network = begun(found, grown)
    fresh = TwoTowerDCN(FeatureLayout.from_contract(grown), MODEL, seed=9)
    values, before, initial = (
        {name_of(v): v.numpy() for v in n.variables} for n in (network, old["two_tower"], fresh)
    )
    table = "shared/embedding/w2"
    web, app, others = before[table]
    np.testing.assert_array_equal(values[table], [initial[table][0], app, web, others])
    for name in values.keys() - {table}:
        np.testing.assert_array_equal(values[name], before[name])


def changed(contract: Contract, kind: str, number: int, **values: object) -> Contract:
    form = contract.model_dump()
    features = list(form["features"][kind])
    features[number] |= values
    form["features"][kind] = features
    return Contract.model_validate(form)


def test_what_does_not_fit_starts_cold_and_says_why(
    start: Callable[..., Start], log_contract: Contract, caplog: pytest.LogCaptureFixture
) -> None:
    wider = changed(log_contract, "categorical", 0, width=5)
    logged = changed(log_contract, "numeric", 0, transform="log1p")
    units = MODEL.model_copy(update={"hidden_units": (5,)})
    no_fit = "version 17 does not fit: "
    with caplog.at_level("INFO", logger="hardtower"):
        for found, reason in (
            (
                start(contract=wider),
                f"{no_fit}features.categorical: advertiser: width was 3, is 5",
            ),
            (
                start(contract=logged),
                f"{no_fit}features.numeric: price: transform was zscore, is log1p",
            ),
            (start(model=units), f"{no_fit}model.hidden_units was [4], is [5]"),
        ):
            assert found.initialize is None
            assert found.record() == {
                "warm": False,
                "version": None,
                "reason": reason,
                "vocabulary_rows": {},
            }
            assert f"starts cold: {reason}" in caplog.text


def test_a_model_that_knows_the_answers_is_no_start(start: Callable[..., Start]) -> None:
    """One day more to judge on, and the old calibration period is part of it."""
    found = start(eval_days=EVAL_DAYS + 1)
    assert found.reason == (
        "version 17 learned from clicks up to 2024-03-06, and this run is judged on clicks from "
        "2024-03-06"
    )
    settings = SplitSettings(eval_days=EVAL_DAYS + 1)
    periods = split_periods(0, date.fromisoformat(AS_OF), 3, settings, ripening=True)
    assert str(periods["eval"]).startswith("2024-03-06 ")


# 2024-03-20 is day 19802 = 2 x 9901.
@pytest.mark.parametrize(("every", "cold"), [(2, True), (9901, True), (7, False), (None, False)])
def test_every_so_many_days_it_starts_cold(
    every: int | None, cold: bool, start: Callable[..., Start]
) -> None:
    found = start(cold_every=every)
    assert (found.version is None) is cold
    reason = f"2024-03-20 is a day of training.cold_every {every}"
    assert found.reason == (reason if cold else None)


def test_nothing_to_start_from(start: Callable[..., Start], exported: Path, tmp_path: Path) -> None:
    assert start(warm_start="off").reason == "training.warm_start is off"
    note = tmp_path / "last_blessed.json"
    note.write_text(json.dumps({"version": "", "as_of": AS_OF}))
    nowhere = tmp_path / "Format-Serving"
    assert start(base=nowhere).reason == "no model has been blessed yet"
    note.write_text(json.dumps({"version": "3", "as_of": AS_OF}))
    shutil.copytree(exported, nowhere, ignore=shutil.ignore_patterns("warm_start"))
    assert start(base=nowhere).reason == "version 3 carries no weights to start from"
    (nowhere / "assets.extra" / "manifest.json").unlink()
    assert start(base=nowhere).reason == "version 3 has no manifest that says what it learned from"
