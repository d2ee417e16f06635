"""Puts a prediction service together and runs it."""

from __future__ import annotations

import logging
from pathlib import Path

import tensorflow as tf
import uvicorn
from fastapi import FastAPI

from common.versions.reference import ONE_TASK_DIRECTORY
from schemas.contract import load_contract
from service.http.app import create_app
from service.http.metrics import Metrics
from service.models.bundle import Bundle, BundleLoader, Models, OpenModels
from service.models.inputs import InputSchema
from service.models.live import Live
from service.models.saved_model import SavedModelScorer, contract_schema, read_schema
from service.models.tf_serving import TFServingScorer, make_client
from service.routing.decisions import DecisionLog
from service.service import Service
from service.settings import ServeSettings


def open_local(number: int, version: Path, schema: InputSchema) -> Models:
    """The models of a version in this process."""
    return Models(
        hard=SavedModelScorer(version, schema),
        one_task=SavedModelScorer(version / ONE_TASK_DIRECTORY, schema),
    )


def _open_models(settings: ServeSettings) -> OpenModels:
    remote = settings.tf_serving
    if remote is None:
        return open_local
    client = make_client(remote)

    def open_remote(number: int, version: Path, schema: InputSchema) -> Models:
        hard = TFServingScorer(client, remote.hard_model, number, schema)
        one_task = TFServingScorer(client, remote.one_task_model, number, schema)
        for scorer in (hard, one_task):
            scorer.require_available()
        return Models(hard, one_task)

    return open_remote


def build_service(settings: ServeSettings) -> Service:
    """A service that has looked at its serving folder once.

    Raises:
      InputError: the contract or the decision log cannot be opened.
    """
    wanted = contract_schema(load_contract(settings.contract)) if settings.contract else None
    metrics = Metrics()
    loader = BundleLoader(_open_models(settings), read_schema, wanted)
    live: Live[Bundle] = Live(settings.serving_dir, loader, metrics)
    log = DecisionLog(settings.decisions) if settings.decisions else None
    live.refresh()
    return Service(settings, live, metrics, log)


def build_app(settings: ServeSettings) -> FastAPI:
    """The application of `build_service`."""
    return create_app(build_service(settings))


def serve(settings: ServeSettings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are answered first."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Requests already run side by side; a model this small only loses by being split up.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(settings.workers)
    uvicorn.run(
        build_app(settings), host=host, port=port, access_log=False, timeout_graceful_shutdown=30
    )
