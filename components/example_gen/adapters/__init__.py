"""Adapters: published click logs as sources with contract columns.

Each adapter's module says where its log comes from, which files it reads, what a row becomes and
what the log cannot tell. Every adapter has a contract of the same name in `schemas/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from components.example_gen.adapters.ali_ccp import AliCcp
from components.example_gen.adapters.base import Opening, Selected
from components.example_gen.adapters.criteo_attribution import CriteoAttribution
from components.example_gen.adapters.criteo_private_ad import CriteoPrivateAd
from components.example_gen.adapters.criteo_search import CriteoSearch
from components.example_gen.adapters.journey.adapter import CompleteJourney
from components.example_gen.adapters.retailrocket.adapter import RetailRocket
from components.example_gen.readers.source import Source, Window
from schemas.contract import Contract, load_contract
from schemas.errors import InputError

__all__ = ["ADAPTERS", "open_adapter"]

ADAPTERS: Mapping[str, Callable[[Opening], Source]] = MappingProxyType(
    {
        "ali_ccp": AliCcp,
        "complete_journey": CompleteJourney,
        "criteo_attribution": CriteoAttribution,
        "criteo_private_ad": CriteoPrivateAd,
        "criteo_search": CriteoSearch,
        "retailrocket": RetailRocket,
    }
)


def open_adapter(
    name: str,
    root: Path,
    window: Window,
    options: Mapping[str, Any],
    contract: Contract | None = None,
) -> Source:
    """Opens a published log; its batches hold the contract's columns, times in seconds.

    Args:
      name: one of `ADAPTERS`.
      root: the folder with the log's files.
      window: days of clicks that are wanted.
      options: the adapter's settings.
      contract: gives the columns and the attribution window; the shipped one when omitted.

    Raises:
      InputError: no such adapter, a bad option, a missing package, or a contract in other units.
    """
    if name not in ADAPTERS:
        raise InputError(
            f"contract: input.adapter: {name!r}; wanted one of: {', '.join(sorted(ADAPTERS))}"
        )
    contract = contract or load_contract(name)
    if contract.timestamp_unit != "s":
        raise InputError(
            f"contract {contract.name}: timestamp_unit: {contract.timestamp_unit!r}; "
            "wanted 's', the unit of every adapter"
        )
    source = ADAPTERS[name](Opening(root, window, options, contract))
    return Selected(source, contract.log_columns, name)
