"""What the named experiments consist of."""

from __future__ import annotations

import pytest

from components.trainer.network.size import parameters
from components.transform.layout import FeatureLayout
from labs.experiment.judging.judge import what_is
from labs.experiment.studies.arms import ByCategory, Experiment, Knowledge, Settings
from labs.experiment.studies.facts import RunFacts
from labs.experiment.studies.registry import EXPERIMENTS, build
from schemas.errors import InputError

LAYOUT = FeatureLayout(("site",), (50,), (16,), ("price",))
FACTS = RunFacts("c", LAYOUT, 0.01, True, True, True)


@pytest.fixture
def settings(tiny_settings: Settings) -> Settings:
    return tiny_settings.but(model={"hidden_units": (32, 16), "shared_layers": 2})


def made(name: str, settings: Settings, facts: RunFacts = FACTS) -> Experiment:
    return build(name, settings, facts)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_claims_are_about_arms(name: str, settings: Settings) -> None:
    experiment = made(name, settings)
    names = [arm.name for arm in experiment.arms]
    assert experiment.name == name
    assert len(set(names)) == len(names)
    assert experiment.claims
    assert {n for c in experiment.claims for n in (c.arm, c.against)} <= set(names)
    assert all(what_is(name) for name in experiment.sets)
    distinct = {
        repr((a.settings, a.assignment, a.swapped, a.folds, a.hard_kept, a.knows))
        for a in experiment.arms
    }
    assert len(distinct) == len(names)


def test_table1_has_the_papers_weights_and_figures(settings: Settings) -> None:
    experiment = made("table1", settings)
    weights = {a.name: a.settings.loss for a in experiment.arms if a.name.startswith("W_hard ")}
    assert [w.weight_hard for w in weights.values()] == [0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert all(w.weight_hard + w.weight_soft == pytest.approx(1) for w in weights.values())
    figures = {c.arm: c.paper_rig for c in experiment.claims if c.paper_rig}
    assert figures == {
        "W_hard 0.2": "+0.86%",
        "W_hard 0.5": "+1.17%",
        "W_hard 0.6": "+1.16%",
        "W_hard 0.7": "+1.04%",
        "W_hard 0.8": "+0.8%",
        "W_hard 0.9": "+0.55%",
    }
    assert {c.against for c in experiment.claims} == {"hard_only"}
    assert experiment.arms[0].settings.model.mode == "hard_only"


@pytest.mark.parametrize(("name", "shared"), [("table2", range(5)), ("depth", range(4, 9))])
def test_depth_experiments_differ_in_shared_layers_alone(
    name: str, shared: range, settings: Settings
) -> None:
    arms = made(name, settings).arms
    assert [a.settings.model.shared_layers for a in arms] == list(shared)
    assert {a.settings.model.layers for a in arms} == {8}
    alike = {a.settings.but(model={"shared_layers": 0}) for a in arms}
    assert len(alike) == 1
    assert arms[0].settings.model.hidden_units == (32, 32, 16, 16)


def test_table3(settings: Settings) -> None:
    experiment = made("table3", settings)
    first = experiment.claims[0]
    assert (first.arm, first.against) == ("two_tower", "one_task")
    assert (first.paper_rig, first.paper_auc) == ("+4.08%", "+0.69%")


def test_layers_and_linear_part_are_taken_away_in_turn(settings: Settings) -> None:
    halved = settings.but(model={"wide": {"share": 0.7, "blocks": 3}})
    arms = {arm.name: arm.settings for arm in made("layers", halved).arms}
    assert {
        name: (s.training.epochs, s.model.wide.enabled, s.model.wide.share, s.model.wide.blocks)
        for name, s in arms.items()
    } == {
        "linear part alone": (0, True, 1.0, 3),
        "layers alone": (halved.training.epochs, False, 0.7, 3),
        "two_tower": (halved.training.epochs, True, 0.7, 3),
    }
    assert {s.loss for s in arms.values()} == {halved.loss}


def test_freshness_differs_in_what_was_known(settings: Settings) -> None:
    facts = RunFacts("c", LAYOUT, 0.01, True, True, True, unjudged_days=37)
    arms = {arm.name: arm for arm in made("freshness", settings, facts).arms}
    assert {name: (arm.knows, arm.settings.training.labels) for name, arm in arms.items()} == {
        "judged fit served": (Knowledge("judged"), "corrected"),
        "refit, labels as observed": (Knowledge("served"), "observed"),
        "refit, corrected": (Knowledge("served"), "corrected"),
        "refit, final labels": (Knowledge("served", final=True), "corrected"),
    }
    assert {arm.settings.model for arm in arms.values()} == {
        arms["judged fit served"].settings.model
    }
    with pytest.raises(InputError, match="no conversion time"):
        made("freshness", settings, RunFacts("c", LAYOUT, 0.01, True, True, True, 37, False))


def test_architectures_weigh_the_same(settings: Settings) -> None:
    arms = made("architectures", settings).arms
    assert [a.settings.model.architecture for a in arms] == ["shared_bottom", "mmoe", "ple"]
    weights = [parameters(a.settings.model, LAYOUT)["full"] for a in arms]
    assert max(weights) < 1.15 * min(weights)


def test_what_a_run_lacks_is_left_out_or_refused(settings: Settings) -> None:
    bare = RunFacts("c", LAYOUT, 0.01, False, True, False)
    ablation = made("ablation", settings, bare)
    assert ByCategory(true=True) not in [a.assignment for a in ablation.arms]
    assert "truly_hard" not in ablation.sets
    with pytest.raises(InputError, match="no advertiser role"):
        made("transfer", settings, bare)
    with pytest.raises(InputError, match="no conversion_category role"):
        made("ablation", settings, RunFacts("c", LAYOUT, 0.01, True, False, True))
    with pytest.raises(InputError, match="wanted one below"):
        made("tiers", settings, RunFacts("c", LAYOUT, 0.05, True, True, True))
    with pytest.raises(InputError, match="seen 'table9', wanted one of table1, "):
        made("table9", settings)


def test_alpha_is_moved_by_half_a_per_cent_as_far_as_it_goes(settings: Settings) -> None:
    def tried(alpha: float) -> list[str]:
        facts = RunFacts("c", LAYOUT, alpha, True, True, True)
        return [arm.name for arm in made("alpha", settings, facts).arms]

    assert tried(0.01) == ["alpha 1.00%", "alpha 0.50%", "alpha 1.50%"]
    assert tried(0.004) == ["alpha 0.40%", "alpha 0.90%"]
