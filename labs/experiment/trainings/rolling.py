"""A run's clicks as they lay on earlier as-of days, each with the days after it to be judged on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Floats
from common.days import SECONDS_PER_DAY, to_date, to_day
from common.files.arrow import parquet_table
from common.runs.provenance import code_fingerprint
from components.evaluator.scores.table import CLICK_TIME, LABEL
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.completeness import AgeCurve, age_curve
from components.task_labeler.settings import SplitSettings
from components.trainer.data.columns import Columns
from labs.experiment.studies.arms import Knowledge
from labs.experiment.studies.assignments import DELAYS, Log, log_counts
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.examples import CONVERSION_TIME
from schemas import labelled
from schemas.contract import parse_contract
from schemas.errors import InputError
from schemas.labelled import CALIBRATION, EVAL, TRAIN

AS_OF, NEW, WITHIN_A_DAY = "as_of", "new", "within_a_day"
"""Of judged examples: the as-of day that they come after (since 1970-01-01), whether the judged fit
of that day had met no click of the setup, and the share of its category's conversions that come
within a day, as known on the as-of day."""

JUDGED, SERVED = Knowledge("judged"), Knowledge("served")


@dataclass(frozen=True)
class Rolled(FrozenData):
    """What a fit of some as-of day learns from, and the days after it as the eval split.

    Tasks and features are the run's: both are of the click's own day, but for the vocabularies and
    scales of the feature graph.

    Attributes:
      day: the as-of day, since 1970-01-01.
      days: how many days from it on are judged.
      periods: of the run.
    """

    day: int
    days: int
    periods: SplitSettings
    knowledge: Knowledge = JUDGED

    def known(self, knowledge: Knowledge) -> Self:
        """The same days as a fit of another knowledge sees them."""
        key = f"{self.key}-{knowledge.fit}{'-final' if knowledge.final else ''}"
        return replace(self, key=key, knowledge=knowledge)

    @property
    def attribution_days(self) -> int:
        return parse_contract(self.record["contract"]).attribution_window_days

    @property
    def until(self) -> int:
        """The day at whose start the fit is made."""
        if self.knowledge.fit == "served":
            return self.day
        return self.day - self.attribution_days - self.periods.eval_days

    @property
    def held_out(self) -> bool:
        return self.knowledge.fit == "judged"

    def columns(self, split: str) -> Columns:
        """A split's columns: labels as observed when the fit is made, with their completeness.

        Raises:
          InputError: there is no click.
        """
        rows = self._rows(split)
        parts = [FrozenData.columns(self, name).take(mine) for name, mine in rows.items()]
        whole, facts = _joined(parts), self._facts(rows)
        if split == EVAL or self.knowledge.final:
            final = facts[LABEL].to_numpy().astype(np.float32)
            return replace(whole, label=final, completeness=None)
        moment = self.until * SECONDS_PER_DAY
        converted = facts[CONVERSION_TIME].to_numpy()
        category = facts[labelled.CATEGORY].cast(pa.string()).combine_chunks()
        return replace(
            whole,
            label=((converted >= 0) & (converted < moment)).astype(np.float32),
            completeness=self.curve().at(category, moment - facts[CLICK_TIME].to_numpy()),
        )

    def facts(self, split: str) -> pa.Table:
        """As `FrozenData.facts`; of the eval split also `AS_OF`, `NEW` and `WITHIN_A_DAY`."""
        facts = self._facts(self._rows(split))
        if split != EVAL:
            return facts
        met = pc.unique(self.known(JUDGED).facts(TRAIN)[labelled.SETUP_ID].cast(pa.string()))
        new = pc.invert(pc.is_in(facts[labelled.SETUP_ID].cast(pa.string()), value_set=met))
        category = facts[labelled.CATEGORY].cast(pa.string()).combine_chunks()
        soon = self.known(SERVED).curve().at(category, np.full(len(facts), SECONDS_PER_DAY))
        facts = facts.append_column(AS_OF, pa.array(np.full(len(facts), self.day)))
        return facts.append_column(NEW, new).append_column(WITHIN_A_DAY, pa.array(soon))

    def truth(self, split: str) -> Floats | None:
        parts = []
        for name, mine in self._rows(split).items():
            truth = FrozenData.truth(self, name)
            if truth is None:
                return None
            parts.append(truth[mine])
        return np.concatenate(parts)

    def curve(self) -> AgeCurve:
        """Completeness as known when the fit is made."""
        delays = parquet_table(self.folder / DELAYS)
        days = delays["day"].to_numpy()
        first, last = (int(days.min()), int(days.max())) if len(days) else (self.until, self.until)
        calendar = Calendar(first, max(last, self.until))
        return age_curve(delays, calendar, self.attribution_days, self.until)

    def period(self, split: str) -> tuple[int, int]:
        """First day of a split and the day after its last one."""
        if split == EVAL:
            return self.day, self.day + self.days
        if not self.held_out:
            level = self.periods.served_calibration_days(self.attribution_days)
            return (0 if split == TRAIN else self.until - level), self.until
        middle = self.until - self.periods.calibration_days
        if split == CALIBRATION:
            return middle, self.until
        return 0, middle - self.periods.calibration_gap_days

    def _rows(self, split: str) -> dict[str, np.ndarray]:
        """Row numbers of the split's clicks in each of the run's splits that has some."""
        first, end = self.period(split)
        rows_of = {}
        for name in self.splits:
            day = FrozenData.facts(self, name)[CLICK_TIME].to_numpy() // SECONDS_PER_DAY
            rows = np.flatnonzero((day >= first) & (day < end))
            if len(rows):
                rows_of[name] = rows
        if not rows_of:
            raise InputError(
                f"as of {to_date(self.day)}: no click of {to_date(max(0, first))} .. "
                f"{to_date(end - 1)} ({split}); wanted a longer log or fewer --dates"
            )
        return rows_of

    def _facts(self, rows: dict[str, np.ndarray]) -> pa.Table:
        parts = [FrozenData.facts(self, name).take(pa.array(mine)) for name, mine in rows.items()]
        return pa.concat_tables(parts).unify_dictionaries()


def _joined(parts: list[Columns]) -> Columns:
    """Consecutive examples in one; what is known of labels is set by the caller."""
    first = parts[0]
    weight = None if first.weight is None else np.concatenate([p.weight for p in parts])
    names = ("ids", "nums", "label", "hard", "cvr")
    whole = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Columns(**whole, weight=weight)


def roll(
    data: FrozenData, log: Log, periods: SplitSettings, dates: int, days: int
) -> tuple[Rolled, ...]:
    """The last `dates` as-of days, oldest first, that lie `days` days apart and are followed by as
    many days whose outcome is known: on a simulated log all up to the run's own as-of day,
    otherwise those whose labels are mature.

    Raises:
      InputError: the log is too short for so many.
    """
    log_counts(data, log)
    end = to_day(log.as_of)
    if data.truth(data.splits[-1]) is None:
        end -= log.contract.attribution_window_days
    rolled = [_rolled(data, end - turn * days, days, periods) for turn in range(dates, 0, -1)]
    begins = int(data.facts(TRAIN)[CLICK_TIME].to_numpy().min()) // SECONDS_PER_DAY
    possible = [it for it in rolled if it.period(TRAIN)[1] > begins]
    if len(possible) < dates:
        first = rolled[0]
        raise InputError(
            f"--dates {dates}, --days {days}: of the as-of day {to_date(first.day)} the judged fit "
            f"ends its training before {to_date(first.period(TRAIN)[1])}, and the run's begins on "
            f"{to_date(begins)}; wanted at most {len(possible)} dates or a longer log"
        )
    return tuple(rolled)


def _rolled(data: FrozenData, day: int, days: int, periods: SplitSettings) -> Rolled:
    parts = (data.key, code_fingerprint(__name__), day, days, periods.model_dump_json())
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return Rolled(data.folder, key, data.record, day, days, periods)
