"""Options of the commands of the stability lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.options.shared import (
    Command,
    as_of_option,
    config_option,
    out_option,
    set_option,
    with_options,
)

if TYPE_CHECKING:
    from labs.stability_lab.log.judge import Choice


@dataclass(frozen=True)
class StudyOptions:
    """The options that every study of the stability lab takes."""

    config_name: str
    overrides: tuple[str, ...]
    as_of: str | None
    out: Path
    judge_name: Choice
    warmup: int | None


judge_option = click.option(
    "--judge",
    "judge_name",
    type=click.Choice(["auto", "truth", "hindsight"]),
    default="auto",
    show_default=True,
    help="True sides: the simulator's truth, or later clicks; auto takes truth where it lies "
    "beside the log.",
)


def study_options(warmup: str) -> Callable[[Command], Command]:
    """Gives a command the options of every study, as a `StudyOptions` before its own.

    Args:
      warmup: help of --warmup.
    """

    options = with_options(
        config_option,
        set_option,
        as_of_option,
        out_option,
        judge_option,
        click.option("--warmup", type=click.IntRange(0, 3660), metavar="DAYS", help=warmup),
    )

    def add(command: Command) -> Command:
        @wraps(command)
        def call(**given: Any) -> None:
            asked = StudyOptions(**{f.name: given.pop(f.name) for f in fields(StudyOptions)})
            command(asked, **given)

        return options(call)

    return add


class Numbers(click.ParamType):
    """Comma-separated numbers within bounds, `low` itself allowed when `closed`."""

    name = "numbers"

    def __init__(self, low: float, high: float, closed: bool = False) -> None:
        self._low, self._high, self._closed = low, high, closed

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"seen {value!r}, wanted numbers such as 0.005,0.01", param, ctx)
        for number in numbers:
            above = number >= self._low if self._closed else number > self._low
            if not (above and number < self._high):
                sign = "at least" if self._closed else "above"
                wanted = f"{sign} {self._low:g} and below {self._high:g}"
                self.fail(f"seen {number:g}, wanted numbers {wanted}", param, ctx)
        return numbers


def numbers_option(name: str, low: float, high: float, text: str, closed: bool = False) -> Any:
    """An option that takes comma-separated numbers."""
    return click.option(
        name, type=Numbers(low, high, closed), default=(), metavar="LIST", help=text
    )
