"""Click logs for the races: simulated, and thinned."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from labs.simulator.settings import parse_settings
from labs.simulator.simulate import simulate
from schemas.contract import Contract

PATTERN = "part-*.parquet"


def simulated(folder: Path, clicks: int) -> Path:
    """Folder of a simulated log; made once and kept."""
    out = folder / f"simulated-{clicks}"
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        simulate(parse_settings({"clicks": clicks}), out)
    return out


def thinned(contract: Contract, root: Path, window: Window, every: int, folder: Path) -> Path:
    """Writes every n-th row of a log as Parquet, in as many shards, and a contract that reads it.

    Returns:
      The contract's file; the log lies beside it.
    """
    source = open_source(contract, root, window)
    folder.mkdir(parents=True)
    for number, shard in enumerate(source.shards()):
        table = pa.Table.from_batches(list(source.read(shard)))
        rows = pa.array(range(number % every, table.num_rows, every), pa.int64())
        pq.write_table(table.take(rows), folder / PATTERN.replace("*", f"{number:05d}"))
    plain = contract.model_dump(mode="json") | {"input": {"format": "parquet", "pattern": PATTERN}}
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path
