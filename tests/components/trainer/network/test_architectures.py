"""Experts and gates: parameters by hand, arithmetic against NumPy, where gradients go."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from layout_sizes import CROSS, DENSE_4, DENSE_8, LOGIT, RANK_2, ROW_IDS, ROW_NUMS, TABLES

from components.trainer.data.batches import Batch, shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout

Clicks = Callable[..., Columns]
Array = npt.NDArray[np.float32]

IDS = tf.constant(ROW_IDS, tf.int32)
NUMS = tf.constant(ROW_NUMS)
MLP = DENSE_8 + DENSE_4 + LOGIT

ARCHITECTURES = {
    "shared_bottom": {},
    "mmoe": {"architecture": "mmoe", "experts": 3},
    "ple": {"architecture": "ple", "experts": 2, "own_experts": 1},
    "ple of 2 levels": {"architecture": "ple", "extraction_levels": 2, "own_experts": 2},
    "ple of 3 levels": {"architecture": "ple", "extraction_levels": 3, "shared_layers": 3},
}
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)
every_tiering = pytest.mark.parametrize("boundaries", [(), (0.2, 0.4)], ids=["2 towers", "tiers"])


def settings(**changes: object) -> ModelSettings:
    defaults = {
        "wide": {"enabled": False},
        "cross_layers": 2,
        "hidden_units": (8, 4),
        "shared_layers": 2,
    }
    return ModelSettings.model_validate(defaults | changes)


def build(layout: FeatureLayout, architecture: str, **changes: object) -> TwoTowerDCN:
    return TwoTowerDCN(layout, settings(**(ARCHITECTURES[architecture] | changes)), seed=1)


def size(variables: tuple[tf.Variable, ...]) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize(
    ("changes", "shared", "tower"),
    [
        ({"architecture": "mmoe", "experts": 3}, 3 * 2 * CROSS, 12 * 3 + MLP),
        (
            {"architecture": "mmoe", "experts": 3, "shared_layers": 3},
            3 * (2 * CROSS + DENSE_8),
            12 * 3 + DENSE_4 + LOGIT,
        ),
        (
            {"architecture": "mmoe", "experts": 2, "shared_layers": 4},
            2 * (2 * CROSS + DENSE_8 + DENSE_4),
            12 * 2 + LOGIT,
        ),
        (
            {"architecture": "mmoe", "experts": 3, "shared_layers": 1, "expert_rank": 2},
            3 * RANK_2,
            12 * 3 + CROSS + MLP,
        ),
        (
            {"architecture": "mmoe", "experts": 3, "shared_layers": 1, "cross_rank": 2},
            3 * RANK_2,
            12 * 3 + RANK_2 + MLP,
        ),
        (
            {"architecture": "ple", "experts": 2, "own_experts": 1},
            2 * 2 * CROSS,
            2 * CROSS + 12 * (2 + 1) + MLP,
        ),
        (
            {"architecture": "ple", "experts": 1, "own_experts": 2, "tier_boundaries": (0.1,)},
            2 * CROSS,
            2 * 2 * CROSS + 12 * (1 + 2) + MLP,
        ),
        (
            {"architecture": "ple", "experts": 2, "own_experts": 1, "extraction_levels": 2},
            # 2 shared experts and one of each task, their shared gate; 2 shared experts.
            4 * CROSS + 12 * 4 + 2 * CROSS,
            # A gate, then an expert with its gate.
            12 * 3 + CROSS + 12 * 3 + MLP,
        ),
        (
            {
                "architecture": "ple",
                "experts": 1,
                "own_experts": 1,
                "extraction_levels": 3,
                "shared_layers": 4,
            },
            # Levels of two cross layers, one dense layer and another.
            (3 * 2 * CROSS + 12 * 3 + 2 * 12 * 2) + (3 * DENSE_8 + 12 * 3) + DENSE_4,
            12 * 2 + (DENSE_4 + 8 * 2) + LOGIT,
        ),
    ],
)
def test_parameters_by_hand(layout: FeatureLayout, changes: dict, shared: int, tower: int) -> None:
    network = TwoTowerDCN(layout, settings(**changes), seed=1)
    assert size(network.shared_variables) == TABLES + shared
    assert [size(network.tower_variables(t)) for t in network.towers] == [tower] * len(
        network.towers
    )
    assert size(network.variables) == TABLES + shared + tower * len(network.towers)
    assert all(x.shape == (4,) for x in network.logits(IDS, NUMS).values())
    assert {v.ref() for v in network.variables} == {
        v.ref() for v in (*network.embedding.variables, *network.dense_variables)
    }
    assert len({v.name for v in network.variables}) == len(network.variables)


@every_tiering
@every_architecture
def test_a_path_holds_what_its_tower_depends_on_and_nothing_else(
    layout: FeatureLayout, architecture: str, boundaries: tuple[float, ...]
) -> None:
    network = build(layout, architecture, tier_boundaries=boundaries)
    wanted = network.logits(IDS, NUMS)
    paths = {tower: network.path(tower) for tower in network.towers}
    held = {tower: {v.ref() for v in path.variables} for tower, path in paths.items()}
    for tower, path in paths.items():
        with tf.GradientTape() as tape:
            logit = path(IDS, NUMS)
        np.testing.assert_array_equal(logit, wanted[tower])
        assert None not in tape.gradient(logit, path.variables)
        assert held[tower] == {
            v.ref() for v in (*network.shared_variables, *network.tower_variables(tower))
        }
    assert set.intersection(*held.values()) == {v.ref() for v in network.shared_variables}
    for tower in network.towers:
        others = set.union(*(refs for name, refs in held.items() if name != tower))
        own = held[tower] - others
        assert own == {v.ref() for v in network.tower_variables(tower)}
        assert all(v.deref().name.startswith(f"{tower}/") for v in own)
    soft = {v.ref() for v in network.soft_variables}
    assert soft == {v.ref() for v in network.variables} - held["hard"]


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Reference:
    """The layers in NumPy, by the names of their variables."""

    def __init__(self, network: TwoTowerDCN) -> None:
        rng = np.random.default_rng(8)
        for v in network.variables:
            v.assign(rng.normal(0, 0.3, v.shape))
        self.weights = {v.name[:-2]: v.numpy() for v in network.variables}
        narrow, wide = self.weights["shared/embedding/w2"], self.weights["shared/embedding/w4"]
        self.x0 = np.array(
            [
                [*narrow[a], *wide[s], *wide[7 + h], *n]
                for (s, a, h), n in zip(IDS.numpy(), NUMS.numpy(), strict=True)
            ]
        )

    def layers(self, scope: str, names: tuple[str, ...], x: Array) -> Array:
        for name in names:
            y = x @ self.weights[f"{scope}/{name}/kernel"] + self.weights[f"{scope}/{name}/bias"]
            x = np.maximum(y, 0) if name.startswith("dense") else self.x0 * y + x
        return x

    def mix(self, gate: str, selector: Array, outputs: list[Array]) -> Array:
        g = softmax(selector @ self.weights[f"{gate}/kernel"])
        return sum(g[:, [k]] * output for k, output in enumerate(outputs))

    def logit(self, tower: str, names: tuple[str, ...], x: Array) -> Array:
        x = self.layers(tower, names, x)
        return (x @ self.weights[f"{tower}/logit/kernel"] + self.weights[f"{tower}/logit/bias"])[
            :, 0
        ]


def test_mmoe_against_numpy(layout: FeatureLayout) -> None:
    network = build(layout, "mmoe", shared_layers=1)
    reference = Reference(network)
    experts = [reference.layers(f"shared/expert_{k}", ("cross_0",), reference.x0) for k in range(3)]
    for tower, found in network.logits(IDS, NUMS).items():
        x = reference.mix(f"{tower}/gate", reference.x0, experts)
        wanted = reference.logit(tower, ("cross_1", "dense_0", "dense_1"), x)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_one_level_of_ple_against_numpy(layout: FeatureLayout) -> None:
    network = build(layout, "ple")
    reference = Reference(network)
    x0, cross = reference.x0, ("cross_0", "cross_1")
    shared = [reference.layers(f"shared/level_0/shared_expert_{k}", cross, x0) for k in range(2)]
    for tower, found in network.logits(IDS, NUMS).items():
        own = reference.layers(f"{tower}/level_0/expert_0", cross, x0)
        x = reference.mix(f"{tower}/level_0/gate", x0, [own, *shared])
        wanted = reference.logit(tower, ("dense_0", "dense_1"), x)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_three_levels_of_ple_against_numpy(layout: FeatureLayout) -> None:
    network = build(layout, "ple of 3 levels", experts=1, own_experts=2)
    reference = Reference(network)
    x = dict.fromkeys(("hard", "soft", "shared"), reference.x0)
    levels = [("cross_0",), ("cross_1",), ("dense_0",)]
    for j, names in enumerate(levels):
        own = "{}/level_2/" if j == 2 else f"shared/level_{j}/{{}}_"
        outputs = {
            t: [reference.layers(f"{own.format(t)}expert_{k}", names, x[t]) for k in range(2)]
            for t in ("hard", "soft")
        }
        shared = reference.layers(f"shared/level_{j}/shared_expert_0", names, x["shared"])
        following = {
            t: reference.mix(
                f"{t}/level_{j}/gate" if j else f"shared/level_{j}/{t}_gate",
                x[t],
                [*outputs[t], shared],
            )
            for t in ("hard", "soft")
        }
        if j < 2:
            every = [*outputs["hard"], *outputs["soft"], shared]
            following["shared"] = reference.mix(f"shared/level_{j}/shared_gate", x["shared"], every)
        x = following
    for tower, found in network.logits(IDS, NUMS).items():
        wanted = reference.logit(tower, ("dense_1",), x[tower])
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["two_tower", "one_task", "hard_only"])
@pytest.mark.parametrize("shared_layers", [1, 2, 3, 4])
def test_mmoe_of_one_expert_is_shared_bottom(
    layout: FeatureLayout, shared_layers: int, mode: str
) -> None:
    mixture = build(layout, "mmoe", experts=1, shared_layers=shared_layers, mode=mode)
    plain = build(layout, "shared_bottom", shared_layers=shared_layers, mode=mode)
    weights = {v.name.replace("/expert_0/", "/"): v for v in mixture.variables}
    for variable in plain.variables:
        variable.assign(weights[variable.name])
    for tower, wanted in plain.logits(IDS, NUMS).items():
        np.testing.assert_allclose(mixture.logits(IDS, NUMS)[tower], wanted, rtol=1e-6)


def step_of(network: TwoTowerDCN, *, routed: bool, loss: LossSettings | None = None) -> TrainStep:
    network.set_base_rates(dict.fromkeys(network.towers, 0.2))
    return TrainStep(network, loss or LossSettings(), TrainingSettings(routed=routed))


def batch_of(columns: Columns, network: TwoTowerDCN) -> Batch:
    boundaries = network.settings.tier_boundaries
    return next(shuffled_batches(columns, len(columns), seed=1, epoch=0, boundaries=boundaries))


def gradients(step: TrainStep, batch: Batch) -> tuple[float, dict[str, Array]]:
    """Loss, and gradients by variable name, those of tables for the rows in use."""
    losses, dense, tables = step.gradients(tuple(map(tf.constant, batch)))
    found = {v.name: g.numpy() for v, g in zip(step.network.dense_variables, dense, strict=True)}
    found |= {f"shared/table_{i}": table.values.numpy() for i, table in enumerate(tables)}
    return float(losses.total), found


@pytest.mark.parametrize("routed", [True, False], ids=["routed", "unrouted"])
@every_tiering
@every_architecture
def test_examples_reach_their_own_tower_and_experts_and_what_is_shared(
    layout: FeatureLayout,
    clicks: Clicks,
    architecture: str,
    boundaries: tuple[float, ...],
    routed: bool,
) -> None:
    network = build(layout, architecture, tier_boundaries=boundaries)
    step = step_of(network, routed=routed)
    columns = clicks(240, seed=1)
    everything = batch_of(columns, network)
    assert (everything.counts > 20).all()
    ends = np.cumsum(everything.counts)
    for i, task in enumerate(network.settings.tasks):
        rows = slice(ends[i] - everything.counts[i], ends[i])
        batch = Batch(
            everything.ids[rows],
            everything.nums[rows],
            everything.label[rows],
            np.where(np.arange(len(ends)) == i, everything.counts, 0).astype(np.int32),
            everything.weight[rows],
            everything.completeness[rows],
            everything.offset[rows],
        )
        _, found = gradients(step, batch)
        for name, gradient in found.items():
            assert np.isfinite(gradient).all()
            assert gradient.any() == name.startswith((f"{task}/", "shared/")), (task, name)


@pytest.mark.parametrize("hard_share", [0.0, 0.4])
@every_tiering
@every_architecture
def test_routing_changes_nothing_in_any_architecture(
    layout: FeatureLayout,
    clicks: Clicks,
    architecture: str,
    boundaries: tuple[float, ...],
    hard_share: float,
) -> None:
    loss = LossSettings(weight_hard=0.7, weight_soft=0.3)
    columns = clicks(200, seed=2, hard_share=hard_share)
    found = []
    for routed in (False, True):
        network = build(layout, architecture, tier_boundaries=boundaries)
        step = step_of(network, routed=routed, loss=loss)
        found.append(gradients(step, batch_of(columns, network)))
    (wanted_loss, wanted), (routed_loss, routed_gradients) = found
    assert routed_loss == pytest.approx(wanted_loss, rel=1e-5)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(
            routed_gradients[name], gradient, rtol=1e-3, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("architecture", ["mmoe", "ple of 2 levels"])
def test_experts_in_bfloat16_stay_close(
    layout: FeatureLayout, clicks: Clicks, architecture: str
) -> None:
    columns, found = clicks(300, seed=4, signal=1.0), []
    for precision in ("float32", "bfloat16"):
        network = build(layout, architecture)
        step = TrainStep(network, LossSettings(), TrainingSettings(precision=precision))
        found.append(gradients(step, batch_of(columns, network)))
    assert found[1][0] == pytest.approx(found[0][0], rel=5e-3)
    assert found[1][0] != found[0][0]
    assert {g.dtype for g in found[1][1].values()} == {np.dtype(np.float32)}


@every_architecture
def test_every_architecture_learns(
    layout: FeatureLayout, clicks: Clicks, architecture: str
) -> None:
    network = build(layout, architecture, tier_boundaries=(0.3,), dropout=0.1)
    network.set_base_rates(dict.fromkeys(network.towers, 0.2))
    step = TrainStep(network, LossSettings(), TrainingSettings(learning_rate=0.01))
    columns = clicks(1000, seed=3, signal=2.0)
    losses = [
        float(step(batch).total)
        for epoch in range(6)
        for batch in shuffled_batches(columns, 250, seed=1, epoch=epoch, boundaries=(0.3,))
    ]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


def test_experts_start_apart(layout: FeatureLayout) -> None:
    network = build(layout, "ple of 2 levels")
    kernels = [v.numpy() for v in network.variables if v.name.endswith("cross_0/kernel:0")]
    assert len(kernels) == 4 + 2 * 2
    assert len({k.tobytes() for k in kernels}) == len(kernels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "mmoe", "shared_layers": 0}, "'mmoe' without layers; wanted at least 1"),
        ({"architecture": "ple", "shared_layers": 0}, "'ple' without layers; wanted at least 1"),
        (
            {"architecture": "ple", "extraction_levels": 3},
            "shared_layers 2 leaves experts of architecture 'ple' .* at least 3",
        ),
        ({"architecture": "cgc"}, "'shared_bottom', 'mmoe' or 'ple'"),
        ({"experts": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_network(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_levels_part_the_layers() -> None:
    model = settings(architecture="ple", extraction_levels=3, shared_layers=4)
    assert model.levels == (range(0, 2), range(2, 3), range(3, 4))
