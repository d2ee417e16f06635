"""The labelling task in DuckDB, Parquet in and out."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contestants import labelling_task as task

QUERY = """
create view clicks as
  select *, campaign_id || '|' || conversion_goal as setup_id, timestamp // 86400 as day
  from read_parquet('{log}/clicks/*/*.parquet');
create table counts as
  select setup_id, day, case when label = 1 then conversion_timestamp // 86400 - day end as delay,
         count(*) as clicks
  from clicks group by all;
create table cvrs as
  with ages as (select range as age, pow(2, -range / {half_life}) as weight
                from range(1, {window} + 1)),
  sums as (select setup_id, day + age as day,
                  sum(case when delay < age then clicks * weight else 0 end)
                  / sum(clicks * weight) as cvr
           from counts, ages group by all)
  select s.* from sums s join (select distinct setup_id, day from counts) using (setup_id, day);
copy cvrs to '{out}/{cvrs}' (format parquet);
copy (select c.*, v.cvr as historical_cvr,
             case when v.cvr <= {alpha} then 'hard' else 'soft' end as task
      from clicks c left join cvrs v using (setup_id, day) where c.day < {end})
  to '{out}/labelled.parquet' (format parquet);
"""


def label(log: str, out: str) -> int:
    Path(out).mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute(
        QUERY.format(
            log=log,
            out=out,
            cvrs=task.CVRS,
            half_life=task.HALF_LIFE,
            window=task.WINDOW,
            alpha=task.ALPHA,
            end=task.MATURE_END,
        )
    )
    row = connection.execute(f"select count(*) from '{out}/labelled.parquet'").fetchone()
    return int(row[0]) if row else 0
