"""The HTTP face of the prediction service."""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.http.messages import ErrorResponse, PredictRequest, PredictResponse, Readiness
from service.models.inputs import BadFieldError
from service.models.live import Poller
from service.models.scorer import ScoringError
from service.service import NotReadyError, Service

logger = logging.getLogger("hardtower.serving")

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in {
        413: "The body is too large.",
        422: "A field is missing or cannot be used.",
        503: "No version is loaded, a model does not answer, or too many requests wait.",
    }.items()
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}}
        },
    }
}


def create_app(service: Service) -> FastAPI:
    """The application; it polls the serving folder from its start to its end."""
    settings = service.settings
    metrics = service.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        poller = Poller(service.live.refresh, settings.poll_seconds)
        app.state.pool = ThreadPoolExecutor(settings.workers, "hardtower-predict")
        app.state.waiting = 0
        poller.start()
        yield
        poller.stop()
        app.state.pool.shutdown()

    app = FastAPI(
        title="hardtower",
        summary="Conversion probabilities of ad candidates, each by the model of its task.",
        lifespan=lifespan,
    )

    @app.post("/v1/predict", response_model=PredictResponse, responses=_ERRORS, openapi_extra=_BODY)
    async def predict(request: Request) -> Response:
        """Probability, task and reason of every candidate, in order."""
        status, content = await _predict(app, service, request)
        metrics.status(status)
        return Response(content, status, media_type="application/json")

    @app.get("/health", response_class=PlainTextResponse)
    async def health() -> str:
        """That the process runs."""
        return "ok"

    @app.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
    async def ready() -> Response:
        """Whether a version serves."""
        loaded = service.live.current()
        content = Readiness(
            ready=loaded is not None,
            model_version=loaded.number if loaded else None,
            assignment_id=loaded.contents.table.assignment_id if loaded else None,
            refused={str(n): r.reason for n, r in service.live.refusals.items()},
        )
        return JSONResponse(content.model_dump(), 200 if loaded else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def prometheus() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return Response(_problem(None, str(error.detail)), error.status_code, error.headers)

    _document_request(app)
    return app


async def _predict(app: FastAPI, service: Service, request: Request) -> tuple[int, bytes]:
    """Status and body of the answer; no exception leaves it."""
    settings = service.settings
    try:
        body = await _read(request, settings.max_body_bytes)
    except ClientDisconnect:
        return 400, _problem(None, "the body broke off")
    if body is None:
        return 413, _problem(None, f"body over {settings.max_body_bytes} bytes")
    if app.state.waiting >= settings.workers + settings.max_waiting:
        return 503, _problem(None, f"more than {settings.max_waiting} requests wait")
    app.state.waiting += 1
    try:
        answer = await get_running_loop().run_in_executor(app.state.pool, service.predict, body)
        return 200, answer
    except BadFieldError as error:
        return 422, _problem(error.field or None, error.message)
    except NotReadyError as error:
        return 503, _problem(None, str(error))
    except ScoringError as error:
        logger.error("a model does not answer: %s", error)
        return 503, _problem(None, "a model does not answer")
    except Exception:
        logger.exception("a request failed")
        return 500, _problem(None, "internal error")
    finally:
        app.state.waiting -= 1


async def _read(request: Request, limit: int) -> bytes | None:
    """The body; None when it is larger than the limit, of which no more is then read."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _problem(field: str | None, message: str) -> bytes:
    errors = ErrorResponse.model_validate({"errors": [{"field": field, "message": message}]})
    return errors.model_dump_json().encode()


def _document_request(app: FastAPI) -> None:
    """Puts the request's schema into OpenAPI: the body is parsed outside of FastAPI."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document["components"]["schemas"]
        template = "#/components/schemas/{model}"
        own = PredictRequest.model_json_schema(ref_template=template)
        schemas |= own.pop("$defs", {})
        schemas["PredictRequest"] = own
        return document

    app.openapi = openapi  # type: ignore[method-assign]
