"""A guess as a contract and a config, every line with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY, to_date, to_day
from common.pages.text import counted, share
from components.evaluator.settings import GateSettings
from components.task_labeler.calendar import Period, split_periods
from components.task_labeler.settings import LabellingSettings, SplitSettings
from labs.first_look.guess import Guess
from labs.first_look.sample import NULLS, Files, Sample
from schemas.errors import InputError
from schemas.labelled import EVAL

ALPHAS = (0.01, 0.005, 0.02, 0.002, 0.05, 0.001, 0.1, 0.2)
"""Thresholds to choose from, the one that is liked best first."""
HARD_SHARE = (0.2, 0.8)
"""Of the clicks: where alpha leaves enough on either side."""
ENOUGH_CONVERSIONS = 300
"""Hard ones in the whole log: a part of them is learned from, a part judges."""
MARGIN = 1.25
"""Conversions by which the eval period should have more than the gate wants: who is hard is decided
day by day, with less than the whole log."""
LONGEST_EVAL, LONGEST_CALIBRATION = 14, 7
COMMENTS_FROM = 60
"""Column at which a line's reason begins, where the line is shorter."""

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True)
class Draft:
    """Files to write, and what the log spans.

    Attributes:
      first_day, last_day: of the sample's clicks.
    """

    contract: str
    config: str
    first_day: date
    last_day: date
    alpha: float
    unsure: tuple[str, ...]


def draft(name: str, files: Files, sample: Sample, guess: Guess, contract: Path) -> Draft:
    """The contract and the config of a guess.

    Args:
      name: of the log, letters, digits and `_`.
      contract: where the contract is going to lie.
    """
    moments = guess.timestamp.moments
    assert moments is not None
    seconds = moments.seconds[~np.isnan(moments.seconds)]
    first, last = (to_date(int(edge // SECONDS_PER_DAY)) for edge in (seconds.min(), seconds.max()))
    unsure = list(guess.unsure)
    pattern, why_pattern = _pattern(files, sample, moments.seconds)
    if files.days and not why_pattern.startswith("each"):
        unsure.append(f"what the days in the files' names are: {why_pattern}")
    if files.csv.encoding == "cp1252":
        unsure.append("the text's encoding: it is not UTF-8, cp1252 was taken (input.csv.encoding)")
    if not files.named:
        unsure.append("the columns' names: the text has no line of them")
    if taken := [
        f"{word} in {counted(rows, 'row')} of {column.name}"
        for column in guess.categorical
        for word, rows in sample.nulls.get(column.name, {}).items()
    ]:
        unsure.append(
            f"what stands for no value: {', '.join(taken)}{_of_sample(sample)} was taken for none; "
            "what is a value goes out of input.csv.null_values"
        )
    if not sample.whole:
        unsure.append("the log's size: it is large, and only a part of its files was read")
    splits, why_splits = choose_splits(first, last, guess)
    if splits is None:
        unsure.append(why_splits)
    totals = _setup_totals(guess, moments.seconds, _eval_period(first, last, guess, splits))
    alpha, why_alpha, few = choose_alpha(totals, sample.table.num_rows / sample.rows)
    if few:
        unsure.append(few)
    text = "\n".join(_contract(name, files, sample, guess, pattern, why_pattern)) + "\n"
    config = "\n".join(
        _config(
            name, files, guess, contract, (first, last), (alpha, why_alpha), (splits, why_splits)
        )
    )
    return Draft(text, config + "\n", first, last, alpha, tuple(unsure))


def _of_sample(sample: Sample) -> str:
    kept = sample.table.num_rows
    return "" if kept == sample.rows else f" (of {counted(kept, 'row')} looked at)"


def _pattern(files: Files, sample: Sample, seconds: Floats) -> tuple[str, str]:
    """The pattern, of daily partitions only where each file holds the clicks of its day."""
    if not files.days:
        return files.pattern, counted(len(files.paths), "file")
    there = ~np.isnan(seconds)
    day = (seconds[there] // SECONDS_PER_DAY).astype(np.int64)
    named = np.array([to_day(date.fromisoformat(d)) for d in files.days])[sample.file_of_row[there]]
    other = float(np.mean(day != named))
    if other == 0:
        return files.pattern, "each file holds the clicks of the day (UTC) in its name"
    loose = re.sub(r"\{YYYY\}(\D?)\{MM\}\1\{DD\}", "*", files.pattern)
    return loose, f"no daily partitions: {share(other)} of the clicks are of another day (UTC)"


@dataclass(frozen=True)
class Totals:
    """Sums over the sample, int64 [setups].

    Attributes:
      judged: conversions of clicks of the eval period; None where there is none.
    """

    clicks: Ints
    conversions: Ints
    judged: Ints | None = None


def _setup_totals(guess: Guess, seconds: Floats, judged: Period | None) -> Totals:
    code, label = guess.setup_code, guess.label
    clicks = np.bincount(code).astype(np.int64)

    def converted(rows: Bools) -> Ints:
        return np.bincount(code[rows], label[rows], len(clicks)).astype(np.int64)

    if judged is None:
        return Totals(clicks, converted(np.ones(len(code), bool)))
    day = seconds // SECONDS_PER_DAY
    inside = (day >= judged.first) & (day < judged.end)
    return Totals(clicks, converted(np.ones(len(code), bool)), converted(inside))


def choose_alpha(totals: Totals, share_read: float = 1.0) -> tuple[float, str, str]:
    """The first alpha of `ALPHAS` that leaves enough on either side and for the gate to judge by,
    and why; where conversions are too few for any, the one with the most; where the clicks cannot
    be parted, the most even.

    Args:
      share_read: of the log's rows that the totals are of.

    Returns:
      Alpha, why, and what is wrong with it; nothing where the gate has enough.
    """
    clicks, conversions = totals.clicks, totals.conversions
    base = conversions.sum() / clicks.sum()
    cvr = (conversions + 20 * base) / (clicks + 20)
    hard = {a: float(clicks[cvr <= a].sum() / clicks.sum()) for a in ALPHAS}
    kept = {a: conversions[cvr <= a].sum() / share_read for a in ALPHAS}
    judged = dict.fromkeys(ALPHAS, np.inf)
    if totals.judged is not None:
        judged = {a: totals.judged[cvr <= a].sum() / share_read for a in ALPHAS}
    wanted = GateSettings().min_hard_positives
    even = [a for a in ALPHAS if HARD_SHARE[0] <= hard[a] <= HARD_SHARE[1]]
    judging = [a for a in even if judged[a] >= MARGIN * wanted]
    enough = [a for a in judging if kept[a] >= ENOUGH_CONVERSIONS]
    if enough:
        alpha = enough[0]
    elif even:
        alpha = max(judging or even, key=lambda a: kept[a])
    else:
        alpha = min(ALPHAS, key=lambda a: abs(hard[a] - 0.5))
    rare = share(float(kept[alpha] * share_read) / max(1, int(conversions.sum())))
    why = (
        f"{share(hard[alpha])} of the clicks and {rare} of the conversions are of setups of at "
        "most this CVR"
    )
    if totals.judged is None:
        return alpha, why, ""
    why += f", about {judged[alpha]:,.0f} of them in the eval period"
    if alpha in judging:
        return alpha, why, ""
    return (
        alpha,
        why,
        f"alpha: with {alpha:g} about {judged[alpha]:,.0f} hard conversions lie in the eval "
        f"period, and the gate blesses nothing by fewer than {wanted} (gate.min_hard_positives): "
        "a longer log or eval period would have more",
    )


def _eval_period(
    first: date, last: date, guess: Guess, splits: SplitSettings | None
) -> Period | None:
    if splits is None:
        return None
    as_of = last + timedelta(days=1)
    return split_periods(to_day(first), as_of, guess.window_days, splits, _ripening(guess))[EVAL]


def _ripening(guess: Guess) -> bool:
    return guess.conversion is not None and guess.window_days > 0


def choose_splits(first: date, last: date, guess: Guess) -> tuple[SplitSettings | None, str]:
    """Days of the eval and the calibration period; none where the log is too short for any."""
    window, ripening = guess.window_days, _ripening(guess)
    as_of = last + timedelta(days=1)
    days = (as_of - first).days
    left = days - window - (0 if ripening else window)
    wanted = SplitSettings(
        eval_days=min(LONGEST_EVAL, max(1, left // 4)),
        calibration_days=min(LONGEST_CALIBRATION, max(1, left // 10)),
    )
    try:
        split_periods(to_day(first), as_of, window, wanted, ripening)
    except InputError as error:
        return None, str(error)
    return (
        wanted,
        f"the log has {counted(days, 'day')}, of which {left} have final labels to judge by",
    )


def _contract(
    name: str, files: Files, sample: Sample, guess: Guess, pattern: str, why_pattern: str
) -> Iterator[str]:
    why, moments = guess.reasons, guess.timestamp.moments
    assert moments is not None
    yield (
        f"# Guessed by `hardtower init` from {sample.table.num_rows:,} of {sample.rows:,} rows. "
        "Each comment says why:"
    )
    yield "# edit what is wrong, then run `hardtower check`."
    yield f"name: {name}"
    yield f"description: clicks of {name}"
    yield "input:"
    yield f"  format: {files.form}"
    yield _line(f"  pattern: {json.dumps(pattern)}", why_pattern)
    if files.form == "csv":
        yield "  csv:"
        yield f"    delimiter: {json.dumps(files.csv.delimiter)}"
        if files.csv.columns:
            yield _line(f"    columns: {_list(files.csv.columns)}", "the text has no line of names")
        yield _line(f"    null_values: {_list(NULLS)}", "texts that stand for no value")
        if files.csv.encoding != "utf-8":
            yield _line(f"    encoding: {files.csv.encoding}", "the text is not in UTF-8")
    if moments.unit:
        yield _line(f"timestamp_unit: {moments.unit}", why["timestamp_unit"])
    if guess.zone is not None:
        yield _line(f"timestamp_zone: {guess.zone}", "the times name no zone")
    if guess.positive_labels:
        shown = guess.positive_labels
        values = shown if isinstance(shown, str) else _list(shown)
        yield _line(f"positive_labels: {values}", "these values of the label stand for 1")
    yield _line(
        f"attribution_window_days: {guess.window_days}", why.get("attribution_window_days", "")
    )
    yield "roles:"
    yield _line(f"  timestamp: {_scalar(guess.timestamp.name)}", why["timestamp"])
    yield _line(f"  label: {_scalar(guess.label_column.name)}", why["label"])
    if guess.conversion is not None:
        yield _line(
            f"  conversion_timestamp: {_scalar(guess.conversion.name)}",
            why.get("conversion_timestamp", ""),
        )
    yield _line(f"  setup: {_list(guess.setup)}", why["setup"])
    for candidate in guess.setup_columns[:6]:
        yield (
            f"    # candidate {candidate.column}: {candidate.setups:,} values, RIG alone "
            f"{candidate.rig:.3f}, CVRs spread as if their mean were worth "
            f"{candidate.strength:.0f} clicks"
        )
    for part, column in guess.roles.items():
        yield _line(f"  {part}: {_scalar(column)}", why[part])
    yield from _features(guess)
    if guess.leaks:
        yield "leaks:"
        for column in guess.leaks:
            yield _line(f"  - {_scalar(column)}", guess.of_column[column])
    if guess.left_out:
        yield "# Left out:"
        for column in guess.left_out:
            yield f"#   {_scalar(column)}: {guess.of_column[column]}"


def _features(guess: Guess) -> Iterator[str]:
    yield "features:"
    yield _line("  of_setup: true", "historical_cvr, and the setup's columns, are features")
    if guess.categorical:
        yield "  categorical:"
        for c in guess.categorical:
            rows = f"vocabulary: {c.vocabulary}" if c.buckets is None else f"buckets: {c.buckets}"
            text = f"    - {{name: {_scalar(c.name)}, {rows}, width: {c.width}}}"
            yield _line(text, guess.of_column[c.name])
    if guess.numeric:
        yield "  numeric:"
        for n in guess.numeric:
            text = f"    - {{name: {_scalar(n.name)}, transform: {n.transform}}}"
            yield _line(text, guess.of_column[n.name])


def _config(
    name: str,
    files: Files,
    guess: Guess,
    contract: Path,
    days: tuple[date, date],
    alpha: tuple[float, str],
    splits: tuple[SplitSettings | None, str],
) -> Iterator[str]:
    first, last = days
    as_of = last + timedelta(days=1)
    plain = name.replace("_", "-").strip("-")
    yield "# Guessed by `hardtower init`; every setting: docs/configuration.md."
    yield "#"
    yield f"#   hardtower check --config {contract.with_name(f'{contract.stem}-config.yaml')}"
    yield f"#   hardtower run --config {contract.with_name(f'{contract.stem}-config.yaml')}"
    yield f"name: {plain[:63].strip('-')}"
    yield f"contract: {json.dumps(str(contract))}"
    yield _line(f"as_of: {as_of}", f"the day after the newest click; clicks begin on {first}")
    yield _line(f"window_days: {(as_of - first).days}", "all days of the log")
    yield "input:"
    yield f"  root: {json.dumps(str(files.root))}"
    yield "labelling:"
    yield _line(f"  alpha: {alpha[0]:g}", alpha[1])
    if guess.conversion is None and guess.window_days:
        window = LabellingSettings().window_days + guess.window_days
        yield _line(
            f"  window_days: {window}",
            f"of clicks younger than {guess.window_days} days nothing is known: there are no "
            "conversion times",
        )
    if splits[0] is not None:
        yield _line("splits:", splits[1])
        yield f"  eval_days: {splits[0].eval_days}"
        yield f"  calibration_days: {splits[0].calibration_days}"
    else:
        yield f"# {splits[1]}"


def _line(text: str, reason: str) -> str:
    plain = " ".join(reason.split())
    return f"{text:<{COMMENTS_FROM}}  # {plain}" if plain else text


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(text: str) -> str:
    """Text as YAML that no reader takes for anything else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
