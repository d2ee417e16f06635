"""What a routing table says beside its rows: thresholds, setup columns, unknown setups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic import model_validator as validator

Task = Literal["hard", "soft", "fallback"]
RuleKey = tuple[str | None, str | None]


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
