"""The decision log: what was answered, for a comparison with the offline assignment.

One JSON line a request: `time` (ISO 8601, UTC), `request_id`, `key`, `model_version`,
`assignment_id`, `as_of` (ISO date that the routing table was made for), and lists with one entry a
candidate: `setup_id`, `task`, `reason`, `model`, `variant`, `cvr` (null where unknown) and
`probability`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

import numpy as np
import orjson

from schemas.errors import InputError
from service.settings import DecisionLogSettings

if TYPE_CHECKING:
    from service.predict import Answer


def decision_line(answer: Answer, request_id: str | None, key: str | None, now: datetime) -> str:
    """The line of one answer, without the line break; `now` is aware."""
    decisions = answer.decisions
    line = {
        "time": now.astimezone(UTC).isoformat(timespec="milliseconds"),
        "request_id": request_id,
        "key": key,
        "model_version": answer.version,
        "assignment_id": answer.assignment_id,
        "as_of": answer.as_of,
        "setup_id": answer.setup_ids,
        "task": decisions.task.tolist(),
        "reason": decisions.reason.tolist(),
        "model": decisions.model.tolist(),
        "variant": decisions.variant.tolist(),
        # orjson writes NaN as null.
        "cvr": decisions.cvr,
        "probability": np.ascontiguousarray(answer.probability),
    }
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY).decode()


class DecisionLog:
    """Appends lines to a file that rotates by size; safe to share by threads.

    A line that cannot be written, to a full disk say, is counted in `lost` and the answer goes out
    all the same.

    Raises:
      InputError: the file cannot be opened.
    """

    def __init__(self, settings: DecisionLogSettings) -> None:
        try:
            self._handler = _Handler(
                settings.path,
                maxBytes=settings.max_bytes,
                backupCount=settings.keep,
                encoding="utf-8",
            )
        except OSError as error:
            raise InputError(f"decisions: {settings.path}: {error.strerror}") from error

    @property
    def lost(self) -> int:
        return self._handler.lost

    def write(self, line: str) -> None:
        self._handler.handle(logging.LogRecord("decision", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        self._handler.close()


class _Handler(RotatingFileHandler):
    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        self.lost += 1
