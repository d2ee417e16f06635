"""Settings of the evaluation and of the gate that blesses a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic import model_validator as validator

from schemas import labelled
from schemas.base import Frozen, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Column = Annotated[str, Field(min_length=1)]
Slice = Annotated[tuple[Column, ...], Field(max_length=4)]

Rig = Annotated[float, Field(ge=-100, le=1)]
"""A relative information gain, or a difference of two: 1 is a model that knows the outcomes."""

DEFAULT_SLICES: tuple[tuple[str, ...], ...] = (
    (),
    (labelled.TASK,),
    (labelled.THRESHOLD_BAND,),
    (labelled.CATEGORY,),
    (labelled.ADVERTISER_TYPE,),
    (labelled.CVR_BUCKET,),
    (labelled.SETUP_HISTORY,),
    (labelled.TASK, labelled.THRESHOLD_BAND),
    (labelled.TASK, labelled.CATEGORY),
    (labelled.TASK, labelled.ADVERTISER_TYPE),
    (labelled.TASK, labelled.CVR_BUCKET),
    (labelled.TASK, labelled.SETUP_HISTORY),
)


class EvaluationSettings(Frozen):
    """What is measured, and on which slices."""

    slices: tuple[Slice, ...] = DEFAULT_SLICES
    """Columns to slice by; several are crossed, none is the slice of all examples. A column is a
    field of the task labeller or a string column of the contract."""
    min_examples: PositiveInt = 500
    """Examples below which a slice is reported but not gated."""
    min_positives: PositiveInt = 20
    """Conversions below which a slice is reported but not gated."""
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 4096
    """Examples scored in one call of a model's signature."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 1000
    """Bootstrap resamples of the setups for the differences between two models."""
    seed: NonNegativeInt = 20240501
    """Seed of the bootstrap."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """Two-sided level of every bootstrap interval: at 0.9 its lower end is a one-sided bound of
    95%."""
    calibration_bins: Annotated[int, Field(ge=2, le=1000)] = 20
    """Bins of equal mass in the calibration curve."""

    @validator(mode="after")
    def _slices_differ(self) -> EvaluationSettings:
        sets = [frozenset(columns) for columns in self.slices]
        if repeated := [c for c in self.slices if len(frozenset(c)) < len(c)]:
            raise ValueError(f"slices: a column stands twice in {list(repeated[0])}")
        if twice := [c for c in self.slices if sets.count(frozenset(c)) > 1]:
            raise ValueError(f"slices: listed twice: {list(twice[0])}")
        for wanted in ((), (labelled.TASK,)):
            if frozenset(wanted) not in sets:
                raise ValueError(f"slices: {list(wanted)} is wanted, the gate reads it")
        return self


Rule = Literal["proven_not_worse", "not_proven_worse"]
ReferenceRule = Literal["reported", "not_proven_worse", "proven_not_worse"]


class GateSettings(Frozen):
    """When a candidate is blessed. The gate reads hard examples: no others are served."""

    min_hard_positives: PositiveInt = 50
    """Hard conversions in the evaluation period below which nothing is blessed."""
    min_hard_auc: Annotated[float, Field(ge=0, le=1)] = 0.55
    min_hard_rig: Rig = 0.0
    """Relative information gain (paper, equation 2); 0 is the constant that predicts the mean."""
    min_hard_calibration: PositiveFloat = 0.67
    """Lowest mean prediction over mean label on hard examples."""
    max_hard_calibration: PositiveFloat = 1.5
    """Highest mean prediction over mean label on hard examples."""
    calibration_deciles: Annotated[int, Field(ge=0, le=100)] = 10
    """Bins of equal mass by prediction, of hard examples, whose calibration is judged one by one;
    0 judges none."""
    min_decile_calibration: PositiveFloat = 0.5
    """Lowest mean prediction over mean label of a decile. Only a decile whose whole interval lies
    outside of the bounds blocks, so that few conversions do not block by chance."""
    max_decile_calibration: PositiveFloat = 2.0
    """Highest mean prediction over mean label of a decile, judged likewise."""
    max_rig_loss: NonNegativeFloat = 0.01
    """RIG on hard examples that the candidate may lose to the last blessed model, absolute."""
    hard_rule: Rule = "proven_not_worse"
    """`proven_not_worse`: the whole interval of the RIG difference must lie above the permitted
    loss, so too little data blocks. `not_proven_worse`: only an interval wholly below it blocks."""
    max_slice_rig_loss: NonNegativeFloat | None = 0.02
    """The same for each slice of hard examples that is large enough, judged by
    `not_proven_worse` because slices are small; none leaves slices unjudged."""
    references: ReferenceRule = "not_proven_worse"
    """What RIG on hard examples must be against the simple references, the logistic regression and
    the historical CVR. `not_proven_worse`: a candidate whose interval of the difference lies wholly
    below zero is not blessed. `proven_not_worse`: no part of the interval may lie below zero.
    `reported`: the verdict only tells. Whatever is asked for, the verdict's first sentence says of
    which references the candidate is not proven better."""
    require_lift_over_one_task: bool = False
    """Whether RIG on hard examples must beat the one-task model; otherwise it is only reported."""
    min_rig_lift_over_one_task: Rig = 0.0
    """RIG difference that the whole interval must exceed when a lift is required, absolute."""

    @validator(mode="after")
    def _bounds_in_order(self) -> GateSettings:
        for what in ("hard", "decile"):
            low, high = (getattr(self, f"{end}_{what}_calibration") for end in ("min", "max"))
            if low >= high:
                raise ValueError(
                    f"min_{what}_calibration {low} must be below max_{what}_calibration {high}"
                )
        return self
