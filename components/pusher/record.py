"""What a push did, as `push.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from schemas.base import Frozen

if TYPE_CHECKING:
    from components.trainer.export.pruning import GraphInventory, PruningProof


class Graph(Frozen):
    """What a SavedModel consists of, in numbers; `size` is in bytes."""

    variables: int
    parameters: int
    operations: int
    size: int

    @classmethod
    def of(cls, inventory: GraphInventory) -> Self:
        return cls(
            variables=len(inventory.variables),
            parameters=inventory.parameters,
            operations=len(inventory.operations),
            size=inventory.size,
        )


class Pruning(Frozen):
    """That the serving graph is the full graph without the soft tower (paper, section 3.2.1)."""

    serving: Graph
    full: Graph
    soft_variables: tuple[str, ...]
    """Variables of the full graph that the serving graph goes without."""
    examples: int
    largest_difference: float
    """Between the two graphs' hard probabilities on the examples."""

    @classmethod
    def of(cls, proof: PruningProof) -> Self:
        return cls(
            serving=Graph.of(proof.serving),
            full=Graph.of(proof.full),
            soft_variables=proof.soft_variables,
            examples=proof.examples,
            largest_difference=proof.largest_difference,
        )


class RefitCheck(Frozen):
    """One thing that a refit had to show."""

    name: str
    """`level_hard`, `level_all`, `distance`, `knowledge` or `pruning`."""
    passed: bool
    wanted: str
    detail: str
    """What was found, for people."""
    figures: Mapping[str, float | None] = Field(default_factory=dict)


class PushRecord(Frozen):
    """Contents of `push.json`."""

    pushed: bool
    """A new version was published."""
    version: int | None
    """The version that serves the model; null when none does."""
    path: str | None
    """Its folder."""
    reason: str
    """Why the model was or was not pushed, for people."""
    model_digest: str
    assignment_id: str
    pruning: Pruning | None
    """Null when the model was not blessed: then nothing had to be proved."""
    fit: Literal["refit", "judged"] = "judged"
    """Which fit the model is."""
    checks: tuple[RefitCheck, ...] = ()
    """Of a refit."""
