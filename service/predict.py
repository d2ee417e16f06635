"""From a request to its answer, by one version."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.routing.rules import CandidateError
from schemas.labelled import HISTORICAL_CVR
from service.decoding.request import BadFieldError, Request, Texts
from service.models.bundle import Bundle
from service.models.inputs import InputSchema, RawFeatures, fill_in
from service.models.live import Loaded
from service.models.scorer import Scorer
from service.routing.candidates import bad_field, candidates_of
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
    candidates = candidates_of(request, bundle.schema, bundle.table.settings)
    _refuse_no_share(columns, bundle.schema, HISTORICAL_CVR)
    router = Router(bundle.table, experiment)
    try:
        decisions = router.route(
            candidates.setup_ids,
            candidates.categories,
            candidates.advertiser_types,
            _keys(request, experiment),
        )
    except CandidateError as error:
        raise bad_field(error) from None
    fill_in(columns, bundle.schema, HISTORICAL_CVR, decisions.cvr)
    scorers = {HARD_TOWER_MODEL: bundle.models.hard, ONE_TASK_MODEL: bundle.models.one_task}
    return Answer(
        version=loaded.number,
        assignment_id=bundle.table.assignment_id,
        as_of=bundle.manifest.data.as_of,
        setup_ids=candidates.setup_ids,
        decisions=decisions,
        probability=_score(columns, decisions.model, scorers, timed),
    )


def _score(
    columns: RawFeatures, model: npt.NDArray[np.object_], scorers: dict[str, Scorer], timed: Timed
) -> npt.NDArray[np.float32]:
    probability = np.empty(len(model), np.float32)
    for name, scorer in scorers.items():
        rows = np.flatnonzero(model == name)
        if rows.size:
            start = time.perf_counter()
            probability[rows] = scorer.score(columns.take(rows))
            timed(name, time.perf_counter() - start)
    return probability


def _refuse_no_share(columns: RawFeatures, schema: InputSchema, name: str) -> None:
    """Raises `BadFieldError` where the request gives a feature that is a share, outside [0, 1]."""
    if name in schema.numbers:
        values = columns.numbers[schema.numbers.index(name)]
        if (wrong := (values < 0) | (values > 1)).any():
            i = int(wrong.argmax())
            raise BadFieldError(
                f"candidates.{i}.features.{name}", f"{values[i]:g}; wanted a number from 0 to 1"
            )


def _keys(request: Request, experiment: AbTest | None) -> list[str] | None:
    if experiment is None:
        return None
    by_request = experiment.unit == "request"
    keys: Texts = [request.key] * len(request) if by_request else request.field("key")
    if None in keys:
        field = "key" if by_request else f"candidates.{keys.index(None)}.key"
        raise BadFieldError(field, f"absent; wanted one for experiment {experiment.name!r}")
    return [key for key in keys if key is not None]
