"""Puts a prediction service together and runs it."""

from __future__ import annotations

import gc
import logging

import uvicorn

from schemas.contract import load_contract
from service.front import Front
from service.http.app import create_app
from service.http.limits import bounded_protocol
from service.http.metrics import Metrics
from service.models.inputs import contract_schema
from service.models.live import Live
from service.routing.decisions import DecisionLog
from service.settings import ServeSettings
from service.workers.pool import OpenPool
from service.workers.start import LOG_FORMAT


def build_front(settings: ServeSettings) -> Front:
    """A front whose versions run in processes of their own.

    Raises:
      InputError: the contract or the decision log cannot be opened.
    """
    wanted = contract_schema(load_contract(settings.contract)) if settings.contract else None
    metrics = Metrics()
    live = Live(settings.serving_dir, OpenPool(settings, wanted), metrics)
    log = DecisionLog(settings.decisions) if settings.decisions else None
    return Front(settings, live, metrics, log)


def serve(settings: ServeSettings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are answered first."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    app = create_app(build_front(settings))
    # A pass of the collector over all that is imported would hold requests up for 80 ms.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        proxy_headers=False,
        http=bounded_protocol(settings),
        loop="uvloop",
        timeout_graceful_shutdown=30,
    )
