"""From a request to its answer, by one version."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.labelled import HISTORICAL_CVR
from schemas.setup_id import setup_id
from service.http.messages import Candidate, PredictRequest
from service.models.bundle import Bundle
from service.models.inputs import BadFieldError, Columns, fill_in, to_columns
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
    request: PredictRequest,
    loaded: Loaded[Bundle],
    experiment: AbTest | None,
    max_candidates: int,
    timed: Timed = lambda model, seconds: None,
) -> Answer:
    """Routes the candidates, scores each by its model, and puts the answers in their order.

    Raises:
      BadFieldError: a field of the request cannot be used.
      ScoringError: a model does not answer.
    """
    candidates, bundle = request.candidates, loaded.contents
    if len(candidates) > max_candidates:
        raise BadFieldError(
            "candidates", f"{len(candidates)} of them; wanted at most {max_candidates}"
        )
    columns = to_columns(bundle.schema, request.context, [c.features for c in candidates])
    ids = _setup_ids(request, bundle.table.settings.setup)
    decisions = Router(bundle.table, experiment).route(
        ids,
        [c.category for c in candidates],
        [c.advertiser_type for c in candidates],
        _keys(request, experiment),
    )
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
    columns: Columns, model: npt.NDArray[np.str_], scorers: dict[str, Scorer], timed: Timed
) -> npt.NDArray[np.float32]:
    probability = np.empty(len(model), np.float32)
    for name, scorer in scorers.items():
        rows = np.flatnonzero(model == name)
        if rows.size:
            start = time.perf_counter()
            probability[rows] = scorer.score(columns.take(rows))
            timed(name, time.perf_counter() - start)
    return probability


def _setup_ids(request: PredictRequest, columns: tuple[str, ...]) -> list[str]:
    return [
        c.setup_id if c.setup_id is not None else _from_features(i, c, request, columns)
        for i, c in enumerate(request.candidates)
    ]


def _from_features(
    i: int, candidate: Candidate, request: PredictRequest, columns: tuple[str, ...]
) -> str:
    values = [candidate.features.get(name, request.context.get(name)) for name in columns]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(columns):
        absent = [n for n, v in zip(columns, values, strict=True) if not isinstance(v, str)]
        raise BadFieldError(
            f"candidates.{i}.setup_id",
            f"absent, and so is {absent[0]!r}; wanted it, or {', '.join(columns)} as text features",
        )
    return setup_id(texts)


def _keys(request: PredictRequest, experiment: AbTest | None) -> list[str] | None:
    if experiment is None:
        return None
    by_request = experiment.unit == "request"
    keys = [request.key if by_request else c.key for c in request.candidates]
    if None in keys:
        field = "key" if by_request else f"candidates.{keys.index(None)}.key"
        raise BadFieldError(field, f"absent; wanted one for experiment {experiment.name!r}")
    return [key for key in keys if key is not None]
