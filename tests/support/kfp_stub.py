"""A server in this process that answers as Kubeflow Pipelines does, and keeps what it was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api  # type: ignore[import-untyped]
import yaml

API = "/apis/v2beta1"
PIPELINE: dict[str, Any] = {
    "pipelineInfo": {"name": "shop"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "tfx-1.16.0",
    "components": {"comp-a": {"executorLabel": "exec-a"}},
    "deploymentSpec": {"executors": {"exec-a": {"container": {"image": "i"}}}},
    "root": {
        "dag": {"tasks": {"a": {"componentRef": {"name": "comp-a"}, "taskInfo": {"name": "a"}}}},
        "inputDefinitions": {
            "parameters": {
                "as_of": {"parameterType": "STRING", "defaultValue": ""},
                "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0},
                "alpha": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.01},
            }
        },
    },
}
PLATFORM = {
    "platforms": {
        "kubernetes": {
            "deploymentSpec": {
                "executors": {"exec-a": {"pvcMount": [{"constant": "c", "mountPath": "/data"}]}}
            }
        }
    }
}


def compiled(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(documents or (PIPELINE, PLATFORM))


def checked(body: Any, model: str) -> Any:
    """The body, once it has been found to be the model and nothing else."""
    client = kfp_server_api.ApiClient()
    read = client.deserialize(SimpleNamespace(data=json.dumps(body)), model)
    again = client.sanitize_for_serialization(read)
    # A whole number of 64 bits, which JSON may carry either way.
    wanted = {k: str(v) if k == "max_concurrency" else v for k, v in body.items()}
    if again != wanted:
        raise AssertionError(f"{model}: sent {body}, read as {again}")
    return body


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class KfpStub:
    """What the server holds; `refusals` (path pattern, status, body) come first."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[tuple[str, int, str]] = field(default_factory=list)
    page: int = 100
    faults: list[BaseException] = field(default_factory=list)

    def posts(self, path: str) -> list[Any]:
        return [a.body for a in self.asked if (a.method, a.path) == ("POST", API + path)]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        for pattern, status, text in self.refusals:
            if re.search(pattern, f"{asked.method} {asked.path}"):
                return status, text
        resource, _, rest = asked.path.removeprefix(f"{API}/").partition("/")
        handler: Callable[[Asked, str], Any] | None = getattr(self, f"_{resource}", None)
        return (404, {"message": "no such path"}) if handler is None else handler(asked, rest)

    def _healthz(self, asked: Asked, rest: str) -> tuple[int, Any]:
        return 200, {"multi_user": False}

    def _experiments(self, asked: Asked, rest: str) -> tuple[int, Any]:
        if asked.method == "GET":
            return 200, {"experiments": self._named(self.experiments, asked)}
        body = checked(asked.body, "V2beta1Experiment")
        self.experiments.append(body | {"experiment_id": f"e{len(self.experiments)}"})
        return 200, self.experiments[-1]

    def _pipelines(self, asked: Asked, rest: str) -> tuple[int, Any]:
        if rest == "upload":
            made = {
                "pipeline_id": f"p{len(self.pipelines)}",
                "display_name": asked.query["name"],
            }
            self.pipelines.append(made)
            self._add_version(made["pipeline_id"], asked.query["name"])
            return 200, made
        if rest == "upload_version":
            return 200, self._add_version(asked.query["pipelineid"], asked.query["name"])
        if rest.endswith("/versions"):
            mine = [v for v in self.versions if v["pipeline_id"] == rest.split("/")[0]]
            return 200, {"pipeline_versions": mine[::-1]}
        return 200, {"pipelines": self._named(self.pipelines, asked)}

    def _add_version(self, pipeline_id: str, name: str) -> dict[str, Any]:
        made = {"pipeline_id": pipeline_id, "display_name": name}
        made["pipeline_version_id"] = f"v{len(self.versions)}"
        self.versions.append(made)
        return made

    def _runs(self, asked: Asked, rest: str) -> tuple[int, Any]:
        if asked.method == "POST":
            body = checked(asked.body, "V2beta1Run")
            made = body | {"run_id": f"r{len(self.runs)}", "state": "PENDING"}
            self.runs.insert(0, made)
            return 200, made
        if rest:
            [run] = [r for r in self.runs if r["run_id"] == rest]
            if coming := self.states.get(rest):
                run["state"] = coming.pop(0)
            return 200, run
        wanted = asked.query.get("experiment_id")
        mine = [r for r in self.runs if wanted in (None, r["experiment_id"])]
        begin = int(asked.query.get("page_token") or 0)
        end = begin + self.page
        token = {"next_page_token": str(end)} if end < len(mine) else {}
        return 200, {"runs": mine[begin:end]} | token

    def _recurringruns(self, asked: Asked, rest: str) -> tuple[int, Any]:
        if asked.method == "DELETE":
            self.recurring = [r for r in self.recurring if r["recurring_run_id"] != rest]
            return 200, {}
        if asked.method == "GET":
            return 200, {"recurringRuns": self._named(self.recurring, asked)}
        body = checked(asked.body, "V2beta1RecurringRun")
        made = body | {"recurring_run_id": f"j{len(self.recurring)}"}
        self.recurring.append(made)
        return 200, made

    @staticmethod
    def _named(things: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        [predicate] = json.loads(asked.query["filter"])["predicates"]
        assert predicate["operation"] in (1, "EQUALS")
        assert predicate["key"] == "display_name"
        return [t for t in things if t["display_name"] == predicate["stringValue"]]


@contextmanager
def kfp_stub() -> Iterator[KfpStub]:
    stub = KfpStub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type") or ""
            body: Any = None
            if kind.startswith("multipart/"):
                mail = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
                body = {
                    part.get_param("name", header="content-disposition"): part.get_payload(
                        decode=True
                    )
                    for part in mail.get_payload()
                    if not isinstance(part, str)
                }
            elif raw:
                body = json.loads(raw)
            asked = Asked(self.command, parts.path, query, dict(self.headers), body)
            stub.asked.append(asked)
            try:
                status, answer = stub.answer(asked)
            except BaseException as error:
                stub.faults.append(error)
                status, answer = 500, {"message": f"stub: {error!r}"}
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815

        def log_message(self, *parts: Any) -> None:
            """Keeps the terminal quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert stub.faults == []
