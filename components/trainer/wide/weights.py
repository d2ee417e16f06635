"""The wide part's weights and penalties, and where each example meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.arrays import Floats, Floats32, Indices, Ints32
from components.trainer.data.storage import MEMORY, Array, Storage
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
    def group(self) -> Indices:
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

    def less(self, other: Weights) -> Weights:
        """The difference, weight by weight."""
        return self.plus(-1.0, other)

    def plus(self, share: float, step: Weights) -> Weights:
        """These weights and a share of a step, weight by weight."""
        return replace(
            self,
            fields=tuple(w + share * s for w, s in zip(self.fields, step.fields, strict=True)),
            numbers=self.numbers + share * step.numbers,
            bias=self.bias + share * step.bias,
        )

    def inner(self, other: Weights, penalties: Penalties) -> float:
        """The sum of products of two weights and their penalty; the intercepts have none."""
        of_fields = sum(
            float(penalty @ (w * o).sum(axis=1))
            for penalty, w, o in zip(penalties.fields.T, self.fields, other.fields, strict=True)
        )
        by_number = penalties.numbers[:, self.shape.group]
        return of_fields + float((by_number * self.numbers * other.numbers).sum())

    def penalty(self, penalties: Penalties) -> float:
        """What the penalties add to the loss, nats."""
        return 0.5 * self.inner(self, penalties)


KNOWN = 0.499
"""Above this sum of `Newcomers.known` an advertiser is known: half of the ids, but for rounding."""


@dataclass(frozen=True)
class Newcomers:
    """What an advertiser that training has not seen is predicted with.

    Hashed ids of two advertisers can meet, so it takes at least half of the ids that come with one
    advertiser for a click to be of a known one.

    Attributes:
      weights: zero for every id that comes with one advertiser, and fitted without them.
      known: float64 of each field, [rows]; for the ids of such a field that training has seen, one
        over the number of such fields, and else 0.
    """

    weights: Weights
    known: tuple[Floats, ...]


class Shard:
    """Some examples of one tower and where they stand: logits, slopes and information.

    All that a sweep needs of the examples is sums over shards, and all that it tells them is a
    change of weights; so shards may lie with several workers.

    Attributes:
      tower: number of the tower that learns from them.
      block: number of the period that they are of.
      ids: intp [fields, n], what NumPy counts and gathers by without a copy.
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
        storage: Storage = MEMORY,
    ) -> None:
        """Takes the examples' arrays as `Columns` holds them, the shift of their logits, and where
        all that is kept of them shall lie."""
        self.tower = tower
        self.block = block
        self.storage = storage

        def kept(values: Array, dtype: npt.DTypeLike = np.float64) -> Array:
            place = storage.empty(values.shape, dtype)
            place[...] = values
            return place

        self.ids: Indices = kept(ids.T, np.intp)
        self.nums: Floats32 = kept(
            np.hstack([nums, np.ones((len(nums), 1), np.float32)]), np.float32
        )
        self._label: Floats = kept(label)
        self._weight: Floats | None = None if weight is None else kept(weight)
        self._completeness: Floats | None = None if completeness is None else kept(completeness)
        self._shift = kept(shift) if isinstance(shift, np.ndarray) else shift
        self.logit: Floats = kept(np.zeros(len(label)))
        self._slope: Floats = kept(self.logit)
        self._information: Floats = kept(self.logit)
        self._measured_at: Floats = kept(self.logit)
        self._measured = False
        self._of_fields: dict[int, Floats] = {}
        self._summed: set[int] = set()
        self._of_numbers: Floats | None = None
        self._room: Floats = kept(self.logit)
        self._began: Floats = kept(self.logit)
        self._way: Floats = kept(self.logit)
        self._last: Floats = kept(self.logit)
        self._stride: Floats = kept(self.logit)
        self._comes_from_last = self._has_stride = False

    def __len__(self) -> int:
        return len(self._label)

    def place(self, weights: Weights) -> None:
        """Computes the logits anew; whichever way they went before is forgotten."""
        self._comes_from_last = self._has_stride = False
        # In double precision NumPy would copy all numbers for each product; so below.
        self.logit[:] = self.nums @ weights.of_numbers[self.tower].astype(np.float32)
        for ids, of_towers in zip(self.ids, weights.of_fields, strict=True):
            self.logit += of_towers[self.tower][ids]

    def contributions(self, weights: Weights) -> Floats:
        """What each field, and then each group of numbers, adds to the logits.

        Returns:
          float64 [n, fields + NUMBER_GROUPS].
        """
        shape = weights.shape
        result = np.empty((len(self), len(shape.rows) + NUMBER_GROUPS))
        for field, (ids, of_towers) in enumerate(zip(self.ids, weights.of_fields, strict=True)):
            result[:, field] = of_towers[self.tower][ids]
        of_numbers = weights.of_numbers[self.tower, :-1]
        for group in range(NUMBER_GROUPS):
            mine = np.flatnonzero(shape.group == group)
            result[:, len(shape.rows) + group] = self.nums[:, mine] @ of_numbers[mine]
        return result

    def loss(self) -> float:
        """Summed negative log likelihood, nats."""
        each = loss(self.logit, self._label, self._shift, self._completeness)
        return float(each.sum() if self._weight is None else self._weight @ each)

    def derivatives_at(self, logit: Floats) -> Derivatives:
        """Of the summed loss, by example."""
        each = derivatives(logit, self._label, self._shift, self._completeness)
        if self._weight is None:
            return each
        return Derivatives(each.slope * self._weight, each.information * self._weight)

    def begin(self, *, resting: bool) -> None:
        """A sweep begins here.

        Args:
          resting: no sweep ended here, or none whose way is to be gone on.
        """
        self._began[:] = self.logit
        self._comes_from_last = self._has_stride and not resting
        self._last, self._stride = self._stride, self._last

    def along(self) -> Derivatives:
        """Of the summed loss along the way from `begin` to here and along that of the sweep before.

        Returns:
          Slope [2] and information [2, 2]; zero along a way that was not gone.
        """
        np.subtract(self.logit, self._began, out=self._way)
        ways = (self._way, self._last) if self._comes_from_last else (self._way,)
        slope, information = np.zeros(2), np.zeros((2, 2))
        by_example = self.derivatives_at(self.logit)
        for i, way in enumerate(ways):
            slope[i] = by_example.slope @ way
            np.multiply(by_example.information, way, out=self._room)
            for j, other in enumerate(ways[: i + 1]):
                information[i, j] = information[j, i] = self._room @ other
        return Derivatives(slope, information)

    def walk(self, share: float, before: float) -> None:
        """Goes to `begin` and shares of the two ways that `along` has measured."""
        np.multiply(self._way, share, out=self._stride)
        if self._comes_from_last:
            self._stride += before * self._last
        np.add(self._began, self._stride, out=self.logit)
        self._has_stride = True

    def drift(self) -> tuple[float, float]:
        """How far the logits are from where information was taken.

        Returns:
          Their squared moves, summed by information, and the information; infinite before any was
          taken.
        """
        if not self._measured:
            return np.inf, 1.0
        np.subtract(self.logit, self._measured_at, out=self._room)
        np.square(self._room, out=self._room)
        return float(self._information @ self._room), float(self._information.sum())

    def refresh(self, *, information: bool) -> None:
        """Takes the slopes at the logits as they are, and the information too if it is asked for.

        Until then the information and its sums are those of the logits when they were taken.
        """
        slope, of_information = self.derivatives_at(self.logit)
        self._slope[:] = slope
        if information:
            self._information[:] = of_information
            self._measured_at[:] = self.logit
            self._measured = True
            self._summed.clear()
            self._of_numbers = None

    def field_sums(self, field: int, rows: int) -> tuple[Floats, Floats]:
        """Slope and information summed by id, each [rows]."""
        ids = self.ids[field]
        if field not in self._summed:
            if field not in self._of_fields:
                self._of_fields[field] = self.storage.empty((rows,), np.float64)
            self._of_fields[field][:] = np.bincount(ids, self._information, rows)
            self._summed.add(field)
        slope = np.bincount(ids, self._slope, rows).astype(np.float64, copy=False)
        return slope, self._of_fields[field]

    def number_sums(self) -> tuple[Floats, Floats]:
        """Slope [numbers + 1] and information [numbers + 1, numbers + 1] of numbers and a one."""
        x = self.nums
        slope = (self._slope.astype(np.float32) @ x).astype(np.float64)
        if self._of_numbers is None:
            weighted = x * self._information.astype(np.float32)[:, None]
            self._of_numbers = (weighted.T @ x).astype(np.float64)
        return slope, self._of_numbers

    def move_field(self, field: int, change: Floats) -> None:
        """Adds a change of the tower's weights of one field, [rows]."""
        # Ids are within the rows; to clip is NumPy's one way to gather without a copy.
        np.take(change, self.ids[field], out=self._room, mode="clip")
        self._move(self._room)

    def move_numbers(self, change: Floats) -> None:
        """Adds a change of the tower's weights of numbers and of its intercept."""
        self._move((self.nums @ change.astype(np.float32)).astype(np.float64))

    def _move(self, change: Floats) -> None:
        """Overwrites the change."""
        self.logit += change
        change *= self._information
        self._slope += change


class Shards(tuple[Shard, ...]):
    """Shards that are gone through in turn: what was read of one need not stay in memory."""

    def __iter__(self) -> Iterator[Shard]:
        for shard in super().__iter__():
            yield shard
            shard.storage.release()


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
