"""What a network weighs and costs, from its settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from components.trainer.settings import ModelSettings
from components.transform.layout import FeatureLayout

SHARED = "shared"


@dataclass(frozen=True)
class VariableGroup:
    """Variables that work together.

    Attributes:
      tower: the one tower that depends on them, or `shared`.
      parameters: numbers they hold.
      multiply_adds: of one example, in products with matrices and in mixing experts. Lookups,
        biases, activations and products by element are not counted.
      every_row: whether routed training passes every example through, or the tower's own alone.
    """

    tower: str
    parameters: int
    multiply_adds: int
    every_row: bool


def variable_groups(settings: ModelSettings, layout: FeatureLayout) -> list[VariableGroup]:
    """All variables of the network that `components.trainer.network.network` builds."""
    tables = sum(r * w for r, w in zip(layout.rows, layout.widths, strict=True))
    width = layout.input_width
    trunk = {"shared_bottom": _shared_bottom, "mmoe": _mmoe, "ple": _ple}[settings.architecture]
    own = _stack(range(settings.shared_layers, settings.layers), width, settings)
    last = settings.widths(width)[-1]
    return [
        VariableGroup(SHARED, tables, 0, True),
        *trunk(width, settings),
        *(VariableGroup(t, own[0] + last + 1, own[1] + last, False) for t in settings.towers),
        *(_wide(t, layout, settings) for t in settings.towers if settings.wide.enabled),
    ]


def parameters(settings: ModelSettings, layout: FeatureLayout) -> dict[str, int]:
    """Numbers held by the variables.

    >>> layout = FeatureLayout(categorical=("user",), rows=(100,), widths=(4,), numeric=("age",))
    >>> model = ModelSettings(cross_layers=1, cross_rank=None, hidden_units=(2,), shared_layers=1)
    >>> parameters(model, layout)["shared"]  # 100 x 4 in the table, 6 x 6 + 6 in the cross layer
    442

    Returns:
      `shared` (embedding tables included), each tower, `serving` (shared and the serving tower)
      and `full` (all).
    """
    held = dict.fromkeys((SHARED, *settings.towers), 0)
    for group in variable_groups(settings, layout):
        held[group.tower] += group.parameters
    serving = held[SHARED] + held[settings.towers[0]]
    return {**held, "serving": serving, "full": sum(held.values())}


def forward_flops(settings: ModelSettings, layout: FeatureLayout, tower: str | None = None) -> int:
    """Floating point operations of one prediction: 2 * multiply-adds, see `VariableGroup`.

    Args:
      settings, layout: the network.
      tower: the one that predicts; none is the serving tower.
    """
    names = (SHARED, tower or settings.towers[0])
    return 2 * sum(p.multiply_adds for p in variable_groups(settings, layout) if p.tower in names)


def training_flops(
    settings: ModelSettings, layout: FeatureLayout, shares: Mapping[str, float] | None
) -> float:
    """Floating point operations of one example in a training step, on average.

    The backward pass is counted as two forward ones: one matrix product for the gradient of the
    weights, one for that of the input.

    Args:
      settings, layout: the network.
      shares: of the examples that each tower learns from, for routed training; none is training
        that passes every example through every tower.
    """
    forward = sum(
        p.multiply_adds * (1 if shares is None or p.every_row else shares[p.tower])
        for p in variable_groups(settings, layout)
    )
    return 6 * forward


def matched(
    settings: ModelSettings,
    like: ModelSettings,
    layout: FeatureLayout,
    by: Literal["full", "serving"] = "full",
) -> ModelSettings:
    """`settings` with experts scaled until the network weighs as much as another's.

    The scale multiplies the rank of the experts' cross layers (a full matrix being of low rank
    with half its width: as many parameters) and the units of their feed-forward layers. What
    comes after the experts keeps its own rank and units.

    Args:
      settings: of an architecture with experts.
      like: the network to weigh as much as.
      layout: of both.
      by: which of the figures of `parameters` is to be equal.

    Returns:
      The settings whose figure is closest; `settings` themselves if none is closer.

    Raises:
      ValueError: the architecture has no experts.
    """
    if settings.architecture == "shared_bottom":
        raise ValueError("architecture 'shared_bottom' has no experts to scale; wanted mmoe or ple")
    wanted = parameters(like, layout)[by]

    def distance(candidate: ModelSettings) -> int:
        return abs(parameters(candidate, layout)[by] - wanted)

    return min([settings, *_scaled(settings, layout.input_width)], key=distance)


def _scaled(settings: ModelSettings, width: int) -> list[ModelSettings]:
    """From the smallest experts to twice the given ones."""
    cross = min(settings.cross_layers, settings.shared_layers)
    inside = settings.shared_layers - cross
    rank = settings.rank(0) if cross else None
    steps = (rank or max(1, width // 2)) if cross else settings.hidden_units[0]
    candidates = []
    for step in range(1, 2 * steps + 1):
        units = [max(1, round(u * step / steps)) for u in settings.hidden_units[:inside]]
        change = {
            "hidden_units": (*units, *settings.hidden_units[inside:]),
            "expert_rank": step if cross else settings.expert_rank,
        }
        candidates.append(settings.model_copy(update=change))
    return candidates


def _stack(layers: range, width: int, settings: ModelSettings) -> tuple[int, int]:
    """Parameters and multiply-adds of some layers of the stack, for an input of that width."""
    widths = settings.widths(width)
    held = spent = 0
    for i in layers:
        rank = settings.rank(i)
        if i >= settings.cross_layers or rank is None:
            products = widths[i] * widths[i + 1]
        else:
            products = 2 * width * rank
        spent += products
        held += products + widths[i + 1]
    return held, spent


def _wide(tower: str, layout: FeatureLayout, settings: ModelSettings) -> VariableGroup:
    numbers = layout.numeric_width
    rows = sum(layout.rows)
    if not settings.wide.tells_newcomers(layout):
        return VariableGroup(tower, rows + numbers + 1, numbers, False)
    return VariableGroup(tower, 3 * rows + 2 * (numbers + 1), 2 * numbers, False)


def _gate(inputs: int, experts: int, outputs: int) -> tuple[int, int]:
    return inputs * experts, inputs * experts + experts * outputs


def _shared_bottom(width: int, settings: ModelSettings) -> list[VariableGroup]:
    return [VariableGroup(SHARED, *_stack(range(settings.shared_layers), width, settings), True)]


def _mmoe(width: int, settings: ModelSettings) -> list[VariableGroup]:
    expert = VariableGroup(SHARED, *_stack(range(settings.shared_layers), width, settings), True)
    out = settings.widths(width)[settings.shared_layers]
    gate = _gate(width, settings.experts, out)
    return [
        *[expert] * settings.experts,
        *(VariableGroup(tower, *gate, False) for tower in settings.towers),
    ]


def _ple(width: int, settings: ModelSettings) -> list[VariableGroup]:
    widths, towers, groups = settings.widths(width), settings.towers, []
    for j, layers in enumerate(settings.levels):
        following = len(settings.levels) - 1 - j
        expert = _stack(layers, width, settings)
        inputs, outputs = widths[layers.start], widths[layers.stop]
        groups += [VariableGroup(SHARED, *expert, True)] * settings.experts
        every = settings.experts + settings.own_experts * len(towers)
        if following:
            groups.append(VariableGroup(SHARED, *_gate(inputs, every, outputs), True))
        gate = _gate(inputs, settings.experts + settings.own_experts, outputs)
        for tower in towers:
            of_experts = SHARED if following else tower
            of_gate = SHARED if following > 1 else tower
            groups += [VariableGroup(of_experts, *expert, following > 0)] * settings.own_experts
            groups.append(VariableGroup(of_gate, *gate, following > 0))
    return groups
