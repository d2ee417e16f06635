"""A client of a Kubeflow Pipelines server that does not wait for ever."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.kfp_server.errors import server_errors
from schemas.errors import InputError

ENDPOINT_VARIABLE = "KF_PIPELINES_ENDPOINT"
TOKEN_VARIABLE = "KF_PIPELINES_TOKEN"
TOKEN_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
DEFAULT_NAMESPACE = "kubeflow"


@dataclass(frozen=True)
class Connection:
    """Where a server is and who is asking.

    Attributes:
      endpoint: URL; empty to find it as kfp does, in the cluster or by the kubeconfig.
      namespace: of the user where the server has several users, else of the server.
      token: bearer token; empty for none.
      token_file: file with one that may change; empty for none.
      iap_client_id: of Google's Identity-Aware Proxy; empty where there is none.
      timeout: seconds that one request may take.
    """

    endpoint: str = ""
    namespace: str = DEFAULT_NAMESPACE
    token: str = ""
    token_file: str = ""
    iap_client_id: str = ""
    timeout: float = 30.0

    @property
    def user_namespace(self) -> str | None:
        """The namespace that requests name; none where the server has one user."""
        return None if self.namespace == DEFAULT_NAMESPACE else self.namespace

    @property
    def place(self) -> str:
        """The server, for messages."""
        return self.endpoint or f"Kubeflow Pipelines in namespace {self.namespace}"


def require_server(connection: Connection) -> None:
    """Raises InputError when there is no way to find a server."""
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    known = os.environ.get("KUBECONFIG") or (Path.home() / ".kube/config").is_file()
    if not connection.endpoint and not in_cluster and not known:
        raise InputError(
            f"--endpoint: missing, and so are {ENDPOINT_VARIABLE}, a cluster around this process "
            "and a kubeconfig; wanted the URL of a Kubeflow Pipelines server"
        )


def connect(connection: Connection) -> Any:
    """A `kfp.Client` whose requests end after the connection's timeout.

    Raises:
      InputError: there is no way to find a server.
      ServerError: it does not answer, or says no.
    """
    require_server(connection)
    from pipeline.kfp_server.timed_client import TimedClient

    credentials = None
    if connection.token_file:
        from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

        if not Path(connection.token_file).is_file():
            raise InputError(f"--token-file: no file {connection.token_file!r}")
        credentials = ServiceAccountTokenVolumeCredentials(connection.token_file)
    with calls(connection):
        return TimedClient(
            connection.timeout,
            host=connection.endpoint or None,
            client_id=connection.iap_client_id or None,
            namespace=connection.namespace,
            existing_token=connection.token or None,
            credentials=credentials,
        )


@contextmanager
def calls(connection: Connection) -> Iterator[None]:
    """Around calls of the client: errors become one line, and kfp's own chatter is left out."""
    with (
        server_errors(connection.place),
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
