"""The base of every settings model, and the numbers that settings are made of."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 2**31 - 1
LARGEST = 1e9

PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MOST)]
PositiveFloat = Annotated[float, Field(gt=0, le=LARGEST)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=LARGEST)]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2089, 12, 31))]
"""A day from which others are counted, up to ten years on."""
Days = Annotated[int, Field(ge=1, le=3660)]
"""A span of days, ten years at most."""


class Frozen(BaseModel):
    """A typed record that refuses unknown keys, NaN and infinity, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
