"""Settings of the network, its loss and its training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Days, Frozen, NonNegativeFloat, PositiveFloat, PositiveInt
from schemas.labelled import HARD, SOFT

if TYPE_CHECKING:
    from components.transform.layout import FeatureLayout

Mode = Literal["two_tower", "one_task", "hard_only"]
Architecture = Literal["shared_bottom", "mmoe", "ple"]
FitName = Literal["judged", "served"]
"""`judged`: what was known when the eval period began. `served`: what is known at as_of."""
Labels = Literal["observed", "corrected", "mature"]


Width = Annotated[int, Field(ge=1, le=65_536)]
"""Units of a layer, or the rank of a matrix."""

LearningRate = Annotated[float, Field(gt=0, le=100)]

ALL = "all"
"""Name of the one-task network's tower."""


class WideSettings(Frozen):
    """The linear part beside the layers: a weight per id and number (`components.trainer.wide`).

    logit_t(x) = b_t + sum_f (w_f[id] + w_{t,f}[id]) + numbers likewise + layers_t(x)
    """

    enabled: bool = True
    """Off leaves the layers alone to predict."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What part of its logit, less the intercept, the layers are trained on top of. Below 1 they
    learn the rest anew, in their own way: half an average of two models, which pays where few ids
    and many numbers leave the layers as good as the linear part."""
    max_sweeps: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most passes over the fields while penalties are learnt."""
    tolerance: PositiveFloat = 1e-5
    """Relative change of the evidence's objective that ends them earlier."""
    blocks: Annotated[int, Field(ge=2, le=50)] = 5
    """Consecutive periods of the training split, each left out once to see what carries over."""
    fold_sweeps: PositiveInt = 2
    """Passes without each period."""
    refit_sweeps: PositiveInt = 4
    """Passes on all examples at the final penalties."""
    newcomers: bool = True
    """An advertiser that training has not seen is predicted by weights that were fitted without
    the ids that come with one advertiser (its own, its campaigns', creatives', goals'): beside
    those ids the other fields and the historical CVR say less than they know. Where the contract's
    advertiser is no feature there is nothing to tell newcomers by."""
    newcomer_sweeps: PositiveInt = 8
    """Passes in which those weights learn their penalties, from those of the others."""
    min_penalty: PositiveFloat = 0.3
    max_penalty: PositiveFloat = 1e6
    """A field at the upper bound is switched off."""

    def tells_newcomers(self, layout: FeatureLayout) -> bool:
        """Whether advertisers that training has not seen are told from others."""
        return self.newcomers and layout.advertiser is not None


class ModelSettings(Frozen):
    """Architecture: a stack of `cross_layers` cross layers, then one layer per `hidden_units`.

    The first `shared_layers` of the stack come before the towers, the rest is duplicated in two
    towers (paper, section 3.1.1 and figure 1).
    """

    architecture: Architecture = "shared_bottom"
    """What the first `shared_layers` are. `shared_bottom` is the paper's: one run of layers for
    all tasks. `mmoe`: several such runs, experts, mixed by a gate a task (Ma et al., KDD 2018).
    `ple`: experts of each task beside shared ones (Tang et al., RecSys 2020)."""
    experts: Annotated[int, Field(ge=1, le=64)] = 4
    """Experts of `mmoe`; shared experts of each level of `ple`."""
    own_experts: Annotated[int, Field(ge=1, le=64)] = 2
    """Experts that each task has to itself in each level of `ple`."""
    extraction_levels: Annotated[int, Field(ge=1, le=16)] = 1
    """Levels of `ple`, which part the `shared_layers` as equally as can be, the first ones taking
    what is left over. A level before the last mixes the experts of all tasks."""
    expert_rank: Width | None = None
    """Rank of the cross layers inside experts; none is `cross_rank`."""

    mode: Mode = "two_tower"
    """`two_tower` is the paper's model. `one_task` is its production baseline, one tower trained
    on all examples (table 3); `hard_only` is the baseline of table 1, one tower trained on the
    hard examples alone. Both have the layers of one path through the two-tower network."""
    cross_layers: Annotated[int, Field(ge=0, le=16)] = 3
    cross_rank: Width | None = None
    """Rank of the cross layers' weight; none is the full matrix of DCN-V2."""
    hidden_units: Annotated[tuple[Width, ...], Field(max_length=16)] = (256, 128)
    """Units of each feed-forward layer (ReLU)."""
    shared_layers: Annotated[int, Field(ge=0, le=32)] = 3
    """Layers of the stack before the towers; 0 shares the embeddings only."""
    tier_boundaries: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(max_length=14)
    ] = ()
    """Historical CVRs, ascending, at which the soft examples are split into further towers. None
    is the paper's two towers, `hard` and `soft`; n boundaries make `hard`, `soft_1`, ...,
    `soft_<n+1>`, by ascending CVR, an example on a boundary belonging to the tier below it. An
    example's task stays what the labeller says, and L_soft of the loss runs over all soft
    examples, each through its own tier's tower. Networks of one tower take no notice."""
    wide: WideSettings = WideSettings()
    """The linear part that the layers add to."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a feed-forward layer's outputs that is dropped in training."""
    embedding_l2: NonNegativeFloat = 0.0
    """Ridge penalty of the embedding tables: half of it, times the squared rows, is added to the
    loss summed over the training examples, so that the row of a rare id is held tighter."""

    @model_validator(mode="after")
    def _shared_within_the_stack(self) -> ModelSettings:
        if self.shared_layers > self.layers:
            raise ValueError(
                f"shared_layers {self.shared_layers} is more than the stack's {self.layers} "
                f"(cross_layers {self.cross_layers} + {len(self.hidden_units)} hidden_units)"
            )
        return self

    @model_validator(mode="after")
    def _tiers_ascend(self) -> ModelSettings:
        if any(b <= a for a, b in pairwise(self.tier_boundaries)):
            raise ValueError(f"tier_boundaries {self.tier_boundaries}: wanted ascending values")
        return self

    @model_validator(mode="after")
    def _experts_have_layers(self) -> ModelSettings:
        levels = {"shared_bottom": 0, "mmoe": 1, "ple": self.extraction_levels}[self.architecture]
        if self.shared_layers < levels:
            raise ValueError(
                f"shared_layers {self.shared_layers} leaves experts of architecture "
                f"{self.architecture!r} without layers; wanted at least {levels}"
            )
        return self

    @property
    def towers(self) -> tuple[str, ...]:
        """Names of the towers, the serving one first."""
        return {"two_tower": self.tasks, "one_task": (ALL,), "hard_only": (HARD,)}[self.mode]

    @property
    def tasks(self) -> tuple[str, ...]:
        """What an example can be: `hard`, and the tiers of `soft` by ascending CVR."""
        if not self.tier_boundaries:
            return (HARD, SOFT)
        tiers = range(1, len(self.tier_boundaries) + 2)
        return (HARD, *(f"{SOFT}_{tier}" for tier in tiers))

    @property
    def layers(self) -> int:
        """Length of the stack, the logits not counted."""
        return self.cross_layers + len(self.hidden_units)

    @property
    def levels(self) -> tuple[range, ...]:
        """Layers of the stack that each level of experts consists of."""
        count = self.extraction_levels if self.architecture == "ple" else 1
        each, left = divmod(self.shared_layers, count)
        ends = [each * i + min(i, left) for i in range(count + 1)]
        return tuple(range(first, last) for first, last in pairwise(ends))

    def rank(self, layer: int) -> int | None:
        """Rank of a cross layer of the stack; none is the full matrix."""
        inside = self.architecture != "shared_bottom" and layer < self.shared_layers
        return (self.expert_rank if inside else None) or self.cross_rank

    def widths(self, inputs: int) -> tuple[int, ...]:
        """Width before each layer of the stack, and after the last, of an input that wide."""
        return (*[inputs] * (self.cross_layers + 1), *self.hidden_units)


class LossSettings(Frozen):
    """Equation (1): L = weight_soft * L_soft + weight_hard * L_hard.

    Adam is blind to a common factor, so that only the ratio of the two weights matters. Networks
    of one tower minimise the plain mean over their examples, whatever is set here.
    """

    weight_hard: NonNegativeFloat = 0.5
    weight_soft: NonNegativeFloat = 0.5
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


class SamplingSettings(Frozen):
    """Down-sampling of the training split's negatives, and how it is undone.

    Every conversion is kept, every other example with the probability of its task, drawn once. The
    calibration and eval splits are never sampled, and predictions are of the unsampled rate.
    """

    keep_negatives_hard: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the hard examples without a conversion that is trained on."""
    keep_negatives_soft: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the soft examples without a conversion that is trained on."""
    correction: Literal["offset", "weight"] = "offset"
    """`offset`: the loss sees logit - log(share kept), so that the logit itself is that of the
    unsampled rate. `weight`: a kept negative counts 1 / share. A network of one tower for both
    tasks whose shares differ is always corrected by `weight`: its features need not tell the
    task, without which no offset is right."""


class CalibrationSettings(Frozen):
    """A monotone map from a tower's probability to a better calibrated one.

    It is fitted after training on examples of the calibration split, and is part of the exported
    graphs: what is evaluated is what is pushed.
    """

    method: Literal["none", "level", "platt", "isotonic"] = "level"
    """`level`: one shift of the logit, for every tower. `platt`: two parameters on the served
    tower's logit. `isotonic`: a free monotone function of it."""
    examples: Literal["tower", "hard"] = "tower"
    """Which examples it is fitted on: all that the tower learns from, or the hard ones alone. It
    makes a difference to `one_task` only, whose tower also serves soft candidates."""
    prior_conversions: NonNegativeFloat = 100.0
    """Conversions that `level` takes to have come as predicted, besides those that were seen: what
    a few of them say of the level is believed in part. 100 stand for a level that moves by a tenth
    from the training days to the next."""
    min_conversions: PositiveInt = 10
    """Conversions, and others, that hold up each knot of `isotonic`."""


class TrainingSettings(Frozen):
    """How the loss is minimised."""

    labels: Labels = "corrected"
    """What a click without a conversion says while one may still come. `corrected`: the likelihood
    of what can have been seen by its age, -y log(p F) - (1 - y) log(1 - p F), with F the labeller's
    completeness. `observed`: as if none could come any more. `mature`: nothing, it is left out. All
    the same where every label is final."""
    min_completeness: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Clicks of which a smaller share of the conversions can have been seen are left out."""
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 1024
    """Examples a step; an epoch's batches are made as equal as can be, none above this."""
    epochs: Annotated[int, Field(ge=0, le=10_000)] = 5
    """Most passes over the training split; 0 leaves the linear part alone to predict."""
    learning_rate: LearningRate = 1e-3
    """Adam's, for all but the embedding tables."""
    table_learning_rate: LearningRate | None = None
    """Adam's, for the embedding tables; none is `learning_rate`."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Adam's decay of the mean gradient, per step."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Adam's decay of the mean squared gradient, per step."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the mean squared gradient."""
    table_epsilon: PositiveFloat | None = None
    """As `epsilon`, for the embedding tables; none is `epsilon`. Well above the root of a rare
    row's mean squared gradient (1e-5, say), a row moves by what its examples say and not by how
    many there are; `table_learning_rate` then wants to be a few times larger."""
    decay: Literal["cosine", "linear", "none"] = "cosine"
    """How both learning rates fall to zero over the passes: then the last step is the one to keep,
    and nothing has to be chosen by the calibration split's few conversions."""
    lazy_adam: bool = True
    """Embedding rows (and their moments) change only in the steps that use them. This is not
    exact Adam, which also decays the moments of unused rows and moves those rows by them; it
    costs the rows used rather than the whole table. False is exact Adam."""
    devices: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train: `auto` on all GPUs that TensorFlow finds, else on the CPU; `cpu` on the CPU
    whatever there is; `gpu` as `auto`, with a warning where there is none. The batch is the same
    however many devices and workers (`TF_CONFIG`) share it."""
    routed: bool = True
    """Each row passes through its own tower only: the same loss for fewer operations."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the layers' arithmetic. Weights, moments, logits and loss are float32 in either,
    and so is everything after training."""
    evaluate_every: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Epochs between two looks at the calibration split; there is always one at the end."""
    patience: PositiveInt | None = 3
    """A guard against divergence: looks in a row at which the log loss on hard calibration examples
    is above that before the first step, by 5 % or more, that end training; the weights of the best
    look are then put back. None runs all epochs whatever they do. A training that runs to its end
    keeps its last weights."""
    evaluation_batch_size: Annotated[int, Field(ge=1, le=2**20)] = 8192
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Decides initial weights, order of examples, dropout and which negatives are kept."""
    checkpoint_every_seconds: PositiveFloat | None = 60.0
    """Seconds between two checkpoints, or twenty times what the last one took where that is more;
    none writes none by the clock."""
    checkpoint_every_steps: PositiveInt | None = None
    """Steps between two checkpoints, written besides those by the clock; none writes none."""
    keep_checkpoints: Annotated[int, Field(ge=1, le=100)] = 2
    """Newest checkpoints of a training that are kept until it has ended."""
    checkpoint_dir: str = ""
    """Folder, on a volume or in a bucket that TensorFlow reaches, under which each training keeps
    its checkpoints; empty is the pipeline's own: `OUT/artifacts/checkpoints` on one machine."""
    checkpoint_days: Days = 14
    """Days after which the checkpoints of a training that nobody went on with are removed."""
    warm_start: Literal["off", "last_blessed"] = "off"
    """Where the weights start: from the seed, or from the last blessed model where it fits."""
    cold_every: PositiveInt | None = None
    """With `warm_start`, start cold on every so many-th day, as a control: whenever the number of
    days from 1970-01-01 to the run's as-of date is a multiple of it; none always starts warm."""
    input: Literal["auto", "memory", "disk"] = "auto"
    """Where the Trainer keeps the transformed examples, each worker for itself. `memory`: in the
    process. `disk`: in files that are mapped into it, so that its memory does not grow with the
    log. `auto`: in memory up to a GiB of them, else on disk. The weights are the same to the bit
    either way."""
    input_dir: str = ""
    """Folder on the Trainer's own machine for those files, which nobody sees and which are gone
    with the process; empty is the machine's for temporary files. They take some four times what the
    examples do: 500 bytes each with 16 ids and 16 numbers."""
    sampling: SamplingSettings = SamplingSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    gradient_examples: Annotated[int, Field(ge=0, le=2**20)] = 1024
    """Training examples of each task on which every look compares the tasks' gradients; 0 does
    not compare them."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a training on given columns."""

    model: ModelSettings
    loss: LossSettings
    training: TrainingSettings
