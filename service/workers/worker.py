"""A model process: one version, one request at a time."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from concurrent.futures import Future
from pathlib import Path

from common.versions.reference import ONE_TASK_DIRECTORY
from schemas.errors import InputError
from service.models.bundle import Models, OpenModels, load_bundle
from service.models.inputs import InputSchema
from service.models.live import Loaded
from service.models.saved_model import SavedModelScorer, read_schema
from service.predictor import Predictor
from service.settings import ServeSettings
from service.workers import wire

logger = logging.getLogger("hardtower.serving")


def run(
    front: socket.socket,
    settings: ServeSettings,
    number: int,
    version: Path,
    wanted: InputSchema | None,
) -> None:
    """See `service.workers.start.start`."""
    try:
        predictor = _at_low_priority(settings, number, version, wanted)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, (InputError, RuntimeError)):
            logger.exception("version %d", number)
        wire.write_frame(front, wire.encode(wire.Refused(reason)))
        return
    # The collector passes over what is loaded, and runs between two requests, not within one.
    gc.collect()
    gc.freeze()
    gc.disable()
    schema = predictor.bundle.schema
    ready = wire.Ready(predictor.bundle.table.assignment_id, schema.text, schema.numbers)
    wire.write_frame(front, wire.encode(ready))
    while frame := wire.read_frame(front):
        body, kind = frame
        wire.write_frame(front, wire.encode(predictor.predict(body, kind)))
        gc.collect()


def open_predictor(
    settings: ServeSettings, number: int, version: Path, wanted: InputSchema | None
) -> Predictor:
    """A version, loaded, checked and warm.

    Raises:
      InputError, ScoringError: see `load_bundle`.
    """
    bundle = load_bundle(number, version, _open_models(settings), read_schema, wanted)
    predictor = Predictor(settings, Loaded(number, bundle))
    predictor.warm_up()
    return predictor


def _at_low_priority(
    settings: ServeSettings, number: int, version: Path, wanted: InputSchema | None
) -> Predictor:
    done: Future[Predictor] = Future()

    def load() -> None:
        # Of a service that has less priority itself, not more than that.
        niceness = max(settings.load_niceness, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        try:
            done.set_result(open_predictor(settings, number, version, wanted))
        except BaseException as error:
            done.set_exception(error)

    # Priority can be given up, not taken back, so a thread of its own gives it up.
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    return done.result()


def _open_models(settings: ServeSettings) -> OpenModels:
    remote = settings.tf_serving
    if remote is None:
        return _open_local
    from service.models.tf_serving import TFServingScorer, make_client

    logging.getLogger("httpx").setLevel(logging.WARNING)
    client = make_client(remote)

    def open_remote(number: int, version: Path, schema: InputSchema) -> Models:
        hard = TFServingScorer(client, remote.hard_model, number, schema)
        one_task = TFServingScorer(client, remote.one_task_model, number, schema)
        for scorer in (hard, one_task):
            scorer.require_available()
        return Models(hard, one_task)

    return open_remote


def _open_local(number: int, version: Path, schema: InputSchema) -> Models:
    return Models(
        hard=SavedModelScorer(version, schema),
        one_task=SavedModelScorer(version / ONE_TASK_DIRECTORY, schema),
    )
