"""The base of every settings model, and the numbers that settings are made of."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, get_args, get_origin

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

    Nor does it take true for 1, or a text such as `6_4` or `050` for a number, as pydantic would
    where one is wanted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_plain(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = {*_kinds(cls.model_fields[str(info.field_name)].annotation)}
        for leaf in _leaves(value):
            if isinstance(leaf, bool) and not kinds & {bool, Any, BaseModel}:
                raise ValueError("wanted neither true nor false")
            wants_number = kinds & {int, float} and not kinds & {str, Any, BaseModel}
            if isinstance(leaf, str) and wants_number and _ODD_NUMBER.search(leaf):
                raise ValueError(
                    "wanted a number in plain decimal digits, without `_`, spaces and leading zeros"
                )
        return value


_ODD_NUMBER = re.compile(r"_|\s|[^\x00-\x7f]|^[-+]?0[0-9]")


def _leaves(value: Any) -> Iterator[Any]:
    """A value, or what lists and mappings hold at any depth."""
    if isinstance(value, list | tuple | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(part)
    else:
        yield value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that can stand somewhere in a field, of a mapping as values; `BaseModel` for
    models of any kind."""
    if parts := get_args(annotation):
        for part in parts[1:] if get_origin(annotation) in (dict, Mapping) else parts:
            yield from _kinds(part)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield BaseModel
    else:
        yield Any if annotation is object else annotation
