"""`kfp.Client` with a limit on the time of each request; its own has none."""

from __future__ import annotations

from typing import Any

import kfp
import urllib3
from kfp_server_api.rest import RESTClientObject  # type: ignore[import-untyped]

CONNECT_RETRIES = 2


class TimedRest(RESTClientObject):
    """Sends requests; a request that was sent is never sent again."""

    def __init__(self, configuration: Any, timeout: float) -> None:
        configuration.retries = urllib3.Retry(
            connect=CONNECT_RETRIES, read=0, redirect=5, status=0, other=0, backoff_factor=0.2
        )
        super().__init__(configuration)
        self._timeouts = (min(timeout, 10.0), timeout)

    def request(self, method: str, url: str, **options: Any) -> Any:
        """As the base class, with this client's timeouts for connecting and reading.

        Raises:
          ValueError: the answer is not JSON.
        """
        options["_request_timeout"] = options.get("_request_timeout") or self._timeouts
        response = super().request(method, url, **options)
        if response.data.strip() and response.data.lstrip()[:1] not in (b"{", b"[", b'"'):
            # The generated client takes such an answer for one without any field.
            raise ValueError("not JSON")
        return response


class TimedClient(kfp.Client):
    """A client whose requests end in time; takes what `kfp.Client` takes."""

    def __init__(self, timeout: float, **options: Any) -> None:
        self._timeout = timeout
        super().__init__(**options)
        self._limit()

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        """One look at the server's health, which the base class takes when it is made."""
        self._limit()
        return self._healthz_api.healthz_service_get_healthz()

    def _limit(self) -> None:
        api_client = self._healthz_api.api_client
        if not isinstance(api_client.rest_client, TimedRest):
            api_client.rest_client = TimedRest(api_client.configuration, self._timeout)
