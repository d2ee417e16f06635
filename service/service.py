"""A prediction service without its HTTP face: bytes in, bytes out."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import orjson
from pydantic import ValidationError

from service.http.messages import PredictRequest
from service.http.metrics import Metrics
from service.models.bundle import Bundle
from service.models.inputs import BadFieldError
from service.models.live import Live, Loaded
from service.predict import Answer, answer
from service.routing.decisions import DecisionLog, decision_line
from service.settings import ServeSettings


class NotReadyError(RuntimeError):
    """No version could be loaded yet."""


class Service:
    """Answers requests by the version that serves; safe to share by threads."""

    def __init__(
        self, settings: ServeSettings, live: Live[Bundle], metrics: Metrics, log: DecisionLog | None
    ) -> None:
        self.settings = settings
        self.live = live
        self.metrics = metrics
        self._log = log

    def predict(self, body: bytes) -> bytes:
        """The answer, as `messages.PredictResponse` in JSON, to a `messages.PredictRequest`.

        Raises:
          BadFieldError: the body is not such a request, or a field of it cannot be used.
          NotReadyError: no version serves.
          ScoringError: a model does not answer.
        """
        start = time.perf_counter()
        loaded = self._loaded()
        request = parse(body)
        settings = self.settings
        found = answer(
            request, loaded, settings.experiment, settings.max_candidates, self.metrics.scored
        )
        content = to_json(found, request.request_id)
        if self._log is not None:
            now = datetime.now(UTC)
            self._log.write(decision_line(found, request.request_id, request.key, now))
            self.metrics.lost(self._log.lost)
        self.metrics.answered(found, time.perf_counter() - start)
        return content

    def _loaded(self) -> Loaded[Bundle]:
        loaded = self.live.current()
        if loaded is None:
            raise NotReadyError(f"no version in {self.settings.serving_dir.name} could be loaded")
        return loaded


def parse(body: bytes) -> PredictRequest:
    """The request in a body.

    Raises:
      BadFieldError: the first thing that is wrong with it.
    """
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadFieldError(".".join(map(str, first["loc"])), first["msg"]) from None


def to_json(answer: Answer, request_id: str | None) -> bytes:
    """The answer as `messages.PredictResponse`."""
    d = answer.decisions
    common = {"model_version": answer.version, "assignment_id": answer.assignment_id}
    columns = (
        # As float32, of which orjson writes no more digits than tell it apart.
        list(answer.probability),
        d.task.tolist(),
        d.reason.tolist(),
        d.model.tolist(),
        d.variant.tolist(),
    )
    predictions = [
        {
            "probability": p,
            "task": task,
            "reason": reason,
            "model": model,
            "variant": variant or None,
            **common,
        }
        for p, task, reason, model, variant in zip(*columns, strict=True)
    ]
    body = {"request_id": request_id, **common, "predictions": predictions}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
