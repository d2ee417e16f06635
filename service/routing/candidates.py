"""Setup, category and advertiser type of candidates.

A request may say the same of a candidate by its setup id, by the fields `category` and
`advertiser_type`, and by features of those columns. What one of them says and the features leave
out is filled in, so that models see the candidate that is routed; two that differ are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.routing.rules import CandidateError, RoutingSettings, split_setups
from schemas.setup_id import setup_id
from service.decoding.request import BadFieldError, Request, Texts
from service.models.inputs import InputSchema

Feature = npt.NDArray[np.object_] | None
"""Values of a text feature, str [n], empty where missing; None where the models read none such."""


@dataclass(frozen=True)
class Candidates:
    """What n candidates are routed by.

    Attributes:
      categories, advertiser_types: None where nothing but the setup ids may say them.
    """

    setup_ids: list[str]
    categories: Texts | None
    advertiser_types: Texts | None


def candidates_of(request: Request, schema: InputSchema, settings: RoutingSettings) -> Candidates:
    """What the candidates of a request are routed by; fills in features that it leaves out.

    Raises:
      BadFieldError: a setup id is malformed, or neither there nor to be joined from features; or
        what is said twice differs.
    """
    setup = {column: _feature(request, schema, column) for column in settings.setup}
    return Candidates(
        _setup_ids(request.field("setup_id"), setup),
        _declared(request, schema, settings, "category", settings.category),
        _declared(request, schema, settings, "advertiser_type", settings.advertiser_type),
    )


def bad_field(error: CandidateError) -> BadFieldError:
    """The error in the words of a request."""
    return BadFieldError(f"candidates.{error.candidate}.{error.field}", error.message)


def _feature(request: Request, schema: InputSchema, column: str) -> Feature:
    """The feature of a column of the contract."""
    name = schema.input_of(column)
    return request.columns.text[schema.text.index(name)] if name in schema.text else None


def _setup_ids(given: Texts, setup: dict[str, Feature]) -> list[str]:
    rows = [i for i, s in enumerate(given) if s is not None]
    ids = [s for s in given if s is not None]
    if ids:
        try:
            values = split_setups(rows, ids, tuple(setup))
        except CandidateError as error:
            raise bad_field(error) from None
        for (column, feature), own in zip(setup.items(), values, strict=True):
            if feature is not None:
                _fill(feature, rows, own, "setup_id", column)
    if len(ids) == len(given):
        return ids
    return [_joined(i, setup) if s is None else s for i, s in enumerate(given)]


def _joined(candidate: int, setup: dict[str, Feature]) -> str:
    """The setup id of a candidate that comes without."""
    values = ["" if feature is None else feature[candidate] for feature in setup.values()]
    if "" in values:
        raise BadFieldError(
            f"candidates.{candidate}.setup_id",
            f"absent, and so is {list(setup)[values.index('')]!r}; wanted it, or "
            f"{', '.join(setup)} as text features",
        )
    return setup_id(values)


def _declared(
    request: Request, schema: InputSchema, settings: RoutingSettings, field: str, column: str | None
) -> Texts | None:
    """The candidates' category or advertiser type, by its field or else by the feature."""
    given = request.fields.get(field)
    if column is None or column in settings.setup:
        return given
    feature = _feature(request, schema, column)
    if feature is None:
        return given
    if given is not None:
        rows = [i for i, value in enumerate(given) if value]
        _fill(feature, rows, [given[i] or "" for i in rows], field, column)
    return list(feature)


def _fill(
    feature: npt.NDArray[np.object_],
    rows: Sequence[int],
    values: Sequence[str],
    field: str,
    column: str,
) -> None:
    """Puts values of a field in the place of a feature's that are missing.

    Raises:
      BadFieldError: a value is other than the feature's.
    """
    seen = feature.tolist() if len(rows) == len(feature) else [feature[i] for i in rows]
    if seen == list(values):
        return
    for i, value, other in zip(rows, values, seen, strict=True):
        if other and other != value:
            raise BadFieldError(
                f"candidates.{i}.{field}", f"{value!r}; wanted {other!r}, as in feature {column!r}"
            )
    feature[rows] = values
