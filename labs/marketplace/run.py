"""The marketplace over a simulated log, from folders to files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from common.files.atomic import write_files
from common.files.local import finite
from common.statistics.sums import Sums
from labs.marketplace.market import VARIANTS, Market, run_market
from labs.marketplace.scorers import make_scorer
from labs.marketplace.settings import MarketSettings
from labs.simulator.settings import parse_settings
from labs.simulator.simulate import RECORD
from labs.simulator.world.world import World, build_world
from schemas import strict_json
from schemas.errors import InputError

OUTCOME, SUMMARY = "outcome.parquet", "marketplace.json"


def read_world(log: Path) -> World:
    """The world that a simulated log was drawn from, drawn again from its settings.

    Raises:
      InputError: the folder holds no simulated log.
    """
    record = log / RECORD
    if not record.is_file():
        raise InputError(
            f"marketplace: no file {record}; wanted the folder of a log that `hardtower simulate` "
            "wrote"
        )
    try:
        settings = strict_json.load(record.read_bytes())["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record}: not a simulation's record; wanted its settings") from error
    return build_world(parse_settings(settings, str(record)))


def marketplace(
    log: Path,
    variants: tuple[str, str],
    out: Path,
    settings: MarketSettings,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs two scorers against each other and writes

        outcome.parquet     what `hardtower ab-report` reads
        marketplace.json    settings, scorers, and how well each predicts

    Args:
      log: folder of the simulated log.
      variants: what control and variant bid by, see `make_scorer`.
      out: folder; it is made.
      settings: of the market.
      progress: see `run_market`.

    Returns:
      What `marketplace.json` holds.

    Raises:
      InputError: a folder or a setting is wrong.
    """
    world = read_world(log)
    options = ("--variant-a", "--variant-b")
    scorers = {
        name: make_scorer(spec, world, settings.seed, stream, option)
        for stream, (name, spec, option) in enumerate(zip(VARIANTS, variants, options, strict=True))
    }
    market = run_market(world, scorers, settings, progress)
    summary = {
        "log": str(log),
        "settings": settings.model_dump(mode="json"),
        "variants": {
            name: {"scorer": spec, **_figures(market, name)}
            for name, spec in zip(VARIANTS, variants, strict=True)
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    staging = out / f".{OUTCOME}.new"
    pq.write_table(market.outcome, staging)
    os.replace(staging, out / OUTCOME)
    write_files(out, {SUMMARY: json.dumps(summary, indent=1) + "\n"})
    return summary


def _figures(market: Market, name: str) -> dict[str, Any]:
    mine = market.outcome.to_pandas().query("variant == @name")
    sums = {
        column: float(mine[column].sum())
        for column in ("requests", "impressions", "clicks", "conversions", "spend", "budget")
    }
    return {
        "candidates": _quality(market.candidates[name]),
        "won": _quality(market.won[name]),
        "totals": sums,
        "cpa": sums["spend"] / sums["conversions"] if sums["conversions"] else None,
    }


def _quality(sums: Sums) -> dict[str, float | None]:
    """RIG is expected over the conversions' draws: the labels are true probabilities."""
    figures: dict[str, float | None] = finite(
        {"ads": round(sums.weight), "rig": sums.rig, "calibration": sums.calibration}
    )
    return figures
