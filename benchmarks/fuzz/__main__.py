"""Broken shards, documents and requests, counted.

python -m benchmarks.fuzz --inputs 1000 --seed 1
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click

# Read once, when TensorFlow's C++ side is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.fuzz.documents import INPUTS, try_document
from benchmarks.fuzz.outcomes import FAULTS, Outcome
from benchmarks.fuzz.requests import Requests
from benchmarks.fuzz.shards import FORMATS, try_shard
from pipeline.terminal.quiet import silence_unraisable

Try = Callable[[int, Path], Outcome]


def kinds(requests: Requests) -> dict[str, Try]:
    """What is broken, by kind, and what tries one."""
    tries: dict[str, Try] = {}
    for form in FORMATS:
        tries[form] = lambda seed, folder, form=form: try_shard(form, seed, folder)  # type: ignore[misc]
    for name in INPUTS:
        tries[name] = lambda seed, folder, name=name: try_document(name, seed, folder)  # type: ignore[misc]
    tries["request"] = requests.try_one
    return tries


def outcomes(tries: dict[str, Try], inputs: int, seed: int) -> Iterator[tuple[str, Outcome]]:
    """As many of each kind as of any other, give or take one."""
    names = list(tries)
    for number in range(inputs):
        name = names[number % len(names)]
        with tempfile.TemporaryDirectory() as folder:
            yield name, tries[name](seed * 10**6 + number, Path(folder))


@click.command()
@click.option("--inputs", type=click.IntRange(1, 10**6), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0, 10**6), default=1, show_default=True)
def main(inputs: int, seed: int) -> None:
    """Break inputs at random and count what is not refused in one line that names the file."""
    began = time.monotonic()
    silence_unraisable()
    seen: Counter[tuple[str, str]] = Counter()
    with Requests() as requests:
        tries = kinds(requests)
        for name, outcome in outcomes(tries, inputs, seed):
            seen[name, outcome.verdict] += 1
            if outcome.verdict in FAULTS:
                click.echo(f"{outcome.verdict}: {outcome.change}\n    {outcome.detail}")
    verdicts = ("refused", "accepted", *FAULTS)
    click.echo(f"{'':10}" + "".join(f"{verdict:>11}" for verdict in verdicts))
    for name in tries:
        click.echo(f"{name:10}" + "".join(f"{seen[name, verdict]:11}" for verdict in verdicts))
    click.echo(f"{inputs} inputs, seed {seed}, {time.monotonic() - began:.0f} s")
    sys.exit(any(seen[name, fault] for name in tries for fault in FAULTS))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
