"""Commands over a real `kfp.Client` against a server in this process."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import kfp_server_api  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner
from kfp_stub import API, PIPELINE, PLATFORM, KfpStub, compiled, kfp_stub
from kubeflow_project import kubeflow_project

from pipeline.cli import main
from pipeline.kfp_server import runs as runs_module
from pipeline.kfp_server.backfill import Backfill
from pipeline.kfp_server.connection import Connection
from pipeline.kfp_server.errors import ServerError
from pipeline.kfp_server.package import read_package
from pipeline.kfp_server.requests import RunRequest, view_of
from pipeline.kfp_server.runs import Server

SECRET = "s3cret-token"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBECONFIG", "KF_PIPELINES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def stub() -> Iterator[KfpStub]:
    with kfp_stub() as made:
        yield made


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(compiled())
    return path


def invoke(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_submit_sends_both_documents_and_typed_parameters(stub: KfpStub, package: Path) -> None:
    code, output = invoke(
        *("submit", "--endpoint", stub.url, "-f", package, "-e", "daily", "-r", "first"),
        *("-p", "as_of=2026-03-01", "-p", "epochs=5", "-p", "alpha=0.02"),
        *("--pipeline-root", "s3://b/p", "--service-account", "trainer"),
    )
    assert code == 0, output
    [run] = stub.posts("/runs")
    assert run["pipeline_spec"]["pipeline_spec"]["pipelineInfo"] == {"name": "shop"}
    assert run["pipeline_spec"]["platform_spec"] == PLATFORM
    assert run["runtime_config"] == {
        "parameters": {"as_of": "2026-03-01", "epochs": 5, "alpha": 0.02},
        "pipeline_root": "s3://b/p",
    }
    assert (run["experiment_id"], run["display_name"]) == ("e0", "first")
    assert run["service_account"] == "trainer"
    assert stub.posts("/experiments")[0]["display_name"] == "daily"
    assert output.splitlines() == ["run r0: first", f"{stub.url}/#/runs/details/r0"]


def test_an_experiment_that_is_there_is_used(stub: KfpStub, package: Path) -> None:
    stub.experiments.append({"experiment_id": "mine", "display_name": "shop"})
    assert invoke("submit", "--endpoint", stub.url, "-f", package)[0] == 0
    assert stub.posts("/experiments") == []
    [run] = stub.posts("/runs")
    assert run["experiment_id"] == "mine"
    assert run["display_name"].startswith("shop-today-")


def test_the_environment_says_where_and_who(
    stub: KfpStub, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", stub.url)
    monkeypatch.setenv("KF_PIPELINES_TOKEN", SECRET)
    monkeypatch.setenv("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME", "from-env")
    code, output = invoke("submit", "-f", package)
    assert code == 0
    assert {a.headers["authorization"] for a in stub.asked} == {f"Bearer {SECRET}"}
    assert stub.posts("/experiments")[0]["display_name"] == "from-env"
    assert SECRET not in output


def test_a_token_file_is_read_again(stub: KfpStub, package: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    server = Server(Connection(endpoint=stub.url, token_file=str(token)))
    token.write_text("two")
    server.experiment("x")
    assert stub.asked[0].headers["authorization"] == "Bearer one"
    assert stub.asked[-1].headers["authorization"] == "Bearer two"


def test_a_namespace_is_passed_on(stub: KfpStub, package: Path) -> None:
    assert invoke("submit", "--endpoint", stub.url, "-n", "team-a", "-f", package)[0] == 0
    assert stub.posts("/experiments")[0]["namespace"] == "team-a"
    [listed] = [a for a in stub.asked if (a.method, a.path) == ("GET", f"{API}/experiments")]
    assert listed.query["namespace"] == "team-a"


def test_upload_makes_a_pipeline_then_versions_of_it(stub: KfpStub, package: Path) -> None:
    common = ("submit", "--endpoint", stub.url, "-f", package)
    code, output = invoke(*common, "--upload-only", "--pipeline-name", "mine")
    assert code == 0, output
    assert "pipeline p0, version v0" in output
    assert stub.posts("/runs") == []
    assert stub.posts("/pipelines/upload")[0]["uploadfile"] == package.read_bytes()
    code, output = invoke(*common, "--upload", "--pipeline-name", "mine", "--version-name", "two")
    assert code == 0, output
    assert stub.versions[1]["display_name"] == "two"
    [run] = stub.posts("/runs")
    assert run["pipeline_version_reference"] == {"pipeline_id": "p0", "pipeline_version_id": "v1"}
    assert "pipeline_spec" not in run


@pytest.mark.parametrize(
    ("states", "code"),
    [(["RUNNING", "SUCCEEDED"], 0), (["RUNNING", "FAILED"], 1), (["CANCELED"], 1)],
)
def test_watch_ends_with_the_run(
    stub: KfpStub, package: Path, states: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module.Server.wait, "__defaults__", (0.0, 10, lambda seconds: None))
    stub.states["r0"] = list(states)
    seen, output = invoke("submit", "--endpoint", stub.url, "-f", package, "--watch")
    assert (seen, output.splitlines()[-1]) == (code, f"run r0: {states[-1]}")


def test_waiting_outlives_a_bad_moment_and_ends_in_time(stub: KfpStub) -> None:
    stub.runs.append(
        {"run_id": "r0", "display_name": "x", "experiment_id": "e", "state": "RUNNING"}
    )
    server = Server(Connection(endpoint=stub.url))
    stub.refusals = [("GET .*/runs/", 503, '{"message": "restarting"}')]

    def recover(seconds: float) -> None:
        stub.refusals.clear()
        stub.states["r0"] = ["SUCCEEDED"]

    assert server.wait("r0", None, pause=recover).state == "SUCCEEDED"
    stub.runs[0]["state"] = "RUNNING"
    with pytest.raises(ServerError, match="not finished after 0"):
        server.wait("r0", 0, pause=lambda seconds: None)
    stub.refusals = [("GET .*/runs/", 503, '{"message": "restarting"}')]
    with pytest.raises(ServerError, match=r"503 .*restarting"):
        server.wait("r0", None, patience=2, pause=lambda seconds: None)


REFUSALS = {
    401: ('{"error": "no token", "code": 16}', ["401", "no token", "--existing-token"]),
    403: ('{"message": "user x may not"}', ["403", "user x may not", "--namespace"]),
    404: ("<html>not here</html>", ["404"]),
    409: ('{"error_message": "name taken"}', ["409", "name taken"]),
    500: ('{"message": "' + "x" * 2000 + '"}', ["500", "xxx…"]),
    503: ("upstream connect error", ["503", "upstream connect error"]),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_one_line(stub: KfpStub, package: Path, status: int) -> None:
    body, words = REFUSALS[status]
    stub.refusals = [("POST .*/runs$", status, body)]
    code, output = invoke(
        "submit", "--endpoint", stub.url, "--existing-token", SECRET, "-f", package
    )
    assert code == 4
    [line] = output.splitlines()
    for word in [f"Error: {stub.url}", *words]:
        assert word in line
    assert SECRET not in line
    assert len(line) < 600


def test_another_service_is_not_taken_for_kubeflow(stub: KfpStub, package: Path) -> None:
    stub.refusals = [("GET .*experiments", 200, "<html>log in</html>")]
    code, output = invoke("submit", "--endpoint", stub.url, "-f", package)
    assert code == 4
    assert "a login page or another service?" in output


def test_a_server_that_is_away_is_one_line(package: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, output = invoke("submit", "--endpoint", url, "-f", package)
    assert code == 4
    [line] = output.splitlines()
    assert f"{url}: no answer" in line
    assert "refused" in line
    assert "object at 0x" not in line


def test_a_server_that_hangs_is_not_waited_for(package: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(listening.accept()[0]))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        code, output = invoke(
            "submit", "--endpoint", url, "--request-timeout", "0.3", "-f", package
        )
        thread.join()
        for connection in held:
            connection.close()
    assert code == 4
    assert "no answer" in output
    assert "timed out" in output


BAD_SUBMITS: dict[str, tuple[list[str], list[str]]] = {
    "unknown parameter": (["-p", "epoch=3"], ["'epoch'", "alpha, as_of, epochs"]),
    "not name=value": (["-p", "epochs"], ["--param", "name=value"]),
    "wrong type": (["-p", "epochs=3.5"], ["epochs=3.5", "NUMBER_INTEGER"]),
    "a truth for a number": (["-p", "alpha=true"], ["alpha=true", "NUMBER_DOUBLE"]),
    "not a date": (["-p", "as_of=tuesday"], ["as_of", "'tuesday'"]),
    "config and package": (["--config", "complete_journey"], ["exactly one of"]),
    "--set on a package": (["--set", "a=1"], ["--set", "--param"]),
}


@pytest.mark.parametrize("case", BAD_SUBMITS)
def test_bad_arguments_are_told_before_the_server_is_asked(
    stub: KfpStub, package: Path, case: str
) -> None:
    options, words = BAD_SUBMITS[case]
    code, output = invoke("submit", "--endpoint", stub.url, "-f", package, *options)
    assert code == 2
    for word in words:
        assert word in output
    assert stub.asked == []


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: [", "not YAML"), ("a: 1", "not a compiled pipeline"), ("- 1", "not a compiled pipeline")],
)
def test_a_broken_package_is_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    code, output = invoke("submit", "--endpoint", "http://nowhere", "-f", path)
    assert (code, word in output) == (2, True)


def test_no_server_at_all_is_told(package: Path) -> None:
    code, output = invoke("submit", "-f", package)
    assert code == 2
    assert "KF_PIPELINES_ENDPOINT" in output


def test_a_parameter_without_default_is_wanted(stub: KfpStub, tmp_path: Path) -> None:
    spec = json.loads(json.dumps(PIPELINE))
    del spec["root"]["inputDefinitions"]["parameters"]["as_of"]["defaultValue"]
    path = tmp_path / "p.yaml"
    path.write_text(compiled(spec))
    code, output = invoke("submit", "--endpoint", stub.url, "-f", path)
    assert (code, "wants a value of 'as_of'" in output) == (2, True)


@pytest.mark.tfx
def test_a_config_is_compiled_on_the_way(stub: KfpStub, tmp_path: Path) -> None:
    project = kubeflow_project(tmp_path)
    common = ("--endpoint", stub.url, "--config", project.config)
    code, output = invoke("submit", *common, "-p", "epochs=1", "--set", "window_days=40")
    assert code == 0, output
    [run] = stub.posts("/runs")
    spec = run["pipeline_spec"]["pipeline_spec"]
    assert spec["schemaVersion"] == "2.1.0"
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["window_days"]["defaultValue"] == 40
    assert run["runtime_config"]["parameters"] == {"epochs": 1}
    assert "kubernetes" in run["pipeline_spec"]["platform_spec"]["platforms"]

    code, output = invoke("schedule", *common, "--cron", "@daily")
    assert (code, "the config fixes 2024-02-20" in output) == (2, True)
    code, output = invoke("schedule", *common, "--cron", "@daily", "-p", "as_of=")
    assert code == 0, output
    assert stub.posts("/recurringruns")[0]["runtime_config"]["parameters"] == {"as_of": ""}


def test_schedule_sends_six_fields(stub: KfpStub, package: Path) -> None:
    code, output = invoke(
        *("schedule", "--endpoint", stub.url, "-f", package, "--cron", "0 3 * * 1"),
        *("--job-name", "weekly", "--max-concurrency", "2", "-p", "epochs=4", "--disabled"),
    )
    assert code == 0, output
    [job] = stub.posts("/recurringruns")
    assert job["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * 1"}}
    assert (job["mode"], job["no_catchup"], job["max_concurrency"]) == ("DISABLE", True, 2)
    assert job["runtime_config"]["parameters"] == {"epochs": 4}
    assert job["display_name"] == "weekly"
    assert "cron 0 0 3 * * 1 (second first)" in output


def test_a_job_of_the_same_name_is_not_doubled(stub: KfpStub, package: Path) -> None:
    common = ("schedule", "--endpoint", stub.url, "-f", package, "--cron", "@daily")
    assert invoke(*common)[0] == 0
    code, output = invoke(*common)
    assert (code, "already (j0)" in output) == (2, True)
    assert invoke(*common, "--replace")[0] == 0
    assert [r["recurring_run_id"] for r in stub.recurring] == ["j1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-p", "as_of=2026-03-01"], ["2026-03-01", "same day"]),
        (["--catchup"], ["--catchup", "ScheduledTime"]),
        (["--cron", "61 * * * *"], ["minute: seen '61'"]),
        (["--retries", "3"], ["--retries is for --local"]),
        (["--local", "--config", "simulator"], ["--package-file is not for --local"]),
    ],
)
def test_schedules_that_cannot_be_meant(
    stub: KfpStub, package: Path, options: list[str], words: list[str]
) -> None:
    code, output = invoke(
        "schedule", "-f", package, "--cron", "@daily", "--request-timeout", "5", *options
    )
    assert code == 2
    for word in words:
        assert word in output


def test_catching_up_goes_with_the_scheduled_time(stub: KfpStub, package: Path) -> None:
    as_of = "as_of=[[ScheduledTime.2006-01-02]]"
    code, output = invoke(
        *("schedule", "--endpoint", stub.url, "-f", package, "--cron", "@daily"),
        *("--catchup", "-p", as_of),
    )
    assert code == 0, output
    [job] = stub.posts("/recurringruns")
    assert job["no_catchup"] is False
    assert job["runtime_config"]["parameters"]["as_of"] == "[[ScheduledTime.2006-01-02]]"


def started(stub: KfpStub) -> list[tuple[str, str]]:
    return [
        (body["display_name"], body["runtime_config"]["parameters"]["as_of"])
        for body in stub.posts("/runs")
    ]


def test_backfill_runs_every_day_once(stub: KfpStub, package: Path) -> None:
    stub.states = {f"r{i}": ["SUCCEEDED"] for i in range(9)} | {"r1": ["FAILED"]}
    common = ("backfill", "--endpoint", stub.url, "-f", package, "-p", "epochs=2")
    code, output = invoke(*common, "--from", "2026-02-27", "--to", "2026-03-01")
    assert code == 1
    assert "1 of 3 days without" in output
    days = ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert started(stub) == [(f"shop-backfill-{day}", day) for day in days]
    code, output = invoke(*common, "--from", "2026-02-26", "--to", "2026-03-01")
    assert code == 0, output
    assert [day for _, day in started(stub)[3:]] == ["2026-02-26", "2026-02-28"]


def test_no_more_runs_at_once_than_told(stub: KfpStub, package: Path) -> None:
    server = Server(Connection(endpoint=stub.url))
    going: list[int] = []
    ended: list[str] = []

    def end_oldest(seconds: float) -> None:
        alive = [r for r in stub.runs if r["state"] == "PENDING"]
        going.append(len(alive))
        alive[-1]["state"] = "SUCCEEDED"
        ended.append(alive[-1]["runtime_config"]["parameters"]["as_of"])

    def request(day: str) -> RunRequest:
        return RunRequest(read_package(package), f"b-{day}", {"as_of": day})

    days = [date(2026, 3, d).isoformat() for d in range(1, 6)]
    lines: list[str] = []
    work = Backfill(server, "e", request, 2, lines.append, pause=end_oldest)
    assert work.run(days, []) == 0
    assert max(going) == 2
    assert ended == days
    assert len([line for line in lines if "started" in line]) == 5


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        (("2026-03-02", "2026-03-01"), "not the later"),
        (("yesterday", "2026-03-01"), "--from: seen 'yesterday'"),
    ],
)
def test_days_that_are_none(package: Path, ends: tuple[str, str], word: str) -> None:
    code, output = invoke("backfill", "-f", package, "--from", ends[0], "--to", ends[1])
    assert (code, word in output) == (2, True)


def test_runs_are_listed_over_pages_with_their_verdicts(
    stub: KfpStub, package: Path, tmp_path: Path
) -> None:
    stub.page = 2
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        invoke("submit", "--endpoint", stub.url, "-f", package, "-p", f"as_of={day}")
    stub.runs[0] |= {"state": "FAILED", "error": {"code": 2, "message": "disk full"}}
    folder = tmp_path / "out" / "runs" / "r1"
    folder.mkdir(parents=True)
    verdict = {"blessed": True, "summary": "all hold", "baseline": None}
    manifest: dict[str, Any] = {"verdict": verdict, "version": 7, "created": "2026-03-02"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    code, output = invoke(
        "runs", "--endpoint", stub.url, "--out", tmp_path / "out", "--output", "json"
    )
    assert code == 0, output
    keys = ("run_id", "state", "as_of", "verdict", "version", "reason")
    assert [tuple(row[k] for k in keys) for row in json.loads(output)] == [
        ("r2", "failed", "2026-03-03", "", "", "disk full"),
        ("r1", "pending", "2026-03-02", "blessed", "7", ""),
        ("r0", "pending", "2026-03-01", "", "", ""),
    ]
    code, output = invoke("runs", "--endpoint", stub.url, "-e", "nothing")
    assert (code, "no experiment 'nothing'" in output) == (2, True)


@pytest.mark.parametrize(
    ("finished", "wanted"),
    [
        (None, None),
        # What servers send of a run that goes on: the zero value of a protobuf timestamp.
        (datetime(1970, 1, 1, tzinfo=UTC), None),
        (datetime(2026, 3, 1, 4, tzinfo=UTC), datetime(2026, 3, 1, 4, tzinfo=UTC)),
    ],
)
def test_a_run_that_goes_on_has_no_end(finished: datetime | None, wanted: datetime | None) -> None:
    run = kfp_server_api.V2beta1Run(
        run_id="r1", created_at=datetime(2026, 3, 1, 3, tzinfo=UTC), finished_at=finished
    )
    view = view_of(run)
    assert (view.created, view.finished) == (datetime(2026, 3, 1, 3, tzinfo=UTC), wanted)
