"""Scoring by TF Serving over its REST API.

Each request names the version, so that an answer never comes from another one than the routing
table. API: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from common.versions.signatures import RAW
from service.models.inputs import InputSchema, RawFeatures
from service.models.scorer import ScoringError, checked
from service.settings import TFServingSettings


def make_client(settings: TFServingSettings) -> httpx.Client:
    """Connections to TF Serving, to be shared by all scorers and threads."""
    return httpx.Client(base_url=settings.url, timeout=settings.timeout_seconds)


class TFServingScorer:
    """One version of one model of TF Serving.

    Args:
      client: of `make_client`.
      model: name in TF Serving's configuration.
      version: number that must answer.
      schema: its inputs.
    """

    def __init__(self, client: httpx.Client, model: str, version: int, schema: InputSchema) -> None:
        self._client = client
        self._url = f"/v1/models/{model}/versions/{version}"
        self._schema = schema

    def require_available(self) -> None:
        """Raises:
        ScoringError: TF Serving does not serve the version yet, or not any more.
        """
        states = self._ask("GET", self._url, None).get("model_version_status", [])
        state = states[0].get("state") if states else None
        if state != "AVAILABLE":
            raise ScoringError(f"TF Serving {self._url}: state {state}; wanted AVAILABLE")

    def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
        """See `Scorer`."""
        inputs = dict(zip(self._schema.text, columns.text.tolist(), strict=True))
        inputs |= zip(self._schema.numbers, columns.numbers.tolist(), strict=True)
        # NaN stands as such in the body: TF Serving reads it, though JSON does not know it.
        body = json.dumps({"signature_name": RAW, "inputs": inputs}).encode()
        outputs = self._ask("POST", f"{self._url}:predict", body).get("outputs", [])
        return checked(outputs, columns.numbers.shape[1], f"TF Serving {self._url}")

    def _ask(self, method: str, url: str, body: bytes | None) -> dict[str, Any]:
        try:
            response = self._client.request(method, url, content=body)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise ScoringError(f"TF Serving {url}: {reason}") from error
        if response.status_code != httpx.codes.OK or not isinstance(answer, dict):
            raise ScoringError(f"TF Serving {url}: {response.status_code} {str(answer)[:200]}")
        return answer
