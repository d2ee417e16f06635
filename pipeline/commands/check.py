"""`hardtower check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.lab import numbers_option
from pipeline.commands.options.shared import as_of_option, at_day, config_option, set_option
from pipeline.commands.shared.studies import bar, rich_table
from schemas.errors import InputError
from schemas.labelled import TRAIN

if TYPE_CHECKING:
    from rich.console import Console

    from common.pages.page import Table
    from components.task_labeler.calendar import Period
    from labs.stability_lab.log.cells import LabLog
    from labs.stability_lab.log.read import RowCounts
    from labs.stability_lab.volumes import Volumes
    from pipeline.config import PipelineConfig
    from schemas.contract import Contract

ANSWERS = {
    "yes": "The log can support the question.",
    "hardly": "The log can hardly support the question.",
    "no": "The log cannot support the question.",
}


@click.command()
@config_option
@set_option
@as_of_option
@numbers_option("--alphas", 0, 1, "Alphas to look at; multiples of the config's.")
def check(
    config_name: str, overrides: tuple[str, ...], as_of: str | None, alphas: tuple[float, ...]
) -> None:
    """Read a whole log as a run would, and say whether it can support the question.

    Exit code 2 where a run would stop.
    """
    from common.as_of import resolve_as_of
    from components.example_gen.labels import unseen_labels
    from components.example_gen.peek import Span
    from components.example_gen.readers.source import Window
    from components.task_labeler.settings import as_labelled
    from labs.stability_lab.log.read import scan_log
    from labs.stability_lab.volumes import default_alphas, judge_volumes, volumes
    from pipeline.config import load_config
    from pipeline.runs.harm import harmful_settings
    from pipeline.runs.outlook import log_lines
    from pipeline.terminal.quiet import quiet_libraries
    from pipeline.terminal.tables import terminal

    quiet_libraries()
    config = load_config(config_name, at_day(overrides, as_of))
    contract = config.data_contract
    labelling = as_labelled(config.labelling, contract)
    day = resolve_as_of(config.as_of)
    with bar("reading the log") as progress:
        log, rows = scan_log(contract, Path(config.input.root), day, config.window_days, progress)
    unseen = unseen_labels(rows.labels, contract)
    console = terminal(soft_wrap=True)
    console.print(f"[bold]hardtower[/] check of {config.name}, contract {contract.name}")
    refused = rows.refused(config.ingest.max_bad_row_share)
    if log is None:
        window = Window.before(day, config.window_days)
        _print(console, log_lines(window, Span(files=rows.shards)), _row_lines(rows))
        raise InputError(
            refused
            or f"no click between {window.start} and {window.days[-1]}: mind as_of, window_days "
            "and timestamp_unit"
        )
    periods, calendar, impossible = _calendar(config, log, rows)
    _print(console, calendar, _row_lines(rows), [("", unseen)] if unseen else [])
    tried = (*(alphas or default_alphas(labelling.alpha)), labelling.alpha)
    with bar("alphas") as progress:
        by_alpha = volumes(log, labelling, tried, periods, contract.labels_ripen, progress)
    console.print(rich_table(_table(by_alpha, labelling.alpha)))
    if refused:
        raise InputError(refused)
    if impossible:
        _list(console, _what_is_possible(config, log.as_of - log.first_day))
        raise InputError(impossible)
    support = judge_volumes(by_alpha[labelling.alpha], config.gate.min_hard_positives)
    style = "bold green" if support.answer == "yes" else "bold yellow"
    console.print(ANSWERS[support.answer], style=style)
    _list(console, chain(support.reasons, _blind(log, contract, periods[TRAIN])))
    _list(console, harmful_settings(log, config))
    if support.answer == "no":
        raise InputError(f"{support.reasons[0]}; wanted another alpha, or longer periods or log")


def _print(console: Console, *groups: Iterable[tuple[str, str]]) -> None:
    for name, words in chain(*groups):
        console.print(f"  {name:<12}{words}", markup=False)


def _list(console: Console, sentences: Iterable[str]) -> None:
    for sentence in sentences:
        console.print(f"  - {sentence}", markup=False)


def _calendar(
    config: PipelineConfig, log: LabLog, rows: RowCounts
) -> tuple[Mapping[str, Period], Iterable[tuple[str, str]], str]:
    """The run's periods, its outlook, and why it has none: then the whole log is the one period."""
    from common.days import to_date
    from components.example_gen.peek import Span
    from components.example_gen.readers.source import Window
    from components.task_labeler.calendar import Period
    from pipeline.runs.outlook import log_lines, outlook

    first, last = to_date(log.first_day), to_date(int(log.cells.day.max()))
    span = Span(first, last, rows.shards, rows.sound, len(log.setups.ids))
    try:
        ahead = outlook(config, span)
    except InputError as error:
        window = Window.before(to_date(log.as_of), config.window_days)
        whole = {"log": Period(log.first_day, log.as_of)}
        return whole, log_lines(window, span), str(error)
    return ahead.periods, ahead.lines(), ""


def _row_lines(rows: RowCounts) -> Iterator[tuple[str, str]]:
    from common.pages.text import ratio

    yield (
        "rows",
        f"{rows.rows:,} in the window, {rows.bad:,} of them break the contract "
        f"({ratio(rows.bad, rows.rows)}); {rows.outside:,} outside",
    )
    for rule, number in sorted(rows.rules.items(), key=lambda item: -item[1]):
        yield "", f"{number:>9,}  {rule}"
    if rows.first_fault:
        yield "", f"the first: {rows.first_fault}"


def _table(by_alpha: Volumes, chosen: float) -> Table:
    """What is hard, by alpha and period."""
    from common.pages.page import Table
    from common.pages.text import share

    periods = list(next(iter(by_alpha.values())))
    rows = []
    for alpha, by_period in by_alpha.items():
        cells = [
            f"{share(v.hard_clicks / v.clicks if v.clicks else None)}, {v.known_hard_conversions:,}"
            for v in by_period.values()
        ]
        rows.append([share(alpha), *cells])
    key = frozenset(n for n, alpha in enumerate(by_alpha) if alpha == chosen)
    caption = "Share of the clicks that is hard, hard conversions as a judged fit would know them"
    return Table(caption, ["#alpha", *(f"#{name}" for name in periods)], rows, key)


def _blind(log: LabLog, contract: Contract, train: Period) -> Iterator[str]:
    """Of a log some of whose clicks to train on are older than its first known label."""
    from components.task_labeler.calendar import blind_words, evidence_from

    cells, start = log.cells, evidence_from(log.first_day, contract)
    trained = (cells.day >= train.first) & (cells.day < train.end)
    clicks = int(cells.clicks[trained & (cells.day < start)].sum())
    if clicks:
        of = int(cells.clicks[trained].sum())
        yield blind_words(clicks, of, log.first_day, contract)


def _what_is_possible(config: PipelineConfig, days: int) -> Iterator[str]:
    """Of a log that is too short: how long it would have to be, and what can be done with it."""
    from common.pages.text import counted
    from components.task_labeler.calendar import shortest_log
    from components.task_labeler.settings import SplitSettings

    contract = config.data_contract
    window, ripening = contract.attribution_window_days, contract.labels_ripen
    of_a_day = SplitSettings(eval_days=1, calibration_days=1)
    yield f"the log has {counted(days, 'day')} up to the as-of day"
    shortest = shortest_log(window, config.splits, ripening)
    yield f"with these settings a run needs {counted(shortest, 'day')}"
    yield f"with periods of one day {counted(shortest_log(window, of_a_day, ripening), 'day')}"
    if window:
        yield (
            "with conversions of the click's day alone (attribution_window_days: 0) "
            f"{counted(shortest_log(0, of_a_day, False), 'day')}"
        )
    yield "hardtower alpha and hardtower stability work on what there is: they train nothing"
