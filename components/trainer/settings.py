"""Settings of the network, its loss and its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from schemas.base import Frozen

Mode = Literal["two_tower", "one_task", "hard_only"]


class ModelSettings(Frozen):
    """Architecture: a stack of `cross_layers` cross layers, then one layer per `hidden_units`.

    The first `shared_layers` of the stack are shared by both tasks, the rest is duplicated in two
    towers (paper, section 3.1.1 and figure 1).
    """

    mode: Mode = "two_tower"
    """`two_tower` is the paper's model. `one_task` is its production baseline, one tower trained
    on all examples (table 3); `hard_only` is the baseline of table 1, one tower trained on the
    hard examples alone. Both have the layers of one path through the two-tower network."""
    cross_layers: Annotated[int, Field(ge=0, le=16)] = 3
    cross_rank: PositiveInt | None = None
    """Rank of the cross layers' weight; none is the full matrix of DCN-V2."""
    hidden_units: Annotated[tuple[PositiveInt, ...], Field(max_length=16)] = (256, 128)
    """Units of each feed-forward layer (ReLU)."""
    shared_layers: Annotated[int, Field(ge=0)] = 3
    """Layers of the stack that both tasks share; 0 shares the embeddings only."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a feed-forward layer's outputs that is dropped in training."""
    embedding_l2: Annotated[float, Field(ge=0)] = 0.0
    """Pull to zero: embedding_l2 * row is added to the gradient of each row that a step uses."""

    @model_validator(mode="after")
    def _shared_within_the_stack(self) -> ModelSettings:
        if self.shared_layers > self.layers:
            raise ValueError(
                f"shared_layers {self.shared_layers} is more than the stack's {self.layers} "
                f"(cross_layers {self.cross_layers} + {len(self.hidden_units)} hidden_units)"
            )
        return self

    @property
    def layers(self) -> int:
        """Length of the stack, the logits not counted."""
        return self.cross_layers + len(self.hidden_units)


class LossSettings(Frozen):
    """Equation (1): L = weight_soft * L_soft + weight_hard * L_hard.

    Adam is blind to a common factor, so that only the ratio of the two weights matters. Networks
    of one tower minimise the plain mean over their examples, whatever is set here.
    """

    weight_hard: Annotated[float, Field(ge=0)] = 0.5
    weight_soft: Annotated[float, Field(ge=0)] = 0.5
    reduction: Literal["task_mean", "batch_mean"] = "task_mean"
    """What L_task is. `task_mean`: the mean over the batch's examples of that task, so the weights
    are the tasks' shares of the gradient however rare a task is, and the fewer hard examples a
    batch holds, the more each counts. `batch_mean`: the sum over the task's examples divided by
    all examples of the batch, so the weights multiply examples, and equal weights leave each
    example counting the same. A task without examples in the batch adds 0 to either."""

    @model_validator(mode="after")
    def _some_weight(self) -> LossSettings:
        if self.weight_hard == 0:
            raise ValueError("weight_hard 0 leaves the served tower untrained; wanted above 0")
        return self


class TrainingSettings(Frozen):
    """How the loss is minimised."""

    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 1024
    """Examples a step; an epoch's batches are made as equal as can be, none above this."""
    epochs: PositiveInt = 5
    """Most passes over the training split."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's, for all but the embedding tables."""
    table_learning_rate: PositiveFloat | None = None
    """Adam's, for the embedding tables; none is `learning_rate`."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Adam's decay of the mean gradient, per step."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Adam's decay of the mean squared gradient, per step."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the mean squared gradient."""
    lazy_adam: bool = True
    """Embedding rows (and their moments) change only in the steps that use them. This is not
    exact Adam, which also decays the moments of unused rows and moves those rows by them; it
    costs the rows used rather than the whole table. False is exact Adam."""
    routed: bool = True
    """Each row passes through its own tower only: the same loss for fewer operations."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the layers' arithmetic. Weights, moments, logits and loss are float32 in either,
    and so is everything after training."""
    evaluate_every: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Epochs between two looks at the calibration split; there is always one at the end."""
    patience: PositiveInt | None = 3
    """Looks without a better log loss on hard calibration examples that end training; none runs
    all epochs. The weights of the best look are kept in either case."""
    evaluation_batch_size: Annotated[int, Field(ge=1, le=2**20)] = 8192
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Decides initial weights, order of examples and dropout."""
