"""The HTTP face of the prediction service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.decoding.arrow_body import MEDIA_TYPE
from service.front import Front, UnavailableError
from service.http.messages import ErrorResponse, PredictRequest, PredictResponse, Readiness
from service.models.live import Poller
from service.workers.wire import ARROW, JSON

PREDICT = "/v1/predict"
_ARROW_BODY = {
    "type": "string",
    "format": "binary",
    "description": "An Arrow IPC stream of one record batch, not compressed and without "
    "dictionaries: a column for each of `CandidateColumns`, text as string, numbers as float or "
    "int. The schema's metadata may hold `request_id`, `key` and `context`, the last as JSON.",
}
_REFERENCE = "#/components/schemas/{model}"
_STATUSES: dict[int, tuple[str, type[BaseModel]]] = {
    200: ("Probability, task and reason of every candidate, in order.", PredictResponse),
    400: ("The body broke off.", ErrorResponse),
    413: ("The body is too large.", ErrorResponse),
    422: ("A field is missing or cannot be used.", ErrorResponse),
    503: (
        "No version is loaded, a model does not answer, or the request would wait too long.",
        ErrorResponse,
    ),
}


def create_app(front: Front) -> ASGIApp:
    """The application; it polls the serving folder from its start to its end."""
    predict = Predict(front)
    app = _everything_else(front, predict)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Past FastAPI's middleware and routes, which cost half as much again.
        ours = scope["type"] == "http" and scope["path"] == PREDICT and scope["method"] == "POST"
        await (predict if ours else app)(scope, receive, send)

    return application


def _everything_else(front: Front, predict: ASGIApp) -> FastAPI:

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        poller = Poller(front.live.refresh, front.settings.poll_seconds)
        poller.start()
        yield
        await asyncio.to_thread(poller.stop)
        front.live.close()

    app = FastAPI(
        title="hardtower",
        summary="Conversion probabilities of ad candidates, each by the model of its task.",
        lifespan=lifespan,
        # FastAPI's pages load scripts from elsewhere into the browser.
        docs_url=None,
        redoc_url=None,
    )
    app.router.routes.append(Route(PREDICT, predict, methods=["POST"]))

    @app.get("/health", response_class=PlainTextResponse)
    async def health() -> Response:
        """That the process runs."""
        return PlainTextResponse("ok")

    @app.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
    async def ready() -> Response:
        """Whether a version serves."""
        loaded = front.live.current()
        content = Readiness(
            ready=loaded is not None,
            model_version=loaded.number if loaded else None,
            assignment_id=loaded.contents.assignment_id if loaded else None,
            refused={str(n): r.reason for n, r in front.live.refusals.items()},
        )
        return JSONResponse(content.model_dump(), 200 if loaded else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def prometheus() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(front.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return Response(_problem(str(error.detail)), error.status_code, error.headers)

    _document_predict(app)
    return app


class Predict:
    """`POST /v1/predict`, as an ASGI application.

    FastAPI would take the body apart and put the answer together object by object, which costs
    more than the models; here both stay bytes.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, content = await self._answer(scope, receive)
        self._front.metrics.status(status)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        most = self._front.settings.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            return 413, _problem(f"body over {most} bytes")
        body: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return 400, _problem("the body broke off")
                piece = message.get("body", b"")
                body.append(piece)
                size += len(piece)
                self._held += len(piece)
                if size > most:
                    return 413, _problem(f"body over {most} bytes")
                if self._held > self._front.settings.max_held_bytes:
                    return 503, _problem("too many bytes of requests wait")
                if not message.get("more_body", False):
                    break
            media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            kind = ARROW if media == MEDIA_TYPE.encode() else JSON
            reply = await self._front.predict(body, kind)
            return reply.status, reply.content
        except UnavailableError as error:
            return 503, _problem(str(error))
        finally:
            self._held -= size


def _problem(message: str) -> bytes:
    errors = ErrorResponse.model_validate({"errors": [{"field": None, "message": message}]})
    return errors.model_dump_json().encode()


def _document_predict(app: FastAPI) -> None:
    """Puts `/v1/predict`, whose bodies FastAPI never sees, into the OpenAPI document."""
    plain = app.openapi

    def refer(model: type[BaseModel]) -> dict[str, str]:
        return {"$ref": _REFERENCE.format(model=model.__name__)}

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        _, schemas = models_json_schema(
            [
                (PredictRequest, "validation"),
                (PredictResponse, "serialization"),
                (ErrorResponse, "serialization"),
            ],
            ref_template=_REFERENCE,
        )
        document["components"]["schemas"] |= schemas["$defs"]
        document["paths"][PREDICT] = {
            "post": {
                "summary": "Predict",
                "operationId": "predict",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": refer(PredictRequest)},
                        MEDIA_TYPE: {"schema": _ARROW_BODY},
                    },
                },
                "responses": {
                    str(status): {
                        "description": text,
                        "content": {"application/json": {"schema": refer(model)}},
                    }
                    for status, (text, model) in _STATUSES.items()
                },
            }
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]
