"""A/B variants by a stable hash (paper, sections 3.2.2 and 4.2.1).

The point of a key is its place in [0, 1): the top 53 bits of the eight-byte BLAKE2b digest of the
UTF-8 text `<experiment name>/<key>`, read as a big-endian integer and divided by 2^53. The variants
lie side by side on [0, 1) in the order in which they are listed, each as wide as its share. So a
key keeps its variant for as long as the experiment keeps its name and shares, on any machine, and
two experiments split the same keys independently.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Frozen
from schemas.checked import checked_yaml
from schemas.errors import InputError

ROUTED, ONE_TASK = "routed", "one_task"


class Variant(Frozen):
    """One arm."""

    name: Annotated[str, Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the keys."""
    serves: Literal["routed", "one_task"]
    """`routed`: hard candidates go to the hard tower. `one_task`: all go to the one-task model."""


class AbTest(Frozen):
    """An A/B test."""

    name: Annotated[str, Field(min_length=1)]
    """Part of what is hashed."""
    unit: Literal["request", "candidate"] = "request"
    """Whose `key` is hashed: the request's (a user), or each candidate's (an advertiser, so that
    a budget is spent in one variant)."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> AbTest:
        names = [v.name for v in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"variants: a name is listed twice in {names}")
        if abs(total := sum(v.share for v in self.variants) - 1) > 1e-9:
            raise ValueError(f"variants: shares add up to {1 + total:g}; wanted 1")
        return self

    def assign(self, keys: Iterable[str]) -> list[Variant]:
        """The variant of each key.

        >>> routed = Variant(name="towers", share=0.5, serves="routed")
        >>> plain = Variant(name="plain", share=0.5, serves="one_task")
        >>> test = AbTest(name="towers 2026", variants=(routed, plain))
        >>> [variant.name for variant in test.assign(["user 1", "user 2", "user 3"])]
        ['plain', 'towers', 'towers']
        """
        ends = list(accumulate(v.share for v in self.variants))[:-1]
        return [self.variants[sum(point(self.name, key) >= e for e in ends)] for key in keys]


def point(experiment: str, key: str) -> float:
    """Where a key lies in [0, 1)."""
    digest = blake2b(f"{experiment}/{key}".encode(), digest_size=8).digest()
    # Fifty-three bits: all of them fit a float, so that the quotient stays below 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def load_experiment(path: Path) -> AbTest:
    """Reads an experiment from YAML.

    Raises:
      InputError: the file is missing, is not YAML, or breaks a rule.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"experiment: {path}: {error.strerror}") from error
    return checked_yaml(AbTest, text, str(path))
