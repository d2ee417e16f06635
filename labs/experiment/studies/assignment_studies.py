"""Experiments on the assignment: what is hard in training differs.

Arms are compared on one set of examples, each scored by the tower that the arm's own assignment
routes it to: a router that follows another assignment sends other candidates to the hard tower.
"""

from __future__ import annotations

from labs.experiment.studies.arms import Arm, ByCategory, ByHistory, Claim, Experiment, Settings
from labs.experiment.studies.facts import RunFacts
from labs.experiment.studies.model_studies import TWO_TOWER
from schemas.errors import InputError

ROUTED = (
    "Every example is scored by the tower of the task that the arm's own assignment gives it, as a "
    "router would; the examples judged are the same for all arms. The hard examples are those of "
    "the run's own assignment, which favours it; all examples favour none, but most of their "
    "conversions are soft."
)
STEP = 0.005
"""By how much the study moves alpha down and up: half a per cent, absolute."""


def ablation(settings: Settings, facts: RunFacts) -> Experiment:
    """Statistics against declared categories (paper, sections 1 and 3.1.2)."""
    if not facts.categories:
        raise InputError(f"ablation: contract {facts.contract} has no conversion_category role")
    two = settings.but(model={"mode": TWO_TOWER})
    statistics = Arm("by statistics", two, scoring="own_tower")
    declared = Arm("by declared category", two, ByCategory(), scoring="own_tower")
    true = Arm("by true category", two, ByCategory(true=True), scoring="own_tower")
    arms, claims = [declared, statistics], [Claim(statistics.name, declared.name)]
    notes = [
        "By category, all setups of a category have one side: hard when the statistics call most "
        "of the category's train examples hard. No other assignment by category agrees better with "
        "the statistics.",
        ROUTED,
    ]
    if facts.truth:
        arms.append(true)
        claims += [Claim(statistics.name, true.name), Claim(true.name, declared.name)]
        notes.append(
            "By true category corrects the declarations that are wrong: its gain over the declared "
            "category is what mis-tagging costs."
        )
    return Experiment(
        "ablation",
        "Is a task defined by historical statistics better than one by declared category?",
        tuple(arms),
        tuple(claims),
        tuple(notes),
        _sets(facts),
    )


def alpha(settings: Settings, facts: RunFacts) -> Experiment:
    """Alpha half a per cent lower and higher than the run's."""
    two = settings.but(model={"mode": TWO_TOWER})
    now = Arm(f"alpha {facts.alpha:.2%}", two, scoring="own_tower")
    tried = [value for value in (facts.alpha - STEP, facts.alpha + STEP) if value > 0]
    others = [
        Arm(f"alpha {a:.2%}", two, ByHistory((("alpha", round(a, 9)),)), scoring="own_tower")
        for a in tried
    ]
    return Experiment(
        "alpha",
        "How much does the choice of alpha matter?",
        (now, *others),
        tuple(Claim(arm.name, now.name) for arm in others),
        (
            "The labeller assigns the log anew by each alpha, all other settings being the run's.",
            ROUTED,
        ),
        ("hard", "hard_in_all", "all"),
    )


def stabiliser(settings: Settings, facts: RunFacts) -> Experiment:
    """Training and routing with band, dwell and prior, and without (paper, section 3.2.3)."""
    two = settings.but(model={"mode": TWO_TOWER})
    now = Arm("as configured", two, scoring="own_tower")
    bare = ByHistory((("band", 0.0), ("min_dwell_days", 0)))
    plain = ByHistory(
        (
            ("band", 0.0),
            ("min_dwell_days", 0),
            ("prior_clicks", 2.0**-30),
            ("delay", "naive"),
            ("decide_by", "mean"),
        )
    )
    others = (
        Arm("without band and dwell", two, bare, scoring="own_tower"),
        Arm("plain CVR against alpha", two, plain, scoring="own_tower"),
    )
    return Experiment(
        "stabiliser",
        "Does a stable assignment make better hard predictions?",
        (*others, now),
        tuple(Claim(now.name, arm.name) for arm in others),
        (
            "Without band and dwell a setup changes side whenever its smoothed CVR crosses alpha; "
            "the plain rule has no prior and no delay correction either. `hardtower stability` "
            "counts the flips and wrong sides of each mechanism alone.",
            ROUTED,
        ),
        _sets(facts),
    )


def _sets(facts: RunFacts) -> tuple[str, ...]:
    return ("hard", "truly_hard", "all") if facts.truth else ("hard", "all")
