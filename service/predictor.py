"""One version behind bytes: a request's body in, the answer's out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import orjson
import pyarrow as pa

from schemas.setup_id import setup_id
from service.decoding.arrow_body import ArrowDecoder
from service.decoding.json_body import JsonDecoder
from service.decoding.request import BadFieldError, Request, column_names
from service.models.bundle import Bundle
from service.models.live import Loaded
from service.models.scorer import ScoringError
from service.predict import Answer, answer
from service.routing.decisions import decision_line
from service.settings import ServeSettings
from service.workers.wire import ARROW, JSON, Group, ModelCall, Reply

logger = logging.getLogger("hardtower.serving")

WARM_UP_SIZES = (1, 10, 100)
"""Candidates of the requests that a version answers before it serves, besides the most."""


class Predictor:
    """Answers requests by one version."""

    def __init__(self, settings: ServeSettings, loaded: Loaded[Bundle]) -> None:
        self.settings = settings
        self.bundle = loaded.contents
        self._loaded = loaded
        schema, most = self.bundle.schema, settings.max_candidates
        self._json = JsonDecoder(schema, most)
        self._arrow = ArrowDecoder(schema, most, self._json.context)

    def predict(self, body: bytes | bytearray, kind: int) -> Reply:
        """The answer, `messages.PredictResponse` in JSON; no exception leaves it.

        Args:
          body: a request.
          kind: `wire.JSON` or `wire.ARROW`.
        """
        start = time.perf_counter()
        try:
            return self._answer(self.decode(body, kind), start)
        except BadFieldError as error:
            return Reply(422, problem(error.field or None, error.message))
        except ScoringError as error:
            logger.error("a model does not answer: %s", error)
            return Reply(503, problem(None, "a model does not answer"))
        except Exception:
            logger.exception("a request failed")
            return Reply(500, problem(None, "internal error"))

    def decode(self, body: bytes | bytearray, kind: int) -> Request:
        """The request in a body.

        Raises:
          BadFieldError: the first thing that is wrong with it.
        """
        return (self._arrow if kind == ARROW else self._json).decode(body)

    def warm_up(self) -> None:
        """Answers requests of every kind and size, so that none has to wait for what is done only
        once, nor for memory that the system first has to give."""
        self.bundle.table.remember()
        for n in (*WARM_UP_SIZES, self.settings.max_candidates):
            for body, kind in warm_up_bodies(self.bundle, n):
                for _ in range(3):
                    self.predict(body, kind)

    def _answer(self, request: Request, start: float) -> Reply:
        scored: list[ModelCall] = []
        answered = answer(
            request,
            self._loaded,
            self.settings.experiment,
            lambda model, seconds: scored.append(ModelCall(model, seconds)),
        )
        ways = ways_of(answered)
        content = to_json(answered, ways, request.request_id)
        line = None
        if self.settings.decisions is not None:
            line = decision_line(answered, request.request_id, request.key, datetime.now(UTC))
        groups = tuple(Group(*way, n) for way, n in Counter(ways).items())
        return Reply(200, content, time.perf_counter() - start, groups, tuple(scored), line)


def warm_up_bodies(bundle: Bundle, n: int) -> Iterator[tuple[bytes, int]]:
    """Requests of n candidates with every feature, and the kind of each."""
    schema = bundle.schema
    features: dict[str, str | float] = dict.fromkeys(schema.text, "x")
    features |= dict.fromkeys(schema.numbers, 0.5)
    fields = {"setup_id": setup_id(["x"] * len(bundle.table.settings.setup)), "key": "x"}
    row = fields | {"features": features}
    yield orjson.dumps({"key": "x", "candidates": [row] * n}), JSON
    columns = fields | {column: features[name] for column, name in column_names(schema).items()}
    batch = pa.record_batch([pa.array([v] * n) for v in columns.values()], names=list(columns))
    batch = batch.replace_schema_metadata({"key": "x"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    yield sink.getvalue().to_pybytes(), ARROW


def problem(field: str | None, message: str) -> bytes:
    """A `messages.ErrorResponse` of one problem."""
    return orjson.dumps({"errors": [{"field": field, "message": message}]})


Way = tuple[str, str, str, str]
"""Task, reason, model and variant."""


def ways_of(answer: Answer) -> list[Way]:
    """Which way each candidate went."""
    d = answer.decisions
    columns = (d.task.tolist(), d.reason.tolist(), d.model.tolist(), d.variant.tolist())
    return list(zip(*columns, strict=True))


def to_json(answer: Answer, ways: Sequence[Way], request_id: str | None) -> bytes:
    """The answer as `messages.PredictResponse`."""
    common = {"model_version": answer.version, "assignment_id": answer.assignment_id}
    # As float32, of which orjson writes no more digits than tell it apart.
    probabilities = orjson.dumps(
        np.ascontiguousarray(answer.probability), option=orjson.OPT_SERIALIZE_NUMPY
    )
    # Candidates go few ways, so that what follows the probability is written once for each.
    rest = {
        (task, reason, model, variant): orjson.dumps(
            {"task": task, "reason": reason, "model": model, "variant": variant or None, **common}
        )[1:]
        for task, reason, model, variant in set(ways)
    }
    predictions = b",".join(
        [
            b'{"probability":%b,%b' % (probability, rest[way])
            for probability, way in zip(probabilities[1:-1].split(b","), ways, strict=True)
        ]
    )
    head = orjson.dumps({"request_id": request_id, **common})[:-1]
    return b'%b,"predictions":[%b]}' % (head, predictions)
