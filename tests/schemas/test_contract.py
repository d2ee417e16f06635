"""What a contract adds of its own, and what it refuses."""

from __future__ import annotations

import encodings.aliases
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from pydantic import ValidationError

from schemas.checked import checked
from schemas.contract import (
    SCHEMA_DIR,
    SETUP_BUCKETS,
    Categorical,
    Contract,
    CsvFormat,
    Numeric,
    load_contract,
)
from schemas.errors import InputError

CONTRACT: dict[str, Any] = {
    "name": "mine",
    "description": "clicks",
    "input": {"format": "csv", "pattern": "log.csv"},
    "attribution_window_days": 7,
    "roles": {"timestamp": "t", "label": "y", "setup": ["shop", "goal"]},
    "features": {
        "categorical": [{"name": "goal", "vocabulary": 5, "width": 2}],
        "numeric": [{"name": "price"}],
    },
}


def contract(**changes: Any) -> Contract:
    return checked(Contract, CONTRACT | changes, "contract")


def test_the_setup_is_a_feature_where_it_is_not_listed() -> None:
    features = contract().features
    assert features.categorical == (
        Categorical(name="goal", vocabulary=5, width=2),
        Categorical(name="shop", buckets=SETUP_BUCKETS),
    )
    assert features.numeric == (
        Numeric(name="price"),
        Numeric(name="historical_cvr", transform="log"),
    )


def test_the_setup_alone_is_features_enough() -> None:
    assert contract(features={}).features.names == ("shop", "goal", "historical_cvr")


def test_a_contract_may_say_no() -> None:
    features = CONTRACT["features"] | {"of_setup": False}
    assert contract(features=features).features.names == ("goal", "price")


def test_a_contract_that_was_read_once_is_read_again_as_the_same() -> None:
    once = contract()
    assert checked(Contract, once.model_dump(), "contract") == once
    assert Contract.model_validate_json(once.model_dump_json()) == once


@pytest.mark.parametrize("path", sorted(SCHEMA_DIR.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_contracts_have_the_features_that_they_list(path: Path) -> None:
    """Their configs' figures were measured with these."""
    listed = yaml.safe_load(path.read_text())["features"]
    names = [f["name"] for kind in ("categorical", "numeric") for f in listed.get(kind, ())]
    assert [*load_contract(path.stem).features.names] == names


def test_a_zone_is_one_that_is_known() -> None:
    assert contract(timestamp_zone="Europe/Berlin").timestamp_zone == "Europe/Berlin"
    odd = ("localtime", "Factory", "posix/Europe/Berlin", "right/UTC", "posixrules", "tzdata.zi")
    for zone in ("Europe/Bärlin", "../etc/passwd", "", *odd):
        with pytest.raises(InputError, match="timestamp_zone: no such time zone"):
            contract(timestamp_zone=zone)


def test_every_zone_that_is_taken_localises() -> None:
    times = pa.array([1_700_000_000], pa.timestamp("s"))
    for zone in available_timezones():
        try:
            contract(timestamp_zone=zone)
        except InputError:
            continue
        pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent="latest")


@pytest.mark.parametrize(
    "encoding",
    [
        *("cp125", "hex", "a\0b", "rot13", "undefined"),
        *("punycode", "idna", "utf-7", "unicode_escape", "raw_unicode_escape", "hz"),
    ],
)
def test_an_encoding_is_one_of_text(encoding: str) -> None:
    form = {"format": "csv", "pattern": "*"}
    read = contract(input=form | {"csv": {"encoding": "UTF8"}})
    assert read.input.csv.encoding == "utf-8"
    for common in ("ascii", "latin-1", "cp1252", "utf-8-sig", "utf-16", "utf-32-le", "gb18030"):
        contract(input=form | {"csv": {"encoding": common}})
    with pytest.raises(InputError, match=r"csv\.encoding: no such encoding of text"):
        contract(input=form | {"csv": {"encoding": encoding}})


def test_every_encoding_that_is_taken_gives_its_lines_back() -> None:
    line = 'a,b;c\td|"e\\u0041 +AEE- ~{~}",2026-01-31T12:00:00\r\n'
    taken = 0
    for encoding in {*encodings.aliases.aliases.values()}:
        try:
            CsvFormat(encoding=encoding)
        except ValidationError:
            continue
        raw = pa.BufferReader(line.encode(encoding))
        assert pa.transcoding_input_stream(raw, encoding, "utf-8").read() == line.encode(), encoding
        taken += 1
    assert taken > 50


def test_a_query_says_what_labels_mean() -> None:
    query = {"format": "bigquery", "query": "select 1"}
    with pytest.raises(InputError, match="wanted a query that gives labels of 0 and 1"):
        contract(input=query, positive_labels=["yes"])


@pytest.mark.parametrize(
    ("roles", "days", "ripen"),
    [
        ({}, 7, False),
        ({"conversion_timestamp": "c"}, 7, True),
        ({"conversion_timestamp": "c"}, 0, False),
    ],
)
def test_labels_ripen_where_the_log_tells_when(
    roles: dict[str, str], days: int, ripen: bool
) -> None:
    made = contract(roles=CONTRACT["roles"] | roles, attribution_window_days=days)
    assert made.labels_ripen is ripen


def simulator(**roles: Any) -> Contract:
    form = load_contract("simulator").model_dump()
    form["roles"] |= roles
    return Contract.model_validate(form)


def test_the_contract_itself_is_sound() -> None:
    assert simulator() == load_contract("simulator")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"setup": ["goal", "goal"]}, "roles.setup: listed twice: goal"),
        ({"label": "t", "timestamp": "t"}, "t is more than one of timestamp, label"),
        ({"conversion_timestamp": "t", "timestamp": "t"}, "t is more than one of timestamp"),
        ({"label": "paid", "spend": "paid"}, "paid is more than one of timestamp, label"),
        ({"label": "goal", "setup": ["shop", "goal"]}, "goal is part of the setup"),
        ({"label": "x", "conversion_category": "x"}, "x is part of the setup or its context"),
        ({"spend": "x", "advertiser_type": "x"}, "x is part of the setup or its context"),
        ({"setup": ["shop", "go\nal"]}, "String should match pattern"),
        ({"label": "\0"}, "String should match pattern"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(roles: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulator(**roles)
