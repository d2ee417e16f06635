"""Setups without a history: how long they stay so, and what each policy costs meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Ints
from components.task_labeler.decide.hysteresis import Reason
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import Cells, LabLog, Progress
from labs.stability_lab.log.judge import Judge
from labs.stability_lab.replay.measures import weighted_share
from labs.stability_lab.replay.replay import Replay, changed, replay

POLICIES = ("prior", "hard", "soft", "fallback")

GROUPS = ("new setups of known advertisers", "setups of new advertisers")
ALL = "all new setups"


@dataclass(frozen=True)
class Graduation:
    """Time until a setup has `min_clicks` observed clicks in its window, so that its reason can be
    `history`. Quantiles are product-limit estimates; None where too few got there.

    Attributes:
      setups: new setups.
      graduated: of these, seen to graduate; the log ended, or their clicks did, before the others.
      one_day: setups with clicks on a single day, which never had a second decision.
      median_days, slow_days: days from the first click by which half and three quarters had.
      median_clicks, slow_clicks: clicks until then.
      clicks_before: clicks of new setups before they graduated.
      clicks: all clicks of new setups.
    """

    group: str
    setups: int
    graduated: int
    one_day: int
    median_days: float | None
    slow_days: float | None
    median_clicks: float | None
    slow_clicks: float | None
    clicks_before: int
    clicks: int


@dataclass(frozen=True)
class PolicyCost:
    """What a policy does to the clicks of new setups.

    Attributes:
      policy: of `POLICIES`.
      until: `first click` when it ends once a click has been observed, as the labeller has it;
        `graduation` when it decides alone until then.
      clicks: clicks that the policy decided.
      judged_clicks: of these, clicks whose true side is known.
      wrong_clicks: share of the judged clicks on the wrong side; None for the fallback, which
        takes no side.
      soft_as_hard, hard_as_soft: its two kinds.
      one_task_clicks: share of the decided clicks sent to the one-task model.
      wrong_spend: as `wrong_clicks`, of spend.
    """

    group: str
    policy: str
    until: str
    clicks: int
    judged_clicks: int
    wrong_clicks: float | None
    soft_as_hard: float | None
    hard_as_soft: float | None
    one_task_clicks: float
    wrong_spend: float | None


@dataclass(frozen=True)
class ColdStart:
    """The whole study; `truly_hard` is the share of judged clicks before graduation that belong
    to truly hard setups, which is what the hard policy gets right."""

    graduation: list[Graduation]
    costs: list[PolicyCost]
    truly_hard: float | None


def study_cold_start(
    log: LabLog,
    settings: LabellingSettings,
    judge: Judge,
    first_new: int,
    progress: Progress | None = None,
) -> ColdStart:
    """Follows the setups whose first click came on day `first_new` or later."""
    cells = log.cells
    truth = judge.hard(settings.alpha)
    groups = _groups(log, first_new)
    base = replay(log, changed(settings, cold_start="prior"))
    early = before_graduation(cells, base, settings.min_clicks)
    costs = []
    for number, policy in enumerate(POLICIES, 1):
        decided = replay(log, changed(settings, cold_start=policy))
        cold = decided.reason == Reason.COLD_START
        for group, new in groups.items():
            same = np.full(len(cells), policy == "hard")
            held = decided.hard if policy in ("prior", "fallback") else same
            for until, where, hard in (
                ("first click", cold & new, decided.hard),
                ("graduation", early & new, held),
            ):
                costs.append(_cost(group, policy, until, cells, hard, truth, where))
        if progress is not None:
            progress(number, len(POLICIES))
    whole = early & groups[ALL]
    return ColdStart(
        [
            _graduation(group, cells, base, settings.min_clicks, new)
            for group, new in groups.items()
        ],
        costs,
        weighted_share(cells.clicks, np.nan_to_num(truth), whole & ~np.isnan(truth)),
    )


def before_graduation(cells: Cells, decided: Replay, min_clicks: int) -> Bools:
    """Bool [n], the setup has not yet had `min_clicks` observed clicks on any day up to this."""
    enough = decided.observed >= min_clicks
    ever = np.cumsum(enough)
    first = np.flatnonzero(cells.first_of_setup)
    before_setup: Ints = (ever - enough)[first]
    length = np.diff(np.append(first, len(cells)))
    early: Bools = ever - np.repeat(before_setup, length) == 0
    return early


def _groups(log: LabLog, first_new: int) -> dict[str, Bools]:
    """Cells of new setups, all of them and by whether their advertiser is new too."""
    cells = log.cells
    born = cells.day[cells.first_of_setup]
    new = born >= first_new
    groups = {ALL: new[cells.setup]}
    if log.setups.advertiser is not None:
        names, owner = np.unique(log.setups.advertiser, return_inverse=True)
        owner_born = np.full(len(names), np.iinfo(np.int64).max)
        np.minimum.at(owner_born, owner, born)
        owner_new = owner_born[owner] >= first_new
        groups[GROUPS[0]] = (new & ~owner_new)[cells.setup]
        groups[GROUPS[1]] = (new & owner_new)[cells.setup]
    return groups


def _cost(
    group: str,
    policy: str,
    until: str,
    cells: Cells,
    hard: Bools,
    truth: Floats,
    where: Bools,
) -> PolicyCost:
    judged = where & ~np.isnan(truth)
    aside = policy == "fallback"
    soft_as_hard = np.where(hard, 1 - truth, 0.0)
    hard_as_soft = np.where(hard, 0.0, truth)

    def wrong(values: Ints | Floats | None, kind: Floats) -> float | None:
        return None if aside else weighted_share(values, np.where(judged, kind, 0.0), judged)

    return PolicyCost(
        group=group,
        policy=policy,
        until=until,
        clicks=int(cells.clicks[where].sum()),
        judged_clicks=int(cells.clicks[judged].sum()),
        wrong_clicks=wrong(cells.clicks, soft_as_hard + hard_as_soft),
        soft_as_hard=wrong(cells.clicks, soft_as_hard),
        hard_as_soft=wrong(cells.clicks, hard_as_soft),
        one_task_clicks=float(aside),
        wrong_spend=wrong(cells.spend, soft_as_hard + hard_as_soft),
    )


def _graduation(
    group: str, cells: Cells, decided: Replay, min_clicks: int, new: Bools
) -> Graduation:
    early = before_graduation(cells, decided, min_clicks)
    days, clicks, happened, cell_count = [], [], [], []
    starts = np.flatnonzero(cells.first_of_setup & new)
    for start in starts:
        end = int(np.searchsorted(cells.setup, cells.setup[start], side="right"))
        waiting = int(early[start:end].sum())
        last = min(start + waiting, end - 1)
        days.append(cells.day[last] - cells.day[start])
        clicks.append(cells.clicks[start : start + waiting].sum())
        happened.append(start + waiting < end)
        cell_count.append(end - start)
    done = np.array(happened, bool)
    day, click = np.array(days, np.float64), np.array(clicks, np.float64)
    return Graduation(
        group=group,
        setups=len(starts),
        graduated=int(done.sum()),
        one_day=cell_count.count(1),
        median_days=quantile(day, done, 0.5),
        slow_days=quantile(day, done, 0.75),
        median_clicks=quantile(click, done, 0.5),
        slow_clicks=quantile(click, done, 0.75),
        clicks_before=int(cells.clicks[early & new].sum()),
        clicks=int(cells.clicks[new].sum()),
    )


def quantile(time: Floats, happened: Bools, share: float) -> float | None:
    """Smallest time by which the event has happened to at least `share` of all.

        S(t) = product over event times u <= t of (1 - events(u) / at risk(u))

    Args:
      time: float64 [n], until the event, or until watching ended without it.
      happened: bool [n].

    Returns:
      None when fewer than that were ever seen to have it, or n is 0.
    """
    surviving = 1.0
    for moment in np.unique(time[happened]):
        at_risk = int((time >= moment).sum())
        surviving *= 1 - int((happened & (time == moment)).sum()) / at_risk
        # Within rounding: a product of fractions may miss 1 - share by a bit.
        if 1 - surviving >= share - 1e-12:
            return float(moment)
    return None
