"""Where a model process begins; light, since the front imports it too."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path

from service.models.inputs import InputSchema
from service.settings import ServeSettings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""Of the front's and the model processes' lines."""


def start(
    front: socket.socket,
    settings: ServeSettings,
    number: int,
    version: Path,
    wanted: InputSchema | None,
) -> None:
    """Loads a version and answers requests until the front hangs up.

    Args:
      front: the front's end of the line, see `service.workers.wire`.
      number: the version's number.
      version: its folder.
      wanted: the inputs that it must have; None takes any.
    """
    # The front decides when to stop; a Ctrl-C goes to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    from service.workers.worker import run

    run(front, settings, number, version, wanted)
