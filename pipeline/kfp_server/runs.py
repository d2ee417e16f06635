"""Runs, recurring runs and uploads of a compiled pipeline, over `kfp.Client`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.kfp_server.connection import Connection, calls, connect
from pipeline.kfp_server.errors import ServerError
from pipeline.kfp_server.package import Package
from pipeline.kfp_server.requests import PipelineVersion, RunRequest, RunView, view_of
from schemas.errors import InputError

FINISHED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
GOOD = ("SUCCEEDED", "SKIPPED")
DEFAULT_EXPERIMENT = "KF_PIPELINES_DEFAULT_EXPERIMENT_NAME"
OVERRIDE_EXPERIMENT = "KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME"
PAGE = 100


class Server:
    """A Kubeflow Pipelines server. Every method may raise `ServerError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connect(connection)

    def experiment(self, name: str) -> str:
        """Id of the experiment of a name, made when there is none."""
        with self._calls():
            created = self._client.create_experiment(
                name, namespace=self._connection.user_namespace
            )
            return self._id(created.experiment_id, "experiment")

    def upload(self, package: Package, name: str, version_name: str) -> PipelineVersion:
        """Uploads a package as a version of the pipeline of a name, made when there is none."""
        path = str(package.path)
        with self._calls():
            pipeline_id = self._client.get_pipeline_id(name)
            if pipeline_id is not None:
                made = self._client.upload_pipeline_version(
                    path, version_name, pipeline_id=pipeline_id
                )
                return PipelineVersion(pipeline_id, self._id(made.pipeline_version_id, "version"))
            pipeline = self._client.upload_pipeline(
                path, name, namespace=self._connection.user_namespace
            )
            pipeline_id = self._id(pipeline.pipeline_id, "pipeline")
            listed = self._client.list_pipeline_versions(pipeline_id, sort_by="created_at desc")
            if not listed.pipeline_versions:
                raise ValueError("an uploaded pipeline without a version")
            return PipelineVersion(pipeline_id, listed.pipeline_versions[0].pipeline_version_id)

    def start(self, request: RunRequest, experiment_id: str) -> str:
        """Starts a run; returns its id."""
        with self._calls():
            run = self._client.run_pipeline(experiment_id, **request.options())
            return self._id(run.run_id, "run")

    def schedule(
        self, request: RunRequest, experiment_id: str, replace: bool, **trigger: Any
    ) -> str:
        """Creates a recurring run; returns its id.

        Args:
          replace: take away those of the same name in the experiment, once the new one is there.
          trigger: `cron_expression`, `max_concurrency`, `no_catchup`, `enabled`, `start_time`,
            `end_time`, `description`, as `kfp.Client` takes them.

        Raises:
          InputError: there is one of this name, and it is not to be replaced.
        """
        with self._calls():
            listed = self._client.list_recurring_runs(
                experiment_id=experiment_id, page_size=PAGE, filter=_named(request.name)
            )
            old = [run.recurring_run_id for run in listed.recurring_runs or []]
        if old and not replace:
            raise InputError(
                f"--job-name: there is a recurring run {request.name!r} already ({old[0]}), and "
                "both would train; wanted another name, or --replace"
            )
        with self._calls():
            made = self._client.create_recurring_run(experiment_id, **request.options(), **trigger)
            recurring_run_id = self._id(made.recurring_run_id, "recurring run")
            for gone in old:
                self._client.delete_recurring_run(gone)
        return recurring_run_id

    def run(self, run_id: str) -> RunView:
        """A run as the server knows it now."""
        with self._calls():
            return view_of(self._client.get_run(run_id))

    def runs(self, experiment_name: str | None = None, limit: int | None = None) -> list[RunView]:
        """Runs, newest first, of one experiment or of all.

        Raises:
          InputError: there is no experiment of this name.
        """
        experiment_id = None if experiment_name is None else self._experiment_id(experiment_name)
        views: list[RunView] = []
        for page in self._pages(experiment_id):
            views += page
            if limit is not None and len(views) >= limit:
                return views[:limit]
        return views

    def wait(
        self,
        run_id: str,
        timeout: float | None,
        poll: float = 5.0,
        patience: int = 10,
        pause: Callable[[float], object] = time.sleep,
    ) -> RunView:
        """Waits for the end of a run; unlike kfp's own waiting it knows that runs are cancelled.

        Args:
          timeout: seconds; None for any time.
          patience: failed looks in a row that are put up with.
        """
        began, failures = time.monotonic(), 0
        while True:
            try:
                view, failures = self.run(run_id), 0
            except ServerError:
                failures += 1
                if failures > patience:
                    raise
            else:
                if view.state in FINISHED:
                    return view
            if timeout is not None and time.monotonic() - began > timeout:
                raise ServerError(f"run {run_id}: not finished after {timeout:g} s")
            pause(poll)

    def _experiment_id(self, name: str) -> str:
        with self._calls():
            listed = self._client.list_experiments(
                filter=_named(name), namespace=self._connection.user_namespace
            )
            known = [e.experiment_id for e in listed.experiments or []]
        if not known:
            raise InputError(f"--experiment-name: no experiment {name!r} on {self._place}")
        return str(known[0])

    def _pages(self, experiment_id: str | None) -> Iterator[list[RunView]]:
        token = ""
        while True:
            with self._calls():
                listed = self._client.list_runs(
                    page_token=token,
                    page_size=PAGE,
                    sort_by="created_at desc",
                    experiment_id=experiment_id,
                    namespace=self._connection.user_namespace,
                )
                views = [view_of(run) for run in listed.runs or []]
            yield views
            token = listed.next_page_token or ""
            if not token:
                return

    @property
    def _place(self) -> str:
        return self._connection.place

    def _calls(self) -> Any:
        return calls(self._connection)

    def _id(self, identity: str | None, what: str) -> str:
        if not identity:
            raise ValueError(f"no id of the {what}")
        return identity


def experiment_name(given: str | None, package: Package) -> str:
    """The name given, else what kfp reads from the environment, else the pipeline's."""
    name = given or os.environ.get(DEFAULT_EXPERIMENT) or package.name
    return os.environ.get(OVERRIDE_EXPERIMENT, name)


def run_title(package: Package, as_of: str, now: datetime | None = None) -> str:
    """`<pipeline>-<as-of day or "today">-<start, UTC>`."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{package.name}-{as_of or 'today'}-{moment}"


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})
