"""What a server does wrong, as one line for the person at the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

LONGEST_MESSAGE = 300


class ServerError(click.ClickException):
    """The server is away, too slow, or says no; the command ends with code 4."""

    exit_code = 4


HINTS = {
    401: "wanted a valid token: --existing-token, --token-file or --iap-client-id",
    403: "the token's owner may not do this; see --namespace",
}
MESSAGE_KEYS = ("message", "error", "error_message", "error_details")


@contextmanager
def server_errors(endpoint: str) -> Iterator[None]:
    """Turns whatever a call to the server raises into a `ServerError`."""
    from kfp_server_api.exceptions import ApiException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError, MaxRetryError, TimeoutError

    try:
        yield
    except ApiException as error:
        raise ServerError(_refusal(endpoint, error)) from error
    except MaxRetryError as error:
        raise ServerError(f"{endpoint}: no answer: {_cause(error)}") from error
    except TimeoutError as error:
        raise ServerError(f"{endpoint}: no answer in time: {_short(str(error))}") from error
    except HTTPError as error:
        raise ServerError(f"{endpoint}: {_short(str(error))}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ServerError(
            f"{endpoint}: an answer that is not of Kubeflow Pipelines v2 "
            f"({_short(str(error))}); a login page or another service?"
        ) from error


def _refusal(endpoint: str, error: Any) -> str:
    status = f"{error.status} {error.reason}".strip() if error.status else "TLS"
    said = _message(error.body) or ("" if error.status else _short(str(error.reason)))
    parts = [f"{endpoint}: {status}", said, HINTS.get(error.status, "")]
    return ": ".join(part for part in parts if part)


def _message(body: Any) -> str:
    """What the server says, out of the JSON that it says it in."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        answer = json.loads(text)
    except ValueError:
        return "" if "<html" in text.lower() else _short(text)
    if not isinstance(answer, dict):
        return _short(text)
    return next((_short(str(answer[key])) for key in MESSAGE_KEYS if answer.get(key)), "")


def _cause(error: Any) -> str:
    text = str(error.reason if error.reason is not None else error)
    # "<HTTPConnection object at 0x...>: Failed to establish ..." without the object.
    return _short(text.rpartition(">: ")[2] or text)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"
