"""Ingest of a whole log, one Beam element a shard."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

from common.days import SECONDS_PER_DAY, to_date
from common.files.gfile import read_text, write_json, write_text
from common.pages.text import count, counted
from components.example_gen.labels import unseen_labels
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.example_gen.settings import IngestSettings
from components.example_gen.shard import ingest_shard
from schemas.contract import Contract
from schemas.errors import InputError

logger = logging.getLogger("hardtower")


class IngestShard(beam.DoFn):
    """(number, shard key) -> JSON of its report, or of the error that its input raised.

    Errors travel as values: a runner would wrap the exception and lose its type.
    """

    def __init__(
        self,
        contract: Contract,
        root: str,
        window: Window,
        shards: int,
        split_uri: str,
        rejected_uri: str,
    ) -> None:
        self._contract, self._root, self._window = contract, root, window
        self._shards, self._split_uri, self._rejected_uri = shards, split_uri, rejected_uri

    def setup(self) -> None:
        self._source = open_source(self._contract, Path(self._root), self._window)

    def process(self, element: tuple[int, str]) -> Iterator[str]:
        number, key = element
        # Of a file that ends the process this line is all that tells.
        logging.getLogger(__name__).info("reading %s", key)
        try:
            report = ingest_shard(
                self._source,
                key,
                number,
                self._shards,
                self._contract,
                self._window,
                self._split_uri,
                self._rejected_uri,
            )
        except InputError as error:
            yield json.dumps({"shard": key, "error": str(error)})
        else:
            yield json.dumps(report.as_dict())


def ingest(
    contract: Contract,
    root: Path,
    window: Window,
    settings: IngestSettings,
    split_uri: str,
    report_uri: str,
    make_pipeline: Callable[[], beam.Pipeline],
) -> dict[str, Any]:
    """Reads the window of a log, checks each row and writes tf.Examples.

    Args:
      split_uri: folder of the examples.
      report_uri: folder for `ingest.json` and, where rows were refused, `rejected/*.parquet` with
        the row's place in its file.

    Returns:
      The content of `ingest.json`: first_day and last_day of the clicks, the window's ends, rows,
      outside, rejected, rules, labels (by name, where the contract names them), shards and how many
      of them are empty.

    Raises:
      InputError: a file is missing or unreadable, the window holds no row, or more rows break the
        contract than `settings` allows.
    """
    keys = open_source(contract, root, window).shards()
    shards = counted(len(keys), "shard")
    logger.info("ExampleGen: %s, days %s .. %s", shards, window.start, window.days[-1])
    shard_reports = f"{report_uri}/shards.jsonl"
    with make_pipeline() as pipeline:
        read = IngestShard(
            contract, str(root), window, len(keys), split_uri, f"{report_uri}/rejected"
        )
        (
            pipeline
            | "Shards" >> beam.Create(list(enumerate(keys)))
            | "IngestShard" >> beam.ParDo(read)
            | "AllReports" >> beam.CombineGlobally(lambda lines: "\n".join(sorted(lines)))
            | "WriteReports" >> beam.Map(write_text, shard_reports)
        )
    reports = [json.loads(line) for line in read_text(shard_reports).splitlines() if line]
    for shard in reports:
        if "error" in shard:
            raise InputError(shard["error"])
    report = _summary(reports, window)
    write_json(report, f"{report_uri}/ingest.json")
    _judge(report, contract, window, settings)
    if report["empty"]:
        logger.warning("ExampleGen: %s of %s without a row", count(report["empty"]), shards)
    logger.info(
        "ExampleGen: %s of %s .. %s, %s set aside, %s outside the window",
        counted(report["rows"] - report["rejected"], "click"),
        report["first_day"],
        report["last_day"],
        counted(report["rejected"], "row"),
        count(report["outside"]),
    )
    return report


def _summary(reports: list[dict[str, Any]], window: Window) -> dict[str, Any]:
    rules: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for shard in reports:
        rules.update(shard["rules"])
        labels.update(shard["labels"])
    firsts = [s["first_second"] for s in reports if s["first_second"] is not None]
    lasts = [s["last_second"] for s in reports if s["last_second"] is not None]
    return {
        "first_day": _day(min(firsts)) if firsts else None,
        "last_day": _day(max(lasts)) if lasts else None,
        "window": [str(window.start), str(window.days[-1])],
        "shards": len(reports),
        "empty": sum(shard["rows"] + shard["outside"] == 0 for shard in reports),
        "rows": sum(shard["rows"] for shard in reports),
        "outside": sum(shard["outside"] for shard in reports),
        "rejected": sum(shard["rejected"] for shard in reports),
        "rules": dict(rules),
        "labels": dict(labels),
        "first_fault": next((s["first_fault"] for s in reports if s["first_fault"]), ""),
    }


def _day(second: int) -> str:
    return to_date(second // SECONDS_PER_DAY).isoformat()


def _judge(
    report: dict[str, Any], contract: Contract, window: Window, settings: IngestSettings
) -> None:
    rows, rejected = report["rows"], report["rejected"]
    if report["empty"] == report["shards"]:
        raise InputError(
            f"contract {contract.name}: no row in any of "
            f"{counted(report['shards'], 'file')} of "
            f"{contract.input.pattern!r}; wanted at least one"
        )
    if rows == 0:
        raise InputError(
            f"contract {contract.name}: no click between {window.start} and {window.days[-1]} "
            f"({counted(report['outside'], 'row')} outside); wanted at least one: mind as_of, "
            "window_days and timestamp_unit"
        )
    # Before the rows that break the contract: a name misspelt may be why they do.
    if words := unseen_labels(report["labels"], contract):
        logger.warning("ExampleGen: %s", words)
    if rejected > settings.max_bad_row_share * rows:
        raise InputError(
            f"{report['first_fault']} [{rejected:,} of {counted(rows, 'row')} break the contract; "
            f"max_bad_row_share allows {settings.max_bad_row_share:.3%}]"
        )
