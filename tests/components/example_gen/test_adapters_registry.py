"""The registry, the options, and the contracts that ship with the adapters."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from components.example_gen.adapters import ADAPTERS, open_adapter
from components.example_gen.readers.source import Window
from schemas.contract import load_contract, parse_contract
from schemas.errors import InputError

WINDOW = Window(date(2017, 1, 1), date(2017, 2, 1))


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_has_a_contract(name: str) -> None:
    contract = load_contract(name)
    assert contract.name == name
    assert contract.input.adapter == name
    assert contract.licence
    assert contract.provenance
    assert not set(contract.leaks) & set(contract.log_columns)


def test_unknown_adapter_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'criteo'; wanted one of: ali_ccp, complete_journey"):
        open_adapter("criteo", Path(), WINDOW, {})


@pytest.mark.parametrize("name", ["ali_ccp", "criteo_attribution", "criteo_search", "retailrocket"])
def test_unknown_option_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"contract {name}: input\.options: spede: unknown key"):
        open_adapter(name, tmp_path, WINDOW, {"spede": 3})


def test_bad_option_value_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"epoch: .*seen: 'yesterday'.*wanted: epoch"):
        open_adapter("criteo_search", tmp_path, WINDOW, {"epoch": "yesterday"})


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ali_ccp", "sample_skeleton_train.csv"),
        ("criteo_attribution", "criteo_attribution_dataset.tsv.gz"),
        ("criteo_search", "CriteoSearchData"),
        ("retailrocket", "events.csv"),
        ("criteo_private_ad", "day_int=1"),
    ],
)
def test_missing_file_is_named(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=file):
        open_adapter(name, tmp_path, WINDOW, {}).shards()


def test_contract_in_milliseconds_is_refused(tmp_path: Path) -> None:
    contract = load_contract("retailrocket").model_copy(update={"timestamp_unit": "ms"})
    with pytest.raises(InputError, match="timestamp_unit: 'ms'; wanted 's'"):
        open_adapter("retailrocket", tmp_path, WINDOW, {}, contract)


def test_column_that_the_adapter_does_not_make(tmp_path: Path) -> None:
    contract = parse_contract(
        """
        {name: mine, description: d, attribution_window_days: 30,
         input: {format: adapter, adapter: criteo_search},
         roles: {timestamp: timestamp, label: label, setup: [shop]},
         features: {categorical: [{name: user_id, buckets: 8}]}}
        """
    )
    (tmp_path / "CriteoSearchData").write_text("\t".join(["0"] * 23) + "\n")
    source = open_adapter("criteo_search", tmp_path, WINDOW, {}, contract)
    with pytest.raises(InputError, match="adapter criteo_search: no column 'shop'; wanted one of"):
        list(source.read(source.shards()[0]))
