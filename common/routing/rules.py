"""What a routing table says beside its rows: thresholds, setup columns, unknown setups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic import model_validator as validator

from schemas.errors import InputError
from schemas.setup_id import ESCAPE, SEPARATOR, checked_values

Task = Literal["hard", "soft", "fallback"]
RuleKey = tuple[str | None, str | None]

UNKNOWN, UNKNOWN_CATEGORY, UNKNOWN_TYPE = "unknown", "unknown_category", "unknown_type"
"""Reasons of a setup that the table does not hold: it goes by the rules, by a wider one than they
have for others because none is of its category, or of its advertiser type."""


class UnknownRule(BaseModel):
    """Where setups go that the table does not hold."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    category: str | None
    """Conversion category that it holds for; null for all."""
    advertiser_type: str | None
    """Advertiser type that it holds for; null for all."""
    task: Task
    prior_cvr: float | None = Field(default=None, ge=0, le=1)
    """CVR that the rule rests on, null for a policy that looks at none."""

    @property
    def key(self) -> RuleKey:
        return self.category, self.advertiser_type


class RoutingSettings(BaseModel):
    """Contents of `routing.json`; other keys are left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    assignment_id: str = Field(min_length=1)
    alpha: float = Field(gt=0, lt=1)
    """Historical CVR up to which a setup is hard in training."""
    online_alpha: float = Field(gt=0, lt=1)
    """The same for routing, a little lower."""
    setup: tuple[str, ...] = Field(min_length=1)
    """Columns that make a setup id, in the order of `schemas.setup_id`."""
    category: str | None = None
    """Column of the conversion category; null where the log has none."""
    advertiser_type: str | None = None
    """Column of the advertiser type; null where the log has none."""
    unknown_setups: tuple[UnknownRule, ...]
    as_of: str | None = None
    """ISO date that the table was made for."""

    @validator(mode="after")
    def _complete(self) -> RoutingSettings:
        many = [key for key, n in Counter(r.key for r in self.unknown_setups).items() if n > 1]
        if many:
            raise ValueError(f"unknown_setups has {many[0]} more than once")
        if (None, None) not in {r.key for r in self.unknown_setups}:
            raise ValueError("unknown_setups has no rule for every setup (both keys null)")
        return self

    def rules(self) -> Mapping[RuleKey, UnknownRule]:
        return {rule.key: rule for rule in self.unknown_setups}


_FIELDS = ("category", "advertiser_type")


class CandidateError(InputError):
    """A candidate whose setup id is none, or is not of its category or advertiser type.

    Attributes:
      candidate: its place among those asked for.
      field: `setup_id`, `category` or `advertiser_type`.
      message: value seen and value wanted.
    """

    def __init__(self, candidate: int, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.candidate = candidate
        self.field = field
        self.message = message


class UnknownSetups:
    """Where setups go that a table does not hold: by category and advertiser type, as the labeller
    takes them from the log's columns.

    Attributes:
      categories, advertiser_types: those that have a rule.
    """

    def __init__(self, settings: RoutingSettings) -> None:
        self._setup = settings.setup
        self._places = tuple(
            self._setup.index(column) if column in self._setup else None
            for column in (settings.category, settings.advertiser_type)
        )
        self._rules = settings.rules()
        self.categories = {key[0] for key in self._rules if key[0] is not None}
        self.advertiser_types = {key[1] for key in self._rules if key[1] is not None}

    def deniable(
        self, categories: Sequence[str | None] | None, advertiser_types: Sequence[str | None] | None
    ) -> bool:
        """Whether setup ids may contradict what is said of candidates."""
        said = (categories, advertiser_types)
        return any(
            place is not None and given is not None and any(given)
            for place, given in zip(self._places, said, strict=True)
        )

    def keys(
        self,
        candidates: Iterable[int],
        setup_ids: Sequence[str],
        categories: Sequence[str | None] | None,
        advertiser_types: Sequence[str | None] | None,
    ) -> dict[int, RuleKey]:
        """Category and advertiser type of candidates.

        A value whose column is one of the setup's own is taken from the id. One that is not known,
        or whose column the log does not have, is the empty string, as in training.

        Args:
          candidates: their places in the other arguments.
          categories, advertiser_types: where they are known besides.

        Raises:
          CandidateError: an id is malformed, or one of them is not the one in the id.
        """
        said = (categories, advertiser_types)
        return {
            i: self._key(i, setup_ids[i], [None if given is None else given[i] for given in said])
            for i in candidates
        }

    def _key(self, candidate: int, setup: str, given: Sequence[str | None]) -> RuleKey:
        values = split_setup(candidate, setup, self._setup)
        category, advertiser_type = (
            known or "" if place is None else values[place]
            for known, place in zip(given, self._places, strict=True)
        )
        key = (category, advertiser_type)
        for field, seen, wanted in zip(_FIELDS, given, key, strict=True):
            if seen and seen != wanted:
                raise CandidateError(
                    candidate, field, f"{seen!r}; wanted {wanted!r}, as in setup {setup!r}"
                )
        return key

    def rule(self, key: RuleKey) -> tuple[UnknownRule, str]:
        """The rule that holds for a key, and the reason to give."""
        category, advertiser_type = key
        reason = UNKNOWN
        if self.categories and category not in self.categories:
            reason = UNKNOWN_CATEGORY
        elif self.advertiser_types and advertiser_type not in self.advertiser_types:
            reason = UNKNOWN_TYPE
        return find_rule(self._rules, category, advertiser_type), reason


def split_setup(candidate: int, setup: str, columns: Sequence[str]) -> list[str]:
    """The values of a candidate's setup, one a column.

    Raises:
      CandidateError: its id is malformed.
    """
    try:
        return checked_values(setup, columns)
    except ValueError as error:
        raise CandidateError(candidate, "setup_id", str(error)) from None


def split_setups(
    candidates: Sequence[int], setups: Sequence[str], columns: Sequence[str]
) -> list[Sequence[str]]:
    """The values of many setups, [columns][n].

    Raises:
      CandidateError: an id is malformed.
    """
    width = len(columns)
    # A tenth of the time that they take one by one.
    if {setup.count(SEPARATOR) for setup in setups} == {width - 1}:
        whole = SEPARATOR.join(setups)
        values = whole.split(SEPARATOR)
        if ESCAPE not in whole and "" not in values:
            return [values[place::width] for place in range(width)]
    split = [split_setup(i, s, columns) for i, s in zip(candidates, setups, strict=True)]
    return list(zip(*split, strict=True))


def find_rule(
    rules: Mapping[RuleKey, UnknownRule], category: str | None, advertiser_type: str | None
) -> UnknownRule:
    """The most specific rule that matches: both keys, the category, the type, everything.

    >>> everything = UnknownRule(category=None, advertiser_type=None, task="fallback")
    >>> purchases = UnknownRule(category="purchase", advertiser_type=None, task="hard")
    >>> rules = {rule.key: rule for rule in (everything, purchases)}
    >>> find_rule(rules, "purchase", "retail").task, find_rule(rules, "visit", None).task
    ('hard', 'fallback')
    """
    keys: tuple[RuleKey, ...] = (
        (category, advertiser_type),
        (category, None),
        (None, advertiser_type),
    )
    return next((rules[key] for key in keys if key in rules), rules[None, None])
