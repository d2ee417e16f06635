"""From a request to its answer, by one version."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.routing.rules import ContradictionError
from schemas.labelled import HISTORICAL_CVR
from schemas.setup_id import setup_id
from service.decoding.request import BadFieldError, Request, Texts
from service.models.bundle import Bundle
from service.models.inputs import InputSchema, RawFeatures, fill_in
from service.models.live import Loaded
from service.models.scorer import Scorer
from service.routing.router import HARD_TOWER_MODEL, ONE_TASK_MODEL, Decisions, Router
from service.routing.variants import AbTest

Timed = Callable[[str, float], None]
"""Told a model's name and the seconds that it took."""


@dataclass(frozen=True)
class Answer:
    """What a version answers for n candidates.

    Attributes:
      probability: float32 [n].
    """

    version: int
    assignment_id: str
    as_of: str
    setup_ids: list[str]
    decisions: Decisions
    probability: npt.NDArray[np.float32]


def answer(
    request: Request,
    loaded: Loaded[Bundle],
    experiment: AbTest | None,
    timed: Timed = lambda model, seconds: None,
) -> Answer:
    """Routes the candidates, scores each by its model, and puts the answers in their order.

    Raises:
      BadFieldError: a field of the request cannot be used.
      ScoringError: a model does not answer.
    """
    bundle, columns = loaded.contents, request.columns
    settings = bundle.table.settings
    ids = _setup_ids(request, bundle.schema, settings.setup)
    contexts = (
        _declared(request, bundle.schema, "category", settings.category),
        _declared(request, bundle.schema, "advertiser_type", settings.advertiser_type),
    )
    router = Router(bundle.table, experiment)
    try:
        decisions = router.route(ids, *contexts, _keys(request, experiment))
    except ContradictionError as error:
        raise BadFieldError(f"candidates.{error.field}", error.message) from None
    fill_in(columns, bundle.schema, HISTORICAL_CVR, decisions.cvr)
    scorers = {HARD_TOWER_MODEL: bundle.models.hard, ONE_TASK_MODEL: bundle.models.one_task}
    return Answer(
        version=loaded.number,
        assignment_id=bundle.table.assignment_id,
        as_of=bundle.manifest.data.as_of,
        setup_ids=ids,
        decisions=decisions,
        probability=_score(columns, decisions.model, scorers, timed),
    )


def _score(
    columns: RawFeatures, model: npt.NDArray[np.str_], scorers: dict[str, Scorer], timed: Timed
) -> npt.NDArray[np.float32]:
    probability = np.empty(len(model), np.float32)
    for name, scorer in scorers.items():
        rows = np.flatnonzero(model == name)
        if rows.size:
            start = time.perf_counter()
            probability[rows] = scorer.score(columns.take(rows))
            timed(name, time.perf_counter() - start)
    return probability


def _setup_ids(request: Request, schema: InputSchema, setup: tuple[str, ...]) -> list[str]:
    """The candidates' setup ids, joined from the setup's columns where they were left out."""
    given = request.field("setup_id")
    if None not in given:
        return [s for s in given if s is not None]
    columns = [_text(request, schema, column) for column in setup]

    def joined(i: int) -> str:
        values = ["" if column is None else column[i] for column in columns]
        if "" in values:
            raise BadFieldError(
                f"candidates.{i}.setup_id",
                f"absent, and so is {setup[values.index('')]!r}; wanted it, or "
                f"{', '.join(setup)} as text features",
            )
        return setup_id(values)

    return [joined(i) if s is None else s for i, s in enumerate(given)]


def _text(request: Request, schema: InputSchema, column: str) -> npt.NDArray[np.object_] | None:
    """The feature of a column of the contract, str [n]; None where no text feature is of it."""
    name = schema.input_of(column)
    return request.columns.text[schema.text.index(name)] if name in schema.text else None


def _declared(
    request: Request, schema: InputSchema, field: str, column: str | None
) -> Texts | None:
    """The candidates' category or advertiser type: as its field says, or else the feature.

    Raises:
      BadFieldError: a field says something else than the feature.
    """
    given = request.fields.get(field)
    feature = None if column is None else _text(request, schema, column)
    if feature is None:
        return given
    if given is None or not any(given):
        return feature.tolist()
    for i, (value, other) in enumerate(zip(given, feature, strict=True)):
        if value and other and value != other:
            raise BadFieldError(
                f"candidates.{i}.{field}", f"{value!r}; wanted {other!r}, as in feature {column!r}"
            )
    return [value or other for value, other in zip(given, feature, strict=True)]


def _keys(request: Request, experiment: AbTest | None) -> list[str] | None:
    if experiment is None:
        return None
    by_request = experiment.unit == "request"
    keys: Texts = [request.key] * len(request) if by_request else request.field("key")
    if None in keys:
        field = "key" if by_request else f"candidates.{keys.index(None)}.key"
        raise BadFieldError(field, f"absent; wanted one for experiment {experiment.name!r}")
    return [key for key in keys if key is not None]
