"""Experiments on the frozen assignment: what is trained differs, not what is hard."""

from __future__ import annotations

from dataclasses import replace

from components.trainer.network.size import matched, parameters
from components.trainer.settings import ModelSettings
from labs.experiment.studies.arms import Arm, Claim, Experiment, Knowledge, Settings
from labs.experiment.studies.facts import RunFacts
from schemas.errors import InputError

TWO_TOWER, ONE_TASK, HARD_ONLY = "two_tower", "one_task", "hard_only"

TABLE_1 = {0.2: "+0.86%", 0.5: "+1.17%", 0.6: "+1.16%", 0.7: "+1.04%", 0.8: "+0.8%", 0.9: "+0.55%"}
"""The paper's table 1: RIG by weight of the hard loss."""

TABLE_2 = {1: "+0.03%", 2: "+0.11%", 3: "+0.19%", 4: "+0.21%"}
"""The paper's table 2: RIG by shared layers."""

TABLE_3 = ("+4.08%", "+0.69%")
"""The paper's table 3: RIG and AUC."""

CROSS_LAYERS = FEED_FORWARD = 4
"""The stack of the depth experiments, cross layers first: eight layers."""

JUDGED_SERVED, REFIT_NAIVE = "judged fit served", "refit, labels as observed"
REFIT_CORRECTED, REFIT_FINAL = "refit, corrected", "refit, final labels"

LINEAR_ALONE, LAYERS_ALONE = "linear part alone", "layers alone"

HARD_KEPT = (1.0, 0.5, 0.25, 0.1)
"""Shares of the hard examples that are learned from."""

FOLDS = 3
"""Turns in which advertisers are left out."""

TIERS = {2: (), 3: (0.1,), 5: (0.03, 0.1, 0.3)}
"""Boundaries of the soft tiers, historical CVR, by number of towers."""


def table1(settings: Settings, facts: RunFacts) -> Experiment:
    """W_hard from 0.2 to 1 against hard examples alone (paper, table 1)."""
    two = settings.but(model={"mode": TWO_TOWER})
    weights = {
        f"W_hard {weight:g}": two.but(loss={"weight_hard": weight, "weight_soft": 1 - weight})
        for weight in (*TABLE_1, 1.0)
    }
    only = one_tower(settings, HARD_ONLY)
    arms = [Arm(HARD_ONLY, only), Arm("soft_only (W_hard 0)", only, swapped=True)]
    arms += [Arm(name, changed) for name, changed in weights.items()]
    reported = {f"W_hard {weight:g}": figure for weight, figure in TABLE_1.items()}
    return Experiment(
        "table1",
        "Do soft examples help the hard tower, and at which weight?",
        tuple(arms),
        tuple(Claim(a.name, HARD_ONLY, reported.get(a.name, "")) for a in arms[1:]),
        (
            "W_soft is 1 - W_hard. hard_only is one tower trained on hard examples alone.",
            "W_hard 1 has the loss of hard_only, but its batches are drawn from all examples: each "
            "holds fewer hard ones, and an epoch has more steps.",
            "W_hard 0 would leave the served tower at its initial weights, and the settings refuse "
            "it. In its place stands what soft examples alone can tell: a network trained on them "
            "and guarded by them, scoring hard examples. It predicts soft rates; its AUC and its "
            "RIG after Platt scaling are what can be compared.",
        ),
    )


def table2(settings: Settings, facts: RunFacts) -> Experiment:
    """0 to 4 shared layers against none (paper, table 2)."""
    return _by_depth("table2", settings, range(5), 0, "Does sharing more layers help?", TABLE_2)


def depth(settings: Settings, facts: RunFacts) -> Experiment:
    """4 to 8 shared layers against the paper's deepest, 4."""
    question = "Does sharing hurt past the four layers that the paper tried?"
    return _by_depth("depth", settings, range(4, 9), 4, question, {})


def _by_depth(
    name: str,
    settings: Settings,
    shared: range,
    baseline: int,
    question: str,
    reported: dict[int, str],
) -> Experiment:
    deep = settings.but(model=deep_stack(settings.model))
    arms = [Arm(_shared(n), deep.but(model={"shared_layers": n})) for n in shared]
    claims = [
        Claim(_shared(n), _shared(baseline), reported.get(n, "")) for n in shared if n != baseline
    ]
    units = ", ".join(str(u) for u in deep.model.hidden_units)
    notes = (
        f"The stack has {CROSS_LAYERS + FEED_FORWARD} layers in every arm: {CROSS_LAYERS} cross "
        f"layers, then feed-forward layers of {units} units. `shared n` shares embeddings and the "
        "first n of them; with all shared, the towers differ in their last linear layer alone. A "
        "path from input to prediction is equally deep in all arms; the fewer layers are shared, "
        "the more parameters there are.",
    )
    return Experiment(name, question, tuple(arms), tuple(claims), notes)


def _shared(layers: int) -> str:
    return f"shared {layers}"


def deep_stack(model: ModelSettings) -> dict[str, object]:
    """The stack of the depth experiments: each of the run's hidden widths is repeated."""
    units = model.hidden_units or (64,)
    repeats = -(-FEED_FORWARD // len(units))
    wide = tuple(u for u in units for _ in range(repeats))[:FEED_FORWARD]
    return {"mode": TWO_TOWER, "cross_layers": CROSS_LAYERS, "hidden_units": wide}


def table3(settings: Settings, facts: RunFacts) -> Experiment:
    """Two towers against one task (paper, table 3)."""
    arms = (
        Arm(ONE_TASK, one_tower(settings, ONE_TASK)),
        Arm(HARD_ONLY, one_tower(settings, HARD_ONLY)),
        Arm(TWO_TOWER, settings.but(model={"mode": TWO_TOWER})),
    )
    return Experiment(
        "table3",
        "Does the two-tower network predict hard conversions better than one task for all?",
        arms,
        (Claim(TWO_TOWER, ONE_TASK, *TABLE_3), Claim(TWO_TOWER, HARD_ONLY)),
        (
            "one_task is one tower trained on all examples, the paper's production baseline; "
            "hard_only is one tower trained on hard examples alone.",
        ),
    )


def layers(settings: Settings, facts: RunFacts) -> Experiment:
    """The network against its linear part alone, and against its layers alone."""
    wide = settings.model.wide.model_dump() | {"enabled": True}
    both = settings.but(model={"mode": TWO_TOWER, "wide": wide})
    alone = both.but(model={"wide": wide | {"share": 1.0}}, training={"epochs": 0})
    arms = (
        Arm(LINEAR_ALONE, alone),
        Arm(LAYERS_ALONE, both.but(model={"wide": wide | {"enabled": False}})),
        Arm(TWO_TOWER, both),
    )
    return Experiment(
        "layers",
        "What do the layers add to the linear part under them?",
        arms,
        tuple(Claim(TWO_TOWER, other) for other in (LINEAR_ALONE, LAYERS_ALONE)),
        (
            "All arms have two towers. The linear part alone is fitted as it is under the layers, "
            "and then no step is taken; the layers alone have the run's own passes and rates.",
        ),
    )


def tiers(settings: Settings, facts: RunFacts) -> Experiment:
    """Three and five CVR tiers against two."""
    lowest = min(boundaries[0] for boundaries in TIERS.values() if boundaries)
    if facts.alpha >= lowest:
        raise InputError(f"tiers: alpha is {facts.alpha}; wanted one below {lowest}")
    arms = [
        Arm(
            f"{number} tiers",
            settings.but(model={"mode": TWO_TOWER, "tier_boundaries": boundaries}),
        )
        for number, boundaries in TIERS.items()
    ]
    shown = "; ".join(
        f"{number} tiers: {', '.join(f'{b:.0%}' for b in boundaries)}"
        for number, boundaries in TIERS.items()
        if boundaries
    )
    return Experiment(
        "tiers",
        "Do more towers for the soft conversions help the hard ones?",
        tuple(arms),
        tuple(Claim(arm.name, arms[0].name) for arm in arms[1:]),
        (
            f"The soft examples are split by historical CVR at boundaries ({shown}); the hard tier "
            "is the same in all arms.",
        ),
    )


def architectures(settings: Settings, facts: RunFacts) -> Experiment:
    """MMoE and PLE against the paper's shared bottom, at equal parameters."""
    bottom = settings.but(model={"mode": TWO_TOWER, "architecture": "shared_bottom"})
    arms = [Arm("shared_bottom", bottom)]
    for name in ("mmoe", "ple"):
        plain = bottom.but(model={"architecture": name})
        arms.append(
            Arm(name, replace(plain, model=matched(plain.model, bottom.model, facts.layout)))
        )
    held = ", ".join(
        f"{arm.name} {parameters(arm.settings.model, facts.layout)['full']:,}" for arm in arms
    )
    return Experiment(
        "architectures",
        "Do gated experts help, by keeping soft examples from disturbing hard ones?",
        tuple(arms),
        tuple(Claim(arm.name, "shared_bottom") for arm in arms[1:]),
        (
            "Experts are made smaller until the network holds as many parameters as the shared "
            f"bottom's, embedding tables included: {held}. Towers are the same in all arms.",
        ),
    )


def freshness(settings: Settings, facts: RunFacts) -> Experiment:
    """What is served on the days after an as-of day, by what it had learned from."""
    if not facts.timed:
        raise InputError(f"freshness: contract {facts.contract} has no conversion time")
    two = settings.but(model={"mode": TWO_TOWER})
    naive, corrected = (two.but(training={"labels": how}) for how in ("observed", "corrected"))
    arms = (
        _fresh(JUDGED_SERVED, corrected, Knowledge("judged")),
        _fresh(REFIT_NAIVE, naive, Knowledge("served")),
        _fresh(REFIT_CORRECTED, corrected, Knowledge("served")),
        _fresh(REFIT_FINAL, corrected, Knowledge("served", final=True)),
    )
    judged_by = (
        "Judged by the simulator's true probabilities; RIG, AUC and calibration by the labels that "
        "it drew."
        if facts.truth
        else "No truth is known of this log: the judged days are those whose labels are mature, "
        "and all figures rest on the conversions that happened to be drawn."
    )
    return Experiment(
        "freshness",
        "What is it worth to serve what was learned until yesterday?",
        arms,
        (
            *(Claim(arm.name, JUDGED_SERVED) for arm in arms[1:]),
            Claim(REFIT_CORRECTED, REFIT_NAIVE),
            Claim(REFIT_CORRECTED, REFIT_FINAL),
        ),
        (
            "For each of several as-of days every arm is fitted on what was known on that day, and "
            f"scores the days after it. {judged_by}",
            f"`{JUDGED_SERVED}` is what the gate would have judged on that day, put to service: "
            f"the newest click that it knows is {facts.unjudged_days + 1} days older than the "
            "first that it answers.",
            "The refits learn from all clicks before the as-of day: from labels as observed by "
            "then, taken as they are or corrected by each click's completeness as known on that "
            "day, and from final ones, which nobody can have (the ceiling).",
            "Tasks are those of the labeller on each click's day, and each example is scored by "
            "the tower of its task. The feature graph is the run's served fit's for all arms "
            "and days; ids that an arm has not met have no weight in it.",
        ),
        ("hard", "all", "hard_quick", "hard_slow", "hard_known", "hard_new", *facts.day_sets),
    )


def _fresh(name: str, settings: Settings, knows: Knowledge) -> Arm:
    return Arm(name, settings, scoring="own_tower", knows=knows)


def dose_response(settings: Settings, facts: RunFacts) -> Experiment:
    """What soft examples are worth the fewer hard ones there are (paper, section 1: hard
    conversions are too rare to learn from alone)."""
    ways = {
        ONE_TASK: one_tower(settings, ONE_TASK),
        HARD_ONLY: one_tower(settings, HARD_ONLY),
        TWO_TOWER: settings.but(model={"mode": TWO_TOWER}),
    }

    def name(mode: str, share: float) -> str:
        return f"{mode}, {share:.0%} of hard"

    return Experiment(
        "dose_response",
        "Do soft examples help more where hard ones are scarcer?",
        tuple(
            Arm(name(mode, share), of_mode, hard_kept=share)
            for share in HARD_KEPT
            for mode, of_mode in ways.items()
        ),
        tuple(
            Claim(name(TWO_TOWER, share), name(baseline, share))
            for baseline in (HARD_ONLY, ONE_TASK)
            for share in HARD_KEPT
        ),
        (
            "Of the hard examples of train and calibration a share is kept, drawn anew for each "
            "seed, conversions and others alike, so that rates stay what they were; soft examples "
            "are all kept. The arms of a share and a seed learn from the same examples, and all "
            "arms are judged on all hard examples.",
        ),
    )


def transfer(settings: Settings, facts: RunFacts) -> Experiment:
    """Each advertiser's hard examples, scored by networks that have not seen the advertiser."""
    if not facts.advertisers:
        raise InputError(f"transfer: contract {facts.contract} has no advertiser role")
    two = settings.but(model={"mode": TWO_TOWER})
    arms = (
        Arm("two_tower, seen", two),
        Arm("one_task, unseen", one_tower(settings, ONE_TASK), folds=FOLDS),
        Arm("hard_only, unseen", one_tower(settings, HARD_ONLY), folds=FOLDS),
        Arm("two_tower, unseen", two, folds=FOLDS),
    )
    return Experiment(
        "transfer",
        "Does what soft examples teach carry over to advertisers that training has not seen?",
        arms,
        (
            Claim("two_tower, unseen", "one_task, unseen"),
            Claim("two_tower, unseen", "hard_only, unseen"),
            Claim("two_tower, unseen", "two_tower, seen"),
        ),
        (
            f"Advertisers fall into {FOLDS} groups by a hash of their id. Each group is left out "
            "of train and calibration in turn, and its eval examples are scored by the network "
            "that has not seen it: every hard example counts once. The run's vocabularies and the "
            "frozen assignment have seen all advertisers.",
        ),
    )


def one_tower(settings: Settings, mode: str) -> Settings:
    """A baseline of one tower with the layers of one path through the two-tower network."""
    return settings.but(model={"mode": mode, "tier_boundaries": ()})
