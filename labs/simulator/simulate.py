"""Writes a simulated click log, and beside it the truth that made it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from labs.simulator.log.clicks import ClickSource
from labs.simulator.log.parts import PartWriter
from labs.simulator.log.tables import LogTables
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.seasonality import daily_clicks
from labs.simulator.world.world import build_world
from schemas.errors import InputError

CLICKS = "clicks"
TRUTH = "truth"
SETUPS = f"{TRUTH}/setups.parquet"
RECORD = "simulation.json"


@dataclass(frozen=True)
class SimulationSummary:
    """What was written.

    Attributes:
      path: the folder.
      clicks, conversions: rows of the log, and how many converted in the attribution window.
      days: daily partitions.
      setups: conversion setups that ran on at least one day.
    """

    path: Path
    clicks: int
    conversions: int
    days: int
    setups: int


def simulate(
    settings: SimulatorSettings,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Simulates a click log into a folder:

        clicks/{YYYY-MM-DD}/part-00000.parquet   the log, ascending by time
        truth/{YYYY-MM-DD}/part-00000.parquet    click_id and true probability, row by row
        truth/setups.parquet                     true type and CVR by setup and day
        simulation.json                          settings, seed, code version, totals

    The folder appears whole or not at all. The same settings give the same tables. A log longer
    by whole weeks at the same rate, drawn in chunks or files of another size, repeats the shorter
    one's days.

    Args:
      settings: what to simulate.
      out: folder to create; it may exist if it holds nothing.
      progress: called with (clicks done, clicks in all) after each chunk.

    Raises:
      InputError: `out` is a file, or a folder that holds something.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"simulate: {out} exists already; wanted a new or an empty folder")
    partial = out.resolve().with_name(f".{out.resolve().name}.partial-{uuid.uuid4().hex[:12]}")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"simulate: cannot create {out}: {error.strerror}") from error
    try:
        summary = _write(settings, partial, out, progress)
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return summary


def _write(
    settings: SimulatorSettings,
    folder: Path,
    out: Path,
    progress: Callable[[int, int], None] | None,
) -> SimulationSummary:
    world = build_world(settings)
    source, tables = ClickSource(world), LogTables(world)
    conversions = done = 0
    counts = daily_clicks(settings.clicks, settings.days, settings.start_date)
    for day, count in enumerate(counts):
        name = (settings.start_date + timedelta(days=day)).isoformat()
        log = PartWriter(folder / CLICKS / name, settings.rows_per_file)
        truth = PartWriter(folder / TRUTH / name, settings.rows_per_file)
        with log, truth:
            for clicks in source.day(day, count, settings.rows_per_chunk):
                log.write(tables.log(clicks))
                truth.write(tables.truth(clicks))
                conversions += int(clicks.label.sum())
                done += len(clicks)
                if progress is not None:
                    progress(done, settings.clicks)
    setups = tables.setups()
    pq.write_table(setups, folder / SETUPS)
    summary = SimulationSummary(
        path=out,
        clicks=done,
        conversions=conversions,
        days=settings.days,
        setups=len(setups["setup_id"].unique()),
    )
    record = {
        "seed": settings.seed,
        "code_version": version("hardtower"),
        "clicks": summary.clicks,
        "conversions": summary.conversions,
        "setups": summary.setups,
        "settings": settings.model_dump(mode="json"),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return summary
