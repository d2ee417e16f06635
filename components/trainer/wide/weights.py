"""The wide part's weights and penalties, and where each example meets them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.arrays import Floats, Floats32, Ints32
from components.trainer.wide.likelihood import Derivatives, derivatives, loss
from components.transform.layout import FeatureLayout

NUMBER_GROUPS = 2
"""Numbers share a penalty by group: the values, and the flags of missing ones."""


@dataclass(frozen=True)
class Shape:
    """What there is a weight for.

    With one tower there is one part, that tower's. With more, part 0 is what all towers share and
    part 1 + t is tower t's own.

    Attributes:
      rows: ids of each field.
      numbers: width of `nums`, values and then as many flags.
      towers: how many.
    """

    rows: tuple[int, ...]
    numbers: int
    towers: int

    @classmethod
    def of(cls, layout: FeatureLayout, towers: int) -> Shape:
        return cls(layout.rows, layout.numeric_width, towers)

    @property
    def parts(self) -> int:
        return 1 if self.towers == 1 else 1 + self.towers

    @property
    def summed(self) -> Floats:
        """Which parts a tower's weight is the sum of, 0 or 1, [towers, parts]."""
        own = np.eye(self.towers)
        return own if self.towers == 1 else np.hstack([np.ones((self.towers, 1)), own])

    @property
    def group(self) -> npt.NDArray[np.intp]:
        """Number of each number's group, [numbers]."""
        return np.repeat(np.arange(NUMBER_GROUPS), self.numbers // NUMBER_GROUPS)


@dataclass(frozen=True)
class Penalties:
    """Ridge penalties: half of one, times the squared weights, is added to the summed loss.

    Attributes:
      fields: float64 [parts, fields].
      numbers: float64 [parts, NUMBER_GROUPS].
    """

    fields: Floats
    numbers: Floats

    @classmethod
    def start(cls, shape: Shape, value: float) -> Penalties:
        return cls(
            np.full((shape.parts, len(shape.rows)), value),
            np.full((shape.parts, NUMBER_GROUPS), value),
        )


@dataclass(frozen=True)
class Weights:
    """One weight per id and number in each part, and an intercept per tower.

    Attributes:
      fields: of each field, float64 [parts, rows].
      numbers: float64 [parts, numbers].
      bias: float64 [towers].
    """

    shape: Shape
    fields: tuple[Floats, ...]
    numbers: Floats
    bias: Floats

    @classmethod
    def start(cls, shape: Shape, bias: Floats) -> Weights:
        """Zero but for the intercepts."""
        fields = tuple(np.zeros((shape.parts, rows)) for rows in shape.rows)
        return cls(shape, fields, np.zeros((shape.parts, shape.numbers)), bias)

    @cached_property
    def of_fields(self) -> tuple[Floats, ...]:
        """The parts' sums of each field for each tower, [towers, rows]."""
        return tuple(self.shape.summed @ w for w in self.fields)

    @cached_property
    def of_numbers(self) -> Floats:
        """The parts' sums and the intercept for each tower, [towers, numbers + 1]."""
        return np.hstack([self.shape.summed @ self.numbers, self.bias[:, None]])

    def times(self, share: float) -> Weights:
        """All weights but the intercepts multiplied by a number."""
        return replace(
            self, fields=tuple(share * w for w in self.fields), numbers=share * self.numbers
        )

    def towards(self, other: Weights, share: float) -> Weights:
        """A point on the line from these weights to others."""

        def between(a: Floats, b: Floats) -> Floats:
            return a + share * (b - a)

        return replace(
            self,
            fields=tuple(map(between, self.fields, other.fields)),
            numbers=between(self.numbers, other.numbers),
            bias=between(self.bias, other.bias),
        )

    def penalty(self, penalties: Penalties) -> float:
        """What the penalties add to the loss, nats."""
        of_fields = sum(
            float(penalty @ (w * w).sum(axis=1))
            for penalty, w in zip(penalties.fields.T, self.fields, strict=True)
        )
        by_number = penalties.numbers[:, self.shape.group]
        return 0.5 * (of_fields + float((by_number * self.numbers**2).sum()))


class Shard:
    """Some examples of one tower and where they stand: logits, slopes and information.

    All that a sweep needs of the examples is sums over shards, and all that it tells them is a
    change of weights; so shards may lie with several workers.

    Attributes:
      tower: number of the tower that learns from them.
      block: number of the period that they are of.
      ids: int32 [fields, n].
      nums: float32 [n, numbers + 1], the numbers and a one.
      logit: float64 [n].
    """

    def __init__(
        self,
        tower: int,
        block: int,
        ids: Ints32,
        nums: Floats32,
        label: Floats32,
        weight: Floats32 | None = None,
        completeness: Floats32 | None = None,
        shift: Floats | float = 0.0,
    ) -> None:
        """Takes the examples' arrays as `Columns` holds them, and the shift of their logits."""
        self.tower = tower
        self.block = block
        self.ids: Ints32 = np.ascontiguousarray(ids.T)
        self.nums: Floats32 = np.hstack([nums, np.ones((len(nums), 1), np.float32)])
        self._label = label.astype(np.float64)
        self._weight = None if weight is None else weight.astype(np.float64)
        self._completeness = None if completeness is None else completeness.astype(np.float64)
        self._shift = shift
        self.logit: Floats = np.zeros(len(label))
        self._slope: Floats = np.zeros(len(label))
        self._information: Floats = np.zeros(len(label))

    def __len__(self) -> int:
        return len(self._label)

    def place(self, weights: Weights) -> None:
        """Computes the logits anew."""
        self.logit = self.nums @ weights.of_numbers[self.tower]
        for ids, of_towers in zip(self.ids, weights.of_fields, strict=True):
            self.logit += of_towers[self.tower][ids]

    def contributions(self, weights: Weights) -> Floats:
        """What each field, and then each group of numbers, adds to the logits.

        Returns:
          float64 [n, fields + NUMBER_GROUPS].
        """
        shape = weights.shape
        found = np.empty((len(self), len(shape.rows) + NUMBER_GROUPS))
        for field, (ids, of_towers) in enumerate(zip(self.ids, weights.of_fields, strict=True)):
            found[:, field] = of_towers[self.tower][ids]
        of_numbers = weights.of_numbers[self.tower, :-1]
        for group in range(NUMBER_GROUPS):
            mine = np.flatnonzero(shape.group == group)
            found[:, len(shape.rows) + group] = self.nums[:, mine] @ of_numbers[mine]
        return found

    def loss(self) -> float:
        """Summed negative log likelihood, nats."""
        each = loss(self.logit, self._label, self._shift, self._completeness)
        return float(each.sum() if self._weight is None else self._weight @ each)

    def derivatives_at(self, logit: Floats) -> Derivatives:
        """Of the summed loss, by example."""
        found = derivatives(logit, self._label, self._shift, self._completeness)
        if self._weight is None:
            return found
        return Derivatives(found.slope * self._weight, found.information * self._weight)

    def refresh(self) -> None:
        """Takes slope and information at the logits as they are; information stays until then."""
        self._slope, self._information = self.derivatives_at(self.logit)

    def field_sums(self, field: int, rows: int) -> tuple[Floats, Floats]:
        """Slope and information summed by id, each [rows]."""
        ids = self.ids[field]
        slope, information = (
            np.asarray(np.bincount(ids, values, rows), np.float64)
            for values in (self._slope, self._information)
        )
        return slope, information

    def number_sums(self) -> tuple[Floats, Floats]:
        """Slope [numbers + 1] and information [numbers + 1, numbers + 1] of numbers and a one."""
        x = self.nums
        # Single precision does for the Hessian, which decides how far to go and not where to.
        weighted = x * self._information.astype(np.float32)[:, None]
        return self._slope @ x, (weighted.T @ x).astype(np.float64)

    def move_field(self, field: int, change: Floats) -> None:
        """Adds a change of the tower's weights of one field, [rows]."""
        self._move(change[self.ids[field]])

    def move_numbers(self, change: Floats) -> None:
        """Adds a change of the tower's weights of numbers and of its intercept."""
        self._move(self.nums @ change)

    def _move(self, change: Floats) -> None:
        self.logit = self.logit + change
        self._slope += self._information * change


def field_sums(shards: Iterable[Shard], shape: Shape, field: int) -> Derivatives:
    """Slope and information of one field by tower and id, each [towers, rows]."""
    rows = shape.rows[field]
    slope, information = np.zeros((2, shape.towers, rows))
    for shard in shards:
        of_slope, of_information = shard.field_sums(field, rows)
        slope[shard.tower] += of_slope
        information[shard.tower] += of_information
    return Derivatives(slope, information)


def number_sums(shards: Iterable[Shard], shape: Shape) -> Derivatives:
    """Slope [towers, numbers + 1] and information [towers, numbers + 1, numbers + 1]."""
    width = shape.numbers + 1
    slope = np.zeros((shape.towers, width))
    information = np.zeros((shape.towers, width, width))
    for shard in shards:
        of_slope, of_information = shard.number_sums()
        slope[shard.tower] += of_slope
        information[shard.tower] += of_information
    return Derivatives(slope, information)
