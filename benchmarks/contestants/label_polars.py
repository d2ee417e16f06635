"""The labelling task in Polars, Parquet in and out."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contestants import labelling_task as task


def label(log: str, out: str) -> int:
    Path(out).mkdir(parents=True)
    key = pl.concat_str("campaign_id", "conversion_goal", separator="|")
    clicks = pl.scan_parquet(f"{log}/clicks/*/*.parquet").with_columns(
        key.alias("setup_id"), (pl.col("timestamp") // 86_400).alias("day")
    )
    delay = pl.col("conversion_timestamp") // 86_400 - pl.col("day")
    counts = (
        clicks.with_columns(pl.when(pl.col("label") == 1).then(delay).alias("delay"))
        .group_by("setup_id", "day", "delay")
        .len("clicks")
    )
    ages = pl.LazyFrame({"age": range(1, task.WINDOW + 1)}).with_columns(
        (2.0 ** (-pl.col("age") / task.HALF_LIFE)).alias("weight")
    )
    converted = pl.when(pl.col("delay") < pl.col("age")).then(pl.col("clicks")).otherwise(0)
    cvrs = (
        counts.join(ages, how="cross")
        .with_columns(pl.col("day") + pl.col("age"))
        .group_by("setup_id", "day")
        .agg(
            (
                (converted * pl.col("weight")).sum() / (pl.col("clicks") * pl.col("weight")).sum()
            ).alias("cvr")
        )
        .join(counts.select("setup_id", "day").unique(), on=["setup_id", "day"])
        .collect()
    )
    cvrs.write_parquet(f"{out}/{task.CVRS}")
    hard = pl.col("historical_cvr") <= task.ALPHA
    labelled = clicks.filter(pl.col("day") < task.MATURE_END).join(
        cvrs.lazy().rename({"cvr": "historical_cvr"}), on=["setup_id", "day"], how="left"
    )
    labelled = labelled.with_columns(
        pl.when(hard).then(pl.lit("hard")).otherwise(pl.lit("soft")).alias("task")
    )
    labelled.sink_parquet(f"{out}/labelled.parquet")
    rows: int = pl.scan_parquet(f"{out}/labelled.parquet").select(pl.len()).collect().item()
    return rows
