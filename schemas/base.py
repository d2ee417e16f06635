"""The base of every settings model, and the numbers that settings are made of."""

from datetime import date
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

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
    """A typed record that refuses unknown keys, NaN and infinity, and cannot be changed.

    Nor does it take true for 1, as pydantic would where a number is wanted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if _holds_truth(value) and not _takes_truth(
            cls.model_fields[str(info.field_name)].annotation
        ):
            raise ValueError("wanted neither true nor false")
        return value


def _holds_truth(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_truth, value))
    return isinstance(value, bool)


def _takes_truth(kind: Any) -> bool:
    """Whether true and false can stand somewhere in an annotated field."""
    if kind in (bool, Any) or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return True
    return any(map(_takes_truth, get_args(kind)))
