"""Sizes from settings against the variables that are built, and operations by hand."""

import itertools

import numpy as np
import pytest

from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.size import forward_flops, matched, parameters, training_flops
from components.trainer.settings import ModelSettings
from components.transform.layout import FeatureLayout

# Two features 30 wide each and two numbers with their flags: an input 64 wide.
WIDE = FeatureLayout(("site", "ad"), (50, 70), (30, 30), ("price", "age"))
TABLES = 30 * (50 + 70)
WIDTH = 64


def settings(**changes: object) -> ModelSettings:
    defaults = {
        "wide": {"enabled": False},
        "cross_layers": 2,
        "hidden_units": (8, 4),
        "shared_layers": 2,
    }
    return ModelSettings.model_validate(defaults | changes)


@pytest.mark.parametrize("mode", ["two_tower", "one_task", "hard_only"])
@pytest.mark.parametrize("architecture", ["shared_bottom", "mmoe", "ple"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shared_layers": 3, "expert_rank": 3, "tier_boundaries": (0.1, 0.3)},
        {"shared_layers": 4, "cross_rank": 2, "experts": 1, "own_experts": 3},
        {"shared_layers": 3, "extraction_levels": 3, "tier_boundaries": (0.2,)},
        {"shared_layers": 4, "extraction_levels": 2, "expert_rank": 5, "cross_rank": 4},
        {"shared_layers": 1, "cross_layers": 0},
        {"shared_layers": 2, "hidden_units": ()},
    ],
)
def test_parameters_are_those_of_the_network(
    layout: FeatureLayout, architecture: str, mode: str, changes: dict
) -> None:
    model = settings(architecture=architecture, mode=mode, **changes)
    network = TwoTowerDCN(layout, model, seed=1)

    def size(variables: tuple) -> int:
        return sum(int(np.prod(v.shape)) for v in variables)

    found = parameters(model, layout)
    assert found == {
        "shared": size(network.shared_variables),
        **{tower: size(network.tower_variables(tower)) for tower in network.towers},
        "serving": size(network.path(network.serving_tower).variables),
        "full": size(network.variables),
    }


CROSS = WIDTH * WIDTH
MLP = WIDTH * 8 + 8 * 4 + 4


@pytest.mark.parametrize(
    ("changes", "serving", "routed", "unrouted"),
    [
        ({}, 2 * CROSS + MLP, 2 * CROSS + MLP, 2 * CROSS + 2 * MLP),
        (
            {"shared_layers": 1},
            2 * CROSS + MLP,
            CROSS + (CROSS + MLP),
            CROSS + 2 * (CROSS + MLP),
        ),
        (
            {"architecture": "mmoe", "experts": 3, "expert_rank": 5},
            # A gate's scores are 64 x 3 products; mixing three outputs takes 3 x 64 more.
            3 * 2 * 2 * WIDTH * 5 + 2 * WIDTH * 3 + MLP,
            3 * 2 * 2 * WIDTH * 5 + 2 * WIDTH * 3 + MLP,
            3 * 2 * 2 * WIDTH * 5 + 2 * (2 * WIDTH * 3 + MLP),
        ),
        (
            {"architecture": "ple", "experts": 2, "own_experts": 1},
            2 * 2 * CROSS + 2 * CROSS + 2 * WIDTH * 3 + MLP,
            2 * 2 * CROSS + 2 * CROSS + 2 * WIDTH * 3 + MLP,
            2 * 2 * CROSS + 2 * (2 * CROSS + 2 * WIDTH * 3 + MLP),
        ),
        (
            {"architecture": "ple", "experts": 1, "own_experts": 1, "extraction_levels": 2},
            # First level: three experts, the shared gate over all, a task's gate over its own.
            (3 * CROSS + 2 * WIDTH * 3 + 2 * WIDTH * 2) + (2 * CROSS + 2 * WIDTH * 2) + MLP,
            (3 * CROSS + 2 * WIDTH * 3 + 2 * 2 * WIDTH * 2) + (2 * CROSS + 2 * WIDTH * 2) + MLP,
            (3 * CROSS + 2 * WIDTH * 3 + 2 * 2 * WIDTH * 2)
            + CROSS
            + 2 * (CROSS + 2 * WIDTH * 2 + MLP),
        ),
    ],
)
def test_operations_by_hand(changes: dict, serving: int, routed: int, unrouted: int) -> None:
    model = settings(**changes)
    assert forward_flops(model, WIDE) == forward_flops(model, WIDE, "soft") == 2 * serving
    shares = {"hard": 0.25, "soft": 0.75}
    assert training_flops(model, WIDE, shares) == pytest.approx(6 * routed)
    assert training_flops(model, WIDE, None) == 6 * unrouted


def test_shares_weigh_towers_of_different_rows() -> None:
    model = settings(tier_boundaries=(0.2,))
    whole = {"hard": 0.2, "soft_1": 0.3, "soft_2": 0.5}
    assert training_flops(model, WIDE, whole) == pytest.approx(6 * (2 * CROSS + MLP))
    assert training_flops(model, WIDE, whole | {"soft_1": 0.0}) == pytest.approx(
        6 * (2 * CROSS + 0.7 * MLP)
    )


@pytest.mark.parametrize("by", ["full", "serving"])
@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "mmoe", "experts": 4},
        {"architecture": "mmoe", "experts": 8, "cross_rank": 16},
        {"architecture": "mmoe", "experts": 3, "shared_layers": 3, "hidden_units": (32, 16)},
        {"architecture": "mmoe", "experts": 3, "cross_layers": 0, "hidden_units": (96, 64, 8)},
        {"architecture": "ple", "experts": 2, "own_experts": 2},
        {"architecture": "ple", "experts": 1, "own_experts": 1, "extraction_levels": 2},
    ],
)
def test_matched_weighs_as_much_as_one_scale_allows(changes: dict, by: str) -> None:
    like = settings(hidden_units=(96, 64, 8))
    model = settings(**changes)
    scaled = matched(model, like, WIDE, by=by)
    wanted = parameters(like, WIDE)[by] - TABLES
    found = parameters(scaled, WIDE)[by] - TABLES
    assert abs(found - wanted) <= 0.1 * wanted
    untouched = {"expert_rank", "hidden_units"}
    assert scaled.model_dump(exclude=untouched) == model.model_dump(exclude=untouched)
    inside = max(0, model.shared_layers - model.cross_layers)
    assert scaled.hidden_units[inside:] == model.hidden_units[inside:]


def test_matched_is_the_best_of_all_ranks() -> None:
    like = settings()
    model = settings(architecture="mmoe", experts=4)
    distances = {
        rank: abs(
            parameters(settings(architecture="mmoe", experts=4, expert_rank=rank), WIDE)["full"]
            - parameters(like, WIDE)["full"]
        )
        for rank in range(1, 65)
    }
    assert matched(model, like, WIDE).expert_rank == min(distances, key=distances.__getitem__)


def test_matched_leaves_what_already_weighs_the_same() -> None:
    model = settings(architecture="ple", experts=2, own_experts=1)
    assert matched(model, model, WIDE) == model


def test_matched_has_nothing_to_scale_without_experts() -> None:
    with pytest.raises(ValueError, match="'shared_bottom' has no experts to scale"):
        matched(settings(), settings(), WIDE)


def test_more_experts_never_weigh_less() -> None:
    sizes = [
        parameters(settings(architecture="mmoe", experts=n), WIDE)["full"] for n in range(1, 6)
    ]
    assert all(b - a == 2 * (CROSS + WIDTH) + 2 * WIDTH for a, b in itertools.pairwise(sizes))
